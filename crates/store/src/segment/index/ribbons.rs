//! The tokens of all row groups of a segment as ribbon filters, so laid out that one read finds a token in all of them.
//!
//! Tokens are parted by their hash into shards of about [`RIBBON_TOKENS`] a row group: shard `hash * shards >> 64`. Each row group has at least one filter
//! in each shard, more when it has more tokens than the first one.
//!
//! ```text
//! directory: for each shard and one more: u32 where its page begins, from the end of the directory on
//! pages, one for each shard:
//!   for each row group:
//!     u16  filters of the row group in this shard F: its filter `hash * (shards * F) >> 64` has the token
//!     u16  for each filter: its tokens, or 65,535 for too many, which has no bytes and holds everything
//!     the filters, see `ribbon`
//!   u64  xxh3 of these, seeded with the number of the shard
//! ```
//!
//! Memory while they are made: the tokens of one row group, about 20 bytes each, and the filters so far.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ribbon::{COLUMNS, Solver, column_bytes, holds};
use super::{CHECKSUM_BYTES, Filters, IndexError};

/// Tokens of a filter, about. Their windows are narrow against fewer, and crowd against more.
const RIBBON_TOKENS: usize = 512;
/// Rows of the first row group for a shard, at most: later ones may have more tokens each.
const SHARD_ROWS_MAX: usize = 1_024;
/// Tokens of a row group, some of them more than once, from which it is looked for repetitions.
const TOKENS_MANY: usize = 1 << 20;
/// Stands for the number of tokens of a filter that holds everything.
const EVERYTHING: u16 = u16::MAX;
/// Filters take at most this part of the data before them.
const SHARE_MAX: u64 = 10;
const OFFSET_BYTES: usize = 4;
const DAMAGED: IndexError = IndexError::Damaged("filters");

/// Gathers the tokens of row groups.
#[derive(Debug, Default)]
pub(super) struct RibbonBuilder {
    /// Of the current row group, some of them more than once.
    tokens: Vec<u64>,
    /// How many are looked through for repetitions next.
    many: usize,
    is_full: bool,
    shards: usize,
    groups: Vec<Group>,
    solver: Solver,
}

/// The filters of a row group.
#[derive(Debug, Default)]
struct Group {
    in_shard: usize,
    counts: Vec<u16>,
    /// Of all filters, all columns.
    bits: Vec<u8>,
}

impl RibbonBuilder {
    pub(super) fn put(&mut self, token: u64) {
        self.tokens.push(token);
        if self.tokens.len() >= self.many.max(TOKENS_MANY) {
            self.tokens.sort_unstable();
            self.tokens.dedup();
            self.is_full = self.tokens.len() > TOKENS_MANY / 2;
            self.many = self.tokens.len() * 2;
        }
    }

    /// Whether the row group should end, for it has very many tokens.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn end_group(&mut self, rows: usize) {
        let mut tokens = std::mem::take(&mut self.tokens);
        tokens.sort_unstable();
        tokens.dedup();
        let filters = tokens.len().div_ceil(RIBBON_TOKENS).max(1);
        if self.groups.is_empty() {
            self.shards = filters.max(rows / SHARD_ROWS_MAX);
        }
        let in_shard = (filters + self.shards / 2) / self.shards.max(1);
        let in_shard = in_shard.clamp(1, usize::from(u16::MAX));
        let all = self.shards * in_shard;
        let mut group = Group {
            in_shard,
            ..Group::default()
        };
        let mut rest = tokens.as_slice();
        for number in 0..all {
            let own = rest.partition_point(|token| part_of(*token, all).0 == number);
            let (own, after) = rest.split_at_checked(own).unwrap_or_default();
            rest = after;
            match u16::try_from(own.len()) {
                Ok(count) if count < EVERYTHING => {
                    group.counts.push(count);
                    let hashes = own.iter().map(|token| (*token, part_of(*token, all).1));
                    for column in self.solver.solve(hashes) {
                        group.bits.extend_from_slice(column);
                    }
                }
                _ => group.counts.push(EVERYTHING),
            }
        }
        self.groups.push(group);
        tokens.clear();
        self.tokens = tokens;
        (self.many, self.is_full) = (0, false);
    }

    /// The number of row groups, what the header says of the filters, and these: directory and pages, with as many columns as
    /// fit the share of the file.
    pub(super) fn finish(self, data_bytes: u64) -> (u32, Filters, Vec<u8>) {
        let bits: usize = self.groups.iter().map(|group| group.bits.len()).sum();
        let room = data_bytes / SHARE_MAX;
        let columns = (1..=COLUMNS)
            .rev()
            .find(|columns| (bits * columns / COLUMNS) as u64 <= room);
        let groups = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let shards = u32::try_from(self.shards).ok();
        let (Some(columns), Some(shards @ 1..)) = (columns, shards) else {
            let none = Filters::Ribbons {
                shards: 0,
                columns: 0,
                bytes: 0,
            };
            return (groups, none, Vec::new());
        };
        let mut bytes = Vec::new();
        let directory = (self.shards + 1) * OFFSET_BYTES;
        bytes.resize(directory, 0);
        let mut readers: Vec<(&Group, usize, usize)> =
            self.groups.iter().map(|group| (group, 0, 0)).collect();
        for shard in 0..self.shards {
            let start = bytes.len();
            set_offset(&mut bytes, shard, start - directory);
            for (group, filter, at) in &mut readers {
                write_group(&mut bytes, group, (filter, at), columns);
            }
            let page = bytes.get(start..).unwrap_or_default();
            let checksum = xxh3_64_with_seed(page, shard as u64);
            bytes.extend_from_slice(&checksum.to_le_bytes());
        }
        let end = bytes.len() - directory;
        set_offset(&mut bytes, self.shards, end);
        let filters = Filters::Ribbons {
            shards,
            columns: u32::try_from(columns).unwrap_or(0),
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        (groups, filters, bytes)
    }
}

