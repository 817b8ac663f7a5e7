//! What the last backup was, for the status: a small file in the data folder.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use vervet_store::backup::Manifest;

const FILE: &str = "backup.json";

/// The last complete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastBackup {
    pub(crate) id: String,
    pub(crate) location: String,
    pub(crate) taken_unix_ms: i64,
    pub(crate) bytes: u64,
    pub(crate) copied_bytes: u64,
    /// Segments that could not be copied.
    pub(crate) damaged: u64,
}

impl LastBackup {
    pub(super) fn of(manifest: &Manifest, location: &str) -> Self {
        Self {
            id: manifest.id.clone(),
            location: location.to_owned(),
            taken_unix_ms: manifest.taken().to_millis().0,
            bytes: manifest.bytes(),
            copied_bytes: manifest.copied_bytes,
            damaged: manifest.damaged.len() as u64,
        }
    }

    pub(super) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let (path, new) = (data_dir.join(FILE), data_dir.join(format!("{FILE}.new")));
        let text = serde_json::to_vec_pretty(self)?;
        fs::write(&new, text)
            .and_then(|()| File::open(&new)?.sync_all())
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// `None` when there was no backup, or the note of it cannot be read.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data_dir.join(FILE)).ok()?).ok()
    }
}
