//! What exporters are doing now, beside the books: `vervet_agent_exporter_*`.

use prometheus_client::registry::Registry;

use super::retry::Verdict;
use super::standing::{Standings, StandingsCollector};
use crate::metrics::{Counters, Gauges, Labels};

/// Shared by all exporters of an agent; a label tells them apart.
#[derive(Default)]
pub(crate) struct ExporterMetrics {
    requests: Counters,
    sent_bytes: Counters,
    limit: Gauges,
    read_ahead_bytes: Gauges,
    pub(crate) standings: Standings,
}

impl ExporterMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "exporter_requests",
            "Requests by outcome: accepted, refused for good, or failed and repeated",
            self.requests.clone(),
        );
        registry.register(
            "exporter_sent_bytes",
            "Bytes of request bodies as sent, repeats included",
            self.sent_bytes.clone(),
        );
        registry.register(
            "exporter_concurrency_limit",
            "Requests that may be under way at once",
            self.limit.clone(),
        );
        registry.register(
            "exporter_read_ahead_bytes",
            "Bytes of request bodies in memory",
            self.read_ahead_bytes.clone(),
        );
        let standings = self.standings.clone();
        registry.register_collector(Box::new(StandingsCollector(standings)));
    }

    /// A request of so many bytes came to an end.
    pub(super) fn answered(&self, exporter: &str, failure: Option<Verdict>, bytes: usize) {
        let outcome = match failure {
            None => "accepted",
            Some(Verdict::Rejected) => "refused",
            Some(Verdict::Retry { .. }) => "failed",
        };
        let mut labels = labels(exporter);
        self.sent_bytes.get_or_create(&labels).inc_by(bytes as u64);
        labels.push(("outcome", outcome.to_owned()));
        self.requests.get_or_create(&labels).inc();
    }

    /// Requests that failed and are to be repeated.
    #[cfg(test)]
    pub(super) fn failed(&self, exporter: &str) -> u64 {
        let mut labels = labels(exporter);
        labels.push(("outcome", "failed".to_owned()));
        self.requests.get_or_create(&labels).get()
    }

    pub(super) fn limit(&self, exporter: &str, limit: u32) {
        let gauge = self.limit.get_or_create(&labels(exporter));
        gauge.set(i64::from(limit));
    }

    pub(super) fn read_ahead(&self, exporter: &str, bytes: usize) {
        let gauge = self.read_ahead_bytes.get_or_create(&labels(exporter));
        gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

fn labels(exporter: &str) -> Labels {
    vec![("exporter", exporter.to_owned())]
}
