//! How typed requests are run over the current cut.

use std::sync::Arc;

use vervet_model::UnixNanos;

use super::filter::Filter;
use super::search::aggregate::{Aggregate, AggregateGroup, Counter};
use super::search::pass::Pass;
use super::search::{Answer, Predicate, Wanted};
use crate::StoreError;
use crate::head::View;
use crate::store::Inner;
use crate::tables::Table;

impl Inner {
    /// A request over the current cut.
    pub(super) fn pass(
        &self,
        table: Table,
        filter: &Filter,
        span: (UnixNanos, UnixNanos),
    ) -> Result<Pass<'_>, StoreError> {
        self.pass_over(self.cut(), table, filter, span)
    }

    /// A request over a cut that was taken before.
    pub(super) fn pass_over(
        &self,
        view: Arc<View>,
        table: Table,
        filter: &Filter,
        (start, end): (UnixNanos, UnixNanos),
    ) -> Result<Pass<'_>, StoreError> {
        let filter = Predicate::new(view.snapshot.layout(table), filter)?;
        let wanted = Wanted {
            table,
            filter: Arc::new(filter),
            start,
            end,
        };
        Ok(Pass::new(
            &self.searcher,
            view,
            wanted,
            self.config.query_timeout,
        ))
    }

    /// Counts and sums by group.
    pub(super) async fn aggregate(
        &self,
        table: Table,
        filter: &Filter,
        span: (UnixNanos, UnixNanos),
        aggregate: &Aggregate,
    ) -> Result<Answer<Vec<AggregateGroup>>, StoreError> {
        self.aggregate_over(self.cut(), table, filter, span, aggregate)
            .await
    }

    /// Counts and sums over a cut that was taken before.
    pub(super) async fn aggregate_over(
        &self,
        view: Arc<View>,
        table: Table,
        filter: &Filter,
        span: (UnixNanos, UnixNanos),
        aggregate: &Aggregate,
    ) -> Result<Answer<Vec<AggregateGroup>>, StoreError> {
        let mut pass = self.pass_over(view, table, filter, span)?;
        let memory = self.config.query_memory_bytes;
        let counter = Counter::new(pass.layout(), aggregate, span.0, memory)?;
        let groups = pass.all(counter).await?.into_groups()?;
        Ok(pass.answer(groups))
    }
}
