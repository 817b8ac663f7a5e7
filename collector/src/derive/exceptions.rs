//! Finds exceptions in OTLP records: `exception` span events, log records with `exception.*` attributes
//! or a logger's error field, and stack traces in log bodies.

use std::borrow::Cow;

use vervet_error_groups::{Occurrence, OccurrenceSource, ParsedStack, detect_in_log_body};
use vervet_model::{Severity, SpanId, TraceId, UnixNanos};
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Span, Value, find};

/// The name of the span events that are exceptions.
pub(super) const EVENT: &str = "exception";

const TYPE: &str = "exception.type";
const MESSAGE: &str = "exception.message";
const STACKTRACE: &str = "exception.stacktrace";

/// Fields under which loggers write an error object, with the names of its parts: pino and bunyan `err`,
/// winston and ECS `error`, Python and Rust JSON loggers `exception`.
const ERROR_FIELDS: [&str; 3] = ["err", "error", "exception"];
/// Fields under which loggers write a stack trace of its own: winston, logrus and zap, structlog, JSON
/// formatters of Python.
const STACK_FIELDS: [&str; 6] = [
    "stack",
    "stacktrace",
    "stack_trace",
    "exc_info",
    "traceback",
    "exception",
];

/// The attributes under which exceptions are looked for: error objects with parts, `exception.type` and its like
/// among them, and stack traces.
pub(super) fn field_names() -> [&'static [&'static str]; 2] {
    [&ERROR_FIELDS, &STACK_FIELDS]
}

/// The deployment environment, by its current or its former attribute name.
pub(super) fn environment<'r>(resource: &'r Resource<'_>) -> &'r str {
    match resource.str("deployment.environment.name") {
        "" => resource.str("deployment.environment"),
        name => name,
    }
}

/// The exceptions that a span recorded.
pub(super) fn of_span(
    resource: &Resource<'_>,
    span: &Span<'_>,
    received_at: UnixNanos,
) -> Vec<Occurrence> {
    let events = span.events.iter().filter(|event| event.name == EVENT);
    let occurrence = events.map(|event| {
        let mut occurrence = occurrence(
            OccurrenceSource::SpanEvent,
            resource,
            time(&[event.time_unix_nano], received_at),
        );
        fill_exception(&mut occurrence, &event.attributes);
        let escaped =
            find(&event.attributes, "exception.escaped").map(|value| value.to_text() == "true");
        occurrence.handled = escaped.map(|escaped| !escaped);
        occurrence.trace_id = TraceId::from_bytes(span.trace_id);
        occurrence.span_id = SpanId::from_bytes(span.span_id);
        occurrence.attributes = texts(&span.attributes);
        occurrence
            .attributes
            .push(("span.name".to_owned(), span.name.to_string()));
        occurrence
    });
    occurrence.collect()
}

/// The exception that a log record reports, if any.
pub(super) fn of_log(
    resource: &Resource<'_>,
    scope: &Scope<'_>,
    record: &LogRecord<'_>,
    received_at: UnixNanos,
) -> Option<Occurrence> {
    let at = time(
        &[record.time_unix_nano, record.observed_time_unix_nano],
        received_at,
    );
    let found = from_attributes(record).or_else(|| from_body(record))?;
    let mut occurrence = occurrence(found.source, resource, at);
    occurrence.exception_type = found.exception_type;
    occurrence.message = found.message;
    occurrence.stacktrace = found.stacktrace;
    occurrence.logger = scope.name.to_string();
    occurrence.trace_id = TraceId::from_bytes(record.trace_id);
    occurrence.span_id = SpanId::from_bytes(record.span_id);
    occurrence.handled =
        (Severity::from_number(record.severity_number) >= Severity::FATAL).then_some(false);
    occurrence.attributes = texts(&record.attributes);
    Some(occurrence)
}

/// What a log record says of an exception.
struct Found {
    source: OccurrenceSource,
    exception_type: String,
    message: String,
    stacktrace: String,
}

