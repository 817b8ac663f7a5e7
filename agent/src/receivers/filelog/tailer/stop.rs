//! What is lost of deleted files, which nobody can open again: what was not read of them when the agent stops, or when one
//! is given up that could not be read, is counted here, in bytes of the file; what was read and finds no room in the
//! buffer is counted with the batches that hold it.

use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use super::Tailer;
use crate::metrics::{UNREAD, UNREADABLE};
use crate::pipeline::FilePosition;
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::FileId;
use crate::receivers::filelog::pasts::{NO_DEVICE, Past};
use crate::stops::DELETED;

/// Files told of by name, at most; the others are summed up.
const NAMED_MAX: usize = 20;
/// Contents that are looked for in one report, at most.
const LOOKS_MAX: usize = 16;

/// Contents that ended, or that nobody follows any more, while lines of them waited for the buffer.
#[derive(Default)]
pub(super) struct Lingering(Vec<Past>);

impl Lingering {
    pub(super) fn note(&mut self, past: &Past) {
        if past.fate.waiting_bytes() > 0 {
            self.0.push(past.clone());
        }
    }
}

impl Tailer {
    /// As `Pasts::insert_cut`, with an eye on what waits of it.
    pub(super) fn cut_past(&mut self, past: Past) -> FilePosition {
        let waits = past.fate.waiting_bytes() > 0;
        let lingering = waits.then(|| past.clone());
        let position = self.pasts.insert_cut(past);
        let id = (position.device, position.inode);
        let lingering = lingering.map(|past| Past { id, ..past });
        self.lingering.0.extend(lingering);
        position
    }

    /// Bytes that wait for the buffer, of files and contents that nobody can read again, of [`LOOKS_MAX`] of either at most.
    pub(super) fn waiting_of_gone(&mut self) -> u64 {
        let lingering = &mut self.lingering.0;
        lingering.retain(|past| past.fate.waiting_bytes() > 0);
        let lingering = self.lingering.0.iter().take(LOOKS_MAX);
        let ended = lingering.filter(|past| self.is_gone(past));
        let ended = ended.map(|past| past.fate.waiting_bytes());
        let files = self.files.values();
        let deleted = files.filter(|file| {
            file.is_deleted && file.copy_of.is_none() && file.fate.waiting_bytes() > 0
        });
        let deleted = deleted.take(LOOKS_MAX).map(|file| file.past());
        let deleted = deleted.filter(|past| !self.is_copied(past));
        let deleted = deleted.map(|past| past.fate.waiting_bytes());
        ended.chain(deleted).sum()
    }

    /// Whether what was read of a content can be read nowhere again. What was in the inode of a file that holds another now
    /// can only be in a copy.
    fn is_gone(&self, past: &Past) -> bool {
        let is_cut = past.id.0 == NO_DEVICE;
        let is_gone = past.fate.is_gone() || is_cut || is_nowhere(past.id, &past.path);
        is_gone && !self.is_copied(past)
    }

    /// The files that only their descriptors hold. A copy is not one of them: its original has the same bytes.
    pub(super) fn deleted(&mut self) -> Vec<FileId> {
        let files = self.files.values_mut();
        let held = files.filter(|file| {
            file.copy_of.is_none() && (file.open.is_some() || file.first_look.is_some())
        });
        held.filter_map(|file| {
            let is_deleted = matches!(file.look(), Ok(Some(look)) if look.deleted);
            is_deleted.then_some(file.id)
        })
        .collect()
    }

    /// Tells the batches that are not stored yet which of their files are gone: `deleted` ones, and closed ones that are
    /// nowhere in their folder.
    pub(super) fn tell_of_gone(&self, deleted: &[FileId]) {
        let files = deleted.iter().filter_map(|id| self.files.get(id));
        files.for_each(|file| file.fate.set_gone(true));
        let closed = self.files.values().filter(|file| file.first_look.is_none());
        let closed = closed.filter(|file| file.fate.is_asked_for());
        let closed = closed.map(|file| file.past());
        let pasts = self.pasts.all();
        let pasts = pasts.filter(|past| past.fate.is_asked_for()).cloned();
        let asked_for: Vec<Past> = closed.chain(pasts).collect();
        for past in asked_for {
            past.fate.set_gone(self.is_gone(&past));
        }
    }

    /// Says and counts what is lost of deleted files, once nothing more is read.
    pub(super) fn tell_of_lost(&self, deleted: &[FileId]) {
        let files = deleted.iter().filter_map(|id| self.files.get(id));
        let lost = files.map(|file| (lost_bytes(file), file));
        let mut lost: Vec<_> = lost.filter(|(bytes, _)| *bytes > 0).collect();
        lost.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (bytes, file) in lost.iter().take(NAMED_MAX) {
            tracing::warn!(path = %file.path.display(), lost_bytes = bytes, "deleted file was not read to its end, the stop loses the rest");
        }
        let others = lost.iter().skip(NAMED_MAX).map(|(bytes, _)| bytes);
        let (files, bytes) = (others.len(), others.sum::<u64>());
        if files > 0 {
            tracing::warn!(
                files,
                lost_bytes = bytes,
                "more deleted files were not read to their ends"
            );
        }
        self.counts
            .lost(DELETED, lost.iter().map(|(bytes, _)| bytes).sum());
    }

    /// A file is given up: says and counts what was not read of it, if nobody can open it any more.
    pub(super) fn tell_of_unread(&self, file: &TailedFile) {
        let bytes = lost_bytes(file);
        // What is read through a descriptor is read to its end, if it can be.
        let is_read = file.failing.is_none() && file.has_descriptor();
        // What was refused under its name may be there still, elsewhere.
        let is_refused = file.is_set_aside || self.discovery.has_refused(&file.path);
        let is_wanted = file.copy_of.is_none() && !is_refused;
        if bytes == 0 || is_read || !is_wanted {
            return;
        }
        let is_gone = match file.has_descriptor() {
            true => file.is_deleted,
            false => is_nowhere(file.id, &file.path),
        };
        if !is_gone {
            return;
        }
        if file.failing.is_some() {
            tracing::warn!(path = %file.path.display(), lost_bytes = bytes, "deleted file could not be read, the rest is lost");
            self.counts.lost(UNREADABLE, bytes);
        } else if !self.has_rest_elsewhere(file) {
            tracing::warn!(path = %file.path.display(), lost_bytes = bytes, "file was deleted while it was closed, the rest is lost");
            self.counts.lost(UNREAD, bytes);
        }
    }

    /// Whether a rotated form holds the rest of a closed file, or may: a compressed one of which nothing is known.
    fn has_rest_elsewhere(&self, file: &TailedFile) -> bool {
        match file.is_known() {
            true => self.is_copied(&file.past()),
            false => self.has_compressed(file),
        }
    }
}

fn lost_bytes(file: &TailedFile) -> u64 {
    match file.compression {
        Some(_) => file.behind_bytes(),
        None => file.size.saturating_sub(file.mark.offset),
    }
}

/// Whether a file is neither under its name nor under another one in the same folder.
fn is_nowhere((device, inode): FileId, path: &Path) -> bool {
    let is_there =
        std::fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (device, inode));
    if is_there {
        return false;
    }
    let entries = path.parent().map(std::fs::read_dir);
    let Some(Ok(mut entries)) = entries else {
        return true;
    };
    !entries.any(|entry| entry.is_ok_and(|entry| entry.ino() == inode))
}
