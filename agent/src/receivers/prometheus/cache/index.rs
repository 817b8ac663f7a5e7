//! Places of things by hash. What lies there is compared by who asks.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// From a taken place to the next one that is tried.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Ids by hash (17 bytes an id, and room to grow).
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<u64, u32, BuildHasherDefault<Hashed>>);

impl Index {
    /// The id under `hash` that is the wanted one.
    pub(super) fn find(&self, hash: u64, mut is_wanted: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut place = hash;
        loop {
            let id = *self.0.get(&place)?;
            if is_wanted(id) {
                return Some(id);
            }
            place = place.wrapping_add(STEP);
        }
    }

    pub(super) fn insert(&mut self, hash: u64, id: u32) {
        let mut place = hash;
        while self.0.contains_key(&place) {
            place = place.wrapping_add(STEP);
        }
        self.0.insert(place, id);
    }

    pub(super) fn remove(&mut self, hash: u64, id: u32) {
        let mut place = hash;
        while self.0.get(&place).is_some_and(|found| *found != id) {
            place = place.wrapping_add(STEP);
        }
        if self.0.remove(&place).is_none() {
            return;
        }
        // Those that found their place taken by it move up.
        let mut next = place.wrapping_add(STEP);
        while let Some(moved) = self.0.remove(&next) {
            self.0.insert(place, moved);
            place = next;
            next = next.wrapping_add(STEP);
        }
    }

    /// Gives back room that hardly anything is left in.
    pub(super) fn shrink(&mut self) {
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to_fit();
        }
    }
}

/// The keys are hashes already.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_hash_are_told_apart_and_stay_when_one_is_removed() {
        let mut index = Index::default();
        for id in [5, 6, 7] {
            index.insert(1, id);
        }
        index.insert(2, 8);
        assert_eq!(index.find(1, |id| id == 7), Some(7));
        assert_eq!(index.find(1, |id| id == 9), None);
        index.remove(1, 5);
        index.remove(3, 5);
        assert_eq!(index.find(1, |id| id == 5), None);
        assert_eq!(index.find(1, |id| id == 6), Some(6));
        assert_eq!(index.find(1, |id| id == 7), Some(7));
        assert_eq!(index.find(2, |_| true), Some(8));
        index.remove(1, 7);
        index.remove(1, 6);
        assert_eq!(index.find(1, |_| true), None);
        index.shrink();
        assert_eq!(index.find(2, |_| true), Some(8));
    }
}
