//! The journal's front door.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::config::{JournalConfig, SyncPolicy};
use crate::core::Core;
use crate::cursor::{self, Cursor};
use crate::cursor_file;
use crate::error::JournalError;
use crate::format::SEGMENT_HEADER_BYTES;
use crate::fs::{FileSystem, OsFileSystem};
use crate::group::GroupCommit;
use crate::quarantine;
use crate::recovery::{self, Recovered, recover};
use crate::request::Request;
use crate::stats::{JournalStats, RecoveryReport};
use crate::sync_thread;

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

/// A segment that `OnFull::DropOldest` has taken.
#[derive(Debug, Clone)]
pub struct Evicted {
    /// The cursors that lose records with it, by name.
    pub cursors: Vec<String>,
    /// Its first record, unless that cannot be read.
    pub head: Option<Record>,
    /// The first record behind it; `None` when there is none yet.
    pub next: Option<Record>,
    /// Its last record, where others are missing between that and `next`: not all that is missing was taken.
    pub last: Option<Record>,
}

/// Called for each segment that is taken, before a reader can find out. It must neither block nor call the journal.
pub type EvictionListener = Box<dyn Fn(&Evicted) + Send + Sync>;

/// A segmented append-only log. Clones share one log; the folder stays locked until the last
/// clone and the last cursor are dropped.
#[derive(Clone)]
pub struct Journal {
    core: Arc<Core>,
    group: Arc<GroupCommit>,
}

impl Journal {
    /// Opens or creates the journal. Reads every record's checksum once (about the speed of the
    /// disk), repairs what a crash has left, and reports what it found.
    ///
    /// # Errors
    /// `Locked`, `InvalidConfig`, `UnsupportedVersion`, or `Io`/`NoSpace` when the operating
    /// system refuses. Damaged content is never an error.
    pub fn open(config: JournalConfig) -> Result<(Self, RecoveryReport), JournalError> {
        Self::open_with(config, Arc::new(OsFileSystem))
    }

