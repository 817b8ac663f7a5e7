//! Keeps copies of corrupt ranges in `quarantine/`, at most 64 MiB in all, for a person to look
//! at. A copy that cannot be made is only counted: damage never keeps a journal from opening.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::segment_file_name;
use crate::fs::exact::{read_full_at, write_all_at};
use crate::fs::{FileSystem, JournalFile};
use crate::stats::QuarantinedRange;

const QUARANTINE_BYTES_MAX: u64 = 64 << 20;
const CHUNK_BYTES: usize = 64 << 10;

/// A corrupt range of the segment that starts at `first`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CorruptRange {
    pub(crate) first: u64,
    pub(crate) offset: u64,
    pub(crate) end: u64,
}

/// Copies the range of `source` aside and reports it.
pub(crate) fn quarantine_range(
    fs: &dyn FileSystem,
    dir: &Path,
    source: Option<&dyn JournalFile>,
    range: CorruptRange,
) -> QuarantinedRange {
    let bytes = range.end - range.offset;
    let copy = source.and_then(|source| match copy_aside(fs, dir, source, range) {
        Ok(copy) => copy,
        Err(error) => {
            tracing::warn!(%error, file = copy_name(range), "cannot copy a corrupt range aside");
            None
        }
    });
    let segment = dir.join(segment_file_name(range.first));
    tracing::error!(
        segment = %segment.display(),
        offset = range.offset,
        bytes,
        "corrupt range in the journal, its records are lost"
    );
    QuarantinedRange {
        segment,
        offset: range.offset,
        bytes,
        copy,
    }
}

fn copy_name(range: CorruptRange) -> String {
    let bytes = range.end - range.offset;
    format!("{:020}-{}-{bytes}.bin", range.first, range.offset)
}

/// Moves a file into the quarantine under `name`.
pub(crate) fn quarantine_file(
    fs: &dyn FileSystem,
    dir: &Path,
    path: &Path,
    name: &str,
) -> io::Result<()> {
    let folder = folder(dir);
    fs.create_dir_all(&folder)?;
    fs.rename(path, &folder.join(name))?;
    fs.sync_dir(&folder)
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("quarantine")
}

/// Bytes of all files in the quarantine; 0 where it cannot be listed, or is not there.
pub(crate) fn held_bytes(fs: &dyn FileSystem, dir: &Path) -> u64 {
    let held = fs.list(&folder(dir)).unwrap_or_default();
    held.iter().map(|entry| entry.len).sum()
}

/// First sequence of the segment that a copy was taken from.
pub(crate) fn first_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".bin")?;
    let (first, _) = name.split_once('-')?;
    first.parse().ok().filter(|first| *first > 0)
}

/// Copies the range of `source` aside; `None` when the quarantine has no room for it.
pub(crate) fn copy_aside(
    fs: &dyn FileSystem,
    dir: &Path,
    source: &dyn JournalFile,
    range: CorruptRange,
) -> io::Result<Option<PathBuf>> {
    let name = copy_name(range);
    let folder = folder(dir);
    fs.create_dir_all(&folder)?;
    let path = folder.join(&name);
    let held = fs.list(&folder)?;
    let bytes = range.end - range.offset;
    if held
        .iter()
        .any(|entry| entry.name == name && entry.len == bytes)
    {
        // Its name may be in the cache only, and the range is about to be cut.
        fs.sync_dir(&folder)?;
        return Ok(Some(path));
    }
    let held_bytes: u64 = held.iter().map(|entry| entry.len).sum();
    if held_bytes.saturating_add(bytes) > QUARANTINE_BYTES_MAX {
        return Ok(None);
    }
    if held.iter().any(|entry| entry.name == name) {
        fs.remove(&path)?;
    }
    let target = fs.create_new(&path)?;
    if let Err(error) = copy_bytes(source, &*target, range) {
        // A partial copy is worth nothing; if it stays, the next attempt replaces it.
        fs.remove(&path).ok();
        return Err(error);
    }
    fs.sync_dir(&folder)?;
    Ok(Some(path))
}

fn copy_bytes(
    source: &dyn JournalFile,
    target: &dyn JournalFile,
    range: CorruptRange,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut offset = range.offset;
    while offset < range.end {
        let wanted = usize::try_from(range.end - offset)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        let buf = chunk.get_mut(..wanted).unwrap_or_default();
        let read = read_full_at(source, buf, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all_at(
            target,
            buf.get(..read).unwrap_or_default(),
            offset - range.offset,
        )?;
        offset += read as u64;
    }
    target.sync()
}
