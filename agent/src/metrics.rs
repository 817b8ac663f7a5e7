//! The agent's own figures, all named `vervet_agent_*`.
//!
//! Receiver side, per receiver and signal since the process started:
//! `received = buffered + waiting + dropped{reason}`; requests that were answered with an error are
//! `refused{protocol,reason}` and count as never received.

mod filelog;
mod processors;
mod scrape;

use std::fmt;
use std::sync::OnceLock;

use parking_lot::RwLock;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vervet_model::Signal;
use vervet_wire::RefusedRequest;

use crate::books::Intake;
use crate::buffer::Amount;
use crate::kubernetes::KubernetesMetrics;
use crate::pipeline::signed;

pub(crate) use filelog::{FilelogCounts, FilelogMetrics, UNREAD, UNREADABLE};
pub(crate) use processors::ProcessorMetrics;
pub(crate) use scrape::{ScrapeCounts, ScrapeMetrics};

/// A set of label pairs.
pub type Labels = Vec<(&'static str, String)>;
/// Counters by label set.
pub type Counters = Family<Labels, Counter>;
/// Gauges by label set.
pub type Gauges = Family<Labels, Gauge>;

/// Every metric of one agent. Shared by all its parts.
pub struct AgentMetrics {
    registry: RwLock<Registry>,
    receivers: ReceiverMetrics,
    pub(crate) filelog: FilelogMetrics,
    pub(crate) scrape: ScrapeMetrics,
    pub(crate) processors: ProcessorMetrics,
    /// Registered when first used.
    kubernetes: OnceLock<KubernetesMetrics>,
}

/// A pair of families that count the same things in records and in bytes.
#[derive(Clone, Default)]
pub(crate) struct Amounts {
    pub(crate) records: Counters,
    pub(crate) bytes: Counters,
}

#[derive(Clone, Default)]
struct ReceiverMetrics {
    received: Amounts,
    buffered: Amounts,
    dropped: Amounts,
    refused: Counters,
    waiting_records: Gauges,
    waiting_bytes: Gauges,
    intake: Intake,
}

impl Default for AgentMetrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("vervet_agent");
        let receivers = ReceiverMetrics::default();
        receivers.register(&mut registry);
        let filelog = FilelogMetrics::new(&receivers);
        filelog.register(&mut registry);
        let scrape = ScrapeMetrics::default();
        scrape.register(&mut registry);
        let processors = ProcessorMetrics::default();
        processors.register(&mut registry);
        Self {
            registry: RwLock::new(registry),
            receivers,
            filelog,
            scrape,
            processors,
            kubernetes: OnceLock::new(),
        }
    }
}

