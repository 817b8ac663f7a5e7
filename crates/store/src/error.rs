//! Why the store could not do what it was asked.

use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::CatalogError;
use crate::segment::SegmentError;

/// What failed, and what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The query needs more than it may have. Narrow the time range or the selector.
    #[error("the query needs more than {limit} {what}")]
    QueryTooLarge { what: &'static str, limit: u64 },
    /// The query ran past its deadline. Narrow it, or try again when less is going on.
    #[error("the query did not finish within {} ms", after.as_millis())]
    Timeout { after: Duration },
    /// As many queries run and wait as may. Try again later.
    #[error("too many queries are running and waiting; try again later")]
    Busy,
    /// The query makes no sense. Do not send it again.
    #[error("{reason}")]
    Invalid { reason: String },
    /// A file of the store could not be read or written. Retry.
    #[error("file operation failed on {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The catalog failed.
    #[error("the catalog failed")]
    Catalog(#[from] CatalogError),
    /// A segment could not be written. Its rows stay in memory.
    #[error("a segment could not be written")]
    Segment(#[from] SegmentError),
    /// A segment could not be read.
    #[error("segment {} could not be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The query engine failed.
    #[error("the query engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Columns were not of the type their table has. A fault of this program or a damaged file.
    #[error("columns of {table} are not of the expected type")]
    Columns { table: &'static str },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy | Self::Timeout { .. } | Self::Io { .. } | Self::Read { .. } => true,
            Self::Catalog(error) => error.is_retryable(),
            Self::Segment(error) => error.is_retryable(),
            Self::QueryTooLarge { .. }
            | Self::Invalid { .. }
            | Self::Engine(_)
            | Self::Columns { .. } => false,
        }
    }

    /// Whether the caller asked for something that cannot be answered, as opposed to a fault of the store.
    pub fn is_user_error(&self) -> bool {
        matches!(self, Self::QueryTooLarge { .. } | Self::Invalid { .. })
    }
}
