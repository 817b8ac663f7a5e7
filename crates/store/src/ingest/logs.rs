//! Log records into the columns of the `logs` table.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Builder, RecordBatch, StringBuilder, TimestampNanosecondBuilder,
    UInt64Builder,
};
use arrow::error::ArrowError;
use vervet_model::{Labels, Severity, Signal, SpanId, TraceId, UnixNanos};
use vervet_wire::DecodeError;
use vervet_wire::otlp::{LogRecord, Resource, Scope, for_each_message};

use super::attributes::{
    Tally, TextMapBuilder, append_attributes, append_entries, attribute_text, checked_time,
    environment, map_builder, same_resource, service_name, shrink, stored_attributes, truncated,
    wire_time,
};
use super::seen_keys::SeenKeys;
use super::shared_maps::SharedMaps;
use super::{
    Content, DecodeOptions, Decoded, ORIGINAL_TIME_ATTRIBUTE, adjustment, reason, refusal_of,
};
use crate::tables::{Table, column};

/// The resource attributes with a column of their own.
const COLUMN_ATTRIBUTES: [&str; 7] = [
    "service.name",
    "deployment.environment.name",
    "deployment.environment",
    "host.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
];

/// What builders reserve room for; what is too much is given back, what is too little grows.
const RECORD_BYTES_USUAL: usize = 300;
const ATTRIBUTES_USUAL: usize = 12;

/// Memory of a row besides its texts.
const ROW_BYTES: usize = 96;

pub(super) fn decode(
    body: &[u8],
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder {
        options,
        received_at,
        columns: LogColumns::new(body.len()),
        group: None,
        keys: SeenKeys::default(),
        rejected: Tally::default(),
        adjusted: Tally::default(),
        bytes: 0,
        records: 0,
    };
    let mut record = LogRecord::default();
    for_each_message(body, |resource, scope, message| {
        match record.read_again(message) {
            Ok(()) => decoder.push(resource, scope, &record),
            Err(error) => decoder.rejected.add(refusal_of(error)?, 1),
        }
        Ok(())
    })?;
    Ok(decoder.finish())
}

struct Decoder<'o, 'a> {
    options: &'o DecodeOptions,
    received_at: UnixNanos,
    columns: LogColumns,
    group: Option<(Resource<'a>, Stream)>,
    keys: SeenKeys,
    rejected: Tally,
    adjusted: Tally,
    bytes: usize,
    records: u64,
}

/// What all records of a resource share. Texts in the order of the columns.
struct Stream {
    texts: [String; 6],
    id: u64,
    rest: Vec<(String, String)>,
    bytes: usize,
    /// Records whose columns of the resource are not filled yet.
    rows: usize,
}

impl Stream {
    fn new(resource: &Resource<'_>, options: &DecodeOptions, adjusted: &mut Tally) -> Self {
        let attributes = &resource.attributes;
        let text = |key: &str| {
            truncated(
                &attribute_text(attributes, key),
                options.label_value_bytes_max,
            )
            .to_owned()
        };
        let texts = [
            service_name(attributes, options),
            environment(attributes, options),
            text("host.name"),
            text("k8s.namespace.name"),
            text("k8s.pod.name"),
            text("k8s.container.name"),
        ];
        let labels = Labels::from_pairs(STREAM_LABELS.iter().zip(&texts));
        let rest: Vec<_> = stored_attributes(attributes, &COLUMN_ATTRIBUTES, options, adjusted)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into_owned()))
            .collect();
        let rest_bytes: usize = rest
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let bytes = texts.iter().map(String::len).sum::<usize>() + rest_bytes;
        Self {
            id: labels.fingerprint(),
            texts,
            rest,
            bytes,
            rows: 0,
        }
    }
}

/// The labels of a log stream, in the order of their columns.
pub(crate) const STREAM_LABELS: [&str; 6] = [
    "service_name",
    "deployment_environment_name",
    "host_name",
    "k8s_namespace_name",
    "k8s_pod_name",
    "k8s_container_name",
];

/// The columns that hold [`STREAM_LABELS`].
pub(crate) const STREAM_COLUMNS: [&str; 6] = [
    column::SERVICE_NAME,
    column::ENVIRONMENT,
    column::HOST_NAME,
    column::K8S_NAMESPACE_NAME,
    column::K8S_POD_NAME,
    column::K8S_CONTAINER_NAME,
];

