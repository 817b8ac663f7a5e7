//! The file `acknowledged`: up to which sequence appends were acknowledged, written over after each sync.
//!
//! The segments alone cannot tell a tail that was never acknowledged from one that was and is gone: somebody has cut
//! the file, or a file system has lost its end. So the number is kept beside them. It is written after what it tells
//! of is durable and is only synced when the journal is opened: after a power cut an earlier number may stand here, or none, never a later one.
//! A killed process loses nothing of it. Without the file, or where its checksum does not fit, only the cursors
//! tell how far the journal had come.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::{SEQUENCE_LIMIT, read_u32, read_u64};
use crate::fs::exact::{read_full_at, write_all_at};
use crate::fs::{FileSystem, JournalFile};

/// Its name in the journal's folder.
pub(crate) const FILE_NAME: &str = "acknowledged";
/// Largest note of an append.
pub const NOTE_BYTES_MAX: usize = 64;

const MAGIC: [u8; 8] = *b"VRVTACKN";
const VERSION: u32 = 1;
const CRC_OFFSET: usize = 24;
const HEADER_BYTES: usize = 28;
const FILE_BYTES_MAX: usize = HEADER_BYTES + NOTE_BYTES_MAX;

/// How far appends were acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// 0 when it is not known.
    pub(crate) sequence: u64,
    /// What the append noted that ended there.
    pub(crate) note: Vec<u8>,
}

/// The file, open. A disk that does not take it only makes the number old.
pub(crate) struct AcknowledgedFile(Option<Arc<dyn JournalFile>>);

impl AcknowledgedFile {
    /// Opens the file, or creates it, and puts `now` into it, durably: numbers that are lost must not be given out again.
    pub(crate) fn open(fs: &dyn FileSystem, dir: &Path, now: &Acknowledged) -> Self {
        let path = path(dir);
        let opened = match fs.open_write(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs.create_new(&path),
            opened => opened,
        };
        let file = opened
            .inspect_err(|error| {
                tracing::warn!(%error, path = %path.display(), "what is acknowledged cannot be noted, a lost end would be seen later");
            })
            .ok();
        let file = Self(file);
        file.store(now.sequence, &now.note);
        if let Some(open) = &file.0
            && let Err(error) = open.sync().and_then(|()| fs.sync_dir(dir))
        {
            tracing::warn!(%error, path = %path.display(), "what is acknowledged is noted, but not durably");
        }
        file
    }

    /// Everything up to `sequence` is durable. A failure leaves an earlier number.
    pub(crate) fn store(&self, sequence: u64, note: &[u8]) {
        if let Some(file) = &self.0
            && let Err(error) = write_all_at(&**file, &encode(sequence, note), 0)
        {
            tracing::debug!(%error, sequence, "what is acknowledged could not be noted");
        }
    }
}

/// What the file in `dir` tells; the default when there is none, or nothing can be read in it.
pub(crate) fn load(fs: &dyn FileSystem, dir: &Path) -> Acknowledged {
    let mut bytes = [0; FILE_BYTES_MAX];
    let read = fs
        .open_read(&path(dir))
        .and_then(|file| read_full_at(&*file, &mut bytes, 0));
    match read {
        Ok(read) => decode(bytes.get(..read).unwrap_or_default()).unwrap_or_default(),
        Err(_) => Acknowledged::default(),
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

fn encode(sequence: u64, note: &[u8]) -> Vec<u8> {
    let note = note.get(..NOTE_BYTES_MAX).unwrap_or(note);
    let mut bytes = Vec::with_capacity(FILE_BYTES_MAX);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(note.len()).unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), note);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(note);
    bytes
}

/// A longer note may have stood there before: what follows this one is not looked at.
fn decode(bytes: &[u8]) -> Option<Acknowledged> {
    let header = bytes.get(..CRC_OFFSET)?;
    let note_bytes = usize::try_from(read_u32(header, 12)?).ok()?;
    let note = bytes
        .get(HEADER_BYTES..)?
        .get(..note_bytes.min(NOTE_BYTES_MAX))?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(header), note);
    let is_intact = crc == read_u32(bytes, CRC_OFFSET)?
        && header.starts_with(&MAGIC)
        && read_u32(header, 8)? == VERSION;
    let sequence = read_u64(header, 16).filter(|sequence| *sequence < SEQUENCE_LIMIT)?;
    is_intact.then(|| Acknowledged {
        sequence,
        note: note.to_vec(),
    })
}

#[cfg(test)]
mod tests;
