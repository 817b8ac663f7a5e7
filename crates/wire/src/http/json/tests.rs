use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message as _;
use serde::de::DeserializeOwned;

use super::*;
use crate::room::Unlimited;

fn read(signal: Signal, json: &str) -> Result<Bytes, Refusal> {
    to_protobuf(signal, json.as_bytes(), json.len(), &mut Unlimited)
}

/// Compares with the generated messages.
fn check<M: prost::Message + Default + DeserializeOwned + PartialEq + std::fmt::Debug>(
    signal: Signal,
    json: &str,
) {
    let ours = read(signal, json).expect("read");
    let ours = M::decode(&ours[..]).expect("protobuf");
    let theirs: M = serde_json::from_str(json).expect("JSON");
    assert_eq!(ours, theirs);
}

#[test]
fn logs_are_what_the_generated_messages_read() {
    check::<ExportLogsServiceRequest>(
        Signal::Logs,
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}],
        "droppedAttributesCount":3},"schemaUrl":"u","scopeLogs":[{"scope":{"name":"s","version":"1","attributes":
        [{"key":"a","value":{"boolValue":true}}]},"schemaUrl":"v","logRecords":[{"timeUnixNano":"1544712660300000000",
        "observedTimeUnixNano":"5","severityNumber":17,"severityText":"ERROR","body":{"stringValue":"h\u00e9\n\"x\""},
        "traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","flags":1,"droppedAttributesCount":2,
        "eventName":"e","attributes":[{"key":"i","value":{"intValue":"-7"}},{"key":"j","value":{"intValue":8}},
        {"key":"d","value":{"doubleValue":0.5}},{"key":"w","value":{"doubleValue":3}},{"key":"n","value":{}},
        {"key":"b","value":{"bytesValue":"AQID/w=="}},{"key":"l","value":{"arrayValue":{"values":[{"stringValue":"x"},{}]}}},
        {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"1"}}]}}}]},{}]}]},{}]}"#,
    );
}

#[test]
fn traces_are_what_the_generated_messages_read() {
    check::<ExportTraceServiceRequest>(
        Signal::Traces,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
        "parentSpanId":"b7ad6b7169203332","traceState":"rv=1","flags":257,"name":"GET","kind":2,"startTimeUnixNano":"1",
        "endTimeUnixNano":"18446744073709551615","droppedAttributesCount":1,"droppedEventsCount":2,"droppedLinksCount":3,
        "attributes":[{"key":"a","value":{"stringValue":""}}],"status":{"code":2,"message":"m"},
        "events":[{"timeUnixNano":"9","name":"exception","droppedAttributesCount":4,"attributes":[{"key":"a","value":{"intValue":"0"}}]}],
        "links":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","traceState":"t","flags":1,
        "droppedAttributesCount":5,"attributes":[{"key":"b","value":{"boolValue":false}}]}]}]}]}]}"#,
    );
}

#[test]
fn metrics_are_what_the_generated_messages_read() {
    check::<ExportMetricsServiceRequest>(
        Signal::Metrics,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"g","description":"d","unit":"1","gauge":{"dataPoints":[{"asInt":"-5","timeUnixNano":"2","startTimeUnixNano":"1",
          "flags":1,"attributes":[{"key":"a","value":{"stringValue":"b"}}],"exemplars":[{"timeUnixNano":"3","asDouble":1.5,
          "spanId":"b7ad6b7169203331","traceId":"0af7651916cd43dd8448eb211c80319c","filteredAttributes":[{"key":"f","value":{"intValue":"1"}}]}]},
          {"asDouble":-0.25}]},"metadata":[{"key":"m","value":{"stringValue":"n"}}]},
        {"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":7}]}},
        {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"6","sum":0,"min":-1.5,"max":9,
          "bucketCounts":["1","2","3"],"explicitBounds":[0,2.5]}]}},
        {"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"count":"6","sum":3.5,"scale":-2,"zeroCount":"1",
          "zeroThreshold":0.1,"min":1,"max":2,"positive":{"offset":-3,"bucketCounts":["1","300"]},"negative":{"offset":4,"bucketCounts":["5"]}}]}},
        {"name":"q","summary":{"dataPoints":[{"count":"6","sum":3.5,"quantileValues":[{"quantile":0.5,"value":1},{"quantile":1,"value":2}]}]}}
        ]}]}]}"#,
    );
}

#[test]
fn a_request_of_another_signal_is_refused_with_its_name() {
    let groups = [
        (Signal::Logs, "resourceLogs"),
        (Signal::Metrics, "resourceMetrics"),
        (Signal::Traces, "resourceSpans"),
    ];
    for (signal, own) in groups {
        for (_, group) in groups {
            let outcome = read(signal, &format!("{{\"{group}\":[]}}"));
            assert_eq!(outcome.is_ok(), group == own, "{group} as {signal}");
            if let Err(refusal) = outcome {
                assert!(refusal.to_string().contains(group), "{refusal}");
            }
        }
    }
}

#[test]
fn null_is_absent_and_the_unknown_is_passed_over() {
    let json = r#"{"x":[{"y":[1,null,{}]}],"resourceLogs":[{"resource":null,"scopeLogs":[{"logRecords":
        [{"body":null,"attributes":null,"later":{"a":[[]]},"severityText":"X"}]}]}]}"#;
    let request = read(Signal::Logs, json).expect("read");
    let request = ExportLogsServiceRequest::decode(&request[..]).expect("protobuf");
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.severity_text, "X");
    assert!(record.body.is_none() && request.resource_logs[0].resource.is_none());
}

