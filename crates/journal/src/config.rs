//! Settings of a journal, with their defaults and limits.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::JournalError;
use crate::format::{RECORD_BYTES_LIMIT, SEGMENT_HEADER_BYTES};

const SEGMENT_BYTES_DEFAULT: u64 = 16 << 20;
const DISK_BYTES_DEFAULT: u64 = 4 << 30;

/// Settings of a journal.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// The folder; created when absent. One process may have it open.
    pub dir: PathBuf,
    /// A segment is closed when the next append would take it past this size. Default 16 MiB.
    pub segment_bytes_max: u64,
    /// Budget for all segments together. Default 4 GiB. Quarantined ranges (at most 64 MiB) and
    /// cursor files come on top.
    pub disk_bytes_max: u64,
    /// Largest payload of one record. Default, and the format's limit: 64 MiB.
    pub record_bytes_max: u32,
    /// When appended bytes reach the disk.
    pub sync: SyncPolicy,
}

/// When appended bytes reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before `append` returns. Survives a power cut. Concurrent appends share one sync.
    Always,
    /// At most this much later, by a background thread. `append` returns after the write, which
    /// survives a killed process; a power cut loses up to this much. Readers still see a record
    /// only after its sync.
    Interval(Duration),
}

/// What an append does when the disk budget is used up by records that a cursor has not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFull {
    /// The append fails with `JournalError::Full`.
    #[default]
    Block,
    /// The oldest segment is taken from this cursor; its records are counted as dropped.
    DropOldest,
}

impl JournalConfig {
    /// Defaults for a journal in `dir`: 16 MiB segments, 4 GiB of disk, sync always.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes_max: SEGMENT_BYTES_DEFAULT,
            disk_bytes_max: DISK_BYTES_DEFAULT,
            record_bytes_max: RECORD_BYTES_LIMIT,
            sync: SyncPolicy::Always,
        }
    }

    /// Checks the settings without touching the disk.
    ///
    /// # Errors
    /// `InvalidConfig` naming the field.
    pub fn validate(&self) -> Result<(), JournalError> {
        let invalid = |field, reason| Err(JournalError::InvalidConfig { field, reason });
        if self.segment_bytes_max <= SEGMENT_HEADER_BYTES {
            return invalid(
                "segment_bytes_max",
                "a segment must hold more than its header",
            );
        }
        if self.disk_bytes_max < self.segment_bytes_max {
            return invalid(
                "disk_bytes_max",
                "the budget must hold at least one segment",
            );
        }
        if self.record_bytes_max == 0 || self.record_bytes_max > RECORD_BYTES_LIMIT {
            return invalid("record_bytes_max", "must be between 1 byte and 64 MiB");
        }
        if self.sync == SyncPolicy::Interval(Duration::ZERO) {
            return invalid("sync", "an interval must be longer than zero");
        }
        Ok(())
    }
}
