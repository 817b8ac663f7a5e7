//! What became of the last attempt to change the configuration.
//!
//! In: the result of every reload. Out: the status, a warning while a refused one is the last, and the metrics
//! `config_last_reload_*`. The start counts as the first that was taken over. At most [`ERRORS_MAX`] errors of
//! [`ERROR_BYTES_MAX`] are kept.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Serialize;
use vervet_model::UnixNanos;

use crate::config::Problem;
use crate::explain::time_text;
use crate::processors::mask_secrets;

/// Errors of one reload that are kept.
const ERRORS_MAX: usize = 100;
/// What is kept of each.
const ERROR_BYTES_MAX: usize = 1_024;

/// The configuration at work, and the last attempt to change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReloadStatus {
    /// The last attempt was taken over: the file's configuration is at work.
    pub successful: bool,
    /// When it was (RFC 3339).
    pub at: String,
    pub ago_seconds: u64,
    /// When the configuration at work was taken over.
    pub in_use_since: String,
    /// What the last attempt changed; absent when it was refused.
    pub changes: Option<String>,
    /// Why the last attempt was refused: all that is wrong.
    pub errors: Vec<String>,
}

/// The last results. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reloads(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    at: UnixNanos,
    succeeded_at: UnixNanos,
    /// When the last one that changed something was taken over.
    in_use_since: UnixNanos,
    changes: Option<String>,
    errors: Vec<String>,
    /// What is odd about the configuration at work.
    warnings: Vec<String>,
}

impl Reloads {
    /// A configuration is at work, and these are the warnings about it.
    pub(crate) fn at_work(&self, warnings: &[Problem]) {
        let told = |warning: &Problem| bounded(format!("configuration: {warning}"));
        let told = warnings.iter().take(ERRORS_MAX).map(told).collect();
        self.0.lock().warnings = told;
    }

    /// What is odd about the configuration at work.
    pub(crate) fn oddities(&self) -> Vec<String> {
        self.0.lock().warnings.clone()
    }

    /// A configuration has been taken over.
    pub(crate) fn succeeded(&self, now: UnixNanos, changes: String) {
        let mut last = self.0.lock();
        (last.at, last.succeeded_at, last.in_use_since) = (now, now, now);
        last.changes = Some(changes);
        last.errors.clear();
    }

    /// One that says what the one at work says has been read, `changes` in words.
    pub(crate) fn unchanged(&self, now: UnixNanos, changes: String) {
        let mut last = self.0.lock();
        (last.at, last.succeeded_at) = (now, now);
        last.changes = Some(changes);
        last.errors.clear();
    }

    /// One was refused.
    pub(crate) fn refused(&self, now: UnixNanos, errors: impl IntoIterator<Item = String>) {
        let mut errors = errors.into_iter();
        let mut kept: Vec<String> = errors.by_ref().take(ERRORS_MAX).map(bounded).collect();
        let more = errors.count();
        if more > 0 {
            kept.push(format!("and {more} more"));
        }
        let mut last = self.0.lock();
        last.at = now;
        last.changes = None;
        last.errors = kept;
    }

    pub(crate) fn status(&self, now: UnixNanos) -> ReloadStatus {
        let last = self.0.lock();
        ReloadStatus {
            successful: last.errors.is_empty(),
            at: text(last.at),
            ago_seconds: now.since(last.at).as_secs(),
            in_use_since: text(last.in_use_since),
            changes: last.changes.clone(),
            errors: last.errors.clone(),
        }
    }

    /// That the configuration in the file is not the one at work.
    pub(crate) fn warning(&self) -> Option<String> {
        let last = self.0.lock();
        let first = last.errors.first()?;
        let more = match last.errors.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let (at, since) = (text(last.at), text(last.in_use_since));
        Some(format!(
            "configuration: the reload at {at} was refused, that of {since} is at work: {first}{more}"
        ))
    }
}

fn bounded(error: String) -> String {
    let mut error = mask_secrets(&error);
    let mut end = ERROR_BYTES_MAX.min(error.len());
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    error.truncate(end);
    error
}

/// To the millisecond: a person reads it.
pub(crate) fn text(at: UnixNanos) -> String {
    let nanos = u64::try_from(at.0).unwrap_or(0);
    time_text(nanos - nanos % 1_000_000)
}

impl Collector for Reloads {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (at, succeeded_at, successful) = {
            let last = self.0.lock();
            (last.at, last.succeeded_at, last.errors.is_empty())
        };
        #[expect(clippy::cast_precision_loss, reason = "microseconds are enough")]
        let seconds = |at: UnixNanos| at.0 as f64 / 1e9;
        let gauges = [
            (
                "config_last_reload_successful",
                "1 when the last attempt to load the configuration succeeded",
                f64::from(u8::from(successful)),
            ),
            (
                "config_last_reload_timestamp_seconds",
                "When the last attempt to load the configuration was",
                seconds(at),
            ),
            (
                "config_last_reload_success_timestamp_seconds",
                "When the configuration was last loaded with success",
                seconds(succeeded_at),
            ),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> UnixNanos {
        UnixNanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_refused_reload_is_known_with_all_its_errors_until_one_succeeds() {
        let reloads = Reloads::default();
        reloads.succeeded(seconds(100), "start".to_owned());
        assert_eq!(reloads.warning(), None);
        let errors = ["a.yaml:3: one".to_owned(), "a.yaml:7: two".to_owned()];
        reloads.refused(seconds(200), errors.clone());
        let status = reloads.status(seconds(230));
        assert_eq!(
            (status.successful, status.ago_seconds, &*status.errors),
            (false, 30, errors.as_slice())
        );
        assert_eq!(status.in_use_since, "1970-01-01T00:01:40Z");
        let warning = reloads.warning().expect("one");
        assert!(
            warning.contains("1970-01-01T00:03:20Z")
                && warning.ends_with("a.yaml:3: one (and 1 more)"),
            "{warning}"
        );
        reloads.unchanged(seconds(300), "nothing changed".to_owned());
        let status = reloads.status(seconds(301));
        assert_eq!((status.successful, reloads.warning()), (true, None));
        assert_eq!(status.changes.as_deref(), Some("nothing changed"));
        assert_eq!(status.in_use_since, "1970-01-01T00:01:40Z");
        assert_eq!(status.at, "1970-01-01T00:05:00Z");
        reloads.succeeded(seconds(400), "resource: changed".to_owned());
        let status = reloads.status(seconds(401));
        assert_eq!(status.in_use_since, "1970-01-01T00:06:40Z");
    }

    #[test]
    fn errors_are_bounded_and_hold_no_secrets() {
        let reloads = Reloads::default();
        let long = "ä".repeat(ERROR_BYTES_MAX);
        let errors = (0..ERRORS_MAX + 7).map(|_| format!("password=hunter2 {long}"));
        reloads.refused(seconds(1), errors);
        let errors = reloads.status(seconds(1)).errors;
        assert_eq!(errors.len(), ERRORS_MAX + 1);
        assert_eq!(errors.last().map(String::as_str), Some("and 7 more"));
        assert!(
            errors
                .iter()
                .all(|error| error.len() <= ERROR_BYTES_MAX && !error.contains("hunter2"))
        );
    }
}
