//! The operating system's files, on a disk that can be made full, fail its syncs, or not answer them.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};
use vervet_journal::{FileEntry, FileSystem, JournalFile, OsFileSystem};

#[derive(Default)]
pub(crate) struct FullDisk {
    pub(crate) is_full: Arc<AtomicBool>,
    pub(crate) fails_syncs: Arc<AtomicBool>,
    /// No file may be made or renamed, as in a folder that is somebody else's.
    pub(crate) is_read_only: Arc<AtomicBool>,
    /// There is no room for more at once; 0 for any.
    pub(crate) write_bytes_max: Arc<AtomicUsize>,
    pub(crate) hold: Arc<Hold>,
}

/// Syncs wait while it holds.
#[derive(Default)]
pub(crate) struct Hold {
    holds: Mutex<bool>,
    changed: Condvar,
}

impl Hold {
    pub(crate) fn set(&self, holds: bool) {
        *self.holds.lock() = holds;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut holds = self.holds.lock();
        self.changed.wait_while(&mut holds, |holds| *holds);
    }
}

struct File {
    inner: Arc<dyn JournalFile>,
    is_full: Arc<AtomicBool>,
    fails_syncs: Arc<AtomicBool>,
    write_bytes_max: Arc<AtomicUsize>,
    hold: Arc<Hold>,
}

fn check(is_full: &AtomicBool) -> io::Result<()> {
    match is_full.load(Ordering::SeqCst) {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    }
}

impl FullDisk {
    fn wrap(&self, inner: Arc<dyn JournalFile>) -> Arc<dyn JournalFile> {
        Arc::new(File {
            inner,
            is_full: Arc::clone(&self.is_full),
            fails_syncs: Arc::clone(&self.fails_syncs),
            write_bytes_max: Arc::clone(&self.write_bytes_max),
            hold: Arc::clone(&self.hold),
        })
    }
}

impl FullDisk {
    fn check_writable(&self) -> io::Result<()> {
        match self.is_read_only.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    }
}

impl FileSystem for FullDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        OsFileSystem.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<FileEntry>> {
        OsFileSystem.list(dir)
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        self.check_writable()?;
        check(&self.is_full)?;
        OsFileSystem.create_new(path).map(|file| self.wrap(file))
    }
    fn open_write(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        OsFileSystem.open_write(path).map(|file| self.wrap(file))
    }
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        OsFileSystem.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check_writable()?;
        OsFileSystem.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsFileSystem.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        OsFileSystem.lock(path)
    }
}

impl JournalFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        check(&self.is_full)?;
        match self.write_bytes_max.load(Ordering::SeqCst) {
            max if max > 0 && bytes.len() > max => Err(io::ErrorKind::StorageFull.into()),
            _ => self.inner.write_at(bytes, offset),
        }
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn sync(&self) -> io::Result<()> {
        self.hold.wait();
        if self.fails_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk has failed"));
        }
        self.inner.sync()
    }
}
