//! Views over OTLP export requests, and their encoders.
//!
//! `for_each_*` walks a request once and hands each record to a closure as a struct of borrowed fields;
//! nothing outlives the request's bytes. A malformed request is an error as a whole: check it with the
//! same walk before acting on it. Invalid UTF-8 in strings is replaced by U+FFFD rather than refused.
//! The `write_*` functions append one resource's records to a request body.

mod logs;
mod metrics;
mod number;
pub(crate) mod schema;
mod traces;
mod value;
mod weight;

pub use logs::{LogRecord, LogRecordsWriter, for_each_log, write_resource_logs};
pub use metrics::{
    ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData,
    MetricsWriter, Number, NumberPoint, SummaryPoint, Temporality, for_each_metric,
    write_resource_metrics,
};
pub use number::NumberText;
pub use traces::{
    Link, Span, SpanEvent, SpanKind, SpanOutline, SpansWriter, StatusCode, for_each_span,
    write_resource_spans,
};
pub use value::{KeyValue, Value, find};
pub use weight::{Weight, weigh};

use std::borrow::Cow;

use bytes::Bytes;
use vervet_model::Signal;

use crate::protobuf::{DecodeError, Reader, Writer};
use value::{push_item, read_key_value, text, write_attributes};

/// The scope of scraped Prometheus samples: name and point attributes of such a metric are the final
/// metric name and labels, verbatim, and its resource adds none.
pub const PROMETHEUS_SCOPE: &str = "vervet.prometheus";

/// A full batch has 16 KiB to 2 MiB; a smaller one is moved at little cost.
const GROUP_LENGTH_WIDTH: usize = 3;
/// Records of a scope group whose places are noted (16 bytes each).
const NOTED_RECORDS_MAX: usize = 4_096;

/// What produced the telemetry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource<'a> {
    pub attributes: Vec<KeyValue<'a>>,
}

impl<'a> Resource<'a> {
    /// Reads the resource of a resource group (`ResourceLogs`, `ResourceSpans`, `ResourceMetrics`).
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(group: &'a [u8]) -> Result<Self, DecodeError> {
        read_resource(group)
    }

    /// Writes the attributes as fields of a `Resource` message.
    pub fn write_attributes(&self, w: &mut Writer<'_>) {
        write_attributes(w, 1, &self.attributes);
    }

    /// The text of a string attribute; empty when absent or of another type.
    pub fn str(&self, key: &str) -> &str {
        find(&self.attributes, key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// The instrumentation scope: the library that wrote the records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope<'a> {
    pub name: Cow<'a, str>,
    pub version: Cow<'a, str>,
    pub attributes: Vec<KeyValue<'a>>,
}

impl<'a> Scope<'a> {
    /// Reads the scope of a scope group (`ScopeLogs`, `ScopeSpans`, `ScopeMetrics`).
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(group: &'a [u8]) -> Result<Self, DecodeError> {
        read_scope(group)
    }

    /// Writes name, version and attributes as fields of an `InstrumentationScope` message: 1, 2 and 3.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.string(1, &self.name);
        w.string(2, &self.version);
        write_attributes(w, 3, &self.attributes);
    }
}

/// Counts the records of a request (log records, spans or data points), reading all of it.
///
/// # Errors
/// The request is malformed.
pub fn count_records(signal: Signal, request: &[u8]) -> Result<u64, DecodeError> {
    let mut count = 0_u64;
    match signal {
        Signal::Logs => for_each_log(request, |_, _, _| count += 1)?,
        Signal::Traces => for_each_span(request, |_, _, _| count += 1)?,
        Signal::Metrics => {
            for_each_metric(request, |_, _, metric| count += metric.data.points() as u64)?
        }
    }
    Ok(count)
}

/// The response of every export service: empty, or a partial success.
pub fn encode_response(rejected: u64, message: &str) -> Bytes {
    let mut out = Vec::new();
    if rejected > 0 || !message.is_empty() {
        Writer::new(&mut out).message(1, |w| {
            w.varint(1, rejected);
            w.string(2, message);
        });
    }
    out.into()
}

/// Reads a response: the number of rejected records and the reason given.
///
/// # Errors
/// The response is malformed.
pub fn decode_response(response: &[u8]) -> Result<(u64, String), DecodeError> {
    let mut partial = (0, String::new());
    each_message(response, 1, |message| {
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                // A number below zero says that none was.
                1 => partial.0 = u64::try_from(field.varint(number)?.cast_signed()).unwrap_or(0),
                2 => partial.1 = text(field.bytes(number)?).into_owned(),
                _ => {}
            }
        }
        Ok(())
    })?;
    Ok(partial)
}

