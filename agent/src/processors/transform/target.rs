//! What a statement changes.

use std::borrow::Cow;

use vervet_wire::NESTING_MAX;
use vervet_wire::otlp::{KeyValue, LogRecord, Metric, Span, StatusCode, Value};

use crate::processors::expr::{EvalError, Field, Key, Path, depth_of};

/// A record, or the attributes of what has nothing else to change.
pub(super) enum Target<'t, 'a> {
    Log(&'t mut LogRecord<'a>),
    Span(&'t mut Span<'a>),
    /// A metric without its points.
    Metric(&'t mut Metric<'a>),
    /// Those of a resource or data point.
    Attributes(&'t mut Vec<KeyValue<'a>>),
}

/// A place in a record.
pub(super) enum Place<'p, 'a> {
    Value(&'p mut Value<'a>),
    Text(&'p mut Cow<'a, str>),
    Map(&'p mut Vec<KeyValue<'a>>),
    Number(Number<'p>),
}

/// The numbers of records, each with its own width.
pub(super) enum Number<'p> {
    Time(&'p mut u64),
    Severity(&'p mut i32),
    Status(&'p mut StatusCode),
}

const NOT_A_MAP: EvalError = EvalError("what the path leads through is no map");

impl<'a> Target<'_, 'a> {
    /// The place a path leads to. With `create`, maps and entries that are missing are made.
    pub(super) fn place(
        &mut self,
        path: &Path,
        create: bool,
    ) -> Result<Option<Place<'_, 'a>>, EvalError> {
        let is_attributes = matches!(path.field, Field::Attributes | Field::ResourceAttributes);
        match self {
            Self::Log(record) => {
                if is_attributes {
                    in_map(&mut record.attributes, path, create)
                } else if path.field == Field::Body {
                    let value = within(&mut record.body, &path.keys, create)?;
                    Ok(value.map(Place::Value))
                } else {
                    Ok(of_log(record, path.field))
                }
            }
            Self::Span(span) => {
                if is_attributes {
                    in_map(&mut span.attributes, path, create)
                } else {
                    Ok(of_span(span, path.field))
                }
            }
            Self::Metric(metric) => Ok(of_metric(metric, path.field)),
            Self::Attributes(attributes) => in_map(attributes, path, create),
        }
    }
}

fn in_map<'p, 'a>(
    attributes: &'p mut Vec<KeyValue<'a>>,
    path: &Path,
    create: bool,
) -> Result<Option<Place<'p, 'a>>, EvalError> {
    let Some((first, rest)) = path.keys.split_first() else {
        return Ok(Some(Place::Map(attributes)));
    };
    let Some(value) = entry(attributes, first, create)? else {
        return Ok(None);
    };
    Ok(within(value, rest, create)?.map(Place::Value))
}

fn of_log<'p, 'a>(record: &'p mut LogRecord<'a>, field: Field) -> Option<Place<'p, 'a>> {
    Some(match field {
        Field::SeverityNumber => Place::Number(Number::Severity(&mut record.severity_number)),
        Field::SeverityText => Place::Text(&mut record.severity_text),
        Field::TimeUnixNano => Place::Number(Number::Time(&mut record.time_unix_nano)),
        Field::ObservedTimeUnixNano => {
            Place::Number(Number::Time(&mut record.observed_time_unix_nano))
        }
        Field::EventName => Place::Text(&mut record.event_name),
        _ => return None,
    })
}

fn of_span<'p, 'a>(span: &'p mut Span<'a>, field: Field) -> Option<Place<'p, 'a>> {
    Some(match field {
        Field::Name => Place::Text(&mut span.name),
        Field::StatusCode => Place::Number(Number::Status(&mut span.status)),
        Field::StatusMessage => Place::Text(&mut span.status_message),
        Field::StartTimeUnixNano => Place::Number(Number::Time(&mut span.start_unix_nano)),
        Field::EndTimeUnixNano => Place::Number(Number::Time(&mut span.end_unix_nano)),
        _ => return None,
    })
}

fn of_metric<'p, 'a>(metric: &'p mut Metric<'a>, field: Field) -> Option<Place<'p, 'a>> {
    Some(match field {
        Field::Name => Place::Text(&mut metric.name),
        Field::Description => Place::Text(&mut metric.description),
        Field::Unit => Place::Text(&mut metric.unit),
        _ => return None,
    })
}

impl Place<'_, '_> {
    /// Puts a value here; true when it is another than before.
    pub(super) fn set(self, value: Value<'static>, depth: usize) -> Result<bool, EvalError> {
        // The protocol's readers go no deeper.
        if depth + depth_of(&value) >= NESTING_MAX {
            return Err(EvalError("the value would be nested too deeply"));
        }
        match (self, value) {
            (Self::Value(slot), value) => Ok(replace(slot, value)),
            (Self::Text(slot), Value::String(text)) => Ok(replace(slot, text)),
            (Self::Map(slot), Value::Map(entries)) => Ok(replace(slot, entries)),
            (Self::Number(slot), Value::Int(number)) => slot.set(number),
            _ => Err(EvalError("the value is not of the kind of the field")),
        }
    }
}

impl<'p, 'a> Place<'p, 'a> {
    /// The entries of the map here; nil has none.
    pub(super) fn entries(self) -> Result<Option<&'p mut Vec<KeyValue<'a>>>, EvalError> {
        match self {
            Self::Map(entries) | Self::Value(Value::Map(entries)) => Ok(Some(entries)),
            Self::Value(Value::Empty) => Ok(None),
            _ => Err(NOT_A_MAP),
        }
    }

    /// The text here; `None` when there is none.
    pub(super) fn text(self) -> Option<&'p mut Cow<'a, str>> {
        match self {
            Self::Text(text) | Self::Value(Value::String(text)) => Some(text),
            _ => None,
        }
    }
}

impl Number<'_> {
    fn set(self, number: i64) -> Result<bool, EvalError> {
        const RANGE: EvalError = EvalError("the number is out of the field's range");
        Ok(match self {
            Self::Time(slot) => {
                let time = u64::try_from(number);
                replace(slot, time.map_err(|_negative| RANGE)?)
            }
            Self::Severity(slot) => {
                let severity = i32::try_from(number).ok();
                let severity = severity.filter(|number| (0..=24).contains(number));
                replace(slot, severity.ok_or(RANGE)?)
            }
            Self::Status(slot) => {
                let status = match number {
                    0 => StatusCode::Unset,
                    1 => StatusCode::Ok,
                    2 => StatusCode::Error,
                    _ => return Err(RANGE),
                };
                replace(slot, status)
            }
        })
    }
}

fn replace<T: PartialEq>(slot: &mut T, value: T) -> bool {
    let changed = *slot != value;
    if changed {
        *slot = value;
    }
    changed
}

fn entry<'p, 'a>(
    entries: &'p mut Vec<KeyValue<'a>>,
    key: &Key,
    create: bool,
) -> Result<Option<&'p mut Value<'a>>, EvalError> {
    let Key::Name(name) = key else {
        return Err(EvalError("a map has no index"));
    };
    let at = entries.iter().position(|entry| entry.key == name.as_str());
    if at.is_none() && create {
        entries.push(KeyValue {
            key: Cow::Owned(name.clone()),
            value: Value::Empty,
        });
    }
    let found = match at {
        Some(at) => entries.get_mut(at),
        None if create => entries.last_mut(),
        None => None,
    };
    Ok(found.map(|entry| &mut entry.value))
}

fn within<'p, 'a>(
    value: &'p mut Value<'a>,
    keys: &[Key],
    create: bool,
) -> Result<Option<&'p mut Value<'a>>, EvalError> {
    let mut value = value;
    for key in keys {
        if create && *value == Value::Empty && matches!(key, Key::Name(_)) {
            *value = Value::Map(Vec::new());
        }
        let next = match (value, key) {
            (Value::Map(entries), key) => entry(entries, key, create)?,
            (Value::Array(items), Key::Index(index)) => items.get_mut(*index),
            (Value::Empty, _) => None,
            _ if create => return Err(NOT_A_MAP),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}