#[test]
fn numbers_out_of_range_and_wrong_types_are_refused_without_their_values() {
    for record in [
        r#"{"timeUnixNano":"-1"}"#,
        r#"{"timeUnixNano":"18446744073709551616"}"#,
        r#"{"timeUnixNano":1.5}"#,
        r#"{"flags":4294967296}"#,
        r#"{"severityText":5}"#,
        r#"{"body":"hunter2hunter2"}"#,
        r#"{"body":[]}"#,
        r#"{"attributes":{}}"#,
        r#"{"attributes":[null]}"#,
        r#"{"traceId":"xy"}"#,
        r#"{"traceId":"abc"}"#,
        r#"{"body":{"bytesValue":"a"}}"#,
        r#"{"body":{"bytesValue":"????"}}"#,
        r#"{"body":{"intValue":"hunter2hunter2"}}"#,
        r#"{"body":{"boolValue":"hunter2hunter2"}}"#,
    ] {
        let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
        let refusal = read(Signal::Logs, &json).expect_err(record);
        assert!(
            matches!(refusal, Refusal::Invalid(_)),
            "{record}: {refusal}"
        );
        let text = refusal.to_string();
        assert!(text.contains("line 1 column"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    for json in ["", "[]", "{", "{}{}", "null", "7"] {
        assert!(read(Signal::Traces, json).is_err(), "{json}");
    }
}

#[test]
fn values_deeper_than_the_parser_goes_are_refused() {
    let deep = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let close = "]}}".repeat(levels);
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}{close}}}]}}]}}]}}"#
        )
    };
    assert!(read(Signal::Logs, &deep(20)).is_ok());
    assert!(read(Signal::Logs, &deep(10_000)).is_err());
    for (open, close) in [(r#"{"a":"#, "}"), ("[", "]")] {
        let unknown = |levels: usize| {
            let value = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            format!(r#"{{"nobody":{value},"resourceLogs":[]}}"#)
        };
        assert!(read(Signal::Logs, &unknown(126)).is_ok());
        assert!(read(Signal::Logs, &unknown(128)).is_err());
        assert!(read(Signal::Logs, &unknown(100_000)).is_err());
    }
    let values = r#"{"nobody":[true,null,-1,1,1.5,"a\n",{"b":[],"c\u00e9":{}}]}"#;
    assert!(read(Signal::Logs, values).is_ok());
}

/// Counts what it was asked for.
#[derive(Default)]
struct Asked(usize);

impl Room for Asked {
    fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.0 = self.0.max(bytes);
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}

#[test]
fn empty_records_take_no_more_than_their_json() {
    let records = vec!["{}"; 1 << 20].join(",");
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    let mut asked = Asked::default();
    let body = to_protobuf(Signal::Logs, json.as_bytes(), json.len(), &mut asked).expect("read");
    assert!(body.len() <= json.len());
    assert!(asked.0 <= 4 * json.len(), "{} for {}", asked.0, json.len());
}

#[test]
fn what_grows_asks_for_room_first() {
    let bounds = vec!["0"; 1 << 18].join(",");
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"explicitBounds":[{bounds}]}}]}}}}]}}]}}]}}"#
    );
    let mut asked = Asked::default();
    let body = to_protobuf(Signal::Metrics, json.as_bytes(), 0, &mut asked).expect("read");
    assert!(body.len() > 3 * json.len());
    assert!(asked.0 >= body.len());

    struct Full;
    impl Room for Full {
        fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
            let retry_after = std::time::Duration::from_secs(1);
            match bytes > 100_000 {
                true => Err(Refusal::Overloaded { retry_after }),
                false => Ok(()),
            }
        }

        fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
            self
        }
    }
    let refusal = to_protobuf(Signal::Metrics, json.as_bytes(), 0, &mut Full).expect_err("full");
    assert!(matches!(refusal, Refusal::Overloaded { .. }), "{refusal}");
}

proptest! {
    #[test]
    fn any_text_ends_in_an_answer(text in ".{0,200}", at in 0_usize..200) {
        let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"kvlistValue":{"values":[{"key":"k","value":{"bytesValue":"AQ=="}}]}}}]}]}]}"#;
        let cut = json.get(..at.min(json.len())).unwrap_or_default();
        for text in [text.clone(), format!("{cut}{text}"), format!("{cut}{}", json.get(at.min(json.len()) + 1..).unwrap_or_default())] {
            for signal in Signal::ALL {
                if let Ok(body) = read(signal, &text) {
                    prop_assert!(body.len() <= EXPANSION_MAX * text.len() + OUTPUT_BYTES_MIN);
                }
            }
        }
    }

    #[test]
    fn base64_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let json = serde_json::to_string(&opentelemetry_proto::tonic::common::v1::AnyValue {
            value: Some(opentelemetry_proto::tonic::common::v1::any_value::Value::BytesValue(bytes.clone())),
        }).expect("JSON");
        let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{json}}}]}}]}}]}}"#);
        let body = read(Signal::Logs, &json).expect("read");
        let mut seen = Vec::new();
        crate::otlp::for_each_log(&body, |_, _, record| {
            if let crate::otlp::Value::Bytes(bytes) = &record.body {
                seen = bytes.to_vec();
            }
        }).expect("protobuf");
        prop_assert_eq!(seen, bytes);
    }
}
