//! Files that do not hold any more what was read of them.

use std::time::Instant;

use super::Tailer;
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::FileId;

impl Tailer {
    /// A file holds less than was read of it.
    pub(super) fn cut(&mut self, id: FileId) {
        self.call_back(id);
        let Some(mut file) = self.files.remove(&id) else {
            return;
        };
        self.restart(&mut file, Instant::now());
        self.unread.push(&file);
        self.files.insert(id, file);
    }

    /// The file was cut: what had been read of it is all there will be of it. The rest may be in a copy.
    pub(super) fn restart(&mut self, file: &mut TailedFile, now: Instant) {
        self.sink.take_whole(file);
        // A copy has all of a line whose first half has been read.
        if !self.has_copy(&file.mark, &file.path) {
            self.sink.take_rest(file, now);
        }
        self.counts.truncations.inc();
        tracing::info!(path = %file.path.display(), offset = file.mark.offset, "file was cut, or is another, and is read anew");
        self.live.remove(file.prefix(), file.id);
        let was_open = file.open.is_some();
        self.open.retain(|open| *open != file.id);
        let past = file.restart();
        self.first_looks += usize::from(was_open);
        self.release_copies(file.id);
        self.search_near(&past.path);
        let position = self.cut_past(past);
        self.due.sweep = now;
        self.sink.note_position(position, now);
        self.sink.note(file, now);
    }
}
