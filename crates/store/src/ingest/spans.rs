//! Spans into the columns of the `spans` table.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampNanosecondBuilder,
};
use arrow::error::ArrowError;
use vervet_model::{Signal, SpanId, TraceId, UnixNanos};
use vervet_wire::DecodeError;
use vervet_wire::otlp::{KeyValue, Resource, Scope, Span, Value, for_each_message};

use super::attributes::{
    Tally, TextMapBuilder, append_attributes, append_entries, checked_time, environment,
    map_builder, same_resource, service_name, shrink, stored_attributes, truncated, wire_time,
};
use super::seen_keys::SeenKeys;
use super::shared_maps::SharedMaps;
use super::{
    Content, DecodeOptions, Decoded, ORIGINAL_TIME_ATTRIBUTE, adjustment, reason, refusal_of,
};
use crate::tables::{Table, column};

/// The resource attributes with a column of their own.
const COLUMN_ATTRIBUTES: [&str; 3] = [
    "service.name",
    "deployment.environment.name",
    "deployment.environment",
];

/// An empty JSON array.
const NO_ITEMS: &str = "[]";

/// What builders reserve room for; what is too much is given back, what is too little grows.
const SPAN_BYTES_USUAL: usize = 250;
const ATTRIBUTES_USUAL: usize = 8;

/// Memory of a row besides its texts.
const ROW_BYTES: usize = 120;

pub(super) fn decode(
    body: &[u8],
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder {
        options,
        received_at,
        columns: SpanColumns::new(body.len()),
        group: None,
        keys: SeenKeys::default(),
        rejected: Tally::default(),
        adjusted: Tally::default(),
        bytes: 0,
        records: 0,
    };
    let mut span = Span::default();
    for_each_message(body, |resource, scope, message| {
        let pushed = match span.read_again(message) {
            Ok(()) => decoder.push(resource, scope, &span),
            Err(error) => Err(refusal_of(error)?),
        };
        match pushed {
            Ok(()) => decoder.records += 1,
            Err(reason) => decoder.rejected.add(reason, 1),
        }
        Ok(())
    })?;
    Ok(decoder.finish())
}

struct Decoder<'o, 'a> {
    options: &'o DecodeOptions,
    received_at: UnixNanos,
    columns: SpanColumns,
    group: Option<(Resource<'a>, Service)>,
    keys: SeenKeys,
    rejected: Tally,
    adjusted: Tally,
    bytes: usize,
    records: u64,
}

/// What all spans of a resource share.
struct Service {
    name: String,
    environment: String,
    rest: Vec<(String, String)>,
    bytes: usize,
    /// Spans whose columns of the resource are not filled yet.
    rows: usize,
}

impl Service {
    fn new(resource: &Resource<'_>, options: &DecodeOptions, adjusted: &mut Tally) -> Self {
        let attributes = &resource.attributes;
        let name = service_name(attributes, options);
        let environment = environment(attributes, options);
        let rest: Vec<_> = stored_attributes(attributes, &COLUMN_ATTRIBUTES, options, adjusted)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into_owned()))
            .collect();
        let rest_bytes = rest.iter().map(|(key, value)| key.len() + value.len());
        Self {
            bytes: rest_bytes.sum::<usize>() + name.len() + environment.len(),
            name,
            environment,
            rest,
            rows: 0,
        }
    }
}

