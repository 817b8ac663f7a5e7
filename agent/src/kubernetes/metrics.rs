//! What the directory of pods counts: `vervet_agent_kubernetes_*`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::directory::Miss;
use crate::metrics::{Counters, Labels};

#[derive(Clone, Default)]
pub(crate) struct KubernetesMetrics {
    pub(super) found: Counter,
    misses: Counters,
    waits: Counters,
    requests: Counters,
    pub(super) events: Counter,
    pub(super) refused_pods: Counter,
    pub(super) annotation_mistakes: Counter,
    pub(super) pods: Gauge,
    pub(super) tombstones: Gauge,
    pub(super) up: Gauge,
}

impl KubernetesMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(format!("kubernetes_{name}"), help, counter.clone());
        };
        counter("lookups_found", "Resources whose pod is known", &self.found);
        counter(
            "watch_events",
            "Events of watches that were taken in",
            &self.events,
        );
        counter(
            "refused_pods",
            "Pods that are incomplete or over the limit",
            &self.refused_pods,
        );
        counter(
            "annotation_mistakes",
            "Annotations of pods that ask for something unknown",
            &self.annotation_mistakes,
        );
        let mut counters = |name: &str, help: &str, family: &Counters| {
            registry.register(format!("kubernetes_{name}"), help, family.clone());
        };
        counters(
            "misses",
            "Resources whose pod is not known, by reason",
            &self.misses,
        );
        counters(
            "waits",
            "Unknown pods that were waited for, by outcome",
            &self.waits,
        );
        counters(
            "source_requests",
            "Requests to the source of pods, by outcome",
            &self.requests,
        );
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| {
            registry.register(format!("kubernetes_{name}"), help, gauge.clone());
        };
        gauge("pods", "Pods that are known", &self.pods);
        gauge(
            "tombstones",
            "Pods that are gone and remembered",
            &self.tombstones,
        );
        gauge("source_up", "Whether the source of pods answers", &self.up);
    }

    pub(super) fn missed(&self, reason: Miss) {
        add(&self.misses, "reason", reason.as_str());
    }

    pub(super) fn waited(&self, outcome: &'static str) {
        add(&self.waits, "outcome", outcome);
    }

    pub(super) fn requested(&self, outcome: &'static str) {
        add(&self.requests, "outcome", outcome);
    }
}

fn add(family: &Counters, label: &'static str, value: &str) {
    let labels: Labels = vec![(label, value.to_owned())];
    family.get_or_create(&labels).inc();
}
