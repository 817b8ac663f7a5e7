//! A disk in memory that loses and reorders what was not synced, fills up, writes short, fails its syncs, rots, and
//! has bad sectors.
//!
//! It is as hostile as POSIX allows: a name is durable after a sync of its folder only, a folder after one of its parent,
//! un-synced pages and names survive a power cut in any combination, and a failed sync forgets that pages were
//! dirty, so that the next one succeeds without them.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use vervet_journal::{FileEntry, FileSystem, JournalFile};

/// The disk; outlives the power cuts.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    live: Names,
    durable: Names,
    name_changes: Vec<NameChange>,
    locks: BTreeMap<PathBuf, Arc<()>>,
    /// Handles of an earlier boot are dead.
    boot: u64,
    syncs: u64,
    faults: Faults,
    bad_sectors: Vec<BadSector>,
    dice: Dice,
}

/// What a lookup by path finds.
#[derive(Default, Clone)]
struct Names {
    files: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
}

/// Bytes of a file that cannot be read.
struct BadSector {
    inode: usize,
    offset: u64,
    bytes: u64,
}

/// What goes wrong next.
#[derive(Default)]
pub(crate) struct Faults {
    /// Bytes that may still be written before ENOSPC.
    pub(crate) room: Option<u64>,
    /// Bytes that all files may hold together; what is removed and not open gives room back.
    pub(crate) volume_bytes: Option<u64>,
    /// Every write takes at most this many bytes.
    pub(crate) write_bytes_max: Option<usize>,
    pub(crate) fail_syncs: bool,
    /// The change after this many fails, once.
    pub(crate) fail_change_after: Option<u32>,
    /// Changes until the power goes.
    pub(crate) power_cut_after: Option<u32>,
    /// Reads of segments fail at and after this offset.
    pub(crate) unreadable_from: Option<u64>,
    /// How long a sync takes, for tests of concurrency.
    pub(crate) sync_duration: std::time::Duration,
}

#[derive(Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Shared with every handle: a file that was removed keeps its bytes as long as one is open.
    open: Arc<()>,
    is_segment: bool,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

#[derive(Clone)]
enum NameChange {
    MakeFolder(PathBuf),
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    /// Two names, and what each is afterwards.
    Exchange([(PathBuf, usize); 2]),
    Remove(PathBuf),
}

/// Un-synced bytes survive a power cut in pieces of this size, so that records of tests span several.
const PAGE_BYTES: usize = 32;

impl Names {
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::MakeFolder(path) => drop(self.folders.insert(path.clone())),
            NameChange::Set(path, inode) => drop(self.files.insert(path.clone(), *inode)),
            NameChange::Rename(from, to, inode) => {
                self.files.remove(from);
                self.files.insert(to.clone(), *inode);
            }
            NameChange::Exchange(names) => self.files.extend(names.clone()),
            NameChange::Remove(path) => drop(self.files.remove(path)),
        }
    }

    fn has_folder(&self, folder: &Path) -> bool {
        folder == Path::new("/") || self.folders.contains(folder)
    }

    /// Takes away what no folder leads to.
    fn drop_unreachable(&mut self) {
        let folders = self.folders.clone();
        let reachable = |path: &Path| {
            let mut parents = path.ancestors().skip(1);
            parents.all(|parent| parent == Path::new("/") || folders.contains(parent))
        };
        self.folders.retain(|folder| reachable(folder));
        self.files.retain(|file, _| reachable(file));
    }
}

impl NameChange {
    /// Whether a sync of `folder` makes it durable.
    fn is_in(&self, folder: &Path) -> bool {
        let inside = |path: &Path| path.parent() == Some(folder);
        match self {
            Self::MakeFolder(path) | Self::Set(path, _) | Self::Remove(path) => inside(path),
            Self::Rename(from, to, _) => inside(from) || inside(to),
            Self::Exchange(names) => names.iter().any(|(path, _)| inside(path)),
        }
    }
}

