//! Which answers are worth another attempt, and when.

use std::time::Duration;

use rand::Rng;
use tonic::{Code, Status};

const PUSHBACK_KEY: &str = "grpc-retry-pushback-ms";
/// Longest pause a destination can ask for.
const PUSHBACK_MAX: Duration = Duration::from_secs(60);
const ATTEMPTS_PER_WARNING: u32 = 20;

/// What to do after a failed request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request can never succeed.
    Rejected,
    /// Try again, not before the delay asked for.
    Retry { after: Option<Duration> },
}

/// Only an answer about the request itself rejects it. An endpoint that is missing, forbidden or broken may be
/// mended, and the data is on disk until then. `RESOURCE_EXHAUSTED` without a delay means too large (OTLP
/// specification, "OTLP/gRPC Response").
pub(super) fn judge(status: &Status) -> Verdict {
    let pushback = status.metadata().get(PUSHBACK_KEY);
    let after = pushback
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(|millis| Duration::from_millis(millis).min(PUSHBACK_MAX));
    match status.code() {
        Code::InvalidArgument => Verdict::Rejected,
        Code::ResourceExhausted if after.is_none() => Verdict::Rejected,
        _ => Verdict::Retry { after },
    }
}

/// Pauses that double, each drawn from the upper half of its range.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    pub(super) fn new(initial: Duration, max: Duration) -> Self {
        Self {
            next: initial.min(max),
            max,
            attempts: 0,
        }
    }

    /// The pause before the next attempt, at least what was asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.max);
        self.attempts += 1;
        pause.max(asked.unwrap_or_default())
    }

    /// The first failure of a request, and every twentieth.
    pub(super) fn is_worth_a_warning(&self) -> bool {
        self.attempts % ATTEMPTS_PER_WARNING == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_are_never_shorter_than_asked() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100), millis(300));
        for longest in [100, 200, 300, 300] {
            let pause = backoff.next(None);
            assert!(
                pause >= millis(longest / 2) && pause <= millis(longest),
                "{pause:?}"
            );
        }
        assert_eq!(backoff.next(Some(millis(5_000))), millis(5_000));
    }

    #[test]
    fn only_answers_about_the_request_reject_it() {
        assert_eq!(judge(&Status::invalid_argument("")), Verdict::Rejected);
        assert_eq!(judge(&Status::resource_exhausted("")), Verdict::Rejected);
        for code in [
            Code::Unauthenticated,
            Code::Unimplemented,
            Code::Unknown,
            Code::Unavailable,
        ] {
            assert_eq!(
                judge(&Status::new(code, "")),
                Verdict::Retry { after: None }
            );
        }
        let mut busy = Status::resource_exhausted("");
        busy.metadata_mut().insert(PUSHBACK_KEY, 1_500.into());
        assert_eq!(
            judge(&busy),
            Verdict::Retry {
                after: Some(Duration::from_millis(1_500))
            }
        );
    }
}
