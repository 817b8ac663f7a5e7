//! Real files whose operations fail on demand, and which lose what was not synced when the power goes.
//!
//! Appending, renaming, removing and making folders are followed. A power cut keeps a part of what was not synced: of
//! a file some first part of its new bytes, perhaps with zeros at its end; of changes of names any. A failed sync has
//! forgotten that its bytes were dirty, so that the next one succeeds without them.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use vervet_journal::{FileEntry, FileSystem, JournalFile, OsFileSystem};

/// Choices that a seed makes again.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, 0 when there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(end).unwrap_or_default()
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

/// What goes wrong next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Bytes that may still be written before the disk is full.
    pub(super) room: Option<u64>,
    /// A write takes so many bytes at most.
    pub(super) write_bytes_max: Option<usize>,
    /// So many changes go well, and then so many fail with EIO. A failing write has written a part.
    pub(super) fail: Option<(u32, u32)>,
    /// So many syncs of files and folders go well, and then so many fail with EIO.
    pub(super) fail_syncs: Option<(u32, u32)>,
    /// After so many changes nothing happens any more: the power is out.
    pub(super) power_cut_after: Option<u32>,
}

/// The disk. Cloning shares it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

struct State {
    faults: Faults,
    dice: Dice,
    files: HashMap<PathBuf, Content>,
    /// Changes of names that no sync of their folder followed.
    names: Vec<Name>,
    /// Segments that could not be deleted.
    undeleted: BTreeSet<PathBuf>,
    struck: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Content {
    synced: u64,
    len: u64,
    /// Bytes from here on, up to `lost_to`, that no sync will write any more.
    lost_from: u64,
    lost_to: u64,
}

enum Name {
    Folder(PathBuf),
    File(PathBuf),
    /// With what was there before.
    Renamed(PathBuf, Option<Vec<u8>>),
    Removed(PathBuf, Vec<u8>),
}

impl Name {
    fn path(&self) -> &Path {
        match self {
            Self::Folder(path)
            | Self::File(path)
            | Self::Renamed(path, _)
            | Self::Removed(path, _) => path,
        }
    }
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl State {
    /// Counts a change; whether it fails.
    fn change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.faults.power_cut_after {
            if *left == 0 {
                self.struck += 1;
                return Err(eio());
            }
            *left -= 1;
        }
        let failed = strikes(&mut self.faults.fail);
        self.strike(failed)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.change()?;
        let failed = strikes(&mut self.faults.fail_syncs);
        self.strike(failed)
    }

    fn strike(&mut self, failed: bool) -> io::Result<()> {
        self.struck += u64::from(failed);
        if failed { Err(eio()) } else { Ok(()) }
    }
}

/// Whether the fault is due. It is over when it has struck often enough.
fn strikes(fault: &mut Option<(u32, u32)>) -> bool {
    match fault {
        Some((0, times)) if *times > 0 => {
            *times -= 1;
            true
        }
        Some((before, _times)) if *before > 0 => {
            *before -= 1;
            false
        }
        _ => false,
    }
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            faults: Faults::default(),
            dice: Dice::new(seed),
            files: HashMap::new(),
            names: Vec::new(),
            undeleted: BTreeSet::new(),
            struck: 0,
        })))
    }

    pub(super) fn mount(&self) -> Arc<dyn FileSystem> {
        Arc::new(self.clone())
    }

    pub(super) fn set(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// How often a fault has struck.
    pub(super) fn struck(&self) -> u64 {
        self.0.lock().struck
    }

    /// Whether the file could not be deleted when it should have been.
    pub(super) fn is_undeleted(&self, path: &Path) -> bool {
        self.0.lock().undeleted.contains(path)
    }

    /// A start of the machine: what was not synced is lost, or not. Nothing may be open.
    pub(super) fn cut_power(&self) {
        let mut state = self.0.lock();
        let state = &mut *state;
        state.faults = Faults::default();
        for (path, content) in std::mem::take(&mut state.files) {
            lose_bytes(&path, content, &mut state.dice);
        }
        for name in std::mem::take(&mut state.names).into_iter().rev() {
            if state.dice.one_in(2) {
                undo(name);
            }
        }
    }
}

fn lose_bytes(path: &Path, content: Content, dice: &mut Dice) {
    let Ok(file) = fs::OpenOptions::new().read(true).write(true).open(path) else {
        return;
    };
    forget(&file, content);
    let unsynced = content.len.saturating_sub(content.synced);
    if unsynced == 0 {
        return;
    }
    let kept = content.synced + dice.below(unsynced + 1);
    file.set_len(kept).expect("cut");
    if dice.one_in(3) {
        let zeros = dice.below(kept - content.synced + 1);
        file.set_len(kept - zeros).expect("cut");
        file.set_len(kept).expect("extended with zeros");
    }
}

/// The bytes whose sync failed are what the disk has there: zeros.
fn forget(file: &fs::File, content: Content) {
    let len = file.metadata().expect("metadata").len();
    let (from, to) = (content.lost_from, content.lost_to.min(len));
    if from < to {
        let zeros = vec![0; usize::try_from(to - from).expect("small")];
        std::os::unix::fs::FileExt::write_all_at(file, &zeros, from).expect("zeros");
    }
}

