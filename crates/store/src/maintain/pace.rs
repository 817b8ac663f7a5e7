//! How fast long work may go, and how it is called off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Calls off long work. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    pub fn cancel(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    pub fn is_cancelled(&self) -> bool {
        *self.0.0.lock()
    }

    /// Waits for `period`, or until the work is called off. Returns whether it is.
    fn wait(&self, period: Duration) -> bool {
        let end = Instant::now() + period;
        let mut cancelled = self.0.0.lock();
        while !*cancelled && !self.0.1.wait_until(&mut cancelled, end).timed_out() {}
        *cancelled
    }
}

/// A budget of bytes per second. What is not used in time is lost, so work does not come in bursts.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    began: Instant,
    spent: u64,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            began: Instant::now(),
            spent: 0,
        }
    }

    /// Counts `bytes` and waits until they may have been spent. Returns whether the work is called off.
    pub(super) fn spend(&mut self, bytes: u64, cancel: &Cancel) -> bool {
        self.spent = self.spent.saturating_add(bytes);
        let millis = self.spent.saturating_mul(1_000) / self.bytes_per_second.max(1);
        let due = Duration::from_millis(millis);
        match due.checked_sub(self.began.elapsed()) {
            Some(early) if !early.is_zero() => cancel.wait(early),
            _ => cancel.is_cancelled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_called_off_does_not_wait_for_its_budget() {
        let cancel = Cancel::default();
        let mut pace = Pace::new(1);
        let other = cancel.clone();
        let worker = std::thread::spawn(move || pace.spend(u64::MAX, &other));
        cancel.cancel();
        assert!(worker.join().unwrap());
    }

    #[test]
    fn bytes_take_the_time_they_may_take() {
        let mut pace = Pace::new(1 << 20);
        let began = Instant::now();
        assert!(!pace.spend(50 << 10, &Cancel::default()));
        assert!(began.elapsed() >= Duration::from_millis(48));
    }
}
