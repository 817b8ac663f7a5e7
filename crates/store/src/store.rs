//! The store: opening it, applying requests, and what it holds.

mod apply;
mod open;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(feature = "sql")]
use datafusion::execution::memory_pool::GreedyMemoryPool;
#[cfg(feature = "sql")]
use datafusion::execution::runtime_env::RuntimeEnv;
use parking_lot::{Mutex, RwLock};
use vervet_journal::{FileSystem, OsFileSystem};
use vervet_model::{Signal, UnixNanos};
use vervet_wire::DecodeError;

use crate::StoreError;
use crate::catalog::{Catalog, DATA_FOLDER, MetricMetadata};
use crate::commit::Committer;
use crate::flush::{Flusher, PromoteConfig};
use crate::head::View;
use crate::head::changes::Changes;
use crate::head::series::SeriesIndex;
use crate::ingest::{DecodeOptions, Decoded, Format, KnownSeries, decode_with};
use crate::maintain::{Upkeep, UpkeepConfig};
use crate::query::Searcher;
use crate::query::search::page_cache::PageCacheStats;
#[cfg(feature = "sql")]
use crate::query::{Executor, QueryStats};
use crate::segment::{SegmentFolder, Settled, unclaimed};
use crate::tables::Table;

/// Where the store lies and what it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Holds `catalog.sqlite` and `data/`.
    pub data_dir: PathBuf,
    /// A flush is due when the head holds this much.
    pub head_bytes_max: usize,
    /// A flush is due when the oldest row in the head was received this long ago.
    pub flush_interval: Duration,
    /// Metric series known at most; samples of further ones are refused.
    pub series_max: usize,
    /// Memory of one query.
    pub query_memory_bytes: usize,
    /// Memory of all queries together.
    pub queries_memory_bytes: usize,
    /// A query that takes longer is given up, its wait for a place included.
    pub query_timeout: Duration,
    /// Attributes that get columns of their own.
    pub promote: PromoteConfig,
    pub upkeep: UpkeepConfig,
    /// Light queries that run at once.
    pub queries_light_max: usize,
    /// Heavy queries that run at once: those that aggregate or join much.
    pub queries_heavy_max: usize,
    /// Queries that wait for a place, light and heavy ones each; further ones are refused.
    pub queries_waiting_max: usize,
    /// The journal still holds every request from the first on, and will be replayed. Only then may segments lie
    /// beside a catalog that has none and saw no request: a crash left them.
    pub journal_is_whole: bool,
}

impl StoreConfig {
    /// The defaults: 64 MiB or 60 s of head, a million series, 256 MiB and 60 s per query, 512 MiB of all queries, of
    /// which 16 light and 2 heavy ones run and 64 each wait.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            head_bytes_max: 64 << 20,
            flush_interval: Duration::from_secs(60),
            series_max: 1_000_000,
            query_memory_bytes: 256 << 20,
            queries_memory_bytes: 512 << 20,
            query_timeout: Duration::from_secs(60),
            promote: PromoteConfig::default(),
            upkeep: UpkeepConfig::default(),
            queries_light_max: 16,
            queries_heavy_max: 2,
            queries_waiting_max: 64,
            journal_is_whole: false,
        }
    }

    /// The folder of the tables' segments.
    pub(crate) fn segments_dir(&self) -> PathBuf {
        self.data_dir.join(DATA_FOLDER)
    }
}

/// Where an applied request came from, when an agent sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedSource<'a> {
    pub agent_id: &'a str,
    pub signal: Signal,
    /// The agent's own sequence of the request, growing per agent and signal.
    pub sequence: u64,
}

/// What became of an applied request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Log records, spans or samples that are visible now.
    pub stored: u64,
    /// Samples refused, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// The request was stored before: its journal sequence or its agent sequence is not new.
    pub repeated: bool,
}

/// What the store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStats {
    pub logs: TableStats,
    pub spans: TableStats,
    pub samples: TableStats,
    /// One stored row a series and day; `rows_head` counts the series that have none yet.
    pub series: TableStats,
    pub head_bytes: usize,
    /// Indexes of segments that were found damaged since the start; the segments are read without them.
    pub damaged_indexes: u64,
    /// Pages of segments that are kept in memory.
    pub pages: PageCacheStats,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableStats {
    pub rows_head: u64,
    pub rows_stored: u64,
    pub files: u64,
    pub bytes: u64,
    /// The earliest and the latest time in files; none for series.
    pub oldest: Option<UnixNanos>,
    pub newest: Option<UnixNanos>,
}

/// Telemetry on disk and in memory. Cloning shares it.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Makes and deletes segments.
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) segments_dir: PathBuf,
    #[cfg(feature = "sql")]
    pub(crate) runtime: Arc<RuntimeEnv>,
    #[cfg(feature = "sql")]
    pub(crate) executor: Executor,
    pub(crate) searcher: Searcher,
    /// What all queries together may hold.
    #[cfg(feature = "sql")]
    pub(crate) query_memory: Arc<GreedyMemoryPool>,
    pub(crate) view: RwLock<Arc<View>>,
    pub(crate) series: RwLock<SeriesIndex>,
    pub(crate) known_series: KnownSeries,
    pub(crate) sample_changes: Mutex<Changes>,
    pub(crate) metadata: RwLock<BTreeMap<String, MetricMetadata>>,
    /// Highest sequences, those in the head included.
    pub(crate) applied: RwLock<AppliedSequences>,
    /// Held while rows are pushed and while a generation is frozen, so that a frozen one never changes.
    pub(crate) applying: Mutex<()>,
    /// Held through a flush: one runs at a time.
    pub(crate) flushing: Mutex<Flusher>,
    /// Taken after `flushing`, before `view`.
    pub(crate) committer: Mutex<Committer>,
    pub(crate) upkeep: Upkeep,
    /// Set when the store is open.
    pub(crate) settled: OnceLock<Settled>,
}

