//! Brings a backup back into an empty folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context as _, ensure};
use vervet_store::Checksum;
use vervet_store::backup::{BackupError, BackupFile, Manifest, Repository};

use super::{Copying, THREADS, below};
use crate::parallel::in_parallel;

/// Lies in a folder whose restoring is not finished; a collector does not start on it.
pub(crate) const INCOMPLETE: &str = "RESTORE_INCOMPLETE";
/// What file systems put into a folder by themselves.
const IGNORED: [&str; 1] = ["lost+found"];

/// Restores a backup into `to`, which must be empty, absent, or hold an interrupted restore of the same backup, which
/// is then continued.
///
/// # Errors
/// The folder holds something else, or a file is absent or not what was written.
pub(crate) fn restore(
    repository: &Repository,
    manifest: &Manifest,
    to: &Path,
    copying: &dyn Copying,
) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let marker = to.join(INCOMPLETE);
    begin(to, &marker, &manifest.id)?;
    copying.begin(manifest.bytes(), manifest.files.len());
    in_parallel(THREADS, &manifest.files, |file| {
        fetch(repository, file, to, copying)
    })?;
    sync_folders(to)?;
    fs::remove_file(&marker)
        .and_then(|()| File::open(to)?.sync_all())
        .with_context(|| format!("cannot finish {}", to.display()))
}

fn begin(to: &Path, marker: &Path, id: &str) -> anyhow::Result<()> {
    match fs::read_to_string(marker) {
        Ok(found) => {
            ensure!(
                found.trim() == id,
                "{} holds an interrupted restore of backup {}; empty it first",
                to.display(),
                found.trim()
            );
            return Ok(());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", marker.display()));
        }
    }
    for entry in fs::read_dir(to)? {
        let name = entry?.file_name();
        ensure!(
            IGNORED.iter().any(|ignored| name == *ignored),
            "{} is not empty: it holds {}",
            to.display(),
            name.to_string_lossy()
        );
    }
    fs::write(marker, format!("{id}\n"))
        .and_then(|()| File::open(marker)?.sync_all())
        .and_then(|()| File::open(to)?.sync_all())
        .with_context(|| format!("cannot write {}", marker.display()))
}

fn fetch(
    repository: &Repository,
    file: &BackupFile,
    to: &Path,
    copying: &dyn Copying,
) -> anyhow::Result<()> {
    let path = below(to, &file.path)?;
    let expected = Checksum::parse(&file.xxh3_128).ok_or_else(|| BackupError::Damaged {
        name: "manifest".to_owned(),
        reason: format!("{} has no checksum", file.path),
    })?;
    let mut none = |_bytes| {};
    let there = Checksum::of_file(&path, &mut none);
    if there.is_ok_and(|found| found == (expected, file.bytes)) {
        copying.advance(file.bytes, 1);
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let copied =
        repository.download(&file.object, &path, &mut |bytes| copying.advance(bytes, 0))?;
    copying.advance(0, 1);
    if (copied.checksum, copied.bytes) != (expected, file.bytes) {
        return Err(BackupError::Damaged {
            name: file.object.clone(),
            reason: format!(
                "it has {} bytes and checksum {} instead of {} and {expected}",
                copied.bytes, copied.checksum, file.bytes
            ),
        }
        .into());
    }
    Ok(())
}

fn sync_folders(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !IGNORED.iter().any(|name| entry.file_name() == *name) {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("cannot sync {}", folder.display()))
}
