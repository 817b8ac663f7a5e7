//! Records as lines of JSON.

use serde_json::{Map, Value as Json, json};
use vervet_model::{Severity, Signal};
use vervet_wire::DecodeError;
use vervet_wire::otlp::{
    KeyValue, LogRecord, Metric, Resource, Span, for_each_log, for_each_metric, for_each_span,
};

use super::Offered;
use crate::explain::{json_value, time_text};
use crate::processors::{Chain, Drops};

/// Hands over a line for every record of a batch that the condition lets pass.
pub(super) fn each(
    signal: Signal,
    offered: &Offered,
    condition: &Chain,
    mut take: impl FnMut(&Json),
) -> Result<(), DecodeError> {
    let mut put = |resource: &Resource<'_>, record: Map<String, Json>| {
        let mut line = Map::new();
        line.insert("receiver".to_owned(), Json::from(&*offered.receiver));
        line.insert("resource".to_owned(), attributes(&resource.attributes));
        line.extend(record);
        take(&Json::Object(line));
    };
    let payload = &offered.payload;
    match signal {
        Signal::Logs => for_each_log(payload, |resource, scope, mut record| {
            if condition.log(resource, scope, &mut record).is_ok() {
                put(resource, log(&record));
            }
        }),
        Signal::Traces => for_each_span(payload, |resource, scope, mut span| {
            if condition.span(resource, scope, &mut span).is_ok() {
                put(resource, self::span(&span));
            }
        }),
        Signal::Metrics => for_each_metric(payload, |resource, scope, mut metric| {
            let mut drops = Drops::default();
            if condition
                .metric(resource, scope, &mut metric, &mut drops)
                .is_ok()
            {
                put(resource, self::metric(&metric));
            }
        }),
    }
}

/// Whether a value of the record, however deep, holds a text. Names are not looked at.
pub(super) fn holds(value: &Json, text: &str) -> bool {
    match value {
        Json::String(value) => value.contains(text),
        Json::Array(values) => values.iter().any(|value| holds(value, text)),
        Json::Object(entries) => entries.values().any(|value| holds(value, text)),
        Json::Null => false,
        scalar => scalar.to_string().contains(text),
    }
}

fn attributes(attributes: &[KeyValue<'_>]) -> Json {
    let pair = |attribute: &KeyValue<'_>| (attribute.key.to_string(), json_value(&attribute.value));
    Json::Object(attributes.iter().map(pair).collect())
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(mut entries) => {
            entries.retain(|_, value| !value.is_null() && value != "" && *value != json!({}));
            entries
        }
        _ => Map::new(),
    }
}

fn log(record: &LogRecord<'_>) -> Map<String, Json> {
    let severity = Severity::from_number(record.severity_number);
    object(json!({
        "time": time_text(record.time_unix_nano),
        "severity": (severity != Severity::UNSPECIFIED).then(|| severity.level()),
        "body": json_value(&record.body),
        "attributes": attributes(&record.attributes),
        "trace_id": hex::encode(record.trace_id),
        "span_id": hex::encode(record.span_id),
        "event_name": record.event_name,
    }))
}

fn span(span: &Span<'_>) -> Map<String, Json> {
    let nanos = span.end_unix_nano.saturating_sub(span.start_unix_nano);
    object(json!({
        "time": time_text(span.start_unix_nano),
        "name": span.name,
        "duration_seconds": nanos as f64 / 1e9,
        "trace_id": hex::encode(span.trace_id),
        "span_id": hex::encode(span.span_id),
        "parent_span_id": hex::encode(span.parent_span_id),
        "status": span.status_message,
        "attributes": attributes(&span.attributes),
    }))
}

fn metric(metric: &Metric<'_>) -> Map<String, Json> {
    object(json!({
        "name": metric.name,
        "unit": metric.unit,
        "points": metric.data.points(),
    }))
}
