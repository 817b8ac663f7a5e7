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
use vervet_wire::otlp::{KeyValue, Resource, Scope, Span, Value, for_each_span};

use super::attributes::{
    Tally, TextMapBuilder, append_entries, checked_time, environment, same_resource, service_name,
    shrink, stored_attributes, truncated, wire_time,
};
use super::{Content, DecodeOptions, Decoded, ORIGINAL_TIME_ATTRIBUTE, adjustment, reason};
use crate::tables::{Table, column};

/// The resource attributes with a column of their own.
const COLUMN_ATTRIBUTES: [&str; 3] = [
    "service.name",
    "deployment.environment.name",
    "deployment.environment",
];

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
        columns: SpanColumns::new(),
        group: None,
        rejected: Tally::default(),
        adjusted: Tally::default(),
        bytes: 0,
        records: 0,
    };
    for_each_span(body, |resource, scope, span| {
        match decoder.push(resource, scope, &span) {
            Ok(()) => decoder.records += 1,
            Err(reason) => decoder.rejected.add(reason, 1),
        }
    })?;
    Ok(decoder.finish())
}

struct Decoder<'o, 'a> {
    options: &'o DecodeOptions,
    received_at: UnixNanos,
    columns: SpanColumns,
    group: Option<(Resource<'a>, Service)>,
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
        let Some((_resource, service)) = &self.group else {
            return Err(reason::INTERNAL);
        };
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
            &*service.name,
            &*service.environment,
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
        let attributes = stored_attributes(&span.attributes, &[], self.options, &mut self.adjusted);
        let extra = [
            (
                ORIGINAL_TIME_ATTRIBUTE,
                original_time.as_deref().unwrap_or_default(),
            ),
            ("w3c.tracestate", &*span.trace_state),
            ("otel.scope.version", &*scope.version),
        ];
        let extra = extra.into_iter().filter(|(_key, value)| !value.is_empty());
        self.bytes += append_entries(&mut columns.attributes, attributes)
            + append_entries(&mut columns.attributes, extra)
            + append_entries(
                &mut columns.resource_attributes,
                service.rest.iter().map(|(key, value)| (key, value)),
            )
            + texts.iter().map(|text| text.len()).sum::<usize>()
            + events.len()
            + links.len()
            + ROW_BYTES;
        columns.close_maps();
        Ok(())
    }

    /// Reads the resource when it is not that of the span before.
    fn enter(&mut self, resource: &Resource<'a>) {
        let same = |(known, _service): &(Resource<'a>, Service)| same_resource(known, resource);
        if self.group.as_ref().is_some_and(same) {
            return;
        }
        let attributes = &resource.attributes;
        let rest = stored_attributes(
            attributes,
            &COLUMN_ATTRIBUTES,
            self.options,
            &mut self.adjusted,
        );
        let service = Service {
            name: service_name(attributes, self.options),
            environment: environment(attributes, self.options),
            rest: rest
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.into_owned()))
                .collect(),
        };
        self.group = Some((resource.clone(), service));
    }

    fn finish(mut self) -> Decoded {
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
fn events_json(span: &Span<'_>, options: &DecodeOptions) -> String {
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
fn links_json(span: &Span<'_>, options: &DecodeOptions) -> String {
    let links = span.links.iter().take(options.attributes_max);
    json_list(links.map(|link| {
        vec![
            ("trace_id", Value::Bytes(Cow::Borrowed(link.trace_id))),
            ("span_id", Value::Bytes(Cow::Borrowed(link.span_id))),
            ("attributes", limited(&link.attributes, options)),
        ]
    }))
}

fn json_list<'v>(items: impl Iterator<Item = Vec<(&'static str, Value<'v>)>>) -> String {
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
    json
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
    /// Service, environment, name, kind, status, status message and scope.
    texts: [StringBuilder; 7],
    attributes: TextMapBuilder,
    resource_attributes: TextMapBuilder,
    events: StringBuilder,
    links: StringBuilder,
}

impl SpanColumns {
    fn new() -> Self {
        let map = |name| {
            let builder = Table::Spans.map_builder(name);
            builder.unwrap_or_else(|| {
                TextMapBuilder::new(None, StringBuilder::new(), StringBuilder::new())
            })
        };
        Self {
            day: Int32Builder::new(),
            time: TimestampNanosecondBuilder::new(),
            duration_ns: Int64Builder::new(),
            trace_id: BinaryBuilder::new(),
            span_id: BinaryBuilder::new(),
            parent_span_id: BinaryBuilder::new(),
            texts: Default::default(),
            attributes: map(column::ATTRIBUTES),
            resource_attributes: map(column::RESOURCE_ATTRIBUTES),
            events: StringBuilder::new(),
            links: StringBuilder::new(),
        }
    }

    /// Ends the row in both maps.
    fn close_maps(&mut self) {
        for map in [&mut self.attributes, &mut self.resource_attributes] {
            // Keys and values are appended in pairs. A difference would fail in `finish`.
            let _ = map.append(true);
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
        ];
        for builder in &mut self.texts {
            columns.push(Arc::new(builder.finish()));
        }
        let rest: [ArrayRef; 4] = [
            Arc::new(self.attributes.finish()),
            Arc::new(self.resource_attributes.finish()),
            Arc::new(self.events.finish()),
            Arc::new(self.links.finish()),
        ];
        columns.extend(rest);
        shrink(&mut columns);
        RecordBatch::try_new(Table::Spans.schema(), columns)
    }
}
