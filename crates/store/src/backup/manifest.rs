//! What makes a backup one: a list of its files with their checksums.
//!
//! ```text
//! xxh3-128 <32 hexadecimal digits, of all that follows the line feed>
//! {"format": 1, ...}
//! ```

use serde::{Deserialize, Serialize};
use vervet_model::UnixNanos;

use super::BackupError;
use crate::segment::Checksum;

/// The version that is written, and the highest that is read.
pub(super) const FORMAT: u32 = 1;
/// A manifest of 50,000 files has about 10 MB.
pub(super) const MANIFEST_BYTES_MAX: usize = 256 << 20;
const PREFIX: &str = "xxh3-128 ";

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Sorts by time.
    pub id: String,
    /// The store it was taken of.
    pub store: String,
    /// The moment that it shows: all that was acknowledged before is in it.
    pub taken_unix_nano: i64,
    /// The version of the program that took it.
    pub version: String,
    pub snapshot: i64,
    /// The segments hold everything up to here, the journal what comes after.
    pub journal_position: u64,
    pub journal_last_sequence: u64,
    /// Rows in segments.
    pub counts: Vec<DayCount>,
    pub files: Vec<BackupFile>,
    /// Segments that were damaged already, so that they could not be copied.
    #[serde(default)]
    pub damaged: Vec<String>,
    /// Bytes that were copied for it; the rest was there.
    pub copied_bytes: u64,
}

/// Rows of one table and day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DayCount {
    pub table: String,
    /// Days since 1970-01-01.
    pub day: i32,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// In the data folder.
    pub path: String,
    /// Among the backups.
    pub object: String,
    pub bytes: u64,
    /// XXH3 with 128 bits, in hexadecimal.
    pub xxh3_128: String,
}

impl Manifest {
    pub fn taken(&self) -> UnixNanos {
        UnixNanos(self.taken_unix_nano)
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Rows of all tables that are in segments.
    pub fn rows(&self) -> u64 {
        self.counts.iter().map(|count| count.rows).sum()
    }

    /// The name of a backup's manifest.
    pub fn name(id: &str) -> String {
        format!("{}/manifest", Self::folder(id))
    }

    /// The folder of a backup's own files.
    pub fn folder(id: &str) -> String {
        format!("backups/{id}")
    }

    /// The backup whose manifest has this name.
    pub fn id_of(name: &str) -> Option<&str> {
        let id = name.strip_prefix("backups/")?.strip_suffix("/manifest")?;
        (!id.contains('/')).then_some(id)
    }

    /// # Errors
    /// [`BackupError::Damaged`], which no manifest of ours can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BackupError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| BackupError::Damaged {
            name: Self::name(&self.id),
            reason: error.to_string(),
        })?;
        let mut bytes = format!("{PREFIX}{}\n", Checksum::of(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }

    /// # Errors
    /// [`BackupError::Damaged`] and [`BackupError::NewerFormat`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, BackupError> {
        let damaged = |reason: &str| BackupError::Damaged {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| damaged("it has no checksum"))?;
        let (line, json) = bytes.split_at(end);
        let json = json.get(1..).unwrap_or_default();
        let checksum = std::str::from_utf8(line)
            .ok()
            .and_then(|line| Checksum::parse(line.strip_prefix(PREFIX)?))
            .ok_or_else(|| damaged("it has no checksum"))?;
        if checksum != Checksum::of(json) {
            return Err(damaged("its checksum is another"));
        }
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version =
            serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))?;
        if version.format > FORMAT {
            return Err(BackupError::NewerFormat {
                name: name.to_owned(),
                found: version.format,
                known: FORMAT,
            });
        }
        serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))
    }
}
