//! What keeping the store in shape did and has to do.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vervet_store::catalog::Reclaimed;
use vervet_store::maintain::{Compacted, Dropped, UpkeepStatus};
use vervet_store::segment::Settled;

use super::TableLabel;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Default)]
pub(crate) struct UpkeepMetrics {
    pub(crate) failures: Counter,
    merges: Family<TableLabel, Counter>,
    merged_files: Family<TableLabel, Counter>,
    read_bytes: Family<TableLabel, Counter>,
    written_bytes: Family<TableLabel, Counter>,
    debt_files: Gauge,
    debt_bytes: Gauge,
    set_aside_files: Gauge,
    pub(super) unclaimed_files: Gauge,
    unclaimed_bytes: Gauge,
    unclaimed_deleted_files: Family<ReasonLabel, Counter>,
    unclaimed_deleted_bytes: Family<ReasonLabel, Counter>,
    waiting_files: Gauge,
    waiting_bytes: Gauge,
    dropped_files: Family<ReasonLabel, Counter>,
    dropped_rows: Family<ReasonLabel, Counter>,
    dropped_bytes: Family<ReasonLabel, Counter>,
    deletions_running: Gauge,
    deleted_rows: Gauge,
    reclaimed_files: Counter,
    reclaimed_bytes: Counter,
}

impl UpkeepMetrics {
    pub(crate) fn compacted(&self, done: &Compacted) {
        let label = TableLabel {
            table: done.table.name(),
        };
        self.merges.get_or_create(&label).inc();
        self.merged_files.get_or_create(&label).inc_by(done.files);
        self.read_bytes
            .get_or_create(&label)
            .inc_by(done.bytes_read);
        self.written_bytes
            .get_or_create(&label)
            .inc_by(done.bytes_written);
    }

    pub(crate) fn reclaimed(&self, reclaimed: &Reclaimed) {
        self.reclaimed_files.inc_by(reclaimed.files);
        self.reclaimed_bytes.inc_by(reclaimed.bytes);
    }

    /// Segments that were moved aside because the catalog did not name them.
    pub(crate) fn unclaimed(&self, (files, bytes): (u64, u64)) {
        for (gauge, value) in [
            (&self.unclaimed_files, files),
            (&self.unclaimed_bytes, bytes),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// What a start deleted of them.
    pub(crate) fn settled(&self, settled: &Settled) {
        for (reason, forgotten) in [
            ("age", settled.forgotten_by_age),
            ("size", settled.forgotten_by_size),
        ] {
            let label = ReasonLabel { reason };
            let (files, bytes) = (
                self.unclaimed_deleted_files.get_or_create(&label),
                self.unclaimed_deleted_bytes.get_or_create(&label),
            );
            files.inc_by(forgotten.files);
            bytes.inc_by(forgotten.bytes);
        }
    }

    pub(crate) fn dropped(&self, reason: &'static str, dropped: &Dropped) {
        let label = ReasonLabel { reason };
        self.dropped_files
            .get_or_create(&label)
            .inc_by(dropped.files);
        self.dropped_rows.get_or_create(&label).inc_by(dropped.rows);
        self.dropped_bytes
            .get_or_create(&label)
            .inc_by(dropped.bytes);
    }

    pub(crate) fn observe(&self, status: &UpkeepStatus) {
        for (gauge, value) in [
            (&self.debt_files, status.debt.files),
            (&self.debt_bytes, status.debt.bytes),
            (&self.set_aside_files, status.set_aside.len() as u64),
            (&self.waiting_files, status.waiting_files),
            (&self.waiting_bytes, status.waiting_bytes),
            (&self.deletions_running, status.deletions_running),
            (&self.deleted_rows, status.deleted_rows),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let by_table = [
            (
                "collector_compaction_merges",
                "Merges of small files into one",
                &self.merges,
            ),
            (
                "collector_compaction_merged_files",
                "Files that were merged into others",
                &self.merged_files,
            ),
            (
                "collector_compaction_read_bytes",
                "Bytes of the files that were merged",
                &self.read_bytes,
            ),
            (
                "collector_compaction_written_bytes",
                "Bytes of the files that merges made",
                &self.written_bytes,
            ),
        ];
        for (name, help, family) in by_table {
            registry.register(name, help, family.clone());
        }
        self.register_retention(registry);
        self.register_gauges(registry);
        self.register_counters(registry);
    }

    fn register_retention(&self, registry: &mut Registry) {
        let by_reason = [
            (
                "collector_retention_dropped_files",
                "Files dropped for their age or for size",
                &self.dropped_files,
            ),
            (
                "collector_retention_dropped_rows",
                "Rows dropped for their age or for size",
                &self.dropped_rows,
            ),
            (
                "collector_retention_dropped_bytes",
                "Bytes dropped for their age or for size",
                &self.dropped_bytes,
            ),
            (
                "collector_unclaimed_deleted_files",
                "Segments that no catalog named, deleted at the start for their age or for size",
                &self.unclaimed_deleted_files,
            ),
            (
                "collector_unclaimed_deleted_bytes",
                "Bytes of segments that no catalog named, deleted at the start for their age or for size",
                &self.unclaimed_deleted_bytes,
            ),
        ];
        for (name, help, family) in by_reason {
            registry.register(name, help, family.clone());
        }
    }

    fn register_gauges(&self, registry: &mut Registry) {
        let gauges = [
            (
                "collector_compaction_debt_files",
                "Files that are due to be merged",
                &self.debt_files,
            ),
            (
                "collector_compaction_debt_bytes",
                "Bytes of the files that are due to be merged",
                &self.debt_bytes,
            ),
            (
                "collector_compaction_set_aside_files",
                "Files that cannot be read and are left alone",
                &self.set_aside_files,
            ),
            (
                "collector_deletions_running",
                "Deletions of rows that are not finished",
                &self.deletions_running,
            ),
            (
                "collector_deleted_rows",
                "Rows that deletions took out, of all that are on record",
                &self.deleted_rows,
            ),
            (
                "collector_unclaimed_files",
                "Segments moved aside because the catalog did not name them",
                &self.unclaimed_files,
            ),
            (
                "collector_unclaimed_bytes",
                "Bytes of segments moved aside because the catalog did not name them",
                &self.unclaimed_bytes,
            ),
            (
                "collector_reclaim_waiting_files",
                "Files replaced or dropped that are still on disk for readers",
                &self.waiting_files,
            ),
            (
                "collector_reclaim_waiting_bytes",
                "Bytes of files replaced or dropped that are still on disk for readers",
                &self.waiting_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        let counters = [
            (
                "collector_compaction_failures",
                "Rounds of upkeep that failed and are tried again",
                &self.failures,
            ),
            (
                "collector_reclaim_files",
                "Files deleted after they were replaced or dropped",
                &self.reclaimed_files,
            ),
            (
                "collector_reclaim_bytes",
                "Bytes of files deleted after they were replaced or dropped",
                &self.reclaimed_bytes,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}
