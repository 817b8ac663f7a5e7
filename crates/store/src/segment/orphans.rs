//! What becomes, at a start, of segments that the catalog does not name.
//!
//! One that was not written to its end is a leftover for certain, holds nothing that could be read, and is deleted.
//! A whole one may be what a crash left between its writing and its commit, or what a later catalog than this one
//! names. From the outside these look the same, so it is moved to `unclaimed/<time of the start>/` beside `data`,
//! under the path it had. Nobody reads it there; [`unclaimed`](super::unclaimed) says what is kept of it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use vervet_model::UnixNanos;

use super::unclaimed::{Forgotten, UNCLAIMED_FOLDER, forget_more, forget_old};
use super::{SegmentError, SegmentFolder};
use crate::tables::Table;

const MAGIC: [u8; 4] = *b"PAR1";
/// The magic number at both ends and the length of the metadata.
const BYTES_MIN: u64 = 12;

/// What became of the segments that the catalog does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Unfinished ones that were deleted.
    pub deleted: u64,
    /// Whole ones that were moved.
    pub moved: u64,
    /// Those that could not be deleted or moved; the next start tries again.
    pub left: u64,
    /// Of earlier starts, deleted for they were kept long enough.
    pub forgotten_by_age: Forgotten,
    /// Deleted because all of them took too much room.
    pub forgotten_by_size: Forgotten,
}

/// Settles every Parquet file below `folder` that is not `known` and was last written before `started`, the start of
/// this process: younger files may be waiting for their commit.
///
/// `known` must be all of [`Catalog::known_files`](crate::catalog::Catalog::known_files), not only the
/// live files: somebody may still read a replaced one. Its paths have no symbolic links; `folder` may. What was moved
/// aside, now and before, takes at most `unclaimed_bytes_max`, as [`unclaimed`](super::unclaimed) says.
///
/// # Errors
/// [`SegmentError::Io`] when a folder cannot be read.
pub fn settle_orphans<'f>(
    folder: impl Into<SegmentFolder<'f>>,
    known: &HashSet<PathBuf>,
    started: UnixNanos,
    unclaimed_bytes_max: u64,
) -> Result<Settled, SegmentError> {
    let SegmentFolder { dir: data_dir, fs } = folder.into();
    // A path that only looks different from a known one would hide the rows in it.
    let data_dir = data_dir
        .canonicalize()
        .map_err(|source| io_error(data_dir, source))?;
    let unclaimed = data_dir.with_file_name(UNCLAIMED_FOLDER);
    let aside = unclaimed.join(started.0.div_euclid(1_000_000_000).to_string());
    let mut settled = Settled {
        forgotten_by_age: forget_old(&unclaimed, started),
        ..Settled::default()
    };
    for path in segments(&data_dir)? {
        if known.contains(&path) || modified(&path)? >= started {
            continue;
        }
        if !is_whole(&path) {
            match fs.remove(&path) {
                Ok(()) => {
                    settled.deleted += 1;
                    tracing::warn!(path = %path.display(), "deleted a segment that was never finished");
                }
                Err(error) => settled.left(&path, &error),
            }
            continue;
        }
        let to = aside.join(path.strip_prefix(&data_dir).unwrap_or(&path));
        let parent = to.parent().unwrap_or(&aside);
        let moved = fs
            .create_dir_all(parent)
            .and_then(|()| fs.rename(&path, &to))
            .and_then(|()| fs.sync_dir(parent));
        match moved {
            Ok(()) => {
                settled.moved += 1;
                tracing::warn!(
                    path = %path.display(),
                    to = %to.display(),
                    "the catalog does not name a segment; it was moved aside, not deleted"
                );
            }
            Err(error) => settled.left(&path, &error),
        }
    }
    settled.forgotten_by_size = forget_more(&unclaimed, started, unclaimed_bytes_max);
    Ok(settled)
}

impl Settled {
    fn left(&mut self, path: &Path, error: &std::io::Error) {
        self.left += 1;
        tracing::error!(path = %path.display(), %error, "a segment that the catalog does not name stays where it is");
    }
}

/// The segments below `data_dir`, named by a catalog or not.
pub(crate) fn count_segments(data_dir: &Path) -> u64 {
    segments(data_dir).map_or(0, |found| found.len() as u64)
}

/// Whether the file begins and ends as a Parquet file does. One that cannot be read counts as whole.
fn is_whole(path: &Path) -> bool {
    let look = || -> std::io::Result<bool> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() < BYTES_MIN {
            return Ok(false);
        }
        let (mut head, mut tail) = ([0; 4], [0; 4]);
        file.read_exact(&mut head)?;
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut tail)?;
        Ok(head == MAGIC && tail == MAGIC)
    };
    look().unwrap_or(true)
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

pub(super) fn modified(path: &Path) -> Result<UnixNanos, SegmentError> {
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
