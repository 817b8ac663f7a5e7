use arrow::array::{Array as _, RecordBatch};
use proptest::prelude::*;
use vervet_model::METRIC_NAME;
use vervet_wire::otlp::{
    ExponentialHistogramPoint, HistogramPoint, KeyValue, Link, LogRecord, Metric, MetricData,
    MetricsWriter, Number, NumberPoint, PROMETHEUS_SCOPE, Resource, Scope, Span, SpanEvent,
    SummaryPoint, Temporality, Value, write_resource_logs, write_resource_metrics,
    write_resource_spans,
};

use super::*;
use crate::columns::{Columns, map_entries};
use crate::fixtures::{at, attributes, decoded, resource};
use crate::tables::{Table, column};

fn decode_logs(resource: &Resource<'_>, records: &[LogRecord<'_>]) -> (Decoded, RecordBatch) {
    let mut body = Vec::new();
    write_resource_logs(&mut body, resource, &Scope::default(), |writer| {
        records.iter().for_each(|record| writer.push(record));
    });
    let decoded = decoded(Signal::Logs, &body);
    let batch = decoded.batch().unwrap().clone();
    (decoded, batch)
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = Columns::new("test", batch).text(name).unwrap();
    column
        .iter()
        .map(|text| text.unwrap_or("null").to_owned())
        .collect()
}

fn map_of(batch: &RecordBatch, name: &str, row: usize) -> Vec<(String, String)> {
    map_entries(Columns::new("test", batch).map(name).unwrap(), row)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn log_records_become_rows() {
    let resource = Resource {
        attributes: attributes(&[
            ("service.name", "api"),
            ("deployment.environment", "staging"),
            ("host.name", "node-1"),
            ("service.version", "2"),
        ]),
    };
    let map = Value::Map(vec![KeyValue::new("a", 1_i64), KeyValue::new("b", "x")]);
    let (decoded, batch) = decode_logs(
        &resource,
        &[
            LogRecord {
                time_unix_nano: at(5).0.unsigned_abs(),
                severity_number: 17,
                severity_text: "ERR".into(),
                body: map,
                attributes: attributes(&[("k", "v"), ("k", "again")]),
                trace_id: &[1; 16],
                span_id: &[0; 8],
                ..LogRecord::default()
            },
            LogRecord {
                observed_time_unix_nano: at(7).0.unsigned_abs(),
                severity_text: "warning".into(),
                body: Value::from("plain"),
                ..LogRecord::default()
            },
            LogRecord::default(),
        ],
    );
    assert_eq!((decoded.records, decoded.rejected_total()), (3, 0));
    assert_eq!(
        texts(&batch, column::BODY),
        [r#"{"a":1,"b":"x"}"#, "plain", ""]
    );
    assert_eq!(texts(&batch, column::LEVEL), ["error", "warn", "unknown"]);
    assert_eq!(texts(&batch, column::ENVIRONMENT), ["staging"; 3]);
    assert_eq!(texts(&batch, column::SERVICE_NAME), ["api"; 3]);
    let columns = Columns::new("test", &batch);
    let times = columns.nanos(column::TIME).unwrap();
    assert_eq!(times.values().as_ref(), [at(5).0, at(7).0, at(3600).0]);
    let streams = columns.u64(column::STREAM_ID).unwrap();
    assert_eq!(streams.value(0), streams.value(2));
    let traces = columns.binary(column::TRACE_ID).unwrap();
    assert_eq!(
        (traces.value(0), traces.is_null(1)),
        ([1; 16].as_slice(), true)
    );
    assert!(columns.binary(column::SPAN_ID).unwrap().is_null(0));
    let expect = pairs(&[("k", "v"), ("severity_text", "ERR")]);
    assert_eq!(map_of(&batch, column::ATTRIBUTES, 0), expect);
    let rest = pairs(&[("service.version", "2")]);
    assert_eq!(map_of(&batch, column::RESOURCE_ATTRIBUTES, 2), rest);
}

#[test]
fn log_records_are_cut_to_the_limits() {
    let long = "ä".repeat(600_000);
    let many: Vec<_> = (0..200)
        .map(|n| KeyValue::new(format!("k{n}"), i64::from(n)))
        .collect();
    let (decoded, batch) = decode_logs(
        &Resource::default(),
        &[LogRecord {
            time_unix_nano: 1,
            body: Value::from(long),
            attributes: many,
            ..LogRecord::default()
        }],
    );
    assert_eq!(
        decoded.adjusted,
        [
            (adjustment::ATTRIBUTES_DROPPED, 1),
            (adjustment::BODY_TRUNCATED, 1),
            (adjustment::TIMESTAMP_REPLACED, 1)
        ]
    );
    assert_eq!(texts(&batch, column::BODY)[0].len(), 1 << 20);
    let stored = map_of(&batch, column::ATTRIBUTES, 0);
    assert_eq!(stored.len(), 129);
    assert_eq!(stored[128], pairs(&[(ORIGINAL_TIME_ATTRIBUTE, "1")])[0]);
    assert_eq!(texts(&batch, column::SERVICE_NAME), ["unknown_service"]);
}

#[test]
fn one_record_that_cannot_be_kept_costs_no_other() {
    let mut deep = Value::from("x");
    for _ in 0..40 {
        deep = Value::Array(vec![deep]);
    }
    let many = |count: usize| -> Vec<KeyValue<'static>> {
        (0..count)
            .map(|n| KeyValue::new(format!("k{n}"), "v"))
            .collect()
    };
    let record = |body: &'static str, attributes| LogRecord {
        body: body.into(),
        attributes,
        ..LogRecord::default()
    };
    let (logs, batch) = decode_logs(
        &resource("api"),
        &[
            record("first", Vec::new()),
            LogRecord {
                body: deep.clone(),
                ..LogRecord::default()
            },
            record("10,000 keys", many(10_000)),
            record("20,000 keys", many(20_000)),
            record("last", Vec::new()),
        ],
    );
    assert_eq!(
        logs.rejected,
        [(reason::NESTED_TOO_DEEPLY, 1), (reason::TOO_MANY_VALUES, 1)]
    );
    assert_eq!(logs.adjusted, [(adjustment::ATTRIBUTES_DROPPED, 1)]);
    let bodies = texts(&batch, column::BODY);
    assert_eq!(bodies, ["first", "10,000 keys", "last"]);
    assert_eq!(map_of(&batch, column::ATTRIBUTES, 1).len(), 128);

    let mut body = Vec::new();
    write_resource_spans(&mut body, &resource("api"), &Scope::default(), |writer| {
        for attributes in [Vec::new(), vec![KeyValue::new("deep", deep)], many(20_000)] {
            writer.push(&Span {
                trace_id: &[1; 16],
                span_id: &[2; 8],
                attributes,
                ..Span::default()
            });
        }
    });
    let spans = decoded(Signal::Traces, &body);
    assert_eq!((spans.records, spans.rejected_total()), (1, 2));
}

