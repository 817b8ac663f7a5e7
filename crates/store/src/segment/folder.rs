//! The folder that segments are written below, and the file operations it is done with.

use std::path::{Path, PathBuf};

use vervet_journal::{FileSystem, OsFileSystem};

/// Where segments are written. A path alone means the operating system's files.
#[derive(Clone, Copy)]
pub struct SegmentFolder<'f> {
    /// Holds one folder a table.
    pub dir: &'f Path,
    /// What tests make fail.
    pub fs: &'f dyn FileSystem,
}

impl<'f> From<&'f Path> for SegmentFolder<'f> {
    fn from(dir: &'f Path) -> Self {
        Self {
            dir,
            fs: &OsFileSystem,
        }
    }
}

impl<'f> From<&'f PathBuf> for SegmentFolder<'f> {
    fn from(dir: &'f PathBuf) -> Self {
        Self::from(dir.as_path())
    }
}
