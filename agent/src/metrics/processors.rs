//! What processors did.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::Counters;

/// The families of all processors.
#[derive(Clone, Default)]
pub(crate) struct ProcessorMetrics {
    redactions: Counters,
    errors: Counters,
}

impl ProcessorMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "processor_redactions",
            "Secrets found by redaction processors, by rule",
            self.redactions.clone(),
        );
        registry.register(
            "processor_errors",
            "Statements that could not do their work on a record",
            self.errors.clone(),
        );
    }

    /// The counter of a transform processor's failed statements.
    pub(crate) fn errors(&self, processor: &str) -> Counter {
        let labels = vec![("processor", processor.to_owned())];
        self.errors.get_or_create(&labels).clone()
    }

    /// The counter of one rule of a redaction processor.
    pub(crate) fn redactions(&self, processor: &str, rule: &str) -> Counter {
        let labels = vec![
            ("processor", processor.to_owned()),
            ("rule", rule.to_owned()),
        ];
        self.redactions.get_or_create(&labels).clone()
    }
}