#[test]
fn strange_times_texts_and_keys_are_kept_within_limits() {
    const YEAR_2100: u64 = 4_102_444_800_000_000_000;
    let received = at(3600);
    let record = |time_unix_nano, attributes| LogRecord {
        time_unix_nano,
        observed_time_unix_nano: received.0.unsigned_abs(),
        body: "invalid \u{1}text".into(),
        attributes,
        ..LogRecord::default()
    };
    let bytes = Value::Bytes(vec![0, 255].into());
    let strange = vec![
        KeyValue::new("a\0b", "nul\0value"),
        KeyValue::new("", "no key"),
        KeyValue::new("nan", f64::NAN),
        KeyValue::new("inf", f64::NEG_INFINITY),
        KeyValue::new("bytes", bytes),
        KeyValue::new("least", i64::MIN),
        KeyValue::new("a\0b", "again"),
        KeyValue::new("", "again"),
    ];
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource("api"), &Scope::default(), |writer| {
        writer.push(&record(0, strange));
        writer.push(&record(1, Vec::new()));
        writer.push(&record(YEAR_2100, Vec::new()));
        writer.push(&record(u64::MAX, Vec::new()));
    });
    // Bytes that are no UTF-8.
    let places: Vec<usize> = (0..body.len())
        .filter(|place| body[*place..].starts_with(b"\x01text"))
        .collect();
    for place in &places {
        body[*place] = 0xff;
    }
    assert_eq!(places.len(), 4);
    let logs = decoded(Signal::Logs, &body);
    let batch = logs.batch().unwrap();
    assert_eq!((logs.records, logs.rejected_total()), (4, 0));
    assert_eq!(logs.adjusted, [(adjustment::TIMESTAMP_REPLACED, 3)]);
    assert_eq!(texts(batch, column::BODY), ["invalid \u{fffd}text"; 4]);
    let times = Columns::new("test", batch).nanos(column::TIME).unwrap();
    assert_eq!(times.values().as_ref(), [received.0; 4]);
    let expect = pairs(&[
        ("a\0b", "nul\0value"),
        ("", "no key"),
        ("nan", "NaN"),
        ("inf", "-inf"),
        ("bytes", "00ff"),
        ("least", "-9223372036854775808"),
    ]);
    assert_eq!(map_of(batch, column::ATTRIBUTES, 0), expect);
    for (row, time) in [(1, 1), (2, YEAR_2100)] {
        let expect = pairs(&[(ORIGINAL_TIME_ATTRIBUTE, &time.to_string())]);
        assert_eq!(map_of(batch, column::ATTRIBUTES, row), expect);
    }
    // They can be written, and read by others.
    let folder = tempfile::tempdir().unwrap();
    let layout = crate::tables::Layout::fixed(Table::Logs);
    crate::segment::write_segment(folder.path(), &layout, received.day(), batch).unwrap();
}

