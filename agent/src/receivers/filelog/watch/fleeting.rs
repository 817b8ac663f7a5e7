//! Names that came into watched folders and that no search has found yet: a file deleted by then is lost.
//!
//! In: what the kernel tells of names, in its order, and what searches have found. Out: names of files that came and went
//! unseen. A name is forgotten once a search has found its file, or has left it where it is. Limit: [`NAMES_MAX`].

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::ReadFlags;

/// Names remembered, at most; the oldest is forgotten first.
const NAMES_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Fleeting {
    /// The latest last.
    unseen: VecDeque<Unseen>,
    /// Moves of files that were seen, of which the other half is still to come.
    moves: VecDeque<u32>,
    /// Names that a search has found before the kernel has told that they came.
    early: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Unseen {
    /// The name that the file came under.
    first: PathBuf,
    at: Place,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Name(PathBuf),
    /// Between the halves of that move.
    Move(u32),
}

impl Fleeting {
    /// Takes what the kernel tells of a name: the first name of the file that is gone now, if nobody has seen it.
    pub(super) fn note(&mut self, flags: ReadFlags, cookie: u32, path: &Path) -> Option<PathBuf> {
        if flags.contains(ReadFlags::ISDIR) {
            return None;
        }
        if flags.contains(ReadFlags::DELETE) {
            return self.take(path);
        }
        if flags.contains(ReadFlags::MOVED_FROM) {
            self.move_from(path, cookie);
            return None;
        }
        if flags.contains(ReadFlags::MOVED_TO) {
            let replaced = self.take(path);
            self.move_to(path, cookie);
            return replaced;
        }
        if flags.contains(ReadFlags::CREATE) {
            self.come(path);
        }
        None
    }

    fn come(&mut self, path: &Path) {
        if self.early.remove(path) {
            return;
        }
        let unseen = Unseen {
            first: path.to_owned(),
            at: Place::Name(path.to_owned()),
        };
        push(&mut self.unseen, unseen);
    }

    fn move_from(&mut self, path: &Path, cookie: u32) {
        match self.place(&Place::Name(path.to_owned())) {
            Some(unseen) => unseen.at = Place::Move(cookie),
            None => push(&mut self.moves, cookie),
        }
    }

    fn move_to(&mut self, path: &Path, cookie: u32) {
        if let Some(unseen) = self.place(&Place::Move(cookie)) {
            unseen.at = Place::Name(path.to_owned());
            if self.early.remove(path) {
                self.take(path);
            }
            return;
        }
        match self.moves.iter().rposition(|known| *known == cookie) {
            Some(seen) => {
                self.moves.remove(seen);
                self.early.remove(path);
            }
            None => self.come(path),
        }
    }

    fn place(&mut self, at: &Place) -> Option<&mut Unseen> {
        let mut latest = self.unseen.iter_mut().rev();
        latest.find(|unseen| unseen.at == *at)
    }

    fn take(&mut self, path: &Path) -> Option<PathBuf> {
        let is_it = |unseen: &Unseen| matches!(&unseen.at, Place::Name(name) if name == path);
        let at = self.unseen.iter().rposition(is_it)?;
        self.unseen.remove(at).map(|unseen| unseen.first)
    }

    /// What the kernel has told by now is noted: what comes under a name that was found early is another file.
    pub(super) fn noted(&mut self) {
        self.early.clear();
    }

    /// A search is over that has `found` files under these names, and that `knows` these: what it does not know and is there
    /// is none to read. What was moved out of the watched folders is nobody's.
    pub(super) fn searched<'p>(
        &mut self,
        found: impl Iterator<Item = &'p Path>,
        knows: impl Fn(&Path) -> bool,
    ) {
        for path in found.take(NAMES_MAX) {
            if self.take(path).is_none() {
                self.early.insert(path.to_owned());
            }
        }
        self.unseen.retain(|unseen| match &unseen.at {
            Place::Name(name) => !knows(name) && std::fs::symlink_metadata(name).is_err(),
            Place::Move(_) => false,
        });
        self.moves.clear();
    }

    /// Somebody has found the file of that name.
    pub(super) fn found(&mut self, path: &Path) {
        self.take(path);
    }

    /// What has happened to names is not known any more.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }
}

