//! Says what goes wrong for each request once, then now and then, with how often it did: first after [`SAID_AGAIN_AFTER`], then
//! after twice as long each time, up to [`SAID_AGAIN_AFTER_MAX`].

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::retry::Failure;

const SAID_AGAIN_AFTER: Duration = Duration::from_secs(30);
const SAID_AGAIN_AFTER_MAX: Duration = Duration::from_secs(1_800);
/// Between lines about different errors, at least.
const OTHER_SAID_AFTER: Duration = Duration::from_secs(5);

/// Something that happens again and again, and is over when it has not for the longest pause.
#[derive(Debug, Default)]
pub(super) struct Repeated(Mutex<Option<Ongoing>>);

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// How often it happened since it was last said, this time not counted.
    pub(super) before: u64,
    /// How long it has lasted.
    pub(super) seconds: u64,
}

/// That a destination does not take data, until it does again.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    failures: Repeated,
    /// The status that was said last.
    status: Mutex<String>,
}

#[derive(Debug, Clone, Copy)]
struct Ongoing {
    since: Instant,
    said_at: Instant,
    /// Said again after that.
    pause: Duration,
    last: Instant,
    all: u64,
    before: u64,
}

impl Repeated {
    /// It has happened; what to say of it, if it is to be said.
    pub(super) fn happened(&self) -> Option<Said> {
        self.happened_at(Instant::now(), false)
    }

    fn happened_at(&self, now: Instant, is_other: bool) -> Option<Said> {
        let mut ongoing = self.0.lock();
        let is_over = |ongoing: &Ongoing| now - ongoing.last > SAID_AGAIN_AFTER_MAX;
        let Some(known) = ongoing.as_mut().filter(|known| !is_over(known)) else {
            *ongoing = Some(Ongoing {
                since: now,
                said_at: now,
                pause: SAID_AGAIN_AFTER,
                last: now,
                all: 1,
                before: 0,
            });
            return Some(Said {
                before: 0,
                seconds: 0,
            });
        };
        known.last = now;
        known.all += 1;
        let quiet = now - known.said_at;
        if quiet < known.pause && !(is_other && quiet >= OTHER_SAID_AFTER) {
            known.before += 1;
            return None;
        }
        if quiet >= known.pause {
            known.pause = (known.pause * 2).min(SAID_AGAIN_AFTER_MAX);
        }
        known.said_at = now;
        Some(Said {
            before: std::mem::take(&mut known.before),
            seconds: (now - known.since).as_secs(),
        })
    }

    /// How often it has happened, and for how long.
    fn ends(&self) -> Option<(u64, Duration)> {
        let ongoing = self.0.lock().take()?;
        Some((ongoing.all, ongoing.since.elapsed()))
    }

    fn all(&self) -> u64 {
        self.0.lock().map_or(0, |ongoing| ongoing.all)
    }
}

impl Trouble {
    pub(super) fn happened(&self, exporter: &str, failure: &Failure) {
        let mut status = self.status.lock();
        let said = self
            .failures
            .happened_at(Instant::now(), *status != failure.status);
        let Some(Said { seconds, .. }) = said else {
            return;
        };
        failure.status.clone_into(&mut status);
        tracing::warn!(
            exporter,
            status = failure.status,
            reason = failure.message,
            failures = self.failures.all(),
            seconds,
            "destination does not take data, trying again"
        );
    }

    pub(super) fn is_over(&self, exporter: &str) {
        if let Some((failures, lasted)) = self.failures.ends() {
            tracing::info!(
                exporter,
                failures,
                seconds = lasted.as_secs(),
                "destination takes data again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_said_once_and_then_at_growing_intervals() {
        let (repeated, start) = (Repeated::default(), Instant::now());
        let mut said = Vec::new();
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            said.extend(repeated.happened_at(now, false));
        }
        let seconds: Vec<_> = said.iter().map(|said| said.seconds).collect();
        assert_eq!(seconds, [0, 30, 90, 210]);
        let before: Vec<_> = said.iter().map(|said| said.before).collect();
        assert_eq!(before, [0, 29, 59, 119]);
        // Another error is said sooner, but not for each request.
        for second in 300..310 {
            let now = start + Duration::from_secs(second);
            said.extend(repeated.happened_at(now, true));
        }
        assert_eq!(said.len(), 6);
        // What has not happened for long is something new.
        let later = start + SAID_AGAIN_AFTER_MAX * 2;
        let first = Said {
            before: 0,
            seconds: 0,
        };
        assert_eq!(repeated.happened_at(later, false), Some(first));
        assert_eq!(repeated.ends().map(|(all, _)| all), Some(1));
        assert_eq!(repeated.ends(), None);
    }
}
