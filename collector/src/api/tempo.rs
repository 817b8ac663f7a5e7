//! The Tempo query API, `/tempo/api`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use vervet_model::{Clock, SystemClock, TraceId, UnixMillis};
use vervet_store::{SpanRow, TraceQuery, TraceSummary};

use super::Shared;
use super::params::Params;
use super::response::{ErrorCode, Failure, VervetFailure, add_warnings};
use crate::time::{parse_duration, parse_prometheus_time};

mod search;

type Answer = Result<Response, VervetFailure>;

const LIMIT_DEFAULT: usize = 20;
/// Traces that one search may return.
const LIMIT_MAX: usize = 1_000;
/// The time range of a search that names none.
const RANGE_DEFAULT: Duration = Duration::from_secs(3600);

/// What a search takes. `spss`, which Tempo's clients send, has no effect.
const SEARCH_PARAMS: [&str; 13] = [
    "q",
    "tags",
    "start",
    "end",
    "limit",
    "service",
    "environment",
    "name",
    "status",
    "kind",
    "minDuration",
    "maxDuration",
    "spss",
];

pub(super) async fn echo() -> &'static str {
    "echo"
}

pub(super) async fn trace(State(context): State<Shared>, Path(id): Path<String>) -> Answer {
    let id = TraceId::from_hex(&id).ok_or_else(|| {
        Failure::invalid("a trace id is 1 to 32 hexadecimal digits, not all zero")
    })?;
    let spans = context.store.trace(id).await?;
    if spans.found.is_empty() && spans.warnings.is_empty() {
        return Err(Failure::new(ErrorCode::NotFound, "trace not found").into());
    }
    let mut answer = json!({"batches": batches(&spans)});
    add_warnings(&mut answer, &spans.warnings);
    Ok(Json(answer).into_response())
}

pub(super) async fn search(State(context): State<Shared>, params: Params) -> Answer {
    params.only(&SEARCH_PARAMS)?;
    let end = params
        .parse("end", parse_prometheus_time)?
        .map(UnixMillis::to_nanos);
    let end = end.unwrap_or_else(|| SystemClock.now());
    let start = params
        .parse("start", parse_prometheus_time)?
        .map(UnixMillis::to_nanos);
    let text = |name| params.get(name).map(str::to_owned);
    let mut query = TraceQuery {
        service: text("service"),
        environment: text("environment"),
        name: text("name"),
        status: text("status"),
        kind: text("kind"),
        min_duration: params.parse("minDuration", parse_duration)?,
        max_duration: params.parse("maxDuration", parse_duration)?,
        attributes: Vec::new(),
        start: start.unwrap_or_else(|| end.saturating_sub(RANGE_DEFAULT)),
        end,
        limit: params
            .parse("limit", |text| text.parse().ok())?
            .unwrap_or(LIMIT_DEFAULT)
            .min(LIMIT_MAX),
    };
    if let Some(tags) = params.get("tags") {
        search::apply_tags(&mut query, tags)?;
    }
    if let Some(traceql) = params.get("q") {
        search::apply_traceql(&mut query, traceql)?;
    }
    let found = context.store.search_traces(&query).await?;
    let traces: Vec<Value> = found.iter().map(summary_json).collect();
    let mut answer = json!({"traces": traces, "metrics": {"inspectedTraces": traces.len()}});
    add_warnings(&mut answer, &found.warnings);
    Ok(Json(answer).into_response())
}

