//! Whether data flows, not only whether the process runs.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use vervet_model::{Clock, SystemClock, UnixNanos};

/// A flush may fail this long before the collector stops calling itself ready.
const FLUSH_FAILURE_MAX_SECONDS: u64 = 120;
/// So long after a request was refused because the journal could not be written, the collector is not ready, although
/// others were taken meanwhile: a small one fits where most do not.
const REFUSAL_REMEMBERED: Duration = Duration::from_secs(30);
/// After the disk was full it is ready again when so much is free: a request of the largest size, and room for segments
/// (bytes).
const FREE_BYTES_MIN: u64 = 32 << 20;

/// What the parts report of themselves.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// The folder whose file system must have room.
    data_dir: OnceLock<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    serving: bool,
    flush_failing_since: Option<UnixNanos>,
    journal: Option<Refusal>,
}

/// The last failure of the journal.
#[derive(Debug, Clone)]
struct Refusal {
    at: UnixNanos,
    reason: String,
    /// There was no room on the disk.
    is_full: bool,
    /// The last append failed.
    is_last: bool,
}

impl Health {
    /// Names the folder that must have room.
    pub(crate) fn watch(&self, data_dir: &Path) {
        let _named_before = self.data_dir.set(data_dir.to_owned());
    }

    /// Replay is over and listeners are open, or a shutdown began.
    pub(crate) fn set_serving(&self, serving: bool) {
        self.state.lock().serving = serving;
    }

    pub(crate) fn flush_finished(&self, succeeded: bool) {
        let mut state = self.state.lock();
        state.flush_failing_since = match succeeded {
            true => None,
            false => Some(
                state
                    .flush_failing_since
                    .unwrap_or_else(|| SystemClock.now()),
            ),
        };
    }

    /// The result of the last append to the journal.
    pub(crate) fn journal_finished(&self, failure: Option<&(dyn Error + 'static)>) {
        let mut state = self.state.lock();
        match failure {
            Some(error) => {
                state.journal = Some(Refusal {
                    at: SystemClock.now(),
                    reason: with_causes(error),
                    is_full: is_full(error),
                    is_last: true,
                });
            }
            None => {
                if let Some(refusal) = &mut state.journal {
                    refusal.is_last = false;
                }
            }
        }
    }

    /// Why the collector cannot take data, `None` when it can.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem_at(SystemClock.now(), self.free_bytes())
    }

    fn problem_at(&self, now: UnixNanos, free_bytes: Option<u64>) -> Option<String> {
        let state = self.state.lock();
        if !state.serving {
            return Some("starting or shutting down".to_owned());
        }
        if let Some(refusal) = &state.journal {
            let has_room = !refusal.is_full || free_bytes.is_none_or(|free| free >= FREE_BYTES_MIN);
            let is_over =
                !refusal.is_last && has_room && now.since(refusal.at) >= REFUSAL_REMEMBERED;
            if !is_over {
                let room = match (refusal.is_full, free_bytes) {
                    (true, Some(free)) => format!(" ({free} bytes are free)"),
                    _ => String::new(),
                };
                let reason = &refusal.reason;
                return Some(format!("the journal cannot be written: {reason}{room}"));
            }
        }
        let failing_for = state
            .flush_failing_since
            .map(|since| now.since(since).as_secs());
        failing_for
            .filter(|seconds| *seconds > FLUSH_FAILURE_MAX_SECONDS)
            .map(|seconds| format!("segments could not be written for {seconds} s"))
    }

    fn free_bytes(&self) -> Option<u64> {
        let room = rustix::fs::statvfs(self.data_dir.get()?).ok()?;
        Some(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

/// Whether the disk had no room.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let is_full = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        }) || matches!(
            error.downcast_ref(),
            Some(vervet_journal::JournalError::NoSpace { .. })
        )
    };
    std::iter::successors(Some(error), |error| (**error).source()).any(is_full)
}

/// An error and what caused it, on one line.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (**error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vervet_journal::JournalError;

    use super::*;

    #[test]
    fn a_full_disk_keeps_it_from_being_ready_although_small_requests_fit() {
        let health = Health::default();
        health.set_serving(true);
        let full = JournalError::NoSpace {
            path: "/d/journal/1.seg".into(),
            source: Arc::new(io::Error::from(io::ErrorKind::StorageFull)),
        };
        let now = SystemClock.now();
        let after = |seconds| now.saturating_add(Duration::from_secs(seconds));
        health.journal_finished(Some(&full));
        health.journal_finished(None);
        for seconds in [0, 2, 29, 60, 3_600] {
            let problem = health.problem_at(after(seconds), Some(80 << 10));
            let problem = problem.expect("not ready");
            for part in [
                "/d/journal/1.seg",
                "81920 bytes are free",
                "no storage space",
            ] {
                assert!(problem.contains(part), "{part}: {problem}");
            }
        }
        assert!(health.problem_at(after(5), Some(1 << 30)).is_some());
        assert_eq!(health.problem_at(after(61), Some(1 << 30)), None);
        health.journal_finished(Some(&full));
        assert!(health.problem_at(after(61), Some(1 << 30)).is_some());
    }
}
