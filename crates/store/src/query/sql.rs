//! SQL for people: read-only.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use futures::TryStreamExt as _;

use super::session::Access;
use super::whole_attributes::whole_attributes;
use crate::store::Inner;
use crate::tables::Table;
use crate::{Store, StoreError};

impl Store {
    /// Runs one `SELECT`, `EXPLAIN` or `SHOW` over the tables `logs`, `spans`, `samples` and `series`.
    /// The last batch is cut where `row_limit` is reached.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the statement is wrong or would change something.
    pub async fn sql(&self, query: &str, row_limit: usize) -> Result<Vec<RecordBatch>, StoreError> {
        let (inner, query) = (Arc::clone(&self.0), query.to_owned());
        self.0
            .run(async move { inner.run_sql(&query, row_limit).await })
            .await
    }
}

impl Inner {
    async fn run_sql(&self, query: &str, row_limit: usize) -> Result<Vec<RecordBatch>, StoreError> {
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
        let frame = session
            .sql_with_options(query, read_only)
            .await
            .map_err(|error| self.sql_error(error))?;
        let mut stream = frame
            .execute_stream()
            .await
            .map_err(|error| self.sql_error(error))?;
        let (mut batches, mut left) = (Vec::new(), row_limit);
        while left > 0 {
            let Some(batch) = stream
                .try_next()
                .await
                .map_err(|error| self.sql_error(error))?
            else {
                break;
            };
            let batch = batch.slice(0, batch.num_rows().min(left));
            left -= batch.num_rows();
            batches.push(batch);
        }
        Ok(batches)
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
