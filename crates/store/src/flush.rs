//! Moves the head into segments.
//!
//! The active generation is frozen and stays visible while its rows are sorted, written and committed.
//! One swap then replaces it by the snapshot that shows its rows. A frozen generation whose flush failed is
//! the first to be written at the next one.

mod promotion;
mod rows;

pub use promotion::{PromoteConfig, PromoteKey};
#[cfg(feature = "sql")]
pub(crate) use rows::head_batches;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::{CatalogError, Commit, Committed, SnapshotId};
use crate::commit::Committer;
use crate::head::{Generation, View};
use crate::segment::WrittenFile;
use crate::store::Inner;
use crate::tables::{Layouts, PromotedColumn, Table};
use crate::{Store, StoreError};
use promotion::Usage;

/// What a flush wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushReport {
    pub snapshot: SnapshotId,
    /// Everything up to this journal sequence is in segments now.
    pub journal_position: u64,
    /// Rows of all tables.
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
}

/// Guards the one flush at a time.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    /// The columns that the frozen generation is written with, decided once.
    planned: Option<Layouts>,
    /// The commit of the frozen generation, when an earlier one failed in a way that may show after a crash.
    undecided: Option<Prepared>,
    logs: Usage,
    spans: Usage,
}

/// The files of a generation, on disk and not committed.
#[derive(Debug)]
struct Prepared {
    commit: Commit,
    /// The series whose rows are among them, with their day.
    series: HashSet<(u64, i32)>,
}

impl Store {
    /// Writes the rows of the head to segments and commits them; blocks on disk. One runs at a time. `None`
    /// when there was nothing to write.
    ///
    /// # Errors
    /// A segment or the commit failed. The rows stay visible and are tried again at the next call.
    pub fn flush(&self) -> Result<Option<FlushReport>, StoreError> {
        let mut flusher = self.0.flushing.lock();
        let mut report = self.0.show_stored()?;
        if self.0.cut().generations.len() > 1 {
            report = add(report, self.0.finish_frozen(&mut flusher)?);
        }
        if self.0.freeze() {
            report = add(report, self.0.finish_frozen(&mut flusher)?);
        }
        Ok(report)
    }
}

impl Inner {
    /// Puts a new generation in front of the active one. `false` when nothing was applied to it.
    fn freeze(&self) -> bool {
        let _no_apply = self.applying.lock();
        let view = self.cut();
        if view
            .generations
            .last()
            .is_none_or(|active| active.is_empty())
        {
            return false;
        }
        self.swap(|view| {
            let mut generations = view.generations.clone();
            generations.push(Arc::new(Generation::default()));
            View {
                snapshot: Arc::clone(&view.snapshot),
                generations,
            }
        });
        true
    }

    /// Lets go of the generation that an earlier flush committed, when its files could not be shown then.
    fn show_stored(&self) -> Result<Option<FlushReport>, StoreError> {
        let mut committer = self.committer.lock();
        let report = committer.stored_generation;
        self.show_stale(&mut committer)?;
        Ok(report)
    }

    /// Writes and commits the oldest generation, which is frozen, then swaps it for its files.
    fn finish_frozen(&self, flusher: &mut Flusher) -> Result<Option<FlushReport>, StoreError> {
        let view = self.cut();
        let Some(frozen) = view.generations.first() else {
            return Ok(None);
        };
        let retried = flusher.undecided.is_some();
        let prepared = match flusher.undecided.take() {
            Some(prepared) => prepared,
            None => self.prepare(flusher, frozen, &view.snapshot.layouts)?,
        };
        let mut committer = self.committer.lock();
        let committed = match self.commit_generation(&prepared.commit, retried, &mut committer) {
            Ok(committed) => committed,
            Err(error) => {
                // What an earlier try left open stays so. Writing the files again each time would fill the disk.
                match retried || error.leaves_outcome_open() {
                    true => flusher.undecided = Some(prepared),
                    false => self.delete(&prepared.commit.add),
                }
                return Err(error.into());
            }
        };
        let Prepared { commit, series } = prepared;
        let mut index = self.series.write();
        for (id, day) in &series {
            index.mark_stored(*id, *day);
        }
        // Queries that still read this generation ask it, not the index, which series rows are in files.
        let _ = frozen.stored_series.set(series);
        drop(index);
        let snapshot = committed.as_ref().map(|committed| committed.snapshot);
        let report = FlushReport {
            snapshot: snapshot.unwrap_or(view.snapshot.id),
            journal_position: commit.journal_position.unwrap_or_default(),
            rows: commit.add.iter().map(|(_table, file)| file.rows).sum(),
            files: commit.add.len() as u64,
            bytes: commit.add.iter().map(|(_table, file)| file.bytes).sum(),
        };
        flusher.planned = None;
        committer.stored_generation = Some(report);
        self.show(&mut committer, committed.as_ref(), &[])?;
        Ok(Some(report))
    }

