//! What was read and is not followed: which of it can still turn up, so that positions do not pile up.
//!
//! In: the pasts, and the folders they were in. Out: news for those who store positions. The content of a file that is in its
//! folder no more, or that was cut, is over: it is remembered for [`OVER_KEPT`], in which it may turn up as a copy or
//! compressed. Of a file that is there still, rotated and given up, the place is kept.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Tailer;
use crate::buffer::OVER_KEPT;
use crate::pipeline::FileState;
use crate::receivers::filelog::identity::FileId;
use crate::receivers::filelog::pasts::{NO_DEVICE, Past};

/// Time between two looks, and before the first: until then all files have been found.
const LOOK_INTERVAL: Duration = Duration::from_secs(600);
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// What was told of the pasts.
pub(super) struct Leftovers {
    told: HashMap<FileId, Told>,
    due: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    state: FileState,
    since: Instant,
}

/// Files in a folder; `None` where it cannot be told.
type Folder = Option<HashSet<FileId>>;

impl Leftovers {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            told: HashMap::new(),
            due: now + FIRST_LOOK,
        }
    }
}

impl Tailer {
    /// Looks, when it is time, which pasts are over, tells it and forgets those that have been for long.
    pub(super) fn look_at_leftovers(&mut self, now: Instant) {
        if self.first_sweep || now < self.leftovers.due {
            return;
        }
        self.leftovers.due = now + LOOK_INTERVAL;
        let mut folders: HashMap<PathBuf, Folder> = HashMap::new();
        let judged = self
            .pasts
            .all()
            .map(|past| (past.id, judge(past, &mut folders)));
        let judged: HashMap<FileId, FileState> = judged.collect();
        let told = &mut self.leftovers.told;
        told.retain(|id, _| judged.contains_key(id));
        for (id, state) in judged {
            let before = told.get(&id).copied();
            if before.is_some() {
                // A copy made at the moment of a cut has been found by now.
                self.pasts.forget_recent(id);
            }
            match before.filter(|told| told.state == state) {
                Some(told)
                    if state == FileState::Over && now.duration_since(told.since) >= OVER_KEPT =>
                {
                    self.pasts.take(id);
                }
                Some(_) => {}
                None if self.sink.note_state(id, state) => {
                    told.insert(id, Told { state, since: now });
                }
                None => {}
            }
        }
        let pasts = &self.pasts;
        told.retain(|id, _| pasts.get(*id).is_some());
    }

    /// The file has its past no more.
    pub(super) fn followed_again(&mut self, id: FileId) {
        if self.leftovers.told.remove(&id).is_some() {
            // Where its position waits to go, that says the same.
            let _noted = self.sink.note_state(id, FileState::Followed);
        }
    }
}

fn judge(past: &Past, folders: &mut HashMap<PathBuf, Folder>) -> FileState {
    if past.id.0 == NO_DEVICE {
        return FileState::Over;
    }
    let Some(path) = past.path.parent() else {
        return FileState::Left;
    };
    if !folders.contains_key(path) {
        folders.insert(path.to_owned(), files_in(path));
    }
    match folders.get(path) {
        Some(Some(files)) if !files.contains(&past.id) => FileState::Over,
        _ => FileState::Left,
    }
}

fn files_in(path: &Path) -> Folder {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(HashSet::new()),
        Err(_) => return None,
    };
    let mut files = HashSet::new();
    for entry in entries {
        // A link stands for the file it leads to; one that leads nowhere for none.
        if let Ok(metadata) = std::fs::metadata(entry.ok()?.path()) {
            files.insert((metadata.dev(), metadata.ino()));
        }
    }
    Some(files)
}
