//! The collector's own metrics, in the OpenMetrics text format at `/metrics`.
//!
//! Books of ingest: per signal, requests `received = stored + repeated + refused{reason}` (plus those
//! still under way), and `records = stored + rejected{reason}` of the stored requests.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use vervet_error_groups::GroupSummary;
use vervet_model::{Signal, UnixNanos};
use vervet_wire::Refusal;

/// Services that get a request counter of their own; spans of further ones are counted under `other`.
const SERVICES_MAX: usize = 1_000;
/// Agents whose last sign of life is remembered.
const AGENTS_MAX: usize = 10_000;

type FloatGauge = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignalLabel {
    signal: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    signal: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentLabel {
    agent_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    table: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    group_id: String,
    service_name: String,
    deployment_environment_name: String,
    exception_type: String,
}

/// Whether a request of a service succeeded, by its span's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum RequestStatus {
    unset,
    ok,
    error,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service_name: String,
    deployment_environment_name: String,
    status: RequestStatus,
}

/// All metrics of the process. Shared; every method is cheap.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    received_requests: Family<SignalLabel, Counter>,
    received_bytes: Family<SignalLabel, Counter>,
    stored_requests: Family<SignalLabel, Counter>,
    stored_records: Family<SignalLabel, Counter>,
    repeated_requests: Family<SignalLabel, Counter>,
    rejected_records: Family<ReasonLabels, Counter>,
    adjusted_records: Family<ReasonLabels, Counter>,
    refused_requests: Family<ReasonLabels, Counter>,
    agent_last_seen: Family<AgentLabel, FloatGauge>,
    agents: Mutex<HashMap<String, UnixNanos>>,
    /// Services that have a counter of their own.
    services: Mutex<HashSet<String>>,
    service_requests: Family<ServiceLabels, Counter>,
    group_first_seen: Family<GroupLabels, FloatGauge>,
    group_regressed: Family<GroupLabels, FloatGauge>,
    table_rows: Family<TableLabels, Gauge>,
    table_bytes: Family<TableLabels, Gauge>,
    pub(crate) flushes: Counter,
    pub(crate) flush_failures: Counter,
    pub(crate) rule_evaluation_failures: Counter,
    pub(crate) notifications: Counter,
    pub(crate) notification_failures: Counter,
    pub(crate) journal_bytes: Gauge,
    pub(crate) journal_records_behind: Gauge,
}

impl Metrics {
    pub(crate) fn received(&self, signal: Signal, bytes: usize) {
        self.received_requests
            .get_or_create(&signal_label(signal))
            .inc();
        self.received_bytes
            .get_or_create(&signal_label(signal))
            .inc_by(bytes as u64);
    }

    pub(crate) fn stored(&self, signal: Signal, records: u64) {
        self.stored_requests
            .get_or_create(&signal_label(signal))
            .inc();
        self.stored_records
            .get_or_create(&signal_label(signal))
            .inc_by(records);
    }

    pub(crate) fn repeated(&self, signal: Signal) {
        self.repeated_requests
            .get_or_create(&signal_label(signal))
            .inc();
    }

    pub(crate) fn rejected(&self, signal: Signal, reason: &'static str, records: u64) {
        let labels = ReasonLabels {
            signal: signal.as_str(),
            reason,
        };
        self.rejected_records.get_or_create(&labels).inc_by(records);
    }

    pub(crate) fn adjusted(&self, signal: Signal, reason: &'static str, records: u64) {
        let labels = ReasonLabels {
            signal: signal.as_str(),
            reason,
        };
        self.adjusted_records.get_or_create(&labels).inc_by(records);
    }

