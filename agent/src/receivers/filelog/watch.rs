//! What the kernel tells of folders and idle files (inotify), so that neither has to be looked at all the time.
//!
//! Folders are watched for names that come, go and change; idle files for the first byte that is written to them,
//! after which that watch is over. All of it only makes the agent quicker and cheaper: without inotify, or when the
//! system's limit of watches is reached, sweeps find the same a little later.

mod fleeting;

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use self::fleeting::Fleeting;
use super::identity::FileId;

/// Events read at once take this much room (bytes).
const EVENT_BYTES: usize = 16 << 10;
/// Events taken in one go; the others wait for the next.
const EVENTS_MAX: usize = 8_192;
/// Names given up whose new ones have not been told yet, at most: what is moved out of the watched folders gets none.
const MOVES_MAX: usize = 1_024;

/// File systems others can write to without this kernel's knowledge, by the numbers that `statfs(2)` gives: NFS, SMB, CIFS,
/// SMB2, Ceph, FUSE (virtiofs too), 9p, AFS, GFS2, OCFS2, Lustre, VirtualBox.
const SHARED_FILE_SYSTEMS: [u32; 13] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x00c3_6400,
    0x6573_5546,
    0x0102_1997,
    0x5346_414f,
    0x6b41_4653,
    0x0116_1970,
    0x7461_636f,
    0x0bd0_0bd0,
    0x786f_4256,
];

/// Something happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Names in a folder have changed.
    Folder(PathBuf),
    /// A name was given up for another one.
    Moved { from: PathBuf, to: PathBuf },
    /// A file came under that name, and was deleted before a search.
    Missed(PathBuf),
    /// An idle file was written to. Its watch is over.
    Written(FileId),
    /// The kernel had more to tell than it could keep.
    Overflow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Folder(PathBuf),
    File(FileId),
}

/// The watches of one receiver.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    inotify: Option<AsyncFd<OwnedFd>>,
    targets: HashMap<i32, Target>,
    folders: HashMap<PathBuf, i32>,
    /// By device: whether every write to it is told of.
    tells_all: HashMap<u64, bool>,
    moves: Moves,
    fleeting: Fleeting,
    /// The system's limit was reached; said once.
    is_full: bool,
}

impl Watcher {
    /// Must be called in the context of a Tokio runtime. A system without inotify gets a watcher that sees nothing.
    pub(super) fn new() -> Self {
        #[expect(
            deprecated,
            reason = "sound here: an owned descriptor stays the same for as long as it is registered"
        )]
        let opened = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(std::io::Error::from)
            .and_then(AsyncFd::new);
        let inotify = opened
            .inspect_err(|error| {
                tracing::warn!(%error, "no file notifications, files are looked for every second");
            })
            .ok();
        Self {
            inotify,
            ..Self::default()
        }
    }

    /// Watches the names in a folder, as long as it exists.
    pub(super) fn watch_folder(&mut self, folder: &Path) {
        if self.folders.contains_key(folder) {
            return;
        }
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        let Some(watch) = self.add(folder, flags) else {
            return;
        };
        // The same folder by another path has the same watch: events carry the path that was first.
        let target = || Target::Folder(folder.to_owned());
        self.targets.entry(watch).or_insert_with(target);
        self.folders.insert(folder.to_owned(), watch);
    }

    /// The folder is of no interest any more, or gone.
    pub(super) fn forget_folder(&mut self, folder: &Path) {
        let Some(watch) = self.folders.remove(folder) else {
            return;
        };
        self.targets.remove(&watch);
        if let Some(inotify) = &self.inotify {
            // It fails when the folder, and so the watch, is gone.
            let _gone = inotify::remove_watch(inotify, watch);
        }
    }

    /// Waits for the first write to an idle file. False when it cannot be watched.
    pub(super) fn watch_file(&mut self, id: FileId, path: &Path) -> bool {
        if !self.tells_all(id.0, path) {
            return false;
        }
        let flags = WatchFlags::MODIFY | WatchFlags::ONESHOT;
        let Some(watch) = self.add(path, flags) else {
            return false;
        };
        // The name may lead to another file by now, which has the watch then.
        let found = std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
        if !matches!(found, Ok(found) if found == id) {
            return false;
        }
        self.targets.insert(watch, Target::File(id));
        true
    }

    /// Whether the kernel knows of every write to files of that device, of which `path` is one.
    fn tells_all(&mut self, device: u64, path: &Path) -> bool {
        if let Some(known) = self.tells_all.get(&device) {
            return *known;
        }
        // Of a file that is gone the next one tells.
        let Ok(statistics) = rustix::fs::statfs(path) else {
            return true;
        };
        let kind = i128::from(statistics.f_type) & i128::from(u32::MAX);
        let tells = !SHARED_FILE_SYSTEMS
            .iter()
            .any(|shared| i128::from(*shared) == kind);
        self.tells_all.insert(device, tells);
        tells
    }

    fn add(&mut self, path: &Path, flags: WatchFlags) -> Option<i32> {
        let inotify = self.inotify.as_ref()?;
        match inotify::add_watch(inotify, path, flags) {
            Ok(watch) => Some(watch),
            Err(Errno::NOSPC) if !self.is_full => {
                self.is_full = true;
                tracing::warn!(
                    "limit of file notifications reached (fs.inotify.max_user_watches), the rest is looked at every few seconds"
                );
                None
            }
            Err(_gone_or_full) => None,
        }
    }

    /// Returns when there may be events, or after `timeout`. Cancel safe.
    pub(super) async fn wait(&self, timeout: Duration) {
        let Some(inotify) = &self.inotify else {
            return tokio::time::sleep(timeout).await;
        };
        // Cleared before `drain` reads, so that what comes in between wakes the next wait.
        if let Ok(Ok(mut ready)) = tokio::time::timeout(timeout, inotify.readable()).await {
            ready.clear_ready();
        }
    }

    /// A search is over that has `found` new names, and that `knows` these.
    pub(super) fn searched<'p>(
        &mut self,
        found: impl Iterator<Item = &'p Path>,
        knows: impl Fn(&Path) -> bool,
    ) {
        if self.inotify.is_some() {
            self.fleeting.searched(found, knows);
        }
    }

    /// A file of that name was found without a search.
    pub(super) fn found(&mut self, path: &Path) {
        self.fleeting.found(path);
    }

    /// Takes what has happened, each fact once.
    pub(super) fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(inotify) = &self.inotify else {
            return events;
        };
        let mut space = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = inotify::Reader::new(inotify, &mut space);
        while events.len() < EVENTS_MAX || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_nothing_more) => break,
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                self.fleeting.forget_all();
                events.push(Event::Overflow);
                continue;
            }
            let name = event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()));
            let (watch, flags, cookie) = (event.wd(), event.events(), event.cookie());
            let found = match self.targets.get(&watch) {
                None => continue,
                Some(Target::File(id)) => Event::Written(*id),
                Some(Target::Folder(folder)) => {
                    let path = name.map(|name| folder.join(name));
                    let missed = path.as_deref();
                    let missed = missed.and_then(|path| self.fleeting.note(flags, cookie, path));
                    events.extend(missed.map(Event::Missed));
                    let moved = path.and_then(|path| self.moves.note(flags, cookie, path));
                    events.extend(moved);
                    Event::Folder(folder.clone())
                }
            };
            // The kernel removes a watch that has fired once, or whose folder is gone.
            if flags.contains(ReadFlags::IGNORED) || matches!(found, Event::Written(_)) {
                if let Some(Target::Folder(folder)) = self.targets.remove(&watch) {
                    self.folders.remove(&folder);
                }
                if flags.contains(ReadFlags::IGNORED) && matches!(found, Event::Written(_)) {
                    continue;
                }
            }
            if !events.contains(&found) {
                events.push(found);
            }
        }
        self.fleeting.noted();
        events
    }
}

