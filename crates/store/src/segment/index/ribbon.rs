//! Ribbon filters: sets of hashes in about 5.4 bits each, in which 3 of 100 other hashes are found too.
//!
//! Each hash names a window of 64 slots and some slots in it, of which the first is one. The slots hold [`COLUMNS`] bits each, chosen
//! so that over the slots of a hash that is in the set every column adds up to zero (modulo 2). Of another hash each
//! column does so by chance, one time in two. This is the homogeneous form of Dillinger, Hübschle-Schneider, Sanders and
//! Walzer ("Fast Succinct Retrieval and Approximate Membership using Ribbon", 2022): every set has a filter, also one whose hashes
//! crowd in a few windows, where more other hashes are found.
//!
//! A bloom filter takes 8 bits for as much. Making one takes a few bit operations a hash; a ribbon has to be solved, which
//! takes about 0.1 us a hash and all hashes of the set at once.
//!
//! In a file a filter is its columns one after the other, each filled up to whole bytes, the first slot in the lowest bit.

/// Bits of a slot.
pub(super) const COLUMNS: usize = 5;
/// Slots of a window.
const WINDOW: usize = u64::BITS as usize;

/// Slots for so many hashes. With fewer the equations hardly leave a choice, and a large part of other hashes is found.
fn slots(hashes: usize) -> usize {
    (hashes + hashes / 16 + 12).max(WINDOW)
}

/// Bytes of one column.
pub(super) fn column_bytes(hashes: usize) -> usize {
    match hashes {
        0 => 0,
        some => slots(some).div_ceil(8),
    }
}

/// The window of a hash, by its first slot, and its slots there: bit 0 is the first one, and is set. `spread` is a number for the
/// hash that is anywhere between zero and 2^64.
fn equation(hash: u64, spread: u64, slots: usize) -> (usize, u64) {
    let starts = slots.saturating_sub(WINDOW - 1) as u128;
    let start = usize::try_from((u128::from(spread) * starts) >> 64).unwrap_or(0);
    (start, mixed(hash) | 1)
}

/// The finishing steps of MurmurHash3, so that all bits depend on all bits.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Solves filters one after the other, in the same memory.
#[derive(Debug, Default)]
pub(super) struct Solver {
    /// The equation that determines each slot, from this slot on; 0 for a slot that is free.
    equations: Vec<u64>,
    columns: [Vec<u8>; COLUMNS],
}

impl Solver {
    /// The columns of the filter of some hashes, each with its spread, in the order of these.
    pub(super) fn solve(
        &mut self,
        hashes: impl ExactSizeIterator<Item = (u64, u64)>,
    ) -> &[Vec<u8>; COLUMNS] {
        let count = hashes.len();
        let slots = slots(count);
        self.equations.clear();
        self.equations.resize(slots, 0);
        for column in &mut self.columns {
            column.clear();
            column.resize(column_bytes(count), 0);
        }
        if count > 0 {
            for (hash, spread) in hashes {
                self.add(equation(hash, spread, slots));
            }
            self.fill();
        }
        &self.columns
    }

    /// Takes what is known of later slots out of an equation, until it determines a free one or says nothing new.
    fn add(&mut self, (start, mut bits): (usize, u64)) {
        let mut slot = start;
        while bits != 0 {
            let zeros = bits.trailing_zeros();
            bits >>= zeros;
            slot += usize::try_from(zeros).unwrap_or(WINDOW);
            match self.equations.get_mut(slot) {
                Some(free) if *free == 0 => {
                    *free = bits;
                    return;
                }
                Some(known) => bits ^= *known,
                None => return,
            }
        }
    }

    /// From the last slot to the first: what the equation says, or anything where there is none.
    fn fill(&mut self) {
        let mut windows = [0_u64; COLUMNS];
        for (slot, equation) in self.equations.iter().enumerate().rev() {
            let any = mixed(slot as u64 + 1);
            for (number, (column, window)) in self.columns.iter_mut().zip(&mut windows).enumerate()
            {
                let bit = match *equation {
                    0 => (any >> number) & 1,
                    some => u64::from(((some >> 1) & *window).count_ones() & 1),
                };
                *window = (*window << 1) | bit;
                if let Some(byte) = column.get_mut(slot / 8)
                    && bit != 0
                {
                    *byte |= 1 << (slot % 8);
                }
            }
        }
    }
}

/// Whether the filter of so many hashes, of which `columns` are there, may hold a hash. `None` when it has not the bytes that it
/// must have.
pub(super) fn holds(
    filter: &[u8],
    hashes: usize,
    columns: usize,
    (hash, spread): (u64, u64),
) -> Option<bool> {
    if hashes == 0 {
        return Some(false);
    }
    let (start, bits) = equation(hash, spread, slots(hashes));
    let bytes = column_bytes(hashes);
    for column in 0..columns {
        let column = filter.get(column * bytes..(column + 1) * bytes)?;
        if (window(column, start) & bits).count_ones() & 1 != 0 {
            return Some(false);
        }
    }
    Some(true)
}

/// The slots of a window, of which a column has all.
fn window(column: &[u8], start: usize) -> u64 {
    let from = column.get(start / 8..).unwrap_or_default();
    let mut bytes = [0; 16];
    for (to, byte) in bytes.iter_mut().zip(from.iter().take(WINDOW / 8 + 1)) {
        *to = *byte;
    }
    let bits = u128::from_le_bytes(bytes) >> (start % 8);
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let low = bits as u64;
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn filter(hashes: &[(u64, u64)]) -> Vec<u8> {
        let mut solver = Solver::default();
        // What it was used for before makes no difference.
        solver.solve([(1, 2), (3, 4)].into_iter());
        solver.solve(hashes.iter().copied()).concat()
    }

    proptest! {
        #[test]
        fn every_hash_is_found_however_they_crowd(
            hashes in prop::collection::vec(any::<(u64, u64)>(), 0..300),
            crowded in any::<bool>(),
        ) {
            let spread = |spread: u64| if crowded { spread >> 57 } else { spread };
            let mut hashes: Vec<_> = hashes.into_iter().map(|(hash, at)| (hash, spread(at))).collect();
            hashes.sort_by_key(|(_hash, spread)| *spread);
            let filter = filter(&hashes);
            for hash in &hashes {
                prop_assert_eq!(holds(&filter, hashes.len(), COLUMNS, *hash), Some(true));
                prop_assert_eq!(holds(&filter, hashes.len(), 2, *hash), Some(true));
            }
            if !hashes.is_empty() {
                let cut = &filter[..column_bytes(hashes.len()) - 1];
                prop_assert_eq!(holds(cut, hashes.len(), COLUMNS, hashes[0]), None);
            }
        }
    }

    #[test]
    fn three_of_a_hundred_other_hashes_are_found() {
        for count in [40, 300, 512, 800, 1_500] {
            let hash = |number: u64| {
                let hash = xxh3_64(&number.to_le_bytes());
                (hash, hash.wrapping_mul(3))
            };
            let mut hashes: Vec<_> = (0..count).map(hash).collect();
            hashes.sort_by_key(|(_hash, spread)| *spread);
            let filter = filter(&hashes);
            assert!(filter.len() <= 5 * (slots(hashes.len()) / 8 + 1));
            let others = 100_000;
            let found = (count..count + others)
                .filter(|number| holds(&filter, hashes.len(), COLUMNS, hash(*number)) == Some(true))
                .count();
            assert!(
                (1_000..4_500).contains(&found),
                "{found} of {others}, {count} hashes"
            );
        }
        assert_eq!(holds(&[], 0, COLUMNS, (1, 2)), Some(false));
    }
}
