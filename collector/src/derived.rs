//! Metrics that the collector derives from what it receives, and writes into its own store: when agents were
//! last heard of, the requests that services served, error groups that are new or came back, and segments that cannot be read.
//!
//! The built-in rules read them. They take the way of all samples, through the journal, and need nobody to
//! scrape the collector; a scrape that stops cannot silence the alert about it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use vervet_alerting::{RuleSample, SampleSink};
use vervet_error_groups::GroupSummary;
use vervet_model::{Clock, Labels, METRIC_NAME, Matcher, SystemClock, UnixMillis, UnixNanos};
use vervet_store::{SampleLimits, Store, StoreError};

use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::rules::Samples;

/// Services with a request counter of their own; spans of further ones are counted under `other`.
const SERVICES_MAX: usize = 1_000;
/// Agents whose last sign of life is remembered.
const AGENTS_MAX: usize = 10_000;
/// An agent that was silent for so long was taken away: it is forgotten.
const AGENT_FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);
const AGENT_SEEN: &str = "vervet_collector_agent_last_seen_timestamp_seconds";
/// Samples of agents are looked for in pieces of this length, the newest first.
const LOOK_BACK: Duration = Duration::from_secs(3_600);
/// Time between two samples of each series.
const INTERVAL: Duration = Duration::from_secs(15);

/// Whether a request of a service succeeded, by its span's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RequestStatus {
    Unset,
    Ok,
    Error,
}

impl RequestStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// An agent as the collector knows it.
#[derive(Debug, Clone)]
pub(crate) struct AgentSeen {
    pub(crate) agent_id: String,
    /// Empty until a resource has named it.
    pub(crate) host_name: String,
    pub(crate) last_seen: UnixNanos,
}

/// Service, environment and outcome.
type RequestKey = (String, String, RequestStatus);

/// What was derived since the process started, and agents from before. Shared; every method is cheap.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    agents: Mutex<HashMap<String, AgentSeen>>,
    requests: Mutex<HashMap<RequestKey, u64>>,
    groups: Mutex<Vec<GroupSummary>>,
    /// Segments that cannot be read; `None` while there never were any.
    damaged_segments: Mutex<Option<usize>>,
}

impl Derived {
    pub(crate) fn agent_seen(&self, agent_id: &str, now: UnixNanos) {
        let mut agents = self.agents.lock();
        if let Some(agent) = agents.get_mut(agent_id) {
            agent.last_seen = now;
        } else if agents.len() < AGENTS_MAX {
            let agent = AgentSeen {
                agent_id: agent_id.to_owned(),
                host_name: String::new(),
                last_seen: now,
            };
            agents.insert(agent_id.to_owned(), agent);
        }
    }

    /// Fills in an agent's host, asking for it only while it is not known.
    pub(crate) fn agent_host(&self, agent_id: &str, host_name: impl FnOnce() -> String) {
        let known = |agent: &AgentSeen| !agent.host_name.is_empty();
        if self.agents.lock().get(agent_id).is_none_or(known) {
            return;
        }
        let host_name = host_name();
        if let Some(agent) = self.agents.lock().get_mut(agent_id) {
            agent.host_name = host_name;
        }
    }

    /// Takes up agents that an earlier process wrote samples of. Those that it was still writing when it ended are in
    /// the last hour that has any. Blocks on disk.
    ///
    /// # Errors
    /// The samples cannot be read.
    pub(crate) fn remember(&self, store: &Store, now: UnixNanos) -> Result<(), StoreError> {
        let limits = SampleLimits {
            series_max: AGENTS_MAX,
            samples_max: AGENTS_MAX * 1_000,
            deadline: SystemClock.now().saturating_add(Duration::from_secs(60)),
        };
        let matchers = [Matcher::equal(METRIC_NAME, AGENT_SEEN)];
        let mut end = now;
        while now.since(end) < AGENT_FORGOTTEN {
            let start = end.saturating_sub(LOOK_BACK);
            let (from, to) = (start.to_millis().0, end.to_millis().0);
            let found = store.samples(&matchers, from, to, limits)?;
            let mut agents = self.agents.lock();
            for series in &found {
                let Some((_, seconds)) = series.samples.last() else {
                    continue;
                };
                let last_seen = UnixNanos::default()
                    .saturating_add(Duration::try_from_secs_f64(*seconds).unwrap_or_default());
                let label = |name| series.labels.get(name).unwrap_or_default().to_owned();
                let agent = AgentSeen {
                    agent_id: label("agent_id"),
                    host_name: label("host_name"),
                    last_seen,
                };
                let known = agents
                    .entry(agent.agent_id.clone())
                    .or_insert(agent.clone());
                if known.last_seen < agent.last_seen
                    || (known.host_name.is_empty() && !agent.host_name.is_empty())
                {
                    known.host_name = agent.host_name;
                    known.last_seen = known.last_seen.max(agent.last_seen);
                }
            }
            if !agents.is_empty() {
                break;
            }
            end = start;
        }
        self.forget(now);
        Ok(())
    }