    pub(crate) fn refused(&self, signal: Signal, refusal: &Refusal) {
        let reason = match refusal {
            Refusal::Invalid(_) => "invalid",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::Overloaded { .. } => "overloaded",
            Refusal::Unavailable { .. } => "unavailable",
        };
        self.refused_requests
            .get_or_create(&ReasonLabels {
                signal: signal.as_str(),
                reason,
            })
            .inc();
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a time in seconds needs no more than 53 bits"
    )]
    pub(crate) fn agent_seen(&self, agent_id: &str, now: UnixNanos) {
        let mut agents = self.agents.lock();
        if !agents.contains_key(agent_id) && agents.len() >= AGENTS_MAX {
            return;
        }
        agents.insert(agent_id.to_owned(), now);
        let label = AgentLabel {
            agent_id: agent_id.to_owned(),
        };
        self.agent_last_seen
            .get_or_create(&label)
            .set(now.0 as f64 / 1e9);
    }

    /// When each agent last sent something, since this process started.
    pub(crate) fn agents(&self) -> Vec<(String, UnixNanos)> {
        self.agents
            .lock()
            .iter()
            .map(|(id, seen)| (id.clone(), *seen))
            .collect()
    }

    /// Counts one request served, from its SERVER or CONSUMER span.
    pub(crate) fn service_request(&self, service: &str, environment: &str, status: RequestStatus) {
        let mut labels = ServiceLabels {
            service_name: service.to_owned(),
            deployment_environment_name: environment.to_owned(),
            status,
        };
        let mut services = self.services.lock();
        if !services.contains(service) {
            match services.len() < SERVICES_MAX {
                true => {
                    services.insert(service.to_owned());
                }
                false => labels.service_name = "other".to_owned(),
            }
        }
        drop(services);
        self.service_requests.get_or_create(&labels).inc();
    }

    /// Replaces the series of error groups that are new or came back lately.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a time in seconds needs no more than 53 bits"
    )]
    pub(crate) fn set_recent_groups(&self, groups: &[GroupSummary]) {
        self.group_first_seen.clear();
        self.group_regressed.clear();
        for group in groups {
            let labels = GroupLabels {
                group_id: group.id.clone(),
                service_name: group.service_name.clone(),
                deployment_environment_name: group
                    .environments
                    .first()
                    .cloned()
                    .unwrap_or_default(),
                exception_type: group.exception_type.clone(),
            };
            self.group_first_seen
                .get_or_create(&labels)
                .set(group.first_seen_unix_ms as f64 / 1e3);
            if let Some(at) = group.regressed_at_unix_ms {
                self.group_regressed
                    .get_or_create(&labels)
                    .set(at as f64 / 1e3);
            }
        }
    }

    pub(crate) fn set_table(
        &self,
        table: &'static str,
        rows_head: u64,
        rows_stored: u64,
        bytes: u64,
    ) {
        for (state, rows) in [("head", rows_head), ("stored", rows_stored)] {
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            self.table_rows
                .get_or_create(&TableLabels { table, state })
                .set(rows);
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.table_bytes
            .get_or_create(&TableLabels {
                table,
                state: "stored",
            })
            .set(bytes);
    }

    /// The text of `/metrics`.
    pub(crate) fn render(&self) -> String {
        let mut registry = Registry::with_prefix("vervet");
        self.register_ingest(&mut registry);
        self.register_storage(&mut registry);
        self.register_derived(&mut registry);
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut out, &registry);
        out
    }

    fn register_ingest(&self, registry: &mut Registry) {
        let by_signal = [
            (
                "collector_received_requests",
                "OTLP requests received",
                &self.received_requests,
            ),
            (
                "collector_received_bytes",
                "Uncompressed bytes of OTLP requests received",
                &self.received_bytes,
            ),
            (
                "collector_stored_requests",
                "OTLP requests made durable",
                &self.stored_requests,
            ),
            (
                "collector_stored_records",
                "Records made durable",
                &self.stored_records,
            ),
            (
                "collector_repeated_requests",
                "Requests of agents that were stored already",
                &self.repeated_requests,
            ),
        ];
        for (name, help, family) in by_signal {
            registry.register(name, help, family.clone());
        }
        let by_reason = [
            (
                "collector_rejected_records",
                "Records of stored requests that were left out",
                &self.rejected_records,
            ),
            (
                "collector_adjusted_records",
                "Records that were cut or corrected to fit",
                &self.adjusted_records,
            ),
            (
                "collector_refused_requests",
                "Requests not stored",
                &self.refused_requests,
            ),
        ];
        for (name, help, family) in by_reason {
            registry.register(name, help, family.clone());
        }
        let (name, help) = (
            "collector_agent_last_seen_timestamp",
            "When an agent last sent something",
        );
        registry.register_with_unit(name, help, Unit::Seconds, self.agent_last_seen.clone());
    }

    fn register_storage(&self, registry: &mut Registry) {
        let tables = [
            (
                "collector_table_rows",
                "Rows by where they are",
                &self.table_rows,
            ),
            (
                "collector_table_bytes",
                "Bytes of a table's segments",
                &self.table_bytes,
            ),
        ];
        for (name, help, family) in tables {
            registry.register(name, help, family.clone());
        }
        let counters = [
            (
                "collector_flushes",
                "Flushes of the head to segments",
                &self.flushes,
            ),
            (
                "collector_flush_failures",
                "Flushes that failed and are retried",
                &self.flush_failures,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges = [
            (
                "collector_journal_bytes",
                "Bytes of journal segments",
                &self.journal_bytes,
            ),
            (
                "collector_journal_records_behind",
                "Journal records not yet searched for errors",
                &self.journal_records_behind,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_derived(&self, registry: &mut Registry) {
        let requests = "Requests served, from SERVER and CONSUMER spans";
        registry.register("service_requests", requests, self.service_requests.clone());
        let first_seen = "When an error group of the last hour was first seen";
        registry.register_with_unit(
            "error_group_first_seen_timestamp",
            first_seen,
            Unit::Seconds,
            self.group_first_seen.clone(),
        );
        let regressed = "When a resolved error group came back, within the last hour";
        registry.register_with_unit(
            "error_group_regressed_timestamp",
            regressed,
            Unit::Seconds,
            self.group_regressed.clone(),
        );
        let failures = "Rule evaluations that failed";
        registry.register(
            "collector_rule_evaluation_failures",
            failures,
            self.rule_evaluation_failures.clone(),
        );
        registry.register(
            "collector_notifications",
            "Notifications delivered",
            self.notifications.clone(),
        );
        let failures = "Notifications that could not be delivered";
        registry.register(
            "collector_notification_failures",
            failures,
            self.notification_failures.clone(),
        );
    }
}

fn signal_label(signal: Signal) -> SignalLabel {
    SignalLabel {
        signal: signal.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_render_with_their_labels() {
        let metrics = Metrics::default();
        metrics.received(Signal::Logs, 10);
        metrics.rejected(Signal::Metrics, "series_limit", 3);
        metrics.agent_seen("a", UnixNanos(1_500_000_000));
        metrics.service_request("web", "production", RequestStatus::error);
        let text = metrics.render();
        for line in [
            r#"vervet_collector_received_requests_total{signal="logs"} 1"#,
            r#"vervet_collector_rejected_records_total{signal="metrics",reason="series_limit"} 3"#,
            r#"vervet_collector_agent_last_seen_timestamp_seconds{agent_id="a"} 1.5"#,
            r#"vervet_service_requests_total{service_name="web",deployment_environment_name="production",status="error"} 1"#,
        ] {
            assert!(
                text.lines().any(|have| have == line),
                "{line} is missing in\n{text}"
            );
        }
    }
}
