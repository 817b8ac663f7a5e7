//! Why a segment could not be written.

use std::path::PathBuf;

/// After any of these no commit knows the file; its bytes are deleted now or as an orphan at the next start.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A file or folder could not be written or synced: mostly a full disk. Keep the rows and retry.
    #[error("file operation failed on {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The Parquet writer failed. Retry if the cause is the disk.
    #[error("parquet segment {} could not be written", path.display())]
    Parquet {
        path: PathBuf,
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// Rows could not be sorted, split or measured. Give up: the batch is malformed.
    #[error("batch of {table} could not be processed")]
    Arrow {
        table: &'static str,
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A batch has another schema than its table. A mistake of the caller.
    #[error("batch does not have the schema of table {table}")]
    Schema { table: &'static str },
    /// A row belongs to another day than its segment. A mistake of the caller.
    #[error("segment of {table} for day {expected} was given a row of day {found}")]
    Day {
        table: &'static str,
        expected: i32,
        found: i32,
    },
    /// Rows that were said to be sorted are not. A mistake of the caller.
    #[error("segment of {table} was given rows out of order")]
    Unsorted { table: &'static str },
    /// A segment whose rows were to be written again could not be read: it is damaged or gone.
    #[error("segment {} could not be read", path.display())]
    Input {
        path: PathBuf,
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The work was called off. Nothing is wrong.
    #[error("the work was called off")]
    Cancelled,
    /// There was no row. An empty segment is never written.
    #[error("segment of {table} has no rows")]
    Empty { table: &'static str },
}

impl SegmentError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Parquet { .. })
    }
}