    /// Forgets agents that were silent for too long.
    fn forget(&self, now: UnixNanos) {
        let lives = |agent: &AgentSeen| now.since(agent.last_seen) < AGENT_FORGOTTEN;
        self.agents.lock().retain(|_, agent| lives(agent));
    }

    /// All agents that are remembered, by id.
    pub(crate) fn agents(&self) -> Vec<AgentSeen> {
        let mut agents: Vec<AgentSeen> = self.agents.lock().values().cloned().collect();
        agents.sort_by(|a, b| a.agent_id.cmp(&b.agent_id));
        agents
    }

    /// Counts one request served, from its SERVER or CONSUMER span.
    pub(crate) fn service_request(&self, service: &str, environment: &str, status: RequestStatus) {
        let mut requests = self.requests.lock();
        let key = (service.to_owned(), environment.to_owned(), status);
        let full = requests.len() >= SERVICES_MAX && !requests.contains_key(&key);
        let key = if full {
            ("other".to_owned(), String::new(), status)
        } else {
            key
        };
        *requests.entry(key).or_default() += 1;
    }

    pub(crate) fn set_recent_groups(&self, groups: Vec<GroupSummary>) {
        *self.groups.lock() = groups;
    }

    /// A series of zeros begins only when there has been something to tell.
    fn set_damaged_segments(&self, count: usize) {
        let mut known = self.damaged_segments.lock();
        if count > 0 || known.is_some() {
            *known = Some(count);
        }
    }

    /// The value of every series now.
    #[expect(
        clippy::cast_precision_loss,
        reason = "samples are 64-bit floats, as in Prometheus"
    )]
    fn samples(&self, at: UnixMillis) -> Vec<RuleSample> {
        let mut samples = Vec::new();
        let mut push = |name: &str, labels: &[(&str, &str)], value: f64| {
            let labels = [(METRIC_NAME, name)]
                .into_iter()
                .chain(labels.iter().copied());
            samples.push(RuleSample {
                labels: Labels::from_pairs(labels),
                at,
                value,
            });
        };
        for AgentSeen {
            agent_id,
            host_name,
            last_seen,
        } in self.agents()
        {
            let labels = [("agent_id", agent_id.as_str()), ("host_name", &host_name)];
            push(AGENT_SEEN, &labels, last_seen.0 as f64 / 1e9);
        }
        if let Some(count) = *self.damaged_segments.lock() {
            push("vervet_collector_damaged_segments", &[], count as f64);
        }
        for ((service, environment, status), count) in self.requests.lock().iter() {
            let labels = [
                ("service_name", service.as_str()),
                ("deployment_environment_name", environment),
                ("status", status.as_str()),
            ];
            push("vervet_service_requests_total", &labels, *count as f64);
        }
        for group in self.groups.lock().iter() {
            let environment = group
                .environments
                .first()
                .map(String::as_str)
                .unwrap_or_default();
            let labels = [
                ("group_id", group.id.as_str()),
                ("service_name", &group.service_name),
                ("deployment_environment_name", environment),
                ("exception_type", &group.exception_type),
            ];
            let seconds = |millis: i64| millis as f64 / 1e3;
            // When it was heard of: who is told of it knows of it from then on, and records may be hours late.
            push(
                "vervet_error_group_first_seen_timestamp_seconds",
                &labels,
                seconds(group.noticed_at_unix_ms),
            );
            if let Some(regressed) = group.regression_noticed_at_unix_ms {
                push(
                    "vervet_error_group_regressed_timestamp_seconds",
                    &labels,
                    seconds(regressed),
                );
            }
        }
        samples
    }
}

/// Writes the samples on their interval. One task.
pub(crate) struct DerivedSamples {
    pub(crate) derived: Arc<Derived>,
    pub(crate) ingest: Ingest,
    pub(crate) metrics: Arc<Metrics>,
}

/// The collector's own counters that the built-in rules read. A series begins when there is something to tell, with a
/// zero before it, so that the first failure is an increase too.
struct OwnSamples {
    metrics: Arc<Metrics>,
    told: HashSet<&'static str>,
}

impl OwnSamples {
    #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
    fn samples(&mut self, now: UnixNanos) -> Vec<RuleSample> {
        let mut samples = Vec::new();
        for (name, value) in self.metrics.for_rules() {
            let is_first = !self.told.contains(name);
            if value == 0 && is_first {
                continue;
            }
            let mut push = |at: UnixNanos, value| {
                samples.push(RuleSample {
                    labels: Labels::from_pairs([(METRIC_NAME, name)]),
                    at: at.to_millis(),
                    value,
                });
            };
            if is_first {
                push(now.saturating_sub(INTERVAL), 0.0);
                self.told.insert(name);
            }
            push(now, value as f64);
        }
        samples
    }
}

