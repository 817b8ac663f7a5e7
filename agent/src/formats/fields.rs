//! Which fields of a structured text are its time, level, message and ids.
//!
//! Of several fields for one purpose the one whose name stands first is taken: names from the configuration, then
//! those known here. The others stay attributes, as does a field whose value cannot be read for its purpose.

mod names;

use std::borrow::Cow;
use std::collections::HashSet;

use vervet_model::{Severity, SpanId, TraceId};
use vervet_wire::otlp::{KeyValue, Value};

use super::{Parsed, Settings, level, timestamp};
pub(super) use names::Roles;
use names::{ROLES, Role, built_in};

/// Attributes that room is made for at once.
const ATTRIBUTES_USUAL: usize = 12;

/// Makes a record of fields, one after the other.
pub(super) struct Assembler<'a, 's> {
    settings: &'s Settings,
    parsed: Parsed<'a>,
    /// The field in use for each role, with the rank of its name.
    used: [Option<(u8, KeyValue<'a>)>; ROLES],
}

impl<'a, 's> Assembler<'a, 's> {
    pub(super) fn new(settings: &'s Settings) -> Self {
        Self {
            settings,
            parsed: Parsed {
                attributes: Vec::with_capacity(ATTRIBUTES_USUAL),
                ..Parsed::default()
            },
            used: [const { None }; ROLES],
        }
    }

    #[inline]
    pub(super) fn field(&mut self, key: Cow<'a, str>, mut value: Value<'a>) {
        if let Value::Map(entries) = &mut value {
            self.nested(&key, entries);
        }
        let known = self.settings.roles.of(&key).or_else(|| built_in(&key));
        let field = KeyValue { key, value };
        match known {
            Some((role, rank)) => self.candidate(role, rank, field),
            None => self.parsed.attributes.push(field),
        }
    }

    /// Uses a field for its role when it can be read for it and none with a better name is there.
    fn candidate(&mut self, role: Role, rank: u8, field: KeyValue<'a>) {
        let Some(slot) = self.used.get_mut(role as usize) else {
            return;
        };
        let is_better = slot.as_ref().is_none_or(|(used, _)| rank < *used);
        if !is_better || !self.parsed.take(self.settings, role, &field) {
            self.parsed.attributes.push(field);
            return;
        }
        let displaced = slot.replace((rank, field));
        self.parsed
            .attributes
            .extend(displaced.map(|(_, field)| field));
    }

    /// Fields inside of an object that are named by a path: `log.level`.
    fn nested(&mut self, key: &str, entries: &mut Vec<KeyValue<'a>>) {
        let settings = self.settings;
        let built_in = (key == "log").then_some((Role::Level, names::WORST, "level"));
        for (role, rank, path) in settings.roles.below(key).chain(built_in) {
            if let Some(mut found) = take_path(entries, path) {
                found.key = Cow::Owned(format!("{key}.{path}"));
                self.candidate(role, rank, found);
            }
        }
    }

    /// The record; `text` is its body when no field is.
    pub(super) fn finish(self, text: &'a str) -> Parsed<'a> {
        let Self {
            mut parsed, used, ..
        } = self;
        let mut message = None;
        for (index, field) in used.into_iter().enumerate() {
            if index == Role::Message as usize {
                message = field.map(|(_, field)| field.value);
            }
        }
        if message.is_none() {
            message = parsed.take_nested_message();
        }
        parsed.body = message.unwrap_or_else(|| Value::from(text));
        parsed
    }
}

/// `body` and `event` are messages only as text: as objects they are data.
fn is_message(key: &str, value: &Value<'_>) -> bool {
    match value {
        Value::Empty => false,
        Value::String(_) => true,
        _ => !matches!(key, "body" | "event" | "@m"),
    }
}

impl<'a> Parsed<'a> {
    /// Whether a field can be used for its role; its value is taken over, but for the message.
    fn take(&mut self, settings: &Settings, role: Role, field: &KeyValue<'a>) -> bool {
        let id_text = || field.value.as_str();
        match role {
            Role::Time => time_of(settings, &field.value)
                .map(|stamp| settings.times.put(stamp, self))
                .is_some(),
            Role::Level => self.take_level(settings, &field.value),
            Role::Message => is_message(&field.key, &field.value),
            Role::Trace => {
                let id = id_text().and_then(full_trace_id);
                self.trace_id = id.or(self.trace_id);
                id.is_some()
            }
            Role::Span => {
                let id = id_text().and_then(full_span_id);
                self.span_id = id.or(self.span_id);
                id.is_some()
            }
        }
    }

    fn take_level(&mut self, settings: &Settings, value: &Value<'a>) -> bool {
        let (severity, text) = match value {
            Value::String(word) => {
                let known = settings.roles.level(word);
                let known = known.or_else(|| level::of(word));
                (known.unwrap_or_default(), word.clone())
            }
            Value::Int(number) => {
                let mapped = settings.roles.level_of_number(*number);
                match mapped.or_else(|| severity_of_number(*number)) {
                    Some(severity) => (severity, Cow::Borrowed(severity.level())),
                    None => return false,
                }
            }
            _ => return false,
        };
        self.severity = severity;
        self.severity_text = text;
        true
    }

    /// Loggers that put everything under `fields` (`{"fields": {"message": ..., ...}}`): the message
    /// becomes the body, the others attributes of the record, under `fields.` where the name is taken.
    fn take_nested_message(&mut self) -> Option<Value<'a>> {
        let index = self.attributes.iter().position(|attribute| {
            let Value::Map(entries) = &attribute.value else {
                return false;
            };
            attribute.key == "fields" && entries.iter().any(|entry| entry.key == "message")
        })?;
        let Value::Map(entries) = self.attributes.remove(index).value else {
            return None;
        };
        let mut message = None;
        let taken: HashSet<String> = self
            .attributes
            .iter()
            .map(|attribute| attribute.key.to_string())
            .collect();
        for mut entry in entries {
            if entry.key == "message" && message.is_none() {
                message = Some(entry.value);
                continue;
            }
            if taken.contains(entry.key.as_ref()) {
                entry.key = Cow::Owned(format!("fields.{}", entry.key));
            }
            self.attributes.push(entry);
        }
        message
    }
}

/// Takes the value at a path of keys out of an object.
fn take_path<'a>(entries: &mut Vec<KeyValue<'a>>, path: &str) -> Option<KeyValue<'a>> {
    if let Some(index) = entries.iter().position(|entry| entry.key == path) {
        return Some(entries.remove(index));
    }
    let (head, rest) = path.split_once('.')?;
    let inner = entries.iter_mut().find(|entry| entry.key == head)?;
    match &mut inner.value {
        Value::Map(entries) => take_path(entries, rest),
        _ => None,
    }
}

fn time_of(settings: &Settings, value: &Value<'_>) -> Option<timestamp::Stamp> {
    match value {
        Value::String(text) => settings.times.parse(text),
        Value::Int(number) => timestamp::from_integer(*number).map(timestamp::Stamp::exact),
        Value::Double(number) => timestamp::from_float(*number).map(timestamp::Stamp::exact),
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
