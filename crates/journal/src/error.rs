//! What can go wrong with a journal, and what each failure means for the caller.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of the journal. Causes are shared because one failed sync answers many appenders.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk budget is used up and no cursor lets go of the oldest segment. Nothing was
    /// written. Retry after a consumer has committed.
    #[error(
        "journal is full: {disk_bytes} bytes held, {needed_bytes} more asked, budget {disk_bytes_max}"
    )]
    Full {
        /// Bytes the append would have added.
        needed_bytes: u64,
        /// Bytes of all segments now.
        disk_bytes: u64,
        /// The configured budget.
        disk_bytes_max: u64,
    },
    /// The volume has no room (ENOSPC or quota). The file was cut back and nothing of the append
    /// remains. Retry when there is room.
    #[error("no space left on the volume at {}", path.display())]
    NoSpace {
        /// The file being written.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// Any other failure of a file operation. Nothing of the failed call is visible.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was attempted, such as `read`.
        operation: &'static str,
        /// The file or folder concerned.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// A sync or a cut-back failed earlier, so what is on disk is unknown. Appends are refused
    /// until the journal is opened again; reading durable records still works.
    #[error("journal refuses appends after a failed sync of {}", path.display())]
    Poisoned {
        /// The segment whose sync failed.
        path: PathBuf,
        /// The first failure.
        #[source]
        source: Arc<io::Error>,
    },
    /// A record or an append can never fit. Do not retry.
    #[error("{what} of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// `record`, `append` or `cursor state`.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit it broke.
        bytes_max: u64,
    },
    /// An append without entries. Do not retry.
    #[error("an append needs at least one entry")]
    EmptyAppend,
    /// Another process, or another `Journal` in this one, has the folder open.
    #[error("the lock file {} is held by {}", path.display(), holder_text(*holder))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if the system tells.
        holder: Option<u32>,
    },
    /// A file was written by a newer version of this program. It is left untouched.
    #[error("{} has format version {version}, this program reads up to {version_max}", path.display())]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version found in it.
        version: u32,
        /// The highest version this program reads.
        version_max: u32,
    },
    /// The configuration cannot work.
    #[error("journal setting {field} is invalid: {reason}")]
    InvalidConfig {
        /// The field of `JournalConfig`.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A cursor name outside `[a-z0-9_-]{1,64}`.
    #[error("invalid cursor name {name:?}: use 1 to 64 of a-z, 0-9, _ and -")]
    CursorName {
        /// The name given.
        name: String,
    },
    /// The cursor is already open in this process; a cursor has one consumer.
    #[error("cursor {name:?} is already open")]
    CursorInUse {
        /// The cursor.
        name: String,
    },
    /// A commit before the committed sequence or after the last durable one. Do not retry.
    #[error("cannot commit {through}: committed {committed}, last durable {last_sequence}")]
    CommitOutOfRange {
        /// The sequence asked for.
        through: u64,
        /// The cursor's committed sequence.
        committed: u64,
        /// The journal's last durable sequence.
        last_sequence: u64,
    },
}

fn holder_text(holder: Option<u32>) -> String {
    match holder {
        Some(pid) => format!("process {pid}, which has the folder in use"),
        None => "another process, which has the folder in use".to_owned(),
    }
}

impl JournalError {
    /// Whether the same call may succeed later without anyone reopening the journal.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::NoSpace { .. })
    }

    /// Wraps an I/O failure; a full volume becomes its own variant.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        let source = Arc::new(source);
        if full {
            Self::NoSpace { path, source }
        } else {
            Self::Io {
                operation,
                path,
                source,
            }
        }
    }
}
