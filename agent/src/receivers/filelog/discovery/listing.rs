//! What a folder held when it was last read.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::receivers::filelog::identity::FileId;

/// A folder changed so shortly before it was listed may change again within the same tick of its clock.
const RACY: Duration = Duration::from_secs(2);

/// Files in a folder that a pattern names.
pub(super) type Matches = HashMap<OsString, Matched>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matched {
    pub(super) id: FileId,
    /// The inode the folder's entry names, which is another one's than the file's for a link.
    pub(super) inode: u64,
    pub(super) is_link: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    Link,
    Other,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) inode: u64,
    kind: Kind,
}

#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The look that came here last.
    pub(super) visited: u64,
    /// Whether that look has read the folder anew.
    pub(super) is_fresh: bool,
    /// It is of one name, not of a folder.
    pub(super) is_of_file: bool,
    modified: Option<(i64, i64)>,
    /// After the look that has read them, only folders and links.
    pub(super) entries: Vec<Entry>,
    pub(super) matched: Matches,
}

impl Matched {
    /// A file that must be looked at every time.
    pub(super) fn link(id: FileId) -> Self {
        Self {
            id,
            inode: id.1,
            is_link: true,
        }
    }
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    pub(super) fn matched(&self, id: FileId) -> Matched {
        Matched {
            id,
            inode: self.inode,
            is_link: self.kind == Kind::Link,
        }
    }
}

impl Listing {
    /// Reads the folder unless it is as it was: whether it was read.
    ///
    /// # Errors
    /// It is gone or may not be read; the listing is empty then.
    pub(super) fn refresh(&mut self, folder: &Path, forced: bool) -> io::Result<bool> {
        self.is_fresh = true;
        let result = self.read_if_changed(folder, forced);
        if result.is_err() {
            self.entries.clear();
            self.modified = None;
        }
        result
    }

    fn read_if_changed(&mut self, folder: &Path, forced: bool) -> io::Result<bool> {
        let metadata = fs::metadata(folder)?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        if !forced && self.modified == Some(modified) {
            self.is_fresh = false;
            return Ok(false);
        }
        self.entries = fs::read_dir(folder)?
            .map(|entry| entry.map(Entry::from))
            .collect::<io::Result<_>>()?;
        let is_racy = metadata
            .modified()?
            .elapsed()
            .map_or(true, |age| age < RACY);
        self.modified = (!is_racy).then_some(modified);
        Ok(true)
    }

    /// The file of that name; `path` is the folder's, or the file's own.
    pub(super) fn path_of(&self, path: &Path, name: &OsStr) -> PathBuf {
        match self.is_of_file {
            true => path.to_owned(),
            false => path.join(name),
        }
    }

    /// Forgets the entries that have been matched and are not needed for the next look.
    pub(super) fn keep_little(&mut self) {
        if std::mem::take(&mut self.is_fresh) {
            self.entries
                .retain(|entry| matches!(entry.kind, Kind::Folder | Kind::Link));
            self.entries.shrink_to_fit();
            self.matched.shrink_to_fit();
        }
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &OsStr> {
        let folders = self
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::Folder);
        folders.map(|entry| entry.name.as_os_str())
    }

    pub(super) fn folders_and_links(&self) -> impl Iterator<Item = &OsStr> {
        let either = |entry: &&Entry| matches!(entry.kind, Kind::Folder | Kind::Link);
        self.entries
            .iter()
            .filter(either)
            .map(|entry| entry.name.as_os_str())
    }
}

impl From<fs::DirEntry> for Entry {
    fn from(entry: fs::DirEntry) -> Self {
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_dir() => Kind::Folder,
            Ok(kind) if kind.is_file() => Kind::File,
            Ok(kind) if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        Self {
            name: entry.file_name(),
            inode: entry.ino(),
            kind,
        }
    }
}
