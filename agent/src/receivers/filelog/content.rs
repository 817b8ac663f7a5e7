//! The bytes of a file from some place on: as they are, or uncompressed (gzip, zstd).
//!
//! A compressed file is recognised by its first bytes and can only be read forwards: to resume at a place, what
//! stands before it is uncompressed and passed over, at most a quantum a turn.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rustix::buffer::spare_capacity;

use super::identity::{PREFIX_BYTES, Prefix, TAIL_BYTES, read_up_to};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Compressed bytes read at once.
const COMPRESSED_BYTES: usize = 64 << 10;
/// Largest window a zstd file may ask for (log2 of bytes): 8 MiB, the most that `zstd` uses unless told to.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

/// An open file to read from.
pub(super) enum Content {
    Plain(File),
    Compressed(Box<Uncompressed>),
}

/// A compressed file, read up to `at`.
pub(super) struct Uncompressed {
    decoder: Decoder,
    /// Uncompressed bytes read so far.
    at: u64,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<File>>>),
}

/// Opens a file to read, never waiting for a writer of a FIFO.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ))
    }
}

impl Compression {
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of(file: &File) -> io::Result<Option<Self>> {
        let mut magic = [0; ZSTD_MAGIC.len()];
        let read = read_up_to(file, &mut magic, 0)?;
        let magic = magic.get(..read).unwrap_or_default();
        Ok(if magic.starts_with(&GZIP_MAGIC) {
            Some(Self::Gzip)
        } else if magic == ZSTD_MAGIC {
            Some(Self::Zstd)
        } else {
            None
        })
    }
}

impl Content {
    /// # Errors
    /// The file cannot be read, or the decoder cannot be set up.
    pub(super) fn new(mut file: File, compression: Option<Compression>) -> io::Result<Self> {
        let Some(compression) = compression else {
            return Ok(Self::Plain(file));
        };
        file.seek(SeekFrom::Start(0))?;
        let input = BufReader::with_capacity(COMPRESSED_BYTES, file);
        let decoder = match compression {
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Decoder::Zstd(Box::new(decoder))
            }
        };
        Ok(Self::Compressed(Box::new(Uncompressed { decoder, at: 0 })))
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Compressed(uncompressed) => match &uncompressed.decoder {
                Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
                Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
            },
        }
    }

    pub(super) fn into_file(self) -> File {
        match self {
            Self::Plain(file) => file,
            Self::Compressed(uncompressed) => match uncompressed.decoder {
                Decoder::Gzip(decoder) => decoder.into_inner().into_inner(),
                Decoder::Zstd(decoder) => decoder.finish().into_inner(),
            },
        }
    }

    /// Whether `offset` of a compressed file has not been reached.
    pub(super) fn is_before(&self, offset: u64) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Compressed(uncompressed) => uncompressed.at < offset,
        }
    }

    /// Appends what follows `offset` to `buffer`: about `bytes`, less at the end. Of a compressed file nothing comes
    /// as long as `offset` has not been reached; each call passes over at most as much.
    ///
    /// # Errors
    /// The file cannot be read, or what is compressed is damaged or not whole yet.
    pub(super) fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        bytes: usize,
        offset: u64,
    ) -> io::Result<Chunk> {
        match self {
            Self::Plain(file) => {
                buffer.reserve(bytes);
                // Into room that need not be zeroed first.
                let read = rustix::io::retry_on_intr(|| {
                    rustix::io::pread(&*file, spare_capacity(buffer), offset)
                });
                Ok(Chunk::Read(read?))
            }
            Self::Compressed(uncompressed) => {
                let held = buffer.len();
                buffer.resize(held + bytes, 0);
                let result = match buffer.get_mut(held..) {
                    Some(space) => uncompressed.read(space, offset),
                    None => Ok(Chunk::Read(0)),
                };
                buffer.truncate(held + result.as_ref().map_or(0, |chunk| chunk.bytes()));
                result
            }
        }
    }
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    Read(usize),
    /// The place is not reached yet; the bytes passed over are in the space.
    Passed(usize),
}

impl Chunk {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Read(bytes) | Self::Passed(bytes) => bytes,
        }
    }
}

impl Uncompressed {
    fn read(&mut self, space: &mut [u8], offset: u64) -> io::Result<Chunk> {
        let missing = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let passes = missing > 0;
        let wanted = if passes {
            missing.min(space.len())
        } else {
            space.len()
        };
        let space = space.get_mut(..wanted).unwrap_or_default();
        let read = fill(&mut self.decoder, space)?;
        self.at += read as u64;
        Ok(if passes {
            Chunk::Passed(read)
        } else {
            Chunk::Read(read)
        })
    }
}

impl Read for Decoder {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(space),
            Self::Zstd(decoder) => decoder.read(space),
        }
    }
}

fn fill(reader: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = space.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The beginning of what a file holds, uncompressed.
///
/// # Errors
/// The file cannot be read, or what is compressed is damaged or not whole yet.
pub(super) fn beginning(file: &File, compression: Option<Compression>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match compression {
        None => {
            bytes.resize(PREFIX_BYTES, 0);
            let read = read_up_to(file, &mut bytes, 0)?;
            bytes.truncate(read);
        }
        Some(_) => {
            let mut content = Content::new(file.try_clone()?, compression)?;
            content.read(&mut bytes, PREFIX_BYTES, 0)?;
        }
    }
    bytes.truncate(PREFIX_BYTES);
    Ok(bytes)
}

/// The bytes of a plain file before `offset`, at most `bytes_max`.
///
/// # Errors
/// The file cannot be read.
pub(super) fn before(file: &File, offset: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes_max);
    let mut space = vec![0; bytes];
    let read = read_up_to(file, &mut space, offset - bytes as u64)?;
    space.truncate(read);
    Ok(space)
}

/// The bytes before each of `offsets`, which grow, at most [`TAIL_BYTES`] each; `None` where the content ends before.
/// Uncompresses all up to the last of them.
///
/// # Errors
/// The file cannot be read, or what is compressed is damaged or not whole yet.
pub(super) fn ends_before(
    file: &File,
    compression: Option<Compression>,
    offsets: &[u64],
) -> io::Result<Vec<Option<Vec<u8>>>> {
    let mut content = Content::new(file.try_clone()?, compression)?;
    let (mut at, mut recent) = (0, Vec::new());
    let mut ends = Vec::with_capacity(offsets.len());
    for offset in offsets {
        while at < *offset {
            let missing = usize::try_from(offset - at).unwrap_or(usize::MAX);
            let read = content.read(&mut recent, missing.min(COMPRESSED_BYTES), at)?;
            if read.bytes() == 0 {
                break;
            }
            at += read.bytes() as u64;
            recent.drain(..recent.len().saturating_sub(TAIL_BYTES));
        }
        ends.push((at == *offset).then(|| recent.clone()));
    }
    Ok(ends)
}

/// As [`beginning`], hashed.
///
/// # Errors
/// See [`beginning`].
pub(super) fn prefix(file: &File, compression: Option<Compression>) -> io::Result<Prefix> {
    beginning(file, compression).map(|bytes| Prefix::of(&bytes))
}