proptest! {
    #[test]
    fn shared_columns_and_attributes_are_those_of_each_record(
        groups in prop::collection::vec(
            ("[ab]{0,2}", 0..4_usize, prop::collection::vec(("[a-c]{0,2}", "[x-z\u{e4}]{0,3}"), 0..7)),
            0..6,
        ),
    ) {
        let mut body = Vec::new();
        let mut expected = Vec::new();
        for (pod, count, list) in &groups {
            let shared = Resource {
                attributes: vec![KeyValue::new("k8s.pod.name", pod.as_str()), KeyValue::new("version", pod.as_str())],
            };
            let attributes: Vec<_> = list.iter().map(|(key, value)| KeyValue::new(key.as_str(), value.as_str())).collect();
            let mut unique: Vec<(String, String)> = Vec::new();
            for entry in list {
                if unique.iter().all(|(key, _value)| *key != entry.0) {
                    unique.push(entry.clone());
                }
            }
            write_resource_logs(&mut body, &shared, &Scope::default(), |writer| {
                for _ in 0..*count {
                    writer.push(&LogRecord { attributes: attributes.clone(), ..LogRecord::default() });
                }
            });
            expected.extend(std::iter::repeat_n((pod.clone(), unique), *count));
        }
        let logs = decoded(Signal::Logs, &body);
        let batch = logs.batch().unwrap();
        prop_assert_eq!(batch.num_rows(), expected.len());
        let pods = texts(batch, column::K8S_POD_NAME);
        for (row, (pod, entries)) in expected.into_iter().enumerate() {
            prop_assert_eq!(&pods[row], &pod);
            prop_assert_eq!(map_of(batch, column::ATTRIBUTES, row), entries);
            let shared = vec![("version".to_owned(), pod)];
            prop_assert_eq!(map_of(batch, column::RESOURCE_ATTRIBUTES, row), shared);
        }
    }
}

#[test]
fn a_request_that_grows_too_large_is_taken_in_part() {
    let resource = Resource {
        attributes: vec![KeyValue::new("big", "x".repeat(1000))],
    };
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource, &Scope::default(), |writer| {
        (0..100).for_each(|_| writer.push(&LogRecord::default()));
    });
    let options = DecodeOptions {
        decoded_bytes_max: 10_000,
        ..DecodeOptions::default()
    };
    let decoded = decode(Signal::Logs, &body, &options, at(0)).unwrap();
    assert_eq!(decoded.records + decoded.rejected_total(), 100);
    assert!((5..20).contains(&decoded.records), "{}", decoded.records);
    assert_eq!(decoded.rejected[0].0, reason::REQUEST_TOO_LARGE);
}

