//! SQL for people: read-only, streamed, within limits.
//!
//! A statement may read the four tables and nothing else. It is planned on threads for that, and runs on those of light
//! queries, or of heavy ones when it joins tables or reads more than [`LIGHT_BYTES_MAX`] of files.
//!
//! Planning cannot be interrupted and asks for no memory, so what is planned is bounded: the text ([`statement`]), the
//! tables and selects it stands for ([`size`]), its expressions ([`shape`]). What runs asks for memory wherever it may make
//! much of little: functions ([`charged`]; others are not there: [`functions`]) and windows ([`metered`]).
//!
//! Ids are written as text ([`ids`]). A segment that cannot be read is left out, and named once the rows are through
//! ([`SqlRows::warnings`]).
//!
//! Limits: 64 KiB of text, 1,000 operators, [`SqlLimits`], those of the modules named, and those of every query.

mod charged;
mod format;
mod functions;
mod hex;
mod ids;
mod metered;
mod segments;
mod shape;
mod size;
mod statement;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::admission::Weight;
use super::executor::AbortOnDrop;
use super::search::stop::Stop;
use super::session::Access;
use super::whole_attributes::whole_attributes;
use crate::store::Inner;
use crate::tables::Table;
use crate::{Store, StoreError};

use self::segments::Missing;
pub(super) use charged::Charge;
pub use format::{SqlEncoder, SqlFormat};
pub(super) use functions::install;

/// A light query reads at most this much of files (bytes, compressed).
const LIGHT_BYTES_MAX: u64 = 64 << 20;
/// Plans end so long after their deadline: the caller is told of it first.
const AFTER_DEADLINE: Duration = Duration::from_millis(100);
/// Batches between the plan and the reader.
const BATCHES_AHEAD: usize = 2;
/// Plans that multiply rows or make them up, whatever they read.
const HEAVY_PLANS: [&str; 8] = [
    "CrossJoinExec",
    "HashJoinExec",
    "LazyMemoryExec",
    "NestedLoopJoinExec",
    "PiecewiseMergeJoin",
    "RecursiveQueryExec",
    "SortMergeJoin",
    "SymmetricHashJoinExec",
];

/// What an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlLimits {
    /// Rows after which the answer just ends.
    pub rows: Option<u64>,
    /// Rows after which it ends with an error.
    pub rows_max: u64,
    /// Bytes in memory after which it ends with an error.
    pub bytes_max: u64,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self {
            rows: None,
            rows_max: 10_000_000,
            bytes_max: 1 << 30,
        }
    }
}

/// An answer, batch by batch. The query ends when this is dropped.
pub struct SqlRows {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, StoreError>>,
    deadline: Instant,
    timeout: Duration,
    has_failed: bool,
    missing: Arc<Missing>,
    _query: AbortOnDrop<()>,
}

impl SqlRows {
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What is missing from the rows so far: each names a segment that could not be read, and why. Complete when
    /// there are no more rows.
    pub fn warnings(&self) -> Vec<String> {
        self.missing.warnings()
    }