#[derive(Debug, Default)]
pub(crate) struct AppliedSequences {
    pub(crate) journal: u64,
    pub(crate) agents: HashMap<Signal, HashMap<String, u64>>,
}

impl AppliedSequences {
    pub(crate) fn agent(&self, agent_id: &str, signal: Signal) -> u64 {
        self.agents
            .get(&signal)
            .and_then(|agents| agents.get(agent_id))
            .copied()
            .unwrap_or(0)
    }
}

impl Store {
    /// Opens the store in `config.data_dir`, making it when there is none. Segments that the catalog does not name are
    /// settled ([`settle_orphans`](crate::segment::settle_orphans)), and all series are loaded. Blocks on disk.
    ///
    /// # Errors
    /// The catalog or the series in it cannot be read, or there are segments and the catalog is lost.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        open::open(config, Arc::new(OsFileSystem))
    }

    /// As [`Store::open`], on the given file operations. The catalog, which SQLite writes, and reading segments are
    /// not among them.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(config: StoreConfig, fs: Arc<dyn FileSystem>) -> Result<Self, StoreError> {
        open::open(config, fs)
    }

    /// The highest journal sequence whose rows are in segments, 0 for none. Replay the journal after it.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn journal_position(&self) -> Result<u64, StoreError> {
        Ok(self.0.catalog.journal_position()?)
    }

    /// The highest sequence applied of an agent and signal, 0 for none; head included.
    pub fn agent_sequence(&self, agent_id: &str, signal: Signal) -> u64 {
        self.0.applied.read().agent(agent_id, signal)
    }

    /// As [`decode`](crate::decode), for a request that will be applied to this store. Call it from any thread. Points of
    /// series that the store knows take a fraction of the time.
    ///
    /// # Errors
    /// The request is malformed and nothing of it can be used.
    pub fn decode(
        &self,
        format: impl Into<Format>,
        body: &[u8],
        options: &DecodeOptions,
        received_at: UnixNanos,
    ) -> Result<Decoded, DecodeError> {
        decode_with(
            Some(&self.0.known_series),
            format.into(),
            body,
            options,
            received_at,
        )
    }

    /// Makes a request's rows visible. Call it in journal order, one at a time. A request whose journal
    /// sequence or agent sequence was applied before is skipped.
    pub fn apply(
        &self,
        journal_sequence: u64,
        decoded: Decoded,
        source: Option<AppliedSource<'_>>,
    ) -> Applied {
        self.0.apply(journal_sequence, decoded, source)
    }

    /// The present state of samples, for [`Store::samples_changed_since`].
    pub fn samples_mark(&self) -> u64 {
        self.0.sample_changes.lock().mark()
    }

    /// The earliest time of a sample that came or went after a mark, or one before it (milliseconds); `i64::MAX` when there
    /// was none. Samples of a request count when it is acknowledged, at the latest.
    pub fn samples_changed_since(&self, mark: u64) -> i64 {
        self.0.sample_changes.lock().since(mark)
    }

    /// What became, when the store was opened, of segments that the catalog did not name.
    pub fn settled(&self) -> Settled {
        self.0.settled.get().copied().unwrap_or_default()
    }

    /// Number and bytes of the segments that were moved aside because the catalog does not name them. Blocks on disk.
    pub fn unclaimed(&self) -> (u64, u64) {
        unclaimed(&self.0.config.data_dir)
    }

    /// Memory of the rows that are not in segments yet.
    pub fn head_bytes(&self) -> usize {
        let view = self.0.cut();
        view.generations.iter().map(|head| head.bytes()).sum()
    }

    /// Whether the head is large or old enough to be flushed.
    pub fn should_flush(&self, now: UnixNanos) -> bool {
        self.head_bytes() >= self.0.config.head_bytes_max
            || self.0.cut().generations.iter().any(|head| {
                let since = head.progress.lock().since;
                since.is_some_and(|since| now.since(since) >= self.0.config.flush_interval)
            })
    }

    /// Statements that run and wait.
    #[cfg(feature = "sql")]
    pub fn query_stats(&self) -> QueryStats {
        self.0.executor.stats()
    }

    /// Rows, files and bytes of each table.
    pub fn stats(&self) -> StoreStats {
        let view = self.0.cut();
        let mut series = table_stats(&view, Table::Series);
        series.rows_head = self.0.series.read().unstored() as u64;
        StoreStats {
            logs: table_stats(&view, Table::Logs),
            spans: table_stats(&view, Table::Spans),
            samples: table_stats(&view, Table::Samples),
            series,
            head_bytes: view.generations.iter().map(|head| head.bytes()).sum(),
            damaged_indexes: self.0.searcher.damaged_indexes(),
            pages: self.0.searcher.pages(),
        }
    }
}

impl Inner {
    /// The state that one query sees.
    pub(crate) fn cut(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    /// Where segments are written.
    pub(crate) fn segments(&self) -> SegmentFolder<'_> {
        SegmentFolder {
            dir: &self.segments_dir,
            fs: &*self.fs,
        }
    }
}

fn table_stats(view: &View, table: Table) -> TableStats {
    let mut stats = TableStats {
        rows_head: view.generations.iter().map(|head| head.rows(table)).sum(),
        ..TableStats::default()
    };
    for file in view.snapshot.table(table) {
        stats.rows_stored += file.rows;
        stats.files += 1;
        stats.bytes += file.bytes;
        if let Some((first, last)) = file.time_range {
            stats.oldest = Some(stats.oldest.map_or(first, |oldest| oldest.min(first)));
            stats.newest = Some(stats.newest.map_or(last, |newest| newest.max(last)));
        }
    }
    stats
}
