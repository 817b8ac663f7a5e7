//! Segmented append-only log: the agent's disk buffer and the collector's write-ahead log.

mod config;
mod error;
mod format;
mod fs;
mod journal;
mod stats;

pub use config::{JournalConfig, OnFull, SyncPolicy};
pub use error::JournalError;
pub use format::RECORD_BYTES_LIMIT;
pub use fs::{FileEntry, FileSystem, JournalFile, OsFileSystem};
pub use journal::{Cursor, Entry, Journal, Listener, Record};
pub use stats::{CursorStats, JournalStats, QuarantinedRange, RecoveryReport};
