//! Traces by id and trace search.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::dataframe::DataFrame;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{Expr, col, lit};
use vervet_model::{SpanId, TraceId, UnixNanos};

use super::filters::{binary, promoted_is, time_between, trace_is};
use super::session::Access;
use crate::head::View;
use crate::store::Inner;
use crate::tables::{Layout, Table, column};
use crate::{Store, StoreError};

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
    /// All spans of a trace, earliest first; empty when it is not known.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn trace(&self, trace_id: TraceId) -> Result<Vec<SpanRow>, StoreError> {
        let inner = Arc::clone(&self.0);
        let search = async move {
            let access = Access {
                filter_first: true,
                ..Access::default()
            };
            let view = inner.cut();
            let frame = inner
                .spans(&view, access)?
                .filter(trace_is(trace_id))
                .and_then(|frame| frame.sort(vec![col(column::TIME).sort(true, false)]))
                .map_err(|error| inner.engine_error(error))?;
            rows::spans(
                &inner.collect(frame).await?,
                view.snapshot.layout(Table::Spans),
            )
        };
        self.0.run(search).await
    }

    /// The newest `limit` traces (at most [`TRACES_MAX`]) that fulfil the query, newest first.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn search_traces(&self, query: &TraceQuery) -> Result<Vec<TraceSummary>, StoreError> {
        let (inner, query) = (Arc::clone(&self.0), query.clone());
        self.0
            .run(async move {
                let view = inner.cut();
                let ids = inner.newest_traces(&view, &query).await?;
                inner.summaries(&view, &query, &ids).await
            })
            .await
    }
}

impl Inner {
    fn spans(&self, view: &View, access: Access) -> Result<DataFrame, StoreError> {
        let session = self.session(access)?;
        self.table(&session, view, Table::Spans, access)
    }

    /// The ids of the traces whose matching spans started last.
    async fn newest_traces(
        &self,
        view: &View,
        query: &TraceQuery,
    ) -> Result<Vec<TraceId>, StoreError> {
        const LATEST: &str = "latest";
        let access = Access {
            time: Some((query.start, query.end)),
            filter_first: true,
            ..Access::default()
        };
        let layout = view.snapshot.layout(Table::Spans);
        let condition = time_between(query.start, query.end).and(matches(query, layout));
        let frame = self
            .spans(view, access)?
            .filter(condition)
            .and_then(|frame| {
                let latest = max(col(column::TIME)).alias(LATEST);
                frame.aggregate(vec![col(column::TRACE_ID)], vec![latest])
            })
            .and_then(|frame| frame.sort(vec![col(LATEST).sort(false, false)]))
            .and_then(|frame| frame.limit(0, Some(query.limit.min(TRACES_MAX))))
            .map_err(|error| self.engine_error(error))?;
        rows::trace_ids(&self.collect(frame).await?)
    }

    /// Reads all spans of the traces and sums them up.
    async fn summaries(
        &self,
        view: &View,
        query: &TraceQuery,
        ids: &[TraceId],
    ) -> Result<Vec<TraceSummary>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let start = query.start.saturating_sub(TRACE_SLACK);
        let end = query.end.saturating_add(TRACE_SLACK);
        let access = Access {
            time: Some((start, end)),
            filter_first: true,
            ..Access::default()
        };
        let ids = ids.iter().map(|id| binary(&id.0)).collect();
        let layout = view.snapshot.layout(Table::Spans);
        let matched = time_between(query.start, query.end).and(matches(query, layout));
        let mut columns: Vec<Expr> = rows::SUMMARY_COLUMNS.into_iter().map(col).collect();
        columns.push(matched.alias(rows::MATCHED));
        let frame = self
            .spans(view, access)?
            .filter(time_between(start, end).and(col(column::TRACE_ID).in_list(ids, false)))
            .and_then(|frame| frame.select(columns))
            .and_then(|frame| frame.limit(0, Some(SUMMARY_SPANS_MAX)))
            .map_err(|error| self.engine_error(error))?;
        rows::summaries(&self.collect(frame).await?)
    }
}

/// The conditions of a query on one span, except for its time.
fn matches(query: &TraceQuery, layout: &Layout) -> Expr {
    let equal =
        |name: &str, value: &Option<String>| value.as_ref().map(|value| col(name).eq(lit(value)));
    let nanos = |duration: Duration| lit(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
    let duration = || col(column::DURATION_NS);
    let conditions = [
        equal(column::SERVICE_NAME, &query.service),
        equal(column::ENVIRONMENT, &query.environment),
        equal(column::NAME, &query.name),
        equal(column::KIND, &query.kind),
        equal(column::STATUS, &query.status),
        query.min_duration.map(|min| duration().gt_eq(nanos(min))),
        query.max_duration.map(|max| duration().lt_eq(nanos(max))),
    ];
    let attributes = query
        .attributes
        .iter()
        .map(|(key, value)| has_attribute(layout, key, value));
    conditions
        .into_iter()
        .flatten()
        .chain(attributes)
        .fold(lit(true), Expr::and)
}

/// Whether a span or its resource has an attribute with this value.
fn has_attribute(layout: &Layout, key: &str, value: &str) -> Expr {
    match key {
        "service.name" => col(column::SERVICE_NAME).eq(lit(value)),
        "deployment.environment.name" => col(column::ENVIRONMENT).eq(lit(value)),
        _ => [column::ATTRIBUTES, column::RESOURCE_ATTRIBUTES]
            .into_iter()
            .map(|map| {
                let found = get_field(col(map), key.to_owned());
                found.clone().is_not_null().and(found.eq(lit(value)))
            })
            .chain(promoted_is(layout, key, value))
            .fold(lit(false), Expr::or),
    }
}
