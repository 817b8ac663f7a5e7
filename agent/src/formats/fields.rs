//! Which fields of a structured line are its time, level, message and ids.
//!
//! Of several fields for one purpose the one whose name stands first in its list is taken; the others
//! stay attributes, as does a field whose value cannot be read for its purpose.

use std::borrow::Cow;

use vervet_model::{Severity, SpanId, TraceId};
use vervet_wire::otlp::{KeyValue, Value};

use super::{Parsed, timestamp};

/// Fields a lookup of names may find at most: beyond it they are only attributes.
const ROLES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Time,
    Level,
    Message,
    Trace,
    Span,
}

/// What a field is for, and its rank among the fields for the same purpose (0 is best).
fn role_of(key: &str) -> Option<(Role, u8)> {
    Some(match key {
        "@timestamp" => (Role::Time, 0),
        "timestamp" => (Role::Time, 1),
        "time" => (Role::Time, 2),
        "ts" => (Role::Time, 3),
        "asctime" => (Role::Time, 4),
        "level" => (Role::Level, 0),
        "severity" => (Role::Level, 1),
        "lvl" => (Role::Level, 2),
        "levelname" => (Role::Level, 3),
        "log.level" => (Role::Level, 4),
        "msg" => (Role::Message, 0),
        "message" => (Role::Message, 1),
        "body" => (Role::Message, 2),
        "event" => (Role::Message, 3),
        "trace_id" => (Role::Trace, 0),
        "traceId" => (Role::Trace, 1),
        "traceID" => (Role::Trace, 2),
        "trace.id" => (Role::Trace, 3),
        "otelTraceID" => (Role::Trace, 4),
        "span_id" => (Role::Span, 0),
        "spanId" => (Role::Span, 1),
        "spanID" => (Role::Span, 2),
        "span.id" => (Role::Span, 3),
        "otelSpanID" => (Role::Span, 4),
        _ => return None,
    })
}

/// Makes a record of the fields of `line`, which is the body when no field is.
pub(super) fn assemble<'a>(line: &'a str, fields: Vec<KeyValue<'a>>) -> Parsed<'a> {
    let mut best: [Option<(u8, usize)>; ROLES] = [None; ROLES];
    for (index, field) in fields.iter().enumerate() {
        let Some((role, rank)) = role_of(&field.key) else {
            continue;
        };
        if let Some(slot) = best.get_mut(role as usize)
            && slot.is_none_or(|(held, _)| rank < held)
            && (role != Role::Message || is_message(&field.key, &field.value))
        {
            *slot = Some((rank, index));
        }
    }
    let mut parsed = Parsed {
        attributes: Vec::with_capacity(fields.len() + 1),
        ..Parsed::default()
    };
    for (index, field) in fields.into_iter().enumerate() {
        let role = role_of(&field.key).map(|(role, _)| role).filter(|role| {
            best.get(*role as usize)
                .is_some_and(|slot| slot.is_some_and(|(_, best)| best == index))
        });
        let left = match role {
            Some(role) => parsed.take(role, field),
            None => Some(field),
        };
        parsed.attributes.extend(left);
    }
    if parsed.body == Value::Empty {
        parsed.take_nested_message();
    }
    if parsed.body == Value::Empty {
        parsed.body = Value::from(line);
    }
    parsed
}

/// `body` and `event` are messages only as text: as objects they are data.
fn is_message(key: &str, value: &Value<'_>) -> bool {
    match value {
        Value::Empty => false,
        Value::String(_) => true,
        _ => matches!(key, "msg" | "message"),
    }
}

impl<'a> Parsed<'a> {
    /// Uses a field for its purpose, or gives it back.
    fn take(&mut self, role: Role, field: KeyValue<'a>) -> Option<KeyValue<'a>> {
        match role {
            Role::Time => match time_of(&field.value) {
                Some(time) => self.time_unix_nano = time,
                None => return Some(field),
            },
            Role::Level => match field.value {
                Value::String(word) => {
                    self.severity = Severity::from_text(&word).unwrap_or_default();
                    self.severity_text = word;
                }
                Value::Int(number) => match severity_of_number(number) {
                    Some(severity) => {
                        self.severity = severity;
                        self.severity_text = Cow::Borrowed(severity.level());
                    }
                    None => return Some(field),
                },
                _ => return Some(field),
            },
            Role::Message => self.body = field.value,
            Role::Trace => match field.value.as_str().and_then(full_trace_id) {
                Some(id) => self.trace_id = Some(id),
                None => return Some(field),
            },
            Role::Span => match field.value.as_str().and_then(full_span_id) {
                Some(id) => self.span_id = Some(id),
                None => return Some(field),
            },
        }
        None
    }

    /// Loggers that put everything under `fields` (`{"fields": {"message": ..., ...}}`): the message
    /// becomes the body, the others attributes of the record, under `fields.` where the name is taken.
    fn take_nested_message(&mut self) {
        let nested = self.attributes.iter().position(|attribute| {
            let Value::Map(entries) = &attribute.value else {
                return false;
            };
            attribute.key == "fields" && entries.iter().any(|entry| entry.key == "message")
        });
        let Some(index) = nested else { return };
        let Value::Map(entries) = self.attributes.remove(index).value else {
            return;
        };
        for mut entry in entries {
            if entry.key == "message" && self.body == Value::Empty {
                self.body = entry.value;
                continue;
            }
            if self
                .attributes
                .iter()
                .any(|attribute| attribute.key == entry.key)
            {
                entry.key = Cow::Owned(format!("fields.{}", entry.key));
            }
            self.attributes.push(entry);
        }
    }
}

fn time_of(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::String(text) => timestamp::parse(text),
        Value::Int(number) => timestamp::from_integer(*number),
        Value::Double(number) => timestamp::from_float(*number),
        _ => None,
    }
}

/// The numbers of pino and bunyan; levels in between belong to the one below.
fn severity_of_number(number: i64) -> Option<Severity> {
    Some(match number {
        10..20 => Severity::TRACE,
        20..30 => Severity::DEBUG,
        30..40 => Severity::INFO,
        40..50 => Severity::WARN,
        50..60 => Severity::ERROR,
        60..100 => Severity::FATAL,
        _ => return None,
    })
}

/// Only identifiers of full length: a shorter one is some other system's.
fn full_trace_id(text: &str) -> Option<TraceId> {
    TraceId::from_hex(text).filter(|_| text.len() == 32)
}

fn full_span_id(text: &str) -> Option<SpanId> {
    SpanId::from_hex(text).filter(|_| text.len() == 16)
}