fn push<T>(latest_last: &mut VecDeque<T>, new: T) {
    if latest_last.len() >= NAMES_MAX {
        latest_last.pop_front();
    }
    latest_last.push_back(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: ReadFlags = ReadFlags::CREATE;
    const DELETE: ReadFlags = ReadFlags::DELETE;
    const FROM: ReadFlags = ReadFlags::MOVED_FROM;
    const TO: ReadFlags = ReadFlags::MOVED_TO;

    /// Names below a folder that is not there.
    fn path(name: &str) -> PathBuf {
        Path::new("/nowhere/at/all").join(name)
    }

    fn missed(steps: &[(ReadFlags, u32, &str)]) -> Vec<PathBuf> {
        let mut fleeting = Fleeting::default();
        let steps = steps.iter();
        let noted = steps.filter_map(|(flags, cookie, name)| match *name {
            "search" => {
                let found = path("found");
                let found = [found.as_path()].into_iter();
                fleeting.searched(found, |name| name.ends_with("known"));
                None
            }
            "noted" => {
                fleeting.noted();
                None
            }
            name => fleeting.note(*flags, *cookie, &path(name)),
        });
        noted.collect()
    }

    #[test]
    fn names_that_come_and_go_between_two_searches_are_told_by_the_first_one() {
        let steps = [
            (CREATE, 0, "a"),
            (FROM, 1, "a"),
            (TO, 1, "a.1"),
            (CREATE, 0, "a"),
            (CREATE | ReadFlags::ISDIR, 0, "folder"),
            (DELETE, 0, "a.1"),
            (DELETE | ReadFlags::ISDIR, 0, "folder"),
            (DELETE, 0, "a"),
            (DELETE, 0, "unknown"),
        ];
        assert_eq!(missed(&steps), [path("a"), path("a")]);
    }

    #[test]
    fn a_file_that_another_is_renamed_over_is_gone() {
        let steps = [
            (CREATE, 0, "a"),
            (CREATE, 0, "b"),
            (FROM, 7, "b"),
            (TO, 7, "a"),
            (DELETE, 0, "a"),
        ];
        assert_eq!(missed(&steps), [path("a"), path("b")]);
    }

    #[test]
    fn what_a_search_has_found_is_not_missed_and_what_it_was_too_late_for_is() {
        let none = ReadFlags::empty();
        let steps = [
            (CREATE, 0, "known"),
            (CREATE, 0, "late"),
            (none, 0, "search"),
            (DELETE, 0, "known"),
            (DELETE, 0, "late"),
        ];
        assert_eq!(missed(&steps), [path("late")]);
    }

    #[test]
    fn files_that_were_seen_are_not_missed_whatever_they_are_renamed_to() {
        let none = ReadFlags::empty();
        let steps = [
            (FROM, 1, "seen"),
            (TO, 1, "seen.1"),
            (DELETE, 0, "seen.1"),
            // Found before the kernel told of it; the next one of that name was not.
            (none, 0, "search"),
            (CREATE, 0, "found"),
            (DELETE, 0, "found"),
            (CREATE, 0, "found"),
            (DELETE, 0, "found"),
            (none, 0, "search"),
            (CREATE, 0, "a"),
            (FROM, 2, "a"),
            (TO, 2, "found"),
            (DELETE, 0, "found"),
            (none, 0, "search"),
            (none, 0, "noted"),
            (CREATE, 0, "found"),
            (DELETE, 0, "found"),
        ];
        assert_eq!(missed(&steps), [path("found"), path("found")]);
    }

    #[test]
    fn what_leaves_the_watched_folders_is_forgotten_and_so_are_the_oldest_names() {
        let none = ReadFlags::empty();
        let steps = [(CREATE, 0, "a"), (FROM, 1, "a"), (none, 0, "search")];
        assert!(missed(&steps).is_empty());
        let mut fleeting = Fleeting::default();
        for name in 0..2 * NAMES_MAX {
            assert_eq!(fleeting.note(CREATE, 0, &path(&name.to_string())), None);
        }
        assert_eq!(fleeting.unseen.len(), NAMES_MAX);
        assert_eq!(fleeting.note(DELETE, 0, &path("0")), None);
    }
}