fn set_offset(bytes: &mut [u8], number: usize, offset: usize) {
    let offset = u32::try_from(offset).unwrap_or(u32::MAX);
    if let Some(entry) = bytes.get_mut(number * OFFSET_BYTES..(number + 1) * OFFSET_BYTES) {
        entry.copy_from_slice(&offset.to_le_bytes());
    }
}

/// Appends the next filters of a row group, those of one shard.
fn write_group(
    bytes: &mut Vec<u8>,
    group: &Group,
    (filter, at): (&mut usize, &mut usize),
    columns: usize,
) {
    let in_shard = u16::try_from(group.in_shard).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&in_shard.to_le_bytes());
    let counts = group.counts.get(*filter..*filter + group.in_shard);
    let counts = counts.unwrap_or_default();
    for count in counts {
        bytes.extend_from_slice(&count.to_le_bytes());
    }
    for count in counts {
        let column = filter_bytes(*count, 1);
        let kept = group.bits.get(*at..*at + column * columns);
        bytes.extend_from_slice(kept.unwrap_or_default());
        *at += column * COLUMNS;
    }
    *filter += group.in_shard;
}

fn filter_bytes(count: u16, columns: usize) -> usize {
    match count {
        EVERYTHING => 0,
        count => column_bytes(usize::from(count)) * columns,
    }
}

/// Which of `parts` a token falls into, and where it lies within, in parts of 2^64.
fn part_of(token: u64, parts: usize) -> (usize, u64) {
    let product = u128::from(token) * parts as u128;
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let within = product as u64;
    (usize::try_from(product >> 64).unwrap_or(usize::MAX), within)
}

/// For each row group, whether it may hold the token. `read` gives so many bytes from an offset in directory and pages on.
pub(super) fn look_up<B: AsRef<[u8]>>(
    token: u64,
    (shards, columns): (u32, u32),
    groups: u32,
    read: impl Fn(u64, usize) -> Result<B, IndexError>,
) -> Result<Vec<bool>, IndexError> {
    let size = |number: u32| usize::try_from(number).map_err(|_too_large| DAMAGED);
    let (shards, columns) = (size(shards)?, size(columns)?);
    let (shard, _within) = part_of(token, shards);
    let entry = read((shard * OFFSET_BYTES) as u64, 2 * OFFSET_BYTES)?;
    let (from, length) = page_at(entry.as_ref()).ok_or(DAMAGED)?;
    let directory = (shards + 1) * OFFSET_BYTES;
    let page = read(directory as u64 + from, length)?;
    let (filters, checksum) = page
        .as_ref()
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or(DAMAGED)?;
    if *checksum != xxh3_64_with_seed(filters, shard as u64).to_le_bytes() {
        return Err(DAMAGED);
    }
    let mut found = Vec::new();
    let mut rest = filters;
    for _group in 0..groups {
        let (holds, after) = group_holds(rest, (shard, shards), columns, token).ok_or(DAMAGED)?;
        found.push(holds);
        rest = after;
    }
    Ok(found)
}

/// Begin and length of a page, after the directory, by its entry there.
fn page_at(entry: &[u8]) -> Option<(u64, usize)> {
    let (from, rest) = entry.split_first_chunk::<OFFSET_BYTES>()?;
    let to = rest.first_chunk::<OFFSET_BYTES>()?;
    let (from, to) = (u32::from_le_bytes(*from), u32::from_le_bytes(*to));
    let length = to.checked_sub(from)?;
    Some((u64::from(from), usize::try_from(length).ok()?))
}

/// Whether the row group that comes first may hold the token, and what comes after it.
fn group_holds(
    page: &[u8],
    (shard, shards): (usize, usize),
    columns: usize,
    token: u64,
) -> Option<(bool, &[u8])> {
    let (in_shard, page) = page.split_first_chunk::<2>()?;
    let in_shard = usize::from(u16::from_le_bytes(*in_shard));
    let (part, within) = part_of(token, shards * in_shard);
    let wanted = part.checked_sub(shard * in_shard)?;
    let (counts, mut rest) = page.split_at_checked(in_shard * 2)?;
    let mut found = false;
    for (number, count) in counts.as_chunks::<2>().0.iter().enumerate() {
        let count = u16::from_le_bytes(*count);
        let (filter, after) = rest.split_at_checked(filter_bytes(count, columns))?;
        rest = after;
        if number == wanted {
            found = match count {
                EVERYTHING => true,
                count => holds(filter, usize::from(count), columns, (token, within))?,
            };
        }
    }
    Some((found, rest))
}
