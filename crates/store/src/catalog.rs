//! Which files make up each table, at which snapshot: DuckLake 1.0 tables in one SQLite file.
//!
//! In: [`Commit`]s of written and replaced segments, with the journal position they cover. Out: the live
//! [`DataFile`]s of a snapshot, pruned by column statistics.
//!
//! Invariants: a commit is one SQLite transaction, durable when it returns. There is one committer.
//! Readers in any number and process see whole commits only. A replaced file stays in the catalog, ended,
//! until [`Catalog::reclaim`] expires every snapshot that shows it. `ducklake_table_column_stats` stays
//! empty: DuckDB trusts it blindly, so a stale row there hides rows.
//!
//! About 0.6 KB a file. With 20,000 files a commit of ten takes 1 to 4 ms, most of it the sync, and listing
//! all of them 80 ms; so a committer takes [`Snapshot::after`] instead of listing again.

mod sqlite;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vervet_model::{Signal, UnixNanos};

use crate::maintain::{DeleteJob, DeleteWhere};
use crate::segment::WrittenFile;
use crate::tables::{Layout, Layouts, PromotedColumn, Table};

pub(crate) use sqlite::refuse_lost;
pub use sqlite::{
    CATALOG_FILE, CatalogCopy, CatalogInspector, DATA_FOLDER, RecordedFile, RecordedStats,
    SqliteCatalog, check_database, copy_database,
};
pub use stats::{ColumnStats, StatValue};

/// A version of the whole catalog; grows by one with each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SnapshotId(pub i64);

/// A data file's id in the catalog, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub i64);

/// A live Parquet file of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    pub id: FileId,
    pub table: Table,
    /// Its place among the files of its table: what is in a file with a lower one was applied before. A file
    /// that was merged has the place of the earliest of its parts, which are neighbours.
    pub order: i64,
    /// The environment that all rows are of, when the configuration limits it on its own; else empty.
    pub class: Arc<str>,
    /// Absolute path. The store deletes no replaced file while a clone of this one lives, so whoever reads
    /// a file holds its `DataFile`.
    pub path: Arc<Path>,
    /// Days since 1970-01-01 of every row in the file.
    pub day: i32,
    pub rows: u64,
    pub bytes: u64,
    /// Length of the Parquet metadata at the end of the file, without the 8 bytes after it.
    pub footer_bytes: u64,
    /// The earliest and latest `time` in the file, nanoseconds, both inclusive. `None` for `series`.
    pub time_range: Option<(UnixNanos, UnixNanos)>,
}

/// The live files at one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub id: SnapshotId,
    /// The columns of each table. Files from before a column was added lack it.
    pub layouts: Layouts,
    /// By table, day, class and [`DataFile::order`]. Every table's files when none was asked for.
    pub files: Vec<DataFile>,
}

impl Snapshot {
    /// The columns of one table.
    pub fn layout(&self, table: Table) -> &Layout {
        self.layouts.get(table)
    }

    /// The files of one table.
    pub fn table(&self, table: Table) -> impl Iterator<Item = &DataFile> {
        self.files.iter().filter(move |file| file.table == table)
    }

    /// The snapshot that a commit made of this one. `None` when another commit came between the two.
    pub fn after(&self, committed: &Committed, removed: &[FileId]) -> Option<Self> {
        if committed.snapshot == self.id {
            return Some(self.clone());
        }
        if committed.snapshot.0 != self.id.0 + 1 {
            return None;
        }
        let removed: HashSet<FileId> = removed.iter().copied().collect();
        let kept = self.files.iter().filter(|file| !removed.contains(&file.id));
        let mut files: Vec<DataFile> = kept.chain(&committed.added).cloned().collect();
        files.sort_by(|a, b| place(a).cmp(&place(b)));
        Some(Self {
            id: committed.snapshot,
            layouts: committed.layouts.clone().unwrap_or(self.layouts.clone()),
            files,
        })
    }
}

