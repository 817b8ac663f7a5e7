//! One file that is followed.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Instant;

use vervet_wire::otlp::Resource;
use xxhash_rust::xxh3::xxh3_64;

use super::QUANTUM_BYTES;
use super::framing::Framing;
use super::lines::Lines;
use crate::pipeline::FilePosition;

/// Bytes at the beginning of a file that tell it from another in the same inode.
const PREFIX_BYTES: usize = 1024;
/// A buffer without text is given back beyond this size (bytes).
const BUFFER_KEPT_BYTES: usize = 4 << 10;

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// A file that is followed: its descriptor, and what has been read but not handed on.
#[derive(Debug)]
pub(super) struct TailedFile {
    file: File,
    pub(super) id: FileId,
    pub(super) path: String,
    pub(super) resource: Resource<'static>,
    prefix: Prefix,
    /// The place in the file of the buffer's first byte.
    base: u64,
    pub(super) buffer: Vec<u8>,
    pub(super) lines: Lines,
    framing: Framing,
    pub(super) grown_at: Instant,
    /// Since when no glob finds it.
    pub(super) gone_at: Option<Instant>,
}

/// What a look at the file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) unread: bool,
    pub(super) truncated: bool,
    pub(super) deleted: bool,
}

/// A hash of the file's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Prefix {
    hash: u64,
    bytes: usize,
}

/// Where a file is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start<'a> {
    Beginning,
    End,
    Resume(&'a FilePosition),
}

impl TailedFile {
    /// Opens `path`. The second value tells that the file has been cut since its position was taken.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub(super) fn open(
        path: String,
        resource: Resource<'static>,
        start: Start<'_>,
        framing: Framing,
        now: Instant,
    ) -> io::Result<(Self, bool)> {
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        let (base, cut) = match start {
            Start::Beginning => (0, false),
            Start::End => (metadata.len(), false),
            Start::Resume(position) => match resume_offset(&file, position)? {
                Some(offset) if offset <= metadata.len() => (offset, false),
                Some(_beyond_the_end) => (0, true),
                None => (0, false),
            },
        };
        let (prefix, beginning) = Prefix::read(&file)?;
        let lines = match base {
            0 => Lines::new(framing.clone()),
            _ => Lines::resume(framing.clone(), &beginning),
        };
        let base = lines.align(base);
        let file = Self {
            prefix,
            file,
            id: (metadata.dev(), metadata.ino()),
            path,
            resource,
            base,
            buffer: Vec::new(),
            lines,
            framing,
            grown_at: now,
            gone_at: None,
        };
        Ok((file, cut))
    }

    /// The next byte to read.
    fn read_offset(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// # Errors
    /// The file cannot be examined.
    pub(super) fn look(&self) -> io::Result<Look> {
        let metadata = self.file.metadata()?;
        let offset = self.read_offset();
        Ok(Look {
            unread: metadata.len() > offset,
            truncated: metadata.len() < offset,
            deleted: metadata.nlink() == 0,
        })
    }

    /// Whether the file still begins as it did; learns a beginning that was shorter than the prefix.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn begins_as_known(&mut self) -> io::Result<bool> {
        let mut bytes = [0; PREFIX_BYTES];
        let read = read_up_to(&self.file, &mut bytes, 0)?;
        let read = bytes.get(..read).unwrap_or_default();
        if read.get(..self.prefix.bytes).map(xxh3_64) != Some(self.prefix.hash) {
            return Ok(false);
        }
        if read.len() > self.prefix.bytes {
            self.prefix = Prefix::of(read);
        }
        Ok(true)
    }

    /// Reads at most a quantum into the buffer: how many bytes came.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&mut self) -> io::Result<usize> {
        let (offset, held) = (self.read_offset(), self.buffer.len());
        self.buffer.resize(held + QUANTUM_BYTES, 0);
        let result = match self.buffer.get_mut(held..) {
            Some(space) => read_up_to(&self.file, space, offset),
            None => Ok(0),
        };
        self.buffer
            .truncate(held + result.as_ref().copied().unwrap_or(0));
        result
    }

    /// The first `bytes` of the buffer have been handed on.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.buffer.drain(..bytes.min(self.buffer.len()));
        self.lines.shift(bytes);
        self.base += bytes as u64;
    }

    /// Gives memory back while the file does not grow.
    pub(super) fn rest(&mut self) {
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer.shrink_to_fit();
        }
    }

    /// Starts over after the file was cut.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.base = 0;
        self.buffer.clear();
        self.lines = Lines::new(self.framing.clone());
        self.prefix = Prefix::read(&self.file)?.0;
        Ok(())
    }

    /// Where to resume after what has been handed on.
    pub(super) fn position(&self) -> FilePosition {
        FilePosition {
            path: self.path.clone(),
            device: self.id.0,
            inode: self.id.1,
            prefix_hash: self.prefix.hash,
            prefix_len: u16::try_from(self.prefix.bytes).unwrap_or(u16::MAX),
            offset: self.base,
            ..FilePosition::default()
        }
    }
}

impl Prefix {
    fn of(bytes: &[u8]) -> Self {
        Self {
            hash: xxh3_64(bytes),
            bytes: bytes.len(),
        }
    }

    /// Also gives the bytes.
    fn read(file: &File) -> io::Result<(Self, Vec<u8>)> {
        let mut bytes = vec![0; PREFIX_BYTES];
        let read = read_up_to(file, &mut bytes, 0)?;
        bytes.truncate(read);
        Ok((Self::of(&bytes), bytes))
    }
}

/// The offset of `position` when `file` begins as the file it was taken of did.
fn resume_offset(file: &File, position: &FilePosition) -> io::Result<Option<u64>> {
    let mut bytes = [0; PREFIX_BYTES];
    let Some(wanted) = bytes.get_mut(..usize::from(position.prefix_len)) else {
        return Ok(None);
    };
    let read = read_up_to(file, wanted, 0)?;
    let same = read == wanted.len() && xxh3_64(wanted) == position.prefix_hash;
    Ok(same.then_some(position.offset))
}

/// Reads until `space` is full or the file ends.
fn read_up_to(file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
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