#[test]
fn spans_become_rows_and_those_without_ids_are_refused() {
    let span = Span {
        trace_id: &[1; 16],
        span_id: &[2; 8],
        name: "GET /".into(),
        start_unix_nano: at(1).0.unsigned_abs(),
        end_unix_nano: at(3).0.unsigned_abs(),
        events: vec![SpanEvent {
            time_unix_nano: 5,
            name: "exception".into(),
            attributes: attributes(&[("exception.type", "TypeError")]),
            ..SpanEvent::default()
        }],
        links: vec![Link {
            trace_id: &[3; 16],
            span_id: &[4; 8],
            ..Link::default()
        }],
        ..Span::default()
    };
    let mut body = Vec::new();
    write_resource_spans(
        &mut body,
        &Resource::default(),
        &Scope::default(),
        |writer| {
            writer.push(&span);
            writer.push(&Span {
                trace_id: &[0; 16],
                ..span.clone()
            });
            writer.push(&Span {
                span_id: &[1; 3],
                ..span.clone()
            });
        },
    );
    let decoded = decoded(Signal::Traces, &body);
    assert_eq!(decoded.records, 1);
    assert_eq!(
        decoded.rejected,
        [(reason::INVALID_SPAN_ID, 1), (reason::INVALID_TRACE_ID, 1)]
    );
    let batch = decoded.batch().unwrap();
    let durations = Columns::new("test", batch)
        .i64(column::DURATION_NS)
        .unwrap();
    assert_eq!(durations.value(0), 2_000_000_000);
    assert_eq!(
        texts(batch, column::EVENTS),
        [
            r#"[{"time_unix_nano":5,"name":"exception","attributes":{"exception.type":"TypeError"}}]"#
        ]
    );
    assert_eq!(
        texts(batch, column::LINKS),
        [
            r#"[{"trace_id":"03030303030303030303030303030303","span_id":"0404040404040404","attributes":{}}]"#
        ]
    );
}

fn metrics(
    scope: &str,
    resource: &Resource<'_>,
    fill: impl FnOnce(&mut MetricsWriter<'_, '_>),
) -> Decoded {
    let scope = Scope {
        name: scope.to_owned().into(),
        ..Scope::default()
    };
    let mut body = Vec::new();
    write_resource_metrics(&mut body, resource, &scope, fill);
    decoded(Signal::Metrics, &body)
}

/// One line per sample: `name{labels} value@seconds [type]`.
fn lines(decoded: &Decoded) -> Vec<String> {
    let Content::Metrics(metrics) = &decoded.content else {
        panic!("not metrics");
    };
    metrics
        .samples
        .iter()
        .map(|sample| {
            let SampleSeries::Listed(series) = sample.series else {
                panic!("nothing is known");
            };
            let series = &metrics.series[series as usize];
            let labels = metrics.labels.to_labels(series.labels);
            assert_eq!(series.id, labels.fingerprint());
            let value = match sample.value.to_bits() {
                0x7ff0_0000_0000_0002 => "stale".to_owned(),
                _ => sample.value.to_string(),
            };
            let seconds = (sample.time_ms - at(0).to_millis().0) / 1000;
            format!(
                "{}{} {value}@{seconds} [{}]",
                labels.metric_name(),
                labels.filter(|name| name != METRIC_NAME),
                series.kind
            )
        })
        .collect()
}

fn point(seconds: i64, value: f64) -> NumberPoint<'static> {
    NumberPoint {
        attributes: attributes(&[("http.method", "GET")]),
        time_unix_nano: at(seconds).0.unsigned_abs(),
        value: Number::Double(value),
        ..NumberPoint::default()
    }
}

#[test]
fn sums_and_gauges_are_named_and_labelled_for_prometheus() {
    let resource = Resource {
        attributes: attributes(&[
            ("service.name", "api"),
            ("service.namespace", "shop"),
            ("service.instance.id", "a-1"),
            ("k8s.pod.name", "pod-1"),
            ("os.type", "linux"),
        ]),
    };
    let metric = |name: &'static str, unit: &'static str, data| Metric {
        name: name.into(),
        unit: unit.into(),
        data,
        ..Metric::default()
    };
    let decoded = metrics("", &resource, |writer| {
        writer.push(&metric(
            "http.requests",
            "{request}",
            MetricData::Sum {
                points: vec![point(1, 5.0)],
                temporality: Temporality::Cumulative,
                monotonic: true,
            },
        ));
        let ended = NumberPoint {
            flags: NumberPoint::NO_RECORDED_VALUE,
            ..point(2, 0.0)
        };
        writer.push(&metric("cpu.use", "1", MetricData::Gauge(vec![ended])));
        writer.push(&metric(
            "open",
            "By",
            MetricData::Sum {
                points: vec![point(2, -1.0)],
                temporality: Temporality::Cumulative,
                monotonic: false,
            },
        ));
    });
    let labels = r#"{http_method="GET", instance="a-1", job="shop/api", k8s_pod_name="pod-1", service_name="api"}"#;
    assert_eq!(
        lines(&decoded),
        [
            format!("http_requests_total{labels} 5@1 [counter]"),
            format!("cpu_use_ratio{labels} stale@2 [gauge]"),
            format!("open_bytes{labels} -1@2 [gauge]"),
            r#"target_info{instance="a-1", job="shop/api", k8s_pod_name="pod-1", os_type="linux"} 1@2 [gauge]"#
                .to_owned(),
        ]
    );
    assert_eq!(decoded.records, 3);
    let known: Vec<_> = decoded
        .metric_metadata()
        .iter()
        .map(|m| &*m.metric)
        .collect();
    assert_eq!(
        known,
        [
            "cpu_use_ratio",
            "http_requests_total",
            "open_bytes",
            "target_info"
        ]
    );
}

