//! Why a backup could not be written or read.

use std::path::PathBuf;

use crate::catalog::CatalogError;

/// After any of these the backups that were complete before still are.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written. Retry when the cause is gone.
    #[error("file operation failed on {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The object store failed. Retry; what was copied is not copied again.
    #[error("the object store failed on {name}")]
    Objects {
        name: String,
        #[source]
        source: object_store::Error,
    },
    /// The catalog could not be copied.
    #[error("the catalog could not be copied")]
    Catalog(#[from] CatalogError),
    /// The place of backups makes no sense. Give up.
    #[error("{location:?} is no folder and no s3://bucket/prefix: {reason}")]
    Location { location: String, reason: String },
    /// There is nothing of that name.
    #[error("{name} is not in the backup")]
    Absent { name: String },
    /// What is there is not what was written. Take another backup.
    #[error("{name} is damaged: {reason}")]
    Damaged { name: String, reason: String },
    /// A newer version wrote it. Use that version.
    #[error("{name} has format {found}, this version knows up to {known}")]
    NewerFormat {
        name: String,
        found: u32,
        known: u32,
    },
    /// The backups there are those of another store. Choose another place.
    #[error("the backups there belong to store {found}, not to {expected}")]
    ForeignStore { found: String, expected: String },
}

impl BackupError {
    /// Whether a file was gone when it was to be read.
    pub fn is_missing_file(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}
