//! What `prometheus` receivers count.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::{Counters, Labels};
use crate::receivers::prometheus::{LeftOutCounts, ScrapeTargets};

/// The families of all `prometheus` receivers, each with the label `receiver`.
#[derive(Clone, Default)]
pub(crate) struct ScrapeMetrics {
    scrapes: Counters,
    samples: Counters,
    failures: Counters,
    left_out: Counters,
    /// The targets themselves, and how each is doing.
    pub(crate) targets: ScrapeTargets,
}

/// One receiver's members of the families.
#[derive(Clone)]
pub(crate) struct ScrapeCounts {
    receiver: Labels,
    families: ScrapeMetrics,
}

impl ScrapeMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "scrapes",
            "Scrapes, failed ones included",
            self.scrapes.clone(),
        );
        registry.register("scrape_samples", "Samples scraped", self.samples.clone());
        registry.register(
            "scrape_failures",
            "Failed scrapes by reason",
            self.failures.clone(),
        );
        registry.register(
            "scrape_samples_left_out",
            "Samples of good scrapes that were not taken by reason",
            self.left_out.clone(),
        );
    }

    pub(crate) fn of(&self, receiver: &str) -> ScrapeCounts {
        let counts = ScrapeCounts {
            receiver: vec![("receiver", receiver.to_owned())],
            families: self.clone(),
        };
        // They begin at zero: one that is first seen above it has no increase.
        for (reason, _none) in LeftOutCounts::default().by_reason() {
            let _begun = counts.left_out_by(reason);
        }
        counts
    }
}

impl ScrapeCounts {
    pub(crate) fn scraped(&self, samples: u64) {
        self.families.scrapes.get_or_create(&self.receiver).inc();
        self.families
            .samples
            .get_or_create(&self.receiver)
            .inc_by(samples);
    }

    pub(crate) fn left_out(&self, counts: LeftOutCounts) {
        for (reason, count) in counts.by_reason() {
            if count > 0 {
                self.left_out_by(reason).inc_by(count);
            }
        }
    }

    fn left_out_by(&self, reason: &str) -> Counter {
        let mut labels = self.receiver.clone();
        labels.push(("reason", reason.to_owned()));
        self.families.left_out.get_or_create_owned(&labels)
    }

    pub(crate) fn failed(&self, reason: &'static str) {
        self.families.scrapes.get_or_create(&self.receiver).inc();
        let mut labels = self.receiver.clone();
        labels.push(("reason", reason.to_owned()));
        self.families.failures.get_or_create(&labels).inc();
    }
}
