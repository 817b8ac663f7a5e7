//! Our codec against the messages generated from the protocol's own definition, and against itself.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;

use super::*;

fn value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Empty),
        ".{0,8}".prop_map(Value::from),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e300..1e300).prop_map(Value::Double),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((".{0,5}", inner), 0..4).prop_map(|entries| Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| KeyValue {
                        key: key.into(),
                        value
                    })
                    .collect()
            )),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue<'static>>> {
    prop::collection::vec((".{0,12}", value()), 0..5).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(key, value)| KeyValue {
                key: key.into(),
                value,
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_log_record_survives_encoding(
        resource in attributes(), scope_name in ".{0,9}", attributes in attributes(), body in value(),
        time in any::<u64>(), severity in 0..25_i32, flags in any::<u32>(),
    ) {
        let resource = Resource { attributes: resource };
        let scope = Scope { name: scope_name.into(), ..Scope::default() };
        let record = LogRecord {
            time_unix_nano: time, severity_number: severity, body, attributes, flags,
            trace_id: &[7; 16], span_id: &[8; 8], event_name: "e".into(), ..LogRecord::default()
        };
        let mut out = Vec::new();
        write_resource_logs(&mut out, &resource, &scope, |w| { w.push(&record); w.push(&record); });
        prop_assert!(ExportLogsServiceRequest::decode(&out[..]).is_ok());
        let mut seen = 0;
        for_each_log(&out, |r, s, l| { assert_eq!((r, s, &l), (&resource, &scope, &record)); seen += 1; }).expect("valid");
        prop_assert_eq!(seen, 2);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for signal in Signal::ALL {
            let _ = count_records(signal, &bytes);
        }
    }

    #[test]
    fn prost_and_we_agree_on_what_is_malformed(mut bytes in Just(sample_traces()), at in 0_usize..2_000, to in any::<u8>()) {
        let at = at % bytes.len();
        bytes[at] = to;
        // We accept invalid UTF-8 and unknown wire types of unknown fields less strictly; what we refuse, prost refuses.
        if count_records(Signal::Traces, &bytes).is_err() {
            prop_assert!(ExportTraceServiceRequest::decode(&bytes[..]).is_err());
        }
    }
}

fn sample_traces() -> Vec<u8> {
    let mut out = Vec::new();
    let resource = Resource {
        attributes: vec![KeyValue::new("service.name", "shop")],
    };
    write_resource_spans(&mut out, &resource, &Scope::default(), |w| {
        w.push(&Span {
            trace_id: &[1; 16],
            span_id: &[2; 8],
            parent_span_id: &[3; 8],
            name: "GET /".into(),
            kind: SpanKind::Server,
            start_unix_nano: 10,
            end_unix_nano: 30,
            attributes: vec![KeyValue::new("http.response.status_code", 500_i64)],
            events: vec![SpanEvent {
                time_unix_nano: 20,
                name: "exception".into(),
                attributes: vec![KeyValue::new("exception.type", "Error")],
                ..SpanEvent::default()
            }],
            links: vec![Link {
                trace_id: &[4; 16],
                span_id: &[5; 8],
                ..Link::default()
            }],
            status: StatusCode::Error,
            status_message: "boom".into(),
            ..Span::default()
        });
    });
    out
}

#[test]
fn spans_read_the_same_by_prost_and_by_us() {
    let body = sample_traces();
    let theirs = ExportTraceServiceRequest::decode(&body[..]).expect("valid");
    let span = &theirs.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(
        (span.name.as_str(), span.kind, span.end_time_unix_nano),
        ("GET /", 2, 30)
    );
    assert_eq!(
        span.status
            .as_ref()
            .map(|status| (status.code, status.message.as_str())),
        Some((2, "boom"))
    );
    assert_eq!(span.events[0].name, "exception");
    assert_eq!(span.links[0].span_id, [5; 8]);
    let mut seen = Vec::new();
    for_each_span(&theirs.encode_to_vec(), |resource, _, span| {
        seen.push((
            resource.str("service.name").to_owned(),
            span.name.to_string(),
            span.kind,
            span.status,
            span.events.len(),
        ));
    })
    .expect("valid");
    assert_eq!(
        seen,
        [(
            "shop".to_owned(),
            "GET /".to_owned(),
            SpanKind::Server,
            StatusCode::Error,
            1
        )]
    );
}

fn every_kind_of_metric() -> [MetricData<'static>; 5] {
    let attributes = || vec![KeyValue::new("route", "/")];
    let number = |value| NumberPoint {
        attributes: attributes(),
        start_unix_nano: 1,
        time_unix_nano: 2,
        value,
        ..NumberPoint::default()
    };
    let buckets = |offset| ExponentialBuckets {
        offset,
        bucket_counts: vec![1, 300, 0],
    };
    [
        MetricData::Gauge(vec![number(Number::Double(1.5)), number(Number::Int(-3))]),
        MetricData::Sum {
            points: vec![number(Number::Int(7))],
            temporality: Temporality::Cumulative,
            monotonic: true,
        },
        MetricData::Histogram {
            points: vec![HistogramPoint {
                attributes: attributes(),
                count: 6,
                sum: Some(9.5),
                bucket_counts: vec![1, 2, 3],
                explicit_bounds: vec![0.1, 1.0],
                min: Some(0.0),
                ..HistogramPoint::default()
            }],
            temporality: Temporality::Delta,
        },
        MetricData::ExponentialHistogram {
            points: vec![ExponentialHistogramPoint {
                count: 9,
                scale: -3,
                zero_count: 2,
                positive: buckets(-7),
                negative: buckets(4),
                ..Default::default()
            }],
            temporality: Temporality::Cumulative,
        },
        MetricData::Summary(vec![SummaryPoint {
            count: 4,
            sum: 2.0,
            quantiles: vec![(0.5, 1.0), (0.99, 3.0)],
            ..Default::default()
        }]),
    ]
}