impl<'a> Decoder<'_, 'a> {
    fn push(
        &mut self,
        resource: &Resource<'a>,
        scope: &Scope<'a>,
        span: &Span<'a>,
    ) -> Result<(), &'static str> {
        if self.bytes > self.options.decoded_bytes_max {
            return Err(reason::REQUEST_TOO_LARGE);
        }
        let trace_id = TraceId::from_bytes(span.trace_id).ok_or(reason::INVALID_TRACE_ID)?;
        let span_id = SpanId::from_bytes(span.span_id).ok_or(reason::INVALID_SPAN_ID)?;
        self.enter(resource);
        let Some((_resource, service)) = &mut self.group else {
            return Err(reason::INTERNAL);
        };
        service.rows += 1;
        let start = wire_time(span.start_unix_nano).unwrap_or(self.received_at);
        let (time, original_time) = checked_time(start, self.options, self.received_at);
        if original_time.is_some() {
            self.adjusted.add(adjustment::TIMESTAMP_REPLACED, 1);
        }
        let duration_ns = wire_time(span.end_unix_nano)
            .map_or(0, |end| end.0.saturating_sub(start.0))
            .max(0);
        let columns = &mut self.columns;
        columns.day.append_value(time.day());
        columns.time.append_value(time.0);
        columns.duration_ns.append_value(duration_ns);
        columns.trace_id.append_value(trace_id.0);
        columns.span_id.append_value(span_id.0);
        columns
            .parent_span_id
            .append_option(SpanId::from_bytes(span.parent_span_id).map(|id| id.0));
        let events = events_json(span, self.options);
        let links = links_json(span, self.options);
        let texts = [
            truncated(&span.name, self.options.attribute_value_bytes_max),
            span.kind.as_str(),
            span.status.as_str(),
            truncated(&span.status_message, self.options.attribute_value_bytes_max),
            &*scope.name,
        ];
        for (builder, text) in columns.texts.iter_mut().zip(texts) {
            builder.append_value(text);
        }
        columns.events.append_value(&events);
        columns.links.append_value(&links);
        let attributes = append_attributes(
            &mut columns.attributes,
            &span.attributes,
            &mut self.keys,
            self.options,
            &mut self.adjusted,
        );
        let extra = [
            (
                ORIGINAL_TIME_ATTRIBUTE,
                original_time.as_deref().unwrap_or_default(),
            ),
            ("w3c.tracestate", &*span.trace_state),
            ("otel.scope.version", &*scope.version),
        ];
        let extra = extra.into_iter().filter(|(_key, value)| !value.is_empty());
        self.bytes += attributes
            + append_entries(&mut columns.attributes, extra)
            + service.bytes
            + texts.iter().map(|text| text.len()).sum::<usize>()
            + events.len()
            + links.len()
            + ROW_BYTES;
        // Keys and values are appended in pairs. A difference would fail in `finish`.
        let _ = columns.attributes.append(true);
        Ok(())
    }

    /// Reads the resource when it is not that of the span before.
    fn enter(&mut self, resource: &Resource<'a>) {
        let same = |(known, _service): &(Resource<'a>, Service)| same_resource(known, resource);
        if self.group.as_ref().is_some_and(same) {
            return;
        }
        self.fill_service();
        let service = Service::new(resource, self.options, &mut self.adjusted);
        self.group = Some((resource.clone(), service));
    }

    /// Fills the columns that all spans of a resource share, once for all of them.
    fn fill_service(&mut self) {
        let Some((_resource, service)) = &mut self.group else {
            return;
        };
        let rows = std::mem::take(&mut service.rows);
        let columns = &mut self.columns;
        columns.service_name.append_value_n(&service.name, rows);
        columns
            .environment
            .append_value_n(&service.environment, rows);
        // Fails beyond 2 GiB of text, which no request may have; the columns would not fit together then.
        let _ = columns.resource_attributes.append(&service.rest, rows);
    }

    fn finish(mut self) -> Decoded {
        self.fill_service();
        let batch = self.columns.finish().unwrap_or_else(|error| {
            tracing::error!(%error, "span columns do not fit together");
            self.rejected.add(reason::INTERNAL, self.records);
            self.records = 0;
            RecordBatch::new_empty(Table::Spans.schema())
        });
        Decoded {
            signal: Signal::Traces,
            records: self.records,
            rejected: self.rejected.into_vec(),
            adjusted: self.adjusted.into_vec(),
            received_at: self.received_at,
            content: Content::Spans(batch),
        }
    }
}

