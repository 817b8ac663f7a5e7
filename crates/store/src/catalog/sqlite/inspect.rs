//! A look at a catalog that changes nothing, for use beside a running collector.
//!
//! In: a store's folder. Out: the files the catalog names, and whether what it says fits together. Each call reads
//! in a transaction of its own, so two calls may see two snapshots.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction};

use super::{BUSY_TIMEOUT, CATALOG_FILE, DATA_FOLDER, layout, read, refuse_lost, sqlite};
use crate::catalog::{CatalogError, FileId, Snapshot, SnapshotId};
use crate::segment::Checksum;
use crate::tables::Table;

/// Lines that one rule contributes at most, when a catalog breaks it everywhere.
const COMPLAINTS_PER_RULE_MAX: u32 = 100;

/// A catalog, opened for reading only.
pub struct CatalogInspector {
    pub(super) dir: PathBuf,
    connection: Mutex<Connection>,
}

/// What the catalog says of a file, live or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFile {
    pub id: FileId,
    pub table: String,
    /// Below the folder of segments: `logs/day=1/x.parquet`.
    pub relative_path: String,
    /// Whether the newest snapshot shows it.
    pub is_live: bool,
    /// As written; `None` when the catalog has no day for it.
    pub day: Option<i32>,
    pub rows: i64,
    pub bytes: i64,
    pub footer_bytes: i64,
    /// `None` for a file that another program wrote.
    pub checksum: Option<Checksum>,
}

/// What the catalog says of one column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedStats {
    pub column_id: i64,
    pub values: i64,
    pub nulls: i64,
    pub min: Option<String>,
    pub max: Option<String>,
}

impl CatalogInspector {
    /// Opens the catalog in `dir`.
    ///
    /// # Errors
    /// There is none, it is none of Vervet's, or a newer version wrote it.
    pub fn open(dir: &Path) -> Result<Self, CatalogError> {
        let io = |source| CatalogError::Io {
            path: dir.join(CATALOG_FILE),
            source,
        };
        let dir = dir.canonicalize().map_err(io)?;
        let path = dir.join(CATALOG_FILE);
        if !path.exists() {
            refuse_lost(&dir, "is missing")?;
        }
        std::fs::metadata(&path).map_err(io)?;
        let connection = connect(&path)?;
        let version = layout::read_version(&connection, &path);
        if version.map_err(|error| error.of_file(&path))?.is_none() {
            refuse_lost(&dir, "is empty")?;
            return Err(CatalogError::NotACatalog {
                path,
                reason: "it is empty",
            });
        }
        Ok(Self {
            dir,
            connection: Mutex::new(connection),
        })
    }