    /// Opens or creates the journal on the given files.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        config: JournalConfig,
        fs: Arc<dyn FileSystem>,
    ) -> Result<(Self, RecoveryReport), JournalError> {
        config.validate()?;
        let Recovered {
            core,
            writer,
            report,
        } = recover(config, fs)?;
        let group = Arc::new(GroupCommit::new(Arc::clone(&core), writer));
        if let SyncPolicy::Interval(interval) = core.config.sync {
            sync_thread::spawn(&core, &group, interval)
                .map_err(|error| JournalError::io("start a thread for", &core.config.dir, error))?;
        }
        Ok((Self { core, group }, report))
    }

    /// Appends all entries or none and returns their sequences. Durable on return under
    /// `SyncPolicy::Always`. Blocks for a disk write and a sync, which concurrent callers share.
    /// The entries stay together in one segment.
    ///
    /// # Errors
    /// `Full` and `NoSpace`: retry later, nothing of it is visible. `TooLarge`, `EmptyAppend`:
    /// never retry. `Io`: nothing of it is visible. `Poisoned`: mend or reopen the journal; whether the
    /// entries of the append that failed in its sync are found after reopening is not known.
    pub fn append(&self, entries: &[Entry<'_>]) -> Result<RangeInclusive<u64>, JournalError> {
        self.append_noting(entries, &[])
    }

    /// As `append`. When it is the last append that was acknowledged, [`RecoveryReport::note`] gives back `note`, of which
    /// [`NOTE_BYTES_MAX`](crate::NOTE_BYTES_MAX) bytes are kept, also when the records are lost.
    ///
    /// # Errors
    /// As `append`.
    pub fn append_noting(
        &self,
        entries: &[Entry<'_>],
        note: &[u8],
    ) -> Result<RangeInclusive<u64>, JournalError> {
        let config = &self.core.config;
        let append_bytes_max = config.disk_bytes_max - SEGMENT_HEADER_BYTES;
        let request = Request::encode(entries, config.record_bytes_max, append_bytes_max)?;
        let request = request.noting(note);
        let sequences = self.group.append(request)?;
        if config.sync == SyncPolicy::Always {
            self.core.notify();
        }
        Ok(sequences)
    }

    /// Syncs now what `SyncPolicy::Interval` has not synced yet.
    ///
    /// # Errors
    /// `Poisoned` when the sync fails.
    pub fn sync(&self) -> Result<(), JournalError> {
        if self.group.sync()? {
            self.core.notify();
        }
        Ok(())
    }

    /// Takes appends again after one failed with `Poisoned`, once the disk is well: cuts away what was not acknowledged,
    /// durably, and reads back what was in the active segment. The appends that failed are in the journal no more, and
    /// may be made again. Does nothing when appends are taken. Only under `SyncPolicy::Always`.
    ///
    /// # Errors
    /// `Poisoned`: the disk is not well yet; nothing changed.
    pub fn mend(&self) -> Result<(), JournalError> {
        self.group.mend()
    }

    /// Looks whether the active segment is where it should be. Where somebody has removed it, or the whole folder, it is made
    /// again; closed segments that are gone then are lost, and counted. Appends look by themselves. Positions of cursors that are
    /// gone come back with their next commits.
    ///
    /// # Errors
    /// `Poisoned` when it cannot be made again: `mend` tries once more. `Io` when the folder is elsewhere.
    pub fn look(&self) -> Result<(), JournalError> {
        self.group.look()
    }

    /// Whether the volume takes `bytes` more, after an append failed with `NoSpace` or `Io`: tries it with files that go at once.
    ///
    /// # Errors
    /// `NoSpace`, `Io`.
    pub fn probe_volume(&self, bytes: usize) -> Result<(), JournalError> {
        let dir = &self.core.config.dir;
        cursor_file::probe(&*self.core.fs, dir, bytes)?;
        recovery::probe(&*self.core.fs, dir)?;
        self.core.volume_full.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Closes the active segment, so that nothing more is written to it.
    pub(crate) fn close_segment(&self) -> Result<(), JournalError> {
        self.group.close_segment()
    }

    /// Highest durable sequence; 0 before the first.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.core.last_sequence()
    }

    /// First sequence of the segment that is written to. Those before it can go when no cursor needs them.
    #[must_use]
    pub fn active_segment(&self) -> u64 {
        self.core.table.lock().active_first()
    }

    /// Adds a function called with the last durable sequence after records have become durable,
    /// on the appending thread (the sync thread under `SyncPolicy::Interval`). It must not block.
    /// Under concurrency one call may stand for several appends, and a value may come twice.
    pub fn add_listener(&self, listener: Listener) {
        self.core.add_listener(listener);
    }

    /// Sets the function called when `OnFull::DropOldest` takes a segment, on the appending thread.
    pub fn set_eviction_listener(&self, listener: EvictionListener) {
        self.core.set_eviction_listener(listener);
    }

    /// Opens the named cursor, or creates it at the oldest record on disk. Once created it holds
    /// segments until it commits beyond them, is removed, or has committed all that can be read.
    ///
    /// # Errors
    /// `CursorName`, `CursorInUse`, `NoSpace`, `Io`.
    pub fn cursor(&self, name: &str) -> Result<Cursor, JournalError> {
        Cursor::open(&self.core, name)
    }

    /// Whether there were records and not one cursor when the journal was opened, and nothing told which there had been: one
    /// that seems new may have been there. No more once `keep_all` is over.
    #[must_use]
    pub fn lacks_cursors(&self) -> bool {
        self.core.table.lock().lacks_cursors
    }

    /// Whether to keep also what no cursor needs: until all that are to be there have been opened. False at first.
    pub fn keep_all(&self, keep: bool) {
        self.core.table.lock().keeps_all = keep;
        if !keep {
            self.core.table.lock().lacks_cursors = false;
            self.core.delete_released();
        }
    }

    /// Opens the named cursor, or creates it behind sequence `through` (at the oldest record on disk when that is later), with
    /// `state` as what was stored with its position: both or neither.
    ///
    /// # Errors
    /// As [`Self::cursor`].
    pub fn cursor_behind(
        &self,
        name: &str,
        through: u64,
        state: &[u8],
    ) -> Result<Cursor, JournalError> {
        Cursor::open_or_create(&self.core, name, (through, state))
    }

    /// Removes a cursor that is not open, so that it holds no segment any more. Succeeds when
    /// there is none.
    ///
    /// # Errors
    /// `CursorName`, `CursorInUse`, `Io`.
    pub fn remove_cursor(&self, name: &str) -> Result<(), JournalError> {
        cursor::remove(&self.core, name)
    }

    /// Bytes of the copies of corrupt ranges that lie in the quarantine, also from earlier. Lists a folder.
    #[must_use]
    pub fn quarantine_bytes(&self) -> u64 {
        quarantine::held_bytes(&*self.core.fs, &self.core.config.dir)
    }

    /// A view of the journal now.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        self.core.stats()
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("dir", &self.core.config.dir)
            .field("last_sequence", &self.last_sequence())
            .finish_non_exhaustive()
    }
}
