//! A consistent copy of a catalog while others write it, for a backup.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction};

use super::inspect::{connect, recorded_files};
use super::{CatalogInspector, read, sqlite};
use crate::catalog::{CatalogError, RecordedFile, SnapshotId};

/// A copy, and what it shows: one snapshot with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogCopy {
    /// Tells stores apart; a restored store keeps it.
    pub store: String,
    pub snapshot: SnapshotId,
    pub journal_position: u64,
    /// All of them are live.
    pub files: Vec<RecordedFile>,
}

/// Older snapshots and the files that only they show are left out.
const NEWEST_ONLY: &str = "
    DELETE FROM ducklake_snapshot
        WHERE snapshot_id < (SELECT max(snapshot_id) FROM ducklake_snapshot);
    DELETE FROM ducklake_snapshot_changes
        WHERE snapshot_id NOT IN (SELECT snapshot_id FROM ducklake_snapshot);
    DELETE FROM ducklake_data_file WHERE end_snapshot IS NOT NULL;
    DELETE FROM ducklake_file_column_stats
        WHERE data_file_id NOT IN (SELECT data_file_id FROM ducklake_data_file);
    DELETE FROM ducklake_file_partition_value
        WHERE data_file_id NOT IN (SELECT data_file_id FROM ducklake_data_file);
    DELETE FROM vervet_file_checksum
        WHERE data_file_id NOT IN (SELECT data_file_id FROM ducklake_data_file);
    DELETE FROM ducklake_files_scheduled_for_deletion;";

impl CatalogInspector {
    /// Copies the newest snapshot's catalog to the new file `to`.
    ///
    /// # Errors
    /// The catalog cannot be read, or the copy not be written.
    pub fn copy_to(&self, to: &Path) -> Result<CatalogCopy, CatalogError> {
        copy_database(&self.path(), to)?;
        let mut copy = Connection::open(to).map_err(sqlite("open the copy of the catalog"))?;
        let action = "reduce the copy of the catalog";
        let transaction = copy.transaction().map_err(sqlite(action))?;
        transaction
            .execute_batch(super::migrate::FILE_CHECKSUMS)
            .and_then(|()| transaction.execute_batch(NEWEST_ONLY))
            .map_err(sqlite(action))?;
        let shown = CatalogCopy {
            store: store_id(&transaction)?,
            snapshot: read::newest_snapshot(&transaction)?,
            journal_position: read::journal_position(&transaction)?,
            files: recorded_files(&transaction, "")?,
        };
        transaction.commit().map_err(sqlite(action))?;
        // What was copied is in another mode, in which readers wait for writers.
        copy.pragma_update(None, "journal_mode", "WAL")
            .map_err(sqlite(action))?;
        copy.close()
            .map_err(|(_connection, source)| CatalogError::Sqlite { action, source })?;
        Ok(shown)
    }

    /// Tells stores apart; a restored store keeps it.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn store_id(&self) -> Result<String, CatalogError> {
        self.reading(store_id)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(super::CATALOG_FILE)
    }
}

fn store_id(transaction: &Transaction<'_>) -> Result<String, CatalogError> {
    transaction
        .query_row(
            "SELECT schema_uuid FROM ducklake_schema ORDER BY schema_id LIMIT 1",
            [],
            |row| row.get(0),
        )
        .map_err(sqlite("read the id of the store"))
}

/// Copies one committed state of any SQLite database to the new file `to`, beside whoever uses it.
///
/// # Errors
/// The database cannot be read, or the copy not be written.
pub fn copy_database(from: &Path, to: &Path) -> Result<(), CatalogError> {
    let target = to.to_str().ok_or_else(|| CatalogError::Io {
        path: to.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path must be UTF-8"),
    })?;
    connect(from)?
        .execute("VACUUM INTO ?1", [target])
        .map(|_rows| ())
        .map_err(sqlite("copy a database"))
}
