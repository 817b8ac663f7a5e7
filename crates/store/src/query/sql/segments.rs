//! The segments of a scan, read one at a time by each of its partitions. One that is damaged is left out, from where it is
//! damaged on, and named; one that cannot hold a wanted trace, by its index, is not read, nor are such row groups of others.
//!
//! In: a plan with scans of files. Out: the same with [`SegmentScan`] above each of them, which opens the files by itself,
//! so that an error has a file. Partitions take files from one queue, as they do without it.
//!
//! Limits: [`WARNINGS_MAX`] segments are named in an answer, [`IDS_MAX`] ids of a condition are looked up.

mod wanted;

use std::collections::VecDeque;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::{DataSource as _, DataSourceExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{FutureExt as _, StreamExt as _, stream};
use parking_lot::Mutex;
use parquet::errors::ParquetError;

use self::wanted::wanted_traces;
use crate::StoreError;
use crate::catalog::DataFile;
use crate::query::damaged::is_caused_by_want;
use crate::query::search::job::{WARNINGS_MAX, warning};
use crate::query::search::stop::Stop;
use crate::store::Inner;

/// Ids of one condition that are looked up; with more of them most row groups would be read anyway.
const IDS_MAX: usize = 256;

/// The segments that one statement could not read, for its answer.
#[derive(Debug, Default)]
pub(super) struct Missing(Mutex<Vec<String>>);

impl Missing {
    pub(super) fn warnings(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    fn add(&self, warning: String) {
        let mut warnings = self.0.lock();
        if warnings.len() < WARNINGS_MAX && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

/// What the scans of one statement share.
struct Shared {
    inner: Arc<Inner>,
    stop: Arc<Stop>,
    missing: Arc<Missing>,
}

/// `plan` with every scan of files read by segment.
pub(super) fn by_segment(
    plan: Arc<dyn ExecutionPlan>,
    inner: &Arc<Inner>,
    stop: Stop,
    missing: &Arc<Missing>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let shared = Arc::new(Shared {
        inner: Arc::clone(inner),
        stop: Arc::new(stop),
        missing: Arc::clone(missing),
    });
    let by_segment = plan.transform_up(|node| {
        let Some(config) = file_scan(&node) else {
            return Ok(Transformed::no(node));
        };
        let scan = SegmentScan::new(Arc::clone(&node), config.clone(), &shared);
        Ok(Transformed::yes(Arc::new(scan)))
    })?;
    Ok(by_segment.data)
}

fn file_scan(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let source = node.downcast_ref::<DataSourceExec>()?;
    source.data_source().downcast_ref::<FileScanConfig>()
}

type Files = Arc<Mutex<VecDeque<PartitionedFile>>>;

/// A scan of segments.
struct SegmentScan {
    /// What it reads, for whoever looks at the plan.
    scan: Arc<dyn ExecutionPlan>,
    /// The same without files.
    config: FileScanConfig,
    groups: Vec<FileGroup>,
    /// The files of all partitions, unless they have to stay apart.
    queue: OnceLock<Files>,
    /// For each condition on the trace id, the ids of which a row must have one.
    traces: Vec<Vec<Vec<u8>>>,
    shared: Arc<Shared>,
    metrics: ExecutionPlanMetricsSet,
}

impl SegmentScan {
    fn new(scan: Arc<dyn ExecutionPlan>, mut config: FileScanConfig, shared: &Arc<Shared>) -> Self {
        let groups = std::mem::take(&mut config.file_groups);
        let filter = config.file_source.filter();
        Self {
            scan,
            traces: filter.map_or_else(Vec::new, |filter| wanted_traces(&filter)),
            config,
            groups,
            queue: OnceLock::new(),
            shared: Arc::clone(shared),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn files(&self, partition: usize) -> Files {
        let queued = |files: &mut dyn Iterator<Item = &PartitionedFile>| {
            Arc::new(Mutex::new(files.cloned().collect()))
        };
        if self.config.preserve_order || self.config.output_partitioning.is_some() {
            let group = self.groups.get(partition);
            return queued(&mut group.into_iter().flat_map(FileGroup::iter));
        }
        let all = || queued(&mut self.groups.iter().flat_map(FileGroup::iter));
        Arc::clone(self.queue.get_or_init(all))
    }
}

impl fmt::Debug for SegmentScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentScan")
            .field("scan", &self.scan)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for SegmentScan {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SegmentScan")
    }
}

impl ExecutionPlan for SegmentScan {
    fn name(&self) -> &'static str {
        "SegmentScan"
    }

    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    fn apply_expressions(
        &self,
        _look: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = children.into_iter().next();
        let scan = scan.and_then(|scan| {
            let config = file_scan(&scan)?.clone();
            Some(Self::new(scan, config, &self.shared))
        });
        match scan {
            Some(scan) => Ok(Arc::new(scan)),
            None => Err(DataFusionError::Internal(
                "a scan of files is expected".to_owned(),
            )),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::ChildrenPropertiesMode;
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let count = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let reader = Reader {
            config: self.config.clone(),
            files: self.files(partition),
            traces: self.traces.clone(),
            shared: Arc::clone(&self.shared),
            context,
            current: None,
            left: self.config.limit,
            skipped: count("row_groups_without_wanted_trace"),
            left_out: count("segments_left_out"),
        };
        let batches = stream::unfold(reader, |reader| reader.next());
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}

/// Reads files, one after the other.
struct Reader {
    config: FileScanConfig,
    files: Files,
    traces: Vec<Vec<Vec<u8>>>,
    shared: Arc<Shared>,
    context: Arc<TaskContext>,
    /// The file that is read; none without its place in the catalog.
    current: Option<(Option<DataFile>, SendableRecordBatchStream)>,
    /// Rows that are wanted still.
    left: Option<usize>,
    skipped: Count,
    left_out: Count,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<RecordBatch>, Self)> {
        while self.left != Some(0) {
            let Some((file, stream)) = &mut self.current else {
                // Many files in a row may have nothing wanted, and a statement must end with its caller.
                tokio::task::yield_now().await;
                let file = self.files.lock().pop_front()?;
                if let Err(error) = self.open(file) {
                    return Some((Err(error), self));
                }
                continue;
            };
            // A damaged file may bring its reader to panic, but so may what the statement computes of its rows: the
            // statement fails, and no file is blamed.
            let next = AssertUnwindSafe(stream.next()).catch_unwind().await;
            let failed = match next {
                Ok(Some(Ok(batch))) => {
                    let rows = self
                        .left
                        .map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
                    self.left = self.left.map(|left| left - rows);
                    return Some((Ok(batch.slice(0, rows)), self));
                }
                Ok(None) => {
                    self.current = None;
                    continue;
                }
                Ok(Some(Err(error))) => error,
                Err(_panic) => {
                    let path = file.as_ref().map(|file| file.path.display().to_string());
                    let path = path.unwrap_or_else(|| "memory".to_owned());
                    self.current = None;
                    let why = format!("a panic with the rows of {path}");
                    return Some((Err(DataFusionError::Execution(why)), self));
                }
            };
            let file = file.take();
            self.current = None;
            if let Err(error) = self.leave_out(file.as_ref(), failed) {
                return Some((Err(error), self));
            }
        }
        None
    }

    /// Opens a file, unless there is nothing in it.
    fn open(&mut self, mut file: PartitionedFile) -> Result<()> {
        let data_file = file.extension::<DataFile>().cloned();
        if let Some(data_file) = data_file.as_ref().filter(|_| !self.traces.is_empty()) {
            let searcher = &self.shared.inner.searcher;
            match searcher.groups_with_traces(data_file, &self.traces, &self.shared.stop) {
                Ok(Some(groups)) => {
                    let without = groups.iter().filter(|may_hold| !**may_hold).count();
                    self.skipped.add(without);
                    if without == groups.len() {
                        return Ok(());
                    }
                    file = file.with_extension(access_plan(&groups));
                }
                Ok(None) => {}
                Err(error @ (StoreError::Timeout { .. } | StoreError::Busy)) => {
                    return Err(DataFusionError::External(error.into()));
                }
                Err(error) => return self.leave_out_for(data_file, error),
            }
        }
        let mut config = self.config.clone();
        config.file_groups = vec![FileGroup::new(vec![file])];
        match config.open(0, Arc::clone(&self.context)) {
            Ok(stream) => {
                self.current = Some((data_file, stream));
                Ok(())
            }
            Err(error) => self.leave_out(data_file.as_ref(), error),
        }
    }

    /// Goes on without the rest of a file, when it is the file that is at fault.
    fn leave_out(&self, file: Option<&DataFile>, error: DataFusionError) -> Result<()> {
        let Some(file) = file.filter(|_file| is_of_the_file(&error)) else {
            return Err(error);
        };
        let source = ParquetError::External(error.into());
        let path = file.path.to_path_buf();
        self.leave_out_for(file, StoreError::Read { path, source })
    }

    fn leave_out_for(&self, file: &DataFile, error: StoreError) -> Result<()> {
        if is_caused_by_want(&error) {
            return Err(DataFusionError::External(error.into()));
        }
        tracing::warn!(%error, "a segment is left out of an answer");
        self.left_out.add(1);
        self.shared.missing.add(warning(&error));
        self.shared.inner.searcher.damage().note(&file.path, &error);
        Ok(())
    }
}

fn access_plan(groups: &[bool]) -> ParquetAccessPlan {
    let mut plan = ParquetAccessPlan::new_all(groups.len());
    for (group, may_hold) in groups.iter().enumerate() {
        if !may_hold {
            plan.skip(group);
        }
    }
    plan
}

/// Whether reading failed, and not what is computed of the rows meanwhile.
fn is_of_the_file(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_) => !is_caused_by_want(error),
        DataFusionError::ArrowError(error, _) => {
            matches!(
                **error,
                ArrowError::ParquetError(_) | ArrowError::IoError(..)
            )
        }
        _ => false,
    }
}
