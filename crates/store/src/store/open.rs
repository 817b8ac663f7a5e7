//! Opens the store and loads what is kept in memory.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "sql")]
use datafusion::execution::memory_pool::GreedyMemoryPool;
#[cfg(feature = "sql")]
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use vervet_journal::FileSystem;
use vervet_model::{Clock as _, Labels, SystemClock};

use super::{AppliedSequences, Inner, Store, StoreConfig};
use crate::StoreError;
use crate::catalog::{Catalog, Snapshot, SqliteCatalog, refuse_lost};
use crate::columns::{Columns, map_entries};
use crate::commit::Committer;
use crate::flush::Flusher;
use crate::head::series::SeriesIndex;
use crate::head::{Generation, View};
use crate::ingest::KnownSeries;
use crate::maintain::Upkeep;
use crate::query::Searcher;
#[cfg(feature = "sql")]
use crate::query::{Executor, ExecutorConfig};
use crate::segment::{SegmentFolder, settle_orphans};
use crate::tables::{Table, column};

#[cfg(feature = "sql")]
/// Parquet footers kept in memory (bytes).
const METADATA_CACHE_BYTES: usize = 64 << 20;
#[cfg(feature = "sql")]
/// Disk space that sorting and grouping may take in all (bytes).
const SPILL_BYTES_MAX: u64 = 4 << 30;

pub(super) fn open(config: StoreConfig, fs: Arc<dyn FileSystem>) -> Result<Store, StoreError> {
    let started = SystemClock.now();
    let catalog = SqliteCatalog::open(&config.data_dir)?.with_files(Arc::clone(&fs));
    let snapshot = catalog.snapshot()?;
    let known = catalog.known_files()?;
    let is_new = known.is_empty() && catalog.journal_position()? == 0;
    if is_new && !config.journal_is_whole {
        refuse_lost(&config.data_dir, "names no file and has seen no request")?;
    }
    let segments_dir = config.segments_dir();
    let segments = SegmentFolder {
        dir: &segments_dir,
        fs: &*fs,
    };
    let unclaimed_max = config.upkeep.unclaimed_bytes_max;
    let settled = settle_orphans(segments, &known, started, unclaimed_max)?;
    let store = open_with(config, Arc::new(catalog), snapshot, fs)?;
    let _set_once = store.0.settled.set(settled);
    Ok(store)
}

/// Opens a store over a catalog, which tests replace.
pub(super) fn open_with(
    config: StoreConfig,
    catalog: Arc<dyn Catalog>,
    snapshot: Snapshot,
    fs: Arc<dyn FileSystem>,
) -> Result<Store, StoreError> {
    let applied = applied_sequences(&*catalog)?;
    let metadata = catalog
        .metric_metadata()?
        .into_iter()
        .map(|metadata| (metadata.metric.clone(), metadata))
        .collect();
    #[cfg(feature = "sql")]
    let runtime = RuntimeEnvBuilder::new()
        .with_metadata_cache_limit(METADATA_CACHE_BYTES)
        .with_max_temp_directory_size(SPILL_BYTES_MAX)
        .build_arc()
        .map_err(|error| StoreError::Engine(error.into()))?;
    #[cfg(feature = "sql")]
    let limits = ExecutorConfig {
        light_max: config.queries_light_max,
        heavy_max: config.queries_heavy_max,
        waiting_max: config.queries_waiting_max,
    };
    #[cfg(feature = "sql")]
    let query_memory = Arc::new(GreedyMemoryPool::new(config.queries_memory_bytes));
    let io = |source| StoreError::Io {
        path: config.data_dir.clone(),
        source,
    };
    #[cfg(feature = "sql")]
    let executor = Executor::start(limits).map_err(io)?;
    let searcher = Searcher::start(config.query_memory_bytes).map_err(io)?;
    let series = load_series(&snapshot)?;
    let upkeep = Upkeep::new(catalog.delete_jobs()?);
    let segments_dir = config.segments_dir();
    let view = View {
        snapshot: Arc::new(snapshot),
        generations: vec![Arc::new(Generation::default())],
    };
    tracing::info!(
        files = view.snapshot.files.len(),
        series = series.len(),
        journal_position = applied.journal,
        "store opened"
    );
    Ok(Store(Arc::new(Inner {
        config,
        catalog,
        fs,
        segments_dir,
        #[cfg(feature = "sql")]
        runtime,
        #[cfg(feature = "sql")]
        executor,
        searcher,
        #[cfg(feature = "sql")]
        query_memory,
        view: Arc::new(view).into(),
        series: series.into(),
        known_series: KnownSeries::default(),
        sample_changes: parking_lot::Mutex::default(),
        metadata: parking_lot::RwLock::new(metadata),
        applied: applied.into(),
        applying: parking_lot::Mutex::new(()),
        flushing: Flusher::default().into(),
        committer: Committer::default().into(),
        upkeep,
        settled: OnceLock::new(),
    })))
}

fn applied_sequences(catalog: &dyn Catalog) -> Result<AppliedSequences, StoreError> {
    let mut applied = AppliedSequences {
        journal: catalog.journal_position()?,
        ..AppliedSequences::default()
    };
    for (agent_id, signal, sequence) in catalog.agent_sequences()? {
        let agents = applied.agents.entry(signal).or_default();
        agents.insert(agent_id, sequence);
    }
    Ok(applied)
}

/// Reads every row of the `series` table. Series beyond the limit are taken too: they are stored already.
fn load_series(snapshot: &Snapshot) -> Result<SeriesIndex, StoreError> {
    let mut index = SeriesIndex::default();
    for file in snapshot.table(Table::Series) {
        load_file(&mut index, &file.path)?;
    }
    Ok(index)
}

fn load_file(index: &mut SeriesIndex, path: &Path) -> Result<(), StoreError> {
    let read = |source| StoreError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(read)?;
    for batch in reader {
        let batch = batch.map_err(|error| read(error.into()))?;
        let columns = Columns::new(Table::Series.name(), &batch);
        let (days, ids) = (columns.i32(column::DAY)?, columns.u64(column::SERIES_ID)?);
        let (kinds, units) = (columns.text(column::TYPE)?, columns.text(column::UNIT)?);
        let labels = columns.map(column::LABELS)?;
        for row in 0..batch.num_rows() {
            let (id, day) = (ids.value(row), days.value(row));
            let set = Labels::from_pairs(map_entries(labels, row));
            let (kind, unit) = (kinds.value(row), units.value(row));
            // A collision cannot be: only one set of each id was ever stored.
            if index.observe(id, &set, kind, unit, day, usize::MAX).is_ok() {
                index.mark_stored(id, day);
            }
        }
    }
    Ok(())
}
