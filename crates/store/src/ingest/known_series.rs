//! Series by the bytes that name them on the wire, so that points of a known series are decoded no further than their
//! time and value.
//!
//! In: all that decides about the labels of a point: the limits, the resource, the metric, and the point's attributes as
//! they stand in the request. They become a key of 128 bits together with a secret of this process. Out: the slot of the
//! series. Slots get in here when a series was resolved, its labels compared.
//!
//! Keys are compared, and not the bytes they were made of, which would have to be kept: hundreds a series instead of 30. Two
//! series with one key would become one. With the 2^20 that are remembered it happens to a new series with a probability of
//! 2^20 / 2^128 = 2^-108; with a million new series a second for ten years (2^48) to any of them with 2^-60. The hash is fast
//! and not made against malice: who wanted to could find attributes with the key of another series that has long ones, and would
//! put points under labels that could have been sent as they are.
//!
//! Memory: about 30 bytes a series, for [`SERIES_MAX`] at most; then all are forgotten and learnt again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};

use parking_lot::{RwLock, RwLockReadGuard};
use xxhash_rust::xxh3::xxh3_128;

use super::DecodeOptions;
use crate::head::series::IdHashing;

/// Series that are remembered.
const SERIES_MAX: usize = 1 << 20;

/// What a series is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeriesKey(u128);

impl Hash for SeriesKey {
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 as u64);
    }
}

/// A hash of what several points share.
pub(super) type Prefix = [u8; 16];

type Slots = HashMap<SeriesKey, u32, IdHashing>;

#[derive(Debug)]
pub(crate) struct KnownSeries {
    secret: [u8; 16],
    slots: RwLock<Slots>,
}

impl Default for KnownSeries {
    fn default() -> Self {
        let random = || u128::from(RandomState::new().hash_one(SERIES_MAX));
        Self {
            secret: (random() << 64 | random()).to_le_bytes(),
            slots: RwLock::default(),
        }
    }
}

impl KnownSeries {
    /// The prefix of everything that is decoded with these options.
    pub(super) fn prefix(&self, options: &DecodeOptions) -> Prefix {
        let limits = [
            options.label_name_bytes_max,
            options.label_value_bytes_max,
            options.labels_per_series_max,
        ];
        let limits = limits.map(usize::to_le_bytes);
        let mut parts: Vec<&[u8]> = vec![&self.secret];
        parts.extend(limits.iter().map(<[u8; 8]>::as_slice));
        parts.extend(options.promote.iter().map(String::as_bytes));
        joined(&parts, &mut Vec::new())
    }

    /// The slots as they are now. Not to be held for longer than a metric takes.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read()
    }

    /// Remembers resolved series.
    pub(crate) fn insert(&self, resolved: impl Iterator<Item = (SeriesKey, u32)>) {
        let mut resolved = resolved.peekable();
        if resolved.peek().is_none() {
            return;
        }
        let mut slots = self.slots.write();
        for (key, slot) in resolved {
            if slots.len() >= SERIES_MAX {
                slots.clear();
            }
            slots.insert(key, slot);
        }
    }
}

/// The hash of some parts, each told apart from its neighbours.
pub(super) fn joined(parts: &[&[u8]], scratch: &mut Vec<u8>) -> Prefix {
    scratch.clear();
    for part in parts {
        append(part, scratch);
    }
    xxh3_128(scratch).to_le_bytes()
}

/// Appends a part so that it is told apart from its neighbours.
pub(super) fn append(part: &[u8], scratch: &mut Vec<u8>) {
    scratch.extend_from_slice(&(part.len() as u64).to_le_bytes());
    scratch.extend_from_slice(part);
}

/// The key of a point: the prefix of its metric and its attributes, one after the other.
pub(super) fn key(prefixed: &[u8]) -> SeriesKey {
    SeriesKey(xxh3_128(prefixed))
}

#[cfg(test)]
mod tests;
