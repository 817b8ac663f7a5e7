//! Deletes segments that a crash left between their writing and their commit.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use vervet_model::UnixNanos;

use super::{SegmentError, SegmentFolder};
use crate::tables::Table;

/// Deletes every Parquet file below `folder` that is not `known` and was last written before
/// `before`, the start of this process: younger files may be waiting for their commit. Returns how many.
///
/// `known` must be all of [`Catalog::known_files`](crate::catalog::Catalog::known_files), not only the
/// live files: somebody may still read a replaced one. Its paths have no symbolic links; `folder` may.
///
/// # Errors
/// [`SegmentError::Io`] when a folder cannot be read or a file not deleted.
pub fn remove_orphans<'f>(
    folder: impl Into<SegmentFolder<'f>>,
    known: &HashSet<PathBuf>,
    before: UnixNanos,
) -> Result<u64, SegmentError> {
    let SegmentFolder { dir: data_dir, fs } = folder.into();
    // A path that only looks different from a known one would cost the rows in it.
    let data_dir = data_dir
        .canonicalize()
        .map_err(|source| io_error(data_dir, source))?;
    let mut removed = 0;
    for path in segments(&data_dir)? {
        if !known.contains(&path) && modified(&path)? < before {
            fs.remove(&path).map_err(|source| io_error(&path, source))?;
            tracing::warn!(path = %path.display(), "removed a segment that was never committed");
            removed += 1;
        }
    }
    Ok(removed)
}

/// All `<table>/<folder>/*.parquet`.
fn segments(data_dir: &Path) -> Result<Vec<PathBuf>, SegmentError> {
    let mut found = Vec::new();
    for table in Table::ALL {
        for folder in entries(&data_dir.join(table.name()))? {
            if folder.is_dir() {
                found.extend(entries(&folder)?);
            }
        }
    }
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "parquet")
    });
    Ok(found)
}

/// The entries of a folder, none when it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, SegmentError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let io = |source| io_error(folder, source);
    std::fs::read_dir(folder)
        .map_err(io)?
        .map(|entry| Ok(entry.map_err(io)?.path()))
        .collect()
}

fn modified(path: &Path) -> Result<UnixNanos, SegmentError> {
    let modified = std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map_err(|source| io_error(path, source))?;
    let since_epoch = modified
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(UnixNanos::default().saturating_add(since_epoch))
}

fn io_error(path: &Path, source: std::io::Error) -> SegmentError {
    SegmentError::Io {
        path: path.to_owned(),
        source,
    }
}