/// Where a file stands among those of a snapshot.
fn place(file: &DataFile) -> (Table, i32, &str, i64) {
    (file.table, file.day, &file.class, file.order)
}

/// What a commit made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The snapshot that shows it; the newest when no file changed.
    pub snapshot: SnapshotId,
    /// The columns of each table, when they changed.
    pub layouts: Option<Layouts>,
    /// The added files, in the order they were given.
    pub added: Vec<DataFile>,
}

/// What a reader asks of a table. Files that cannot hold a matching row are left out; a file that is
/// returned may still hold none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileFilter {
    /// Earliest and latest time, both inclusive. On `series`, whose rows have only a day, whole days.
    pub time: Option<(UnixNanos, UnixNanos)>,
    /// Columns of [`Table::stats_columns`] that must equal one value. Other columns are ignored.
    pub equals: Vec<(&'static str, StatValue)>,
}

/// The last known type, help and unit of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricMetadata {
    pub metric: String,
    pub kind: String,
    pub help: String,
    pub unit: String,
}

/// One atomic change of the catalog.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    pub add: Vec<(Table, WrittenFile)>,
    /// Files replaced or dropped. Each must be live, or the commit fails as a whole.
    pub remove: Vec<FileId>,
    /// Everything before this journal position is in files now. `None` leaves it as it is; it never
    /// goes back.
    pub journal_position: Option<u64>,
    /// Highest sequence stored per agent and signal. A lower one than the recorded is ignored.
    pub agent_sequences: Vec<(String, Signal, u64)>,
    pub metric_metadata: Vec<MetricMetadata>,
    /// How far a deletion has come with this commit.
    pub delete_job: Option<DeleteJob>,
    /// Promoted columns that the added files have and the catalog does not know yet. One that it does know is
    /// left as it is.
    pub promote: Vec<(Table, PromotedColumn)>,
}

/// What [`Catalog::reclaim`] deleted, and what it could not delete yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaimed {
    pub snapshots: u64,
    pub files: u64,
    pub bytes: u64,
    /// Files that were replaced or dropped and are still on disk, for a reader or for the grace.
    pub waiting_files: u64,
    pub waiting_bytes: u64,
}

/// The catalog as the rest of the store sees it. All calls block on disk: use a blocking thread.
pub trait Catalog: Send + Sync + 'static {
    /// The live files of all tables.
    fn snapshot(&self) -> Result<Snapshot, CatalogError>;

    /// The live files of one table that can hold rows which `filter` asks for.
    fn files(&self, table: Table, filter: &FileFilter) -> Result<Snapshot, CatalogError>;

    /// Applies `commit` in one transaction, durable on return.
    ///
    /// On an error the commit is not visible and may be tried again with the same files. Never delete
    /// the files of a commit that failed with [`CatalogError::Sqlite`]: when the sync itself failed, a
    /// crash right after it may bring the commit back. Those that stay are orphans of the next start.
    fn commit(&self, commit: &Commit) -> Result<Committed, CatalogError>;

    /// The journal position of the last commit that set one, 0 before.
    fn journal_position(&self) -> Result<u64, CatalogError>;

    /// The highest stored sequence per agent and signal.
    fn agent_sequences(&self) -> Result<Vec<(String, Signal, u64)>, CatalogError>;

    /// The metadata of all metrics, ordered by metric.
    fn metric_metadata(&self) -> Result<Vec<MetricMetadata>, CatalogError>;

    /// Enters a deletion of rows in all files that there are now.
    fn add_delete_job(
        &self,
        condition: &DeleteWhere,
        now: UnixNanos,
    ) -> Result<DeleteJob, CatalogError>;

    /// All deletions, the oldest first.
    fn delete_jobs(&self) -> Result<Vec<DeleteJob>, CatalogError>;

    /// Records how far a deletion has come.
    fn save_delete_job(&self, job: &DeleteJob) -> Result<(), CatalogError>;

    /// Absolute paths of all files the catalog knows, ended ones too. Any other file is an orphan.
    fn known_files(&self) -> Result<HashSet<PathBuf>, CatalogError>;

    /// Forgets all snapshots that were followed by another one before `before`, and deletes the files that
    /// only they show, but those `held`. `before` must lie further back than the longest query of a reader
    /// that `held` does not know of.
    ///
    /// # Errors
    /// The catalog failed, or a file could not be deleted; the others were.
    fn reclaim(
        &self,
        before: UnixNanos,
        held: &HashSet<Arc<Path>>,
    ) -> Result<Reclaimed, CatalogError>;
}

