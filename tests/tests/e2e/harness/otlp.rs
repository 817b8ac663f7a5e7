//! OTLP requests as protobuf.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// A log record to be sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) time: i64,
    pub(crate) body: String,
    /// OpenTelemetry's severity number; 0 when not known.
    pub(crate) severity: i32,
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
}

/// A logs request of one service.
pub(crate) fn log_request(service: &str, records: impl IntoIterator<Item = Record>) -> Bytes {
    let log_record = |record: Record| LogRecord {
        time_unix_nano: record.time.unsigned_abs(),
        severity_number: record.severity,
        body: Some(text(&record.body)),
        trace_id: record.trace_id,
        span_id: record.span_id,
        ..LogRecord::default()
    };
    let log_records = records.into_iter().map(log_record).collect();
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource(service)),
            scope_logs: vec![ScopeLogs {
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    request.encode_to_vec().into()
}

/// A traces request of one service.
pub(crate) fn span_request(service: &str, spans: Vec<Span>) -> Bytes {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(service)),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec().into()
}

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(text(value)),
        ..KeyValue::default()
    }
}

fn text(value: &str) -> AnyValue {
    AnyValue {
        value: Some(any_value::Value::StringValue(value.to_owned())),
    }
}

fn resource(service: &str) -> Resource {
    Resource {
        attributes: vec![
            attribute("service.name", service),
            attribute("service.version", "1.0.0"),
            attribute("deployment.environment.name", "test"),
        ],
        ..Resource::default()
    }
}
