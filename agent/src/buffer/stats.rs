//! The buffer's figures as metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use vervet_journal::Journal;

use super::PositionKeeping;
use crate::pipeline::signed;

pub(crate) struct BufferCollector {
    pub(crate) journal: Journal,
    pub(crate) keeping: PositionKeeping,
}

/// Name, help and value.
type Figure = (&'static str, &'static str, u64);

impl BufferCollector {
    fn counters(&self) -> [Figure; 6] {
        let (stats, kept) = (self.journal.stats(), self.keeping.kept());
        [
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
            (
                "buffer_positions_stored",
                "How often the table of file positions was stored",
                kept.stored,
            ),
            (
                "buffer_positions_failed",
                "How often it could not be stored",
                kept.failed,
            ),
            (
                "buffer_positions_forgotten",
                "Positions of followed files dropped for lack of room: after a restart those files are read again",
                kept.forgotten,
            ),
        ]
    }

    fn gauges(&self) -> [Figure; 8] {
        let (stats, kept) = (self.journal.stats(), self.keeping.kept());
        [
            ("buffer_disk_bytes", "Bytes on disk", stats.disk_bytes),
            (
                "buffer_disk_max_bytes",
                "Budget on disk",
                stats.disk_bytes_max,
            ),
            (
                "buffer_quarantined_bytes",
                "Damaged bytes set aside",
                self.journal.quarantine_bytes(),
            ),
            (
                "buffer_unreadable_bytes",
                "Bytes that the disk did not give when the buffer was opened; they are kept",
                stats.unreadable_bytes,
            ),
            (
                "buffer_positions",
                "File positions that are kept",
                kept.positions as u64,
            ),
            (
                "buffer_positions_bytes",
                "Bytes they take when they are stored",
                kept.bytes as u64,
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
        ]
    }
}

impl Collector for BufferCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in self.counters() {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        for (name, help, value) in self.gauges() {
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
