//! Deletion of rows as a background job: `/api/vervet/v1/delete`.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use vervet_model::{Clock, SystemClock, UnixMillis, UnixNanos};
use vervet_store::maintain::{DeleteJob, DeleteWhere, JobState};

use super::Shared;
use super::response::{ErrorCode, Failure, VervetFailure};
use crate::time::parse_prometheus_time;

type Answer = Result<Response, VervetFailure>;

/// Which rows are to be deleted. All that is said must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteSpec {
    signals: Vec<SignalSpec>,
    /// RFC 3339 or seconds since 1970, inclusive.
    start: Option<String>,
    /// The same, exclusive.
    end: Option<String>,
    service: Option<String>,
    environment: Option<String>,
    trace_id: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    body_contains: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SignalSpec {
    Logs,
    Traces,
}

pub(super) async fn enter(State(context): State<Shared>, body: Bytes) -> Answer {
    let spec: DeleteSpec = serde_json::from_slice(&body)
        .map_err(|error| Failure::invalid(format!("the condition is not understood: {error}")))?;
    let condition = DeleteWhere::try_from(spec)?;
    let store = context.store.clone();
    let enter = move || store.delete_where(&condition, SystemClock.now());
    let entered = tokio::task::spawn_blocking(enter).await;
    let job = entered.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    let job = job.map_err(|error| match error.is_user_error() {
        true => Failure::invalid(error.to_string()),
        false => Failure::from(error),
    })?;
    Ok((StatusCode::ACCEPTED, Json(json!({"job": job_json(&job)}))).into_response())
}

pub(super) async fn list(State(context): State<Shared>) -> Response {
    let jobs = context.store.delete_jobs();
    let jobs: Vec<Value> = jobs.iter().rev().map(job_json).collect();
    Json(json!({"jobs": jobs})).into_response()
}

pub(super) async fn detail(State(context): State<Shared>, Path(id): Path<String>) -> Answer {
    let jobs = context.store.delete_jobs();
    let found = jobs.iter().find(|job| job.id.to_string() == id);
    let job = found.ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such deletion"))?;
    Ok(Json(json!({"job": job_json(job)})).into_response())
}

impl TryFrom<DeleteSpec> for DeleteWhere {
    type Error = Failure;

    fn try_from(spec: DeleteSpec) -> Result<Self, Failure> {
        let time = |name: &str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) => parse_prometheus_time(&text)
                .map(|time| Some(time.to_nanos().0))
                .ok_or_else(|| Failure::invalid(format!("{name}: {text:?} is no time"))),
        };
        Ok(Self {
            logs: spec.signals.contains(&SignalSpec::Logs),
            traces: spec.signals.contains(&SignalSpec::Traces),
            start_unix_nano: time("start", spec.start)?,
            end_unix_nano: time("end", spec.end)?,
            service: spec.service,
            environment: spec.environment,
            trace_id: spec.trace_id,
            attributes: spec.attributes,
            body_contains: spec.body_contains,
        })
    }
}

fn job_json(job: &DeleteJob) -> Value {
    let (state, finished) = match job.state {
        JobState::Running => ("running", None),
        JobState::Finished { at_unix_nano } => ("finished", Some(at_unix_nano)),
        JobState::Incomplete { at_unix_nano } => ("incomplete", Some(at_unix_nano)),
    };
    let millis = |nanos: i64| UnixNanos(nanos).to_millis().0;
    json!({
        "id": job.id,
        "state": state,
        "created_unix_ms": job.created.to_millis().0,
        "finished_unix_ms": finished.map(millis),
        "condition": condition_json(&job.condition),
        "report": job.report,
    })
}

/// The condition in the words of a request; times in milliseconds.
fn condition_json(condition: &DeleteWhere) -> Value {
    let signals = [(condition.logs, "logs"), (condition.traces, "traces")];
    let signals: Vec<&str> = signals
        .into_iter()
        .filter(|(named, _signal)| *named)
        .map(|(_named, signal)| signal)
        .collect();
    let millis = |nanos: Option<i64>| nanos.map(|nanos| UnixNanos(nanos).to_millis());
    let millis = |nanos| millis(nanos).map(|UnixMillis(millis)| millis);
    json!({
        "signals": signals,
        "start_unix_ms": millis(condition.start_unix_nano),
        "end_unix_ms": millis(condition.end_unix_nano),
        "service": condition.service,
        "environment": condition.environment,
        "trace_id": condition.trace_id,
        "attributes": condition.attributes,
        "body_contains": condition.body_contains,
    })
}
