//! Chains on whole requests: what is not touched stays, byte for byte.

mod disk;
pub(super) mod requests;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message;
use vervet_model::SystemClock;

use super::*;
use crate::config::substitute::SystemSources;
use requests::{LogsRequest, MetricsRequest, TracesRequest, logs, metrics, traces};

/// The chain of a pipeline that names every processor of `processors`, in order of their names.
pub(super) fn chain(signal: Signal, processors: &str) -> Chain {
    try_chain(signal, processors).expect("valid")
}

pub(super) fn try_chain(signal: Signal, processors: &str) -> Result<Chain, String> {
    let text = format!("processors:\n{processors}\n");
    let config = AgentConfig::parse("agent.yaml", &text, &SystemSources);
    let config = config.map_err(|error| error.to_string())?;
    let names: Vec<String> = config.processors.keys().cloned().collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = AgentMetrics::default();
    Chain::build(
        &names,
        &config.processors,
        signal,
        &metrics,
        &clock,
        &PodDirectory::none(),
    )
    .map_err(|error| error.to_string())
}

pub(super) fn text(value: &str) -> Option<AnyValue> {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    Some(AnyValue { value })
}

pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: text(value),
        ..KeyValue::default()
    }
}

/// A field no version of the protocol knows.
fn unknown_field() -> Vec<u8> {
    let mut out = Vec::new();
    vervet_wire::protobuf::Writer::new(&mut out).bytes(1_000, b"later");
    out
}

const NOTHING_TO_DO: &str = "  a: {type: resource, update: {nobody.has.this: x}}";
const SET: &str =
    "  a: {type: resource, set: {env: prod}, delete: [host.name], rename: {old: new}}";

#[test]
fn an_empty_chain_counts_and_gives_the_body_back() {
    let body = Bytes::from(logs().encode_to_vec());
    let out = Chain::default()
        .request(Signal::Logs, body.clone())
        .expect("valid");
    assert_eq!(out.payload.as_ptr(), body.as_ptr());
    assert_eq!(out.records, 3);
}

#[test]
fn a_chain_that_changes_nothing_copies_nothing() {
    for (signal, body, records) in [
        (Signal::Logs, logs().encode_to_vec(), 3),
        (Signal::Traces, traces().encode_to_vec(), 2),
        (Signal::Metrics, metrics().encode_to_vec(), 6),
    ] {
        let body = Bytes::from(body);
        let out = chain(signal, NOTHING_TO_DO)
            .request(signal, body.clone())
            .expect("valid");
        assert_eq!(out.payload.as_ptr(), body.as_ptr(), "{signal}");
        assert_eq!(out.records, records, "{signal}");
        assert!(out.drops.is_empty());
    }
}

#[test]
fn changing_a_resource_keeps_everything_else() {
    let mut expected = logs();
    for group in &mut expected.resource_logs {
        let resource = group.resource.get_or_insert_default();
        resource.attributes.retain(|a| a.key != "host.name");
        for a in &mut resource.attributes {
            if a.key == "old" {
                a.key = "new".to_owned();
            }
        }
        resource.attributes.push(attribute("env", "prod"));
    }
    let chain = chain(Signal::Logs, SET);
    let out = chain
        .request(Signal::Logs, logs().encode_to_vec().into())
        .expect("valid");
    assert_eq!(LogsRequest::decode(out.payload).expect("valid"), expected);
    assert_eq!(out.records, 3);
}

#[test]
fn unknown_fields_of_groups_and_resources_survive_a_changed_resource() {
    let mut resource = logs().resource_logs[0]
        .resource
        .clone()
        .expect("one")
        .encode_to_vec();
    resource.extend(unknown_field());
    let mut group = Vec::new();
    let mut w = vervet_wire::protobuf::Writer::new(&mut group);
    w.raw(&unknown_field());
    w.bytes(1, &resource);
    let mut body = Vec::new();
    vervet_wire::protobuf::Writer::new(&mut body).bytes(1, &group);
    body.extend(unknown_field());
    let out = chain(Signal::Logs, SET)
        .request(Signal::Logs, body.into())
        .expect("valid");
    let marks = out
        .payload
        .windows(5)
        .filter(|window| *window == b"later")
        .count();
    assert_eq!(marks, 3);
}