impl Change {
    /// The pieces that reach the disk one by one.
    fn pages(&self) -> Vec<Self> {
        let Self::Write(offset, data) = self else {
            return vec![self.clone()];
        };
        let mut pages = Vec::new();
        let mut at = 0;
        while at < data.len() {
            let end = data
                .len()
                .min((offset + at) / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES - offset);
            pages.push(Self::Write(offset + at, data[at..end].to_vec()));
            at = end;
        }
        pages
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, data) => {
            bytes.resize(bytes.len().max(offset + data.len()), 0);
            bytes[*offset..offset + data.len()].copy_from_slice(data);
        }
        Change::SetLen(len) => bytes.resize(*len, 0),
    }
}

/// A small generator of choices.
#[derive(Default)]
struct Dice(u64);

impl Dice {
    /// A number from 0 to `max`.
    fn roll(&mut self, max: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % (max + 1)
    }
}

impl Disk {
    pub(crate) fn mount(&self) -> Arc<SimFs> {
        Arc::new(SimFs {
            disk: self.clone(),
            boot: self.0.lock().boot,
        })
    }

    pub(crate) fn faults(&self, set: impl FnOnce(&mut Faults)) {
        set(&mut self.0.lock().faults);
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// The power goes: of what was not synced, a part chosen by `seed` survives. Either a first part of it in order, the
    /// last piece torn or left as zeros, or any pages and names.
    pub(crate) fn crash(&self, seed: u64) {
        let mut state = self.0.lock();
        let state = &mut *state;
        state.dice = Dice(seed);
        state.boot += 1;
        state.faults = Faults::default();
        state.locks.clear();
        let reorder = state.dice.roll(1) == 1;
        state.keep_names(reorder);
        let dice = &mut state.dice;
        for inode in &mut state.inodes {
            match reorder {
                true => inode.keep_any(dice),
                false => inode.keep_first(dice),
            }
            inode.live = inode.durable.clone();
        }
    }

    /// Flips a bit of a file, chosen by `seed`, behind everyone's back: its path.
    pub(crate) fn flip(&self, seed: u64) -> Option<PathBuf> {
        let mut state = self.0.lock();
        let mut dice = Dice(seed);
        let count = state.live.files.len().checked_sub(1)?;
        let (path, inode) = state
            .live
            .files
            .iter()
            .nth(dice.roll(count))
            .map(|(path, inode)| (path.clone(), *inode))?;
        let inode = &mut state.inodes[inode];
        let at = dice.roll(inode.live.len().checked_sub(1)?);
        let bit = 1 << dice.roll(7);
        inode.live[at] ^= bit;
        if let Some(byte) = inode.durable.get_mut(at) {
            *byte ^= bit;
        }
        Some(path)
    }

    /// Cuts the last segment to a length chosen by `seed`, behind everyone's back: its path.
    pub(crate) fn cut_last(&self, seed: u64) -> Option<PathBuf> {
        let mut state = self.0.lock();
        let last = state.live.segments().last();
        let (path, inode) = last.map(|(path, inode)| (path.clone(), inode))?;
        let inode = &mut state.inodes[inode];
        let len = Dice(seed).roll(inode.live.len());
        inode.live.truncate(len);
        inode.durable.truncate(len);
        inode.unsynced.clear();
        Some(path)
    }

    /// Makes some bytes of a segment, chosen by `seed`, unreadable: its path.
    pub(crate) fn break_sector(&self, seed: u64) -> Option<PathBuf> {
        let mut state = self.0.lock();
        let mut dice = Dice(seed);
        let segments: Vec<_> = state
            .live
            .segments()
            .map(|(path, inode)| (path.clone(), inode))
            .collect();
        let (path, inode) = segments
            .get(dice.roll(segments.len().checked_sub(1)?))
            .cloned()?;
        let offset = dice.roll(state.inodes[inode].live.len()) as u64;
        state.bad_sectors.push(BadSector {
            inode,
            offset,
            bytes: 64,
        });
        Some(path)
    }

    pub(crate) fn mend_sectors(&self) {
        self.0.lock().bad_sectors.clear();
    }

    /// Whether nothing is set to go wrong.
    pub(crate) fn is_healthy(&self) -> bool {
        let state = self.0.lock();
        let faults = &state.faults;
        let fails = faults.fail_syncs
            || faults.fail_change_after.is_some()
            || faults.power_cut_after.is_some();
        let is_full = faults.room.is_some() || faults.volume_bytes.is_some();
        !is_full && !fails && state.bad_sectors.is_empty()
    }

    /// Whether the power is out.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.lock().faults.power_cut_after == Some(0)
    }

