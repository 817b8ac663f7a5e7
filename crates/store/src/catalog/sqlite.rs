//! The catalog in one SQLite file, `catalog.sqlite`, beside the folder `data` it describes.
//!
//! Write-ahead mode lets readers, DuckDB among them, go on while a commit runs; `synchronous=FULL` makes
//! a commit durable when it returns. A call waits at most 30 s for a lock.
//!
//! Paths of files are relative to `data_path`, the absolute path of the folder `data`: DuckDB takes a
//! relative one from where it runs. Opening a store that was moved or copied corrects it.

mod commit;
mod copy;
mod ducklake_type;
mod inspect;
mod jobs;
mod layout;
mod migrate;
mod promoted;
mod read;
mod reclaim;
mod views;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use vervet_journal::{FileSystem, OsFileSystem};
use vervet_model::{Clock, Signal, SystemClock, UnixNanos};

use super::{
    Catalog, CatalogError, Commit, Committed, FileFilter, MetricMetadata, Reclaimed, Snapshot,
};
use crate::maintain::{DeleteJob, DeleteWhere};
use crate::segment::count_segments;
use crate::tables::Table;

pub use copy::{CatalogCopy, copy_database};
pub use inspect::{CatalogInspector, RecordedFile, RecordedStats, check_database};

/// The catalog's file in the store's folder.
pub const CATALOG_FILE: &str = "catalog.sqlite";
/// The folder of the segments in the store's folder.
pub const DATA_FOLDER: &str = "data";

const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Reading connections kept open for the next caller; more are opened when needed.
const READERS_IDLE_MAX: usize = 8;

/// The catalog of one store folder. Shared by reference: one commit runs at a time, readers do not wait.
pub struct SqliteCatalog {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    /// Deletes segments.
    fs: Arc<dyn FileSystem>,
    writer: Mutex<Connection>,
    idle_readers: Mutex<Vec<Connection>>,
}

impl SqliteCatalog {
    /// Opens the catalog in `dir`, and makes folder and catalog when there are none and no segments either. Absolute
    /// paths that it hands out are without symbolic links.
    ///
    /// # Errors
    /// [`CatalogError::Lost`], [`CatalogError::Malformed`], [`CatalogError::NewerSchema`] and
    /// [`CatalogError::NotACatalog`] leave the file untouched.
    pub fn open(dir: &Path) -> Result<Self, CatalogError> {
        Self::open_with_clock(dir, Arc::new(SystemClock))
    }

    /// As [`SqliteCatalog::open`], with the clock that dates snapshots.
    ///
    /// # Errors
    /// As [`SqliteCatalog::open`].
    pub fn open_with_clock(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, CatalogError> {
        let dir = make_folders(dir)?;
        let path = dir.join(CATALOG_FILE);
        let writer = open_file(&dir, &path, clock.now()).map_err(|error| error.of_file(&path))?;
        sync_folder(&dir)?;
        Ok(Self {
            dir,
            clock,
            fs: Arc::new(OsFileSystem),
            writer: Mutex::new(writer),
            idle_readers: Mutex::default(),
        })
    }

    /// The same, deleting segments by the given file operations.
    #[must_use]
    pub fn with_files(self, fs: Arc<dyn FileSystem>) -> Self {
        Self { fs, ..self }
    }

    /// The folder that segments are written below.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join(DATA_FOLDER)
    }

    /// The catalog's file, for a backup or for a foreign reader.
    pub fn path(&self) -> PathBuf {
        self.dir.join(CATALOG_FILE)
    }

    /// Runs `read` in one read transaction: all it sees belongs to one snapshot.
    fn reading<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let idle = self.idle_readers.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path(), OpenFlags::empty())?,
        };
        let result = {
            let transaction = connection
                .transaction()
                .map_err(sqlite("begin a read transaction"))?;
            read(&transaction).map_err(|error| error.of_file(&self.path()))
        };
        let mut idle = self.idle_readers.lock();
        if idle.len() < READERS_IDLE_MAX {
            idle.push(connection);
        }
        result
    }

    /// Runs `write` in one write transaction, which is rolled back when it fails.
    fn writing<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut connection = self.writer.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite("begin a write transaction"))?;
        let result = write(&transaction)?;
        transaction.commit().map_err(sqlite("commit"))?;
        Ok(result)
    }
}

impl Catalog for SqliteCatalog {
    fn snapshot(&self) -> Result<Snapshot, CatalogError> {
        self.reading(|transaction| read::snapshot(transaction, &self.data_dir()))
    }

    fn files(&self, table: Table, filter: &FileFilter) -> Result<Snapshot, CatalogError> {
        self.reading(|transaction| {
            Ok(Snapshot {
                files: read::files(transaction, &self.data_dir(), table, filter)?,
                id: read::newest_snapshot(transaction)?,
                layouts: promoted::layouts(transaction)?,
            })
        })
    }

