//! What `prometheus` receivers count.

use prometheus_client::registry::Registry;

use super::{Counters, Labels};

/// The families of all `prometheus` receivers, each with the label `receiver`.
#[derive(Clone, Default)]
pub(crate) struct ScrapeMetrics {
    scrapes: Counters,
    samples: Counters,
    failures: Counters,
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
    }

    pub(crate) fn of(&self, receiver: &str) -> ScrapeCounts {
        let receiver = vec![("receiver", receiver.to_owned())];
        ScrapeCounts {
            receiver,
            families: self.clone(),
        }
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

    pub(crate) fn failed(&self, reason: &'static str) {
        self.families.scrapes.get_or_create(&self.receiver).inc();
        let mut labels = self.receiver.clone();
        labels.push(("reason", reason.to_owned()));
        self.families.failures.get_or_create(&labels).inc();
    }
}