/// The events of a span as a JSON array.
fn events_json(span: &Span<'_>, options: &DecodeOptions) -> Cow<'static, str> {
    if span.events.is_empty() {
        return Cow::Borrowed(NO_ITEMS);
    }
    let events = span.events.iter().take(options.attributes_max);
    json_list(events.map(|event| {
        vec![
            ("time_unix_nano", unsigned(event.time_unix_nano)),
            ("name", Value::String(Cow::Borrowed(&event.name))),
            ("attributes", limited(&event.attributes, options)),
        ]
    }))
}

/// The links of a span as a JSON array.
fn links_json(span: &Span<'_>, options: &DecodeOptions) -> Cow<'static, str> {
    if span.links.is_empty() {
        return Cow::Borrowed(NO_ITEMS);
    }
    let links = span.links.iter().take(options.attributes_max);
    json_list(links.map(|link| {
        vec![
            ("trace_id", Value::Bytes(Cow::Borrowed(link.trace_id))),
            ("span_id", Value::Bytes(Cow::Borrowed(link.span_id))),
            ("attributes", limited(&link.attributes, options)),
        ]
    }))
}

fn json_list<'v>(items: impl Iterator<Item = Vec<(&'static str, Value<'v>)>>) -> Cow<'static, str> {
    let list = Value::Array(
        items
            .map(|fields| {
                let fields = fields.into_iter();
                Value::Map(
                    fields
                        .map(|(key, value)| KeyValue::new(key, value))
                        .collect(),
                )
            })
            .collect(),
    );
    let mut json = String::new();
    list.write_json(&mut json);
    Cow::Owned(json)
}

fn unsigned(value: u64) -> Value<'static> {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Attributes cut as those of a record; longer texts than a log body's are cut too.
fn limited<'v>(attributes: &'v [KeyValue<'_>], options: &DecodeOptions) -> Value<'v> {
    Value::Map(
        attributes
            .iter()
            .take(options.attributes_max)
            .map(|attribute| match &attribute.value {
                Value::String(text) => KeyValue::new(
                    &*attribute.key,
                    truncated(text, options.attribute_value_bytes_max),
                ),
                value => KeyValue::new(&*attribute.key, value.clone()),
            })
            .collect(),
    )
}

/// Builders for the columns of the `spans` table, in its order.
struct SpanColumns {
    day: Int32Builder,
    time: TimestampNanosecondBuilder,
    duration_ns: Int64Builder,
    trace_id: BinaryBuilder,
    span_id: BinaryBuilder,
    parent_span_id: BinaryBuilder,
    service_name: StringBuilder,
    environment: StringBuilder,
    /// Name, kind, status, status message and scope.
    texts: [StringBuilder; 5],
    attributes: TextMapBuilder,
    resource_attributes: SharedMaps,
    events: StringBuilder,
    links: StringBuilder,
}

impl SpanColumns {
    /// Builders with room for about the spans of a request of so many bytes.
    fn new(request_bytes: usize) -> Self {
        let rows = request_bytes / SPAN_BYTES_USUAL + 1;
        let part = request_bytes / 4;
        Self {
            day: Int32Builder::with_capacity(rows),
            time: TimestampNanosecondBuilder::with_capacity(rows),
            duration_ns: Int64Builder::with_capacity(rows),
            trace_id: BinaryBuilder::with_capacity(rows, rows * 16),
            span_id: BinaryBuilder::with_capacity(rows, rows * 8),
            parent_span_id: BinaryBuilder::with_capacity(rows, rows * 8),
            service_name: StringBuilder::new(),
            environment: StringBuilder::new(),
            texts: std::array::from_fn(|_| StringBuilder::with_capacity(rows, rows * 8)),
            attributes: map_builder(Table::Spans, rows * ATTRIBUTES_USUAL, part),
            resource_attributes: SharedMaps::default(),
            events: StringBuilder::with_capacity(rows, rows * 2),
            links: StringBuilder::with_capacity(rows, rows * 2),
        }
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.day.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.duration_ns.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.service_name.finish()),
            Arc::new(self.environment.finish()),
        ];
        for builder in &mut self.texts {
            columns.push(Arc::new(builder.finish()));
        }
        let rest: [ArrayRef; 4] = [
            Arc::new(self.attributes.finish()),
            Arc::new(
                self.resource_attributes
                    .finish(Table::Spans, column::RESOURCE_ATTRIBUTES)?,
            ),
            Arc::new(self.events.finish()),
            Arc::new(self.links.finish()),
        ];
        columns.extend(rest);
        shrink(&mut columns);
        RecordBatch::try_new(Table::Spans.schema(), columns)
    }
}
