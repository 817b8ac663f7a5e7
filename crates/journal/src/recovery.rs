//! Opens a folder in whatever state a crash, a full disk or a failing disk has left it.
//!
//! In: the folder. Out: the segment and cursor tables, a writer at the end of the last segment,
//! and a report. Only a failing operating system call, a file of a later format version or the
//! lock keeps a journal from opening; damage never does. Every record's checksum is read once,
//! in sequential order.

mod cursors;
mod segment;

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::acknowledged::{self, Acknowledged, AcknowledgedFile};
use crate::config::JournalConfig;
use crate::core::Core;
use crate::error::JournalError;
use crate::format::{
    SEGMENT_HEADER_BYTES, SEGMENT_VERSION, SEGMENT_VERSION_1, encode_segment_header,
    parse_segment_file_name, segment_file_name,
};
use crate::fs::exact::write_all_at;
use crate::fs::{FileSystem, JournalFile};
use crate::known_cursors;
use crate::quarantine::{CorruptRange, quarantine_range};
use crate::stats::{Gap, LostEnd, RecoveryReport};
use crate::table::{Segment, Table};
use crate::writer::{Writer, create_segment};

use segment::{ScannedSegment, scan_segment};

pub(crate) const LOCK_FILE: &str = "lock";
/// Made and removed to see whether the folder takes files; a crash may leave it.
const PROBE_FILE: &str = "probe";
/// Gaps that are reported.
const GAPS_MAX: usize = 1_024;
const OWN_FILES: [&str; 4] = [
    LOCK_FILE,
    acknowledged::FILE_NAME,
    known_cursors::FILE_NAME,
    PROBE_FILE,
];
const OWN_FOLDERS: [&str; 2] = ["cursors", "quarantine"];

/// An opened journal, before anyone uses it.
pub(crate) struct Recovered {
    pub(crate) core: Arc<Core>,
    pub(crate) writer: Writer,
    pub(crate) report: RecoveryReport,
}

/// Where the writer goes on.
struct Active {
    file: Arc<dyn JournalFile>,
    first: u64,
    len: u64,
}

struct Recovery {
    config: JournalConfig,
    fs: Arc<dyn FileSystem>,
    table: Table,
    report: RecoveryReport,
    /// The last record of the segments seen so far; 0 before the first.
    last_record: u64,
    /// Whether damage follows it in its segment.
    ends_damaged: bool,
    /// How far appends were acknowledged, as far as that is known.
    acknowledged: Acknowledged,
    /// Where the last segment ends, unless its end cannot be read.
    end: Option<(PathBuf, u64)>,
}

/// Locks and reads the folder.
pub(crate) fn recover(
    config: JournalConfig,
    fs: Arc<dyn FileSystem>,
) -> Result<Recovered, JournalError> {
    let dir = config.dir.clone();
    for folder in [&dir, &crate::cursor_file::folder(&dir)] {
        fs.create_dir_all(folder)
            .map_err(|error| JournalError::io("create", folder, error))?;
    }
    let lock = lock(&*fs, &dir)?;
    let acknowledged = acknowledged::load(&*fs, &dir);
    let recovery = Recovery {
        config,
        fs,
        table: Table::default(),
        report: RecoveryReport::default(),
        last_record: 0,
        ends_damaged: false,
        acknowledged,
        end: None,
    };
    recovery.run(lock)
}

/// Whether a file can be made in the folder.
pub(crate) fn probe(fs: &dyn FileSystem, dir: &Path) -> Result<(), JournalError> {
    let path = dir.join(PROBE_FILE);
    fs.create_new(&path)
        .map(drop)
        .or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| fs.remove(&path))
        .map_err(|error| JournalError::io("create", &path, error))
}

fn lock(fs: &dyn FileSystem, dir: &Path) -> Result<Box<dyn Any + Send + Sync>, JournalError> {
    let path = dir.join(LOCK_FILE);
    fs.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => JournalError::Locked {
            holder: fs.lock_holder(&path),
            path,
        },
        _ => JournalError::io("lock", &path, error),
    })
}

