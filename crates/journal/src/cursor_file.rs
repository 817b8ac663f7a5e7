//! Cursor files: `cursors/<name>.cur`, replaced whole at each commit (temporary file, sync,
//! exchange, folder sync), so a crash leaves the old or the new one.
//!
//! What a commit has replaced stays as the temporary file and is written over by the next: so a commit needs no room on a full
//! volume, and what it lets go of can be deleted. It is written over only after a sync of the folder has made sure that
//! no power cut brings it back as the cursor. Where files cannot be exchanged, each commit makes a new one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::JournalError;
use crate::format::{CURSOR_VERSION, SEQUENCE_LIMIT, read_u32, read_u64};
use crate::fs::exact::{read_full_at, write_all_at};
use crate::fs::{FileSystem, JournalFile};

/// Largest `state` of a commit: 64 MiB.
pub const CURSOR_STATE_BYTES_MAX: u32 = 64 << 20;

const MAGIC: [u8; 8] = *b"VRVTCURS";
const HEADER_BYTES: usize = 28;
const CRC_OFFSET: usize = 24;
const NAME_BYTES_MAX: usize = 64;
/// How often a cursor is read that is damaged at first.
const LOOKS: usize = 4;
const SUFFIX: &str = ".cur";
const TEMPORARY_SUFFIX: &str = ".cur.tmp";

/// What a cursor file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StoredCursor {
    pub(crate) committed: u64,
    pub(crate) state: Vec<u8>,
}

/// What reading a cursor file gave.
pub(crate) enum Loaded {
    Intact(StoredCursor),
    Newer { version: u32 },
    Corrupt,
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("cursors")
}

pub(crate) fn path(dir: &Path, name: &str) -> PathBuf {
    folder(dir).join(format!("{name}{SUFFIX}"))
}

pub(crate) fn check_name(name: &str) -> Result<(), JournalError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(JournalError::CursorName {
        name: name.to_owned(),
    })
}

/// The cursor's name in a file name.
pub(crate) fn parse_file_name(file_name: &str) -> Option<&str> {
    file_name
        .strip_suffix(SUFFIX)
        .filter(|name| check_name(name).is_ok())
}

/// The name of the cursor whose temporary file it is.
pub(crate) fn parse_temporary(file_name: &str) -> Option<&str> {
    file_name
        .strip_suffix(TEMPORARY_SUFFIX)
        .filter(|name| check_name(name).is_ok())
}

pub(crate) fn load(fs: &dyn FileSystem, path: &Path) -> io::Result<Loaded> {
    let file = fs.open_read(path)?;
    let len = file.len()?;
    let len_max = HEADER_BYTES as u64 + u64::from(CURSOR_STATE_BYTES_MAX);
    let Some(len) = usize::try_from(len).ok().filter(|_| len <= len_max) else {
        return Ok(Loaded::Corrupt);
    };
    let mut bytes = vec![0; len];
    let read = read_full_at(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(decode(&bytes))
}

/// What the last commit has replaced, or an interrupted one has left whole.
pub(crate) fn load_before(fs: &dyn FileSystem, dir: &Path, name: &str) -> Option<StoredCursor> {
    match load(fs, &temporary_path(dir, name)) {
        Ok(Loaded::Intact(stored)) => Some(stored),
        _ => None,
    }
}

/// As [`load`], by another program than the cursor's: what it reads while there are two commits is written over meanwhile,
/// and the next look finds a file that is whole.
pub(crate) fn load_from_outside(fs: &dyn FileSystem, path: &Path) -> io::Result<Loaded> {
    for _ in 1..LOOKS {
        match load(fs, path)? {
            Loaded::Corrupt => {}
            found => return Ok(found),
        }
    }
    load(fs, path)
}

/// The file of a cursor, as its consumer replaces it.
pub(crate) struct CursorFile {
    name: String,
    /// The temporary file is what the last commit has replaced for good.
    has_spare: bool,
}

impl CursorFile {
    pub(crate) fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self {
            name,
            has_spare: false,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Replaces the file, durably and atomically.
    pub(crate) fn store(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        committed: u64,
        state: &[u8],
    ) -> Result<(), JournalError> {
        let header = encode_header(committed, state)?;
        let bytes = [header.as_slice(), state];
        let path = path(dir, &self.name);
        let temporary = temporary_path(dir, &self.name);
        let had_spare = std::mem::take(&mut self.has_spare);
        let written = match had_spare {
            true => write_over(fs, &temporary, bytes),
            false => write_temporary(fs, &temporary, bytes),
        };
        let written = match written {
            // Somebody has removed the folder of the cursors; that of the journal its writer puts back.
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs.list(dir).is_ok() => fs
                .create_dir_all(&folder(dir))
                .and_then(|()| write_temporary(fs, &temporary, bytes)),
            written => written,
        };
        let written = written.map_err(|error| JournalError::io("commit", &path, error));
        if had_spare && matches!(written, Err(JournalError::NoSpace { .. })) {
            // It has grown; what there is of it is room for one that has not.
            self.has_spare = true;
            return written;
        }
        let replaced = written.and_then(|()| {
            let replaced = fs.exchange(&temporary, &path);
            let replaced = replaced.and_then(|is_kept| fs.sync_dir(&folder(dir)).map(|()| is_kept));
            replaced.map_err(|error| JournalError::io("commit", &path, error))
        });
        // Best effort: a leftover is replaced by the next commit.
        let replaced = replaced.inspect_err(|_| drop(fs.remove(&temporary)));
        self.has_spare = replaced?;
        Ok(())
    }
}

/// Where an interrupted commit leaves something, and a completed one what it has replaced.
pub(crate) fn temporary_path(dir: &Path, name: &str) -> PathBuf {
    folder(dir).join(format!("{name}{TEMPORARY_SUFFIX}"))
}

/// What there is to say of a cursor that a newer version has written.
pub(crate) fn unsupported(path: PathBuf, version: u32) -> JournalError {
    let version_max = CURSOR_VERSION;
    JournalError::UnsupportedVersion {
        path,
        version,
        version_max,
    }
}

/// Writes a file of so many bytes and removes it. What a crash leaves of it looks like an interrupted commit and goes as such.
pub(crate) fn probe(fs: &dyn FileSystem, dir: &Path, bytes: usize) -> Result<(), JournalError> {
    let path = temporary_path(dir, "probe");
    let written = write_temporary(fs, &path, [&[], &vec![0; bytes]]);
    let removed = fs.remove(&path);
    written
        .and(removed)
        .map_err(|error| JournalError::io("probe", &path, error))
}

/// The parts of a file, one behind the other: the state may be large, and is not copied.
type Parts<'b> = [&'b [u8]; 2];

fn write_temporary(fs: &dyn FileSystem, path: &Path, parts: Parts<'_>) -> io::Result<()> {
    let file = match fs.create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove(path)?;
            fs.create_new(path)?
        }
        created => created?,
    };
    write_parts(&*file, parts)?;
    file.sync()
}

