//! Packs request bodies: compressed once, sent as often as it takes.
//!
//! In: an uncompressed body. Out: a [`Packed`] one, for HTTP as it is or for gRPC with the length-prefixed
//! message header before it. One [`Compressor`] keeps its context and its output buffer between bodies; what it
//! returns has exactly the bytes that are sent.

use std::io;

use bytes::Bytes;
use flate2::{Compress, Crc, FlushCompress, Status};

use crate::http::decompress;
use crate::receiver::Refusal;

/// The header of a gRPC message: a flag and the length, 1 + 4 bytes.
const GRPC_PREFIX_BYTES: usize = 5;
/// The output buffer is given back after a body that needed more than this (bytes).
const SCRATCH_BYTES_KEPT: usize = 1 << 20;
const ZSTD_LEVEL_DEFAULT: i32 = 1;
/// The levels that zstd knows, without the negative ones and those that take hundreds of MiB.
pub const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=19;
const GZIP_LEVEL_DEFAULT: i32 = 4;
/// The levels that gzip knows.
pub const GZIP_LEVELS: std::ops::RangeInclusive<i32> = 1..=9;
/// RFC 1952: magic, deflate, no flags, no time, no hint, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The checksum and the length of what was compressed.
const GZIP_TRAILER_BYTES: usize = 8;

/// How bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    #[default]
    Zstd,
    Gzip,
    None,
}

/// A body as it is sent.
#[derive(Debug, Clone)]
pub struct Packed {
    bytes: Bytes,
    prefix_bytes: usize,
    encoding: Option<&'static str>,
}

/// Compresses bodies one after the other.
pub struct Compressor {
    context: Context,
    scratch: Vec<u8>,
}

enum Context {
    None,
    Gzip(Box<Compress>),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Packed {
    /// What stands in `content-encoding` or `grpc-encoding`; `None` when it is not compressed.
    pub fn encoding(&self) -> Option<&'static str> {
        self.encoding
    }

    /// The bytes that are sent. Cloning shares them.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The body as it was before.
    ///
    /// # Errors
    /// It is larger than `bytes_max`, or its bytes have been damaged.
    pub fn unpack(&self, bytes_max: usize) -> Result<Bytes, Refusal> {
        let body = self.bytes.slice(self.prefix_bytes.min(self.bytes.len())..);
        decompress(body, self.encoding.unwrap_or_default(), bytes_max)
    }
}

impl Compressor {
    /// A compressor of the given kind; `level` within [`ZSTD_LEVELS`] or [`GZIP_LEVELS`], 1 and 4 by default.
    ///
    /// # Errors
    /// There is no memory for the context.
    pub fn new(compression: Compression, level: Option<i32>) -> io::Result<Self> {
        let context = match compression {
            Compression::None => return Ok(Self::none()),
            Compression::Gzip => {
                let level = level.unwrap_or(GZIP_LEVEL_DEFAULT);
                let level = level.clamp(*GZIP_LEVELS.start(), *GZIP_LEVELS.end());
                let level = flate2::Compression::new(level.unsigned_abs());
                Context::Gzip(Box::new(Compress::new(level, false)))
            }
            Compression::Zstd => {
                let level = level.unwrap_or(ZSTD_LEVEL_DEFAULT);
                Context::Zstd(Box::new(zstd::bulk::Compressor::new(level)?))
            }
        };
        Ok(Self {
            context,
            scratch: Vec::new(),
        })
    }

    /// One that does not compress.
    pub fn none() -> Self {
        Self {
            context: Context::None,
            scratch: Vec::new(),
        }
    }

    /// Packs a body for HTTP. Without compression the bytes are shared.
    pub fn pack(&mut self, body: &Bytes) -> Packed {
        let (bytes, encoding) = match self.compress(body) {
            Some((compressed, encoding)) => (Bytes::copy_from_slice(compressed), Some(encoding)),
            None => (body.clone(), None),
        };
        self.give_back();
        Packed {
            bytes,
            prefix_bytes: 0,
            encoding,
        }
    }

    /// Packs a body as a gRPC message.
    pub fn pack_message(&mut self, body: &[u8]) -> Packed {
        let (content, encoding) = match self.compress(body) {
            Some((compressed, encoding)) => (compressed, Some(encoding)),
            None => (body, None),
        };
        let mut bytes = Vec::with_capacity(GRPC_PREFIX_BYTES + content.len());
        bytes.push(u8::from(encoding.is_some()));
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(content);
        self.give_back();
        Packed {
            bytes: bytes.into(),
            prefix_bytes: GRPC_PREFIX_BYTES,
            encoding,
        }
    }

    /// `None` when it is not to be compressed, or cannot be: a body that is not compressed is as good.
    fn compress(&mut self, body: &[u8]) -> Option<(&[u8], &'static str)> {
        let Self { context, scratch } = self;
        let (length, encoding) = match context {
            Context::None => return None,
            Context::Zstd(zstd) => {
                reserve(scratch, zstd::zstd_safe::compress_bound(body.len()));
                let length = zstd.compress_to_buffer(body, scratch.as_mut_slice());
                (length.ok()?, "zstd")
            }
            Context::Gzip(deflate) => (compress_gzip(deflate, body, scratch)?, "gzip"),
        };
        Some((scratch.get(..length)?, encoding))
    }

    fn give_back(&mut self) {
        if self.scratch.len() > SCRATCH_BYTES_KEPT {
            self.scratch = Vec::new();
        }
    }
}

fn reserve(scratch: &mut Vec<u8>, bytes: usize) {
    if scratch.len() < bytes {
        scratch.resize(bytes, 0);
    }
}

/// Writes one gzip member into `scratch` and returns its length.
fn compress_gzip(deflate: &mut Compress, body: &[u8], scratch: &mut Vec<u8>) -> Option<usize> {
    // Deflate's bound: five bytes a stored block of at most 16 KiB, and some at the ends.
    let bound = body.len() + body.len() / 1_024 + 1_024;
    reserve(scratch, GZIP_HEADER.len() + bound + GZIP_TRAILER_BYTES);
    let (header, rest) = scratch.split_at_mut_checked(GZIP_HEADER.len())?;
    header.copy_from_slice(&GZIP_HEADER);
    deflate.reset();
    let status = deflate.compress(body, rest, FlushCompress::Finish).ok()?;
    if status != Status::StreamEnd {
        return None;
    }
    let length = usize::try_from(deflate.total_out()).ok()?;
    let mut crc = Crc::new();
    crc.update(body);
    let (sum, count) = rest
        .get_mut(length..length + GZIP_TRAILER_BYTES)?
        .split_at_mut_checked(GZIP_TRAILER_BYTES / 2)?;
    sum.copy_from_slice(&crc.sum().to_le_bytes());
    count.copy_from_slice(&crc.amount().to_le_bytes());
    Some(GZIP_HEADER.len() + length + GZIP_TRAILER_BYTES)
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
