//! Log search and log counts.

mod rows;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::functions::string::expr_fn::octet_length;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Expr, col, lit};
use vervet_model::{Labels, Matcher, TraceId, UnixNanos};

use super::filters::{
    bucket_index, label_column, label_columns, line_matches, matches, metadata_condition,
    time_between, trace_is,
};
use super::session::Access;
use crate::head::View;
use crate::store::Inner;
use crate::tables::{Table, column};
use crate::{Store, StoreError};

/// A condition on the body of a log record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFilter {
    pub op: LineFilterOp,
    /// Plain text, case-sensitive, or a regular expression that is not anchored.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFilterOp {
    Contains,
    NotContains,
    Regex,
    NotRegex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// Which log records are asked for. All conditions must hold.
#[derive(Debug, Clone)]
pub struct LogQuery {
    /// Conditions on the stream labels and on `level`. An unknown label counts as empty.
    pub matchers: Vec<Matcher>,
    pub filters: Vec<LineFilter>,
    /// Conditions on structured metadata, by the names of [`LogRow::metadata`], or on labels.
    pub metadata: Vec<Matcher>,
    pub trace_id: Option<TraceId>,
    /// Inclusive.
    pub start: UnixNanos,
    /// Exclusive.
    pub end: UnixNanos,
    /// Rows returned at most; not used by counts.
    pub limit: usize,
    pub direction: Direction,
}

/// One log record.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    pub time: UnixNanos,
    /// The stream labels and `level`.
    pub labels: Labels,
    pub body: String,
    /// Attributes and remaining resource attributes (dots as underscores), `trace_id`, `span_id`,
    /// `scope_name`, `event_name`, `observed_time` and `severity_number`, sorted by name.
    pub metadata: Vec<(String, String)>,
}

/// The labels that counts are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    All,
    Some(Vec<String>),
}

/// The counts of one label set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCountSeries {
    pub labels: Labels,
    /// By time; buckets without a record are left out.
    pub buckets: Vec<LogCount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCount {
    /// Start of the bucket: the query's start plus a whole number of buckets.
    pub start: UnixNanos,
    pub count: u64,
    /// Bytes of the bodies.
    pub bytes: u64,
}