/// Hands over every embedded message numbered `wanted`, in order, and skips the other fields.
fn each_message<'a>(
    message: &'a [u8],
    wanted: u32,
    mut each: impl FnMut(&'a [u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        if number == wanted {
            each(field.bytes(number)?)?;
        }
    }
    Ok(())
}

/// Hands every log record, span or metric of a request to `each` as the message that it is, for those who decode only
/// some of them.
///
/// # Errors
/// The request is malformed as far as it was read, or `each` failed.
pub fn for_each_message<'a>(
    request: &'a [u8],
    each: impl FnMut(&Resource<'a>, &Scope<'a>, &'a [u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    walk(request, each)
}

/// Walks `request` -> resource groups -> scope groups -> records, the nesting all three signals share:
/// resource = 1 and scope groups = 2 in a resource group, scope = 1 and records = 2 in a scope group.
/// Resource and scope may stand after the records they describe, so they are looked for first.
fn walk<'a>(
    request: &'a [u8],
    mut record: impl FnMut(&Resource<'a>, &Scope<'a>, &'a [u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut noted = Vec::new();
    each_message(request, 1, |group| {
        let resource = read_resource(group)?;
        each_message(group, 2, |scope_group| {
            let (scope, rest) = read_scope_group(scope_group, &mut noted)?;
            for message in noted.drain(..) {
                record(&resource, &scope, message)?;
            }
            each_message(rest, 2, |message| record(&resource, &scope, message))
        })
    })
}

/// The scope of a scope group. Notes its first [`NOTED_RECORDS_MAX`] records, for they are far apart in memory and looking for
/// them again costs as much as the first time; returns what stands behind these.
fn read_scope_group<'a>(
    group: &'a [u8],
    noted: &mut Vec<&'a [u8]>,
) -> Result<(Scope<'a>, &'a [u8]), DecodeError> {
    noted.clear();
    let mut scope = Scope::default();
    let mut behind: Option<usize> = None;
    let mut reader = Reader::new(group);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => merge_scope(&mut scope, field.bytes(number)?)?,
            2 if behind.is_none() => {
                noted.push(field.bytes(number)?);
                behind = (noted.len() == NOTED_RECORDS_MAX).then(|| reader.remaining());
            }
            _ => {}
        }
    }
    let rest = group.len() - behind.unwrap_or_default();
    Ok((scope, group.get(rest..).unwrap_or_default()))
}

fn read_resource(group: &[u8]) -> Result<Resource<'_>, DecodeError> {
    let mut resource = Resource::default();
    each_message(group, 1, |message| {
        each_message(message, 1, |attribute| {
            push_item(&mut resource.attributes, read_key_value(attribute)?)?;
            Ok(())
        })
    })?;
    Ok(resource)
}

fn read_scope(group: &[u8]) -> Result<Scope<'_>, DecodeError> {
    let mut scope = Scope::default();
    each_message(group, 1, |message| merge_scope(&mut scope, message))?;
    Ok(scope)
}

fn merge_scope<'a>(scope: &mut Scope<'a>, message: &'a [u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => scope.name = text(field.bytes(number)?),
            2 => scope.version = text(field.bytes(number)?),
            3 => push_item(&mut scope.attributes, read_key_value(field.bytes(number)?)?)?,
            _ => {}
        }
    }
    Ok(())
}

/// Writes one resource group holding one scope group.
fn write_group(
    out: &mut Vec<u8>,
    resource: &Resource<'_>,
    scope: &Scope<'_>,
    records: impl FnOnce(&mut Writer<'_>),
) {
    Writer::new(out).message_of(1, GROUP_LENGTH_WIDTH, |group| {
        group.message_of(1, 2, |w| write_attributes(w, 1, &resource.attributes));
        group.message_of(2, GROUP_LENGTH_WIDTH, |w| {
            w.message(1, |w| scope.write(w));
            records(w);
        });
    });
}

#[cfg(test)]
mod tests;
