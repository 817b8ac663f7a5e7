//! Places behind the one that was reached in a file, each with a hash of what stood before it.
//!
//! A copy is made a moment before the cut, and what is written in between may have been read: then more was read than
//! the copy holds, and there is nothing at the place reached to compare. The waymarks that the copy reaches tell it from
//! others. They are stored, as the agent may be killed before it sees the cut; hashes, because what was read may hold
//! what must not be on disk.
//!
//! Limits: what is read between copy and cut is at most about 256 KiB where as much was read before, 32 KiB where that was,
//! and 8 KiB otherwise, of a copy that holds as much and 64 bytes.

use std::fs::File;
use std::io;

use xxhash_rust::xxh3::xxh3_64;

use super::identity::{TAIL_BYTES, read_up_to};
use crate::pipeline::{WAYMARKS_MAX, Waymark};

/// How far behind the place reached a waymark is, at least, and short of the next distance.
const DISTANCES: [u32; WAYMARKS_MAX] = [
    64,
    256,
    512,
    1 << 10,
    2 << 10,
    4 << 10,
    8 << 10,
    32 << 10,
    256 << 10,
];

/// The nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Waymarks(pub(super) [Waymark; WAYMARKS_MAX]);

impl Waymarks {
    /// The place has moved on by so many bytes; `before` is what stands before it now, as far as that is at hand.
    pub(super) fn advance(&mut self, bytes: usize, before: &[u8]) {
        let known = self.0.iter().filter(|waymark| waymark.back > 0);
        let moved: [Option<Waymark>; WAYMARKS_MAX] = {
            let mut moved = known.map(|waymark| {
                let back = waymark.back.checked_add(u32::try_from(bytes).ok()?)?;
                Some(Waymark { back, ..*waymark })
            });
            std::array::from_fn(|_| moved.next().flatten())
        };
        for (at, slot) in self.0.iter_mut().enumerate() {
            let from = DISTANCES.get(at).copied().unwrap_or(u32::MAX);
            let to = DISTANCES.get(at + 1).copied();
            let fitting = moved
                .iter()
                .flatten()
                .filter(|waymark| waymark.back >= from && to.is_none_or(|to| waymark.back < to));
            // The farthest stays, so that there is one for the next distance in time.
            let chosen = match to {
                Some(_) => fitting.max_by_key(|waymark| waymark.back),
                None => fitting.min_by_key(|waymark| waymark.back),
            };
            *slot = match chosen {
                Some(waymark) => *waymark,
                None => waymark_of(before, from).unwrap_or_default(),
            };
        }
    }

    /// Whether `file`, which holds `bytes` and so less than `offset`, holds what stood before each waymark that it
    /// reaches, and reaches one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn fit(&self, file: &File, bytes: u64, offset: u64) -> io::Result<bool> {
        let mut reached = 0;
        for waymark in self.0.iter().filter(|waymark| waymark.back > 0) {
            let place = offset.checked_sub(u64::from(waymark.back));
            let Some(place) = place.filter(|place| *place <= bytes) else {
                continue;
            };
            let Some(from) = place.checked_sub(TAIL_BYTES as u64) else {
                continue;
            };
            let mut found = [0; TAIL_BYTES];
            if read_up_to(file, &mut found, from)? < TAIL_BYTES || hash(&found) != waymark.hash {
                return Ok(false);
            }
            reached += 1;
        }
        Ok(reached > 0)
    }
}

/// The waymark `back` bytes before the end of `before`.
fn waymark_of(before: &[u8], back: u32) -> Option<Waymark> {
    let place = before.len().checked_sub(usize::try_from(back).ok()?)?;
    let bytes = before.get(place.checked_sub(TAIL_BYTES)?..place)?;
    let hash = hash(bytes);
    Some(Waymark { back, hash })
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is one")]
fn hash(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// Bytes that nowhere repeat.
    fn text(bytes: usize) -> Vec<u8> {
        let numbers = (0..).flat_map(|number: u64| format!("{number}\n").into_bytes());
        numbers.take(bytes).collect()
    }

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(content).expect("written");
        file
    }

    proptest! {
        #[test]
        fn a_shorter_copy_is_told_from_others(
            steps in prop::collection::vec(prop_oneof![1..300_usize, 1..20_000_usize, 200_000..400_000_usize], 1..30),
            missing in 1..260_000_usize,
        ) {
            let whole = text(steps.iter().sum());
            let (mut waymarks, mut at) = (Waymarks::default(), 0);
            for step in steps {
                at += step;
                // No more is at hand than a file's last turn, or the last bytes handed on.
                let before = &whole[at.saturating_sub(step.max(4096))..at];
                waymarks.advance(step, before);
            }
            let reached = |bytes: usize| {
                let known = waymarks.0.iter().filter(|waymark| waymark.back > 0);
                known.clone().any(|waymark| {
                    let place = whole.len() - waymark.back as usize;
                    place >= TAIL_BYTES && place <= bytes
                })
            };
            let bytes = whole.len().saturating_sub(missing);
            let fits = |content: &[u8]| {
                waymarks.fit(&file(content), content.len() as u64, whole.len() as u64).expect("read")
            };
            prop_assert_eq!(fits(&whole[..bytes]), reached(bytes));
            // What was read last is known from two hundred bytes on.
            if whole.len() >= 300 {
                prop_assert!(fits(&whole[..whole.len() - 64]));
            }
            prop_assert!(whole.len() < 600_000 || reached(whole.len() - 256 * 1024));
            let mut other = whole[..bytes].to_vec();
            other.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
            prop_assert!(!fits(&other));
        }

        #[test]
        fn half_of_little_is_enough(
            steps in prop::collection::vec(1..1_500_usize, 1..12),
            part in 0..1_000_usize,
        ) {
            let whole = text(steps.iter().sum());
            prop_assume!((600..8_000).contains(&whole.len()));
            let (mut waymarks, mut at) = (Waymarks::default(), 0);
            for step in steps {
                at += step;
                waymarks.advance(step, &whole[at.saturating_sub(4096)..at]);
            }
            let least = whole.len() / 2 + TAIL_BYTES + 1;
            let bytes = least + (whole.len() - least) * part / 1_000;
            let offset = whole.len() as u64;
            prop_assert!(waymarks.fit(&file(&whole[..bytes]), bytes as u64, offset).expect("read"));
        }
    }
}