    /// Commits a generation's files. `None` in place of what was committed when an earlier try had got through after
    /// all.
    fn commit_generation(
        &self,
        commit: &Commit,
        retried: bool,
        committer: &mut Committer,
    ) -> Result<Option<Committed>, CatalogError> {
        if retried && commit.journal_position <= Some(self.catalog.journal_position()?) {
            return Ok(None);
        }
        let committed = self.catalog.commit(commit)?;
        self.settle(committer);
        Ok(Some(committed))
    }

    /// Writes the files of a generation.
    fn prepare(
        &self,
        flusher: &mut Flusher,
        frozen: &Generation,
        current: &Layouts,
    ) -> Result<Prepared, StoreError> {
        let layouts = self.plan(flusher, frozen, current)?;
        let mut add = Vec::new();
        match self.write_rows(frozen, &layouts, &mut add) {
            Ok(series) => Ok(Prepared {
                commit: covering(frozen, add, layouts.added_since(current)),
                series,
            }),
            Err(error) => {
                self.delete(&add);
                Err(error)
            }
        }
    }

    /// The layouts to write a generation in.
    fn plan(
        &self,
        flusher: &mut Flusher,
        frozen: &Generation,
        current: &Layouts,
    ) -> Result<Layouts, StoreError> {
        if let Some(planned) = &flusher.planned {
            return Ok(planned.clone());
        }
        let mut layouts = current.clone();
        for (table, usage) in [
            (Table::Logs, &mut flusher.logs),
            (Table::Spans, &mut flusher.spans),
        ] {
            let batches = frozen.batches(table);
            let layout = usage.plan(current.get(table), &batches, &self.config.promote)?;
            layouts = layouts.with(layout);
        }
        flusher.planned = Some(layouts.clone());
        Ok(layouts)
    }

    /// Writes all rows of a generation. Returns the series whose rows were among them, with their day.
    fn write_rows(
        &self,
        frozen: &Generation,
        layouts: &Layouts,
        written: &mut Vec<(Table, WrittenFile)>,
    ) -> Result<HashSet<(u64, i32)>, StoreError> {
        let folder = self.segments();
        for table in [Table::Logs, Table::Spans] {
            let classes: Vec<&str> = self.config.upkeep.retention.classes(table).collect();
            let batches = frozen.batches(table);
            rows::write_batches(folder, layouts.get(table), &batches, &classes, written)?;
        }
        let samples = frozen.samples.read();
        let list = rows::sorted_series(&samples, &self.series.read());
        rows::write_samples(folder, &list, written)?;
        rows::write_series(folder, &list, &self.series, written)
    }

    pub(crate) fn segment_path(&self, table: Table, file: &WrittenFile) -> PathBuf {
        self.segments_dir
            .join(table.name())
            .join(&file.relative_path)
    }

    /// Deletes segments that no commit shows. What cannot be deleted is an orphan of the next start.
    pub(crate) fn delete(&self, written: &[(Table, WrittenFile)]) {
        for (table, file) in written {
            let _ = self.fs.remove(&self.segment_path(*table, file));
        }
    }
}

/// The commit of a generation's files, with all that the generation covers.
fn covering(
    frozen: &Generation,
    add: Vec<(Table, WrittenFile)>,
    promote: Vec<(Table, PromotedColumn)>,
) -> Commit {
    let progress = frozen.progress.lock().clone();
    Commit {
        add,
        remove: Vec::new(),
        journal_position: Some(progress.journal_position),
        agent_sequences: progress
            .agent_sequences
            .into_iter()
            .map(|((agent_id, signal), sequence)| (agent_id, signal, sequence))
            .collect(),
        metric_metadata: progress.metadata.into_values().collect(),
        delete_job: None,
        promote,
    }
}

fn add(sum: Option<FlushReport>, report: Option<FlushReport>) -> Option<FlushReport> {
    match (sum, report) {
        (Some(sum), Some(report)) => Some(FlushReport {
            rows: sum.rows + report.rows,
            files: sum.files + report.files,
            bytes: sum.bytes + report.bytes,
            ..report
        }),
        (sum, report) => report.or(sum),
    }
}
