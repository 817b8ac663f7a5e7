use prost::Message;
use vervet_model::Signal;
use vervet_wire::otlp::{KeyValue, Value};

use super::super::tests::requests::{MetricsRequest, TracesRequest, metrics, traces};
use super::super::tests::{attribute, chain, try_chain};
use super::super::{Chain, Secrets};
use super::*;

fn transform(signal: Signal, statements: &[&str]) -> Chain {
    chain(signal, &yaml(statements))
}

fn yaml(statements: &[&str]) -> String {
    let list: Vec<String> = statements
        .iter()
        .map(|s| format!("      - '{s}'\n"))
        .collect();
    format!(
        "  t:\n    type: transform\n    statements:\n{}",
        list.concat()
    )
}

fn map(entries: &[(&'static str, Value<'static>)]) -> Vec<KeyValue<'static>> {
    let entries = entries
        .iter()
        .map(|(key, value)| KeyValue::new(*key, value.clone()));
    entries.collect()
}

/// The attributes of a record `{a: "one", b: 2, m: {x: "y"}}` with body `text` after the statements.
fn check(statements: &[&str], expected: &[(&'static str, Value<'static>)]) {
    assert_eq!(
        after(statements).attributes,
        map(expected),
        "{statements:?}"
    );
}

fn record() -> LogRecord<'static> {
    LogRecord {
        body: "{\"k\": 1, \"a\": \"json\"}".into(),
        severity_number: 9,
        attributes: map(&[
            ("a", "one".into()),
            ("b", Value::Int(2)),
            ("m", Value::Map(map(&[("x", "y".into())]))),
        ]),
        ..LogRecord::default()
    }
}

fn after(statements: &[&str]) -> LogRecord<'static> {
    let mut record = record();
    let kept = transform(Signal::Logs, statements).log(
        &Resource::default(),
        &Scope::default(),
        &mut record,
    );
    kept.expect("kept");
    record
}

fn m(entries: &[(&'static str, Value<'static>)]) -> Value<'static> {
    Value::Map(map(entries))
}

#[test]
fn fields_and_attributes_are_set() {
    let xy = || ("m", m(&[("x", "y".into())]));
    check(
        &["set(attributes[\"a\"], \"two\")"],
        &[("a", "two".into()), ("b", Value::Int(2)), xy()],
    );
    check(
        &["set(attributes[\"c\"], attributes[\"b\"] + 1)"],
        &[
            ("a", "one".into()),
            ("b", Value::Int(2)),
            xy(),
            ("c", Value::Int(3)),
        ],
    );
    check(
        &["set(attributes[\"m\"][\"n\"][\"o\"], true)"],
        &[
            ("a", "one".into()),
            ("b", Value::Int(2)),
            (
                "m",
                m(&[("x", "y".into()), ("n", m(&[("o", true.into())]))]),
            ),
        ],
    );
    check(
        &["set(attributes[\"c\"], attributes[\"absent\"])"],
        &[("a", "one".into()), ("b", Value::Int(2)), xy()],
    );
    check(
        &[
            "set(attributes[\"c\"], \"x\") where attributes[\"b\"] > 2",
            "set(attributes[\"a\"], \"x\") where attributes[\"b\"] == 2",
        ],
        &[("a", "x".into()), ("b", Value::Int(2)), xy()],
    );
    let record = after(&[
        "set(severity_number, SEVERITY_NUMBER_WARN)",
        "set(severity_text, \"WARN\")",
        "set(time_unix_nano, Time(\"2023-11-14\", \"%Y-%m-%d\"))",
        "set(body, \"new\")",
        "set(event_name, Concat([\"e\", attributes[\"b\"]], \"-\"))",
    ]);
    assert_eq!(
        (record.severity_number, record.severity_text.as_ref()),
        (13, "WARN")
    );
    assert_eq!(record.time_unix_nano, 1_699_920_000_000_000_000);
    assert_eq!(
        (record.body, record.event_name.as_ref()),
        ("new".into(), "e-2")
    );
}

