//! What a segment knows of its rows besides Parquet's statistics: filters of the tokens of each row group, and counts.
//!
//! One blob lies before the Parquet footer, whose key-value [`INDEX_KEY`] names its place. Other readers do not
//! notice it, and a segment without it, or with one that is damaged, is read all the same.
//!
//! ```text
//! header (40 bytes)
//!   0  u8   version: 1 has blooms, 2 has ribbons
//!   1  u8x3 zero
//!   4  u32  row groups R
//!   8  u32  buckets of each row group N, or shards N; 0 for no filters
//!   12 u32  buckets in a page G, or columns of each ribbon
//!   16 u32  bytes of the cube C, 0 for none
//!   20 u32  zero, or bytes of directory and pages
//!   24 u64  xxh3 of the cube
//!   32 u64  xxh3 of the 32 bytes before
//! cube (C bytes), see `cube`
//! of version 1: pages, one for each G buckets, the last one shorter:
//!   for each bucket, for each row group: 32 bytes of its bloom, see `bloom`
//!   u64  xxh3 of these
//! of version 2: directory and pages, see `ribbons`
//! ```
//!
//! So one lookup reads one page, and checks it, however many row groups there are. Blooms are quickly made: what is
//! flushed has them. Ribbons take two thirds of the bytes: what is merged has them.
//!
//! Limits: [`BITS_PER_TOKEN`] bits a token, filters of at most a tenth of the data.

mod bloom;
mod blooms;
mod build;
pub(crate) mod cube;
mod ribbon;
mod ribbons;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use xxhash_rust::xxh3::xxh3_64;

use self::bloom::{BUCKET_BYTES, bits, bucket_of, holds};
use self::cube::Cube;

pub(super) use self::build::IndexBuilder;

/// The key in the Parquet footer; its value is `OFFSET:LENGTH` in bytes.
pub(crate) const INDEX_KEY: &str = "vervet.index";

/// Bits of a bloom per token: about 3 in 100 lookups of an absent token find it.
const BITS_PER_TOKEN: u64 = 8;

const WITH_BLOOMS: u8 = 1;
const WITH_RIBBONS: u8 = 2;
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
    filters: Filters,
    cube_bytes: u32,
    cube_checksum: u64,
}

/// Which filters a segment gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterKind {
    Blooms,
    Ribbons,
}