/// Reads and writes every record by our views, and compares what the generated types see.
fn check_codec<M: Message + Default + PartialEq + fmt::Debug>(
    original: &M,
    recode: impl Fn(&[u8], &mut vervet_wire::protobuf::Writer<'_>),
) {
    let mut bytes = original.encode_to_vec();
    bytes.extend(unknown_field());
    let mut out = Vec::new();
    recode(&bytes, &mut vervet_wire::protobuf::Writer::new(&mut out));
    assert_eq!(&M::decode(&out[..]).expect("valid"), original);
    assert!(out.windows(5).any(|window| window == b"later"));
}

#[test]
fn records_encoded_again_lose_nothing() {
    let request = logs();
    let groups = request.resource_logs.iter();
    let scopes = groups.flat_map(|group| &group.scope_logs);
    for record in scopes.flat_map(|scope| &scope.log_records) {
        check_codec(record, |bytes, w| {
            LogRecord::read(bytes).expect("valid").write(w);
        });
    }
    for span in &traces().resource_spans[0].scope_spans[0].spans {
        check_codec(span, |bytes, w| Span::read(bytes).expect("valid").write(w));
    }
    for metric in &metrics().resource_metrics[0].scope_metrics[0].metrics {
        check_codec(metric, |bytes, w| {
            Metric::read(bytes).expect("valid").write(w);
        });
    }
}

#[test]
fn drops_add_up_by_reason() {
    let (a, b) = (DropReason::new("p", "a"), DropReason::new("p", "b"));
    let mut drops = Drops::default();
    drops.add(&a, 1, 10);
    drops.add(&b, 2, 20);
    drops.add(&a, 3, 30);
    let metrics = AgentMetrics::default();
    assert_eq!(drops.records(), 6);
    drops.count(&metrics, "otlp", Signal::Logs);
    let text = metrics.encode_text();
    for line in [
        "receiver_dropped_bytes_total{receiver=\"otlp\",signal=\"logs\",reason=\"p:a\"} 40",
        "receiver_received_records_total{receiver=\"otlp\",signal=\"logs\"} 6",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn resource_actions_do_what_they_say() {
    let check = |actions: &str, expected: &[(&str, &str)]| {
        let chain = chain(Signal::Logs, &format!("  a: {{type: resource, {actions}}}"));
        let attributes = vec![
            vervet_wire::otlp::KeyValue::new("a", "1"),
            vervet_wire::otlp::KeyValue::new("b", "2"),
        ];
        let mut resource = Resource { attributes };
        chain.resource(&mut resource);
        let found: Vec<_> = resource
            .attributes
            .iter()
            .map(|a| (a.key.as_ref(), a.value.as_str().unwrap_or_default()))
            .collect();
        assert_eq!(found, expected, "{actions}");
    };
    check("set: {a: x, c: y}", &[("a", "x"), ("b", "2"), ("c", "y")]);
    check(
        "insert: {a: x, c: y}",
        &[("a", "1"), ("b", "2"), ("c", "y")],
    );
    check("update: {a: x, c: y}", &[("a", "x"), ("b", "2")]);
    check("delete: [a, z]", &[("b", "2")]);
    check("rename: {a: c, z: y}", &[("c", "1"), ("b", "2")]);
    check("rename: {b: a}", &[("a", "2")]);
    check("rename: {a: a}", &[("a", "1"), ("b", "2")]);
    check("set: {v: 1.30}", &[("a", "1"), ("b", "2"), ("v", "1.30")]);
}

#[test]
fn mistakes_of_a_resource_processor_are_told() {
    for (processors, expected) in [
        ("  a: {type: resource}", "say what to do"),
        ("  a: {type: resource, sett: {a: b}}", "did you mean `set`?"),
        ("  a: {type: resource, delete: [\"\"]}", "key is empty"),
    ] {
        let error = try_chain(Signal::Logs, processors).expect_err(processors);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_changed_resource_is_decoded_alike_for_all_signals() {
    let chain = |signal| chain(signal, "  a: {type: resource, set: {env: prod}}");
    let mut expected = traces();
    for group in &mut expected.resource_spans {
        let resource = group.resource.get_or_insert_default();
        resource.attributes.push(attribute("env", "prod"));
    }
    let out = chain(Signal::Traces).request(Signal::Traces, traces().encode_to_vec().into());
    let payload = out.expect("valid").payload;
    assert_eq!(TracesRequest::decode(payload).expect("valid"), expected);
    let mut expected = metrics();
    for group in &mut expected.resource_metrics {
        let resource = group.resource.get_or_insert_default();
        resource.attributes.push(attribute("env", "prod"));
    }
    let out = chain(Signal::Metrics).request(Signal::Metrics, metrics().encode_to_vec().into());
    let payload = out.expect("valid").payload;
    assert_eq!(MetricsRequest::decode(payload).expect("valid"), expected);
}

#[test]
fn a_malformed_request_is_an_error_wherever_it_is_cut() {
    let body = logs().encode_to_vec();
    let chain = chain(Signal::Logs, SET);
    let whole = chain.request(Signal::Logs, body.clone().into());
    let whole = whole.expect("valid").records;
    for end in 0..body.len() {
        // A cut between two groups is a shorter request; never may records appear or a panic happen.
        if let Ok(out) = chain.request(Signal::Logs, body[..end].to_vec().into()) {
            assert!(out.records < whole || end + 1 >= body.len(), "{end}");
        }
    }
}

/// The examples of the documentation, as they stand there.
#[test]
fn documented_examples_are_valid() {
    let page = include_str!("../../docs/processors.md");
    let blocks: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in blocks {
        let config = AgentConfig::parse("processors.md", block, &SystemSources);
        let config = config.unwrap_or_else(|error| panic!("{error}\n{block}"));
        for (name, processor) in &config.processors {
            assert_eq!(processor.check(name, Signal::Logs), [], "fits logs");
        }
    }
}

/// Something of every kind, so that records are changed, dropped and left alone.
const EVERYTHING: &str = concat!(
    "  a: {type: transform, statements: ['set(attributes[\"n\"], 1)', 'set(resource.attributes[\"r\"], \"x\")']}\n",
    "  b: {type: filter, drop: ['attributes[\"http.route\"] == \"/pay\" and attributes[\"n\"] == nil']}\n",
    "  c: {type: redaction, detect: [credit_card, email, ip, phone, jwt], patterns: {e: 'e+'}}\n",
    "  d: {type: ratelimit, records_per_second: 1000000}\n",
);

proptest::proptest! {
    #[test]
    fn damaged_requests_are_refused_or_stay_readable(
        at in proptest::collection::vec((0_usize..4_000, proptest::prelude::any::<u8>()), 0..4),
        which in 0_usize..3,
    ) {
        use std::sync::LazyLock;
        static CHAINS: LazyLock<[(Signal, Chain, Vec<u8>); 3]> = LazyLock::new(|| [
            (Signal::Logs, chain(Signal::Logs, EVERYTHING), logs().encode_to_vec()),
            (Signal::Traces, chain(Signal::Traces, EVERYTHING), traces().encode_to_vec()),
            (Signal::Metrics, chain(Signal::Metrics, EVERYTHING), metrics().encode_to_vec()),
        ]);
        let (signal, chain, body) = &CHAINS[which];
        let mut body = body.clone();
        for (index, byte) in at {
            let index = index % body.len();
            body[index] = byte;
        }
        let before = vervet_wire::otlp::count_records(*signal, &body);
        match chain.request(*signal, body.into()) {
            Ok(out) => {
                let after = vervet_wire::otlp::count_records(*signal, &out.payload);
                proptest::prop_assert_eq!(after, Ok(out.records));
                proptest::prop_assert_eq!(before, Ok(out.records + out.drops.records()));
            }
            Err(_) => proptest::prop_assert!(before.is_err()),
        }
    }
}
