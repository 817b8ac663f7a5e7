//! The budget's figures as metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{MemoryKind, MemoryUse, MemoryWatch};
use crate::metrics::Labels;
use crate::pipeline::signed;

#[derive(Debug)]
pub(crate) struct BudgetCollector(pub(crate) MemoryWatch);

impl Collector for BudgetCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let usage = self.0.budget().usage();
        let sample = self.0.sample();
        let gauges = [
            (
                "memory_limit_bytes",
                "Budget of telemetry held in memory",
                usage.limit_bytes,
            ),
            (
                "memory_peak_bytes",
                "The most telemetry ever held in memory",
                usage.peak_bytes,
            ),
            (
                "memory_waiting",
                "Batches and reads that wait for memory",
                usage.waiting,
            ),
            (
                "memory_pressure",
                "0: none, 1: nothing new is taken, 2: not ready",
                usage.pressure as u64,
            ),
            (
                "memory_resident_bytes",
                "Memory of the process, as last sampled",
                sample.resident_bytes,
            ),
            (
                "memory_allowed_bytes",
                "Memory the process may take: of its control group, else of the host",
                sample.allowed_bytes,
            ),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(signed(value)).encode(metric)?;
        }
        let (name, help) = ("memory_used_bytes", "Telemetry held in memory");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for kind in MemoryKind::ALL {
            let labels: Labels = vec![("kind", kind.as_str().to_owned())];
            let used = ConstGauge::new(signed(usage.of(kind)));
            used.encode(family.encode_family(&labels)?)?;
        }
        let (name, help) = ("memory_refusals", "Times that memory was refused");
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(usage.refused).encode(metric)
    }
}

impl MemoryUse {
    fn of(&self, kind: MemoryKind) -> u64 {
        match kind {
            MemoryKind::Request => self.request_bytes,
            MemoryKind::Source => self.source_bytes,
            MemoryKind::Buffer => self.buffer_bytes,
            MemoryKind::Export => self.export_bytes,
        }
    }
}
