//! Error groups, `/api/vervet/v1/errors`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use vervet_error_groups::{
    ErrorStore, ErrorStoreError, GroupState, GroupSummary, ListQuery, NamedCount, SortBy,
};
use vervet_model::{Clock, SystemClock};

use super::Shared;
use super::params::Params;
use super::response::{ErrorCode, Failure, VervetFailure};
use crate::time::parse_prometheus_time;

type Answer = Result<Response, VervetFailure>;

const LIMIT_DEFAULT: usize = 50;
/// Groups that one answer may hold.
const LIMIT_MAX: usize = 500;
/// Events in the answer about one group.
const EVENTS_MAX: usize = 20;

pub(super) async fn list(State(context): State<Shared>, params: Params) -> Answer {
    let text = |name| params.get(name).map(str::to_owned);
    let state = params.parse("state", |text| match text {
        "open" => Some(GroupState::Open),
        "resolved" => Some(GroupState::Resolved),
        "ignored" => Some(GroupState::Ignored),
        _ => None,
    })?;
    let sort = params.parse("sort", |text| match text {
        "last_seen" => Some(SortBy::LastSeen),
        "first_seen" => Some(SortBy::FirstSeen),
        "count" => Some(SortBy::Count),
        _ => None,
    })?;
    let number = |name| params.parse(name, |text| text.parse::<usize>().ok());
    let query = ListQuery {
        service: text("service"),
        environment: text("environment"),
        state,
        text: text("q"),
        since_unix_ms: params
            .parse("start", parse_prometheus_time)?
            .map(|time| time.0),
        until_unix_ms: params
            .parse("end", parse_prometheus_time)?
            .map(|time| time.0),
        limit: number("limit")?.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX),
        offset: number("offset")?.unwrap_or(0),
        sort: sort.unwrap_or_default(),
    };
    let page = blocking(&context, move |errors| errors.list(&query)).await?;
    let groups: Vec<Value> = page.groups.iter().map(group_json).collect();
    Ok(Json(json!({"groups": groups, "total": page.total})).into_response())
}

pub(super) async fn detail(State(context): State<Shared>, Path(id): Path<String>) -> Answer {
    let found = blocking(&context, move |errors| errors.get(&id, EVENTS_MAX)).await?;
    let detail = found.ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such error group"))?;
    let explanation: Vec<String> = detail
        .components
        .iter()
        .map(|part| format!("{}: {}", part.kind, part.value))
        .collect();
    let events: Vec<Value> = detail.events.iter().map(event_json).collect();
    let body = json!({
        "group": group_json(&detail.group),
        "grouping": {"version": detail.fingerprint_version, "fingerprint": detail.fingerprint, "explanation": explanation},
        "counts_by_version": counts_json(&detail.by_version),
        "counts_by_environment": counts_json(&detail.by_environment),
        "events": events,
    });
    Ok(Json(body).into_response())
}

pub(super) async fn resolve(State(context): State<Shared>, Path(id): Path<String>) -> Answer {
    change(&context, id, |errors, id| {
        errors.resolve(id, SystemClock.now(), None)
    })
    .await
}

pub(super) async fn reopen(State(context): State<Shared>, Path(id): Path<String>) -> Answer {
    change(&context, id, ErrorStore::reopen).await
}

pub(super) async fn ignore(State(context): State<Shared>, Path(id): Path<String>) -> Answer {
    change(&context, id, ErrorStore::ignore).await
}

/// Changes a group's state and answers with the group as it is now.
async fn change(
    context: &Shared,
    id: String,
    change: fn(&ErrorStore, &str) -> Result<(), ErrorStoreError>,
) -> Answer {
    let changed = blocking(context, move |errors| {
        change(errors, &id)?;
        errors.get(&id, 0)
    });
    let detail = changed
        .await?
        .ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such error group"))?;
    Ok(Json(json!({"group": group_json(&detail.group)})).into_response())
}

async fn blocking<T: Send + 'static>(
    context: &Shared,
    call: impl FnOnce(&ErrorStore) -> Result<T, ErrorStoreError> + Send + 'static,
) -> Result<T, Failure> {
    let context = Shared::clone(context);
    let result = tokio::task::spawn_blocking(move || call(&context.errors)).await;
    Ok(result.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))??)
}

/// The group as stored, and the counts of its series alone, which is what a sparkline draws.
fn group_json(group: &GroupSummary) -> Value {
    let mut value = to_json(group);
    value["sparkline"] = group.series.iter().map(|point| point.count).collect();
    value
}

/// The event as stored, with attributes as an object.
fn event_json(event: &vervet_error_groups::ErrorEvent) -> Value {
    let mut value = to_json(event);
    let attributes: serde_json::Map<String, Value> = event
        .attributes
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect();
    value["attributes"] = attributes.into();
    value["source"] = value["sources"][0].clone();
    value
}

fn counts_json(counts: &[NamedCount]) -> Vec<Value> {
    let count = |count: &NamedCount| json!({"key": count.name, "count": count.count, "first_seen_unix_ms": count.first_seen_unix_ms, "last_seen_unix_ms": count.last_seen_unix_ms});
    counts.iter().map(count).collect()
}

fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
