//! The journal's front door.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::{JournalConfig, OnFull};
use crate::error::JournalError;
use crate::fs::{FileSystem, OsFileSystem};
use crate::stats::{JournalStats, RecoveryReport};

/// One record to append. Its payload is the parts, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The caller's own tag; the journal does not read it.
    pub kind: u8,
    /// Pieces of the payload.
    pub parts: &'a [&'a [u8]],
}

/// One record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the journal, from 1, strictly increasing; gaps are possible after damage.
    pub sequence: u64,
    /// The caller's tag.
    pub kind: u8,
    /// The payload.
    pub payload: Bytes,
}

/// Called with the last durable sequence.
pub type Listener = Box<dyn Fn(u64) + Send + Sync>;

/// A segmented append-only log. Clones share one log.
#[derive(Clone)]
pub struct Journal {
    config: Arc<JournalConfig>,
}

impl Journal {
    /// Opens or creates the journal.
    pub fn open(config: JournalConfig) -> Result<(Self, RecoveryReport), JournalError> {
        Self::open_with(config, Arc::new(OsFileSystem))
    }

    /// Opens or creates the journal on the given files.
    pub fn open_with(
        config: JournalConfig,
        _fs: Arc<dyn FileSystem>,
    ) -> Result<(Self, RecoveryReport), JournalError> {
        config.validate()?;
        Ok((
            Self {
                config: Arc::new(config),
            },
            RecoveryReport::default(),
        ))
    }

    /// Appends records; durable on return under `SyncPolicy::Always`.
    pub fn append(&self, _entries: &[Entry<'_>]) -> Result<RangeInclusive<u64>, JournalError> {
        Err(JournalError::EmptyAppend)
    }

    /// Highest durable sequence; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        0
    }

    /// Adds a function called after each sync that made records durable.
    pub fn add_listener(&self, _listener: Listener) {}

    /// Opens the named cursor, or creates it at the oldest record.
    pub fn cursor(&self, name: &str) -> Result<Cursor, JournalError> {
        Ok(Cursor {
            name: name.to_owned(),
            committed: 0,
            state: Vec::new(),
        })
    }

    /// Removes a cursor that is not open, so that it holds no segment any more.
    pub fn remove_cursor(&self, _name: &str) -> Result<(), JournalError> {
        Ok(())
    }

    /// A view of the journal now.
    pub fn stats(&self) -> JournalStats {
        JournalStats {
            disk_bytes_max: self.config.disk_bytes_max,
            ..Default::default()
        }
    }
}

/// A named, durable read position.
pub struct Cursor {
    name: String,
    committed: u64,
    state: Vec<u8>,
}

impl Cursor {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Highest committed sequence; 0 when none.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// The bytes stored with the last commit.
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// The next durable records; empty when caught up.
    pub fn read(&mut self, _bytes_max: usize) -> Result<Vec<Record>, JournalError> {
        Ok(Vec::new())
    }

    /// Moves the read position back to the committed one.
    pub fn rewind(&mut self) {}

    /// Stores the position and `state` durably.
    pub fn commit(&mut self, through: u64, state: &[u8]) -> Result<(), JournalError> {
        self.committed = through;
        self.state = state.to_vec();
        Ok(())
    }

    /// What an append does when the budget is used up by this cursor.
    pub fn set_policy(&mut self, _policy: OnFull) {}
}
