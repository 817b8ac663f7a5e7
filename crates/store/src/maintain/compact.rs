//! Merges a run of small files into one.
//!
//! The new file is written and synced, then one commit puts it in the place of its parts. Until then nobody
//! sees it, and a crash leaves an orphan. Rows are kept exactly, apart from `series`, whose rows say the same
//! each time and are kept once a day. A part that cannot be read is set aside, and the others go on.

use std::error::Error as _;
use std::time::{Duration, Instant};

use vervet_model::{Clock as _, SystemClock, UnixNanos};

use super::merge::Merge;
use super::pace::{Cancel, Pace};
use super::plan::{self, Apart, Run, Sizes};
use crate::catalog::{CatalogError, Commit, DataFile};
use crate::segment::{SegmentError, WrittenFile, write_compacted, write_sorted};
use crate::store::Inner;
use crate::tables::Table;
use crate::{Store, StoreError};

/// A day takes part with the present one until it is over for this long: requests are late, clocks wrong.
const DAY_OPEN_AFTER: Duration = Duration::from_secs(3_600);

/// A merge that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    pub table: Table,
    pub day: i32,
    /// Files that were merged into one.
    pub files: u64,
    pub rows: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub took: Duration,
}

impl Store {
    /// Merges the run of files that is due first. `None` when none is due or the work was called off. Blocks.
    ///
    /// # Errors
    /// The merged file could not be written or committed; nothing changed. Try again later.
    pub fn compact(
        &self,
        now: UnixNanos,
        cancel: &Cancel,
    ) -> Result<Option<Compacted>, StoreError> {
        let _one_at_a_time = self.0.upkeep.step.lock();
        if self.0.is_undecided() {
            return Ok(None);
        }
        while let Some(run) = self.0.next_run(now) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            match self.0.merge(&run, cancel) {
                Ok(done) => {
                    self.0.note_debt(now);
                    return Ok(Some(done));
                }
                Err(StoreError::Segment(SegmentError::Cancelled)) => return Ok(None),
                Err(StoreError::Segment(SegmentError::Input { path, source })) => {
                    let cause = source.source().map(|cause| format!(": {cause}"));
                    let reason = format!("{source}{}", cause.unwrap_or_default());
                    let part = run.files.iter().find(|file| *file.path == *path);
                    let Some(part) = part else {
                        return Err(SegmentError::Input { path, source }.into());
                    };
                    let mut memory = self.0.upkeep.memory.lock();
                    memory.set_aside(part.id, &part.path, reason, now);
                }
                // Another commit ended one of the files meanwhile. The next choice is made without it.
                Err(StoreError::Catalog(CatalogError::NotLive { id })) => {
                    tracing::debug!(file = id.0, "files changed while they were merged");
                }
                Err(error) => return Err(error),
            }
        }
        self.0.note_debt(now);
        Ok(None)
    }
}

impl Inner {
    fn sizes(&self) -> Sizes {
        let config = &self.config.upkeep.compaction;
        Sizes {
            file_bytes_min: config.file_bytes_min,
            file_bytes_max: config.file_bytes_max,
            files_min: config.files_min,
            memory_bytes: config.memory_bytes,
        }
    }

    pub(super) fn next_run(&self, now: UnixNanos) -> Option<Run> {
        let skip = self.upkeep.memory.lock().skipped(now);
        let fences = self.upkeep.jobs.lock().fences();
        let apart = Apart { skip, fences };
        plan::next_run(&self.cut().snapshot, open_day(now), &apart, self.sizes())
    }

    fn note_debt(&self, now: UnixNanos) {
        let fences = self.upkeep.jobs.lock().fences();
        let mut memory = self.upkeep.memory.lock();
        let skip = memory.skipped(now);
        let apart = Apart { skip, fences };
        memory.debt = plan::debt(&self.cut().snapshot, open_day(now), &apart, self.sizes());
    }

    fn merge(&self, run: &Run, cancel: &Cancel) -> Result<Compacted, StoreError> {
        let began = Instant::now();
        let mut pace = Pace::new(self.config.upkeep.compaction.bytes_per_second);
        let (table, merged) = self.write_merged(&run.files, &mut pace, cancel)?;
        let compacted = Compacted {
            table,
            day: merged.day,
            files: run.files.len() as u64,
            rows: merged.rows,
            bytes_read: run.files.iter().map(|file| file.bytes).sum(),
            bytes_written: merged.bytes,
            took: began.elapsed(),
        };
        self.replace(&run.files, vec![(table, merged)])?;
        Ok(compacted)
    }

    /// Writes the rows of `files`, which are of one table and day and in order, to one new file.
    pub(super) fn write_merged(
        &self,
        files: &[DataFile],
        pace: &mut Pace,
        cancel: &Cancel,
    ) -> Result<(Table, WrittenFile), StoreError> {
        let Some(first) = files.first() else {
            return Err(StoreError::Invalid {
                reason: "there is nothing to merge".to_owned(),
            });
        };
        let layout = self.cut().snapshot.layout(first.table).clone();
        let rows = Merge::open(&layout, files, pace, cancel)?;
        let folder = self.segments();
        // What is written on a closed day stays as it is. Before that the work would be done several times.
        let mut merged = if first.day < open_day(SystemClock.now()) {
            write_compacted(folder, &layout, first.day, rows)?
        } else {
            write_sorted(folder, &layout, first.day, rows)?
        };
        merged.order = Some(first.order);
        merged.class = first.class.to_string();
        let expected: u64 = files.iter().map(|file| file.rows).sum();
        if first.table != Table::Series && merged.rows != expected {
            self.delete(&[(first.table, merged)]);
            return Err(StoreError::Columns {
                table: first.table.name(),
            });
        }
        Ok((first.table, merged))
    }

    /// Puts new files in the place of live ones.
    pub(super) fn replace(
        &self,
        files: &[DataFile],
        add: Vec<(Table, WrittenFile)>,
    ) -> Result<(), StoreError> {
        let commit = Commit {
            add,
            remove: files.iter().map(|file| file.id).collect(),
            ..Commit::default()
        };
        self.commit_or_delete(&commit)
    }

    /// Commits, and deletes the new files when the commit failed for certain.
    pub(super) fn commit_or_delete(&self, commit: &Commit) -> Result<(), StoreError> {
        match self.commit(commit) {
            Ok(_committed) => Ok(()),
            Err(StoreError::Catalog(error)) => {
                match error.leaves_outcome_open() {
                    true => self.leave_undecided(commit),
                    false => self.delete(&commit.add),
                }
                Err(error.into())
            }
            Err(error) => Err(error),
        }
    }
}

/// The first day that rows still come for.
fn open_day(now: UnixNanos) -> i32 {
    now.saturating_sub(DAY_OPEN_AFTER).day()
}
