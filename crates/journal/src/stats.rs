//! Figures a journal reports about itself.

use std::path::PathBuf;

use crate::config::OnFull;

/// A view of the journal at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Segments on disk, the active one included.
    pub segments: u64,
    /// Bytes of all segments.
    pub disk_bytes: u64,
    /// The budget.
    pub disk_bytes_max: u64,
    /// Bytes of segments that the disk did not give when the journal was opened. They are kept until their room is needed.
    pub unreadable_bytes: u64,
    /// First sequence still on disk; `last_sequence + 1` when none is.
    pub oldest_sequence: u64,
    /// Highest durable sequence; 0 before the first append.
    pub last_sequence: u64,
    /// Records acknowledged since the journal was opened.
    pub appended_records: u64,
    /// Payload bytes acknowledged since the journal was opened.
    pub appended_bytes: u64,
    /// Append calls that failed since the journal was opened.
    pub failed_appends: u64,
    /// Syncs of segment data since the journal was opened.
    pub syncs: u64,
    /// Segments deleted since the journal was opened.
    pub deleted_segments: u64,
    /// Corrupt ranges known in the segments on disk or met since the journal was opened.
    pub quarantined_ranges: u64,
    /// Bytes of those ranges.
    pub quarantined_bytes: u64,
    /// How often a folder or an active segment that somebody had removed was put back since the journal was opened.
    pub put_back: u64,
    /// Closed segments that somebody has removed since the journal was opened.
    pub lost_segments: u64,
    /// Records of those.
    pub lost_records: u64,
    /// The last sequence of those; 0 when there are none.
    pub lost_through: u64,
    /// Whether a failed sync has closed the journal for appends.
    pub poisoned: bool,
    /// Whether the last append found no room on the volume.
    pub volume_full: bool,
    /// One line per cursor, by name.
    pub cursors: Vec<CursorStats>,
}

/// Where one cursor stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CursorStats {
    /// Its name.
    pub name: String,
    /// All up to here is of no more use to it: committed, dropped, or lost to damage behind that. 0 when none.
    pub committed: u64,
    /// Records on disk after the committed one.
    pub lag_records: u64,
    /// Bytes of those records on disk. Exact at segment borders, in proportion inside a segment.
    pub lag_bytes: u64,
    /// Records taken from it by `OnFull::DropOldest` since the journal was opened.
    pub dropped_records: u64,
    /// Bytes of those records, record headers included.
    pub dropped_bytes: u64,
    /// What an append does when the budget is used up by this cursor.
    pub on_full: OnFull,
}

/// What opening a journal found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments found.
    pub segments: u64,
    /// Intact records found.
    pub records: u64,
    /// Payload bytes of those records.
    pub payload_bytes: u64,
    /// Bytes cut off the end of the last segment: an append that had not been acknowledged, unless there is a `lost_end`.
    pub torn_bytes: u64,
    /// Corrupt ranges elsewhere; each was copied aside and is skipped by readers.
    pub quarantined: Vec<QuarantinedRange>,
    /// Sequences that are missing between records: lost to damage now or earlier, or taken by `OnFull::DropOldest`. The
    /// first 1,024.
    pub gaps: Vec<Gap>,
    /// What was acknowledged and is not there any more at the end of the journal.
    pub lost_end: Option<LostEnd>,
    /// What the last acknowledged append had noted; empty when it noted nothing, or that is not known.
    pub note: Vec<u8>,
    /// Cursors whose file was corrupt. The file was moved aside; the cursor starts again at the
    /// oldest record, so its consumer sees records again.
    pub corrupt_cursors: Vec<String>,
    /// Cursors whose file was corrupt and that go on from the commit before, which was there still. The file was moved aside;
    /// the consumer sees records again that it has settled since.
    pub restored_cursors: Vec<String>,
    /// Cursors that there were, and whose file is gone. Each starts again where the commit before was, if that is there still,
    /// or at the oldest record: its consumer sees records again.
    pub missing_cursors: Vec<String>,
    /// Files that are not the journal's; left alone.
    pub ignored_files: Vec<PathBuf>,
}

impl RecoveryReport {
    /// Whether anything but an ordinary torn tail was found.
    #[must_use]
    pub fn found_damage(&self) -> bool {
        !self.quarantined.is_empty()
            || !self.corrupt_cursors.is_empty()
            || !self.restored_cursors.is_empty()
            || !self.missing_cursors.is_empty()
            || self.lost_end.is_some()
    }
}

/// Sequences that no record on disk has, between two that are there or behind the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last record before it.
    pub after: u64,
    /// The first record behind it; the next one to be appended when there is none yet.
    pub before: u64,
    /// Whole segments may be missing, and nothing speaks of damage.
    pub is_between_segments: bool,
}

/// Acknowledged records behind the last one there is: somebody or something has cut the last segment, or removed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEnd {
    /// The segment file, the last one there is; the folder when there is none.
    pub segment: PathBuf,
    /// Bytes of it that are left.
    pub bytes: u64,
    /// The record before them, which is there unless it was deleted; 0 when they were the first.
    pub after: u64,
    /// The last one that was acknowledged.
    pub through: u64,
}

/// A range of a segment that holds no valid record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRange {
    /// The segment file.
    pub segment: PathBuf,
    /// First byte of the range.
    pub offset: u64,
    /// Bytes in the range.
    pub bytes: u64,
    /// Where a copy lies; `None` when it could not be copied or the quarantine is full.
    pub copy: Option<PathBuf>,
}
