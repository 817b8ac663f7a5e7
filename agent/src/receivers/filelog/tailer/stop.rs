//! What a stop loses: bytes of deleted files that were not read. Nobody can open such a file again.

use super::Tailer;
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::FileId;

/// Files told of by name, at most; the others are summed up.
const NAMED_MAX: usize = 20;

impl Tailer {
    /// The pipeline has taken files over up to these places.
    pub(super) fn handed_over(&mut self, ends: &[(FileId, u64)]) {
        for (id, offset) in ends {
            if let Some(file) = self.files.get_mut(id) {
                file.handed_over = *offset;
            }
        }
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

    /// Says and counts what is lost of deleted files, once nothing more is read.
    pub(super) fn tell_of_lost(&self, deleted: &[FileId]) {
        let files = deleted.iter().filter_map(|id| self.files.get(id));
        let lost = files.map(|file| (self.lost_bytes(file), file));
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
            .lost_at_stop(lost.iter().map(|(bytes, _)| bytes).sum());
    }

    fn lost_bytes(&self, file: &TailedFile) -> u64 {
        let end = match self.closed {
            // What was read of it has not been taken.
            true => file.handed_over,
            false => file.mark.offset,
        };
        match file.compression {
            Some(_) => file.behind_bytes(),
            None => file.size.saturating_sub(end),
        }
    }
}