#[test]
fn metrics_of_every_kind_read_the_same_by_prost_and_by_us() {
    let metrics = every_kind_of_metric();
    let mut out = Vec::new();
    write_resource_metrics(&mut out, &Resource::default(), &Scope::default(), |w| {
        for data in &metrics {
            w.push(&Metric {
                name: "m".into(),
                unit: "s".into(),
                data: data.clone(),
                ..Metric::default()
            });
        }
    });
    let theirs = ExportMetricsServiceRequest::decode(&out[..]).expect("valid");
    let kinds = &theirs.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::ExponentialHistogram(exponential)) = &kinds[3].data else {
        panic!("fourth is exponential: {kinds:?}")
    };
    assert_eq!(exponential.data_points[0].scale, -3);
    assert_eq!(
        exponential.data_points[0]
            .positive
            .as_ref()
            .map(|b| (b.offset, b.bucket_counts.clone())),
        Some((-7, vec![1, 300, 0]))
    );
    let mut seen = Vec::new();
    for_each_metric(&theirs.encode_to_vec(), |_, _, metric| {
        seen.push(format!("{:?}", metric.data))
    })
    .expect("valid");
    assert_eq!(seen, metrics.each_ref().map(|data| format!("{data:?}")));
    assert_eq!(count_records(Signal::Metrics, &out), Ok(6));
}

#[test]
fn invalid_utf8_is_replaced_and_deep_nesting_refused() {
    let mut out = Vec::new();
    write_resource_logs(&mut out, &Resource::default(), &Scope::default(), |w| {
        w.push(&LogRecord {
            body: Value::from("hello"),
            ..LogRecord::default()
        });
    });
    let at = out
        .windows(5)
        .position(|window| window == b"hello")
        .expect("body");
    out[at] = 0xff;
    for_each_log(&out, |_, _, record| {
        assert_eq!(record.body.as_str(), Some("\u{fffd}ello"))
    })
    .expect("valid");

    let mut deep = Value::from("x");
    for _ in 0..40 {
        deep = Value::Array(vec![deep]);
    }
    let mut out = Vec::new();
    write_resource_logs(&mut out, &Resource::default(), &Scope::default(), |w| {
        w.push(&LogRecord {
            body: deep,
            ..LogRecord::default()
        })
    });
    assert_eq!(count_records(Signal::Logs, &out), Err(DecodeError::TooDeep));
}

#[test]
fn values_as_text() {
    let map = Value::Map(vec![
        KeyValue::new("a", 1_i64),
        KeyValue::new(
            "b",
            Value::Array(vec![Value::from(true), Value::from("x\"y")]),
        ),
    ]);
    assert_eq!(map.to_text(), r#"{"a":1,"b":[true,"x\"y"]}"#);
    assert_eq!(Value::Bytes(vec![1, 255].into()).to_text(), "01ff");
}

#[test]
fn responses_round_trip() {
    assert!(encode_response(0, "").is_empty());
    assert_eq!(
        decode_response(&encode_response(3, "why")),
        Ok((3, "why".to_owned()))
    );
    // -1 and -2^63.
    for number in [u64::MAX, 1 << 63] {
        assert_eq!(
            decode_response(&encode_response(number, "why")),
            Ok((0, "why".to_owned()))
        );
    }
}

#[test]
fn a_scope_behind_thousands_of_records_is_that_of_all() {
    for records in [
        1,
        NOTED_RECORDS_MAX,
        NOTED_RECORDS_MAX + 1,
        2 * NOTED_RECORDS_MAX + 7,
    ] {
        let numbers = 1..=records as u64;
        let mut request = Vec::new();
        for scope in ["first", "second"] {
            Writer::new(&mut request).message(1, |group| {
                group.message(2, |w| {
                    for number in numbers.clone() {
                        w.message(2, |w| w.fixed64(1, number));
                    }
                    w.message(1, |w| w.string(1, scope));
                });
            });
        }
        let mut found = Vec::new();
        let read = for_each_log(&request, |_resource, scope, record| {
            found.push((scope.name.to_string(), record.time_unix_nano));
        });
        assert_eq!(read, Ok(()));
        let expect = ["first", "second"].into_iter();
        let expect = expect.flat_map(|scope| numbers.clone().map(|n| (scope.to_owned(), n)));
        assert!(found.iter().cloned().eq(expect), "{records}");
    }
}
