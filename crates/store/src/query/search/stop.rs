//! When a request has to end early.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::StoreError;

/// Asked before each page is read.
#[derive(Debug)]
pub(crate) struct Stop {
    stopped: AtomicBool,
    deadline: Instant,
    timeout: Duration,
}

impl Stop {
    pub(crate) fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            stopped: AtomicBool::new(false),
            deadline: now.checked_add(timeout).unwrap_or(now),
            timeout,
        }
    }

    /// Ends the request: its caller is gone, or it failed.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The time until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.stopped.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            return Err(StoreError::Timeout {
                after: self.timeout,
            });
        }
        Ok(())
    }
}
