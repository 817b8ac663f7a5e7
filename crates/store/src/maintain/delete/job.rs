//! A deletion on its way: where it stands and what it has done.

use serde::{Deserialize, Serialize};
use vervet_model::UnixNanos;

use super::DeleteWhere;
use crate::catalog::DataFile;
use crate::tables::Table;

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteJob {
    pub id: i64,
    pub condition: DeleteWhere,
    /// Files of a lower [`DataFile::order`] are looked through.
    pub until_order: i64,
    pub created: UnixNanos,
    pub state: JobState,
    /// The last file that was looked through: table id, day and order.
    pub passed: Option<(i64, i32, i64)>,
    pub report: DeleteReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Running,
    /// Every row is deleted.
    Finished {
        at_unix_nano: i64,
    },
    /// Some files could not be read. Rows in them may be left.
    Incomplete {
        at_unix_nano: i64,
    },
}

/// What a deletion did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteReport {
    pub rows_deleted: u64,
    pub files_read: u64,
    /// Files written again without some of their rows.
    pub files_rewritten: u64,
    /// Files that held nothing else.
    pub files_dropped: u64,
    pub files_unreadable: u64,
    /// Bytes of the files that were rewritten or dropped.
    pub bytes_before: u64,
    /// Bytes of the files in their place.
    pub bytes_after: u64,
}

impl DeleteJob {
    pub(super) fn is_ahead(&self, file: &DataFile) -> bool {
        self.condition.tables().contains(&file.table)
            && file.order < self.until_order
            && self.passed.is_none_or(|passed| passed < place(file))
            && self.condition.may_hold(file)
    }

    pub(super) fn pass(&mut self, file: &DataFile) {
        self.passed = Some(place(file));
    }

    pub(super) fn finish(&mut self, now: UnixNanos) {
        let at_unix_nano = now.0;
        self.state = match self.report.files_unreadable {
            0 => JobState::Finished { at_unix_nano },
            _ => JobState::Incomplete { at_unix_nano },
        };
    }
}

fn place(file: &DataFile) -> (i64, i32, i64) {
    (file.table.id(), file.day, file.order)
}

/// All deletions.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Vec<DeleteJob>);

impl Jobs {
    pub(crate) fn new(jobs: Vec<DeleteJob>) -> Self {
        Self(jobs)
    }

    pub(super) fn push(&mut self, job: DeleteJob) {
        self.0.push(job);
    }

    pub(crate) fn all(&self) -> &[DeleteJob] {
        &self.0
    }

    pub(super) fn next(&self) -> Option<DeleteJob> {
        self.running().next().cloned()
    }

    pub(super) fn put(&mut self, job: &DeleteJob) {
        if let Some(known) = self.0.iter_mut().find(|known| known.id == job.id) {
            known.clone_from(job);
        }
    }

    fn running(&self) -> impl Iterator<Item = &DeleteJob> {
        self.0.iter().filter(|job| job.state == JobState::Running)
    }

    /// What must not be joined for the sake of the jobs that run.
    pub(crate) fn fences(&self) -> Vec<Fence> {
        self.running()
            .map(|job| Fence {
                tables: job.condition.tables(),
                until_order: job.until_order,
                passed: job.passed,
            })
            .collect()
    }
}

/// Parts the files of a job into those it has passed, those ahead of it and those it does not touch.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    tables: Vec<Table>,
    until_order: i64,
    passed: Option<(i64, i32, i64)>,
}

impl Fence {
    /// Whether two files may become one.
    pub(crate) fn joins(&self, a: &DataFile, b: &DataFile) -> bool {
        !self.tables.contains(&a.table) || self.side(a) == self.side(b)
    }

    fn side(&self, file: &DataFile) -> (bool, bool) {
        let passed = self.passed.is_some_and(|passed| place(file) <= passed);
        (file.order < self.until_order, passed)
    }
}