/// The change has not reached the disk.
fn undo(name: Name) {
    match name {
        Name::Folder(path) => drop(fs::remove_dir_all(path)),
        Name::File(path) | Name::Renamed(path, None) => drop(fs::remove_file(path)),
        Name::Renamed(path, Some(bytes)) | Name::Removed(path, bytes) => {
            if path.parent().is_some_and(Path::is_dir) {
                fs::write(path, bytes).expect("written");
            }
        }
    }
}

impl FileSystem for Disk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let parent = dir.parent().expect("absolute");
        if !dir.is_dir() {
            self.create_dir_all(parent)?;
            let mut state = self.0.lock();
            state.change()?;
            fs::create_dir(dir)?;
            state.names.push(Name::Folder(dir.to_owned()));
        }
        self.sync_dir(parent)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FileEntry>> {
        OsFileSystem.list(dir)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        let mut state = self.0.lock();
        state.change()?;
        if state.faults.room == Some(0) {
            state.struck += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inner = OsFileSystem.create_new(path)?;
        state.names.push(Name::File(path.to_owned()));
        state.files.insert(path.to_owned(), Content::default());
        Ok(self.wrap(path, inner))
    }

    fn open_write(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        let inner = OsFileSystem.open_write(path)?;
        let len = inner.len()?;
        let whole = Content {
            synced: len,
            len,
            ..Content::default()
        };
        let mut state = self.0.lock();
        state.files.entry(path.to_owned()).or_insert(whole);
        Ok(self.wrap(path, inner))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        OsFileSystem.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        let before = fs::read(to).ok();
        OsFileSystem.rename(from, to)?;
        let content = state.files.remove(from).unwrap_or_default();
        state.files.insert(to.to_owned(), content);
        state.names.retain(|name| name.path() != from);
        state.names.push(Name::Renamed(to.to_owned(), before));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Err(error) = state.change() {
            state.undeleted.insert(path.to_owned());
            return Err(error);
        }
        let bytes = fs::read(path)?;
        OsFileSystem.remove(path)?;
        state.undeleted.remove(path);
        let content = state.files.remove(path).unwrap_or_default();
        // One that never reached the disk whole does not come back.
        if content.synced == content.len {
            state.names.push(Name::Removed(path.to_owned(), bytes));
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.sync()?;
        state.names.retain(|name| name.path().parent() != Some(dir));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        OsFileSystem.lock(path)
    }
}

impl Disk {
    fn wrap(&self, path: &Path, inner: Arc<dyn JournalFile>) -> Arc<dyn JournalFile> {
        Arc::new(File {
            disk: self.clone(),
            path: path.to_owned(),
            inner,
        })
    }
}

struct File {
    disk: Disk,
    path: PathBuf,
    inner: Arc<dyn JournalFile>,
}

impl File {
    fn content<T>(&self, state: &mut State, update: impl FnOnce(&mut Content) -> T) -> Option<T> {
        state.files.get_mut(&self.path).map(update)
    }
}

impl JournalFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        let state = &mut *state;
        let failed = state.change();
        let mut take = bytes.len();
        take = take.min(state.faults.write_bytes_max.unwrap_or(usize::MAX));
        if failed.is_err() {
            // Torn: a part is there all the same.
            take = usize::try_from(state.dice.below(take as u64)).expect("less");
        }
        if let Some(room) = &mut state.faults.room {
            take = take.min(usize::try_from(*room).expect("small"));
            *room -= take as u64;
            if take == 0 && failed.is_ok() {
                state.struck += 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let (part, _rest) = bytes.split_at(take);
        // The disk under it is a real one, which may be full or limited too.
        let written = match part.is_empty() {
            true => 0,
            false => self.inner.write_at(part, offset)?,
        };
        let end = offset + written as u64;
        self.content(state, |content| {
            content.len = content.len.max(end);
            if offset <= content.lost_from {
                content.lost_from = content.lost_from.max(end);
            }
        });
        failed.map(|()| written)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change()?;
        self.inner.set_len(len)?;
        self.content(&mut state, |content| {
            content.len = len;
            content.synced = content.synced.min(len);
            content.lost_to = content.lost_to.min(len);
        });
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let state = &mut *state;
        if let Err(error) = state.sync() {
            self.content(state, |content| {
                (content.lost_from, content.lost_to) = (content.synced, content.len);
            });
            return Err(error);
        }
        self.content(state, |content| content.synced = content.len);
        Ok(())
    }

    fn forget_cached(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        if let Some(content) = self.content(&mut state, std::mem::take) {
            let file = fs::OpenOptions::new().write(true).open(&self.path)?;
            forget(&file, content);
            let after = Content {
                lost_from: 0,
                lost_to: 0,
                ..content
            };
            self.content(&mut state, |content| *content = after);
        }
        Ok(())
    }
}
