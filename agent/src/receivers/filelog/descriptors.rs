//! Descriptors that all `filelog` receivers of the process share: half of what it may have.
//!
//! Half of those are divided evenly, so that no receiver waits for another; the other half is taken by those who need
//! more. A receiver tells how many it holds before it takes another, so the sum never exceeds the allowance, unless the
//! process may have so few that [`OPEN_MIN`] for each receiver are more.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};

/// Descriptors of one receiver, at most and whatever the others hold.
const OPEN_MAX: usize = 4_096;
const OPEN_MIN: usize = 8;

/// The allowance. Clones share it.
#[derive(Clone)]
pub(crate) struct Descriptors(Arc<Mutex<Table>>);

struct Table {
    max: usize,
    /// By receiver, how many it has told that it holds.
    held: HashMap<u64, usize>,
    next: u64,
}

/// One receiver's part, until it is dropped.
pub(super) struct Share {
    all: Descriptors,
    receiver: u64,
}

impl Default for Descriptors {
    fn default() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::of(usize::try_from(limit / 2).unwrap_or(usize::MAX))
    }
}

impl Descriptors {
    pub(super) fn of(max: usize) -> Self {
        Self(Arc::new(Mutex::new(Table {
            max,
            held: HashMap::new(),
            next: 0,
        })))
    }

    /// The part of one more receiver.
    pub(super) fn join(&self) -> Share {
        let mut table = self.0.lock();
        let receiver = table.next;
        table.next += 1;
        table.held.insert(receiver, 0);
        Share {
            all: self.clone(),
            receiver,
        }
    }
}

impl fmt::Debug for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.0.lock();
        let held: usize = table.held.values().sum();
        write!(f, "Descriptors({held} of {})", table.max)
    }
}

impl Table {
    /// What each receiver may hold whatever the others do.
    fn own(&self) -> usize {
        let even = self.max / 2 / self.held.len().max(1);
        even.clamp(OPEN_MIN, OPEN_MAX)
    }

    fn has_room(&self, held: usize) -> bool {
        let own = self.own();
        let common = self.max.saturating_sub(own * self.held.len());
        let taken: usize = self
            .held
            .values()
            .map(|held| held.saturating_sub(own))
            .sum();
        held < own || (held < OPEN_MAX && taken < common)
    }
}

impl Share {
    /// The receiver holds so many.
    pub(super) fn holds(&self, held: usize) {
        self.all.0.lock().held.insert(self.receiver, held);
    }

    /// Whether the receiver, which holds so many, may take another one now.
    pub(super) fn has_room(&self, held: usize) -> bool {
        let mut table = self.all.0.lock();
        table.held.insert(self.receiver, held);
        let has_room = table.has_room(held);
        if has_room {
            table.held.insert(self.receiver, held + 1);
        }
        has_room
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.0.lock().held.remove(&self.receiver);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_divided_evenly_and_the_other_half_is_taken_by_whom_needs_more() {
        let all = Descriptors::of(100);
        let [first, second] = [all.join(), all.join()];
        let take_all = |share: &Share| (0..).find(|held| !share.has_room(*held));
        assert_eq!(take_all(&first), Some(75));
        assert_eq!(take_all(&second), Some(25), "what is its own is left to it");
        first.holds(30);
        assert_eq!(take_all(&second), Some(70));
        drop(first);
        assert_eq!(take_all(&second), Some(100));
    }

    #[test]
    fn every_receiver_has_some_however_few_there_are() {
        let all = Descriptors::of(2);
        let shares = [all.join(), all.join(), all.join()];
        for share in &shares {
            assert!(share.has_room(OPEN_MIN - 1));
            assert!(!share.has_room(OPEN_MIN));
        }
    }
}
