//! Log search and log counts.

use std::time::Duration;

use vervet_model::{Labels, Matcher, TraceId, UnixNanos};

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
    pub async fn logs(&self, _query: &LogQuery) -> Result<Vec<LogRow>, StoreError> {
        Ok(Vec::new())
    }

    /// Records and bytes per bucket and label set, ordered by labels.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when the bucket is zero.
    pub async fn log_counts(
        &self,
        _query: &LogQuery,
        _group_by: &GroupBy,
        _bucket: Duration,
    ) -> Result<Vec<LogCountSeries>, StoreError> {
        Ok(Vec::new())
    }

    /// The names of the labels that matching records have, sorted.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn log_label_names(
        &self,
        _matchers: &[Matcher],
        _start: UnixNanos,
        _end: UnixNanos,
    ) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// The values of one label among matching records, sorted.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn log_label_values(
        &self,
        _name: &str,
        _matchers: &[Matcher],
        _start: UnixNanos,
        _end: UnixNanos,
    ) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// The distinct label sets of matching records, `level` included, sorted.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn log_series(
        &self,
        _matchers: &[Matcher],
        _start: UnixNanos,
        _end: UnixNanos,
    ) -> Result<Vec<Labels>, StoreError> {
        Ok(Vec::new())
    }
}
