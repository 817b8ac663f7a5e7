//! Metrics that the collector derives from what it receives, and writes into its own store: when agents were
//! last heard of, the requests that services served, error groups that are new or came back, and segments that cannot be read.
//!
//! The built-in rules read them. They take the way of all samples, through the journal, and need nobody to
//! scrape the collector; a scrape that stops cannot silence the alert about it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use vervet_alerting::{RuleSample, SampleSink};
use vervet_error_groups::GroupSummary;
use vervet_model::{Clock, Labels, METRIC_NAME, SystemClock, UnixMillis, UnixNanos};

use crate::ingest::Ingest;
use crate::rules::Samples;

/// Services with a request counter of their own; spans of further ones are counted under `other`.
const SERVICES_MAX: usize = 1_000;
/// Agents whose last sign of life is remembered.
const AGENTS_MAX: usize = 10_000;
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

/// What was derived since the process started. Shared; every method is cheap.
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

    /// All agents heard of since the process started, by id.
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
            push(
                "vervet_collector_agent_last_seen_timestamp_seconds",
                &labels,
                last_seen.0 as f64 / 1e9,
            );
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
            push(
                "vervet_error_group_first_seen_timestamp_seconds",
                &labels,
                seconds(group.first_seen_unix_ms),
            );
            if let Some(regressed) = group.regressed_at_unix_ms {
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
}

impl DerivedSamples {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let store = self.ingest.store().clone();
        let sink = Samples(self.ingest);
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.derived
                .set_damaged_segments(store.damaged_segments().len());
            let samples = self.derived.samples(SystemClock.now().to_millis());
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