    /// First sequences of the segments, by their names.
    pub(crate) fn segment_firsts(&self) -> BTreeSet<u64> {
        let state = self.0.lock();
        let names = state.live.segments().filter_map(|(path, _)| {
            let stem = path.file_stem()?.to_str()?;
            stem.parse().ok()
        });
        names.collect()
    }

    /// Lets nothing more fit than is held now, and `more` bytes.
    pub(crate) fn fill_but(&self, more: usize) {
        let mut state = self.0.lock();
        let bytes = state.held_bytes() + more;
        state.faults.volume_bytes = Some(bytes as u64);
    }

    /// What would fit on the volume if all segments went; `None` unless its size is all that may go wrong.
    pub(crate) fn room_beside_segments(&self) -> Option<usize> {
        let state = self.0.lock();
        let faults = &state.faults;
        let fails = faults.room.is_some()
            || faults.fail_syncs
            || faults.fail_change_after.is_some()
            || faults.power_cut_after.is_some();
        let volume_bytes = faults.volume_bytes.filter(|_| !fails)?;
        let kept = state.held_bytes() - state.segment_bytes();
        Some(usize::try_from(volume_bytes).unwrap().saturating_sub(kept))
    }

    /// Handles of segments, those of removed ones included.
    pub(crate) fn open_segments(&self) -> usize {
        let state = self.0.lock();
        let segments = state.inodes.iter().filter(|inode| inode.is_segment);
        segments.map(Inode::handles).sum()
    }

    /// Whether somebody has a file open that was removed.
    pub(crate) fn holds_removed(&self) -> bool {
        let state = self.0.lock();
        let named: BTreeSet<usize> = state.live.files.values().copied().collect();
        let mut inodes = state.inodes.iter().enumerate();
        inodes.any(|(at, inode)| inode.handles() > 0 && !named.contains(&at))
    }

    /// Bytes of all segments.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.0.lock().segment_bytes() as u64
    }
}

impl Names {
    fn segments(&self) -> impl Iterator<Item = (&PathBuf, usize)> {
        let segments = self
            .files
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|end| end == "seg"));
        segments.map(|(path, inode)| (path, *inode))
    }
}

impl Inode {
    fn handles(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    fn keep_first(&mut self, dice: &mut Dice) {
        let kept = dice.roll(self.unsynced.len());
        let torn = self.unsynced.get(kept).cloned();
        for change in self.unsynced.drain(..).take(kept) {
            apply(&mut self.durable, &change);
        }
        if let Some(Change::Write(offset, data)) = torn {
            let mut part = data[..dice.roll(data.len())].to_vec();
            if dice.roll(3) == 0 {
                part.fill(0);
            }
            apply(&mut self.durable, &Change::Write(offset, part));
        }
    }

    fn keep_any(&mut self, dice: &mut Dice) {
        for page in std::mem::take(&mut self.unsynced)
            .iter()
            .flat_map(Change::pages)
        {
            if dice.roll(1) == 1 {
                apply(&mut self.durable, &page);
            }
        }
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply(&mut self.durable, &change);
        }
    }
}

pub(crate) struct SimFs {
    disk: Disk,
    boot: u64,
}

struct SimFile {
    disk: Disk,
    boot: u64,
    inode: usize,
    is_segment: bool,
    _open: Arc<()>,
}

