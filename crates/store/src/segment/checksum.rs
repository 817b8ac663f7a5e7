//! The checksum of a whole file, taken while it is written and kept in the catalog.
//!
//! Parquet has a checksum for each page, but its writer does not fill it in, and it would not cover the metadata
//! or the index. XXH3 with 128 bits finds every flipped bit; it is no protection against a forger.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use vervet_journal::JournalFile;
use xxhash_rust::xxh3::Xxh3;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;
const HEX_DIGITS: usize = 32;

/// XXH3 with 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub u128);

impl Checksum {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }

    /// Reads a file to its end. `advance` is told how many bytes were read since it was called last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of_file(path: &Path, advance: &mut dyn FnMut(u64)) -> io::Result<(Self, u64)> {
        let mut file = File::open(path)?;
        let mut hasher = Hasher::default();
        let (mut chunk, mut bytes) = (vec![0; CHUNK_BYTES], 0);
        loop {
            let read = match file.read(&mut chunk) {
                Ok(0) => return Ok((hasher.finish(), bytes)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.add(chunk.get(..read).unwrap_or_default());
            bytes += read as u64;
            advance(read as u64);
        }
    }

    /// The inverse of its text, 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == HEX_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A checksum in the making.
#[derive(Default)]
pub(crate) struct Hasher(Box<Xxh3>);

impl Hasher {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(&self) -> Checksum {
        Checksum(self.0.digest128())
    }
}

/// A new file that is written from its beginning to its end.
pub(super) struct HashedFile {
    file: Arc<dyn JournalFile>,
    /// Bytes written.
    len: u64,
    hasher: Hasher,
}

impl HashedFile {
    pub(super) fn new(file: Arc<dyn JournalFile>) -> Self {
        Self {
            file,
            len: 0,
            hasher: Hasher::default(),
        }
    }

    /// The file, its length, and the checksum of what was written to it.
    pub(super) fn finish(self) -> (Arc<dyn JournalFile>, u64, Checksum) {
        let checksum = self.hasher.finish();
        (self.file, self.len, checksum)
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.len)?;
        self.len += written as u64;
        self.hasher.add(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
