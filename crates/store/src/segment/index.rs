//! What a segment knows of its rows besides Parquet's statistics: token blooms per row group and counts.
//!
//! One blob lies before the Parquet footer, whose key-value [`INDEX_KEY`] names its place. Other readers do not
//! notice it, and a segment without it, or with one that is damaged, is read all the same.
//!
//! ```text
//! header (40 bytes)
//!   0  u8   version, 1
//!   1  u8x3 zero
//!   4  u32  row groups R
//!   8  u32  buckets of each row group N, 0 for no blooms
//!   12 u32  buckets in a page G
//!   16 u32  bytes of the cube C, 0 for none
//!   20 u32  zero
//!   24 u64  xxh3 of the cube
//!   32 u64  xxh3 of the 32 bytes before
//! cube (C bytes), see `cube`
//! pages, one for each G buckets, the last one shorter:
//!   for each bucket, for each row group: 32 bytes of its bloom, see `bloom`
//!   u64  xxh3 of these
//! ```
//!
//! So one lookup reads one page of about 4 KiB, however many row groups there are, and checks it.
//!
//! Limits: [`BITS_PER_TOKEN`] bits a token, blooms of at most a tenth of the data, one page read a lookup.

pub(crate) mod bloom;
mod build;
pub(crate) mod cube;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use xxhash_rust::xxh3::xxh3_64;

use self::bloom::{BUCKET_BYTES, Bucket, bucket_of, holds};
use self::cube::Cube;

pub(super) use self::build::IndexBuilder;

/// The key in the Parquet footer; its value is `OFFSET:LENGTH` in bytes.
pub(crate) const INDEX_KEY: &str = "vervet.index";

/// Bits of a bloom per token: about 3 in 100 lookups of an absent token find it.
const BITS_PER_TOKEN: u64 = 8;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 40;
const CHECKSUM_BYTES: usize = 8;
/// The aim for the buckets of a page (bytes).
const PAGE_BYTES: usize = 4096;

/// Where the blob lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexPlace {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl IndexPlace {
    pub(super) fn to_value(self) -> String {
        format!("{}:{}", self.offset, self.length)
    }

    pub(crate) fn from_value(value: &str) -> Option<Self> {
        let (offset, length) = value.split_once(':')?;
        Some(Self {
            offset: offset.parse().ok()?,
            length: length.parse().ok()?,
        })
    }
}

/// Why a blob is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexError {
    /// A version that this program does not know: not an error, but no index either.
    #[error("version {0} of the index is not known")]
    Version(u8),
    #[error("the {0} of the index is damaged")]
    Damaged(&'static str),
}

/// The checked beginning of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexHeader {
    place: IndexPlace,
    groups: u32,
    buckets: u32,
    page_buckets: u32,
    cube_bytes: u32,
    cube_checksum: u64,
}

/// The bytes to be read for one lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRange {
    pub(crate) offset: u64,
    pub(crate) length: usize,
    /// Of the bucket within the page.
    bucket: usize,
}

impl IndexHeader {
    /// Bytes to be read at the beginning of the blob.
    pub(crate) const BYTES: usize = HEADER_BYTES;

