//! Which fields of a structured text are its time, level, message and ids.
//!
//! Of several fields for one purpose the one whose name stands first is taken: names from the configuration, then
//! those known here. The others stay attributes, as does a field whose value cannot be read for its purpose.

mod names;

use std::borrow::Cow;
use std::collections::HashSet;

use vervet_model::{Severity, SpanId, TraceId};
use vervet_wire::otlp::{KeyValue, Value};

use super::{Parsed, Settings, colours, timestamp};
pub(super) use names::Roles;
use names::{ROLES, Role, built_in, built_in_below, is_vague};

/// Attributes that room is made for at once.
const ATTRIBUTES_USUAL: usize = 12;
/// Hexadecimal digits of a trace's id and of a span's.
pub(super) const TRACE_DIGITS: usize = 32;
pub(super) const SPAN_DIGITS: usize = 16;

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
            if key == "instant" && self.instant(entries) {
                return;
            }
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
        let is_better = is_better(slot, rank)
            && (!is_vague(rank) || is_clear(self.settings, role, &field.value));
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
        for (role, rank, path) in settings.roles.below(key) {
            self.take_nested(role, rank, key, path, entries);
        }
        for (role, rank, path) in built_in_below(key) {
            self.take_nested(*role, *rank, key, path, entries);
        }
    }

    /// Takes a field out of an object for a role; it stays there when it cannot be read for it, or a better one is known.
    fn take_nested(
        &mut self,
        role: Role,
        rank: u8,
        key: &str,
        path: &str,
        entries: &mut Vec<KeyValue<'a>>,
    ) {
        let Some(slot) = self.used.get(role as usize) else {
            return;
        };
        let is_usable = |value: &Value<'a>| {
            is_better(slot, rank) && is_readable(self.settings, role, path, value)
        };
        if value_at(entries, path).is_some_and(is_usable)
            && let Some(mut found) = take_path(entries, path)
        {
            found.key = Cow::Owned(format!("{key}.{path}"));
            self.candidate(role, rank, found);
        }
    }

    /// log4j's `{"epochSecond": 1704164645, "nanoOfSecond": 678000000}`: whether it is the record's time now.
    fn instant(&mut self, entries: &[KeyValue<'a>]) -> bool {
        let number = |name: &str| match value_at(entries, name) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let nanos = || {
            let seconds = number("epochSecond")?.checked_mul(1_000_000_000)?;
            seconds.checked_add(number("nanoOfSecond")?)
        };
        let Some(slot) = self.used.get_mut(Role::Time as usize) else {
            return false;
        };
        match nanos() {
            Some(nanos) if slot.is_none() && entries.len() == 2 => {
                let stamp = timestamp::Stamp::exact(nanos);
                self.settings.times.put(stamp, &mut self.parsed);
                *slot = Some((
                    names::WORST,
                    KeyValue::new("instant", Value::Int(nanos.cast_signed())),
                ));
                true
            }
            _ => false,
        }
    }

    /// The record; `text` is its body when no field is.
    pub(super) fn finish(self, text: &'a str) -> Parsed<'a> {
        let Self {
            mut parsed, used, ..
        } = self;
        let mut message = None;
        let time = used.get(Role::Time as usize);
        // nginx's own names for the time.
        let is_nginx = matches!(time, Some(Some((_, field))) if field.key.starts_with("time_"));
        for (index, field) in used.into_iter().enumerate() {
            if index == Role::Message as usize {
                message = field.map(|(_, field)| field.value);
            }
        }
        if message.is_none() {
            message = parsed.take_nested_message();
        }
        parsed.body = message.unwrap_or_else(|| Value::from(text));
        if is_nginx && parsed.severity == Severity::UNSPECIFIED {
            parsed.severity = parsed.severity_of_status();
        }
        parsed
    }
}

/// Whether no field with a better name is used.
fn is_better(used: &Option<(u8, KeyValue<'_>)>, rank: u8) -> bool {
    used.as_ref().is_none_or(|(used, _)| rank < *used)
}

/// Whether the value of a field can be used for its role, inside of an object.
fn is_readable(settings: &Settings, role: Role, key: &str, value: &Value<'_>) -> bool {
    match role {
        Role::Time => time_of(settings, value).is_some(),
        Role::Level => level_of(settings, key, value).is_some(),
        Role::Message => is_message(key, value),
        Role::Trace => value.as_str().and_then(full_trace_id).is_some(),
        Role::Span => value.as_str().and_then(full_span_id).is_some(),
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
            Role::Level => self.take_level(settings, &field.key, &field.value),
            Role::Message => is_message(&field.key, &field.value),
            Role::Trace => match id_text().and_then(trace_ids) {
                Some((trace, span)) => {
                    self.trace_id = Some(trace);
                    self.span_id = self.span_id.or(span);
                    // What tells more than the id stays an attribute.
                    field
                        .value
                        .as_str()
                        .is_some_and(|text| text.len() == TRACE_DIGITS)
                }
                None => false,
            },
            Role::Span => {
                let id = id_text().and_then(full_span_id);
                self.span_id = id.or(self.span_id);
                id.is_some()
            }
        }
    }

    /// The severity of an HTTP request by its `status`, a number or text.
    fn severity_of_status(&self) -> Severity {
        let status = self.attributes.iter().find(|field| field.key == "status");
        let status = status.and_then(|field| match &field.value {
            Value::Int(number) => Some(*number),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        match status {
            Some(100..400) => Severity::INFO,
            Some(400..500) => Severity::WARN,
            Some(500..600) => Severity::ERROR,
            _ => Severity::UNSPECIFIED,
        }
    }

    fn take_level(&mut self, settings: &Settings, key: &str, value: &Value<'a>) -> bool {
        let Some((severity, text)) = level_of(settings, key, value) else {
            return false;
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

/// A level as it is written, without colours, and its severity; `None` when it is not known.
fn level_of<'a>(
    settings: &Settings,
    key: &str,
    value: &Value<'a>,
) -> Option<(Severity, Cow<'a, str>)> {
    match value {
        Value::String(word) => {
            let word = uncoloured(word);
            let severity = match key {
                // Monolog's
                "level_name" => {
                    let mapped = settings.roles.level(&word);
                    mapped.or_else(|| Severity::from_syslog_text(&word))
                }
                _ => settings.level(&word),
            };
            Some((severity?, word))
        }
        Value::Int(number) => {
            let mapped = settings.roles.level_of_number(*number);
            let severity = mapped.or_else(|| severity_of_number(*number))?;
            Some((severity, Cow::Borrowed(severity.level())))
        }
        _ => None,
    }
}

fn uncoloured<'a>(word: &Cow<'a, str>) -> Cow<'a, str> {
    match colours::find(word.as_bytes()) {
        None => word.clone(),
        Some(_) => Cow::Owned(colours::strip(word.chars())),
    }
}

/// Whether a value alone shows that it is for its role.
fn is_clear(settings: &Settings, role: Role, value: &Value<'_>) -> bool {
    match (role, value) {
        (Role::Level, Value::String(word)) => settings.level(&uncoloured(word)).is_some(),
        (_, Value::String(_)) => true,
        _ => false,
    }
}

/// The value at a path of keys in an object.
fn value_at<'e, 'a>(entries: &'e [KeyValue<'a>], path: &str) -> Option<&'e Value<'a>> {
    let named = |key: &str| entries.iter().find(|entry| entry.key == key);
    if let Some(entry) = named(path) {
        return Some(&entry.value);
    }
    let (head, rest) = path.split_once('.')?;
    match &named(head)?.value {
        Value::Map(entries) => value_at(entries, rest),
        _ => None,
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

/// The ids in the value of a field for a trace's id: the id, W3C's `00-<trace>-<span>-01`, or Google's
/// `projects/<name>/traces/<trace>`.
fn trace_ids(text: &str) -> Option<(TraceId, Option<SpanId>)> {
    if let Some(id) = full_trace_id(text) {
        return Some((id, None));
    }
    if let Some(rest) = text.strip_prefix("projects/") {
        let (_, id) = rest.split_once("/traces/")?;
        return Some((full_trace_id(id)?, None));
    }
    let mut parts = text.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_parent = version.len() == 2 && parts.next().is_some_and(|flags| flags.len() == 2);
    let ids = (full_trace_id(trace)?, Some(full_span_id(span)?));
    is_parent.then_some(ids)
}

/// Only identifiers of full length: a shorter one is some other system's.
pub(super) fn full_trace_id(text: &str) -> Option<TraceId> {
    TraceId::from_hex(text).filter(|_| text.len() == TRACE_DIGITS)
}

pub(super) fn full_span_id(text: &str) -> Option<SpanId> {
    SpanId::from_hex(text).filter(|_| text.len() == SPAN_DIGITS)
}
