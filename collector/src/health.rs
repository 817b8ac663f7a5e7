//! Whether data flows, not only whether the process runs.

use parking_lot::Mutex;
use vervet_model::{Clock, SystemClock, UnixNanos};

/// A flush may fail this long before the collector stops calling itself ready.
const FLUSH_FAILURE_MAX_SECONDS: u64 = 120;

/// What the parts report of themselves.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    serving: bool,
    flush_failing_since: Option<UnixNanos>,
    journal_failing: Option<String>,
}

impl Health {
    /// Replay is over and listeners are open, or a shutdown began.
    pub(crate) fn set_serving(&self, serving: bool) {
        self.0.lock().serving = serving;
    }

    pub(crate) fn flush_finished(&self, succeeded: bool) {
        let mut state = self.0.lock();
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
    pub(crate) fn journal_finished(&self, failure: Option<String>) {
        self.0.lock().journal_failing = failure;
    }

    /// Why the collector cannot take data, `None` when it can.
    pub(crate) fn problem(&self) -> Option<String> {
        let state = self.0.lock();
        if !state.serving {
            return Some("starting or shutting down".to_owned());
        }
        if let Some(failure) = &state.journal_failing {
            return Some(format!("the journal cannot be written: {failure}"));
        }
        let failing_for = state
            .flush_failing_since
            .map(|since| SystemClock.now().since(since).as_secs());
        failing_for
            .filter(|seconds| *seconds > FLUSH_FAILURE_MAX_SECONDS)
            .map(|seconds| format!("segments could not be written for {seconds} s"))
    }
}