    /// The next rows; `None` at the end. After an error there is no more.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, StoreError>> {
        if self.has_failed {
            return None;
        }
        let next = tokio::time::timeout_at(self.deadline, self.batches.recv()).await;
        let next = next.unwrap_or_else(|_elapsed| {
            Some(Err(StoreError::Timeout {
                after: self.timeout,
            }))
        });
        self.has_failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Store {
    /// Starts one `SELECT`, `EXPLAIN`, `SHOW` or `DESCRIBE` over the tables `logs`, `spans`, `samples` and `series`.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the statement is wrong or would change something; [`StoreError::Busy`].
    pub async fn sql_rows(&self, query: &str, limits: SqlLimits) -> Result<SqlRows, StoreError> {
        let timeout = self.0.config.query_timeout;
        let deadline = Instant::now() + timeout;
        statement::check(query)?;
        let (inner, query) = (Arc::clone(&self.0), query.to_owned());
        let plan = async move { inner.plan_sql(&query, deadline).await };
        let planned = self.0.executor.run(Weight::Planning, timeout, plan).await?;
        let schema = planned.plan.schema();
        let missing = Arc::clone(&planned.missing);
        let weight = weight(&planned.plan);
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let inner = Arc::clone(&self.0);
        let run = async move {
            if let Err(error) = inner.send_rows(planned, limits, &sender).await {
                let _gone = sender.send(Err(error)).await;
            }
        };
        let query = self.0.executor.spawn(weight, deadline, run).await?;
        Ok(SqlRows {
            schema,
            batches,
            deadline,
            timeout,
            has_failed: false,
            missing,
            _query: query,
        })
    }

    /// All rows of a statement, cut where `row_limit` is reached.
    ///
    /// # Errors
    /// As [`Store::sql_rows`].
    pub async fn sql(&self, query: &str, row_limit: usize) -> Result<Vec<RecordBatch>, StoreError> {
        let limits = SqlLimits {
            rows: Some(row_limit as u64),
            ..SqlLimits::default()
        };
        let mut rows = self.sql_rows(query, limits).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

/// A plan and the memory it runs in.
struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    missing: Arc<Missing>,
}

impl Inner {
    async fn plan_sql(
        self: &Arc<Self>,
        query: &str,
        deadline: Instant,
    ) -> Result<Planned, StoreError> {
        let access = Access {
            shred_head: true,
            ..Access::default()
        };
        let session = self.session(access)?;
        let view = self.cut();
        for table in Table::ALL {
            let frame = self.table(&session, &view, table, access)?;
            whole_attributes(frame, view.snapshot.layout(table))
                .and_then(|frame| session.register_table(table.name(), frame.into_view()))
                .map_err(|error| self.engine_error(error))?;
        }
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let mut state = session.state();
        let logical = self.read_plan(&state, query, read_only).await?;
        let rows_max = state.config().batch_size();
        let rows = shape::batch_rows(&logical, rows_max).map_err(|error| self.sql_error(error))?;
        let config = std::mem::take(state.config_mut());
        *state.config_mut() = config.with_batch_size(rows);
        let missing = Arc::new(Missing::default());
        let stop = Stop::after(deadline.saturating_duration_since(Instant::now()));
        let plan = state
            .query_planner()
            .create_physical_plan(&logical, &state)
            .await
            .and_then(|plan| segments::by_segment(plan, self, stop, &missing))
            .and_then(|plan| metered::metered(plan, deadline + AFTER_DEADLINE))
            .map_err(|error| self.sql_error(error))?;
        let context = state.task_ctx();
        Ok(Planned {
            plan,
            context,
            missing,
        })
    }

    /// The optimized plan of a statement that only reads and is not too large.
    async fn read_plan(
        &self,
        state: &SessionState,
        query: &str,
        read_only: SQLOptions,
    ) -> Result<LogicalPlan, StoreError> {
        let refused = |error| self.sql_error(error);
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state.sql_to_statement(query, &dialect).map_err(refused)?;
        size::check(&statement)?;
        let plan = state.statement_to_plan(statement).await.map_err(refused)?;
        let function = |name: &str| {
            let found = state.scalar_functions().get(name).cloned();
            found.ok_or_else(|| refused(DataFusionError::Internal(format!("{name} is missing"))))
        };
        let functions = ids::Functions {
            hex: function(hex::NAME)?,
            lower: function("lower")?,
        };
        shape::check(&plan)
            .and_then(|()| read_only.verify_plan(&plan))
            .and_then(|()| ids::as_bytes(plan, &functions))
            .and_then(|plan| state.optimize(&plan))
            .map_err(refused)
    }

    async fn send_rows(
        &self,
        planned: Planned,
        limits: SqlLimits,
        sender: &mpsc::Sender<Result<RecordBatch, StoreError>>,
    ) -> Result<(), StoreError> {
        let mut stream =
            execute_stream(planned.plan, planned.context).map_err(|error| self.sql_error(error))?;
        let (mut rows, mut bytes) = (0, 0);
        loop {
            let left = limits.rows.map(|limit| limit.saturating_sub(rows));
            if left == Some(0) {
                return Ok(());
            }
            let next = stream.try_next().await;
            let Some(batch) = next.map_err(|error| self.sql_error(error))? else {
                return Ok(());
            };
            let take = left.map_or(batch.num_rows(), |left| {
                batch
                    .num_rows()
                    .min(usize::try_from(left).unwrap_or(usize::MAX))
            });
            let batch = batch.slice(0, take);
            rows += take as u64;
            bytes += batch.get_array_memory_size() as u64;
            if rows > limits.rows_max {
                return Err(StoreError::QueryTooLarge {
                    what: "rows in the answer",
                    limit: limits.rows_max,
                });
            }
            if bytes > limits.bytes_max {
                return Err(StoreError::QueryTooLarge {
                    what: "bytes in the answer",
                    limit: limits.bytes_max,
                });
            }
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// What the planner refuses is a mistake of the person who wrote the statement.
    fn sql_error(&self, error: DataFusionError) -> StoreError {
        match error.find_root() {
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Execution(_)
            | DataFusionError::ArrowError(..)
            | DataFusionError::Diagnostic(..) => StoreError::Invalid {
                reason: error.strip_backtrace(),
            },
            _ => self.engine_error(error),
        }
    }
}

fn weight(plan: &Arc<dyn ExecutionPlan>) -> Weight {
    match bytes_read(plan) {
        Some(bytes) if bytes <= LIGHT_BYTES_MAX => Weight::Light,
        _ => Weight::Heavy,
    }
}

/// Bytes of the files below `plan`; `None` when that says nothing about the work.
fn bytes_read(plan: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    if HEAVY_PLANS.iter().any(|name| plan.name().starts_with(name)) {
        return None;
    }
    let own = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|source| source.data_source().downcast_ref::<FileScanConfig>())
        .map_or(0, |scan| {
            let files = scan.file_groups.iter().flat_map(|group| group.iter());
            files
                .map(|file| match &file.range {
                    Some(range) => range.end.saturating_sub(range.start).max(0).unsigned_abs(),
                    None => file.object_meta.size,
                })
                .sum()
        });
    plan.children()
        .into_iter()
        .try_fold(own, |sum: u64, child| Some(sum + bytes_read(child)?))
}

#[cfg(test)]
mod tests;
