//! The few file operations a journal needs, behind a trait so that tests can make them fail.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A folder entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// File name; names that are not UTF-8 are shown with replacement characters.
    pub name: String,
    /// Bytes in the file.
    pub len: u64,
    /// Whether it is a regular file.
    pub is_file: bool,
}

/// File operations of a journal. Each may fail like its operating system call.
pub trait FileSystem: Send + Sync + 'static {
    /// Creates a folder and its parents, durably.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Lists a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<FileEntry>>;
    /// Creates a file that must not exist, for reading and writing.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>>;
    /// Opens a file for reading and writing.
    fn open_write(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>>;
    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn JournalFile>>;
    /// Replaces `to` by `from` atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Replaces `to` by `from` atomically, as `rename` does, and gives what was `to` the name `from`, where the file system
    /// can do that: whether it could. By default it cannot.
    fn exchange(&self, from: &Path, to: &Path) -> io::Result<bool> {
        self.rename(from, to).map(|()| false)
    }
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in the folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on a file, created when absent, until the guard is dropped.
    /// `WouldBlock` when someone else has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;
    /// The process that has locked a file, where that can be known. By default it cannot.
    fn lock_holder(&self, _path: &Path) -> Option<u32> {
        None
    }
    /// Whether the file that a guard has locked has been removed, so that it keeps nobody out. By default it has not.
    fn is_lock_gone(&self, _guard: &(dyn Any + Send + Sync)) -> bool {
        false
    }
}

/// An open file. Offsets are explicit, so that handles can be shared.
pub trait JournalFile: Send + Sync {
    /// Reads up to `buf.len()` bytes; 0 means the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes up to `bytes.len()` bytes and says how many.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Makes the contents and the length durable.
    fn sync(&self) -> io::Result<()>;
    /// Forgets what is cached of the file and clean, so that the next read shows what the disk holds. After a failed
    /// sync the cache may hold bytes that will never be written. Best effort: does nothing by default.
    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }
    /// How many names the file has. One by default.
    fn links(&self) -> io::Result<u64> {
        Ok(1)
    }
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

mod os;
pub use os::OsFileSystem;
pub(crate) mod exact;
