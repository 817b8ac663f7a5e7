//! Who has a descriptor: files that are read, and those that are to be read and may be deleted before.

use std::time::{Duration, Instant};

use super::Tailer;
use super::names::has_other_name;
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::FileId;

/// Descriptors that are kept although their files are idle: those used last.
const OPEN_KEPT: usize = 32;
/// A file beyond those is closed when it has not grown for this long.
const IDLE_CLOSE: Duration = Duration::from_secs(2);
/// Empty files that keep the descriptor of their first look: those that came last.
const EMPTY_KEPT: usize = 32;

impl Tailer {
    pub(super) fn is_full(&self) -> bool {
        !self.share.has_room(self.held_descriptors())
    }

    pub(super) fn held_descriptors(&self) -> usize {
        self.open.len() + self.first_looks
    }

    /// Keeps a descriptor for a file that is to be read, if there is room for it.
    pub(super) fn keep_first_look(&mut self, file: &mut TailedFile, opened: Option<std::fs::File>) {
        if self.is_full() || file.first_look.is_some() {
            return;
        }
        if let Some(opened) = &opened
            && !file.is_known()
        {
            self.learn_beginning(file, opened);
        }
        self.first_looks += usize::from(opened.is_some());
        file.first_look = opened;
    }

    pub(super) fn take_first_look(&mut self, file: &mut TailedFile) -> Option<std::fs::File> {
        let taken = file.first_look.take();
        self.first_looks -= usize::from(taken.is_some());
        taken
    }

    pub(super) fn forget_first_look(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            self.first_looks -= usize::from(file.first_look.take().is_some());
        }
    }

    /// A file that is idle costs no descriptor. One that has just come and is empty is about to be written to, and may be
    /// deleted right after.
    pub(super) fn rest_first_look(&mut self, id: FileId) {
        let Some(file) = self.files.get(&id) else {
            return;
        };
        if self.unread.queued.contains(&id) || file.first_look.is_none() {
            return;
        }
        if file.size > 0 {
            return self.forget_first_look(id);
        }
        self.empty.push_back(id);
        if self.empty.len() > EMPTY_KEPT {
            self.close_empty();
        }
    }

    /// Takes the descriptor of the empty file that came first: whether there was one.
    fn close_empty(&mut self) -> bool {
        while let Some(id) = self.empty.pop_front() {
            self.look_at(id);
            let file = self.files.get(&id);
            let is_empty = file.is_some_and(|file| file.first_look.is_some() && file.size == 0);
            if is_empty && !self.unread.queued.contains(&id) {
                self.forget_first_look(id);
                return true;
            }
        }
        false
    }

    /// Closes files that are idle beyond those used last.
    pub(super) fn trim(&mut self, now: Instant) {
        let surplus = self.open.len().saturating_sub(OPEN_KEPT);
        if surplus > 0 {
            self.close_idle(surplus, |file| {
                let is_idle = now.duration_since(file.grown_at) > IDLE_CLOSE;
                file.gone_at.is_none() && file.failing.is_none() && is_idle
            });
        }
        self.share.holds(self.held_descriptors());
    }

    /// Makes room for another descriptor: false when every file is in use. Files that no glob finds any more give theirs
    /// after those that one finds; those of first looks go last, of files that have a name.
    pub(super) fn make_room(&mut self) -> bool {
        let wanted = (self.held_descriptors() / 8).max(1);
        let empty = (0..wanted).take_while(|_| self.close_empty()).count();
        if empty > 0 {
            return true;
        }
        // A last line without line feed of a rotated file is about to be taken.
        let is_named = |file: &TailedFile| !(has_other_name(file) && file.has_rest());
        let is_ended = |file: &TailedFile| !file.has_rest();
        let closed = match self.close_idle(wanted, |file| file.gone_at.is_none() && is_named(file))
        {
            0 => self.close_idle(wanted, is_ended),
            closed => closed,
        };
        if closed > 0 {
            return true;
        }
        let with_name = self
            .files
            .values_mut()
            .filter(|file| file.gone_at.is_none());
        let looks = with_name.filter_map(|file| file.first_look.take());
        let forgotten = looks.take(wanted).count();
        self.first_looks -= forgotten;
        forgotten > 0
    }

    /// Closes up to `count` files that qualify, those that have not grown for longest: how many. Deleted files are not
    /// closed: they could not be found again.
    fn close_idle(&mut self, count: usize, qualifies: impl Fn(&TailedFile) -> bool) -> usize {
        let open = self.open.iter().filter_map(|id| self.files.get(id));
        let mut closable: Vec<(Instant, FileId)> = open
            .filter(|file| {
                let is_empty = file.open.as_ref().is_some_and(|open| open.lines.is_empty());
                let is_queued = self.unread.queued.contains(&file.id);
                is_empty && !is_queued && qualifies(file)
            })
            .map(|file| (file.grown_at, file.id))
            .collect();
        closable.sort_unstable();
        let mut closed = Vec::new();
        for (_, id) in closable {
            if closed.len() < count && self.close_if_read(id) {
                closed.push(id);
            }
        }
        let files = &self.files;
        self.open
            .retain(|id| files.get(id).is_some_and(|file| file.open.is_some()));
        self.counts
            .open_files
            .set(i64::try_from(self.open.len()).unwrap_or(0));
        closed.iter().for_each(|id| self.look_at(*id));
        closed.len()
    }

    /// Closes a file, unless it was written to or deleted since the last look: whether it did.
    fn close_if_read(&mut self, id: FileId) -> bool {
        self.look_at(id);
        let Some(file) = self.files.get_mut(&id) else {
            return false;
        };
        if file.open.is_none() || file.is_deleted || self.unread.queued.contains(&id) {
            return false;
        }
        file.close();
        file.is_watched = false;
        true
    }
}
