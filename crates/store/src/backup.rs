//! Where backups lie and what they consist of. Taking and restoring one is the collector's part; it knows all that
//! belongs to a data folder.
//!
//! ```text
//! vervet-backup                      which store's backups these are
//! segments/<table>/day=<n>/<uuid>.parquet   segments, which never change: copied once, shared by all backups
//! backups/<id>/...                   what changes: databases, journal, alert state
//! backups/<id>/manifest              names all of it with length and checksum, and is written last
//! ```
//! A backup without a manifest is none. Each object appears whole or not at all. Calls block.

mod error;
mod folder;
mod manifest;
mod objects;
mod repository;
#[cfg(test)]
mod tests;

pub use error::BackupError;
pub use manifest::{BackupFile, DayCount, Manifest};
pub use repository::{Copied, Repository};
