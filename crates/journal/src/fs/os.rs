//! The operating system's files.

use std::any::Any;
use std::fs::{DirEntry, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, CWD, OFlags, RenameFlags, renameat_with};

use super::{FileEntry, FileSystem, JournalFile};

// Telemetry may hold secrets: nobody but the owner reads the journal.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// A pipe in the place of a file is an error or empty, and is not waited for.
const NO_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if dir.is_dir() {
            // Whoever made it may not have come to the sync, or it failed.
            return match self.sync_dir(parent.unwrap_or(Path::new("."))) {
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
                _ => Ok(()),
            };
        }
        if let Some(parent) = parent {
            self.create_dir_all(parent)?;
        }
        match std::fs::DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(parent.unwrap_or(Path::new(".")))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FileEntry>> {
        std::fs::read_dir(dir)?
            .filter_map(|entry| describe(entry).transpose())
            .collect()
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        open(
            OpenOptions::new().read(true).write(true).create_new(true),
            path,
        )
    }

    fn open_write(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        open(OpenOptions::new().read(true).write(true), path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
        open(OpenOptions::new().read(true), path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn exchange(&self, from: &Path, to: &Path) -> io::Result<bool> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            // There is none yet, or it cannot be done here; what else is wrong the renaming says.
            Err(_) => self.rename(from, to).map(|()| false),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(NO_WAIT)
            .mode(FILE_MODE)
            .open(path)?;
        take(&file)?;
        // The file may be removed by hand; the folder is locked still.
        let folder = path.parent().map(File::open).transpose()?;
        match folder.as_ref().map_or(Ok(()), take) {
            // Not every file system locks folders.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
            taken => taken?,
        }
        Ok(Box::new(Lock { file, folder }))
    }

    fn lock_holder(&self, path: &Path) -> Option<u32> {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let mut locked = [Some(path), path.parent()].into_iter().flatten();
        locked.find_map(|path| holder(&locks, std::fs::metadata(path).ok()?.ino()))
    }

    fn is_lock_gone(&self, guard: &(dyn Any + Send + Sync)) -> bool {
        let is_gone = |file: &File| file.metadata().is_ok_and(|found| found.nlink() == 0);
        let lock = guard.downcast_ref::<Lock>();
        lock.is_some_and(|lock| is_gone(&lock.file) || lock.folder.as_ref().is_some_and(is_gone))
    }
}

/// What keeps others out of a folder.
struct Lock {
    file: File,
    folder: Option<File>,
}

fn take(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        TryLockError::Error(error) => error,
    })
}

/// The process that has locked the inode, by the text of `/proc/locks`.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    // Of each lock: number, kind, mode, access, process, device and inode, range.
    locks.lines().find_map(|lock| {
        let words: Vec<&str> = lock.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, file, ..] = words.as_slice() else {
            return None;
        };
        let is_it = file.rsplit(':').next() == Some(&inode);
        process.parse().ok().filter(|_| is_it)
    })
}

/// `None` when it has been deleted since it was listed.
fn describe(entry: io::Result<DirEntry>) -> io::Result<Option<FileEntry>> {
    let entry = entry?;
    let metadata = match entry.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    Ok(Some(FileEntry {
        name: entry.file_name().to_string_lossy().into_owned(),
        len: metadata.len(),
        is_file: metadata.is_file(),
    }))
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<Arc<dyn JournalFile>> {
    let file = options.mode(FILE_MODE).custom_flags(NO_WAIT).open(path)?;
    Ok(Arc::new(OsFile(file)))
}

struct OsFile(File);

impl JournalFile for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn links(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.nlink())
    }

    fn sync(&self) -> io::Result<()> {
        // The length is part of what fdatasync must write, so this is enough for an append.
        self.0.sync_data()
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.0, 0, None, Advice::DontNeed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_while_its_files_are_deleted() {
        const FILES: usize = 20_000;
        let dir = tempfile::tempdir().unwrap();
        let path = |number: usize| dir.path().join((number % 50).to_string());
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 0..FILES {
                    std::fs::write(path(number), b"").unwrap();
                    std::fs::remove_file(path(number + 25)).ok();
                }
            });
            while !writer.is_finished() {
                OsFileSystem.list(dir.path()).unwrap();
            }
        });
    }
}
