//! One equation per pipeline and exporter, from where a record enters the agent to what becomes of it:
//! `received + carried = waiting + held + delivered + dropped{stage, reason} + foreign`.
//!
//! It covers the time since an exporter of that name was first started in this process, and starts at zero with it; an
//! exporter that takes its place at a reload goes on with the line. What the first one found in the
//! disk buffer is `carried`, what receivers had put there before for others is `foreign`. Across restarts the
//! exporter's own lines ([`super::BookLine`]) go on; what receivers counted starts at zero with the process.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Serialize;
use vervet_model::Signal;

use super::Book;
use super::account::Settled;
use super::collector::UNITS;
use super::intake::Entry;
use crate::buffer::Amount;
use crate::metrics::Labels;
use crate::pipeline::signed;

/// One pipeline and one of its exporters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PipelineLine {
    /// The signal, which is the pipeline's name.
    pub pipeline: &'static str,
    pub exporter: String,
    /// Entered the agent, dropped records included.
    pub received: Amount,
    /// Was in the disk buffer for the exporter when it started.
    pub carried: Amount,
    /// On the way from receivers to the disk buffer.
    pub waiting: Amount,
    /// In the disk buffer for the exporter.
    pub held: Amount,
    pub delivered: Amount,
    /// By `receiver:<reason>`, where processors belong, and `exporter:<reason>`.
    pub dropped: BTreeMap<String, Amount>,
    /// Put into the disk buffer before the exporter started.
    pub foreign: Amount,
    /// Whether the equation holds.
    pub balances: bool,
}

/// How things stood when an exporter was started.
#[derive(Debug, Clone, Default)]
pub(super) struct Start {
    buffered: [Amount; 3],
    held: [Amount; 3],
    settled: [Settled; 3],
}

impl Start {
    pub(super) fn note(&mut self, signal: Signal, intake: &Entry, held: Amount, settled: &Settled) {
        let at = index(signal);
        let places = (
            self.buffered.get_mut(at),
            self.held.get_mut(at),
            self.settled.get_mut(at),
        );
        if let (Some(buffered_at), Some(held_at), Some(settled_at)) = places {
            *buffered_at = intake.buffered;
            *held_at = held;
            settled.clone_into(settled_at);
        }
    }

    /// As it was when the exporter's predecessor was started.
    pub(super) fn carry(&mut self, signal: Signal, before: &Self) {
        let at = index(signal);
        if let (Some(buffered), Some(held), Some(settled)) = (
            before.buffered.get(at),
            before.held.get(at),
            before.settled.get(at),
        ) {
            let intake = Entry {
                buffered: *buffered,
                ..Entry::default()
            };
            self.note(signal, &intake, *held, settled);
        }
    }
}

fn index(signal: Signal) -> usize {
    Signal::ALL
        .iter()
        .position(|known| *known == signal)
        .unwrap_or(0)
}

impl PipelineLine {
    pub(super) fn new(exporter: &str, signal: Signal, book: &Book, intake: &Entry) -> Self {
        let at = index(signal);
        let (start, now) = (&book.start, book.account.of(signal));
        let before = start.settled.get(at).cloned().unwrap_or_default();
        let mut dropped = BTreeMap::new();
        for (reason, amount) in &intake.dropped {
            dropped.insert(format!("receiver:{reason}"), *amount);
        }
        for (reason, amount) in &book.dropped(signal) {
            let since = amount.minus(before.dropped.get(reason).copied().unwrap_or_default());
            if !since.is_zero() {
                dropped.insert(format!("exporter:{reason}"), since);
            }
        }
        let mut line = Self {
            pipeline: signal.as_str(),
            exporter: exporter.to_owned(),
            received: intake.received,
            carried: start.held.get(at).copied().unwrap_or_default(),
            waiting: intake.waiting,
            held: book.held(signal),
            delivered: now.delivered.minus(before.delivered),
            dropped,
            foreign: start.buffered.get(at).copied().unwrap_or_default(),
            balances: false,
        };
        line.balances = line.adds_up();
        line
    }

    fn adds_up(&self) -> bool {
        let sum = |amounts: &[Amount]| {
            let mut sum = Amount::default();
            amounts.iter().for_each(|amount| sum.add(*amount));
            sum
        };
        let mut settled = sum(&[self.waiting, self.held, self.delivered, self.foreign]);
        self.dropped
            .values()
            .for_each(|amount| settled.add(*amount));
        sum(&[self.received, self.carried]) == settled
    }

    fn labels(&self) -> Labels {
        vec![
            ("pipeline", self.pipeline.to_owned()),
            ("exporter", self.exporter.clone()),
        ]
    }
}

type Column = (&'static str, &'static str, fn(&PipelineLine) -> Amount);

const COUNTERS: [Column; 3] = [
    ("received", "Entered the agent", |line| line.received),
    ("delivered", "Accepted by the destination", |line| {
        line.delivered
    }),
    ("foreign", "Buffered before the exporter started", |line| {
        line.foreign
    }),
];
const GAUGES: [Column; 3] = [
    (
        "carried",
        "Found in the disk buffer when the exporter started",
        |line| line.carried,
    ),
    ("waiting", "On the way to the disk buffer", |line| {
        line.waiting
    }),
    ("held", "In the disk buffer for the exporter", |line| {
        line.held
    }),
];

/// The lines as metrics, and `books_unbalanced`: 1 when one of them, or of the exporters' own, does not add up.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    lines: &[PipelineLine],
    unbalanced: bool,
) -> fmt::Result {
    for (unit, of) in UNITS {
        for (name, help, pick) in COUNTERS {
            let name = format!("pipeline_{name}_{unit}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for line in lines {
                let labels = line.labels();
                ConstCounter::new(of(pick(line))).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, pick) in GAUGES {
            let name = format!("pipeline_{name}_{unit}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for line in lines {
                let labels = line.labels();
                ConstGauge::new(signed(of(pick(line)))).encode(family.encode_family(&labels)?)?;
            }
        }
        let name = format!("pipeline_dropped_{unit}");
        let help = "Given up on, by stage and reason";
        let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        for line in lines {
            for (reason, amount) in &line.dropped {
                let mut labels = line.labels();
                labels.push(("reason", reason.clone()));
                ConstCounter::new(of(*amount)).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    let (name, help) = (
        "books_unbalanced",
        "1 when a line of the books does not add up",
    );
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::from(unbalanced)).encode(metric)
}
