//! Backups in a folder: files appear by rename, after their bytes are on the disk.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use super::BackupError;
use super::repository::{CHUNK_BYTES, Copied, Listed};
use crate::segment::Hasher;

/// A file that is being written.
const PARTIAL: &str = ".part";

pub(super) fn list(root: &Path, below: &str) -> Result<Vec<Listed>, BackupError> {
    let mut found = Vec::new();
    walk(&root.join(below), below, &mut found)?;
    Ok(found)
}

fn walk(folder: &Path, name: &str, found: &mut Vec<Listed>) -> Result<(), BackupError> {
    let io = |source| io_error(folder, source);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io)?,
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().map_err(io)?;
        if metadata.is_dir() {
            walk(&entry.path(), &name, found)?;
        } else {
            let bytes = metadata.len();
            found.push(Listed {
                is_partial: name.ends_with(PARTIAL),
                name,
                bytes,
            });
        }
    }
    Ok(())
}

pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, BackupError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|source| io_error(path, source))?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| io_error(path, source))?;
    if bytes.len() > bytes_max {
        return Err(BackupError::Damaged {
            name: path.display().to_string(),
            reason: format!("it has more than {bytes_max} bytes"),
        });
    }
    Ok(Some(bytes))
}

/// Copies `from` to a new file at `path` and syncs both it and its folder.
pub(super) fn write(
    path: &Path,
    from: &mut dyn Read,
    advance: &mut dyn FnMut(u64),
) -> Result<Copied, BackupError> {
    let partial = partial(path);
    make_parent(path)?;
    let written = copy(&partial, from, advance).and_then(|copied| {
        fs::rename(&partial, path)?;
        sync_parent(path)?;
        Ok(copied)
    });
    written.map_err(|source| {
        // What stays is swept by the next backup.
        let _gone = fs::remove_file(&partial);
        io_error(path, source)
    })
}

/// Gives `from` a second name. `false` when the file system cannot.
pub(super) fn link(path: &Path, from: &Path) -> Result<bool, BackupError> {
    make_parent(path)?;
    match fs::hard_link(from, path) {
        Ok(()) => sync_parent(path)
            .map(|()| true)
            .map_err(|source| io_error(path, source)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(io_error(from, error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
        Err(_not_here) => Ok(false),
    }
}

pub(super) fn delete(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path, error)),
        _ => {
            // Folders go with their last file.
            let parents = path.ancestors().skip(1).take(2);
            let _not_empty = parents
                .map(fs::remove_dir)
                .take_while(Result::is_ok)
                .count();
            Ok(())
        }
    }
}

fn copy(path: &Path, from: &mut dyn Read, advance: &mut dyn FnMut(u64)) -> io::Result<Copied> {
    let mut file = File::create(path)?;
    let copied = pump(from, advance, &mut |chunk| file.write_all(chunk))?;
    file.sync_all()?;
    Ok(copied)
}

/// Hands all of `from` on, piece by piece.
pub(super) fn pump(
    from: &mut dyn Read,
    advance: &mut dyn FnMut(u64),
    to: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Copied> {
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = chunk.get(..read).unwrap_or_default();
        hasher.add(piece);
        to(piece)?;
        bytes += read as u64;
        advance(read as u64);
    }
    Ok(Copied {
        bytes,
        checksum: hasher.finish(),
    })
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    name.into()
}

/// New folders are synced from the top down.
fn make_parent(path: &Path) -> Result<(), BackupError> {
    let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) else {
        return Ok(());
    };
    let existing = parent.ancestors().filter(|folder| folder.is_dir()).count();
    fs::create_dir_all(parent).map_err(|source| io_error(parent, source))?;
    let all: Vec<&Path> = parent.ancestors().collect();
    let new = all.len().saturating_sub(existing);
    all.into_iter()
        .take(new + 1)
        .filter(|folder| !folder.as_os_str().is_empty())
        .try_for_each(|folder| {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|source| io_error(folder, source))
        })
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io {
        path: path.to_owned(),
        source,
    }
}