impl DerivedSamples {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let store = self.ingest.store().clone();
        let sink = Samples(self.ingest);
        let mut own = OwnSamples {
            metrics: self.metrics,
            told: HashSet::new(),
        };
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.derived
                .set_damaged_segments(store.damaged_segments().len());
            let now = SystemClock.now();
            self.derived.forget(now);
            let mut samples = self.derived.samples(now.to_millis());
            samples.extend(own.samples(now));
            if samples.is_empty() {
                continue;
            }
            if let Err(error) = sink.append(samples).await {
                tracing::warn!(%error, "derived metrics not written; the next ones are due in 15 s");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_segments_are_told_of_from_the_first_on() {
        let derived = Derived::default();
        let told = || {
            let samples = derived.samples(UnixMillis(7));
            let values = samples.iter().map(|sample| sample.value);
            values.collect::<Vec<f64>>()
        };
        derived.set_damaged_segments(0);
        assert!(told().is_empty());
        derived.set_damaged_segments(2);
        assert_eq!(told(), [2.0]);
        derived.set_damaged_segments(0);
        assert_eq!(told(), [0.0], "so that an alert ends");
    }

    #[test]
    fn an_agent_of_an_earlier_process_is_remembered_until_it_is_silent_for_a_week() {
        let dir = tempfile::tempdir().expect("folder");
        let store = Store::open(vervet_store::StoreConfig::new(dir.path())).expect("store");
        let hour = |hours: u64| {
            UnixNanos(1_728_000_000_000_000_000)
                .saturating_add(LOOK_BACK * u32::try_from(hours).expect("few"))
        };
        let before = Derived::default();
        before.agent_seen("dead", hour(0));
        before.agent_host("dead", || "node-1".to_owned());
        before.agent_seen("idle", hour(5));
        let body = crate::rules::encode(&before.samples(hour(5).to_millis()));
        let options = vervet_store::DecodeOptions::default();
        let decoded = store
            .decode(vervet_model::Signal::Metrics, &body, &options, hour(5))
            .expect("valid");
        store.apply(1, decoded, None);
        let after = Derived::default();
        after.remember(&store, hour(50)).expect("read");
        let agents = after.agents();
        let shown: Vec<_> = agents
            .iter()
            .map(|agent| {
                (
                    agent.agent_id.as_str(),
                    agent.host_name.as_str(),
                    agent.last_seen,
                )
            })
            .collect();
        assert_eq!(shown, [("dead", "node-1", hour(0)), ("idle", "", hour(5))]);
        after.forget(hour(7 * 24 + 1));
        assert_eq!(after.agents().len(), 1);
    }

    #[test]
    fn own_counters_begin_with_a_zero_when_there_is_something_to_tell() {
        let metrics = Arc::new(Metrics::default());
        let mut own = OwnSamples {
            metrics: Arc::clone(&metrics),
            told: HashSet::new(),
        };
        let now = UnixNanos(60_000_000_000);
        assert!(own.samples(now).is_empty());
        metrics.flush_failures.inc();
        let values: Vec<_> = own
            .samples(now)
            .iter()
            .map(|it| (it.at.0, it.value))
            .collect();
        assert_eq!(values, [(45_000, 0.0), (60_000, 1.0)]);
        assert_eq!(own.samples(now).len(), 1);
    }

    #[test]
    fn an_error_group_is_new_when_it_is_heard_of_however_late_its_records_are() {
        use vervet_error_groups::{ErrorStore, Occurrence, OccurrenceSource};
        let dir = tempfile::tempdir().expect("folder");
        let errors = ErrorStore::open(dir.path().join("errors.sqlite")).expect("store");
        let happened = UnixNanos(1_728_000_000_000_000_000);
        let now = happened.saturating_add(Duration::from_secs(5 * 3_600));
        let late = Occurrence {
            stacktrace: "Error: no order\n    at show (/app/orders.js:3:9)".to_owned(),
            ..Occurrence::new(OccurrenceSource::LogBody, happened, "shop")
        };
        errors.apply(&[late], 1, now).expect("applied");
        let derived = Derived::default();
        let last_hour = now.saturating_sub(Duration::from_secs(3_600));
        derived.set_recent_groups(errors.recent(last_hour).expect("read"));
        let samples = derived.samples(now.to_millis());
        let [sample] = samples.as_slice() else {
            panic!("{samples:?}");
        };
        let name = sample.labels.get(METRIC_NAME);
        assert_eq!(
            name,
            Some("vervet_error_group_first_seen_timestamp_seconds")
        );
        assert_eq!(sample.value, 1_728_000_000.0 + 5.0 * 3_600.0);
    }

    #[test]
    fn derived_series_carry_their_labels() {
        let derived = Derived::default();
        derived.agent_seen("a", UnixNanos(1_500_000_000));
        derived.agent_host("a", || "node-1".to_owned());
        derived.agent_host("a", || unreachable!("the host is known"));
        derived.service_request("web", "production", RequestStatus::Error);
        derived.service_request("web", "production", RequestStatus::Error);
        let samples = derived.samples(UnixMillis(7));
        let shown: Vec<String> = samples
            .iter()
            .map(|sample| format!("{} {}", sample.labels, sample.value))
            .collect();
        assert_eq!(
            shown,
            [
                r#"{__name__="vervet_collector_agent_last_seen_timestamp_seconds", agent_id="a", host_name="node-1"} 1.5"#,
                r#"{__name__="vervet_service_requests_total", deployment_environment_name="production", service_name="web", status="error"} 2"#,
            ]
        );
    }
}
