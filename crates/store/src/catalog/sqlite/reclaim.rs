//! Forgets old snapshots, and deletes the files that no snapshot shows any more.
//!
//! A file is deleted when it was replaced or dropped before a given moment: a reader that took a snapshot
//! after that moment does not see it. In three steps, so that a crash between any two leaves no row without its file: the rows move to
//! `ducklake_files_scheduled_for_deletion`, the files are deleted, the rows are.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Transaction, params};
use vervet_journal::FileSystem;
use vervet_model::UnixNanos;

use super::super::{CatalogError, stats};
use super::sqlite;

/// A file that nobody can see.
pub(super) struct Scheduled {
    pub(super) id: i64,
    pub(super) path: Arc<Path>,
}

/// Takes the snapshots before the one that was the newest at `before`, and what only they showed, out of the
/// catalog. Returns the number of snapshots.
pub(super) fn expire(
    transaction: &Transaction<'_>,
    before: UnixNanos,
) -> Result<u64, CatalogError> {
    let action = "expire snapshots";
    let expired = transaction
        .execute(
            "DELETE FROM ducklake_snapshot
             WHERE snapshot_id <
                 (SELECT max(snapshot_id) FROM ducklake_snapshot WHERE snapshot_time < ?1)",
            params![stats::snapshot_time(before)],
        )
        .map_err(sqlite(action))?;
    if expired > 0 {
        transaction.execute_batch(UNSEEN).map_err(sqlite(action))?;
    }
    Ok(expired as u64)
}

/// A file is seen from its first snapshot up to, but without, the one that ended it.
const UNSEEN: &str = "
    DELETE FROM ducklake_snapshot_changes
        WHERE snapshot_id NOT IN (SELECT snapshot_id FROM ducklake_snapshot);
    CREATE TEMP TABLE unseen AS
        SELECT data_file_id FROM ducklake_data_file
        WHERE end_snapshot <= (SELECT min(snapshot_id) FROM ducklake_snapshot);
    INSERT INTO ducklake_files_scheduled_for_deletion
        SELECT f.data_file_id, t.path || f.path, 1,
            (SELECT max(snapshot_time) FROM ducklake_snapshot)
        FROM unseen JOIN ducklake_data_file f USING (data_file_id) JOIN ducklake_table t USING (table_id);
    DELETE FROM ducklake_file_column_stats WHERE data_file_id IN (SELECT data_file_id FROM unseen);
    DELETE FROM vervet_file_class WHERE data_file_id IN (SELECT data_file_id FROM unseen);
    DELETE FROM vervet_file_checksum WHERE data_file_id IN (SELECT data_file_id FROM unseen);
    DELETE FROM ducklake_file_partition_value WHERE data_file_id IN (SELECT data_file_id FROM unseen);
    DELETE FROM ducklake_data_file WHERE data_file_id IN (SELECT data_file_id FROM unseen);
    DROP TABLE temp.unseen;";

/// The files to delete, also those that an earlier run did not get to.
pub(super) fn scheduled(
    transaction: &Transaction<'_>,
    data_dir: &Path,
) -> Result<Vec<Scheduled>, CatalogError> {
    let read = || -> Result<Vec<Scheduled>, rusqlite::Error> {
        transaction
            .prepare("SELECT data_file_id, path FROM ducklake_files_scheduled_for_deletion")?
            .query_map([], |row| {
                Ok(Scheduled {
                    id: row.get(0)?,
                    path: data_dir.join(row.get::<_, String>(1)?).into(),
                })
            })?
            .collect()
    };
    read().map_err(sqlite("list the files to delete"))
}

/// Number and bytes of the files that are ended and not scheduled yet.
pub(super) fn ended(transaction: &Transaction<'_>) -> Result<(u64, u64), CatalogError> {
    let (files, bytes): (i64, i64) = transaction
        .query_row(
            "SELECT count(*), coalesce(sum(file_size_bytes), 0) FROM ducklake_data_file
             WHERE end_snapshot IS NOT NULL",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(sqlite("count the replaced files"))?;
    Ok((files.unsigned_abs(), bytes.unsigned_abs()))
}

/// Deletes a file, and its folder when it was the last in it, and returns its length, 0 when it was gone already.
pub(super) fn delete_file(fs: &dyn FileSystem, path: &Path) -> Result<u64, CatalogError> {
    let delete = || -> std::io::Result<u64> {
        let bytes = std::fs::metadata(path)?.len();
        fs.remove(path)?;
        if let Some(folder) = path.parent() {
            // Fails while there are other files of the day.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(bytes)
    };
    match delete() {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(CatalogError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

pub(super) fn forget(
    transaction: &Transaction<'_>,
    deleted: &[Scheduled],
) -> Result<(), CatalogError> {
    for file in deleted {
        transaction
            .prepare("DELETE FROM ducklake_files_scheduled_for_deletion WHERE data_file_id = ?1")
            .and_then(|mut statement| statement.execute([file.id]))
            .map_err(sqlite("forget a deleted file"))?;
    }
    Ok(())
}