impl Recovery {
    fn run(mut self, lock: Box<dyn Any + Send + Sync>) -> Result<Recovered, JournalError> {
        let firsts = self.list_segments()?;
        let last_first = firsts.last().copied();
        let mut previous = 0;
        let mut active = None;
        for first in firsts {
            let scanned = self.scan(first, previous, Some(first) == last_first)?;
            if Some(first) != last_first {
                self.note_gaps(&scanned);
            }
            previous = previous.max(scanned.segment.last);
            if Some(first) == last_first {
                // Numbers that unreadable records may have are not given out again.
                let taken = match scanned.unreadable {
                    true => first + scanned.hidden_records_max(),
                    false => first - 1,
                };
                active = self.reopen_last(scanned)?;
                previous = self.table.last_sequence().max(taken);
            } else {
                self.quarantine(&scanned);
                self.add(scanned);
            }
        }
        let mut known_cursors = self.load_cursors(previous)?;
        // A cursor may have committed records that a damaged tail has lost since; their numbers
        // are not given out again, or the cursor would skip the new ones.
        let told = self.acknowledged.sequence;
        let told = told.max(self.table.highest_released());
        self.note_lost_end(previous, told);
        let last_sequence = previous.max(told);
        self.note_gap_at_end(last_sequence);
        let active = match active {
            Some(active) => active,
            None => self.start_segment(last_sequence + 1)?,
        };
        self.warn_of_ignored_files();
        let Self {
            config,
            fs,
            table,
            mut report,
            acknowledged,
            ..
        } = self;
        // What is there is durable by now, and what is not there stays known as lost.
        if acknowledged.sequence == last_sequence {
            report.note = acknowledged.note;
        }
        let now = Acknowledged {
            sequence: last_sequence,
            note: report.note.clone(),
        };
        let acknowledged = AcknowledgedFile::open(&*fs, &config.dir, &now);
        let names = table.cursors.keys().cloned().collect();
        if let Err(error) = known_cursors.store(&*fs, &config.dir, names) {
            tracing::warn!(%error, "which cursors there are could not be noted");
        }
        let tables = (table, known_cursors);
        let core = Arc::new(Core::new(config, fs, tables, last_sequence, lock));
        core.delete_released();
        let writer = Writer::new(
            Arc::clone(&core),
            active.file,
            active.first,
            active.len,
            last_sequence + 1,
            acknowledged,
        );
        Ok(Recovered {
            core,
            writer,
            report,
        })
    }

    /// What is missing before and between the records of a segment, which come after all that was noted.
    fn note_gaps(&mut self, scanned: &ScannedSegment) {
        let Some(head) = scanned.head else {
            self.ends_damaged |= scanned.ends_damaged();
            return;
        };
        let is_damaged = std::mem::replace(&mut self.ends_damaged, scanned.ends_damaged());
        let is_between_segments = !is_damaged && !scanned.starts_damaged(head);
        let between = Some((self.last_record, head)).filter(|(after, _)| *after > 0);
        let between = between.map(|(after, before)| Gap {
            after,
            before,
            is_between_segments,
        });
        let inside = scanned.gaps.iter().map(|(after, before)| Gap {
            after: *after,
            before: *before,
            is_between_segments: false,
        });
        let found = between.into_iter().chain(inside);
        let found = found.filter(|gap| gap.before > gap.after + 1);
        let room = GAPS_MAX.saturating_sub(self.report.gaps.len());
        self.report.gaps.extend(found.take(room));
        self.last_record = scanned.segment.last;
    }

    /// Tells of what the end of the journal lacks: records behind `last` up to `told` were acknowledged.
    fn note_lost_end(&mut self, last: u64, told: u64) {
        let Some((segment, bytes)) = self.end.take().filter(|_| last < told) else {
            return;
        };
        let lost = LostEnd {
            segment,
            bytes,
            after: last,
            through: told,
        };
        tracing::error!(
            segment = %lost.segment.display(),
            bytes,
            first_lost = last + 1,
            last_lost = told,
            "journal ends before what was acknowledged, those records are lost"
        );
        self.report.lost_end = Some(lost);
    }

    /// What is missing behind the last record, if any is left: its numbers were given out.
    fn note_gap_at_end(&mut self, last_sequence: u64) {
        let gap = Gap {
            after: self.last_record,
            before: last_sequence + 1,
            // What was taken has left an empty segment behind it.
            is_between_segments: !self.ends_damaged && self.table.is_active(last_sequence + 1),
        };
        let is_one = gap.after > 0 && gap.before > gap.after + 1;
        if is_one && self.report.gaps.len() < GAPS_MAX {
            self.report.gaps.push(gap);
        }
    }

    fn list_segments(&mut self) -> Result<Vec<u64>, JournalError> {
        let dir = &self.config.dir;
        let entries = self
            .fs
            .list(dir)
            .map_err(|error| JournalError::io("list", dir, error))?;
        let mut firsts = Vec::new();
        for entry in entries {
            match parse_segment_file_name(&entry.name) {
                Some(first) if entry.is_file => firsts.push(first),
                _ if OWN_FILES.contains(&entry.name.as_str()) => {}
                _ if OWN_FOLDERS.contains(&entry.name.as_str()) && !entry.is_file => {}
                _ => self.report.ignored_files.push(dir.join(entry.name)),
            }
        }
        firsts.sort_unstable();
        if firsts.is_empty() {
            self.end = Some((dir.clone(), 0));
        }
        self.report.segments = firsts.len() as u64;
        Ok(firsts)
    }

