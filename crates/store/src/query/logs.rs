//! Log search and log counts.

mod labels;
mod names;
mod rows;

use std::time::Duration;

use vervet_model::{Labels, Matcher, TraceId, UnixNanos};

use self::labels::label_names;
use super::filter::Filter;
use super::search::Answer;
use super::search::aggregate::{Aggregate, AggregateGroup};
use super::search::top::{Collect, Top, by_unit};
use crate::tables::Table;
use crate::{Store, StoreError};

/// Records that one search returns at most.
pub const LOG_ROWS_MAX: usize = 100_000;

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

/// Which log records are asked for.
#[derive(Debug, Clone)]
pub struct LogRequest {
    pub filter: Filter,
    /// Inclusive.
    pub start: UnixNanos,
    /// Exclusive.
    pub end: UnixNanos,
    /// Rows returned, at most [`LOG_ROWS_MAX`].
    pub limit: usize,
    pub direction: Direction,
}

/// Which log records are asked for, in the terms of Loki. All conditions must hold.
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
    /// `scope_name`, `event_name`, `observed_time` and `severity_number`, sorted by name. An attribute of the record whose name
    /// is that of a label, of one of these or of a resource attribute has `_extracted` behind its name.
    pub metadata: Vec<(String, String)>,
}

/// The labels that counts are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    All,
    Some(Vec<String>),
}

/// What the counts of a query hold besides the number of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogMeasure {
    Records,
    /// The bytes of their bodies too, for which bodies are read.
    Bytes,
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
    /// Bytes of the bodies; 0 unless asked for.
    pub bytes: u64,
}

impl LogQuery {
    /// The request that asks the same.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when a condition on an identifier cannot be asked.
    pub fn to_request(&self) -> Result<LogRequest, StoreError> {
        Ok(LogRequest {
            filter: labels::filter(self)?,
            start: self.start,
            end: self.end,
            limit: self.limit,
            direction: self.direction,
        })
    }
}

impl Store {
    /// The first `limit` records in the query's direction.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn logs(&self, query: &LogQuery) -> Result<Answer<Vec<LogRow>>, StoreError> {
        self.search_logs(&query.to_request()?).await
    }

    /// The first `limit` records in the request's direction.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn search_logs(
        &self,
        request: &LogRequest,
    ) -> Result<Answer<Vec<LogRow>>, StoreError> {
        let limit = request.limit.min(LOG_ROWS_MAX);
        if limit == 0 {
            return Ok(Answer {
                found: Vec::new(),
                warnings: Vec::new(),
            });
        }
        let mut pass = self
            .0
            .pass(Table::Logs, &request.filter, (request.start, request.end))?;
        let top = pass.all(Top::new(limit, request.direction)).await?;
        let places = top.into_places();
        let collect = Collect::new(LOG_ROWS_MAX, self.0.config.query_memory_bytes);
        let collected = pass.picked(collect, by_unit(&places)).await?;
        let layout = pass.layout();
        let mut rows = Vec::with_capacity(places.len());
        for (origin, numbers, batch) in collected.into_batches() {
            let shown = rows::log_rows(&batch, layout)?;
            rows.extend(
                numbers
                    .into_iter()
                    .map(|number| (origin, number))
                    .zip(shown),
            );
        }
        let newest_first = request.direction == Direction::NewestFirst;
        rows.sort_by_key(|(place, row)| {
            let rank = if newest_first {
                !row.time.0
            } else {
                row.time.0
            };
            (rank, *place)
        });
        Ok(pass.answer(rows.into_iter().map(|(_place, row)| row).collect()))
    }

    /// Records, and bytes if asked for, per bucket and label set, ordered by labels.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when the bucket is zero.
    pub async fn log_counts(
        &self,
        query: &LogQuery,
        group_by: &GroupBy,
        bucket: Duration,
        measure: LogMeasure,
    ) -> Result<Answer<Vec<LogCountSeries>>, StoreError> {
        let names = label_names(group_by);
        let aggregate = Aggregate {
            group_by: labels::fields(&names),
            bucket: Some(bucket),
            bytes: measure == LogMeasure::Bytes,
            ..Aggregate::default()
        };
        let counted = self
            .aggregate_logs(&query.to_request()?, &aggregate)
            .await?;
        Ok(counted.map(|groups| labels::series(&names, groups)))
    }

    /// Counts and sums of the records that a request asks for, whatever its limit, ordered by key.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when a field does not exist or the bucket is
    /// zero.
    pub async fn aggregate_logs(
        &self,
        request: &LogRequest,
        aggregate: &Aggregate,
    ) -> Result<Answer<Vec<AggregateGroup>>, StoreError> {
        let span = (request.start, request.end);
        self.0
            .aggregate(Table::Logs, &request.filter, span, aggregate)
            .await
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
    ) -> Result<Answer<Vec<String>>, StoreError> {
        let sets = self.log_series(matchers, start, end).await?;
        Ok(sets.map(|sets| {
            let names: std::collections::BTreeSet<&str> = sets
                .iter()
                .flat_map(|labels| labels.iter().map(|label| &*label.name))
                .collect();
            names.into_iter().map(str::to_owned).collect()
        }))
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
    ) -> Result<Answer<Vec<String>>, StoreError> {
        let group_by = GroupBy::Some(vec![name.to_owned()]);
        let sets = self.distinct(&group_by, matchers, (start, end)).await?;
        let value = |labels: &Labels| labels.get(name).map(str::to_owned);
        Ok(sets.map(|sets| sets.iter().filter_map(value).collect()))
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
    ) -> Result<Answer<Vec<Labels>>, StoreError> {
        self.distinct(&GroupBy::All, matchers, (start, end)).await
    }

    /// The distinct values of some labels, sorted.
    async fn distinct(
        &self,
        group_by: &GroupBy,
        matchers: &[Matcher],
        (start, end): (UnixNanos, UnixNanos),
    ) -> Result<Answer<Vec<Labels>>, StoreError> {
        let names = label_names(group_by);
        if names.is_empty() {
            return Ok(Answer {
                found: Vec::new(),
                warnings: Vec::new(),
            });
        }
        let filter = Filter::All(matchers.iter().map(labels::label_filter).collect());
        let aggregate = Aggregate {
            group_by: labels::fields(&names),
            ..Aggregate::default()
        };
        let counted = self
            .0
            .aggregate(Table::Logs, &filter, (start, end), &aggregate)
            .await?;
        Ok(counted.map(|groups| {
            let series = labels::series(&names, groups).into_iter();
            series.map(|series| series.labels).collect()
        }))
    }
}
