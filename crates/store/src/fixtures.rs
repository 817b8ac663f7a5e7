//! Requests and stores for tests.

use vervet_model::{Signal, UnixNanos};
use vervet_wire::otlp::{
    KeyValue, LogRecord, Metric, MetricData, Number, NumberPoint, Resource, Scope, Span, SpanKind,
    StatusCode, Value, write_resource_logs, write_resource_metrics, write_resource_spans,
};

use crate::{DecodeOptions, Decoded, Store, StoreConfig, decode};

/// 2024-10-04 00:00:00 UTC.
pub(crate) const MIDNIGHT: i64 = 1_728_000_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

/// `MIDNIGHT` plus some seconds.
pub(crate) fn at(seconds: i64) -> UnixNanos {
    UnixNanos(MIDNIGHT + seconds * SECOND)
}

pub(crate) fn at_ms(seconds: i64) -> i64 {
    at(seconds).to_millis().0
}

pub(crate) fn attributes(pairs: &[(&'static str, &'static str)]) -> Vec<KeyValue<'static>> {
    pairs
        .iter()
        .map(|(key, value)| KeyValue::new(*key, *value))
        .collect()
}

pub(crate) fn resource(service: &'static str) -> Resource<'static> {
    Resource {
        attributes: attributes(&[
            ("service.name", service),
            ("deployment.environment.name", "production"),
            ("k8s.pod.name", "pod-1"),
            ("service.version", "1.2.3"),
        ]),
    }
}

pub(crate) fn decoded(signal: Signal, body: &[u8]) -> Decoded {
    decode(signal, body, &DecodeOptions::default(), at(3600)).unwrap()
}

/// One log record per `(seconds, severity number, body)`.
pub(crate) fn logs(service: &'static str, records: &[(i64, i32, &str)]) -> Decoded {
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource(service), &Scope::default(), |writer| {
        for (seconds, severity_number, text) in records {
            writer.push(&LogRecord {
                time_unix_nano: at(*seconds).0.unsigned_abs(),
                severity_number: *severity_number,
                body: Value::from((*text).to_owned()),
                attributes: attributes(&[("http.method", "GET")]),
                ..LogRecord::default()
            });
        }
    });
    decoded(Signal::Logs, &body)
}

/// Log records `(seconds, user, body)` of a service in an environment; the user is the attribute `user.id`.
pub(crate) fn logs_of(
    service: &'static str,
    environment: &'static str,
    records: &[(i64, &'static str, &str)],
) -> Decoded {
    let resource = Resource {
        attributes: attributes(&[
            ("service.name", service),
            ("deployment.environment.name", environment),
            ("team", "shop"),
        ]),
    };
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource, &Scope::default(), |writer| {
        for (seconds, user, text) in records {
            writer.push(&LogRecord {
                time_unix_nano: at(*seconds).0.unsigned_abs(),
                severity_number: 9,
                body: Value::from((*text).to_owned()),
                attributes: attributes(&[("user.id", user)]),
                ..LogRecord::default()
            });
        }
    });
    decoded(Signal::Logs, &body)
}

/// A span of [`spans`].
#[derive(Clone, Copy)]
pub(crate) struct TestSpan {
    pub(crate) trace: u8,
    pub(crate) id: u8,
    pub(crate) parent: Option<u8>,
    pub(crate) name: &'static str,
    pub(crate) kind: SpanKind,
    pub(crate) seconds: i64,
    pub(crate) millis: i64,
    pub(crate) failed: bool,
}

pub(crate) fn spans(service: &'static str, spans: &[TestSpan]) -> Decoded {
    let mut body = Vec::new();
    write_resource_spans(&mut body, &resource(service), &Scope::default(), |writer| {
        for span in spans {
            let start = at(span.seconds).0;
            let (trace_id, span_id) = ([span.trace; 16], [span.id; 8]);
            let parent = span.parent.map(|id| [id; 8]);
            writer.push(&Span {
                trace_id: &trace_id,
                span_id: &span_id,
                parent_span_id: parent.as_ref().map_or(&[], |id| id.as_slice()),
                name: span.name.into(),
                kind: span.kind,
                start_unix_nano: start.unsigned_abs(),
                end_unix_nano: (start + span.millis * 1_000_000).unsigned_abs(),
                attributes: attributes(&[("http.route", "/checkout")]),
                status: if span.failed {
                    StatusCode::Error
                } else {
                    StatusCode::Unset
                },
                ..Span::default()
            });
        }
    });
    decoded(Signal::Traces, &body)
}

/// Gauge points `(pod, seconds, value)` of the metric `queue.depth`.
pub(crate) fn gauge(points: &[(&'static str, i64, f64)]) -> Decoded {
    let points = points
        .iter()
        .map(|(pod, seconds, value)| NumberPoint {
            attributes: attributes(&[("pod", pod)]),
            time_unix_nano: at(*seconds).0.unsigned_abs(),
            value: Number::Double(*value),
            ..NumberPoint::default()
        })
        .collect();
    let metric = Metric {
        name: "queue.depth".into(),
        description: "Waiting jobs.".into(),
        unit: "{job}".into(),
        data: MetricData::Gauge(points),
        ..Metric::default()
    };
    let mut body = Vec::new();
    let resource = Resource {
        attributes: attributes(&[("service.name", "worker")]),
    };
    write_resource_metrics(&mut body, &resource, &Scope::default(), |writer| {
        writer.push(&metric);
    });
    decoded(Signal::Metrics, &body)
}

pub(crate) fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(StoreConfig::new(dir.path())).unwrap()
}