fn from_attributes(record: &LogRecord<'_>) -> Option<Found> {
    let text = |key: &str| {
        find(&record.attributes, key)
            .map(Value::to_text)
            .unwrap_or_default()
    };
    let (kind, stack) = (text(TYPE), text(STACKTRACE));
    if !kind.is_empty() || !stack.is_empty() {
        return Some(found(&kind, &text(MESSAGE), &stack));
    }
    for field in ERROR_FIELDS {
        let part = |names: [&str; 3]| {
            let nested = find(&record.attributes, field);
            names
                .into_iter()
                .map(|name| part_of(record, nested, field, name))
                .find(|text| !text.is_empty())
                .unwrap_or_default()
        };
        let stack = part(["stack", "stack_trace", "stacktrace"]);
        if looks_like_stack(&stack) {
            return Some(found(
                &part(["type", "name", "code"]),
                &part(["message", "msg", "reason"]),
                &stack,
            ));
        }
    }
    let (stack, parsed) = STACK_FIELDS.into_iter().find_map(|field| {
        let stack = text(field);
        let parsed = stack_in(&stack)?;
        Some((stack, parsed))
    })?;
    // zap's has frames alone.
    let is_mute = parsed.exception_type.is_empty() && parsed.message.is_empty();
    let message = match find(&record.attributes, "error") {
        Some(Value::String(error)) if is_mute => error.as_ref(),
        _ if is_mute => record.body.as_str().unwrap_or_default(),
        _ => "",
    };
    Some(found("", message, &stack))
}

/// The part of an error object, nested or flattened with a dot.
fn part_of<'r>(
    record: &'r LogRecord<'_>,
    nested: Option<&'r Value<'_>>,
    field: &str,
    name: &str,
) -> Cow<'r, str> {
    if let Some(Value::Map(entries)) = nested {
        return find(entries, name).map(Value::to_text).unwrap_or_default();
    }
    find(&record.attributes, &format!("{field}.{name}"))
        .map(Value::to_text)
        .unwrap_or_default()
}

fn looks_like_stack(text: &str) -> bool {
    stack_in(text).is_some()
}

fn stack_in(text: &str) -> Option<ParsedStack> {
    detect_in_log_body(text).map(|detected| detected.stack)
}

fn found(exception_type: &str, message: &str, stacktrace: &str) -> Found {
    Found {
        source: OccurrenceSource::LogRecord,
        exception_type: exception_type.to_owned(),
        message: message.to_owned(),
        stacktrace: stacktrace.to_owned(),
    }
}

fn from_body(record: &LogRecord<'_>) -> Option<Found> {
    let detected = detect_in_log_body(record.body.as_str()?)?;
    Some(Found {
        source: OccurrenceSource::LogBody,
        exception_type: detected.stack.exception_type.clone(),
        message: detected.stack.message.clone(),
        stacktrace: detected.stacktrace.to_owned(),
    })
}

fn occurrence(source: OccurrenceSource, resource: &Resource<'_>, time: UnixNanos) -> Occurrence {
    let mut occurrence = Occurrence::new(source, time, resource.str("service.name"));
    occurrence.service_version = resource.str("service.version").to_owned();
    occurrence.environment = environment(resource).to_owned();
    occurrence.host_name = resource.str("host.name").to_owned();
    occurrence
}

fn fill_exception(occurrence: &mut Occurrence, attributes: &[KeyValue<'_>]) {
    let text = |key| {
        find(attributes, key)
            .map(|value| value.to_text().into_owned())
            .unwrap_or_default()
    };
    occurrence.exception_type = text(TYPE);
    occurrence.message = text(MESSAGE);
    occurrence.stacktrace = text(STACKTRACE);
}

fn texts(attributes: &[KeyValue<'_>]) -> Vec<(String, String)> {
    attributes
        .iter()
        .filter(|attribute| ![TYPE, MESSAGE, STACKTRACE].contains(&attribute.key.as_ref()))
        .map(|attribute| {
            (
                attribute.key.to_string(),
                attribute.value.to_text().into_owned(),
            )
        })
        .collect()
}

/// The first time that is set, else the time of receipt.
fn time(candidates: &[u64], received_at: UnixNanos) -> UnixNanos {
    let set = candidates.iter().find(|time| **time != 0);
    set.and_then(|time| i64::try_from(*time).ok())
        .map_or(received_at, UnixNanos)
}

#[cfg(test)]
mod tests;
