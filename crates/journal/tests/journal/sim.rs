//! A disk in memory that loses what was not synced, fills up, writes short and fails its syncs.

use std::any::Any;
use std::collections::BTreeMap;
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
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<NameChange>,
    locks: BTreeMap<PathBuf, Arc<()>>,
    /// Handles of an earlier boot are dead.
    boot: u64,
    syncs: u64,
    faults: Faults,
}

/// What goes wrong next.
#[derive(Default)]
pub(crate) struct Faults {
    /// Bytes that may still be written before ENOSPC.
    pub(crate) room: Option<u64>,
    /// Every write takes at most this many bytes.
    pub(crate) write_bytes_max: Option<usize>,
    pub(crate) fail_syncs: bool,
    /// Changes until the power goes.
    pub(crate) power_cut_after: Option<u32>,
    /// Reads of segments fail at and after this offset.
    pub(crate) unreadable_from: Option<u64>,
    /// How long a sync takes, for tests of concurrency.
    pub(crate) sync_duration: std::time::Duration,
}

#[derive(Default, Clone)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

enum NameChange {
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
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

fn rename(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Set(path, inode) => drop(names.insert(path.clone(), *inode)),
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        NameChange::Remove(path) => drop(names.remove(path)),
    }
}

/// A small generator of choices.
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

    /// The power goes: of what was not synced, a part chosen by `seed` survives, in order, the
    /// last piece torn or left as zeros.
    pub(crate) fn crash(&self, seed: u64) {
        let mut dice = Dice(seed);
        let mut state = self.0.lock();
        let state = &mut *state;
        state.boot += 1;
        state.faults = Faults::default();
        state.locks.clear();
        let kept = dice.roll(state.name_changes.len());
        for change in state.name_changes.drain(..).take(kept) {
            rename(&mut state.durable_names, &change);
        }
        state.names = state.durable_names.clone();
        for inode in &mut state.inodes {
            let kept = dice.roll(inode.unsynced.len());
            let torn = inode.unsynced.get(kept).cloned();
            for change in inode.unsynced.drain(..).take(kept) {
                apply(&mut inode.durable, &change);
            }
            if let Some(Change::Write(offset, data)) = torn {
                let mut part = data[..dice.roll(data.len())].to_vec();
                if dice.roll(3) == 0 {
                    part.fill(0);
                }
                apply(&mut inode.durable, &Change::Write(offset, part));
            }
            inode.live = inode.durable.clone();
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
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        rename(&mut self.names, &change);
        self.name_changes.push(change);
    }
}

impl SimFs {
    fn open(&self, path: &Path, inode: usize) -> Arc<dyn JournalFile> {
        let is_segment = path.extension().is_some_and(|extension| extension == "seg");
        Arc::new(SimFile {
            disk: self.disk.clone(),
            boot: self.boot,
            inode,
            is_segment,
        })
    }
}

impl FileSystem for SimFs {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        self.disk.0.lock().check_boot(self.boot)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FileEntry>> {
        let state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        let inside = state
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
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
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.change_name(NameChange::Set(path.to_path_buf(), inode));
        Ok(self.open(path, inode))
    }

    fn open_write(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        self.open_read(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        let state = self.disk.0.lock();
        state.check_boot(self.boot)?;
        let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.open(path, inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        state.change_name(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change(self.boot)?;
        if state.faults.fail_syncs {
            return Err(io::Error::other("sync failed"));
        }
        state.durable_names = state.names.clone();
        state.name_changes.clear();
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
        state.change(self.boot)?;
        state.syncs += 1;
        if state.faults.fail_syncs {
            return Err(io::Error::other("sync failed"));
        }
        let inode = &mut state.inodes[self.inode];
        inode.durable = inode.live.clone();
        inode.unsynced.clear();
        Ok(())
    }
}
