//! The collector's own metrics, in the OpenMetrics text format at `/metrics`.
//!
//! Books of ingest: per signal, requests `received = stored + repeated + refused{protocol,reason}` (plus those
//! still under way or whose sender went away), and `records = stored + rejected{reason}` of the stored requests.

mod upkeep;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;
use vervet_model::{Clock as _, Signal, SystemClock};

pub(crate) use upkeep::UpkeepMetrics;

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
struct RefusedLabels {
    signal: &'static str,
    protocol: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    table: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabel {
    table: &'static str,
}

/// The last notification that could not be delivered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NotificationFailure {
    pub(crate) at_unix_ms: i64,
    pub(crate) receiver: String,
    pub(crate) error: String,
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
    refused_requests: Family<RefusedLabels, Counter>,
    /// Those of them whose senders are to come back.
    turned_away: Counter,
    table_rows: Family<TableLabels, Gauge>,
    table_bytes: Family<TableLabels, Gauge>,
    pub(crate) damaged_segments: Gauge,
    pub(crate) damaged_indexes: Gauge,
    pub(crate) page_cache_bytes: Gauge,
    pub(crate) page_cache_hits: Gauge,
    pub(crate) page_cache_misses: Gauge,
    pub(crate) query_cache_bytes: Gauge,
    pub(crate) query_cache_steps: Gauge,
    pub(crate) query_evaluated_steps: Gauge,
    pub(crate) upkeep: UpkeepMetrics,
    pub(crate) flushes: Counter,
    pub(crate) flush_failures: Counter,
    pub(crate) rule_evaluation_failures: Counter,
    pub(crate) rule_errors: Gauge,
    pub(crate) notifications: Counter,
    pub(crate) notification_failures: Counter,
    last_notification_failure: Mutex<Option<NotificationFailure>>,
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

    /// Records stored since the start.
    pub(crate) fn stored_total(&self, signal: Signal) -> u64 {
        self.stored_records
            .get_or_create(&signal_label(signal))
            .get()
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

    pub(crate) fn refused(&self, signal: Signal, protocol: &'static str, reason: &'static str) {
        if matches!(reason, "overloaded" | "unavailable") {
            self.turned_away.inc();
        }
        self.refused_requests
            .get_or_create(&RefusedLabels {
                signal: signal.as_str(),
                protocol,
                reason,
            })
            .inc();
    }

    pub(crate) fn notification_failed(&self, receiver: String, error: &str) {
        self.notification_failures.inc();
        *self.last_notification_failure.lock() = Some(NotificationFailure {
            at_unix_ms: SystemClock.now().to_millis().0,
            receiver,
            error: error.to_owned(),
        });
    }

    pub(crate) fn last_notification_failure(&self) -> Option<NotificationFailure> {
        self.last_notification_failure.lock().clone()
    }

    /// What the built-in rules read, by the names it has at `/metrics` or would have.
    pub(crate) fn for_rules(&self) -> [(&'static str, u64); 5] {
        let gauge = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        [
            (
                "vervet_collector_flush_failures_total",
                self.flush_failures.get(),
            ),
            (
                "vervet_collector_notification_failures_total",
                self.notification_failures.get(),
            ),
            (
                "vervet_collector_compaction_failures_total",
                self.upkeep.failures.get(),
            ),
            (
                "vervet_collector_turned_away_requests_total",
                self.turned_away.get(),
            ),
            (
                "vervet_collector_unclaimed_files",
                gauge(&self.upkeep.unclaimed_files),
            ),
        ]
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
        self.register_caches(&mut registry);
        self.upkeep.register(&mut registry);
        self.register_rules(&mut registry);
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
        ];
        for (name, help, family) in by_reason {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "collector_refused_requests",
            "OTLP requests answered with an error",
            self.refused_requests.clone(),
        );
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
                "collector_damaged_segments",
                "Segments that could not be read since the start; their rows are missing in answers",
                &self.damaged_segments,
            ),
            (
                "collector_damaged_indexes",
                "Times since the start that the index of a segment could not be used",
                &self.damaged_indexes,
            ),
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

    fn register_caches(&self, registry: &mut Registry) {
        let gauges = [
            (
                "collector_page_cache_bytes",
                "Memory of the pages of segments that are kept",
                &self.page_cache_bytes,
            ),
            (
                "collector_page_cache_hits",
                "Pages since the start that requests found in memory",
                &self.page_cache_hits,
            ),
            (
                "collector_page_cache_misses",
                "Pages since the start that requests had to read",
                &self.page_cache_misses,
            ),
            (
                "collector_query_cache_bytes",
                "Memory of the answers to range queries that are kept",
                &self.query_cache_bytes,
            ),
            (
                "collector_query_cache_steps",
                "Steps of range queries since the start that were answered from kept answers",
                &self.query_cache_steps,
            ),
            (
                "collector_query_evaluated_steps",
                "Steps of range queries since the start that were evaluated, of queries whose answers may be kept",
                &self.query_evaluated_steps,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_rules(&self, registry: &mut Registry) {
        let counters = [
            (
                "collector_rule_evaluation_failures",
                "Rule evaluations that failed",
                &self.rule_evaluation_failures,
            ),
            (
                "collector_notifications",
                "Notifications delivered",
                &self.notifications,
            ),
            (
                "collector_notification_failures",
                "Deliveries that failed",
                &self.notification_failures,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let refused = "Mistakes for which rule files were refused at the start";
        registry.register(
            "collector_rule_file_errors",
            refused,
            self.rule_errors.clone(),
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
        let text = metrics.render();
        for line in [
            r#"vervet_collector_received_requests_total{signal="logs"} 1"#,
            r#"vervet_collector_rejected_records_total{signal="metrics",reason="series_limit"} 3"#,
            "vervet_collector_rule_file_errors 0",
        ] {
            assert!(
                text.lines().any(|have| have == line),
                "{line} is missing in\n{text}"
            );
        }
    }
}