    /// The folder of the segments.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join(DATA_FOLDER)
    }

    /// All files, ended ones that are not deleted yet too, by table and id.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn files(&self) -> Result<Vec<RecordedFile>, CatalogError> {
        self.reading(|transaction| recorded_files(transaction, ""))
    }

    /// Whether the newest snapshot shows the file.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn is_live(&self, id: FileId) -> Result<bool, CatalogError> {
        self.reading(|transaction| {
            transaction
                .query_row(
                    "SELECT 1 FROM ducklake_data_file WHERE data_file_id = ?1 AND end_snapshot IS NULL",
                    [id.0],
                    |_row| Ok(()),
                )
                .optional()
                .map(|found| found.is_some())
                .map_err(sqlite("look for a file"))
        })
    }

    /// The statistics of one file.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn stats(&self, id: FileId) -> Result<Vec<RecordedStats>, CatalogError> {
        self.reading(|transaction| {
            let read = || -> Result<Vec<RecordedStats>, rusqlite::Error> {
                transaction
                    .prepare_cached(
                        "SELECT column_id, value_count, null_count, min_value, max_value
                         FROM ducklake_file_column_stats WHERE data_file_id = ?1",
                    )?
                    .query_map([id.0], |row| {
                        Ok(RecordedStats {
                            column_id: row.get(0)?,
                            values: row.get(1)?,
                            nulls: row.get(2)?,
                            min: row.get(3)?,
                            max: row.get(4)?,
                        })
                    })?
                    .collect()
            };
            read().map_err(sqlite("read the statistics of a file"))
        })
    }

    /// Absolute paths of all files that the catalog knows.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn known_files(&self) -> Result<HashSet<PathBuf>, CatalogError> {
        self.reading(|transaction| read::known_files(transaction, &self.data_dir()))
    }

    /// Everything before this journal position is in files.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn journal_position(&self) -> Result<u64, CatalogError> {
        self.reading(read::journal_position)
    }

    /// The newest snapshot's number.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn newest_snapshot(&self) -> Result<SnapshotId, CatalogError> {
        self.reading(read::newest_snapshot)
    }

    /// The live files of all tables.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, CatalogError> {
        self.reading(|transaction| read::snapshot(transaction, &self.data_dir()))
    }

    /// What is wrong with the database, and what its rows say that cannot all be true. Empty when all is well.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn complaints(&self) -> Result<Vec<String>, CatalogError> {
        let connection = self.connection.lock();
        let mut complaints = integrity(&connection)
            .map_err(sqlite("check the database"))
            .map_err(|error| error.of_file(&self.dir.join(CATALOG_FILE)))?;
        if complaints.is_empty() {
            for rule in RULES {
                complaints.extend(broken(&connection, rule).map_err(sqlite("check the catalog"))?);
            }
        }
        Ok(complaints)
    }

    pub(super) fn reading<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut connection = self.connection.lock();
        let transaction = connection
            .transaction()
            .map_err(sqlite("begin a read transaction"))?;
        read(&transaction).map_err(|error| error.of_file(&self.dir.join(CATALOG_FILE)))
    }
}

/// Runs SQLite's own check over any of its files, beside whoever uses it.
///
/// # Errors
/// The file cannot be opened or read.
pub fn check_database(path: &Path) -> Result<Vec<String>, CatalogError> {
    let connection = connect(path)?;
    integrity(&connection).map_err(sqlite("check the database"))
}

pub(super) fn connect(path: &Path) -> Result<Connection, CatalogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(connection)
    };
    open().map_err(sqlite("open a database for reading"))
}

/// The files for which `condition` holds, all when it is empty.
pub(super) fn recorded_files(
    transaction: &Transaction<'_>,
    condition: &str,
) -> Result<Vec<RecordedFile>, CatalogError> {
    let read = || -> Result<Vec<RecordedFile>, rusqlite::Error> {
        let (checksum, join) = match transaction.table_exists(None, "vervet_file_checksum")? {
            true => (
                "c.xxh3_128",
                "LEFT JOIN vervet_file_checksum c ON c.data_file_id = f.data_file_id",
            ),
            false => ("NULL", ""),
        };
        transaction
            .prepare(&format!(
                "SELECT f.data_file_id, t.table_name, t.path || f.path, f.end_snapshot IS NULL,
                        (SELECT CAST(p.partition_value AS INTEGER) FROM ducklake_file_partition_value p
                         WHERE p.data_file_id = f.data_file_id),
                        f.record_count, f.file_size_bytes, f.footer_size, {checksum}
                 FROM ducklake_data_file f JOIN ducklake_table t USING (table_id) {join} {condition}
                 ORDER BY f.table_id, f.data_file_id"
            ))?
            .query_map([], recorded_file)?
            .collect()
    };
    read().map_err(sqlite("list all files"))
}

fn recorded_file(row: &Row<'_>) -> Result<RecordedFile, rusqlite::Error> {
    let checksum: Option<String> = row.get(8)?;
    let table: String = row.get(1)?;
    Ok(RecordedFile {
        id: FileId(row.get(0)?),
        table: Table::from_catalog_name(&table).map_or(table, |table| table.name().to_owned()),
        relative_path: row.get(2)?,
        is_live: row.get(3)?,
        day: row.get(4)?,
        rows: row.get(5)?,
        bytes: row.get(6)?,
        footer_bytes: row.get(7)?,
        checksum: checksum.as_deref().and_then(Checksum::parse),
    })
}

