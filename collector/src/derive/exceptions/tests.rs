use vervet_model::Signal;
use vervet_store::DecodeOptions;
use vervet_wire::otlp::{SpanEvent, write_resource_logs};
use vervet_wire::protobuf::Writer;

use super::super::hints::{log_may_report, logs_that_may_report};
use super::*;

const STACK: &str = "TypeError: x is not a function\n    at handler (/app/src/cart.js:10:5)\n    at run (/app/src/server.js:3:1)";
const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

fn resource() -> Resource<'static> {
    Resource {
        attributes: vec![
            KeyValue::new("service.name", "shop"),
            KeyValue::new("service.version", "1.2.0"),
            KeyValue::new("deployment.environment.name", "production"),
        ],
    }
}

fn log(record: LogRecord<'_>) -> Option<Occurrence> {
    let found = of_log(&resource(), &Scope::default(), &record, NOW);
    let mut message = Vec::new();
    record.write(&mut Writer::new(&mut message));
    let may_report = log_may_report(&message).expect("well-formed");
    assert!(may_report || found.is_none(), "overlooked: {record:?}");
    let mut request = Vec::new();
    write_resource_logs(&mut request, &resource(), &Scope::default(), |out| {
        out.push(&record);
    });
    let decoded = vervet_store::decode(Signal::Logs, &request, &DecodeOptions::default(), NOW);
    let hints = logs_that_may_report(&decoded.expect("well-formed"));
    assert_eq!(
        hints,
        Some(Vec::from_iter(may_report.then_some(0))),
        "{record:?}"
    );
    found
}

#[test]
fn every_field_that_is_looked_at_has_its_record_decoded_and_others_do_not() {
    let may_report = |key: String| {
        let record = LogRecord {
            attributes: vec![
                KeyValue::new("http.route", "/"),
                KeyValue::new(key, "value"),
            ],
            body: "one line".into(),
            ..LogRecord::default()
        };
        let mut message = Vec::new();
        record.write(&mut Writer::new(&mut message));
        log_may_report(&message).expect("well-formed")
    };
    let [errors, stacks] = field_names();
    for field in errors {
        for part in ["", ".type", ".stack", ".message", ".stacktrace"] {
            assert!(may_report(format!("{field}{part}")), "{field}{part}");
        }
    }
    for field in [TYPE, MESSAGE, STACKTRACE].iter().chain(stacks) {
        assert!(may_report((*field).to_owned()), "{field}");
    }
    for field in ["errors", "erratic", "status", "", "stack.depth", "time"] {
        assert!(!may_report(field.to_owned()), "{field}");
    }
}

#[test]
fn span_events_carry_the_span_and_the_resource() {
    let span = Span {
        trace_id: &[1; 16],
        span_id: &[2; 8],
        name: "GET /cart".into(),
        events: vec![
            SpanEvent {
                time_unix_nano: 5,
                name: "exception".into(),
                attributes: vec![
                    KeyValue::new(TYPE, "TypeError"),
                    KeyValue::new(STACKTRACE, STACK),
                ],
                ..SpanEvent::default()
            },
            SpanEvent {
                time_unix_nano: 6,
                name: "cache miss".into(),
                ..SpanEvent::default()
            },
        ],
        ..Span::default()
    };
    let found = of_span(&resource(), &span, NOW);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (
            found[0].exception_type.as_str(),
            found[0].stacktrace.as_str(),
            found[0].time
        ),
        ("TypeError", STACK, UnixNanos(5))
    );
    assert_eq!(
        (
            found[0].environment.as_str(),
            found[0].service_version.as_str()
        ),
        ("production", "1.2.0")
    );
    assert_eq!(found[0].attribute("span.name"), Some("GET /cart"));
    assert!(found[0].trace_id.is_some());
}

#[test]
fn error_objects_of_loggers_are_found_nested_and_flattened() {
    let error = || {
        vec![
            KeyValue::new("type", "TypeError"),
            KeyValue::new("message", "x is not a function"),
            KeyValue::new("stack", STACK),
        ]
    };
    let nested = LogRecord {
        attributes: vec![KeyValue {
            key: "err".into(),
            value: Value::Map(error()),
        }],
        ..LogRecord::default()
    };
    let flat = LogRecord {
        attributes: error()
            .into_iter()
            .map(|part| KeyValue {
                key: format!("err.{}", part.key).into(),
                value: part.value,
            })
            .collect(),
        ..LogRecord::default()
    };
    for record in [nested, flat] {
        let occurrence = log(record).expect("an exception");
        assert_eq!(
            (occurrence.source, occurrence.exception_type.as_str()),
            (OccurrenceSource::LogRecord, "TypeError")
        );
        assert_eq!(occurrence.stacktrace, STACK);
    }
}

#[test]
fn a_stack_field_of_frames_alone_takes_its_message_from_the_record() {
    let stack = "main.run\n\t/app/main.go:10\nmain.main\n\t/app/main.go:5";
    let record = |attributes: Vec<KeyValue<'static>>| LogRecord {
        body: "request failed".into(),
        attributes,
        ..LogRecord::default()
    };
    let field = || KeyValue::new("stacktrace", stack);
    for (attributes, message) in [
        (vec![field()], "request failed"),
        (
            vec![KeyValue::new("error", "no stock"), field()],
            "no stock",
        ),
    ] {
        let occurrence = log(record(attributes)).expect("an exception");
        assert_eq!(occurrence.message, message);
        assert_eq!(occurrence.stacktrace, stack);
    }
}

#[test]
fn bodies_with_a_stack_are_found_and_others_are_not() {
    let body = format!("request failed {STACK}");
    let occurrence = log(LogRecord {
        body: body.as_str().into(),
        ..LogRecord::default()
    })
    .expect("an exception");
    assert_eq!(
        (occurrence.source, occurrence.time),
        (OccurrenceSource::LogBody, NOW)
    );
    for body in [
        "all is well",
        "error: disk is slow",
        "at 10:05 we\n    at last met",
    ] {
        assert_eq!(
            log(LogRecord {
                body: body.into(),
                ..LogRecord::default()
            }),
            None,
            "{body}"
        );
    }
}