    fn commit(&self, commit: &Commit) -> Result<Committed, CatalogError> {
        self.writing(|transaction| {
            commit::apply(transaction, &self.data_dir(), commit, self.clock.now())
        })
    }

    fn journal_position(&self) -> Result<u64, CatalogError> {
        self.reading(read::journal_position)
    }

    fn agent_sequences(&self) -> Result<Vec<(String, Signal, u64)>, CatalogError> {
        self.reading(read::agent_sequences)
    }

    fn metric_metadata(&self) -> Result<Vec<MetricMetadata>, CatalogError> {
        self.reading(read::metric_metadata)
    }

    fn add_delete_job(
        &self,
        condition: &DeleteWhere,
        now: UnixNanos,
    ) -> Result<DeleteJob, CatalogError> {
        self.writing(|transaction| jobs::add(transaction, condition, now))
    }

    fn delete_jobs(&self) -> Result<Vec<DeleteJob>, CatalogError> {
        self.reading(jobs::all)
    }

    fn save_delete_job(&self, job: &DeleteJob) -> Result<(), CatalogError> {
        self.writing(|transaction| jobs::save(transaction, job))
    }

    fn known_files(&self) -> Result<HashSet<PathBuf>, CatalogError> {
        self.reading(|transaction| read::known_files(transaction, &self.data_dir()))
    }

    fn reclaim(
        &self,
        before: UnixNanos,
        held: &HashSet<Arc<Path>>,
    ) -> Result<Reclaimed, CatalogError> {
        let snapshots = self.writing(|transaction| reclaim::expire(transaction, before))?;
        let (scheduled, (waiting_files, waiting_bytes)) = self.reading(|transaction| {
            let scheduled = reclaim::scheduled(transaction, &self.data_dir())?;
            Ok((scheduled, reclaim::ended(transaction)?))
        })?;
        let mut reclaimed = Reclaimed {
            snapshots,
            waiting_files,
            waiting_bytes,
            ..Reclaimed::default()
        };
        let (mut deleted, mut failure) = (Vec::new(), None);
        for file in scheduled {
            if held.contains(&file.path) {
                reclaimed.waiting_files += 1;
                reclaimed.waiting_bytes += std::fs::metadata(&file.path).map_or(0, |m| m.len());
                continue;
            }
            match reclaim::delete_file(&*self.fs, &file.path) {
                Ok(bytes) => {
                    reclaimed.files += 1;
                    reclaimed.bytes += bytes;
                    deleted.push(file);
                }
                Err(error) => failure = Some(error),
            }
        }
        if !deleted.is_empty() {
            self.writing(|transaction| reclaim::forget(transaction, &deleted))?;
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(reclaimed),
        }
    }
}

/// Opens the catalog's file, or makes it where no segments are.
fn open_file(dir: &Path, path: &Path, now: UnixNanos) -> Result<Connection, CatalogError> {
    if !path.exists() {
        refuse_lost(dir, "is missing")?;
    }
    let mut writer = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    if layout::read_version(&writer, path)?.is_none() {
        refuse_lost(dir, "is empty")?;
    }
    layout::prepare(&mut writer, path, now)?;
    layout::set_data_path(&writer, &dir.join(DATA_FOLDER))?;
    Ok(writer)
}

/// Fails when there are segments in the store in `dir`, whose catalog is as `found` says.
pub(crate) fn refuse_lost(dir: &Path, found: &'static str) -> Result<(), CatalogError> {
    match count_segments(&dir.join(DATA_FOLDER)) {
        0 => Ok(()),
        segments => Err(CatalogError::Lost {
            path: dir.join(CATALOG_FILE),
            found,
            segments,
        }),
    }
}

fn connect(path: &Path, more: OpenFlags) -> Result<Connection, CatalogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let open = || -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open().map_err(sqlite("open the catalog"))
}

/// Makes the folder of the store, and returns its absolute path.
fn make_folders(dir: &Path) -> Result<PathBuf, CatalogError> {
    std::fs::create_dir_all(dir.join(DATA_FOLDER))
        .and_then(|()| dir.canonicalize())
        .map_err(|source| CatalogError::Io {
            path: dir.to_owned(),
            source,
        })
}

fn sync_folder(folder: &Path) -> Result<(), CatalogError> {
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| CatalogError::Io {
            path: folder.to_owned(),
            source,
        })
}

/// Names what was tried when SQLite failed.
fn sqlite(action: &'static str) -> impl FnOnce(rusqlite::Error) -> CatalogError {
    move |source| CatalogError::Sqlite { action, source }
}

/// SQLite's integers have 63 bits and a sign.
fn to_i64(what: &'static str, value: u64) -> Result<i64, CatalogError> {
    i64::try_from(value).map_err(|_too_large| CatalogError::OutOfRange { what, value })
}
