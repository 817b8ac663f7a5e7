//! The buffer's figures as metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use vervet_journal::Journal;

use crate::pipeline::signed;

pub(crate) struct BufferCollector(pub(crate) Journal);

impl Collector for BufferCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let counters = [
            (
                "buffer_appended_batches",
                "Batches made durable",
                stats.appended_records,
            ),
            (
                "buffer_failed_appends",
                "Appends the disk or the budget refused",
                stats.failed_appends,
            ),
            ("buffer_syncs", "Syncs of the buffer's files", stats.syncs),
        ];
        for (name, help, value) in counters {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let gauges = [
            ("buffer_disk_bytes", "Bytes on disk", stats.disk_bytes),
            (
                "buffer_disk_max_bytes",
                "Budget on disk",
                stats.disk_bytes_max,
            ),
            (
                "buffer_quarantined_bytes",
                "Damaged bytes set aside",
                self.0.quarantine_bytes(),
            ),
            (
                "buffer_unreadable_bytes",
                "Bytes that the disk did not give when the buffer was opened; they are kept",
                stats.unreadable_bytes,
            ),
            (
                "buffer_volume_full",
                "1 when the volume had no room for the last append",
                stats.volume_full.into(),
            ),
            (
                "buffer_poisoned",
                "1 when a failed sync has closed the buffer",
                stats.poisoned.into(),
            ),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(signed(value)).encode(metric)?;
        }
        Ok(())
    }
}

impl fmt::Debug for BufferCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferCollector").finish_non_exhaustive()
    }
}