/// Why the catalog could not be read or written. After any of these readers see what they saw before.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// SQLite failed: a full disk, a lock held longer than the busy timeout, a damaged file. Retry.
    #[error("catalog database failed while it was to {action}")]
    Sqlite {
        action: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// A folder of the store could not be made or a file not deleted.
    #[error("file operation failed on {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A newer version wrote this catalog. Give up: this version would damage it.
    #[error(
        "the catalog {} has schema version {found}, written by a newer version of Vervet; this one knows \
         up to {known}: upgrade, or point data_dir elsewhere",
        path.display()
    )]
    NewerSchema {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    /// There are segments, but no catalog that names them, or one without a single row. Going on would make all of
    /// them unclaimed. Give up; nothing was changed.
    #[error(
        "the catalog {} {found}, but there are {segments} segments beside it whose rows only a catalog can find; \
         the collector does not start on it and has changed nothing. Put the catalog back where it was (with its \
         -wal file), or restore a backup into an empty folder (`vervet-collector restore --to`) and start on that; \
         to begin anew without those rows, move the folder `data` away",
        path.display()
    )]
    Lost {
        path: PathBuf,
        found: &'static str,
        segments: u64,
    },
    /// The file is no database any more. Give up; the segments are whole all the same.
    #[error(
        "the catalog {} is damaged; the collector does not start on it and has changed nothing. Restore a backup into \
         an empty folder (`vervet-collector restore --to`) and start on that, or put a copy of the file back, \
         without the -wal and -shm files beside it",
        path.display()
    )]
    Malformed {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    /// The file holds tables that are not a DuckLake 1.0 catalog of Vervet. Give up.
    #[error("{} is not a catalog of Vervet: {reason}", path.display())]
    NotACatalog { path: PathBuf, reason: &'static str },
    /// A file to be removed is not live: it was replaced before. The commit was made on an old view.
    #[error("file {} cannot be removed, it is not live", id.0)]
    NotLive { id: FileId },
    /// The journal position would go back. The caller mixed up two journals.
    #[error("journal position {given} lies before the committed {committed}")]
    JournalPositionWentBack { given: u64, committed: u64 },
    /// A row of the catalog cannot be what this program wrote. Give up; restore from a backup.
    #[error("catalog row is damaged: {table} {id}: {reason}")]
    Damaged {
        table: &'static str,
        id: i64,
        reason: &'static str,
    },
    /// A number is larger than SQLite's 63 bits.
    #[error("{what} {value} does not fit the catalog")]
    OutOfRange { what: &'static str, value: u64 },
}

impl CatalogError {
    /// Whether a commit that failed with this may still be found after a crash: its sync failed, so what
    /// reached the disk is not known. The files it names must stay.
    pub fn leaves_outcome_open(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DiskFull};
        match self {
            Self::Sqlite { source, .. } => {
                !matches!(source.sqlite_error_code(), Some(DatabaseBusy | DiskFull))
            }
            _ => false,
        }
    }

    /// The same, naming the file when that is what is wrong.
    pub(crate) fn of_file(self, path: &Path) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Sqlite { source, .. }
                if matches!(
                    source.sqlite_error_code(),
                    Some(DatabaseCorrupt | NotADatabase)
                ) =>
            {
                Self::Malformed {
                    path: path.to_owned(),
                    source,
                }
            }
            other => other,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Sqlite { .. } | Self::Io { .. })
    }
}
