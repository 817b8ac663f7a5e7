//! The files `known-cursors` and `cursors/known`: which cursors there are. The two say the same.
//!
//! A cursor whose file is gone holds nothing, and what it had not settled would be deleted. So the names are kept beside the
//! files, and one that is named and not there starts again like one that is damaged. A cursor is named after its file is made
//! and before it is removed: where the two differ after a crash, the file is right, unless it is not there. A copy is written
//! over in place, which a full volume allows, and synced before the other is begun; the later one that is whole counts.
//!
//! ```text
//! offset bytes
//!      0     8 magic "VRVTKNWN"
//!      8     4 version = 1
//!     12     8 generation
//!     20     4 bytes of the names
//!     24     4 CRC of bytes 0..24 and of the names
//!     28     n names, each with a line feed behind it
//! ```

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::cursor_file;
use crate::error::JournalError;
use crate::format::{read_u32, read_u64};
use crate::fs::FileSystem;
use crate::fs::exact::{read_full_at, write_all_at};

/// Its name in the journal's folder, and that of the copy in the folder of the cursors.
pub(crate) const FILE_NAME: &str = "known-cursors";
pub(crate) const COPY_NAME: &str = "known";

const MAGIC: [u8; 8] = *b"VRVTKNWN";
const VERSION: u32 = 1;
const CRC_OFFSET: usize = 24;
const HEADER_BYTES: usize = 28;
/// Names that are read, and written: thousands of cursors.
const NAMES_BYTES_MAX: usize = 256 << 10;

pub(crate) type Names = BTreeSet<String>;

/// The list as it stands on disk.
#[derive(Debug, Default)]
pub(crate) struct KnownCursors {
    generation: u64,
    names: Names,
    /// Both copies say the same.
    is_stored: bool,
}

impl KnownCursors {
    /// What the copies tell; `None` when neither is there, or whole.
    pub(crate) fn load(fs: &dyn FileSystem, dir: &Path) -> Option<Self> {
        let [one, other] = paths(dir).map(|path| load(fs, &path));
        let is_stored = one == other;
        let (generation, names) = one.into_iter().chain(other).max_by_key(|found| found.0)?;
        Some(Self {
            generation,
            names,
            is_stored,
        })
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// As `store`, also where nothing is new: what was stored may be gone.
    ///
    /// # Errors
    /// As `store`.
    pub(crate) fn store_again(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        names: Names,
    ) -> Result<(), JournalError> {
        self.is_stored = false;
        self.store(fs, dir, names)
    }

    /// Makes `names` the list, durably in both copies.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: one copy or both tell what they told before.
    pub(crate) fn store(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        names: Names,
    ) -> Result<(), JournalError> {
        if self.is_stored && self.names == names {
            return Ok(());
        }
        self.is_stored = false;
        self.generation += 1;
        self.names = names;
        let bytes = encode(self.generation, &self.names);
        for path in paths(dir) {
            write(fs, &path, &bytes).map_err(|error| JournalError::io("write", &path, error))?;
        }
        self.is_stored = true;
        Ok(())
    }
}

fn paths(dir: &Path) -> [PathBuf; 2] {
    [
        dir.join(FILE_NAME),
        cursor_file::folder(dir).join(COPY_NAME),
    ]
}

fn write(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs.open_write(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = fs.create_new(path)?;
            write_all_at(&*file, bytes, 0)?;
            file.sync()?;
            path.parent().map_or(Ok(()), |folder| fs.sync_dir(folder))
        }
        Err(error) => Err(error),
        Ok(file) => {
            write_all_at(&*file, bytes, 0)?;
            file.sync()
        }
    }
}

fn load(fs: &dyn FileSystem, path: &Path) -> Option<(u64, Names)> {
    let file = fs.open_read(path).ok()?;
    let len = usize::try_from(file.len().ok()?).ok()?;
    let mut bytes = vec![0; len.min(HEADER_BYTES + NAMES_BYTES_MAX)];
    let read = read_full_at(&*file, &mut bytes, 0).ok()?;
    decode(bytes.get(..read)?)
}

fn encode(generation: u64, names: &Names) -> Vec<u8> {
    let mut text = String::new();
    for name in names {
        if text.len() + name.len() < NAMES_BYTES_MAX {
            text.push_str(name);
            text.push('\n');
        }
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + text.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), text.as_bytes());
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A longer list may have stood there before: what follows this one is not looked at.
fn decode(bytes: &[u8]) -> Option<(u64, Names)> {
    let header = bytes.get(..CRC_OFFSET)?;
    let names_bytes = usize::try_from(read_u32(header, 20)?).ok()?;
    let names = bytes.get(HEADER_BYTES..)?.get(..names_bytes)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(header), names);
    let is_intact = crc == read_u32(bytes, CRC_OFFSET)?
        && header.starts_with(&MAGIC)
        && read_u32(header, 8)? == VERSION;
    let names = std::str::from_utf8(names).ok().filter(|_| is_intact)?;
    let names = names
        .lines()
        .filter(|name| cursor_file::check_name(name).is_ok());
    let generation = read_u64(header, 12)?;
    Some((generation, names.map(str::to_owned).collect()))
}