#[test]
fn histograms_become_cumulative_buckets() {
    let histogram = HistogramPoint {
        time_unix_nano: at(1).0.unsigned_abs(),
        count: 10,
        sum: Some(4.5),
        bucket_counts: vec![1, 2, 7],
        explicit_bounds: vec![0.005, 2.0],
        ..HistogramPoint::default()
    };
    let torn = HistogramPoint {
        bucket_counts: vec![1],
        ..histogram.clone()
    };
    let decoded = metrics("", &Resource::default(), |writer| {
        writer.push(&Metric {
            name: "latency".into(),
            unit: "s".into(),
            data: MetricData::Histogram {
                points: vec![histogram, torn],
                temporality: Temporality::Cumulative,
            },
            ..Metric::default()
        });
    });
    assert_eq!(
        lines(&decoded),
        [
            r#"latency_seconds_bucket{le="0.005"} 1@1 [histogram]"#,
            r#"latency_seconds_bucket{le="2"} 3@1 [histogram]"#,
            r#"latency_seconds_bucket{le="+Inf"} 10@1 [histogram]"#,
            "latency_seconds_count{} 10@1 [histogram]",
            "latency_seconds_sum{} 4.5@1 [histogram]",
        ]
    );
    assert_eq!(decoded.rejected, [(reason::INVALID_HISTOGRAM, 1)]);
}

#[test]
fn summaries_become_quantiles() {
    let decoded = metrics("", &Resource::default(), |writer| {
        writer.push(&Metric {
            name: "gc".into(),
            data: MetricData::Summary(vec![SummaryPoint {
                time_unix_nano: at(1).0.unsigned_abs(),
                count: 3,
                sum: 1.5,
                quantiles: vec![(0.5, 0.1), (1.0, 0.9)],
                ..SummaryPoint::default()
            }]),
            ..Metric::default()
        });
    });
    assert_eq!(
        lines(&decoded),
        [
            r#"gc{quantile="0.5"} 0.1@1 [summary]"#,
            r#"gc{quantile="1"} 0.9@1 [summary]"#,
            "gc_count{} 3@1 [summary]",
            "gc_sum{} 1.5@1 [summary]",
        ]
    );
}

#[test]
fn points_with_too_many_buckets_or_quantiles_are_refused() {
    use super::histograms::{BUCKETS_MAX, QUANTILES_MAX};
    let ascending = |count: usize| (0..count).map(|n| f64::from(u32::try_from(n).unwrap()));
    let histogram = |bounds: usize| HistogramPoint {
        time_unix_nano: at(1).0.unsigned_abs(),
        bucket_counts: vec![0; bounds + 1],
        explicit_bounds: ascending(bounds).collect(),
        ..HistogramPoint::default()
    };
    let summary = |quantiles: usize| SummaryPoint {
        time_unix_nano: at(1).0.unsigned_abs(),
        quantiles: ascending(quantiles).map(|q| (q, 0.0)).collect(),
        ..SummaryPoint::default()
    };
    let decoded = metrics("", &Resource::default(), |writer| {
        writer.push(&Metric {
            name: "latency".into(),
            data: MetricData::Histogram {
                points: vec![histogram(BUCKETS_MAX), histogram(BUCKETS_MAX + 1)],
                temporality: Temporality::Cumulative,
            },
            ..Metric::default()
        });
        writer.push(&Metric {
            name: "gc".into(),
            data: MetricData::Summary(vec![summary(QUANTILES_MAX), summary(QUANTILES_MAX + 1)]),
            ..Metric::default()
        });
    });
    assert_eq!(decoded.records, 2);
    assert_eq!(decoded.rejected, [(reason::TOO_MANY_BUCKETS, 2)]);
    // `+Inf` and `_count` of the histogram, which has no sum; `_count` and `_sum` of the summary.
    assert_eq!(lines(&decoded).len(), BUCKETS_MAX + 2 + QUANTILES_MAX + 2);
}

