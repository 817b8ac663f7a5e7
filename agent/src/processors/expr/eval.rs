//! Computing expressions. Texts and values are borrowed from the record as long as nothing new must be made.

use std::borrow::Cow;
use std::cmp::Ordering;

use vervet_wire::otlp::{KeyValue, LogRecord, Number, Resource, Scope, Span, Value};

use super::{Expr, Field, Key, Path};

/// A value that borrows nothing.
pub(super) type Owned = Value<'static>;

/// Why a value could not be computed. The statement or condition counts as one that does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::processors) struct EvalError(pub(in crate::processors) &'static str);

/// What an expression is about.
#[derive(Clone, Copy)]
pub(in crate::processors) struct Context<'t> {
    pub(in crate::processors) resource: &'t Resource<'t>,
    pub(in crate::processors) scope: Option<&'t Scope<'t>>,
    pub(in crate::processors) record: Record<'t>,
}

/// The record, where there is one.
#[derive(Clone, Copy)]
pub(in crate::processors) enum Record<'t> {
    None,
    Log(&'t LogRecord<'t>),
    Span(&'t Span<'t>),
    Point(Point<'t>),
}

/// A data point and its metric.
#[derive(Clone, Copy)]
pub(in crate::processors) struct Point<'t> {
    pub(in crate::processors) name: &'t str,
    pub(in crate::processors) description: &'t str,
    pub(in crate::processors) unit: &'t str,
    pub(in crate::processors) kind: &'static str,
    pub(in crate::processors) attributes: &'t [KeyValue<'t>],
    pub(in crate::processors) value: Option<Number>,
    pub(in crate::processors) time_unix_nano: u64,
}

/// A value under computation.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::processors) enum Val<'t> {
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(Cow<'t, str>),
    /// Bytes, a list or a map.
    Value(Cow<'t, Value<'t>>),
}

impl From<String> for Val<'_> {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}

impl From<Owned> for Val<'_> {
    fn from(value: Owned) -> Self {
        match value {
            Value::Empty => Self::Nil,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Double(value) => Self::Double(value),
            Value::String(text) => Self::Str(text),
            other => Self::Value(Cow::Owned(other)),
        }
    }
}

impl<'t> Val<'t> {
    fn of(value: &'t Value<'t>) -> Self {
        match value {
            Value::Empty => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Double(value) => Self::Double(*value),
            Value::String(text) => Self::Str(Cow::Borrowed(text)),
            other => Self::Value(Cow::Borrowed(other)),
        }
    }

    /// The value on its own; `None` for nil.
    pub(in crate::processors) fn into_value(self) -> Option<Value<'static>> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Double(value) => Value::Double(value),
            Self::Str(text) => Value::from(text.into_owned()),
            Self::Value(value) => to_static(&value),
        })
    }

    pub(super) fn into_text(self, error: &'static str) -> Result<Cow<'t, str>, EvalError> {
        match self {
            Self::Str(text) => Ok(text),
            _ => Err(EvalError(error)),
        }
    }

    pub(super) fn int(&self) -> Result<i64, EvalError> {
        match self {
            Self::Int(number) => Ok(*number),
            _ => Err(EvalError("a whole number is needed")),
        }
    }

    pub(super) fn entries(&self) -> Option<&[KeyValue<'t>]> {
        match self {
            Self::Value(value) => match value.as_ref() {
                Value::Map(entries) => Some(entries),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Value<'t>]> {
        match self {
            Self::Value(value) => match value.as_ref() {
                Value::Array(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    pub(in crate::processors) fn to_text(&self) -> Cow<'t, str> {
        match self {
            Self::Nil => Cow::Borrowed(""),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Double(number) => Cow::Owned(number.to_string()),
            Self::Str(text) => text.clone(),
            Self::Value(value) => Cow::Owned(value.to_text().into_owned()),
        }
    }

    /// As OTTL's `Int`: texts are read, fractions cut off, what is no number is nil.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` saturates, which is the best there is for a number out of range"
    )]
    pub(super) fn to_int(&self) -> Self {
        match self {
            Self::Bool(value) => Self::Int(i64::from(*value)),
            Self::Int(number) => Self::Int(*number),
            Self::Double(number) => Self::Int(*number as i64),
            Self::Str(text) => text.trim().parse().map_or(Self::Nil, Self::Int),
            _ => Self::Nil,
        }
    }

    pub(super) fn to_double(&self) -> Self {
        match self {
            Self::Bool(value) => Self::Double(f64::from(u8::from(*value))),
            Self::Str(text) => text.trim().parse().map_or(Self::Nil, Self::Double),
            other => other.number().map_or(Self::Nil, Self::Double),
        }
    }

    pub(super) fn len(&self) -> Result<Self, EvalError> {
        let length = match self {
            Self::Str(text) => text.chars().count(),
            Self::Value(value) => match value.as_ref() {
                Value::Array(items) => items.len(),
                Value::Map(entries) => entries.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => return Err(EvalError("Len needs a text, a list or a map")),
            },
            _ => return Err(EvalError("Len needs a text, a list or a map")),
        };
        Ok(Self::Int(i64::try_from(length).unwrap_or(i64::MAX)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "whole numbers beyond 2^53 compare with fractional ones approximately"
    )]
    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Int(_) | Self::Double(_), Self::Int(_) | Self::Double(_)) => {
                self.number() == other.number()
            }
            _ => self == other,
        }
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Str(a), Self::Str(b)) => Some(a.cmp(b)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }
}

/// A copy that borrows nothing.
pub(in crate::processors) fn to_static(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Empty => Value::Empty,
        Value::Bool(value) => Value::Bool(*value),
        Value::Int(value) => Value::Int(*value),
        Value::Double(value) => Value::Double(*value),
        Value::String(text) => Value::from(text.clone().into_owned()),
        Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.clone().into_owned())),
        Value::Array(items) => Value::Array(items.iter().map(to_static).collect()),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| {
                KeyValue::new(entry.key.clone().into_owned(), to_static(&entry.value))
            });
            Value::Map(entries.collect())
        }
    }
}

