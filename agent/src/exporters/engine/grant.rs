//! How far an exporter may send whose backlog the buffer may take (`on_full: drop_oldest`).
//!
//! What was sent may have arrived, and the books must not call it dropped, also after a crash in which its answer was
//! lost. So before a record is sent, a sequence at or behind it is stored with the cursor, and the journal takes what lies
//! between the cursor and that sequence last; after a restart it is sent again, and known as a repeat. The part is kept
//! small, so that most of the buffer can be taken: as many bytes as make a commit due, at least [`RECORDS_MIN`]
//! records.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::super::lane::Parcel;
use super::window::Window;

/// One for each lane.
const RECORDS_MIN: usize = 4;

#[derive(Debug)]
pub(super) struct Grant {
    /// All up to here may be sent.
    pub(super) through: u64,
    bytes_max: u64,
    retry_at: Option<Instant>,
}

impl Grant {
    /// For an exporter whose backlog stays until it has settled it.
    pub(super) fn unlimited() -> Self {
        Self {
            through: u64::MAX,
            bytes_max: u64::MAX,
            retry_at: None,
        }
    }

    /// What is stored allows all up to `through`.
    pub(super) fn limited(through: u64, bytes_max: u64) -> Self {
        Self {
            through,
            bytes_max,
            retry_at: None,
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.through != u64::MAX
    }

    /// Whether the next parcel may be sent.
    pub(super) fn covers(&self, queue: &VecDeque<Parcel>) -> bool {
        let next = queue.front().map(|parcel| parcel.sequence);
        next.is_some_and(|sequence| sequence <= self.through)
    }

    /// Whether a lane waits for more and may have it.
    pub(super) fn is_wanted(
        &self,
        queues: &[VecDeque<Parcel>],
        window: &Window,
        now: Instant,
    ) -> bool {
        self.is_limited()
            && self.retry_at.is_none_or(|at| now >= at)
            && self.is_waited_for(queues)
            && self.next(window) > self.through
    }

    fn is_waited_for(&self, queues: &[VecDeque<Parcel>]) -> bool {
        let waits = |queue: &VecDeque<Parcel>| !queue.is_empty() && !self.covers(queue);
        queues.iter().any(waits)
    }

    /// What to store with the next commit.
    pub(super) fn next(&self, window: &Window) -> u64 {
        if !self.is_limited() {
            return 0;
        }
        let reach = window.reach(RECORDS_MIN, self.bytes_max);
        reach.unwrap_or(0).max(self.through)
    }

    pub(super) fn stored_through(&self) -> u64 {
        if self.is_limited() { self.through } else { 0 }
    }

    pub(super) fn stored(&mut self, through: u64) {
        if self.is_limited() {
            self.through = through;
            self.retry_at = None;
        }
    }

    /// It could not be stored; not before `at` again.
    pub(super) fn failed(&mut self, at: Instant) {
        self.retry_at = self.is_limited().then_some(at);
    }

    /// When a lane that waits is to be given more, after that has failed.
    pub(super) fn retry_at(&self, queues: &[VecDeque<Parcel>]) -> Option<Instant> {
        self.retry_at.filter(|_| self.is_waited_for(queues))
    }
}
