//! The messages of OTLP 1.x as tables: names as JSON has them, numbers, and how values are written.
//!
//! Read by the JSON reader and by the weigher. A field that is not here is passed over in JSON and kept as it
//! stands in protobuf.

use std::mem::size_of;

use vervet_model::Signal;

use super::{
    ExponentialHistogramPoint, HistogramPoint, KeyValue, Link, LogRecord, Metric, NumberPoint,
    Resource, Scope, Span, SpanEvent, SummaryPoint, Value,
};

/// How a value is written, in protobuf and (64-bit numbers as texts or numbers) in JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// Bytes, in JSON as hexadecimal digits.
    Hex,
    /// Bytes, in JSON as base64.
    Base64,
    Bool,
    Uint32,
    Uint64,
    /// Also enums: the number, sign-extended.
    Int64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Message(&'static MessageSpec),
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldSpec {
    pub(crate) name: &'static str,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// A repeated field; numbers are packed.
    pub(crate) list: bool,
}

/// One message.
#[derive(Debug)]
pub(crate) struct MessageSpec {
    pub(crate) fields: &'static [FieldSpec],
    /// What its view takes in memory, without what it points to (bytes).
    pub(crate) view_bytes: usize,
}

impl MessageSpec {
    pub(crate) fn named(&self, name: &str) -> Option<&'static FieldSpec> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(crate) fn numbered(&self, number: u32) -> Option<&'static FieldSpec> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// The export request of a signal.
pub(crate) fn request(signal: Signal) -> &'static MessageSpec {
    match signal {
        Signal::Logs => &LOGS_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
        Signal::Traces => &TRACES_REQUEST,
    }
}

const fn one(name: &'static str, number: u32, kind: Kind) -> FieldSpec {
    FieldSpec {
        name,
        number,
        kind,
        list: false,
    }
}

const fn list(name: &'static str, number: u32, kind: Kind) -> FieldSpec {
    FieldSpec {
        name,
        number,
        kind,
        list: true,
    }
}

macro_rules! messages {
    ($($name:ident: $view:ty { $($field:expr),* $(,)? })*) => {$(
        pub(super) static $name: MessageSpec = MessageSpec {
            fields: &[$($field),*],
            view_bytes: size_of::<$view>(),
        };
    )*};
}

messages! {
    LOGS_REQUEST: () { list("resourceLogs", 1, Kind::Message(&RESOURCE_LOGS)) }
    RESOURCE_LOGS: () {
        one("resource", 1, Kind::Message(&RESOURCE)),
        list("scopeLogs", 2, Kind::Message(&SCOPE_LOGS)),
        one("schemaUrl", 3, Kind::Text),
    }
    SCOPE_LOGS: () {
        one("scope", 1, Kind::Message(&SCOPE)),
        list("logRecords", 2, Kind::Message(&LOG_RECORD)),
        one("schemaUrl", 3, Kind::Text),
    }
    METRICS_REQUEST: () { list("resourceMetrics", 1, Kind::Message(&RESOURCE_METRICS)) }
    RESOURCE_METRICS: () {
        one("resource", 1, Kind::Message(&RESOURCE)),
        list("scopeMetrics", 2, Kind::Message(&SCOPE_METRICS)),
        one("schemaUrl", 3, Kind::Text),
    }
    SCOPE_METRICS: () {
        one("scope", 1, Kind::Message(&SCOPE)),
        list("metrics", 2, Kind::Message(&METRIC)),
        one("schemaUrl", 3, Kind::Text),
    }
    TRACES_REQUEST: () { list("resourceSpans", 1, Kind::Message(&RESOURCE_SPANS)) }
    RESOURCE_SPANS: () {
        one("resource", 1, Kind::Message(&RESOURCE)),
        list("scopeSpans", 2, Kind::Message(&SCOPE_SPANS)),
        one("schemaUrl", 3, Kind::Text),
    }
    SCOPE_SPANS: () {
        one("scope", 1, Kind::Message(&SCOPE)),
        list("spans", 2, Kind::Message(&SPAN)),
        one("schemaUrl", 3, Kind::Text),
    }

    RESOURCE: Resource<'static> {
        list("attributes", 1, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 2, Kind::Uint32),
        list("entityRefs", 3, Kind::Message(&ENTITY_REF)),
    }
    ENTITY_REF: () {
        one("schemaUrl", 1, Kind::Text),
        one("type", 2, Kind::Text),
        list("idKeys", 3, Kind::Text),
        list("descriptionKeys", 4, Kind::Text),
    }
    SCOPE: Scope<'static> {
        one("name", 1, Kind::Text),
        one("version", 2, Kind::Text),
        list("attributes", 3, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Kind::Uint32),
    }
    KEY_VALUE: KeyValue<'static> {
        one("key", 1, Kind::Text),
        one("value", 2, Kind::Message(&ANY_VALUE)),
    }
    ANY_VALUE: Value<'static> {
        one("stringValue", 1, Kind::Text),
        one("boolValue", 2, Kind::Bool),
        one("intValue", 3, Kind::Int64),
        one("doubleValue", 4, Kind::Double),
        one("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
        one("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
        one("bytesValue", 7, Kind::Base64),
    }
    ARRAY_VALUE: () { list("values", 1, Kind::Message(&ANY_VALUE)) }
    KEY_VALUE_LIST: () { list("values", 1, Kind::Message(&KEY_VALUE)) }

    LOG_RECORD: LogRecord<'static> {
        one("timeUnixNano", 1, Kind::Fixed64),
        one("severityNumber", 2, Kind::Int64),
        one("severityText", 3, Kind::Text),
        one("body", 5, Kind::Message(&ANY_VALUE)),
        list("attributes", 6, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 7, Kind::Uint32),
        one("flags", 8, Kind::Fixed32),
        one("traceId", 9, Kind::Hex),
        one("spanId", 10, Kind::Hex),
        one("observedTimeUnixNano", 11, Kind::Fixed64),
        one("eventName", 12, Kind::Text),
    }

    SPAN: Span<'static> {
        one("traceId", 1, Kind::Hex),
        one("spanId", 2, Kind::Hex),
        one("traceState", 3, Kind::Text),
        one("parentSpanId", 4, Kind::Hex),
        one("name", 5, Kind::Text),
        one("kind", 6, Kind::Int64),
        one("startTimeUnixNano", 7, Kind::Fixed64),
        one("endTimeUnixNano", 8, Kind::Fixed64),
        list("attributes", 9, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 10, Kind::Uint32),
        list("events", 11, Kind::Message(&SPAN_EVENT)),
        one("droppedEventsCount", 12, Kind::Uint32),
        list("links", 13, Kind::Message(&LINK)),
        one("droppedLinksCount", 14, Kind::Uint32),
        one("status", 15, Kind::Message(&STATUS)),
        one("flags", 16, Kind::Fixed32),
    }
    SPAN_EVENT: SpanEvent<'static> {
        one("timeUnixNano", 1, Kind::Fixed64),
        one("name", 2, Kind::Text),
        list("attributes", 3, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Kind::Uint32),
    }
    LINK: Link<'static> {
        one("traceId", 1, Kind::Hex),
        one("spanId", 2, Kind::Hex),
        one("traceState", 3, Kind::Text),
        list("attributes", 4, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 5, Kind::Uint32),
        one("flags", 6, Kind::Fixed32),
    }
    STATUS: () {
        one("message", 2, Kind::Text),
        one("code", 3, Kind::Int64),
    }

    METRIC: Metric<'static> {
        one("name", 1, Kind::Text),
        one("description", 2, Kind::Text),
        one("unit", 3, Kind::Text),
        one("gauge", 5, Kind::Message(&GAUGE)),
        one("sum", 7, Kind::Message(&SUM)),
        one("histogram", 9, Kind::Message(&HISTOGRAM)),
        one("exponentialHistogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        one("summary", 11, Kind::Message(&SUMMARY)),
        list("metadata", 12, Kind::Message(&KEY_VALUE)),
    }
    GAUGE: () { list("dataPoints", 1, Kind::Message(&NUMBER_POINT)) }
    SUM: () {
        list("dataPoints", 1, Kind::Message(&NUMBER_POINT)),
        one("aggregationTemporality", 2, Kind::Int64),
        one("isMonotonic", 3, Kind::Bool),
    }
    HISTOGRAM: () {
        list("dataPoints", 1, Kind::Message(&HISTOGRAM_POINT)),
        one("aggregationTemporality", 2, Kind::Int64),
    }
    EXPONENTIAL_HISTOGRAM: () {
        list("dataPoints", 1, Kind::Message(&EXPONENTIAL_POINT)),
        one("aggregationTemporality", 2, Kind::Int64),
    }
    SUMMARY: () { list("dataPoints", 1, Kind::Message(&SUMMARY_POINT)) }
    NUMBER_POINT: NumberPoint<'static> {
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one("asDouble", 4, Kind::Double),
        list("exemplars", 5, Kind::Message(&EXEMPLAR)),
        one("asInt", 6, Kind::Sfixed64),
        list("attributes", 7, Kind::Message(&KEY_VALUE)),
        one("flags", 8, Kind::Uint32),
    }
    HISTOGRAM_POINT: HistogramPoint<'static> {
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        list("bucketCounts", 6, Kind::Fixed64),
        list("explicitBounds", 7, Kind::Double),
        list("exemplars", 8, Kind::Message(&EXEMPLAR)),
        list("attributes", 9, Kind::Message(&KEY_VALUE)),
        one("flags", 10, Kind::Uint32),
        one("min", 11, Kind::Double),
        one("max", 12, Kind::Double),
    }
    EXPONENTIAL_POINT: ExponentialHistogramPoint<'static> {
        list("attributes", 1, Kind::Message(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        one("scale", 6, Kind::Sint32),
        one("zeroCount", 7, Kind::Fixed64),
        one("positive", 8, Kind::Message(&BUCKETS)),
        one("negative", 9, Kind::Message(&BUCKETS)),
        one("flags", 10, Kind::Uint32),
        list("exemplars", 11, Kind::Message(&EXEMPLAR)),
        one("min", 12, Kind::Double),
        one("max", 13, Kind::Double),
        one("zeroThreshold", 14, Kind::Double),
    }
    BUCKETS: () {
        one("offset", 1, Kind::Sint32),
        list("bucketCounts", 2, Kind::Uint64),
    }
    SUMMARY_POINT: SummaryPoint<'static> {
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        list("quantileValues", 6, Kind::Message(&QUANTILE)),
        list("attributes", 7, Kind::Message(&KEY_VALUE)),
        one("flags", 8, Kind::Uint32),
    }
    QUANTILE: (f64, f64) {
        one("quantile", 1, Kind::Double),
        one("value", 2, Kind::Double),
    }
    EXEMPLAR: () {
        one("timeUnixNano", 2, Kind::Fixed64),
        one("asDouble", 3, Kind::Double),
        one("spanId", 4, Kind::Hex),
        one("traceId", 5, Kind::Hex),
        one("asInt", 6, Kind::Sfixed64),
        list("filteredAttributes", 7, Kind::Message(&KEY_VALUE)),
    }
}