/// How many levels of lists and maps a value has.
pub(in crate::processors) fn depth_of(value: &Value<'_>) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|e| depth_of(&e.value))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

impl Expr {
    /// Whether a condition holds; one that cannot be computed does not.
    pub(in crate::processors) fn holds(&self, context: &Context<'_>) -> bool {
        matches!(self.eval(context), Ok(Val::Bool(true)))
    }

    /// # Errors
    /// A function cannot do with its arguments.
    pub(in crate::processors) fn eval<'t>(
        &'t self,
        context: &Context<'t>,
    ) -> Result<Val<'t>, EvalError> {
        let truth = |expr: &'t Expr| Ok(matches!(expr.eval(context)?, Val::Bool(true)));
        Ok(match self {
            Self::Nil => Val::Nil,
            Self::Bool(value) => Val::Bool(*value),
            Self::Int(number) => Val::Int(*number),
            Self::Double(number) => Val::Double(*number),
            Self::Text(text) => Val::Str(Cow::Borrowed(text)),
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push(item.eval(context)?.into_value().unwrap_or_default());
                }
                Val::Value(Cow::Owned(Value::Array(list)))
            }
            Self::Path(path) => path.read(context),
            Self::Not(inner) => Val::Bool(!truth(inner)?),
            Self::Negate(inner) => match inner.eval(context)? {
                Val::Int(number) => Val::Int(number.saturating_neg()),
                Val::Double(number) => Val::Double(-number),
                _ => Val::Nil,
            },
            Self::And(left, right) => Val::Bool(truth(left)? && truth(right)?),
            Self::Or(left, right) => Val::Bool(truth(left)? || truth(right)?),
            Self::Equal(left, right) => {
                Val::Bool(left.eval(context)?.equals(&right.eval(context)?))
            }
            Self::NotEqual(left, right) => {
                Val::Bool(!left.eval(context)?.equals(&right.eval(context)?))
            }
            Self::Order(operator, left, right) => {
                let order = left.eval(context)?.order(&right.eval(context)?);
                Val::Bool(order.is_some_and(|order| match *operator {
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                }))
            }
            Self::Arithmetic(operator, left, right) => {
                arithmetic(operator, &left.eval(context)?, &right.eval(context)?)?
            }
            Self::IsMatch(target, regex) => match target.eval(context)? {
                Val::Nil => Val::Bool(false),
                value => Val::Bool(regex.is_match(&value.to_text())),
            },
            Self::ExtractPatterns(target, regex) => extract(&target.eval(context)?, regex)?,
            Self::Call(function, arguments) => {
                let arguments = arguments.iter().map(|argument| argument.eval(context));
                function.call(arguments.collect::<Result<_, _>>()?)?
            }
        })
    }
}

fn arithmetic<'t>(operator: &str, left: &Val<'t>, right: &Val<'t>) -> Result<Val<'t>, EvalError> {
    if let (Val::Int(a), Val::Int(b)) = (left, right) {
        let result = match operator {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            "*" => a.checked_mul(*b),
            _ => a.checked_div(*b),
        };
        return result
            .map(Val::Int)
            .ok_or(EvalError("the number is out of range"));
    }
    let (Some(a), Some(b)) = (left.number(), right.number()) else {
        return Err(EvalError(
            "only numbers can be added, subtracted, multiplied and divided",
        ));
    };
    Ok(Val::Double(match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        _ => a / b,
    }))
}