fn power_is_out() -> io::Error {
    io::Error::other("the power is out")
}

impl State {
    fn check_boot(&self, boot: u64) -> io::Result<()> {
        if self.boot == boot && self.faults.power_cut_after != Some(0) {
            return Ok(());
        }
        Err(power_is_out())
    }

    /// Counts one change towards the power cut; the change that hits it still happens.
    fn change(&mut self, boot: u64) -> io::Result<()> {
        self.check_boot(boot)?;
        if let Some(left) = &mut self.faults.power_cut_after {
            *left -= 1;
        }
        match &mut self.faults.fail_change_after {
            Some(0) => {
                self.faults.fail_change_after = None;
                return Err(io::Error::other("the disk has failed"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    /// Bytes of all files that have a name or are open.
    fn held_bytes(&self) -> usize {
        let named: BTreeSet<usize> = self.live.files.values().copied().collect();
        let held = self.inodes.iter().enumerate();
        let held = held.filter(|(at, inode)| named.contains(at) || inode.handles() > 0);
        held.map(|(_, inode)| inode.live.len()).sum()
    }

    fn segment_bytes(&self) -> usize {
        let segments = self.live.segments();
        let bytes = segments.map(|(_, inode)| self.inodes[inode].live.len());
        bytes.sum()
    }

    fn change_name(&mut self, change: NameChange) {
        self.live.apply(&change);
        self.name_changes.push(change);
    }

    fn keep_names(&mut self, reorder: bool) {
        let kept = self.dice.roll(self.name_changes.len());
        for (at, change) in self.name_changes.drain(..).enumerate() {
            let survives = if reorder {
                self.dice.roll(1) == 1
            } else {
                at < kept
            };
            if survives {
                self.durable.apply(&change);
            }
        }
        self.durable.drop_unreachable();
        self.live = self.durable.clone();
    }

    /// The first byte from `offset` on that cannot be read.
    fn bad_from(&self, inode: usize, offset: u64) -> Option<u64> {
        let bad = self
            .bad_sectors
            .iter()
            .filter(|bad| bad.inode == inode && bad.offset + bad.bytes > offset);
        bad.map(|bad| bad.offset.max(offset)).min()
    }
}

impl SimFs {
    fn open(&self, state: &State, inode: usize) -> Arc<dyn JournalFile> {
        let Inode {
            is_segment, open, ..
        } = &state.inodes[inode];
        Arc::new(SimFile {
            disk: self.disk.clone(),
            boot: self.boot,
            inode,
            is_segment: *is_segment,
            _open: Arc::clone(open),
        })
    }
}

impl FileSystem for SimFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if self.disk.0.lock().live.has_folder(dir) {
            return self.disk.0.lock().check_boot(self.boot);
        }
        let parent = dir.parent().unwrap_or(Path::new("/"));
        self.create_dir_all(parent)?;
        {
            let mut state = self.disk.0.lock();
            state.change(self.boot)?;
            state.change_name(NameChange::MakeFolder(dir.to_path_buf()));
        }
        self.sync_dir(parent)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FileEntry>> {
        let state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        if !state.live.has_folder(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let files = state.live.files.iter();
        let inside = files.filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside
            .map(|(path, inode)| FileEntry {
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                len: state.inodes[*inode].live.len() as u64,
                is_file: true,
            })
            .collect())
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        if state.live.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !state.live.has_folder(path.parent().unwrap()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.inodes.push(Inode {
            is_segment: path.extension().is_some_and(|extension| extension == "seg"),
            ..Inode::default()
        });
        let inode = state.inodes.len() - 1;
        state.change_name(NameChange::Set(path.to_path_buf(), inode));
        Ok(self.open(&state, inode))
    }

    fn open_write(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        self.open_read(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        let state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        let inode = *state.live.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.open(&state, inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        let inode = *state.live.files.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change_name(NameChange::Rename(
            from.to_path_buf(),
            to.to_path_buf(),
            inode,
        ));
        Ok(())
    }

    fn exchange(&self, from: &Path, to: &Path) -> io::Result<bool> {
        let mut state = self.disk.0.lock();
        let files = &state.live.files;
        let Some((one, other)) = files.get(from).copied().zip(files.get(to).copied()) else {
            drop(state);
            return self.rename(from, to).map(|()| false);
        };
        state.change(self.boot)?;
        state.change_name(NameChange::Exchange([
            (from.to_path_buf(), other),
            (to.to_path_buf(), one),
        ]));
        Ok(true)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        if !state.live.files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        if state.faults.fail_syncs {
            return Err(io::Error::other("sync failed"));
        }
        let (now, later) = std::mem::take(&mut state.name_changes)
            .into_iter()
            .partition(|change| change.is_in(dir));
        state.name_changes = later;
        let now: Vec<NameChange> = now;
        now.iter().for_each(|change| state.durable.apply(change));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        if state
            .locks
            .get(path)
            .is_some_and(|held| Arc::strong_count(held) > 1)
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let guard = Arc::new(());
        state.locks.insert(path.to_path_buf(), Arc::clone(&guard));
        Ok(Box::new(guard))
    }
}

impl JournalFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        let mut wanted = buf.len();
        if let Some(limit) = state.faults.unreadable_from.filter(|_| self.is_segment) {
            let before = usize::try_from(limit.saturating_sub(offset)).unwrap();
            if before == 0 {
                return Err(io::Error::other("bad sector"));
            }
            wanted = wanted.min(before);
        }
        if let Some(bad) = state.bad_from(self.inode, offset) {
            let before = usize::try_from(bad - offset).unwrap();
            if before == 0 && wanted > 0 {
                return Err(io::Error::other("bad sector"));
            }
            wanted = wanted.min(before);
        }
        let live = &state.inodes[self.inode].live;
        let rest = live
            .get(usize::try_from(offset).unwrap()..)
            .unwrap_or_default();
        let read = rest.len().min(wanted);
        buf[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        let mut take = bytes
            .len()
            .min(state.faults.write_bytes_max.unwrap_or(usize::MAX));
        if let Some(room) = &mut state.faults.room {
            take = take.min(usize::try_from(*room).unwrap());
            *room -= take as u64;
            if take == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        if let Some(volume_bytes) = state.faults.volume_bytes {
            let held = state.held_bytes();
            let free = usize::try_from(volume_bytes).unwrap().saturating_sub(held);
            let inside = state.inodes[self.inode].live.len() - usize::try_from(offset).unwrap();
            take = take.min(inside + free);
            if take == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let offset = usize::try_from(offset).unwrap();
        let change = Change::Write(offset, bytes[..take].to_vec());
        let inode = &mut state.inodes[self.inode];
        apply(&mut inode.live, &change);
        inode.unsynced.push(change);
        Ok(take)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        let inode = &mut state.inodes[self.inode];
        let change = Change::SetLen(usize::try_from(len).unwrap());
        apply(&mut inode.live, &change);
        inode.unsynced.push(change);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        Ok(state.inodes[self.inode].live.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let duration = self.disk.0.lock().faults.sync_duration;
        std::thread::sleep(duration);
        let mut state = self.disk.0.lock();
        let state = &mut *state;
        state.syncs += 1;
        state.check_boot(self.boot)?;
        let failed = state.change(self.boot).is_err() || state.faults.fail_syncs;
        let inode = &mut state.inodes[self.inode];
        if failed {
            // Some pages got through; the rest is not dirty any more.
            inode.keep_any(&mut state.dice);
            return Err(io::Error::other("sync failed"));
        }
        inode.sync();
        Ok(())
    }

    fn forget_cached(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        let inode = &mut state.inodes[self.inode];
        if inode.unsynced.is_empty() {
            inode.live = inode.durable.clone();
        }
        Ok(())
    }
}