fn summary_json(trace: &TraceSummary) -> Value {
    let spans: Vec<Value> = trace
        .matched
        .iter()
        .map(|span| {
            json!({
                "spanID": span.span_id.to_string(),
                "name": span.name,
                "startTimeUnixNano": span.start.0.to_string(),
                "durationNanos": span.duration.as_nanos().to_string(),
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": span.service_name}},
                    {"key": "status", "value": {"stringValue": span.status}},
                ],
            })
        })
        .collect();
    let services: serde_json::Map<String, Value> = trace
        .services
        .iter()
        .map(|(name, service)| {
            (
                name.clone(),
                json!({"spanCount": service.spans, "errorCount": service.errors}),
            )
        })
        .collect();
    let matched = trace.matched.len();
    json!({
        "traceID": trace.trace_id.to_string(),
        "rootServiceName": trace.root_service_name,
        "rootTraceName": trace.root_name,
        "startTimeUnixNano": trace.start.0.to_string(),
        "durationMs": trace.duration.as_millis().to_string().parse::<u64>().unwrap_or(u64::MAX),
        "spanCount": trace.span_count,
        "errorCount": trace.error_count,
        "serviceStats": services,
        "spanSet": {"spans": spans, "matched": matched},
        "spanSets": [{"spans": spans, "matched": matched}],
    })
}

/// One batch per resource and scope, in the JSON form of OTLP with hexadecimal ids.
fn batches(spans: &[SpanRow]) -> Vec<Value> {
    let mut batches: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    for span in spans {
        let resource = (
            &span.service_name,
            &span.environment,
            &span.resource_attributes,
        );
        let batch = batches.entry((resource, &span.scope_name));
        batch.or_default().push(span_json(span));
    }
    let batch = |((resource, scope), spans)| {
        let (service, environment, others): (&String, &String, &Vec<_>) = resource;
        // Stored in columns of their own, given back where OTLP has them.
        let named = [
            ("service.name", service),
            ("deployment.environment.name", environment),
        ];
        let named = named.into_iter().filter(|(_, value)| !value.is_empty());
        let mut attributes: Vec<Value> = named
            .map(|(key, value)| attribute_json(key, value))
            .collect();
        attributes.extend(attributes_json(others));
        json!({
            "resource": {"attributes": attributes},
            "scopeSpans": [{"scope": {"name": scope}, "spans": spans}],
        })
    };
    batches.into_iter().map(batch).collect()
}

fn span_json(span: &SpanRow) -> Value {
    json!({
        "traceId": span.trace_id.to_string(),
        "spanId": span.span_id.to_string(),
        "parentSpanId": span.parent_span_id.map(|id| id.to_string()).unwrap_or_default(),
        "name": span.name,
        "kind": format!("SPAN_KIND_{}", span.kind.to_ascii_uppercase()),
        "startTimeUnixNano": span.start.0.to_string(),
        "endTimeUnixNano": span.start.saturating_add(span.duration).0.to_string(),
        "attributes": attributes_json(&span.attributes),
        "events": stored_list(&span.events),
        "links": stored_list(&span.links),
        "status": {"code": format!("STATUS_CODE_{}", span.status.to_ascii_uppercase()), "message": span.status_message},
    })
}

fn attributes_json(attributes: &[(String, String)]) -> Vec<Value> {
    attributes
        .iter()
        .map(|(key, value)| attribute_json(key, value))
        .collect()
}

fn attribute_json(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Events or links as they are stored, `[{"name", "time_unix_nano", "attributes": {..}, ...}]`, in the names of OTLP.
fn stored_list(text: &str) -> Vec<Value> {
    const NAMES: [(&str, &str); 3] = [
        ("time_unix_nano", "timeUnixNano"),
        ("trace_id", "traceId"),
        ("span_id", "spanId"),
    ];
    let stored: Vec<serde_json::Map<String, Value>> =
        serde_json::from_str(text).unwrap_or_default();
    let item = |entries: serde_json::Map<String, Value>| {
        let renamed = entries.into_iter().map(|(name, value)| {
            let otlp = NAMES
                .iter()
                .find(|(stored, _)| *stored == name)
                .map_or(name.as_str(), |(_, otlp)| otlp);
            let value = match value {
                Value::Object(attributes) => attributes
                    .into_iter()
                    .map(|(key, value)| {
                        attribute_json(&key, value.as_str().unwrap_or(&value.to_string()))
                    })
                    .collect(),
                // 64-bit integers are strings in OTLP's JSON.
                Value::Number(number) => Value::String(number.to_string()),
                other => other,
            };
            (otlp.to_owned(), value)
        });
        Value::Object(renamed.collect())
    };
    stored.into_iter().map(item).collect()
}