fn extract<'t>(target: &Val<'_>, regex: &regex::Regex) -> Result<Val<'t>, EvalError> {
    let Val::Str(text) = target else {
        return match target {
            Val::Nil => Ok(Val::Nil),
            _ => Err(EvalError("ExtractPatterns needs a text")),
        };
    };
    let captures = regex
        .captures(text)
        .ok_or(EvalError("the pattern does not match"))?;
    let groups = regex.capture_names().flatten().filter_map(|name| {
        let found = captures.name(name)?;
        Some(KeyValue::new(name.to_owned(), found.as_str().to_owned()))
    });
    Ok(Val::from(Value::Map(groups.collect())))
}

impl Path {
    fn read<'t>(&'t self, context: &Context<'t>) -> Val<'t> {
        let attributes = match (self.field, context.record) {
            (Field::ResourceAttributes, _) => context.resource.attributes.as_slice(),
            (Field::Attributes, Record::Log(record)) => &record.attributes,
            (Field::Attributes, Record::Span(span)) => &span.attributes,
            (Field::Attributes, Record::Point(point)) => point.attributes,
            (Field::Body, Record::Log(record)) => {
                return within(&record.body, &self.keys).map_or(Val::Nil, Val::of);
            }
            _ => return self.scalar(context),
        };
        match self.keys.split_first() {
            Some((Key::Name(name), rest)) => attributes
                .iter()
                .find(|attribute| attribute.key == name.as_str())
                .and_then(|attribute| within(&attribute.value, rest))
                .map_or(Val::Nil, Val::of),
            Some((Key::Index(_), _)) => Val::Nil,
            None => Val::Value(Cow::Owned(Value::Map(attributes.to_vec()))),
        }
    }

    fn scalar<'t>(&'t self, context: &Context<'t>) -> Val<'t> {
        let text = |text: &'t str| Val::Str(Cow::Borrowed(text));
        let count = |number: u64| Val::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let id = |bytes: &[u8]| Val::from(hex::encode(bytes));
        match (self.field, context.record) {
            (Field::ScopeName, _) => context.scope.map_or(Val::Nil, |scope| text(&scope.name)),
            (Field::ScopeVersion, _) => {
                context.scope.map_or(Val::Nil, |scope| text(&scope.version))
            }
            (field, Record::Log(record)) => match field {
                Field::SeverityNumber => Val::Int(i64::from(record.severity_number)),
                Field::SeverityText => text(&record.severity_text),
                Field::TimeUnixNano => count(record.time_unix_nano),
                Field::ObservedTimeUnixNano => count(record.observed_time_unix_nano),
                Field::EventName => text(&record.event_name),
                Field::Flags => count(u64::from(record.flags)),
                Field::TraceId => id(record.trace_id),
                Field::SpanId => id(record.span_id),
                _ => Val::Nil,
            },
            (field, Record::Span(span)) => match field {
                Field::TraceId => id(span.trace_id),
                Field::SpanId => id(span.span_id),
                Field::ParentSpanId => id(span.parent_span_id),
                Field::TraceState => text(&span.trace_state),
                Field::Name => text(&span.name),
                Field::Kind => Val::Int(span.kind as i64),
                Field::StatusCode => Val::Int(span.status as i64),
                Field::StatusMessage => text(&span.status_message),
                Field::StartTimeUnixNano => count(span.start_unix_nano),
                Field::EndTimeUnixNano => count(span.end_unix_nano),
                _ => Val::Nil,
            },
            (field, Record::Point(point)) => match field {
                Field::Name => text(point.name),
                Field::Description => text(point.description),
                Field::Unit => text(point.unit),
                Field::MetricType => text(point.kind),
                Field::TimeUnixNano => count(point.time_unix_nano),
                Field::PointValue => match point.value {
                    Some(Number::Int(number)) => Val::Int(number),
                    Some(Number::Double(number)) => Val::Double(number),
                    None => Val::Nil,
                },
                _ => Val::Nil,
            },
            (_, Record::None) => Val::Nil,
        }
    }
}

/// The value at the end of a way into another.
fn within<'v, 'a>(value: &'v Value<'a>, keys: &[Key]) -> Option<&'v Value<'a>> {
    keys.iter()
        .try_fold(value, |value, key| match (value, key) {
            (Value::Map(entries), Key::Name(name)) => entries
                .iter()
                .find(|entry| entry.key == name.as_str())
                .map(|entry| &entry.value),
            (Value::Array(items), Key::Index(index)) => items.get(*index),
            _ => None,
        })
}