    pub(crate) fn parse(place: IndexPlace, bytes: &[u8]) -> Result<Self, IndexError> {
        const DAMAGED: IndexError = IndexError::Damaged("header");
        let header = bytes.get(..HEADER_BYTES).ok_or(DAMAGED)?;
        let u32_at = |at: usize| {
            let bytes = header.get(at..).and_then(|bytes| bytes.first_chunk());
            bytes.copied().map(u32::from_le_bytes).ok_or(DAMAGED)
        };
        let u64_at = |at: usize| {
            let bytes = header.get(at..).and_then(|bytes| bytes.first_chunk());
            bytes.copied().map(u64::from_le_bytes).ok_or(DAMAGED)
        };
        match header.first() {
            Some(&VERSION) => {}
            other => return Err(IndexError::Version(other.copied().unwrap_or(0))),
        }
        let checked = header.get(..32).ok_or(DAMAGED)?;
        if xxh3_64(checked) != u64_at(32)? {
            return Err(DAMAGED);
        }
        let header = Self {
            place,
            groups: u32_at(4)?,
            buckets: u32_at(8)?,
            page_buckets: u32_at(12)?,
            cube_bytes: u32_at(16)?,
            cube_checksum: u64_at(24)?,
        };
        match header.length() == Some(place.length) {
            true => Ok(header),
            false => Err(DAMAGED),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
        for word in [
            self.groups,
            self.buckets,
            self.page_buckets,
            self.cube_bytes,
            0,
        ] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.cube_checksum.to_le_bytes());
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Of the whole blob; `None` when no blob can have this header.
    fn length(&self) -> Option<u64> {
        if self.buckets > 0 && (self.page_buckets == 0 || self.groups == 0) {
            return None;
        }
        let pages = match self.buckets {
            0 => 0,
            buckets => buckets.div_ceil(self.page_buckets),
        };
        let blooms = u64::from(self.buckets).checked_mul(self.bucket_bytes())?;
        let checksums = u64::from(pages).checked_mul(CHECKSUM_BYTES as u64)?;
        let before = HEADER_BYTES as u64 + u64::from(self.cube_bytes);
        before.checked_add(blooms)?.checked_add(checksums)
    }

    /// One bucket of all row groups.
    fn bucket_bytes(&self) -> u64 {
        u64::from(self.groups) * BUCKET_BYTES as u64
    }

    pub(crate) fn groups(&self) -> u32 {
        self.groups
    }

    /// Where the cube lies, if there is one.
    pub(crate) fn cube_range(&self) -> Option<(u64, usize)> {
        let length = usize::try_from(self.cube_bytes).ok()?;
        (length > 0).then_some((self.place.offset + HEADER_BYTES as u64, length))
    }

    pub(crate) fn cube(&self, bytes: &[u8]) -> Result<Cube, IndexError> {
        const DAMAGED: IndexError = IndexError::Damaged("cube");
        if xxh3_64(bytes) != self.cube_checksum {
            return Err(DAMAGED);
        }
        Cube::decode(bytes).ok_or(DAMAGED)
    }

    /// What to read to look a token up; `None` without blooms.
    pub(crate) fn page_of(&self, hash: u64) -> Option<PageRange> {
        if self.buckets == 0 {
            return None;
        }
        let bucket = bucket_of(hash, self.buckets);
        let page = bucket.checked_div(self.page_buckets)?;
        let first = page * self.page_buckets;
        let in_page = self.page_buckets.min(self.buckets - first);
        let page_bytes = u64::from(self.page_buckets) * self.bucket_bytes() + CHECKSUM_BYTES as u64;
        let before = HEADER_BYTES as u64 + u64::from(self.cube_bytes);
        let length = u64::from(in_page) * self.bucket_bytes() + CHECKSUM_BYTES as u64;
        Some(PageRange {
            offset: self.place.offset + before + u64::from(page) * page_bytes,
            length: usize::try_from(length).ok()?,
            bucket: usize::try_from(bucket - first).ok()?,
        })
    }

    /// For each row group, whether it may hold the token.
    pub(crate) fn lookup(
        &self,
        range: PageRange,
        page: &[u8],
        bits: &Bucket,
    ) -> Result<Vec<bool>, IndexError> {
        const DAMAGED: IndexError = IndexError::Damaged("blooms");
        let (buckets, checksum) = page
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .and_then(|length| page.split_at_checked(length))
            .ok_or(DAMAGED)?;
        if checksum != xxh3_64(buckets).to_le_bytes() {
            return Err(DAMAGED);
        }
        let bytes = usize::try_from(self.bucket_bytes()).map_err(|_| DAMAGED)?;
        let of_bucket = buckets
            .get(range.bucket * bytes..)
            .and_then(|rest| rest.get(..bytes))
            .ok_or(DAMAGED)?;
        Ok(of_bucket
            .chunks_exact(BUCKET_BYTES)
            .map(|bucket| holds(bucket, bits))
            .collect())
    }
}
