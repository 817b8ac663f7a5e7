//! What becomes of files whose positions are stored.

/// Whether anything of a file can follow. The order is that in which positions go when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileState {
    /// It is deleted, or was cut: only a copy of it can turn up.
    Over,
    /// It is there, but its receiver does not follow it at the moment.
    Left,
    Followed,
}

/// A file, by device and inode, and what has become of it.
pub type FileNews = ((u64, u64), FileState);
