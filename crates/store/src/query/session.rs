//! A DataFusion session over one cut.

use std::sync::Arc;

use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use vervet_model::UnixNanos;

use super::memory::QueryPool;
use super::scan::TableScan;
use super::sql::{Charge, install};
use crate::StoreError;
use crate::head::View;
use crate::store::Inner;
use crate::tables::Table;

/// The part of a query's memory that each of its sorts may keep for merging: one of this many.
const MERGE_PARTS: usize = 16;

/// What a query knows beforehand about its access.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Access {
    /// Earliest and latest time of the rows it wants, both inclusive.
    pub(super) time: Option<(UnixNanos, UnixNanos)>,
    /// Decode the columns of conditions first and the others for matching rows only: faster when few rows
    /// match and many columns are wanted, slower for aggregates.
    pub(super) filter_first: bool,
    /// Show attributes of the head in promoted columns, as segments do.
    pub(super) shred_head: bool,
}

impl Inner {
    /// A session with its own memory budget, the functions that statements may call and no tables.
    pub(super) fn session(&self, access: Access) -> Result<SessionContext, StoreError> {
        let mut config = SessionConfig::new().with_information_schema(true);
        // It loses what a column belongs to where a join compares a function of an attribute.
        config
            .options_mut()
            .optimizer
            .enable_leaf_expression_pushdown = false;
        let execution = &mut config.options_mut().execution;
        // What a sort keeps for merging what it spilled; the default is more than a small budget has.
        let for_merging = self.config.query_memory_bytes / MERGE_PARTS;
        execution.sort_spill_reservation_bytes =
            execution.sort_spill_reservation_bytes.min(for_merging);
        let parquet = &mut execution.parquet;
        parquet.pushdown_filters = access.filter_first;
        parquet.reorder_filters = access.filter_first;
        let pool = QueryPool::new(self.config.query_memory_bytes, &self.query_memory);
        let pool: Arc<dyn MemoryPool> = Arc::new(pool);
        let charge = Charge::new(&pool);
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_pool(pool)
            .build_arc()
            .map_err(|error| self.engine_error(error))?;
        let builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime);
        let state = install(builder, &charge).build();
        Ok(SessionContext::new_with_state(state))
    }

    /// The rows of one table in a cut, as far as `access` wants them.
    pub(super) fn table(
        &self,
        session: &SessionContext,
        view: &View,
        table: Table,
        access: Access,
    ) -> Result<DataFrame, StoreError> {
        session
            .read_table(Arc::new(TableScan::new(self, view, table, access)))
            .map_err(|error| self.engine_error(error))
    }

    pub(super) fn engine_error(&self, error: DataFusionError) -> StoreError {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => StoreError::QueryTooLarge {
                what: "bytes of memory",
                limit: self.config.query_memory_bytes as u64,
            },
            _ => StoreError::Engine(error.into()),
        }
    }
}