impl<'a> Decoder<'_, 'a> {
    fn push(&mut self, resource: &Resource<'a>, scope: &Scope<'a>, record: &LogRecord<'a>) {
        if self.bytes > self.options.decoded_bytes_max {
            self.rejected.add(reason::REQUEST_TOO_LARGE, 1);
            return;
        }
        let same = |(known, _stream): &(Resource<'a>, Stream)| same_resource(known, resource);
        if !self.group.as_ref().is_some_and(same) {
            self.fill_stream();
            let stream = Stream::new(resource, self.options, &mut self.adjusted);
            self.group = Some((resource.clone(), stream));
        }
        let Some((_resource, stream)) = &mut self.group else {
            return;
        };
        stream.rows += 1;
        let observed = wire_time(record.observed_time_unix_nano);
        let time = wire_time(record.time_unix_nano)
            .or(observed)
            .unwrap_or(self.received_at);
        let (time, original_time) = checked_time(time, self.options, self.received_at);
        if original_time.is_some() {
            self.adjusted.add(adjustment::TIMESTAMP_REPLACED, 1);
        }
        let body = record.body.to_text();
        let body_cut = truncated(&body, self.options.body_bytes_max);
        if body_cut.len() < body.len() {
            self.adjusted.add(adjustment::BODY_TRUNCATED, 1);
        }
        let severity = severity(record);
        let columns = &mut self.columns;
        columns.day.append_value(time.day());
        columns.time.append_value(time.0);
        columns
            .observed_time
            .append_value(observed.unwrap_or(self.received_at).0);
        columns.severity_number.append_value(severity.number());
        columns.level.append_value(severity.level());
        columns
            .trace_id
            .append_option(TraceId::from_bytes(record.trace_id).map(|id| id.0));
        columns
            .span_id
            .append_option(SpanId::from_bytes(record.span_id).map(|id| id.0));
        columns
            .event_name
            .append_option((!record.event_name.is_empty()).then_some(&*record.event_name));
        columns.scope_name.append_value(&scope.name);
        columns.body.append_value(body_cut);
        let attributes = append_attributes(
            &mut columns.attributes,
            &record.attributes,
            &mut self.keys,
            self.options,
            &mut self.adjusted,
        );
        let extra = [
            original_time
                .as_deref()
                .map(|time| (ORIGINAL_TIME_ATTRIBUTE, time)),
            unusual_severity_text(record, severity),
        ];
        self.bytes += attributes
            + append_entries(&mut columns.attributes, extra.into_iter().flatten())
            + body_cut.len()
            + stream.bytes
            + ROW_BYTES;
        // Keys and values are appended in pairs. A difference would fail in `finish`.
        let _ = columns.attributes.append(true);
        self.records += 1;
    }

    /// Fills the columns that all records of a resource share, once for all of them.
    fn fill_stream(&mut self) {
        let Some((_resource, stream)) = &mut self.group else {
            return;
        };
        let rows = std::mem::take(&mut stream.rows);
        let columns = &mut self.columns;
        for (builder, text) in columns.stream.iter_mut().zip(&stream.texts) {
            builder.append_value_n(text, rows);
        }
        columns.stream_id.append_value_n(stream.id, rows);
        // Fails beyond 2 GiB of text, which no request may have; the columns would not fit together then.
        let _ = columns.resource_attributes.append(&stream.rest, rows);
    }

    fn finish(mut self) -> Decoded {
        self.fill_stream();
        let batch = self.columns.finish().unwrap_or_else(|error| {
            tracing::error!(%error, "log columns do not fit together");
            self.rejected.add(reason::INTERNAL, self.records);
            self.records = 0;
            RecordBatch::new_empty(Table::Logs.schema())
        });
        Decoded {
            signal: Signal::Logs,
            records: self.records,
            rejected: self.rejected.into_vec(),
            adjusted: self.adjusted.into_vec(),
            received_at: self.received_at,
            content: Content::Logs(batch),
        }
    }
}

/// The severity by number, else by text.
fn severity(record: &LogRecord<'_>) -> Severity {
    match Severity::from_number(record.severity_number) {
        Severity::UNSPECIFIED => Severity::from_text(&record.severity_text).unwrap_or_default(),
        severity => severity,
    }
}

/// The logger's own word for the severity, when it is not the level's.
fn unusual_severity_text<'r>(
    record: &'r LogRecord<'_>,
    severity: Severity,
) -> Option<(&'static str, &'r str)> {
    let text = &*record.severity_text;
    (!text.is_empty() && !text.eq_ignore_ascii_case(severity.level()))
        .then_some(("severity_text", text))
}

/// Builders for the columns of the `logs` table, in its order.
struct LogColumns {
    day: Int32Builder,
    time: TimestampNanosecondBuilder,
    observed_time: TimestampNanosecondBuilder,
    severity_number: Int32Builder,
    level: StringBuilder,
    stream: [StringBuilder; 6],
    stream_id: UInt64Builder,
    trace_id: BinaryBuilder,
    span_id: BinaryBuilder,
    event_name: StringBuilder,
    scope_name: StringBuilder,
    body: StringBuilder,
    attributes: TextMapBuilder,
    resource_attributes: SharedMaps,
}

impl LogColumns {
    /// Builders with room for about the records of a request of so many bytes.
    fn new(request_bytes: usize) -> Self {
        let rows = request_bytes / RECORD_BYTES_USUAL + 1;
        let part = request_bytes / 4;
        Self {
            day: Int32Builder::with_capacity(rows),
            time: TimestampNanosecondBuilder::with_capacity(rows),
            observed_time: TimestampNanosecondBuilder::with_capacity(rows),
            severity_number: Int32Builder::with_capacity(rows),
            level: StringBuilder::with_capacity(rows, rows * 4),
            stream: Default::default(),
            stream_id: UInt64Builder::with_capacity(rows),
            trace_id: BinaryBuilder::with_capacity(rows, rows * 16),
            span_id: BinaryBuilder::with_capacity(rows, rows * 8),
            event_name: StringBuilder::with_capacity(rows, 0),
            scope_name: StringBuilder::with_capacity(rows, 0),
            body: StringBuilder::with_capacity(rows, part),
            attributes: map_builder(Table::Logs, rows * ATTRIBUTES_USUAL, part),
            resource_attributes: SharedMaps::default(),
        }
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.day.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.observed_time.finish()),
            Arc::new(self.severity_number.finish()),
            Arc::new(self.level.finish()),
        ];
        for builder in &mut self.stream {
            columns.push(Arc::new(builder.finish()));
        }
        let rest: [ArrayRef; 8] = [
            Arc::new(self.stream_id.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.event_name.finish()),
            Arc::new(self.scope_name.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(
                self.resource_attributes
                    .finish(Table::Logs, column::RESOURCE_ATTRIBUTES)?,
            ),
        ];
        columns.extend(rest);
        shrink(&mut columns);
        RecordBatch::try_new(Table::Logs.schema(), columns)
    }
}