impl Store {
    /// The first `limit` records in the query's direction.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRow>, StoreError> {
        let (inner, query) = (Arc::clone(&self.0), query.clone());
        let search = async move {
            let newest_first = query.direction == Direction::NewestFirst;
            let order = col(column::TIME).sort(!newest_first, false);
            let view = inner.cut();
            let frame = inner
                .log_records(&view, &query, true)?
                .sort(vec![order])
                .and_then(|frame| frame.limit(0, Some(query.limit)))
                .map_err(|error| inner.engine_error(error))?;
            rows::log_rows(
                &inner.collect(frame).await?,
                view.snapshot.layout(Table::Logs),
            )
        };
        self.0.run(search).await
    }

    /// Records and bytes per bucket and label set, ordered by labels.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when the bucket is zero.
    pub async fn log_counts(
        &self,
        query: &LogQuery,
        group_by: &GroupBy,
        bucket: Duration,
    ) -> Result<Vec<LogCountSeries>, StoreError> {
        let (inner, query) = (Arc::clone(&self.0), query.clone());
        let labels = group_by.labels();
        let bucket_nanos = i64::try_from(bucket.as_nanos()).unwrap_or(i64::MAX);
        if bucket_nanos == 0 {
            return Err(StoreError::Invalid {
                reason: "the bucket of a count must be longer than zero".to_owned(),
            });
        }
        let counting = async move {
            let mut groups = label_exprs(&labels);
            groups.push(bucket_index(query.start, bucket_nanos).alias(rows::BUCKET));
            let bytes = octet_length(col(column::BODY));
            let sums = vec![
                count(lit(1_i64)).alias(rows::COUNT),
                sum(bytes).alias(rows::BYTES),
            ];
            let frame = inner
                .log_records(&inner.cut(), &query, false)?
                .aggregate(groups, sums)
                .map_err(|error| inner.engine_error(error))?;
            let batches = inner.collect(frame).await?;
            rows::log_counts(&batches, &labels, query.start, bucket_nanos)
        };
        self.0.run(counting).await
    }

    /// The names of the labels that matching records have, sorted.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn log_label_names(
        &self,
        matchers: &[Matcher],
        start: UnixNanos,
        end: UnixNanos,
    ) -> Result<Vec<String>, StoreError> {
        let sets = self.log_series(matchers, start, end).await?;
        let names: std::collections::BTreeSet<&str> = sets
            .iter()
            .flat_map(|labels| labels.iter().map(|label| &*label.name))
            .collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    /// The values of one label among matching records, sorted.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn log_label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start: UnixNanos,
        end: UnixNanos,
    ) -> Result<Vec<String>, StoreError> {
        let sets = self.distinct(
            GroupBy::Some(vec![name.to_owned()]).labels(),
            matchers,
            start,
            end,
        );
        let values = sets
            .await?
            .into_iter()
            .filter_map(|labels| Some(labels.get(name)?.to_owned()));
        Ok(values.collect())
    }

    /// The distinct label sets of matching records, `level` included, sorted.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn log_series(
        &self,
        matchers: &[Matcher],
        start: UnixNanos,
        end: UnixNanos,
    ) -> Result<Vec<Labels>, StoreError> {
        self.distinct(GroupBy::All.labels(), matchers, start, end)
            .await
    }

    /// The distinct values of some labels, sorted.
    async fn distinct(
        &self,
        labels: Vec<&'static str>,
        matchers: &[Matcher],
        start: UnixNanos,
        end: UnixNanos,
    ) -> Result<Vec<Labels>, StoreError> {
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        let inner = Arc::clone(&self.0);
        let query = LogQuery {
            matchers: matchers.to_vec(),
            filters: Vec::new(),
            metadata: Vec::new(),
            trace_id: None,
            start,
            end,
            limit: 0,
            direction: Direction::default(),
        };
        let search = async move {
            let frame = inner
                .log_records(&inner.cut(), &query, false)?
                .aggregate(label_exprs(&labels), Vec::new())
                .map_err(|error| inner.engine_error(error))?;
            rows::label_sets(&inner.collect(frame).await?, &labels)
        };
        self.0.run(search).await
    }
}

impl GroupBy {
    /// The labels meant, of those there are.
    fn labels(&self) -> Vec<&'static str> {
        label_columns()
            .map(|(label, _column)| label)
            .filter(|label| match self {
                Self::All => true,
                Self::Some(names) => names.iter().any(|name| name == label),
            })
            .collect()
    }
}

fn label_exprs(labels: &[&'static str]) -> Vec<Expr> {
    labels
        .iter()
        .filter_map(|label| label_column(label))
        .map(col)
        .collect()
}

impl Inner {
    /// The records that fulfil a query, in no order.
    fn log_records(
        &self,
        view: &View,
        query: &LogQuery,
        filter_first: bool,
    ) -> Result<DataFrame, StoreError> {
        let access = Access {
            time: Some((query.start, query.end)),
            filter_first,
            ..Access::default()
        };
        let mut condition = time_between(query.start, query.end);
        for matcher in &query.matchers {
            condition = condition.and(matches(matcher));
        }
        if let Some(trace_id) = query.trace_id {
            condition = condition.and(trace_is(trace_id));
        }
        for filter in &query.filters {
            condition = condition.and(line_matches(filter)?);
        }
        let layout = view.snapshot.layout(Table::Logs);
        for matcher in &query.metadata {
            condition = condition.and(metadata_condition(layout, matcher)?);
        }
        let session = self.session(access)?;
        self.table(&session, view, Table::Logs, access)?
            .filter(condition)
            .map_err(|error| self.engine_error(error))
    }

    /// Runs a plan. Its result is bounded by what the plan says, not here.
    pub(super) async fn collect(&self, frame: DataFrame) -> Result<Vec<RecordBatch>, StoreError> {
        frame
            .collect()
            .await
            .map_err(|error| self.engine_error(error))
    }
}
