//! What the kernel tells of folders and idle files (inotify), so that neither has to be looked at all the time.
//!
//! Folders are watched for names that come, go and change; idle files for the first byte that is written to them,
//! after which that watch is over. All of it only makes the agent quicker and cheaper: without inotify, or when the
//! system's limit of watches is reached, sweeps find the same a little later.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::identity::FileId;

/// Events read at once take this much room (bytes).
const EVENT_BYTES: usize = 16 << 10;
/// Events taken in one go; the others wait for the next.
const EVENTS_MAX: usize = 8_192;

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

    /// Takes what has happened, each fact once.
    pub(super) fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(inotify) = &self.inotify else {
            return events;
        };
        let mut space = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = inotify::Reader::new(inotify, &mut space);
        let mut moved_from: HashMap<u32, PathBuf> = HashMap::new();
        while events.len() < EVENTS_MAX || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_nothing_more) => break,
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
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
                    note_move(&mut moved_from, &mut events, flags, cookie, path);
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
        events
    }
}

fn note_move(
    moved_from: &mut HashMap<u32, PathBuf>,
    events: &mut Vec<Event>,
    flags: ReadFlags,
    cookie: u32,
    path: Option<PathBuf>,
) {
    let Some(path) = path else { return };
    if flags.contains(ReadFlags::MOVED_FROM) {
        moved_from.insert(cookie, path);
    } else if flags.contains(ReadFlags::MOVED_TO)
        && let Some(from) = moved_from.remove(&cookie)
    {
        events.push(Event::Moved { from, to: path });
    }
}

/// The name of the file behind a descriptor, wherever it has been moved to; `None` once it has none.
pub(super) fn current_name(file: &std::fs::File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let deleted = link.as_os_str().as_bytes().ends_with(b" (deleted)");
    (!deleted && link.is_absolute()).then_some(link)
}