    fn scan(
        &self,
        first: u64,
        previous: u64,
        is_last: bool,
    ) -> Result<ScannedSegment, JournalError> {
        let path = self.config.dir.join(segment_file_name(first));
        let file = self
            .fs
            .open_write(&path)
            .map_err(|error| JournalError::io("open", &path, error))?;
        if is_last {
            // Its last sync may have failed, and then the cache may show what the disk does not hold. The segments
            // before it were synced before it was created.
            file.sync()
                .and_then(|()| file.forget_cached())
                .map_err(|error| JournalError::io("sync", &path, error))?;
        }
        let scanned = scan_segment(file, first, previous, self.acknowledged.sequence)
            .map_err(|error| JournalError::io("read", &path, error))?;
        match scanned.newer_version {
            None => Ok(scanned),
            Some(version) => {
                let version_max = SEGMENT_VERSION;
                Err(JournalError::UnsupportedVersion {
                    path,
                    version,
                    version_max,
                })
            }
        }
    }

    /// Cuts the torn tail, restores the header of records that lack it, and makes what remains durable. `None` when the
    /// writer must start a segment of its own: behind bytes that cannot be read, behind records of version 1, or behind
    /// some that the segment itself does not tell to be durable.
    fn reopen_last(&mut self, mut scanned: ScannedSegment) -> Result<Option<Active>, JournalError> {
        let first = scanned.segment.first;
        let path = self.config.dir.join(segment_file_name(first));
        if scanned.unreadable {
            self.note_gaps(&scanned);
            self.quarantine(&scanned);
            self.add(scanned);
            return Ok(None);
        }
        let len_before = scanned.segment.disk_bytes;
        scanned.cut_torn_tail();
        self.note_gaps(&scanned);
        self.quarantine(&scanned);
        if scanned.segment.last < self.acknowledged.sequence {
            self.quarantine_cut(&scanned, len_before);
        }
        let file = Arc::clone(&scanned.file);
        let len = match scanned.is_bare() {
            true => 0,
            false => scanned.segment.disk_bytes.max(SEGMENT_HEADER_BYTES),
        };
        self.end = Some((path.clone(), len));
        self.report.torn_bytes = len_before.saturating_sub(scanned.segment.disk_bytes);
        let is_current = scanned.version == Some(SEGMENT_VERSION);
        let goes_on = is_current || scanned.segment.records == 0;
        let version = if goes_on {
            SEGMENT_VERSION
        } else {
            SEGMENT_VERSION_1
        };
        let mut repaired = file.set_len(len);
        if len > 0 && scanned.version != Some(version) {
            let header = encode_segment_header(first, version);
            repaired = repaired.and_then(|()| write_all_at(&*file, &header, 0));
        }
        repaired
            .and_then(|()| file.sync())
            .and_then(|()| self.fs.sync_dir(&self.config.dir))
            .map_err(|error| JournalError::io("repair", &path, error))?;
        let needs_successor = scanned.needs_successor();
        scanned.segment.disk_bytes = len;
        scanned.segment.readable_bytes = len;
        self.add(scanned);
        Ok((goes_on && !needs_successor).then_some(Active { file, first, len }))
    }

    fn start_segment(&mut self, first: u64) -> Result<Active, JournalError> {
        let path = self.config.dir.join(segment_file_name(first));
        let created = create_segment(&*self.fs, &self.config.dir, first);
        let file = created.map_err(|error| {
            // Best effort: an empty last segment is also what recovery can start from.
            self.fs.remove(&path).ok();
            JournalError::io("create", &path, error)
        })?;
        self.table.push(Segment::empty(first, 0));
        Ok(Active {
            file,
            first,
            len: 0,
        })
    }

    fn add(&mut self, scanned: ScannedSegment) {
        self.report.records += scanned.segment.records;
        self.report.payload_bytes += scanned.payload_bytes;
        self.table.push(scanned.segment);
    }

    fn quarantine(&mut self, scanned: &ScannedSegment) {
        for (offset, end) in &scanned.corrupt {
            self.quarantine_one(scanned, *offset, *end);
        }
    }

    /// What is cut off belonged to records that were acknowledged.
    fn quarantine_cut(&mut self, scanned: &ScannedSegment, end: u64) {
        let offset = scanned.segment.disk_bytes;
        let is_kept = scanned.corrupt.iter().any(|(_, end)| *end > offset);
        if offset < end && !is_kept {
            self.quarantine_one(scanned, offset, end);
        }
    }

    fn quarantine_one(&mut self, scanned: &ScannedSegment, offset: u64, end: u64) {
        let range = CorruptRange {
            first: scanned.segment.first,
            offset,
            end,
        };
        let source = Some(&*scanned.file).filter(|_| !scanned.unreadable);
        let found = quarantine_range(&*self.fs, &self.config.dir, source, range);
        self.table.quarantined_ranges += 1;
        self.table.quarantined_bytes += found.bytes;
        self.report.quarantined.push(found);
    }

    fn warn_of_ignored_files(&self) {
        if !self.report.ignored_files.is_empty() {
            tracing::warn!(files = ?self.report.ignored_files, "files in the journal folder ignored");
        }
    }
}
