//! Who may run: a bounded number of queries at once, a bounded queue before them, and two lanes, so that heavy queries
//! wait for each other and never in front of light ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::StoreError;

/// What a query is going to do, or how much it is going to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Planning,
    Light,
    Heavy,
}

/// What runs and waits in one lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneStats {
    pub running: usize,
    pub waiting: usize,
    /// Refused because the queue was full or the time was over, since the start.
    pub refused: usize,
}

/// One of the two lanes.
pub(crate) struct Lane {
    places: Arc<Semaphore>,
    running_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
    refused: AtomicUsize,
}

/// The place of a running query; free again when it is dropped.
pub(crate) struct Place(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

impl Lane {
    pub(crate) fn new(running_max: usize, waiting_max: usize) -> Self {
        let running_max = running_max.max(1);
        Self {
            places: Arc::new(Semaphore::new(running_max)),
            running_max,
            waiting: AtomicUsize::new(0),
            waiting_max,
            refused: AtomicUsize::new(0),
        }
    }

    /// Waits for a place, first come first served. A caller that goes away leaves the queue.
    ///
    /// # Errors
    /// [`StoreError::Busy`] at once when the queue is full, or at `deadline`.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<Place, StoreError> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place(permit));
        }
        let waiting = Waiting::new(&self.waiting);
        if waiting.before >= self.waiting_max {
            return Err(self.refuse());
        }
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout_at(deadline, place).await {
            Ok(Ok(permit)) => Ok(Place(permit)),
            Ok(Err(_)) | Err(_) => Err(self.refuse()),
        }
    }

    pub(crate) fn stats(&self) -> LaneStats {
        LaneStats {
            running: self
                .running_max
                .saturating_sub(self.places.available_permits()),
            waiting: self.waiting.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn refuse(&self) -> StoreError {
        self.refused.fetch_add(1, Ordering::Relaxed);
        StoreError::Busy
    }
}

/// Counts a caller among the waiting ones for as long as it lives.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        let before = count.fetch_add(1, Ordering::Relaxed);
        Self { count, before }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