#[test]
fn points_that_cannot_be_kept_are_counted_by_reason() {
    let delta = MetricData::Sum {
        points: vec![point(1, 1.0), point(2, 1.0)],
        temporality: Temporality::Delta,
        monotonic: true,
    };
    let wide = NumberPoint {
        attributes: (0..64)
            .map(|n| KeyValue::new(format!("l{n}"), "v"))
            .collect(),
        ..point(1, 1.0)
    };
    let long = NumberPoint {
        attributes: vec![KeyValue::new("l", "v".repeat(5000))],
        ..point(1, 1.0)
    };
    let data = [
        ("delta", delta),
        (
            "exponential",
            MetricData::ExponentialHistogram {
                points: vec![ExponentialHistogramPoint::default()],
                temporality: Temporality::Cumulative,
            },
        ),
        ("wide", MetricData::Gauge(vec![wide])),
        ("long", MetricData::Gauge(vec![long])),
        ("future", MetricData::Gauge(vec![point(7 * 86_400, 1.0)])),
        ("", MetricData::Gauge(vec![point(1, 1.0)])),
        ("kept", MetricData::Gauge(vec![point(1, 1.0)])),
    ];
    let decoded = metrics("", &Resource::default(), |writer| {
        for (name, data) in data {
            writer.push(&Metric {
                name: name.into(),
                data,
                ..Metric::default()
            });
        }
    });
    assert_eq!(
        decoded.rejected,
        [
            (reason::DELTA_TEMPORALITY, 2),
            (reason::EXPONENTIAL_HISTOGRAM, 1),
            (reason::INVALID_METRIC_NAME, 1),
            (reason::LABEL_TOO_LONG, 1),
            (reason::TIMESTAMP_OUT_OF_RANGE, 1),
            (reason::TOO_MANY_LABELS, 1),
        ]
    );
    assert_eq!(lines(&decoded), [r#"kept{http_method="GET"} 1@1 [gauge]"#]);
}

#[test]
fn scraped_samples_are_taken_verbatim() {
    let resource = Resource {
        attributes: attributes(&[("service.name", "agent"), ("k8s.pod.name", "p")]),
    };
    let scraped = NumberPoint {
        attributes: attributes(&[("job", "node"), ("instance", "n:9100"), ("cpu", "0")]),
        value: Number::Double(metrics::STALE_NAN),
        ..point(1, 0.0)
    };
    let decoded = metrics(PROMETHEUS_SCOPE, &resource, |writer| {
        writer.push(&Metric {
            name: "node_cpu__x".into(),
            unit: "s".into(),
            data: MetricData::Sum {
                points: vec![scraped],
                temporality: Temporality::Cumulative,
                monotonic: true,
            },
            ..Metric::default()
        });
    });
    assert_eq!(
        lines(&decoded),
        [r#"node_cpu__x{cpu="0", instance="n:9100", job="node"} stale@1 [counter]"#]
    );
}

#[test]
fn attributes_that_become_one_label_are_joined() {
    let both = NumberPoint {
        attributes: attributes(&[("a.b", "2"), ("a-b", "1")]),
        ..point(1, 1.0)
    };
    let decoded = metrics("", &Resource::default(), |writer| {
        writer.push(&Metric {
            name: "m".into(),
            data: MetricData::Gauge(vec![both]),
            ..Metric::default()
        });
    });
    assert_eq!(lines(&decoded), [r#"m{a_b="1;2"} 1@1 [gauge]"#]);
}

#[test]
fn malformed_requests_are_refused_as_a_whole() {
    for signal in Signal::ALL {
        assert!(
            decode(
                signal,
                &[0x0a, 0x05, 0x01],
                &DecodeOptions::default(),
                at(0)
            )
            .is_err()
        );
        assert_eq!(decoded(signal, &[]).records, 0);
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
        for signal in Signal::ALL {
            let _ = decode(signal, &bytes, &DecodeOptions::default(), at(0));
        }
    }
}
