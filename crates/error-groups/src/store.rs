//! The SQLite store of groups, counts and events.
//!
//! ```text
//! position   journal sequence up to which occurrences are counted
//! groups     one row a group, its state and its totals
//! counts     occurrences by (group, minute, version, environment)
//! events     the newest occurrences of each group, in full
//! sightings  the newest 100,000 identities, to count one failure once
//! ```
//! Invariants: a call of `apply` is one transaction together with its position, so a crash or a
//! replay counts nothing twice. An occurrence is either counted or a duplicate of a sighting.
//! A time before `resolved_at` never makes a regression.

use std::path::Path;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use vervet_model::UnixNanos;

use crate::group::{GroupChange, GroupDetail, GroupPage, GroupSummary, ListQuery};
use crate::occurrence::{FIELD_BYTES_MAX, Occurrence, truncated};

mod schema;

mod apply;
mod events;
mod pending;
mod rows;
mod sightings;

mod query;

#[cfg(test)]
mod tests;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ErrorStoreError {
    /// SQLite failed; nothing of the call was stored. Retry when [`Self::is_retryable`].
    #[error("error store: {action}")]
    Sqlite {
        action: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// A stored or new value is no JSON. Give up on the call.
    #[error("error store: column {column} is no valid JSON")]
    Json {
        column: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// The file was written by a newer program. Give up: run that program instead.
    #[error("error store {path} has schema version {found}, this program knows up to {known}")]
    NewerSchema {
        path: String,
        found: i64,
        known: i64,
    },
    /// A journal sequence does not fit 63 bits. Give up: it cannot be stored.
    #[error("journal sequence {sequence} is too large")]
    SequenceTooLarge { sequence: u64 },
    /// There is no such group.
    #[error("no error group {id}")]
    UnknownGroup { id: String },
}

impl ErrorStoreError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        let Self::Sqlite { source, .. } = self else {
            return false;
        };
        matches!(
            source.sqlite_error_code(),
            Some(
                rusqlite::ErrorCode::DatabaseBusy
                    | rusqlite::ErrorCode::DatabaseLocked
                    | rusqlite::ErrorCode::DiskFull
            )
        )
    }
}

type Result<T> = std::result::Result<T, ErrorStoreError>;

/// Names what SQLite was doing when it failed.
fn sqlite(action: &'static str) -> impl FnOnce(rusqlite::Error) -> ErrorStoreError {
    move |source| ErrorStoreError::Sqlite { action, source }
}

/// The limits of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Newest events kept of each group.
    pub events_per_group_max: usize,
    /// Groups of one service; further failures share one overflow group of that service.
    pub groups_per_service_max: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            events_per_group_max: 100,
            groups_per_service_max: 5_000,
        }
    }
}

/// Groups in one SQLite file. Calls block on disk: call from a blocking thread.
pub struct ErrorStore {
    connection: Mutex<Connection>,
    config: StoreConfig,
}

impl ErrorStore {
    /// Opens or creates the store with the default limits.
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, StoreConfig::default())
    }

    /// Opens or creates the store.
    ///
    /// # Errors
    /// [`ErrorStoreError::NewerSchema`] for a file of a newer program; otherwise what SQLite says.
    pub fn open_with(path: impl AsRef<Path>, config: StoreConfig) -> Result<Self> {
        let connection = schema::open(path.as_ref())?;
        Ok(Self {
            connection: Mutex::new(connection),
            config,
        })
    }

    /// The journal sequence up to which occurrences are stored; 0 at first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn applied_sequence(&self) -> Result<u64> {
        apply::applied_sequence(&self.connection.lock())
    }

    /// Counts `occurrences` and moves the position to `journal_sequence`, in one transaction. Groups that begin or come
    /// back with them are noticed at `now`, however old the occurrences are: an agent may have been cut off for hours.
    ///
    /// A sequence at or below the stored one changes nothing and returns no changes, so a replay
    /// counts nothing twice. Sequences begin at 1. A group is named once in the answer, and only
    /// if something was counted.
    ///
    /// # Errors
    /// What SQLite says; nothing is stored then.
    pub fn apply(
        &self,
        occurrences: &[Occurrence],
        journal_sequence: u64,
        now: UnixNanos,
    ) -> Result<Vec<GroupChange>> {
        // Parsing is the larger part of the work and needs no lock.
        let prepared = apply::prepare(occurrences);
        apply::apply(
            &mut self.connection.lock(),
            &self.config,
            &prepared,
            journal_sequence,
            now.to_millis().0,
        )
    }

    /// The groups that match `query`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn list(&self, query: &ListQuery) -> Result<GroupPage> {
        query::list(&self.connection.lock(), query)
    }

    /// One group with its newest `events_max` events, or `None` when there is no such group.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn get(&self, id: &str, events_max: usize) -> Result<Option<GroupDetail>> {
        query::get(&self.connection.lock(), id, events_max)
    }

    /// Groups that were noticed, or whose coming back was noticed, at or after `since`, the newest change first, at
    /// most 1,000.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn recent(&self, since: UnixNanos) -> Result<Vec<GroupSummary>> {
        query::recent(&self.connection.lock(), since.to_millis().0)
    }

    /// Marks a group as fixed at `at`, in `version` if that is known.
    ///
    /// # Errors
    /// [`ErrorStoreError::UnknownGroup`], or what SQLite says.
    pub fn resolve(&self, id: &str, at: UnixNanos, version: Option<&str>) -> Result<()> {
        let version = version.map(|version| truncated(version, FIELD_BYTES_MAX));
        self.change(
            id,
            "UPDATE groups SET state = 1, resolved_at_ms = ?2, resolved_in_version = ?3,
                regressed = 0, regressed_at_ms = NULL, regression_noticed_ms = NULL WHERE id = ?1",
            params![id, at.to_millis().0, version],
        )
    }

    /// Opens a resolved or ignored group again; this is no regression.
    ///
    /// # Errors
    /// [`ErrorStoreError::UnknownGroup`], or what SQLite says.
    pub fn reopen(&self, id: &str) -> Result<()> {
        self.change(
            id,
            "UPDATE groups SET state = 0, resolved_at_ms = NULL, resolved_in_version = NULL
                WHERE id = ?1",
            params![id],
        )
    }

    /// Keeps counting a group without reporting it.
    ///
    /// # Errors
    /// [`ErrorStoreError::UnknownGroup`], or what SQLite says.
    pub fn ignore(&self, id: &str) -> Result<()> {
        self.change(id, "UPDATE groups SET state = 2 WHERE id = ?1", params![id])
    }

    /// Forgets the per-minute counts before `before`; totals of groups stay. Returns the rows
    /// removed.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn prune_counts(&self, before: UnixNanos) -> Result<usize> {
        self.connection
            .lock()
            .execute(
                "DELETE FROM counts WHERE minute < ?1",
                params![rows::minute(before.to_millis().0)],
            )
            .map_err(sqlite("prune counts"))
    }

    fn change(&self, id: &str, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        let changed = self
            .connection
            .lock()
            .execute(sql, values)
            .map_err(sqlite("change a group"))?;
        if changed == 0 {
            return Err(ErrorStoreError::UnknownGroup { id: id.to_owned() });
        }
        Ok(())
    }
}

/// One row or none, with the action named on failure.
fn optional<T>(result: rusqlite::Result<T>, action: &'static str) -> Result<Option<T>> {
    result.optional().map_err(sqlite(action))
}
