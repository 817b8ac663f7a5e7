//! The SQLite store of groups, counts and events.

use std::path::Path;

use crate::group::{GroupChange, GroupDetail, GroupSummary, ListQuery};
use crate::occurrence::Occurrence;
use parking_lot::Mutex;
use rusqlite::Connection;
use vervet_model::UnixNanos;

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
    /// The file was written by a newer program. Give up: run that program instead.
    #[error("error store {path} has schema version {found}, this program knows up to {known}")]
    NewerSchema {
        path: String,
        found: i64,
        known: i64,
    },
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

type Result<T> = std::result::Result<T, ErrorStoreError>;

impl ErrorStore {
    /// Opens or creates the store with the default limits.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, StoreConfig::default())
    }

    /// Opens or creates the store.
    ///
    /// # Errors
    /// [`ErrorStoreError::NewerSchema`] for a file of a newer program; otherwise what SQLite says.
    pub fn open_with(path: impl AsRef<Path>, config: StoreConfig) -> Result<Self> {
        let connection = Connection::open(path).map_err(|source| ErrorStoreError::Sqlite {
            action: "open",
            source,
        })?;
        Ok(Self {
            connection: Mutex::new(connection),
            config,
        })
    }

    /// The journal sequence up to which occurrences are stored; 0 at first.
    pub fn applied_sequence(&self) -> Result<u64> {
        Ok(0)
    }

    /// Counts `occurrences` and moves the position to `journal_sequence`, in one transaction.
    ///
    /// A sequence at or below the stored one changes nothing and returns no changes, so a replay
    /// counts nothing twice. Sequences begin at 1.
    pub fn apply(&self, _occurrences: &[Occurrence], _sequence: u64) -> Result<Vec<GroupChange>> {
        let _ = (&self.connection, &self.config);
        Ok(Vec::new())
    }

    /// The groups that match `query`.
    pub fn list(&self, _query: &ListQuery) -> Result<Vec<GroupSummary>> {
        Ok(Vec::new())
    }

    /// One group with its newest `events_max` events, or `None` when there is no such group.
    pub fn get(&self, _id: &str, _events_max: usize) -> Result<Option<GroupDetail>> {
        Ok(None)
    }

    /// Groups first seen or regressed at or after `since`, newest first.
    pub fn recent(&self, _since: UnixNanos) -> Result<Vec<GroupSummary>> {
        Ok(Vec::new())
    }

    /// Marks a group as fixed at `at`, in `version` if that is known.
    pub fn resolve(&self, id: &str, _at: UnixNanos, _version: Option<&str>) -> Result<()> {
        Err(ErrorStoreError::UnknownGroup { id: id.to_owned() })
    }

    /// Opens a resolved or ignored group again; this is no regression.
    pub fn reopen(&self, id: &str) -> Result<()> {
        Err(ErrorStoreError::UnknownGroup { id: id.to_owned() })
    }

    /// Keeps counting a group without reporting it.
    pub fn ignore(&self, id: &str) -> Result<()> {
        Err(ErrorStoreError::UnknownGroup { id: id.to_owned() })
    }
}
