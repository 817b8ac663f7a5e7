//! Traces by id and trace search.

use std::time::Duration;

use vervet_model::{SpanId, TraceId, UnixNanos};

use crate::{Store, StoreError};

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
    /// Sorted.
    pub services: Vec<String>,
    /// The spans that fulfil the query, earliest first, at most [`MATCHED_SPANS_MAX`].
    pub matched: Vec<SpanBrief>,
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
    pub async fn trace(&self, _trace_id: TraceId) -> Result<Vec<SpanRow>, StoreError> {
        Ok(Vec::new())
    }

    /// The newest `limit` traces that fulfil the query, newest first.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query.
    pub async fn search_traces(&self, _query: &TraceQuery) -> Result<Vec<TraceSummary>, StoreError> {
        Ok(Vec::new())
    }
}