fn write_over(fs: &dyn FileSystem, path: &Path, parts: Parts<'_>) -> io::Result<()> {
    // What a backup holds by another name stays as it is.
    let is_own = |file: &Arc<dyn JournalFile>| file.links().is_ok_and(|links| links == 1);
    let Some(file) = fs.open_write(path).ok().filter(is_own) else {
        return write_temporary(fs, path, parts);
    };
    let len = write_parts(&*file, parts)?;
    file.set_len(len)?;
    file.sync()
}

/// How many bytes there are.
fn write_parts(file: &dyn JournalFile, [header, state]: Parts<'_>) -> io::Result<u64> {
    write_all_at(file, header, 0)?;
    write_all_at(file, state, header.len() as u64)?;
    Ok((header.len() + state.len()) as u64)
}

fn encode_header(committed: u64, state: &[u8]) -> Result<Vec<u8>, JournalError> {
    let state_bytes = u32::try_from(state.len())
        .ok()
        .filter(|bytes| *bytes <= CURSOR_STATE_BYTES_MAX)
        .ok_or(JournalError::TooLarge {
            what: "cursor state",
            bytes: state.len() as u64,
            bytes_max: u64::from(CURSOR_STATE_BYTES_MAX),
        })?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&CURSOR_VERSION.to_le_bytes());
    bytes.extend_from_slice(&committed.to_le_bytes());
    bytes.extend_from_slice(&state_bytes.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), state);
    bytes.extend_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Loaded {
    let parts = bytes
        .split_at_checked(CRC_OFFSET)
        .zip(bytes.get(HEADER_BYTES..));
    let (Some(((header, _), state)), Some(crc)) = (parts, read_u32(bytes, CRC_OFFSET)) else {
        return Loaded::Corrupt;
    };
    let intact = crc32c::crc32c_append(crc32c::crc32c(header), state) == crc;
    if !intact || !header.starts_with(&MAGIC) {
        return Loaded::Corrupt;
    }
    match (
        read_u32(header, 8),
        read_u64(header, 12),
        read_u32(header, 20),
    ) {
        (Some(CURSOR_VERSION), Some(committed), Some(state_bytes))
            if committed < SEQUENCE_LIMIT && state_bytes as usize == state.len() =>
        {
            Loaded::Intact(StoredCursor {
                committed,
                state: state.to_vec(),
            })
        }
        (Some(version), ..) if version > CURSOR_VERSION => Loaded::Newer { version },
        _ => Loaded::Corrupt,
    }
}
