//! Segments that no catalog named at a start, in `unclaimed/<time of the start>/` beside `data`: how long and how much of
//! them is kept.
//!
//! They go when they have lain there for [`UNCLAIMED_KEPT`], or when all of them take more than a limit, the oldest first.
//! What was moved aside in large numbers is no leftover of a crash but comes of a wrong catalog: it is not deleted for its
//! size within [`UNTOUCHED`], so that there is time to see the alert, and does not count; nor does what was moved within
//! [`JUST_MOVED`]. The limit holds for the others, after every start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use vervet_model::UnixNanos;

use super::orphans::modified;

/// The folder beside `data` that unclaimed segments are moved to.
pub const UNCLAIMED_FOLDER: &str = "unclaimed";
/// How long they are kept at least; the first start after that deletes them.
pub const UNCLAIMED_KEPT: Duration = Duration::from_secs(14 * 86_400);
/// More files of one start than a crash leaves.
const LEFTOVERS_MAX: usize = 20;
/// How long so many are kept whatever their size: over a weekend.
const UNTOUCHED: Duration = Duration::from_secs(3 * 86_400);
/// How long everything is kept whatever its size: what a start moves it does not delete.
const JUST_MOVED: Duration = Duration::from_secs(3_600);

/// Segments that were deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub files: u64,
    pub bytes: u64,
}

impl Forgotten {
    fn add(&mut self, files: u64, bytes: u64) {
        self.files += files;
        self.bytes += bytes;
    }
}

/// Number and bytes of the files in the folder of unclaimed segments of the store in `dir`.
pub fn unclaimed(dir: &Path) -> (u64, u64) {
    let files = files(&dir.join(UNCLAIMED_FOLDER));
    (files.len() as u64, bytes(&files))
}

/// Deletes what earlier starts moved aside longer ago than it is kept.
pub(super) fn forget_old(unclaimed: &Path, started: UnixNanos) -> Forgotten {
    let mut forgotten = Forgotten::default();
    for folder in folders(unclaimed) {
        let is_old = |moved| started.since(moved) > UNCLAIMED_KEPT;
        if !modified(&folder).is_ok_and(is_old) {
            continue;
        }
        let files = files(&folder);
        match std::fs::remove_dir_all(&folder) {
            Ok(()) => {
                forgotten.add(files.len() as u64, bytes(&files));
                tracing::warn!(folder = %folder.display(), "deleted segments that nobody claimed for two weeks");
            }
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "old unclaimed segments stay");
            }
        }
    }
    forgotten
}

/// Deletes the oldest of them until they take no more than `bytes_max`.
pub(super) fn forget_more(unclaimed: &Path, started: UnixNanos, bytes_max: u64) -> Forgotten {
    let mut forgotten = Forgotten::default();
    let mut by_age: Vec<_> = folders(unclaimed)
        .filter_map(|folder| Some((modified(&folder).ok()?, files(&folder), folder)))
        .filter(|(moved, files, _)| {
            let kept = match files.len() > LEFTOVERS_MAX {
                true => UNTOUCHED,
                false => JUST_MOVED,
            };
            started.since(*moved) >= kept
        })
        .collect();
    by_age.sort_by(|(one, _, a), (other, _, b)| (one, a).cmp(&(other, b)));
    let mut left: u64 = by_age.iter().map(|(_, files, _)| bytes(files)).sum();
    for (_moved, files, folder) in by_age {
        for (path, bytes) in files {
            if left <= bytes_max {
                return forgotten;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    left = left.saturating_sub(bytes);
                    forgotten.add(1, bytes);
                    tracing::warn!(path = %path.display(), bytes, "deleted an unclaimed segment: all of them take too much room");
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "an unclaimed segment stays");
                }
            }
        }
        remove_empty(&folder);
    }
    forgotten
}

/// The folders of starts.
fn folders(unclaimed: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(unclaimed).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

/// All files below a folder, with their bytes, by path.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                Ok(metadata) => found.push((entry.path(), metadata.len())),
                Err(_gone) => {}
            }
        }
    }
    found.sort();
    found
}

fn bytes(files: &[(PathBuf, u64)]) -> u64 {
    files.iter().map(|(_path, bytes)| bytes).sum()
}

/// Removes the folders that nothing is in; others stay.
fn remove_empty(folder: &Path) {
    for inner in folders(folder) {
        remove_empty(&inner);
    }
    let _not_empty = std::fs::remove_dir(folder);
}
