//! Hashing of series ids, which are hashes themselves.
//!
//! One multiplication with a number that only this process knows, so that nobody can choose labels whose ids all fall
//! into one place.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Any odd number with bits all over; this is the fraction of the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug, Clone)]
pub(crate) struct IdHashing {
    secret: u64,
}

impl Default for IdHashing {
    fn default() -> Self {
        Self {
            secret: RandomState::new().hash_one(SPREAD) | 1,
        }
    }
}

impl BuildHasher for IdHashing {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher {
            secret: self.secret,
            hash: SPREAD,
        }
    }
}

pub(crate) struct IdHasher {
    secret: u64,
    hash: u64,
}

impl Hasher for IdHasher {
    fn write_u64(&mut self, id: u64) {
        self.hash = folded_product(self.hash ^ id, self.secret);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// Both halves of the product, one over the other.
#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn folded_product(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}