/// Which filters a segment has, and how they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filters {
    Blooms {
        /// Of each row group; 0 for no blooms.
        buckets: u32,
        page_buckets: u32,
    },
    Ribbons {
        /// 0 for no ribbons.
        shards: u32,
        columns: u32,
        /// Of directory and pages.
        bytes: u32,
    },
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
        let version = header.first().copied().unwrap_or(0);
        if !matches!(version, WITH_BLOOMS | WITH_RIBBONS) {
            return Err(IndexError::Version(version));
        }
        let checked = header.get(..32).ok_or(DAMAGED)?;
        if xxh3_64(checked) != u64_at(32)? {
            return Err(DAMAGED);
        }
        let filters = match version {
            WITH_BLOOMS => Filters::Blooms {
                buckets: u32_at(8)?,
                page_buckets: u32_at(12)?,
            },
            _ => Filters::Ribbons {
                shards: u32_at(8)?,
                columns: u32_at(12)?,
                bytes: u32_at(20)?,
            },
        };
        let header = Self {
            place,
            groups: u32_at(4)?,
            filters,
            cube_bytes: u32_at(16)?,
            cube_checksum: u64_at(24)?,
        };
        match header.length() == Some(place.length) {
            true => Ok(header),
            false => Err(DAMAGED),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let (version, [one, other, filter_bytes]) = match self.filters {
            Filters::Blooms {
                buckets,
                page_buckets,
            } => (WITH_BLOOMS, [buckets, page_buckets, 0]),
            Filters::Ribbons {
                shards,
                columns,
                bytes,
            } => (WITH_RIBBONS, [shards, columns, bytes]),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&[version, 0, 0, 0]);
        for word in [self.groups, one, other, self.cube_bytes, filter_bytes] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.cube_checksum.to_le_bytes());
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Of the whole blob; `None` when no blob can have this header.
    fn length(&self) -> Option<u64> {
        self.before_filters().checked_add(match self.filters {
            Filters::Blooms { buckets: 0, .. } => 0,
            Filters::Blooms {
                buckets,
                page_buckets,
            } => {
                if page_buckets == 0 || self.groups == 0 {
                    return None;
                }
                let pages = u64::from(buckets.div_ceil(page_buckets));
                let blooms = u64::from(buckets).checked_mul(self.bucket_bytes())?;
                blooms.checked_add(pages.checked_mul(CHECKSUM_BYTES as u64)?)?
            }
            Filters::Ribbons { bytes, .. } => u64::from(bytes),
        })
    }

    fn before_filters(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.cube_bytes)
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

    /// For each row group, whether it may hold the token; `None` without filters. `read` gives so many bytes from an offset in
    /// the file on.
    pub(crate) fn look_up<B: AsRef<[u8]>>(
        &self,
        token: u64,
        read: impl Fn(u64, usize) -> Option<B>,
    ) -> Result<Option<Vec<bool>>, IndexError> {
        let read = |offset, length| {
            let bytes = self.inside(offset, length).and_then(|at| read(at, length));
            bytes.ok_or(IndexError::Damaged("filters"))
        };
        match self.filters {
            Filters::Blooms { buckets: 0, .. } | Filters::Ribbons { shards: 0, .. } => Ok(None),
            Filters::Blooms {
                buckets,
                page_buckets,
            } => self.in_blooms(token, buckets, page_buckets, read).map(Some),
            Filters::Ribbons {
                shards, columns, ..
            } => ribbons::look_up(token, (shards, columns), self.groups, read).map(Some),
        }
    }

    /// Where in the file so many bytes of the filters are.
    fn inside(&self, offset: u64, length: usize) -> Option<u64> {
        let start = self.before_filters().checked_add(offset)?;
        let end = start.checked_add(u64::try_from(length).ok()?)?;
        (end <= self.place.length).then_some(self.place.offset + start)
    }

    fn in_blooms<B: AsRef<[u8]>>(
        &self,
        token: u64,
        buckets: u32,
        page_buckets: u32,
        read: impl Fn(u64, usize) -> Result<B, IndexError>,
    ) -> Result<Vec<bool>, IndexError> {
        const DAMAGED: IndexError = IndexError::Damaged("filters");
        let bucket = bucket_of(token, buckets);
        let page = bucket.checked_div(page_buckets).ok_or(DAMAGED)?;
        let first = page * page_buckets;
        let in_page = page_buckets.min(buckets - first);
        let page_bytes = u64::from(page_buckets) * self.bucket_bytes() + CHECKSUM_BYTES as u64;
        let length = u64::from(in_page) * self.bucket_bytes() + CHECKSUM_BYTES as u64;
        let length = usize::try_from(length).map_err(|_too_long| DAMAGED)?;
        let page = read(u64::from(page) * page_bytes, length)?;
        let (blooms, checksum) = page
            .as_ref()
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(DAMAGED)?;
        if *checksum != xxh3_64(blooms).to_le_bytes() {
            return Err(DAMAGED);
        }
        let bytes = usize::try_from(self.bucket_bytes()).map_err(|_too_long| DAMAGED)?;
        let of_bucket = usize::try_from(bucket - first)
            .ok()
            .and_then(|bucket| blooms.get(bucket * bytes..)?.get(..bytes))
            .ok_or(DAMAGED)?;
        let bits = bits(token);
        Ok(of_bucket
            .chunks_exact(BUCKET_BYTES)
            .map(|bucket| holds(bucket, &bits))
            .collect())
    }
}