#[test]
fn parsed_bodies_become_attributes() {
    let both = |strategy: &str| {
        after(&[&format!(
            "merge_maps(attributes, ParseJSON(body), \"{strategy}\")"
        )])
        .attributes
    };
    let get =
        |entries: &[KeyValue<'static>], key: &str| vervet_wire::otlp::find(entries, key).cloned();
    assert_eq!(
        (get(&both("upsert"), "a"), get(&both("upsert"), "k")),
        (Some("json".into()), Some(Value::Int(1)))
    );
    assert_eq!(
        (get(&both("insert"), "a"), get(&both("insert"), "k")),
        (Some("one".into()), Some(Value::Int(1)))
    );
    assert_eq!(
        (get(&both("update"), "a"), get(&both("update"), "k")),
        (Some("json".into()), None)
    );
    let record = after(&[
        "set(body, ParseJSON(body))",
        "set(attributes, body)",
        "set(body, body[\"a\"])",
    ]);
    assert_eq!(
        record.attributes,
        map(&[("a", "json".into()), ("k", Value::Int(1))])
    );
    assert_eq!(record.body, "json".into());
}

#[test]
fn maps_lose_and_keep_keys() {
    let xy = || ("m", m(&[("x", "y".into())]));
    check(
        &[
            "delete_key(attributes, \"a\")",
            "delete_key(attributes, \"none\")",
        ],
        &[("b", Value::Int(2)), xy()],
    );
    check(
        &["delete_key(attributes[\"m\"], \"x\")"],
        &[("a", "one".into()), ("b", Value::Int(2)), ("m", m(&[]))],
    );
    check(&["delete_matching_keys(attributes, \"^[ab]$\")"], &[xy()]);
    check(
        &["keep_matching_keys(attributes, \"^[ab]$\")"],
        &[("a", "one".into()), ("b", Value::Int(2))],
    );
    check(
        &["keep_keys(attributes, [\"b\", \"z\"])"],
        &[("b", Value::Int(2))],
    );
    check(
        &["rename_key(attributes, \"a\", \"b\")"],
        &[("b", "one".into()), xy()],
    );
    check(
        &["limit(attributes, 2, [\"m\"])"],
        &[("a", "one".into()), xy()],
    );
    check(
        &["limit(attributes, 1, [\"m\", \"b\"])"],
        &[("b", Value::Int(2))],
    );
    check(
        &["limit(attributes, 9, [])"],
        &[("a", "one".into()), ("b", Value::Int(2)), xy()],
    );
    check(
        &["truncate_all(attributes, 2)"],
        &[("a", "on".into()), ("b", Value::Int(2)), xy()],
    );
}

#[test]
fn texts_are_replaced() {
    let xy = || ("m", m(&[("x", "y".into())]));
    check(
        &["replace_pattern(attributes[\"a\"], \"(n)e\", \"<$1>\")"],
        &[("a", "o<n>".into()), ("b", Value::Int(2)), xy()],
    );
    check(
        &["replace_match(attributes[\"a\"], \"o*\", \"all\")"],
        &[("a", "all".into()), ("b", Value::Int(2)), xy()],
    );
    check(
        &["replace_match(attributes[\"a\"], \"n*\", \"all\")"],
        &[("a", "one".into()), ("b", Value::Int(2)), xy()],
    );
    check(
        &["replace_all_patterns(attributes, \"value\", \"n\", \"N\")"],
        &[("a", "oNe".into()), ("b", Value::Int(2)), xy()],
    );
    check(
        &["replace_all_patterns(attributes, \"key\", \"^(.)$\", \"p.$1\")"],
        &[
            ("p.a", "one".into()),
            ("p.b", Value::Int(2)),
            ("p.m", m(&[("x", "y".into())])),
        ],
    );
    check(
        &["replace_all_matches(attributes, \"*n*\", \"x\")"],
        &[("a", "x".into()), ("b", Value::Int(2)), xy()],
    );
    let record = after(&["replace_pattern(body, \"json\", \"JSON\")"]);
    assert_eq!(record.body, "{\"k\": 1, \"a\": \"JSON\"}".into());
}

#[test]
fn what_fails_changes_nothing_and_is_counted() {
    let metrics = crate::metrics::AgentMetrics::default();
    let clock: std::sync::Arc<dyn vervet_model::Clock> =
        std::sync::Arc::new(vervet_model::SystemClock);
    let statements = [
        "set(attributes[\"c\"], ParseJSON(\"no\"))",
        "set(severity_number, attributes[\"b\"] + 98)",
        "set(attributes[\"a\"][\"x\"], 1)",
        "set(severity_text, attributes[\"b\"])",
        "merge_maps(attributes, attributes[\"a\"], \"insert\")",
    ];
    let text = format!("processors:\n{}\n", yaml(&statements));
    let sources = crate::config::substitute::SystemSources;
    let config = crate::AgentConfig::parse("t", &text, &sources).expect("valid");
    let chain = Chain::build(
        &["t".to_owned()],
        &config.processors,
        Signal::Logs,
        &metrics,
        &clock,
        &crate::kubernetes::PodDirectory::none(),
    )
    .expect("fits");
    let mut changed = record();
    chain
        .log(&Resource::default(), &Scope::default(), &mut changed)
        .expect("kept");
    assert_eq!(changed, record());
    let line = "vervet_agent_processor_errors_total{processor=\"t\"} 5";
    assert!(
        metrics.encode_text().contains(line),
        "{}",
        metrics.encode_text()
    );
}

#[test]
fn nesting_never_grows_beyond_what_can_be_read_back() {
    let grow = "set(attributes[\"m\"][\"x\"], attributes[\"m\"])";
    let record = after(&[grow; 60]);
    let mut out = Vec::new();
    record.write(&mut vervet_wire::protobuf::Writer::new(&mut out));
    assert!(LogRecord::read(&out).is_ok());
}

#[test]
fn resource_statements_run_once_and_read_the_resource_only() {
    let chain = transform(
        Signal::Logs,
        &[
            "set(resource.attributes[\"env\"], ToLowerCase(resource.attributes[\"ENV\"])) where resource.attributes[\"env\"] == nil",
            "set(attributes[\"of\"], resource.attributes[\"env\"])",
        ],
    );
    let mut resource = Resource {
        attributes: map(&[("ENV", "PROD".into())]),
    };
    chain.resource(&mut resource);
    assert_eq!(resource.str("env"), "prod");
    let mut record = LogRecord::default();
    chain
        .log(&resource, &Scope::default(), &mut record)
        .expect("kept");
    assert_eq!(record.attributes, map(&[("of", "prod".into())]));
    let error = try_chain(
        Signal::Logs,
        &yaml(&["set(resource.attributes[\"a\"], attributes[\"b\"])"]),
    );
    let error = error.expect_err("of a record");
    assert!(
        error.contains("column 31: `attributes` belongs to single records"),
        "{error}"
    );
}

#[test]
fn spans_keep_what_the_statements_do_not_name() {
    let chain = transform(
        Signal::Traces,
        &[
            "set(status.code, STATUS_CODE_OK) where status.code == STATUS_CODE_ERROR",
            "replace_pattern(attributes[\"url.full\"], \"q=\\d+\", \"q=?\")",
        ],
    );
    let mut expected = traces();
    for span in &mut expected.resource_spans[0].scope_spans[0].spans {
        span.attributes = vec![attribute("url.full", "https://shop.example/?q=?")];
    }
    let first = &mut expected.resource_spans[0].scope_spans[0].spans[0];
    first.status.as_mut().expect("status").code = 1;
    let out = chain
        .request(Signal::Traces, traces().encode_to_vec().into())
        .expect("valid");
    assert_eq!(TracesRequest::decode(out.payload).expect("valid"), expected);
}

#[test]
fn metrics_are_renamed_and_their_points_labelled() {
    let chain = transform(
        Signal::Metrics,
        &[
            "set(name, \"renamed\") where type == \"sum\"",
            "delete_key(attributes, \"route\") where type == \"summary\"",
        ],
    );
    let mut expected = metrics();
    let scope = &mut expected.resource_metrics[0].scope_metrics[0];
    scope.metrics[1].name = "renamed".to_owned();
    let Some(opentelemetry_proto::tonic::metrics::v1::metric::Data::Summary(summary)) =
        &mut scope.metrics[4].data
    else {
        panic!("a summary");
    };
    summary.data_points[0].attributes.clear();
    let out = chain
        .request(Signal::Metrics, metrics().encode_to_vec().into())
        .expect("valid");
    assert_eq!(
        MetricsRequest::decode(out.payload).expect("valid"),
        expected
    );
}

#[test]
fn an_explanation_goes_statement_by_statement() {
    let chain = transform(
        Signal::Logs,
        &[
            "set(attributes[\"a\"], \"x\")",
            "delete_key(attributes, \"none\")",
            "set(attributes[\"a\"], \"y\")",
        ],
    );
    let mut record = record();
    let explanation = chain.explain_log(
        &mut Resource::default(),
        &Scope::default(),
        &mut record,
        Secrets::Hide,
    );
    let changes: Vec<_> = explanation.steps[0]
        .changes
        .iter()
        .map(|c| (c.rule.as_str(), c.before.as_deref(), c.after.as_deref()))
        .collect();
    let expected = [
        ("set(attributes[\"a\"], \"x\")", Some("one"), Some("x")),
        ("set(attributes[\"a\"], \"y\")", Some("x"), Some("y")),
    ];
    assert_eq!(changes, expected);
}

#[test]
fn mistakes_name_the_line_and_the_place() {
    for (statement, expected) in [
        (
            "sett(body, 1)",
            "column 1: unknown function `sett`; did you mean `set`?",
        ),
        ("body == 1", "a statement calls a function"),
        ("IsMatch(body, \"x\")", "gives a value and changes nothing"),
        (
            "set(trace_id, \"x\")",
            "column 5: this field cannot be changed",
        ),
        (
            "set(severity_number, \"x\")",
            "column 22: this is a text; a whole number is needed",
        ),
        ("set(body)", "set takes a field and a value"),
        ("set()", "set takes a field and a value"),
        ("set(1, 2)", "column 5: a field is needed here"),
        (
            "delete_key(severity_text, \"a\")",
            "column 12: this is a text; delete_key needs a map",
        ),
        (
            "delete_key(attributes, body)",
            "column 24: a text in quotes is needed here",
        ),
        (
            "keep_keys(attributes, \"a\")",
            "column 23: a list of texts is needed",
        ),
        (
            "limit(attributes, -1, [])",
            "column 19: a whole number is needed here",
        ),
        (
            "merge_maps(attributes, body, \"replace\")",
            "unknown word `replace`",
        ),
        ("replace_match(body, \"[\", \"x\")", "column 21:"),
        (
            "set(body, 1) when true",
            "column 14: the expression should end here",
        ),
        (
            "set(body, 1) where severity_text",
            "column 20: this is a text; true or false is needed",
        ),
    ] {
        let error =
            try_chain(Signal::Logs, &yaml(&["set(body, 1)", statement])).expect_err(statement);
        assert!(error.contains(expected), "{statement}: {error}");
        assert!(error.contains('^'), "{error}");
    }
}
