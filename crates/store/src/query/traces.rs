//! Traces by id and trace search.

mod newest;
mod rows;
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vervet_model::{SpanId, TraceId, UnixNanos};

use self::newest::NewestTraces;
use self::summary::Briefs;
use super::filter::{Comparison, Field, Filter, Test};
use super::search::aggregate::{Aggregate, AggregateGroup};
use super::search::top::Collect;
use super::search::{Answer, Predicate};
use crate::tables::{Table, column};
use crate::{Store, StoreError};

/// Spans of one trace at most; a larger one is an error.
pub const TRACE_SPANS_MAX: usize = 200_000;

/// Spans of found traces are looked for this long before and after the time searched.
const TRACE_SLACK: Duration = Duration::from_secs(3600);

/// Traces that one search returns at most.
pub const TRACES_MAX: usize = 1000;

/// Spans that one search reads at most to sum its traces up.
const SUMMARY_SPANS_MAX: usize = 500_000;

/// One span with everything that is stored of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanRow {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    pub start: UnixNanos,
    pub duration: Duration,
    pub service_name: String,
    pub environment: String,
    pub name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer` or `unspecified`.
    pub kind: String,
    /// `unset`, `ok` or `error`.
    pub status: String,
    pub status_message: String,
    pub scope_name: String,
    pub attributes: Vec<(String, String)>,
    /// Without service and environment, which have fields of their own.
    pub resource_attributes: Vec<(String, String)>,
    /// JSON: `[{"time_unix_nano": 1, "name": "exception", "attributes": {..}}]`.
    pub events: String,
    /// JSON: `[{"trace_id": "..", "span_id": "..", "attributes": {..}}]`.
    pub links: String,
}

/// Which traces are asked for: those with at least one span that fulfils all conditions.
#[derive(Debug, Clone, Default)]
pub struct TraceQuery {
    pub service: Option<String>,
    pub environment: Option<String>,
    pub name: Option<String>,
    pub kind: Option<String>,
    pub status: Option<String>,
    pub min_duration: Option<Duration>,
    pub max_duration: Option<Duration>,
    /// Span or resource attributes that must have these values.
    pub attributes: Vec<(String, String)>,
    /// Start of the span, inclusive.
    pub start: UnixNanos,
    /// Exclusive.
    pub end: UnixNanos,
    pub limit: usize,
}

/// Which spans are asked for.
#[derive(Debug, Clone)]
pub struct SpanRequest {
    pub filter: Filter,
    /// Start of the span, inclusive.
    pub start: UnixNanos,
    /// Exclusive.
    pub end: UnixNanos,
}

/// A trace that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSummary {
    pub trace_id: TraceId,
    /// Of the span without a parent; of the earliest span when that one is missing.
    pub root_service_name: String,
    pub root_name: String,
    pub start: UnixNanos,
    pub duration: Duration,
    pub span_count: u64,
    pub error_count: u64,
    /// By service name.
    pub services: BTreeMap<String, ServiceSpans>,
    /// The spans that fulfil the query, earliest first, at most [`MATCHED_SPANS_MAX`].
    pub matched: Vec<SpanBrief>,
}

/// What one service has of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceSpans {
    pub spans: u64,
    pub errors: u64,
}

/// Matching spans that a [`TraceSummary`] lists at most.
pub const MATCHED_SPANS_MAX: usize = 20;

/// A span in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanBrief {
    pub span_id: SpanId,
    pub service_name: String,
    pub name: String,
    pub start: UnixNanos,
    pub duration: Duration,
    pub status: String,
}

impl Store {
    /// All spans of a trace, at most [`TRACE_SPANS_MAX`], earliest first; empty when it is not known.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn trace(&self, trace_id: TraceId) -> Result<Answer<Vec<SpanRow>>, StoreError> {
        let always = (UnixNanos(i64::MIN), UnixNanos(i64::MAX));
        let mut pass = self.0.pass(Table::Spans, &of_traces(&[trace_id]), always)?;
        let collect = Collect::new(TRACE_SPANS_MAX, self.0.config.query_memory_bytes);
        let mut spans = Vec::new();
        for (_origin, _numbers, batch) in pass.all(collect).await?.into_batches() {
            spans.extend(rows::spans(&batch, pass.layout())?);
        }
        spans.sort_by_key(|span| span.start);
        Ok(pass.answer(spans))
    }

    /// The newest `limit` traces (at most [`TRACES_MAX`]) that fulfil the query, newest first.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn search_traces(
        &self,
        query: &TraceQuery,
    ) -> Result<Answer<Vec<TraceSummary>>, StoreError> {
        let view = self.0.cut();
        let filter = filter(query);
        let span = (query.start, query.end);
        let mut pass = self
            .0
            .pass_over(Arc::clone(&view), Table::Spans, &filter, span)?;
        let newest = NewestTraces::new(query.limit.min(TRACES_MAX));
        let ids = pass.all(newest).await?.into_ids();
        if ids.is_empty() {
            return Ok(pass.answer(Vec::new()));
        }
        let around = (
            query.start.saturating_sub(TRACE_SLACK),
            query.end.saturating_add(TRACE_SLACK),
        );
        let matched = Predicate::new(pass.layout(), &filter)?;
        let mut whole = self
            .0
            .pass_over(view, Table::Spans, &of_traces(&ids), around)?;
        let briefs = Briefs::new(matched, span, SUMMARY_SPANS_MAX);
        let summaries = whole.all(briefs).await?.into_summaries();
        Ok(whole.answer(summaries).and_warnings_of(pass.answer(())))
    }

    /// Counts and sums of the spans that a request asks for, ordered by key.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when a field does not exist or the bucket is
    /// zero.
    pub async fn aggregate_spans(
        &self,
        request: &SpanRequest,
        aggregate: &Aggregate,
    ) -> Result<Answer<Vec<AggregateGroup>>, StoreError> {
        let span = (request.start, request.end);
        self.0
            .aggregate(Table::Spans, &request.filter, span, aggregate)
            .await
    }
}

fn of_traces(ids: &[TraceId]) -> Filter {
    let ids = ids.iter().map(|id| id.0.to_vec()).collect();
    Filter::is(Field::column(column::TRACE_ID), Test::OneOf(ids))
}

/// The conditions of a query on one span, except for its time.
fn filter(query: &TraceQuery) -> Filter {
    let equal = |name: &str, value: &Option<String>| {
        let value = value.clone()?;
        Some(Filter::is(Field::column(name), Test::Equals(value)))
    };
    let duration = |comparison, duration: Option<Duration>| {
        let nanos = duration?.as_secs_f64() * 1e9;
        let test = Test::Compare(comparison, nanos.round());
        Some(Filter::is(Field::column(column::DURATION_NS), test))
    };
    let conditions = [
        equal(column::SERVICE_NAME, &query.service),
        equal(column::ENVIRONMENT, &query.environment),
        equal(column::NAME, &query.name),
        equal(column::KIND, &query.kind),
        equal(column::STATUS, &query.status),
        duration(Comparison::GreaterOrEqual, query.min_duration),
        duration(Comparison::LessOrEqual, query.max_duration),
    ];
    let attributes = query
        .attributes
        .iter()
        .map(|(key, value)| has_attribute(key, value));
    Filter::All(conditions.into_iter().flatten().chain(attributes).collect())
}

/// Whether a span or its resource has an attribute with this value.
fn has_attribute(key: &str, value: &str) -> Filter {
    let equals = |field: Field| Filter::is(field, Test::Equals(value.to_owned()));
    let there = |field: Field| {
        let exists = Filter::is(field.clone(), Test::Exists);
        match value.is_empty() {
            true => Filter::All(vec![exists, equals(field)]),
            false => equals(field),
        }
    };
    match key {
        "service.name" => equals(Field::column(column::SERVICE_NAME)),
        "deployment.environment.name" => equals(Field::column(column::ENVIRONMENT)),
        _ => Filter::Any(vec![
            there(Field::Attribute(key.to_owned())),
            there(Field::ResourceAttribute(key.to_owned())),
        ]),
    }
}
