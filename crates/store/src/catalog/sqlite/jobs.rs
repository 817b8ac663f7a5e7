//! Deletions of rows, with their progress.

use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};
use vervet_model::UnixNanos;

use super::super::CatalogError;
use super::{read, sqlite};
use crate::maintain::{DeleteJob, DeleteReport, DeleteWhere, JobState};

/// What changes of a job.
#[derive(Serialize, Deserialize)]
struct Progress {
    state: JobState,
    passed: Option<(i64, i32, i64)>,
    report: DeleteReport,
}

/// Enters a job about all files that have an id now.
pub(super) fn add(
    transaction: &Transaction<'_>,
    condition: &DeleteWhere,
    now: UnixNanos,
) -> Result<DeleteJob, CatalogError> {
    let action = "enter a deletion";
    let newest = read::newest_snapshot(transaction)?;
    let until_order: i64 = transaction
        .query_row(
            "SELECT next_file_id FROM ducklake_snapshot WHERE snapshot_id = ?1",
            [newest.0],
            |row| row.get(0),
        )
        .map_err(sqlite(action))?;
    let mut job = DeleteJob {
        id: 0,
        condition: condition.clone(),
        until_order,
        created: now,
        state: JobState::Running,
        passed: None,
        report: DeleteReport::default(),
    };
    job.id = transaction
        .query_row(
            "INSERT INTO vervet_delete_job (created_unix_nano, until_order, condition, progress)
             VALUES (?1, ?2, ?3, ?4) RETURNING id",
            params![now.0, until_order, text(&job.condition)?, progress(&job)?],
            |row| row.get(0),
        )
        .map_err(sqlite(action))?;
    Ok(job)
}

pub(super) fn save(transaction: &Transaction<'_>, job: &DeleteJob) -> Result<(), CatalogError> {
    transaction
        .execute(
            "UPDATE vervet_delete_job SET progress = ?2 WHERE id = ?1",
            params![job.id, progress(job)?],
        )
        .map_err(sqlite("write the progress of a deletion"))?;
    Ok(())
}

pub(super) fn all(transaction: &Transaction<'_>) -> Result<Vec<DeleteJob>, CatalogError> {
    let action = "list the deletions";
    let mut statement = transaction
        .prepare(
            "SELECT id, created_unix_nano, until_order, condition, progress
             FROM vervet_delete_job ORDER BY id",
        )
        .map_err(sqlite(action))?;
    let rows = statement
        .query_map([], |row| {
            let texts: (String, String) = (row.get(3)?, row.get(4)?);
            Ok((ids(row)?, texts))
        })
        .map_err(sqlite(action))?;
    rows.map(|row| {
        let ((id, created, until_order), (condition, progress)) = row.map_err(sqlite(action))?;
        let damaged = |reason| CatalogError::Damaged {
            table: "vervet_delete_job",
            id,
            reason,
        };
        let condition = serde_json::from_str(&condition)
            .map_err(|_error| damaged("the condition is not readable"))?;
        let progress: Progress = serde_json::from_str(&progress)
            .map_err(|_error| damaged("the progress is not readable"))?;
        Ok(DeleteJob {
            id,
            condition,
            until_order,
            created: UnixNanos(created),
            state: progress.state,
            passed: progress.passed,
            report: progress.report,
        })
    })
    .collect()
}

fn ids(row: &Row<'_>) -> Result<(i64, i64, i64), rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn progress(job: &DeleteJob) -> Result<String, CatalogError> {
    text(&Progress {
        state: job.state,
        passed: job.passed,
        report: job.report,
    })
}

fn text(value: &impl Serialize) -> Result<String, CatalogError> {
    serde_json::to_string(value).map_err(|_error| CatalogError::Damaged {
        table: "vervet_delete_job",
        id: 0,
        reason: "it cannot be written as JSON",
    })
}
