//! A record as a list of fields, and as OTLP's JSON.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use serde::Serialize;
use vervet_model::Severity;
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Value};

/// One field with its value as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// `body`, `attributes["x"]`, `resource.attributes["x"]`, `severity` and so on.
    pub path: String,
    pub value: String,
}

/// Everything that is set, the resource first.
pub(super) fn of(resource: &Resource<'_>, record: &LogRecord<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    all("resource.attributes", &resource.attributes, &mut fields);
    let mut put = |path: &str, value: String| {
        if !value.is_empty() {
            let path = path.to_owned();
            fields.push(Field { path, value });
        }
    };
    put("time", time(record.time_unix_nano));
    put("severity", severity(record));
    put("trace_id", hex::encode(record.trace_id));
    put("span_id", hex::encode(record.span_id));
    put("event_name", record.event_name.to_string());
    flatten("body", &record.body, &mut fields);
    all("attributes", &record.attributes, &mut fields);
    fields
}

fn severity(record: &LogRecord<'_>) -> String {
    let level = Severity::from_number(record.severity_number);
    match (level, record.severity_text.as_ref()) {
        (Severity::UNSPECIFIED, text) => text.to_owned(),
        (level, "") => level.to_string(),
        (level, text) => format!("{level} (\"{text}\")"),
    }
}

/// RFC 3339; empty when unset.
pub(crate) fn time(unix_nano: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(unix_nano));
    match time {
        Ok(time) if unix_nano != 0 => time.to_string(),
        _ => String::new(),
    }
}

fn all(path: &str, attributes: &[KeyValue<'_>], fields: &mut Vec<Field>) {
    for attribute in attributes {
        let path = format!("{path}[{:?}]", attribute.key);
        flatten(&path, &attribute.value, fields);
    }
}

fn flatten(path: &str, value: &Value<'_>, fields: &mut Vec<Field>) {
    match value {
        Value::Map(entries) if !entries.is_empty() => all(path, entries, fields),
        Value::Empty => {}
        value => fields.push(Field {
            path: path.to_owned(),
            value: value.to_text().into_owned(),
        }),
    }
}

/// An export request as OTLP's JSON.
pub(super) fn otlp_json(request: &[u8]) -> Option<serde_json::Value> {
    let request = ExportLogsServiceRequest::decode(request).ok()?;
    serde_json::to_value(request).ok()
}

/// A value as JSON, for comparison with what a test says.
pub(crate) fn json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Empty => serde_json::Value::Null,
        Value::String(text) => text.as_ref().into(),
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => (*value).into(),
        Value::Bytes(bytes) => hex::encode(bytes).into(),
        Value::Array(values) => values.iter().map(json).collect(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| (entry.key.to_string(), json(&entry.value)));
            serde_json::Value::Object(entries.collect())
        }
    }
}

/// The other way round.
pub(super) fn value(json: &serde_json::Value) -> Value<'static> {
    match json {
        serde_json::Value::Null => Value::Empty,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.clone()),
        serde_json::Value::Array(values) => Value::Array(values.iter().map(value).collect()),
        serde_json::Value::Object(entries) => Value::Map(key_values(entries)),
    }
}

pub(super) fn key_values<'j>(
    entries: impl IntoIterator<Item = (&'j String, &'j serde_json::Value)>,
) -> Vec<KeyValue<'static>> {
    let entries = entries.into_iter();
    entries
        .map(|(key, json)| KeyValue::new(key.clone(), value(json)))
        .collect()
}
