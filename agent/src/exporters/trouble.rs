//! Says that a destination does not take data, and that it does again, without saying it for every request.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::retry::Failure;

const REPEAT_INTERVAL: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Ongoing>>);

#[derive(Debug)]
struct Ongoing {
    since: Instant,
    said_at: Instant,
    failures: u64,
}

impl Trouble {
    pub(super) fn happened(&self, exporter: &str, failure: &Failure) {
        let now = Instant::now();
        let mut ongoing = self.0.lock();
        let (failures, seconds) = match &mut *ongoing {
            None => {
                *ongoing = Some(Ongoing {
                    since: now,
                    said_at: now,
                    failures: 1,
                });
                (1, 0)
            }
            Some(ongoing) => {
                ongoing.failures += 1;
                if now - ongoing.said_at < REPEAT_INTERVAL {
                    return;
                }
                ongoing.said_at = now;
                (ongoing.failures, (now - ongoing.since).as_secs())
            }
        };
        tracing::warn!(
            exporter,
            status = failure.status,
            reason = failure.message,
            failures,
            seconds,
            "destination does not take data, trying again"
        );
    }

    pub(super) fn is_over(&self, exporter: &str) {
        if let Some(ongoing) = self.0.lock().take() {
            tracing::info!(
                exporter,
                failures = ongoing.failures,
                seconds = ongoing.since.elapsed().as_secs(),
                "destination takes data again"
            );
        }
    }
}
