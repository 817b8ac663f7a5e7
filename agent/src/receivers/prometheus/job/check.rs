//! What a job must be like, told with the keys that a mistake is about.

mod discovery;
mod http;

use std::time::Duration;

use vervet_exposition::Protocol;
use vervet_relabel::{Rule, RuleSpec};

use super::{JobConfig, Limits};
use crate::config::Mistakes;
use crate::receivers::prometheus::BODY_BYTES_MAX;
use crate::receivers::prometheus::spec::ScrapeSpec;

const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Mistakes of one job, or of one entry in it.
pub(super) struct Notes<'m> {
    /// Path of the entry.
    path: String,
    job: &'m str,
    mistakes: &'m mut Mistakes,
}

impl<'m> Notes<'m> {
    pub(super) fn new(at: usize, job: &'m str, mistakes: &'m mut Mistakes) -> Self {
        Self {
            path: format!("scrape_configs.{at}"),
            job,
            mistakes,
        }
    }

    /// For the entry `at` of the list `key`.
    fn inside(&mut self, key: &str, at: usize) -> Notes<'_> {
        Notes {
            path: format!("{}.{key}.{at}", self.path),
            job: self.job,
            mistakes: self.mistakes,
        }
    }

    /// Notes a mistake about `keys` unless something `holds`.
    pub(super) fn demand(&mut self, holds: bool, keys: &[&str], message: impl Into<String>) {
        if holds {
            return;
        }
        let keys = keys.iter().map(|key| format!("{}.{key}", self.path));
        let keys: Vec<String> = keys.collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let message = format!("job {}: {}", self.job, message.into());
        self.mistakes.demand(false, &keys, message);
    }

    /// What was read, or nothing and a mistake noted about `key`.
    fn note<T>(&mut self, key: &str, read: Result<T, String>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(message) => {
                self.demand(false, &[key], message);
                None
            }
        }
    }
}

/// `None` when something was noted.
pub(super) fn job(spec: ScrapeSpec, series_max: usize, notes: &mut Notes<'_>) -> Option<JobConfig> {
    let (interval, timeout) = times(&spec, notes);
    let path = spec
        .metrics_path
        .clone()
        .unwrap_or_else(|| "/metrics".to_owned());
    notes.demand(
        !spec.job_name.is_empty(),
        &["job_name"],
        "job_name is empty",
    );
    notes.demand(
        path.starts_with('/'),
        &["metrics_path"],
        format!("metrics_path `{path}` does not begin with /"),
    );
    let mut seen = Vec::new();
    for protocol in spec.scrape_protocols.iter().flatten() {
        let is_new = !seen.contains(protocol);
        notes.demand(
            is_new,
            &["scrape_protocols"],
            "a protocol stands twice in scrape_protocols",
        );
        seen.push(*protocol);
    }
    let http = http::check(&spec.http(), notes);
    let relabel = rules(&spec.relabel_configs, "relabel_configs", notes);
    let metric_relabel = rules(
        &spec.metric_relabel_configs,
        "metric_relabel_configs",
        notes,
    );
    let discoveries = discovery::check(&spec, notes);
    Some(JobConfig {
        interval,
        timeout,
        path,
        scheme: spec.scheme.unwrap_or_default(),
        honor_labels: spec.honor_labels,
        honor_timestamps: spec.honor_timestamps.unwrap_or(true),
        track_timestamps_staleness: spec.track_timestamps_staleness,
        http: http?,
        protocols: self::protocols(&spec),
        fallback: spec.fallback_scrape_protocol.map(Protocol::from),
        native_histograms: spec.scrape_native_histograms,
        classic_of_native: spec.always_scrape_classic_histograms,
        limits: limits(&spec, series_max),
        discoveries: discoveries?,
        relabel: relabel?,
        metric_relabel: metric_relabel?,
        name: spec.job_name,
        params: spec.params,
    })
}

fn times(spec: &ScrapeSpec, notes: &mut Notes<'_>) -> (Duration, Duration) {
    let interval = spec
        .scrape_interval
        .map_or(INTERVAL_DEFAULT, |interval| interval.0);
    let timeout = spec
        .scrape_timeout
        .map_or(TIMEOUT_DEFAULT.min(interval), |timeout| timeout.0);
    let is_zero = interval.is_zero() || spec.scrape_timeout.is_some_and(|time| time.0.is_zero());
    notes.demand(
        !is_zero,
        &["scrape_interval", "scrape_timeout"],
        "scrape_interval and scrape_timeout must be longer than 0",
    );
    notes.demand(
        is_zero || timeout <= interval,
        &["scrape_timeout", "scrape_interval"],
        "scrape_timeout is longer than scrape_interval",
    );
    (interval, timeout)
}

/// What is asked for, the preferred one first.
fn protocols(spec: &ScrapeSpec) -> Vec<Protocol> {
    match &spec.scrape_protocols {
        Some(protocols) => protocols.iter().copied().map(Protocol::from).collect(),
        None if spec.scrape_native_histograms => Protocol::WITH_NATIVE_HISTOGRAMS.to_vec(),
        None => Protocol::DEFAULT.to_vec(),
    }
}

fn limits(spec: &ScrapeSpec, series_max: usize) -> Limits {
    let limit = |limit: u64| match usize::try_from(limit) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(limit) => limit,
    };
    Limits {
        body_bytes: limit(spec.body_size_limit.map_or(0, |size| size.0)).min(BODY_BYTES_MAX),
        samples: limit(spec.sample_limit),
        labels: limit(spec.label_limit),
        label_name_bytes: limit(spec.label_name_length_limit),
        label_value_bytes: limit(spec.label_value_length_limit),
        series: series_max,
        targets: limit(spec.target_limit),
        dropped_targets: limit(spec.keep_dropped_targets),
    }
}

fn rules(specs: &[RuleSpec], key: &str, notes: &mut Notes<'_>) -> Option<Vec<Rule>> {
    let rules = specs.iter().enumerate().map(|(at, spec)| {
        let rule = Rule::try_from(spec.clone());
        rule.map_err(|error| {
            notes
                .inside(key, at)
                .demand(false, &[error.key, "action"], error.message)
        })
        .ok()
    });
    // All of them are looked at, whatever is wrong with the first.
    let rules: Vec<Option<Rule>> = rules.collect();
    rules.into_iter().collect()
}
