//! Deleted files whose rest stands in another file beside them, as when a rotation compresses: the next start reads on
//! there, so that a stop does not lose it.
//!
//! The next start finds such a copy if the globs name it, or if a place in the deleted file is stored by then. At a stop a
//! copy is compared at both ends of what is missing, which uncompresses it; the status has only the beginnings compared.
//! Limits: [`LOOKS_MAX`] looks a report, [`COMPARED_BYTES_MAX`] uncompressed at a stop; beyond them a file counts as lost.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Tailer;
use crate::receivers::filelog::content::{self, Compression};
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::{FileId, Mark, TAIL_BYTES};
use crate::receivers::filelog::pasts::{Candidate, Kinship, Past};
use crate::receivers::filelog::rotated::is_rotation_of;

/// Files whose copies are looked for in one report, at most.
const LOOKS_MAX: usize = 16;
/// Time between two looks for the copy of one file.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// What is read of copies at a stop, in all.
const COMPARED_BYTES_MAX: u64 = 256 << 20;

/// What was found last of the copies of deleted files.
#[derive(Default)]
pub(super) struct Copies(HashMap<FileId, Looked>);

struct Looked {
    is_there: bool,
    at: Instant,
}

/// The copies found at a stop: whether the globs name them.
pub(super) type Found = HashMap<FileId, bool>;

impl Tailer {
    /// The deleted files with something to read of which a copy is there, as far as their beginnings tell.
    pub(super) fn copied(&mut self, now: Instant) -> HashSet<FileId> {
        let files = self.files.values();
        let deleted = files.filter(|file| file.is_deleted && file.behind_bytes() > 0);
        let deleted: HashSet<FileId> = deleted.map(|file| file.id).collect();
        if deleted.is_empty() && self.copies.0.is_empty() {
            return HashSet::new();
        }
        self.copies.0.retain(|id, _| deleted.contains(id));
        let is_due = |id: &&FileId| {
            let looked = self.copies.0.get(*id);
            looked.is_none_or(|looked| now.duration_since(looked.at) >= LOOK_INTERVAL)
        };
        let due: Vec<FileId> = deleted.iter().filter(is_due).copied().collect();
        for id in due.into_iter().take(LOOKS_MAX) {
            let Some(file) = self.files.get(&id) else {
                continue;
            };
            let found = self.copy_of_rest(file, None);
            let is_there = found.is_some_and(|by_globs| by_globs || file.fate.is_stored());
            self.copies.0.insert(id, Looked { is_there, at: now });
        }
        let there = self.copies.0.iter().filter(|(_, looked)| looked.is_there);
        there.map(|(id, _)| *id).collect()
    }

    /// The copies of deleted files, while their descriptors are there to compare.
    pub(super) fn copies_of(&self, deleted: &[FileId]) -> Found {
        let mut left = COMPARED_BYTES_MAX;
        let files = deleted.iter().filter_map(|id| self.files.get(id));
        let found = files.filter_map(|file| {
            left = left.checked_sub(file.size)?;
            Some((file.id, self.copy_of_rest(file, Some(file.size))?))
        });
        found.collect()
    }

    /// Those of the deleted files that the next start does not read on in a copy.
    pub(super) fn not_copied(&self, deleted: Vec<FileId>, found: &Found) -> Vec<FileId> {
        let mut deleted = deleted;
        deleted.retain(|id| {
            let is_stored = self.files.get(id).is_some_and(|file| file.fate.is_stored());
            !found.get(id).is_some_and(|by_globs| *by_globs || is_stored)
        });
        deleted
    }

    /// Whether what was read of a file that is gone, and is not stored yet, stands in a copy that the next start reads on.
    pub(super) fn is_copied(&self, past: &Past) -> bool {
        let found = self.find_copy(past.id, [&past.path, &past.path], |copy| {
            let candidate = Candidate {
                is_doubted: true,
                ..candidate(copy)?
            };
            let kinship = candidate.kinship(&past.mark, &past.recent)?;
            Ok(matches!(kinship, Kinship::Continues(_)))
        });
        found.is_some_and(|by_globs| by_globs || past.fate.is_stored())
    }

    /// Whether the globs name a compressed file that is a rotated form of that one.
    pub(super) fn has_compressed(&self, file: &TailedFile) -> bool {
        let names: [&Path; 2] = [&file.path, file.origin()];
        let found = self.find_copy(file.id, names, |(_, opened)| {
            Ok(Compression::of(opened)?.is_some())
        });
        found == Some(true)
    }

    /// A copy of a plain file, up to `end` if that is to be compared: whether the globs name it.
    fn copy_of_rest(&self, file: &TailedFile, end: Option<u64>) -> Option<bool> {
        if file.compression.is_some() {
            return None;
        }
        self.find_copy(file.id, [&file.path, file.origin()], |copy| {
            let candidate = candidate(copy)?;
            if !file.begins_as(&candidate.beginning) || candidate.is_short_of(file.size) {
                return Ok(false);
            }
            match end {
                Some(end) => has_ends(&candidate, file, end),
                None => Ok(true),
            }
        })
    }

    /// The first file beside `names` that is one of their rotated forms and that `is_it`; whether the globs name it.
    fn find_copy(
        &self,
        id: FileId,
        names: [&Path; 2],
        is_it: impl Fn(&(PathBuf, File)) -> io::Result<bool>,
    ) -> Option<bool> {
        let entries = std::fs::read_dir(names.first()?.parent()?).ok()?.flatten();
        let paths = entries.map(|entry| entry.path());
        let is_rotated = |path: &PathBuf| names.iter().any(|name| is_rotation_of(path, name));
        let opened = paths.filter(is_rotated).filter_map(|path| {
            let opened = content::open(&path).ok()?;
            let metadata = opened.metadata().ok()?;
            ((metadata.dev(), metadata.ino()) != id).then_some((path, opened))
        });
        let mut copies = opened.filter(|copy| is_it(copy).unwrap_or(false));
        let (path, _) = copies.next()?;
        Some(self.discovery.wants(&path))
    }
}

fn candidate<'c>((path, opened): &'c (PathBuf, File)) -> io::Result<Candidate<'c>> {
    Candidate::new(path, opened)
}

impl Candidate<'_> {
    /// Whether it holds less than so much; of a compressed one only reading it tells.
    fn is_short_of(&self, bytes: u64) -> bool {
        self.compression.is_none() && self.bytes < bytes
    }
}

/// Whether a copy has the same bytes before the place reached, and before the end of the file.
fn has_ends(copy: &Candidate<'_>, file: &TailedFile, end: u64) -> io::Result<bool> {
    let opened = file.open.as_ref().map(|open| open.file());
    let Some(opened) = opened.or(file.first_look.as_ref()) else {
        return Ok(false);
    };
    let Mark { offset, tail, .. } = file.mark;
    let last = content::before(opened, end, TAIL_BYTES)?;
    let ends = match copy.compression {
        Some(_) => content::ends_before(copy.file, copy.compression, &[offset, end])?,
        None => [offset, end]
            .into_iter()
            .map(|end| content::before(copy.file, end, TAIL_BYTES).map(Some))
            .collect::<io::Result<_>>()?,
    };
    let [Some(before), Some(at_end)] = ends.as_slice() else {
        return Ok(false);
    };
    Ok(tail.fits(before) && at_end.ends_with(&last) && !last.is_empty())
}
