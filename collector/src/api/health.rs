//! Probes and the collector's own metrics.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use vervet_store::Store;

use super::Shared;

/// The process runs.
pub(super) async fn livez() -> &'static str {
    "ok"
}

/// Data can be taken.
pub(super) async fn readyz(State(context): State<Shared>) -> Response {
    match context.health.problem() {
        None => "ok".into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem).into_response(),
    }
}

/// The same as [`readyz`], as JSON. What works and is not whole is `degraded`.
pub(super) async fn health(State(context): State<Shared>) -> Response {
    match (context.health.problem(), degraded(&context.store)) {
        (None, None) => Json(json!({"status": "ok"})).into_response(),
        (None, Some(reason)) => Json(json!({"status": "ok", "degraded": reason})).into_response(),
        (Some(problem), _) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"status": "unavailable", "reason": problem})),
        )
            .into_response(),
    }
}

/// What is not whole although data can be taken and queries are answered.
pub(super) fn degraded(store: &Store) -> Option<String> {
    let count = store.damaged_segments().len();
    let segments = if count == 1 { "segment" } else { "segments" };
    (count > 0).then(|| format!("{count} {segments} cannot be read; their rows are missing"))
}

/// The metrics for a scraper; the page of the same path for a browser.
pub(super) async fn metrics(State(context): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    if accept.contains("text/html") {
        return super::ui::index();
    }
    let stats = context.store.stats();
    for (table, stats) in [
        ("logs", stats.logs),
        ("spans", stats.spans),
        ("samples", stats.samples),
        ("series", stats.series),
    ] {
        context
            .metrics
            .set_table(table, stats.rows_head, stats.rows_stored, stats.bytes);
    }
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let damaged = context.store.damaged_segments().len() as u64;
    context.metrics.damaged_segments.set(number(damaged));
    let indexes = number(stats.damaged_indexes);
    context.metrics.damaged_indexes.set(indexes);
    let pages = stats.pages;
    context.metrics.page_cache_bytes.set(number(pages.bytes));
    context.metrics.page_cache_hits.set(number(pages.hits));
    context.metrics.page_cache_misses.set(number(pages.misses));
    let kept = context.queries.engine.kept();
    context.metrics.query_cache_bytes.set(number(kept.bytes));
    let (from_cache, evaluated) = (number(kept.steps_kept), number(kept.steps_evaluated));
    context.metrics.query_cache_steps.set(from_cache);
    context.metrics.query_evaluated_steps.set(evaluated);
    let journal = context.journal.stats();
    context
        .metrics
        .journal_bytes
        .set(i64::try_from(journal.disk_bytes).unwrap_or(i64::MAX));
    let derive = journal
        .cursors
        .iter()
        .find(|cursor| cursor.name == crate::derive::CURSOR);
    let behind = derive.map_or(0, |cursor| cursor.lag_records);
    context
        .metrics
        .journal_records_behind
        .set(i64::try_from(behind).unwrap_or(i64::MAX));
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, content_type)],
        context.metrics.render(),
    )
        .into_response()
}
