//! What there is to do and what is left alone.

use std::path::Path;
use std::sync::Arc;

use vervet_model::UnixNanos;

use super::{Debt, JobState};
use crate::Store;
use crate::catalog::Snapshot;
use crate::tables::Table;

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub path: Arc<Path>,
    pub reason: String,
    /// When it was last tried.
    pub since: UnixNanos,
}

/// The state of the upkeep, as of its last steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpkeepStatus {
    /// What compaction is to merge.
    pub debt: Debt,
    /// Files that were replaced or dropped and are not deleted yet.
    pub waiting_files: u64,
    pub waiting_bytes: u64,
    /// Files that compaction leaves alone because it cannot read them.
    pub set_aside: Vec<SetAside>,
    /// Deletions that are not finished.
    pub deletions_running: u64,
    /// Rows that all deletions on record took out.
    pub deleted_rows: u64,
    /// When the last round of steps ended, and how it failed if it did.
    pub last_run: Option<UnixNanos>,
    pub last_error: Option<String>,
    /// The earliest time that each table has in files.
    pub oldest: Vec<(Table, UnixNanos)>,
}

impl Store {
    /// What the upkeep has found.
    pub fn upkeep_status(&self) -> UpkeepStatus {
        let (deletions_running, deleted_rows) = {
            let jobs = self.0.upkeep.jobs.lock();
            let running = jobs
                .all()
                .iter()
                .filter(|job| job.state == JobState::Running);
            let rows = jobs.all().iter().map(|job| job.report.rows_deleted).sum();
            (running.count() as u64, rows)
        };
        let oldest = oldest(&self.0.cut().snapshot);
        let memory = self.0.upkeep.memory.lock();
        UpkeepStatus {
            debt: memory.debt,
            waiting_files: memory.waiting.waiting_files,
            waiting_bytes: memory.waiting.waiting_bytes,
            set_aside: memory.set_aside.values().cloned().collect(),
            deletions_running,
            deleted_rows,
            last_run: memory.last_run,
            last_error: memory.last_error.clone(),
            oldest,
        }
    }

    /// Notes that a round of steps ended, for the status.
    pub fn note_upkeep(&self, now: UnixNanos, failure: Option<String>) {
        let mut memory = self.0.upkeep.memory.lock();
        memory.last_run = Some(now);
        memory.last_error = failure;
    }
}

fn oldest(snapshot: &Snapshot) -> Vec<(Table, UnixNanos)> {
    let first = |table| {
        let times = snapshot
            .table(table)
            .filter_map(|file| Some(file.time_range?.0));
        times.min().map(|first| (table, first))
    };
    Table::ALL.into_iter().filter_map(first).collect()
}