impl RecordedFile {
    /// `None` for a table that this version does not know.
    pub fn known_table(&self) -> Option<Table> {
        Table::from_name(&self.table)
    }
}

fn integrity(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let lines: Vec<String> = connection
        .prepare("PRAGMA integrity_check")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(match lines.as_slice() {
        [only] if only == "ok" => Vec::new(),
        _ => lines,
    })
}

fn broken(connection: &Connection, rule: &str) -> Result<Vec<String>, rusqlite::Error> {
    connection
        .prepare(&format!("{rule} LIMIT {COMPLAINTS_PER_RULE_MAX}"))?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Each gives a line per violation.
const RULES: [&str; 11] = [
    "SELECT 'table ' || t.table_name || ' is said to hold ' || s.record_count || ' rows in '
            || s.file_size_bytes || ' bytes; its files hold ' || x.\"rows\" || ' in ' || x.bytes
     FROM ducklake_table_stats s JOIN ducklake_table t USING (table_id) JOIN (
         SELECT t.table_id, coalesce(sum(f.record_count), 0) AS \"rows\",
                coalesce(sum(f.file_size_bytes), 0) AS bytes
         FROM ducklake_table t
         LEFT JOIN ducklake_data_file f ON f.table_id = t.table_id AND f.end_snapshot IS NULL
         GROUP BY t.table_id) x USING (table_id)
     WHERE s.record_count <> x.\"rows\" OR s.file_size_bytes <> x.bytes",
    "SELECT 'file ' || f.data_file_id || ' has row ids that would be given again'
     FROM ducklake_data_file f JOIN ducklake_table_stats s USING (table_id)
     WHERE f.row_id_start + f.record_count > s.next_row_id",
    "SELECT 'file ' || data_file_id || ' has an id that would be given again' FROM ducklake_data_file
     WHERE data_file_id >=
         (SELECT next_file_id FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1)",
    "SELECT 'file ' || f.data_file_id || ' belongs to ' || count(p.data_file_id) || ' days'
     FROM ducklake_data_file f LEFT JOIN ducklake_file_partition_value p USING (data_file_id)
     GROUP BY f.data_file_id HAVING count(p.data_file_id) <> 1",
    "SELECT 'file ' || data_file_id || ' lives from snapshot ' || begin_snapshot || ' to '
            || coalesce(end_snapshot, 'now')
     FROM ducklake_data_file
     WHERE begin_snapshot > (SELECT max(snapshot_id) FROM ducklake_snapshot)
         OR end_snapshot <= begin_snapshot
         OR end_snapshot > (SELECT max(snapshot_id) FROM ducklake_snapshot)",
    "SELECT 'path ' || path || ' stands for ' || count(*) || ' files of table ' || table_id
     FROM ducklake_data_file GROUP BY table_id, path HAVING count(*) > 1",
    "SELECT 'file ' || data_file_id || ' is of table ' || table_id || ', which is not there'
     FROM ducklake_data_file WHERE table_id NOT IN (SELECT table_id FROM ducklake_table)",
    "SELECT DISTINCT 'there are statistics of file ' || data_file_id || ', which is not there'
     FROM ducklake_file_column_stats
     WHERE data_file_id NOT IN (SELECT data_file_id FROM ducklake_data_file)",
    "SELECT DISTINCT 'there is a day of file ' || data_file_id || ', which is not there'
     FROM ducklake_file_partition_value
     WHERE data_file_id NOT IN (SELECT data_file_id FROM ducklake_data_file)",
    "SELECT DISTINCT 'table ' || table_id || ' has bounds, which foreign readers trust when they are stale'
     FROM ducklake_table_column_stats",
    "SELECT 'there are ' || count(*) || ' journal positions' FROM vervet_journal_position
     HAVING count(*) <> 1",
];
