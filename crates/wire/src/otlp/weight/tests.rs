use super::*;
use crate::otlp::{LogRecord, Resource, Scope, count_records, write_resource_logs};
use crate::protobuf::Writer;

fn nested(path: &[u32], inner: &[u8]) -> Vec<u8> {
    path.iter().rev().fold(inner.to_vec(), |inner, number| {
        let mut out = Vec::new();
        Writer::new(&mut out).bytes_always(*number, &inner);
        out
    })
}

/// `count` empty messages numbered `number`.
fn empty(number: u32, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    (0..count).for_each(|_| w.bytes_always(number, b""));
    out
}

#[test]
fn items_of_all_levels_are_counted() {
    let mut body = Vec::new();
    for records in [2, 0, 3] {
        write_resource_logs(&mut body, &Resource::default(), &Scope::default(), |w| {
            (0..records).for_each(|_| w.push(&LogRecord::default()));
        });
    }
    let weight = weigh(Signal::Logs, &body).expect("valid");
    assert_eq!(
        weight,
        Weight {
            items: 3 + 3 + 5,
            decoded_bytes: 0
        }
    );
    let points = nested(&[1, 2, 2, 7], &empty(1, 4));
    let weight = weigh(Signal::Metrics, &points).expect("valid");
    assert_eq!(weight.items, 1 + 1 + 1 + 4);
}

#[test]
fn too_many_records_are_refused_wherever_they_stand() {
    let many = REQUEST_ITEMS_MAX + 1;
    for (signal, body) in [
        (Signal::Logs, empty(1, many)),
        (Signal::Logs, nested(&[1], &empty(2, many))),
        (Signal::Logs, nested(&[1, 2], &empty(2, many))),
        (Signal::Traces, nested(&[1, 2], &empty(2, many))),
        (Signal::Metrics, nested(&[1, 2], &empty(2, many))),
        (Signal::Metrics, nested(&[1, 2, 2, 5], &empty(1, many))),
        (Signal::Metrics, nested(&[1, 2, 2, 11], &empty(1, many))),
    ] {
        let error = weigh(signal, &body).expect_err("too many");
        assert_eq!(
            error,
            DecodeError::TooManyItems {
                max: REQUEST_ITEMS_MAX
            }
        );
        assert!(error.to_string().starts_with("too many"), "{error}");
    }
    let body = nested(&[1, 2], &empty(2, REQUEST_ITEMS_MAX - 2));
    assert_eq!(
        weigh(Signal::Logs, &body).map(|w| w.items),
        Ok(REQUEST_ITEMS_MAX)
    );
}

#[test]
fn a_record_is_weighed_as_it_is_decoded() {
    // A list in a list in a list: few of the bounds on single lists are reached, the sum is.
    let list = nested(&[5], &empty(1, 15_000));
    let mut lists = Vec::new();
    (0..200).for_each(|_| Writer::new(&mut lists).bytes_always(1, &list));
    let value = nested(&[5], &lists);
    let body = nested(&[1, 2, 2, 5], &value);
    assert!(body.len() < 8 << 20);
    let error = weigh(Signal::Logs, &body).expect_err("too heavy");
    assert_eq!(
        error,
        DecodeError::TooHeavy {
            max: DECODED_BYTES_MAX
        }
    );
    assert!(error.to_string().starts_with("too many values"), "{error}");
    // Events and links of a span have no bound of their own.
    let events = nested(&[1, 2, 2], &empty(11, 1 << 20));
    assert!(weigh(Signal::Traces, &events).is_err());
    let counts = nested(&[1, 2, 2, 10, 1, 8, 2], &vec![1; 8 << 20]);
    assert!(weigh(Signal::Metrics, &counts).is_err());
    let wrong = nested(&[1, 2, 2, 3], &vec![0xff; 32 << 20]);
    assert!(weigh(Signal::Logs, &wrong).is_err());
}

#[test]
fn the_weight_is_no_less_than_what_decoding_takes() {
    let values = nested(&[5], &empty(1, 10_000));
    let body = nested(&[1, 2, 2, 5], &values);
    let weight = weigh(Signal::Logs, &body).expect("valid");
    let decoded = 10_000 * size_of::<crate::otlp::Value<'_>>();
    assert!(weight.decoded_bytes >= decoded, "{weight:?}");
    // What a resource takes is there while its records are decoded, wherever it stands.
    let resource = nested(&[1], &empty(1, 10_000));
    let records = nested(&[2], &empty(2, 1));
    for group in [
        [resource.clone(), records.clone()].concat(),
        [records, resource].concat(),
    ] {
        let weight = weigh(Signal::Logs, &nested(&[1], &group)).expect("valid");
        assert!(weight.decoded_bytes >= 10_000 * size_of::<crate::otlp::KeyValue<'_>>());
    }
}

#[test]
fn ordinary_requests_weigh_little() {
    let mut body = Vec::new();
    write_resource_logs(&mut body, &Resource::default(), &Scope::default(), |w| {
        for _ in 0..1_000 {
            w.push(&LogRecord {
                body: "x".repeat(900).into(),
                ..LogRecord::default()
            });
        }
        w.push(&LogRecord {
            body: "y".repeat(100_000).into(),
            ..LogRecord::default()
        });
    });
    let weight = weigh(Signal::Logs, &body).expect("valid");
    assert!(weight.decoded_bytes < 300_000, "{weight:?}");
    assert_eq!(count_records(Signal::Logs, &body), Ok(1_001));
}

#[test]
fn endless_nesting_is_an_error() {
    let mut value = Vec::new();
    for _ in 0..3_000 {
        value = nested(&[5, 1], &value);
    }
    let body = nested(&[1, 2, 2, 5], &value);
    assert_eq!(weigh(Signal::Logs, &body), Err(DecodeError::TooDeep));
}

#[test]
fn metrics_that_are_sent_as_spans_are_refused_and_poor_spans_are_not() {
    use crate::otlp::{Metric, MetricData, NumberPoint, Span};
    let (resource, scope) = (Resource::default(), Scope::default());
    let mut metrics = Vec::new();
    crate::otlp::write_resource_metrics(&mut metrics, &resource, &scope, |w| {
        w.push(&Metric {
            name: "http_requests".into(),
            data: MetricData::Gauge(vec![NumberPoint::default()]),
            ..Metric::default()
        });
    });
    weigh(Signal::Metrics, &metrics).expect("valid");
    assert_eq!(
        weigh(Signal::Traces, &metrics).expect_err("no spans"),
        DecodeError::NoSpan
    );
    for span in [
        Span::default(),
        Span {
            trace_id: &[1; 16],
            ..Span::default()
        },
        // Wrong, and still a span.
        Span {
            trace_id: &[1; 3],
            start_unix_nano: 1,
            ..Span::default()
        },
    ] {
        let mut body = Vec::new();
        crate::otlp::write_resource_spans(&mut body, &resource, &scope, |w| w.push(&span));
        weigh(Signal::Traces, &body).expect("spans");
    }
}
