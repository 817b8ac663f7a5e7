//! Deletes the rows that a condition names, as a background job that survives a restart.
//!
//! A job begins with a flush, so that every row acknowledged until then is in a file; files that are added
//! later are not its business. It goes through the files of its tables in order, one a step: a file without a
//! match is left, one with matches only is dropped, any other is written again without them. The commit that
//! replaces a file carries the job's progress, so a row is counted once however often the process stops.
//! While a job runs, compaction does not join files that it has passed with files it has not.
//!
//! The bytes are gone from disk when the replaced files are reclaimed.

mod condition;
mod job;
mod rewrite;
#[cfg(test)]
mod tests;

use vervet_model::UnixNanos;

use super::pace::{Cancel, Pace};
use crate::catalog::{Commit, DataFile};
use crate::segment::SegmentError;
use crate::store::Inner;
use crate::{Store, StoreError};
use condition::Prepared;
use rewrite::Outcome;

pub use condition::DeleteWhere;
pub use job::{DeleteJob, DeleteReport, JobState};
pub(crate) use job::{Fence, Jobs};

/// What became of one file of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteStep {
    /// A file was looked through.
    File,
    /// The job is over.
    Finished,
}

impl Store {
    /// Enters a job that deletes every row acknowledged until now for which `condition` holds. Flushes the
    /// head; blocks.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the condition names nothing or makes no sense; else the flush or the
    /// catalog failed, and there is no job.
    pub fn delete_where(
        &self,
        condition: &DeleteWhere,
        now: UnixNanos,
    ) -> Result<DeleteJob, StoreError> {
        condition.check()?;
        self.flush()?;
        let job = self.0.catalog.add_delete_job(condition, now)?;
        self.0.upkeep.jobs.lock().push(job.clone());
        tracing::info!(job = job.id, "deletion of rows entered");
        Ok(job)
    }

    /// All jobs, the oldest first.
    pub fn delete_jobs(&self) -> Vec<DeleteJob> {
        self.0.upkeep.jobs.lock().all().to_vec()
    }

    /// Takes the oldest unfinished job one file further. `None` when there is none or the work was called off.
    /// Blocks.
    ///
    /// # Errors
    /// A file could not be written or committed; nothing changed. Try again later.
    pub fn delete_step(
        &self,
        now: UnixNanos,
        cancel: &Cancel,
    ) -> Result<Option<DeleteStep>, StoreError> {
        let _one_at_a_time = self.0.upkeep.step.lock();
        if self.0.is_undecided() {
            return Ok(None);
        }
        let Some(mut job) = self.0.upkeep.jobs.lock().next() else {
            return Ok(None);
        };
        let Some(file) = self.0.next_file(&job) else {
            job.finish(now);
            self.0.save(&job)?;
            tracing::info!(
                job = job.id,
                rows = job.report.rows_deleted,
                unreadable = job.report.files_unreadable,
                "deletion of rows finished"
            );
            return Ok(Some(DeleteStep::Finished));
        };
        match self.0.visit(&mut job, &file, cancel) {
            Ok(()) => Ok(Some(DeleteStep::File)),
            Err(StoreError::Segment(SegmentError::Cancelled)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Inner {
    /// The first file that the job has not passed and that may hold a match.
    fn next_file(&self, job: &DeleteJob) -> Option<DataFile> {
        let view = self.cut();
        let open = view.snapshot.files.iter().filter(|file| job.is_ahead(file));
        open.min_by_key(|file| (file.table, file.day, file.order))
            .cloned()
    }

    fn visit(
        &self,
        job: &mut DeleteJob,
        file: &DataFile,
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        let mut pace = Pace::new(self.config.upkeep.compaction.bytes_per_second);
        let condition = Prepared::new(&job.condition);
        let layout = self.cut().snapshot.layout(file.table).clone();
        let folder = self.segments();
        let outcome = match rewrite::without(folder, &layout, file, &condition, &mut pace, cancel) {
            Ok(outcome) => outcome,
            Err(SegmentError::Input { path, source }) => {
                tracing::error!(job = job.id, path = %path.display(), %source, "a file cannot be read; rows in it may stay");
                job.pass(file);
                job.report.files_unreadable += 1;
                return self.save(job);
            }
            Err(error) => return Err(error.into()),
        };
        job.pass(file);
        job.report.files_read += 1;
        let (deleted, add) = match outcome {
            Outcome::Untouched => return self.save(job),
            Outcome::All { rows } => (rows, None),
            Outcome::Some { rows, rest } => (rows, Some(rest)),
        };
        job.report.rows_deleted += deleted;
        job.report.bytes_before += file.bytes;
        match &add {
            Some(rest) => {
                job.report.files_rewritten += 1;
                job.report.bytes_after += rest.bytes;
            }
            None => job.report.files_dropped += 1,
        }
        let commit = Commit {
            add: add.into_iter().map(|rest| (file.table, rest)).collect(),
            remove: vec![file.id],
            delete_job: Some(job.clone()),
            ..Commit::default()
        };
        self.commit_or_delete(&commit)?;
        self.note_gone([file]);
        self.upkeep.jobs.lock().put(job);
        Ok(())
    }

    fn save(&self, job: &DeleteJob) -> Result<(), StoreError> {
        self.catalog.save_delete_job(job)?;
        self.upkeep.jobs.lock().put(job);
        Ok(())
    }
}
