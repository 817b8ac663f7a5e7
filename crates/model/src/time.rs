//! Points in time as integers with their unit in the type, and the clock that tests can set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Nanoseconds since the Unix epoch; negative before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixNanos(pub i64);

/// Milliseconds since the Unix epoch, the resolution of metric samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixMillis(pub i64);

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

impl UnixNanos {
    /// Rounds down to milliseconds.
    pub fn to_millis(self) -> UnixMillis {
        UnixMillis(self.0.div_euclid(NANOS_PER_MILLI))
    }

    /// Days since 1970-01-01 (UTC), the partition of every stored table.
    pub fn day(self) -> i32 {
        i32::try_from(self.0.div_euclid(NANOS_PER_DAY)).unwrap_or(i32::MAX)
    }

    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// The time from `earlier` to `self`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl UnixMillis {
    pub fn to_nanos(self) -> UnixNanos {
        UnixNanos(self.0.saturating_mul(NANOS_PER_MILLI))
    }
}

/// Tells the time. Parts that expire, wait or evaluate take one, so that tests can set it.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> UnixNanos;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixNanos {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the system clock"
        )]
        let now = std::time::SystemTime::now();
        match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(elapsed) => UnixNanos(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)),
            Err(_before_1970) => UnixNanos(0),
        }
    }
}

/// A clock that stands still until told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn new(now: UnixNanos) -> Self {
        Self(AtomicI64::new(now.0))
    }

    pub fn set(&self, now: UnixNanos) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_1970_round_down() {
        assert_eq!(UnixNanos(-1).day(), -1);
        assert_eq!(UnixNanos(NANOS_PER_DAY).day(), 1);
        assert_eq!(UnixNanos(-1).to_millis(), UnixMillis(-1));
    }

    #[test]
    fn manual_clock_advances() {
        let clock = ManualClock::new(UnixNanos(5));
        clock.advance(Duration::from_nanos(7));
        assert_eq!(clock.now(), UnixNanos(12));
    }
}
