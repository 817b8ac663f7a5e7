//! What tells one file from another, whatever its name.
//!
//! A file is its device and inode, confirmed by a hash of its first bytes ([`Prefix`]); how far it has been read is
//! confirmed by the bytes before that place ([`Tail`]). Together they recognise a file that was cut and has grown
//! again, and the same content under another inode: a copy, or compressed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::xxh3_64;

use super::content::{self, Compression};
use super::waymarks::Waymarks;
use crate::pipeline::FilePosition;

/// Bytes at the beginning of a file that tell it from another.
pub(super) const PREFIX_BYTES: usize = 1024;
/// Bytes before a place that confirm it.
pub(super) const TAIL_BYTES: usize = 64;

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// A hash of the beginning of a file: of [`PREFIX_BYTES`], or of all while it is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Prefix {
    pub(super) hash: u64,
    pub(super) bytes: usize,
}

/// A hash of the bytes before a place in a file, at most [`TAIL_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tail {
    hash: u64,
    bytes: usize,
}

/// How far the content of a file was read, independent of its inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) prefix: Prefix,
    pub(super) offset: u64,
    pub(super) tail: Tail,
    /// Last known time of a write (nanoseconds since the epoch, 0 when unknown).
    pub(super) modified_unix_nano: u64,
    pub(super) waymarks: Waymarks,
}

impl Prefix {
    pub(super) fn of(beginning: &[u8]) -> Self {
        let bytes = beginning.get(..PREFIX_BYTES).unwrap_or(beginning);
        Self {
            hash: xxh3_64(bytes),
            bytes: bytes.len(),
        }
    }

    pub(super) fn is_whole(self) -> bool {
        self.bytes == PREFIX_BYTES
    }

    /// Whether content that begins with `beginning` begins as this prefix says. An empty prefix says nothing.
    pub(super) fn fits(self, beginning: &[u8]) -> bool {
        self.bytes > 0 && beginning.get(..self.bytes).map(xxh3_64) == Some(self.hash)
    }
}

impl Tail {
    /// The tail of what has been read, of which `before` is the end.
    pub(super) fn of(before: &[u8]) -> Self {
        let start = before.len().saturating_sub(TAIL_BYTES);
        let bytes = before.get(start..).unwrap_or(before);
        Self {
            hash: xxh3_64(bytes),
            bytes: bytes.len(),
        }
    }

    pub(super) fn bytes(self) -> usize {
        self.bytes
    }

    /// Whether `before` ends as the tail says. Without a known tail nothing contradicts.
    pub(super) fn fits(self, before: &[u8]) -> bool {
        let start = before.len().checked_sub(self.bytes);
        self.bytes == 0
            || start.and_then(|start| before.get(start..)).map(xxh3_64) == Some(self.hash)
    }
}

impl Mark {
    /// Whether `file` holds what was read: how it begins and, unless it is compressed, what stands before the place.
    ///
    /// # Errors
    /// The file cannot be read; or it is compressed, and damaged or not whole yet.
    pub(super) fn is_held_by(
        &self,
        file: &File,
        compression: Option<Compression>,
    ) -> io::Result<bool> {
        let begins =
            self.prefix.bytes == 0 || self.prefix.fits(&content::beginning(file, compression)?);
        Ok(begins && (compression.is_some() || self.tail_fits_file(file)?))
    }

    /// Whether `file`, plain, holds at the mark's place what was read there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn fits_file(&self, file: &File) -> io::Result<bool> {
        let mut space = [0; PREFIX_BYTES];
        let read = read_up_to(file, &mut space, 0)?;
        if !self.prefix.fits(space.get(..read).unwrap_or_default()) {
            return Ok(false);
        }
        self.tail_fits_file(file)
    }

    /// As [`Mark::fits_file`], the prefix being known to fit.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn tail_fits_file(&self, file: &File) -> io::Result<bool> {
        let mut space = [0; TAIL_BYTES];
        let Some(space) = space.get_mut(..self.tail.bytes) else {
            return Ok(false);
        };
        let Some(from) = self.offset.checked_sub(space.len() as u64) else {
            return Ok(false);
        };
        let read = read_up_to(file, space, from)?;
        Ok(read == space.len() && self.tail.fits(space) && file.metadata()?.len() >= self.offset)
    }
}

impl From<&FilePosition> for Mark {
    fn from(position: &FilePosition) -> Self {
        Self {
            prefix: Prefix {
                hash: position.prefix_hash,
                bytes: usize::from(position.prefix_len).min(PREFIX_BYTES),
            },
            offset: position.offset,
            tail: Tail {
                hash: position.tail_hash,
                bytes: usize::from(position.tail_len).min(TAIL_BYTES),
            },
            modified_unix_nano: position.modified_unix_nano,
            waymarks: Waymarks(position.waymarks),
        }
    }
}

impl Mark {
    /// The mark as it is stored, for the file of that name and inode.
    pub(super) fn position(&self, path: String, id: FileId, compressed_bytes: u64) -> FilePosition {
        FilePosition {
            path,
            device: id.0,
            inode: id.1,
            prefix_hash: self.prefix.hash,
            prefix_len: u16::try_from(self.prefix.bytes).unwrap_or(u16::MAX),
            offset: self.offset,
            tail_hash: self.tail.hash,
            tail_len: u8::try_from(self.tail.bytes).unwrap_or(u8::MAX),
            modified_unix_nano: self.modified_unix_nano,
            compressed_bytes,
            waymarks: self.waymarks.0,
        }
    }
}

/// Reads until `space` is full or the file ends.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read_up_to(file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = space.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
