//! The fields that expressions can name.

use vervet_model::Signal;

use super::check::Type;

/// A field of a record, or of what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::processors) enum Field {
    Body,
    Attributes,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    SeverityNumber,
    SeverityText,
    TimeUnixNano,
    ObservedTimeUnixNano,
    EventName,
    Flags,
    TraceId,
    SpanId,
    ParentSpanId,
    TraceState,
    Name,
    Kind,
    StatusCode,
    StatusMessage,
    StartTimeUnixNano,
    EndTimeUnixNano,
    Description,
    Unit,
    MetricType,
    PointValue,
}

/// What a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::processors) enum Level {
    Resource,
    Scope,
    /// A metric with all its points; for other signals nothing is of this level.
    Metric,
    /// A log record, a span, a data point.
    Record,
}

/// A field, and the way into it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::processors) struct Path {
    pub(in crate::processors) field: Field,
    pub(in crate::processors) keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::processors) enum Key {
    Name(String),
    Index(usize),
}

/// How a field is named and used.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) field: Field,
    pub(super) kind: Type,
    logs: bool,
    spans: bool,
    points: bool,
    pub(super) settable: bool,
}

/// Signals by letter: `l`ogs, `s`pans, `p`oints.
const fn known(
    name: &'static str,
    field: Field,
    kind: Type,
    (logs, spans, points): (bool, bool, bool),
    settable: bool,
) -> Known {
    Known {
        name,
        field,
        kind,
        logs,
        spans,
        points,
        settable,
    }
}

const LOGS: (bool, bool, bool) = (true, false, false);
const SPANS: (bool, bool, bool) = (false, true, false);
const POINTS: (bool, bool, bool) = (false, false, true);
const ALL: (bool, bool, bool) = (true, true, true);

#[rustfmt::skip]
pub(super) const KNOWN: [Known; 27] = [
    known("body", Field::Body, Type::Any, LOGS, true),
    known("attributes", Field::Attributes, Type::Map, ALL, true),
    known("resource.attributes", Field::ResourceAttributes, Type::Map, ALL, true),
    known("scope.name", Field::ScopeName, Type::Text, ALL, false),
    known("scope.version", Field::ScopeVersion, Type::Text, ALL, false),
    known("severity_number", Field::SeverityNumber, Type::Int, LOGS, true),
    known("severity_text", Field::SeverityText, Type::Text, LOGS, true),
    known("time_unix_nano", Field::TimeUnixNano, Type::Int, LOGS, true),
    known("observed_time_unix_nano", Field::ObservedTimeUnixNano, Type::Int, LOGS, true),
    known("event_name", Field::EventName, Type::Text, LOGS, true),
    known("flags", Field::Flags, Type::Int, LOGS, false),
    known("trace_id", Field::TraceId, Type::Text, (true, true, false), false),
    known("span_id", Field::SpanId, Type::Text, (true, true, false), false),
    known("parent_span_id", Field::ParentSpanId, Type::Text, SPANS, false),
    known("trace_state", Field::TraceState, Type::Text, SPANS, false),
    known("name", Field::Name, Type::Text, SPANS, true),
    known("kind", Field::Kind, Type::Int, SPANS, false),
    known("status.code", Field::StatusCode, Type::Int, SPANS, true),
    known("status.message", Field::StatusMessage, Type::Text, SPANS, true),
    known("start_time_unix_nano", Field::StartTimeUnixNano, Type::Int, SPANS, true),
    known("end_time_unix_nano", Field::EndTimeUnixNano, Type::Int, SPANS, true),
    known("name", Field::Name, Type::Text, POINTS, true),
    known("description", Field::Description, Type::Text, POINTS, true),
    known("unit", Field::Unit, Type::Text, POINTS, true),
    known("type", Field::MetricType, Type::Text, POINTS, false),
    known("value", Field::PointValue, Type::Any, POINTS, false),
    known("time_unix_nano", Field::TimeUnixNano, Type::Int, POINTS, false),
];

impl Known {
    pub(super) fn is_of(&self, signal: Signal) -> bool {
        match signal {
            Signal::Logs => self.logs,
            Signal::Traces => self.spans,
            Signal::Metrics => self.points,
        }
    }
}

impl Field {
    pub(in crate::processors) fn level(self, signal: Signal) -> Level {
        match (self, signal) {
            (Self::ResourceAttributes, _) => Level::Resource,
            (Self::ScopeName | Self::ScopeVersion, _) => Level::Scope,
            (Self::Name | Self::Description | Self::Unit | Self::MetricType, Signal::Metrics) => {
                Level::Metric
            }
            _ => Level::Record,
        }
    }
}

/// Numbers that have names, as in OTTL.
pub(super) const NUMBERS: [(&str, i64); 34] = [
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];
