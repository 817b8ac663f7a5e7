//! The books as metrics.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{BookLine, Books, REASONS};
use crate::buffer::Amount;
use crate::metrics::Labels;
use crate::pipeline::signed;

/// Shows the books as metrics. They count from the exporter's first start, not the process's.
#[derive(Debug)]
pub(crate) struct BooksCollector(pub(crate) Arc<Books>);

type Pick = fn(&BookLine) -> Amount;
pub(crate) type Unit = (&'static str, fn(Amount) -> u64);

pub(crate) const UNITS: [Unit; 2] = [
    ("records", |amount| amount.records),
    ("bytes", |amount| amount.bytes),
];

impl Collector for BooksCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let lines = self.0.lines();
        let counters: [(&str, &str, Pick); 2] = [
            (
                "received",
                "Taken over from the disk buffer's input",
                |line| line.received,
            ),
            ("delivered", "Accepted by the destination", |line| {
                line.delivered
            }),
        ];
        for (unit, of) in UNITS {
            for (name, help, pick) in counters {
                let name = format!("exporter_{name}_{unit}");
                let mut family =
                    encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
                for line in &lines {
                    let labels = line.labels();
                    ConstCounter::new(of(pick(line))).encode(family.encode_family(&labels)?)?;
                }
            }
            encode_dropped(&mut encoder, &lines, unit, of)?;
            let name = format!("exporter_held_{unit}");
            let mut family = encoder.encode_descriptor(
                &name,
                "On disk for the exporter",
                None,
                MetricType::Gauge,
            )?;
            for line in &lines {
                let labels = line.labels();
                ConstGauge::new(signed(of(line.held))).encode(family.encode_family(&labels)?)?;
            }
        }
        let (name, help) = (
            "exporter_oldest_age_seconds",
            "Time the oldest record that is not settled has been in the disk buffer; 0 when there is none",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for exporter in self.0.exporters() {
            let age = self.0.oldest_age(&exporter).unwrap_or_default();
            let labels: Labels = vec![("exporter", exporter)];
            ConstGauge::new(age.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
        let pipelines = self.0.pipelines();
        let unbalanced =
            !lines.iter().all(BookLine::balances) || !pipelines.iter().all(|line| line.balances);
        super::joined::encode(&mut encoder, &pipelines, unbalanced)
    }
}

fn encode_dropped(
    encoder: &mut DescriptorEncoder<'_>,
    lines: &[BookLine],
    unit: &str,
    of: fn(Amount) -> u64,
) -> fmt::Result {
    let name = format!("exporter_dropped_{unit}");
    let help = "Given up on, by reason";
    let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
    for line in lines {
        let mut dropped = line.dropped.clone();
        // A counter that begins above zero has no increase.
        for reason in REASONS {
            dropped.entry(reason.to_owned()).or_default();
        }
        for (reason, amount) in dropped {
            let mut labels = line.labels();
            labels.push(("reason", reason));
            ConstCounter::new(of(amount)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
