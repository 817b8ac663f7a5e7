//! Recent rows in memory.
//!
//! Rows are appended to the active [`Generation`]. A flush freezes it, puts a new one in its place and,
//! once its rows are committed, swaps it for the snapshot that shows them. A query takes the current
//! [`View`] once and reads nothing else, so it sees each row exactly once however the flush proceeds.

mod batches;
pub(crate) mod changes;
pub(crate) mod samples;
pub(crate) mod series;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use parking_lot::{Mutex, RwLock};
use vervet_model::{Signal, UnixNanos};

use crate::catalog::{MetricMetadata, Snapshot};
use crate::tables::Table;
use batches::Batches;
use samples::HeadSamples;

/// One consistent state of the store.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Oldest first: the frozen one if a flush is under way or has failed, then the active one.
    pub(crate) generations: Vec<Arc<Generation>>,
}

impl View {
    /// The rows of one table in the head, oldest generation first. Empty for `samples` and `series`.
    pub(crate) fn batches(&self, table: Table) -> Vec<RecordBatch> {
        self.generations
            .iter()
            .flat_map(|generation| generation.batches(table))
            .collect()
    }
}

/// Rows applied between two freezes.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    logs: RwLock<Batches>,
    spans: RwLock<Batches>,
    pub(crate) samples: RwLock<HeadSamples>,
    pub(crate) progress: Mutex<Progress>,
    /// The rows of the `series` table that were committed with this generation, once they were.
    pub(crate) stored_series: OnceLock<HashSet<(u64, i32)>>,
    bytes: AtomicUsize,
    sample_rows: AtomicU64,
}

/// What a generation covers, to be committed with its rows.
#[derive(Debug, Default, Clone)]
pub(crate) struct Progress {
    /// Highest journal sequence; 0 when nothing was applied.
    pub(crate) journal_position: u64,
    pub(crate) agent_sequences: BTreeMap<(String, Signal), u64>,
    /// Metadata that is new or changed.
    pub(crate) metadata: BTreeMap<String, MetricMetadata>,
    /// When the first request in here was received.
    pub(crate) since: Option<UnixNanos>,
}

impl Generation {
    pub(crate) fn push_batch(&self, table: Table, batch: RecordBatch) {
        self.bytes
            .fetch_add(batch.get_array_memory_size(), Ordering::Relaxed);
        if let Some(batches) = self.table(table) {
            batches.write().push(batch);
        }
    }

    /// Appends samples of known series: slot, id, time in milliseconds and value.
    pub(crate) fn push_samples(&self, samples: impl IntoIterator<Item = (u32, u64, i64, f64)>) {
        let mut rows = 0_u64;
        let mut head = self.samples.write();
        let before = head.bytes();
        for (slot, id, time_ms, value) in samples {
            head.push(slot, id, time_ms, value);
            rows += 1;
        }
        let bytes = head.bytes() - before;
        drop(head);
        self.sample_rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn batches(&self, table: Table) -> Vec<RecordBatch> {
        self.table(table)
            .map(|batches| batches.read().all())
            .unwrap_or_default()
    }

    pub(crate) fn rows(&self, table: Table) -> u64 {
        match (self.table(table), table) {
            (Some(batches), _) => batches.read().rows(),
            (None, Table::Samples) => self.sample_rows.load(Ordering::Relaxed),
            (None, _) => 0,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether nothing was applied, not even an empty request.
    pub(crate) fn is_empty(&self) -> bool {
        self.progress.lock().journal_position == 0
    }

    fn table(&self, table: Table) -> Option<&RwLock<Batches>> {
        match table {
            Table::Logs => Some(&self.logs),
            Table::Spans => Some(&self.spans),
            Table::Samples | Table::Series => None,
        }
    }
}