/// Names that were given up for others, by what the kernel calls the move. The latest last.
#[derive(Debug, Default)]
struct Moves(VecDeque<(u32, PathBuf)>);

impl Moves {
    /// Takes one half of a move: the move, if it is the other half. The halves may be taken at different times.
    fn note(&mut self, flags: ReadFlags, cookie: u32, path: PathBuf) -> Option<Event> {
        if flags.contains(ReadFlags::MOVED_FROM) {
            if self.0.len() >= MOVES_MAX {
                self.0.pop_front();
            }
            self.0.push_back((cookie, path));
            return None;
        }
        if !flags.contains(ReadFlags::MOVED_TO) {
            return None;
        }
        let at = self.0.iter().rposition(|(known, _)| *known == cookie)?;
        let (_, from) = self.0.remove(at)?;
        Some(Event::Moved { from, to: path })
    }
}

/// Leads to the file behind a descriptor, whatever its name.
pub(super) fn path_of_descriptor(file: &std::fs::File) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Where the file behind a descriptor is, wherever it has been moved to, without a link on the way. Of one that is deleted
/// where it was, with a note behind the name.
pub(super) fn place(file: &std::fs::File) -> Option<PathBuf> {
    let link = std::fs::read_link(path_of_descriptor(file)).ok()?;
    link.is_absolute().then_some(link)
}

/// The name of the file behind a descriptor, wherever it has been moved to; `None` once it has none.
pub(super) fn current_name(file: &std::fs::File) -> Option<PathBuf> {
    let place = place(file)?;
    let deleted = place.as_os_str().as_bytes().ends_with(b" (deleted)");
    (!deleted).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_move_are_put_together_whenever_they_are_told() {
        let mut moves = Moves::default();
        let path = |number: u32| PathBuf::from(format!("/log/{number}"));
        let count = u32::try_from(MOVES_MAX).expect("few");
        for cookie in 0..=count {
            assert_eq!(
                moves.note(ReadFlags::MOVED_FROM, cookie, path(cookie)),
                None
            );
        }
        let mut to = |cookie| moves.note(ReadFlags::MOVED_TO, cookie, path(7_000));
        assert_eq!(to(0), None, "the oldest is forgotten");
        let (from, to_path) = (path(1), path(7_000));
        assert_eq!(to(1), Some(Event::Moved { from, to: to_path }));
        assert_eq!(to(1), None);
        assert_eq!(moves.0.len(), MOVES_MAX - 1);
    }
}