impl AgentMetrics {
    /// Lets a part add its own metrics; the prefix `vervet_agent_` is put before their names, and
    /// counters get the suffix `_total`. Call once per metric name.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.write());
    }

    /// Those of the directory of pods. An agent that has none does not show them.
    pub(crate) fn kubernetes(&self) -> &KubernetesMetrics {
        self.kubernetes.get_or_init(|| {
            let metrics = KubernetesMetrics::default();
            self.register(|registry| metrics.register(registry));
            metrics
        })
    }

    /// All metrics in OpenMetrics text format.
    pub fn encode_text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry.read()).is_err() {
            tracing::warn!("metrics could not be encoded");
        }
        text
    }

    /// Counts records a receiver gives up on before they reach the pipeline, such as a line over the
    /// limit. They count as received, too.
    pub fn receiver_dropped(
        &self,
        receiver: &str,
        signal: Signal,
        reason: &str,
        records: u64,
        bytes: u64,
    ) {
        let amount = Amount { records, bytes };
        self.receivers.dropped(receiver, signal, reason, amount);
    }

    /// Records that waited for the disk buffer were given up on.
    pub(crate) fn gave_up(&self, receiver: &str, signal: Signal, reason: &str, amount: Amount) {
        let Amount { records, bytes } = amount;
        self.waiting(receiver, signal, -signed(records), -signed(bytes));
        let mut labels = labels(receiver, signal);
        labels.push(("reason", reason.to_owned()));
        self.receivers.dropped.add(&labels, records, bytes);
        self.receivers
            .intake
            .gave_up(receiver, signal, reason, amount);
    }

    /// A batch was taken over and waits for the disk buffer.
    pub(crate) fn took(&self, receiver: &str, signal: Signal, amount: Amount) {
        let Amount { records, bytes } = amount;
        self.received(receiver, signal, records, bytes);
        self.waiting(receiver, signal, signed(records), signed(bytes));
        self.receivers.intake.waits(receiver, signal, amount);
    }

    /// The receivers' side of the books.
    pub(crate) fn intake(&self) -> &Intake {
        &self.receivers.intake
    }

    pub(crate) fn received(&self, receiver: &str, signal: Signal, records: u64, bytes: u64) {
        let labels = labels(receiver, signal);
        self.receivers.received.add(&labels, records, bytes);
    }

    pub(crate) fn buffered(&self, receiver: &str, signal: Signal, records: u64, bytes: u64) {
        let labels = labels(receiver, signal);
        self.receivers.buffered.add(&labels, records, bytes);
    }

    pub(crate) fn refused(&self, receiver: &str, request: RefusedRequest) {
        let mut labels = labels(receiver, request.signal);
        labels.push(("protocol", request.protocol.as_str().to_owned()));
        labels.push(("reason", request.reason.to_owned()));
        self.receivers.refused.get_or_create(&labels).inc();
    }

    pub(crate) fn waiting(&self, receiver: &str, signal: Signal, records: i64, bytes: i64) {
        let labels = labels(receiver, signal);
        let metrics = &self.receivers;
        metrics
            .waiting_records
            .get_or_create(&labels)
            .inc_by(records);
        metrics.waiting_bytes.get_or_create(&labels).inc_by(bytes);
    }
}

impl Amounts {
    pub(crate) fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(
            format!("{name}_records"),
            format!("{help}, in records"),
            self.records.clone(),
        );
        registry.register(
            format!("{name}_bytes"),
            format!("{help}, in bytes of OTLP protobuf"),
            self.bytes.clone(),
        );
    }

    pub(crate) fn add(&self, labels: &Labels, records: u64, bytes: u64) {
        self.records.get_or_create(labels).inc_by(records);
        self.bytes.get_or_create(labels).inc_by(bytes);
    }
}

impl ReceiverMetrics {
    /// Counts what was given up on as received and dropped.
    fn dropped(&self, receiver: &str, signal: Signal, reason: &str, amount: Amount) {
        let Amount { records, bytes } = amount;
        let mut labels = labels(receiver, signal);
        self.received.add(&labels, records, bytes);
        labels.push(("reason", reason.to_owned()));
        self.dropped.add(&labels, records, bytes);
        self.intake.dropped(receiver, signal, reason, amount);
    }

    fn register(&self, registry: &mut Registry) {
        self.received
            .register(registry, "receiver_received", "Taken in by receivers");
        self.buffered.register(
            registry,
            "receiver_buffered",
            "Handed over to the disk buffer",
        );
        self.dropped.register(
            registry,
            "receiver_dropped",
            "Given up on before the disk buffer, by reason",
        );
        registry.register(
            "receiver_refused_requests",
            "OTLP requests answered with an error",
            self.refused.clone(),
        );
        registry.register(
            "receiver_waiting_records",
            "Records on their way to the disk buffer",
            self.waiting_records.clone(),
        );
        registry.register(
            "receiver_waiting_bytes",
            "Bytes on their way to the disk buffer",
            self.waiting_bytes.clone(),
        );
    }
}

impl fmt::Debug for AgentMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentMetrics").finish_non_exhaustive()
    }
}

fn labels(receiver: &str, signal: Signal) -> Labels {
    vec![
        ("receiver", receiver.to_owned()),
        ("signal", signal.as_str().to_owned()),
    ]
}
