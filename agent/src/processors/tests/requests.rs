//! Requests that use every field of the protocol, as its own generated types write them.

pub(in crate::processors) use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest as LogsRequest,
    metrics::v1::ExportMetricsServiceRequest as MetricsRequest,
    trace::v1::ExportTraceServiceRequest as TracesRequest,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::{attribute, text};

fn resource(name: &str) -> Option<Resource> {
    let attributes = vec![
        attribute("service.name", name),
        attribute("host.name", "n1"),
        attribute("old", "value"),
    ];
    Some(Resource {
        attributes,
        dropped_attributes_count: 2,
        ..Resource::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![attribute("scope.kind", "x")],
        dropped_attributes_count: 7,
    })
}

fn any(value: any_value::Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

pub(in crate::processors) fn nested(leaf: &str) -> Option<AnyValue> {
    let list = any_value::Value::ArrayValue(ArrayValue {
        values: [text(leaf), any(any_value::Value::IntValue(-5))]
            .into_iter()
            .flatten()
            .collect(),
    });
    let entry = KeyValue {
        key: "inner".to_owned(),
        value: any(list),
        ..KeyValue::default()
    };
    any(any_value::Value::KvlistValue(KeyValueList {
        values: vec![entry],
    }))
}

fn log(body: Option<AnyValue>, severity_number: i32) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        observed_time_unix_nano: 1_700_000_000_000_000_009,
        severity_number,
        severity_text: "INFO".to_owned(),
        body,
        attributes: vec![
            attribute("http.route", "/pay"),
            KeyValue {
                key: "size".to_owned(),
                value: any(any_value::Value::DoubleValue(1.5)),
                ..KeyValue::default()
            },
            KeyValue {
                key: "raw".to_owned(),
                value: any(any_value::Value::BytesValue(vec![0, 159, 146])),
                ..KeyValue::default()
            },
        ],
        dropped_attributes_count: 3,
        flags: 1,
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        event_name: "paid".to_owned(),
    }
}

pub(in crate::processors) fn logs() -> LogsRequest {
    let first = ResourceLogs {
        resource: resource("shop"),
        scope_logs: vec![ScopeLogs {
            scope: scope(),
            log_records: vec![log(text("hello"), 9), log(nested("deep"), 17)],
            schema_url: "https://schema.example/1".to_owned(),
        }],
        schema_url: "https://schema.example/2".to_owned(),
    };
    let second = ResourceLogs {
        resource: None,
        scope_logs: vec![ScopeLogs {
            log_records: vec![log(None, -3)],
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    };
    LogsRequest {
        resource_logs: vec![first, second],
    }
}

pub(in crate::processors) fn traces() -> TracesRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![3; 8],
        flags: 0x301,
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: 10,
        end_time_unix_nano: 30,
        attributes: vec![attribute("url.full", "https://shop.example/?q=1")],
        dropped_attributes_count: 4,
        events: vec![Event {
            time_unix_nano: 20,
            name: "exception".to_owned(),
            attributes: vec![attribute("exception.message", "boom")],
            dropped_attributes_count: 5,
        }],
        dropped_events_count: 6,
        links: vec![Link {
            trace_id: vec![4; 16],
            span_id: vec![5; 8],
            trace_state: "c=d".to_owned(),
            attributes: vec![attribute("why", "batch")],
            dropped_attributes_count: 7,
            flags: 0x100,
        }],
        dropped_links_count: 8,
        status: Some(Status {
            message: "failed".to_owned(),
            code: 2,
        }),
    };
    let odd = Span {
        kind: 77,
        status: Some(Status {
            message: String::new(),
            code: 0,
        }),
        ..span.clone()
    };
    TracesRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource("shop"),
            scope_spans: vec![ScopeSpans {
                scope: scope(),
                spans: vec![span, odd],
                schema_url: "https://schema.example/1".to_owned(),
            }],
            schema_url: "https://schema.example/2".to_owned(),
        }],
    }
}

fn exemplars() -> Vec<Exemplar> {
    let exemplar = |value| Exemplar {
        filtered_attributes: vec![attribute("user", "someone")],
        time_unix_nano: 9,
        span_id: vec![1; 8],
        trace_id: vec![2; 16],
        value: Some(value),
    };
    vec![
        exemplar(exemplar::Value::AsInt(4)),
        exemplar(exemplar::Value::AsDouble(0.5)),
    ]
}

fn number(value: Option<number_data_point::Value>) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![attribute("route", "/")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: exemplars(),
        flags: u32::from(value.is_none()),
        value,
    }
}

fn histograms() -> [Data; 2] {
    let histogram = HistogramDataPoint {
        attributes: vec![attribute("route", "/")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 6,
        sum: Some(0.0),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1.5],
        exemplars: exemplars(),
        flags: 0,
        min: Some(-0.0),
        max: None,
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: vec![attribute("route", "/")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 6,
        sum: None,
        scale: -3,
        zero_count: 1,
        positive: Some(Buckets {
            offset: -2,
            bucket_counts: vec![1, 300, 0],
        }),
        negative: Some(Buckets::default()),
        flags: 0,
        exemplars: exemplars(),
        min: Some(0.25),
        max: Some(9.0),
        zero_threshold: 1e-9,
    };
    [
        Data::Histogram(Histogram {
            data_points: vec![histogram],
            aggregation_temporality: 1,
        }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            aggregation_temporality: 9,
        }),
    ]
}

pub(in crate::processors) fn metrics() -> MetricsRequest {
    let summary = SummaryDataPoint {
        attributes: vec![attribute("route", "/")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 6,
        sum: 1.25,
        quantile_values: vec![ValueAtQuantile {
            quantile: 0.0,
            value: 2.0,
        }],
        flags: 0,
    };
    let [histogram, exponential] = histograms();
    let data = [
        Data::Gauge(Gauge {
            data_points: vec![
                number(Some(number_data_point::Value::AsInt(0))),
                number(None),
            ],
        }),
        Data::Sum(Sum {
            data_points: vec![number(Some(number_data_point::Value::AsDouble(0.5)))],
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
        histogram,
        exponential,
        Data::Summary(Summary {
            data_points: vec![summary],
        }),
    ];
    let metric = |data| Metric {
        name: "m".to_owned(),
        description: "what".to_owned(),
        unit: "s".to_owned(),
        metadata: vec![attribute("meta", "data")],
        data: Some(data),
    };
    MetricsRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource("shop"),
            scope_metrics: vec![ScopeMetrics {
                scope: scope(),
                metrics: data.into_iter().map(metric).collect(),
                schema_url: "https://schema.example/1".to_owned(),
            }],
            schema_url: "https://schema.example/2".to_owned(),
        }],
    }
}
