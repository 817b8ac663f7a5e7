use proptest::prelude::*;
use vervet_model::Signal;
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value};

use super::*;

fn checker(signal: Signal) -> Checker {
    Checker {
        signal,
        level: Level::Record,
    }
}

fn map(entries: Vec<(&'static str, Value<'static>)>) -> Value<'static> {
    let entries = entries
        .into_iter()
        .map(|(key, value)| KeyValue::new(key, value));
    Value::Map(entries.collect())
}

/// A value that an expression gives on a record that has something of everything.
fn eval(source: &str) -> Option<Value<'static>> {
    let ast = parse_condition(source).unwrap_or_else(|error| panic!("{}", error.show(source)));
    let (expr, _) = checker(Signal::Logs)
        .check(&ast)
        .unwrap_or_else(|error| panic!("{}", error.show(source)));
    let resource = Resource {
        attributes: vec![KeyValue::new("service.name", "shop")],
    };
    let scope = Scope {
        name: "lib".into(),
        ..Scope::default()
    };
    let record = LogRecord {
        severity_number: 17,
        severity_text: "ERROR".into(),
        time_unix_nano: 1_700_000_000_500_000_000,
        body: map(vec![
            ("user", map(vec![("id", Value::Int(7))])),
            ("list", Value::Array(vec!["a".into(), "b".into()])),
        ]),
        attributes: vec![
            KeyValue::new("route", "/api/v1"),
            KeyValue::new("status", 503_i64),
            KeyValue::new("ratio", 0.5),
            KeyValue::new("ok", false),
            KeyValue::new("number", "42"),
        ],
        trace_id: &[0xab; 16],
        ..LogRecord::default()
    };
    let context = Context {
        resource: &resource,
        scope: Some(&scope),
        record: Record::Log(&record),
    };
    expr.eval(&context).ok().and_then(eval::Val::into_value)
}

fn holds(source: &str) {
    assert_eq!(eval(source), Some(Value::Bool(true)), "{source}");
}

fn gives(source: &str, expected: impl Into<Value<'static>>) {
    assert_eq!(eval(source), Some(expected.into()), "{source}");
}

/// The error of a condition, as people see it.
fn mistake(signal: Signal, source: &str, expected: &str) {
    let checked = parse_condition(source).and_then(|ast| checker(signal).condition(&ast));
    let error = checked.expect_err(source);
    let shown = error.show(source);
    assert!(shown.starts_with(expected), "{source}: {shown}");
}

#[test]
fn conditions_that_hold() {
    for source in [
        "severity_number >= SEVERITY_NUMBER_ERROR",
        "severity_number == 17 and severity_text == \"ERROR\"",
        "not (severity_number < 17)",
        "not severity_number < 17",
        "false or true and true",
        "(true or false) and not false",
        "attributes[\"status\"] > 500 and attributes[\"status\"] <= 503",
        "attributes[\"status\"] == 503.0",
        "attributes[\"ratio\"] < 1",
        "attributes[\"absent\"] == nil",
        "attributes[\"route\"] != nil",
        "attributes[\"route\"] != 5",
        "not (attributes[\"absent\"] < 5)",
        "attributes[\"ok\"] == false",
        "not attributes[\"ok\"]",
        "log.attributes[\"route\"] == \"/api/v1\"",
        "resource.attributes[\"service.name\"] == \"shop\"",
        "scope.name == \"lib\"",
        "body[\"user\"][\"id\"] == 7",
        "body[\"list\"][1] == \"b\"",
        "body[\"list\"][9] == nil",
        "body[\"user\"][\"x\"][\"y\"] == nil",
        "trace_id == \"abababababababababababababababab\"",
        "span_id == \"\"",
        "IsMatch(attributes[\"route\"], \"^/api/v\\d$\")",
        "IsMatch(attributes[\"status\"], \"^5\")",
        "not IsMatch(attributes[\"absent\"], \".*\")",
        "IsString(attributes[\"route\"]) and IsInt(attributes[\"status\"]) and IsMap(body)",
        "IsList(body[\"list\"]) and IsBool(attributes[\"ok\"]) and IsDouble(attributes[\"ratio\"])",
        "HasPrefix(attributes[\"route\"], \"/api\") and HasSuffix(attributes[\"route\"], \"v1\")",
        "not HasPrefix(attributes[\"absent\"], \"\")",
        "attributes[\"status\"] - 3 == 500",
        "2 + 3 * 4 == 14 and (2 + 3) * 4 == 20",
        "-attributes[\"status\"] == -503",
        "7 / 2 == 3 and 7.0 / 2 == 3.5",
        "body[\"list\"] == [\"a\", \"b\"]",
    ] {
        holds(source);
    }
}

#[test]
fn functions_give_values() {
    gives("Int(attributes[\"number\"])", 42_i64);
    gives("Int(3.9)", 3_i64);
    gives("Double(attributes[\"number\"])", 42.0);
    gives("String(attributes[\"status\"])", "503");
    gives("ToLowerCase(severity_text)", "error");
    gives("ToUpperCase(attributes[\"route\"])", "/API/V1");
    gives("Trim(\"  x \")", "x");
    gives("Len(attributes[\"route\"])", 7_i64);
    gives("Len(body[\"list\"])", 2_i64);
    gives("Substring(attributes[\"route\"], 1, 3)", "api");
    gives("Substring(\"żółw\", 1)", "ółw");
    gives(
        "Concat([severity_text, attributes[\"status\"]], \"-\")",
        "ERROR-503",
    );
    gives(
        "Split(\"a,b\", \",\")",
        Value::Array(vec!["a".into(), "b".into()]),
    );
    gives(
        "SHA256(\"abc\")",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    gives(
        "ParseJSON(\"{\\\"a\\\": [1, null]}\")",
        map(vec![("a", Value::Array(vec![Value::Int(1), Value::Empty]))]),
    );
    gives(
        "ParseKeyValue(\"a=1 b=\\\"two words\\\" c=\")",
        map(vec![
            ("a", "1".into()),
            ("b", "two words".into()),
            ("c", "".into()),
        ]),
    );
    gives(
        "ParseKeyValue(\"a:1;b:2\", \":\", \";\")",
        map(vec![("a", "1".into()), ("b", "2".into())]),
    );
    gives(
        "ExtractPatterns(attributes[\"route\"], \"^/(?P<kind>\\w+)/(?P<version>\\w+)\")",
        map(vec![("kind", "api".into()), ("version", "v1".into())]),
    );
    gives(
        "Time(\"2023-11-14 22:13:20\", \"%Y-%m-%d %H:%M:%S\")",
        1_700_000_000_000_000_000_i64,
    );
    gives(
        "Time(\"2023-11-14T23:13:20+01:00\", \"%Y-%m-%dT%H:%M:%S%:z\")",
        1_700_000_000_000_000_000_i64,
    );
    gives("UnixSeconds(time_unix_nano)", 1_700_000_000_i64);
    gives("UnixMilli(time_unix_nano)", 1_700_000_000_500_i64);
}

#[test]
fn what_cannot_be_computed_gives_nothing() {
    for source in [
        "ParseJSON(attributes[\"route\"])",
        "ParseJSON(attributes[\"absent\"])",
        "ParseKeyValue(\"abc\")",
        "ExtractPatterns(attributes[\"route\"], \"(?P<x>zzz)\")",
        "Time(\"yesterday\", \"%Y\")",
        "Int(attributes[\"route\"])",
        "ToLowerCase(attributes[\"status\"])",
        "9223372036854775807 + 1",
        "1 / 0",
        "attributes[\"route\"] + 1",
        "Substring(\"a\", -1)",
    ] {
        assert_eq!(eval(source), None, "{source}");
    }
}

#[test]
fn deep_json_is_refused_before_it_can_spoil_a_request() {
    let json = format!("{}1{}", "[".repeat(30), "]".repeat(30));
    assert_eq!(eval(&format!("ParseJSON(\"{json}\")")), None);
}

#[test]
fn mistakes_have_a_column_and_a_caret() {
    let logs = |source, expected| mistake(Signal::Logs, source, expected);
    logs(
        "severity_number >= 17 and sverity_text == \"x\"",
        "column 27: unknown field `sverity_text`; did you mean `severity_text`?",
    );
    let source = "true and attributs[\"a\"] == 1";
    let error = parse_condition(source).and_then(|ast| checker(Signal::Logs).condition(&ast));
    let shown = error.expect_err("unknown").show(source);
    assert!(
        shown.ends_with(&format!("\n    {source}\n    {}^", " ".repeat(9))),
        "{shown}"
    );
    logs(
        "severity_number == \"x\"",
        "column 17: a whole number never equals a text",
    );
    logs(
        "severity_text < 5",
        "column 15: a text and a whole number have no order",
    );
    logs(
        "severity_number",
        "column 1: this is a whole number; true or false is needed",
    );
    logs(
        "attributes == 1",
        "column 12: a map never equals a whole number",
    );
    logs(
        "severity_text[\"a\"] == 1",
        "column 1: `severity_text` is a text, which has no parts",
    );
    logs(
        "attributes[0] == 1",
        "column 12: what stands in [] is a text",
    );
    logs(
        "attributes[\"a\"][-1] == 1",
        "column 17: what stands in [] is a text in quotes, or the index",
    );
    logs(
        "IsMatch(body, \"(\")",
        "column 15: this is no valid pattern: unclosed group",
    );
    logs("IsMatch(body)", "column 1: IsMatch takes 2 arguments");
    logs(
        "IsMatch(body, severity_text)",
        "column 15: a pattern must be a text in quotes",
    );
    logs(
        "HasPrefix(body)",
        "column 1: HasPrefix takes 2 arguments, here are 1",
    );
    logs(
        "HasPrefix(severity_number, \"1\")",
        "column 11: this is a whole number; a text is needed",
    );
    logs(
        "IsStrin(body)",
        "column 1: unknown function `IsStrin`; did you mean `IsString`?",
    );
    logs(
        "ExtractPatterns(body, \"x\") == nil",
        "column 23: the pattern has no named group",
    );
}

#[test]
fn texts_that_are_no_expressions_are_told_from_wrong_ones() {
    let logs = |source, expected| mistake(Signal::Logs, source, expected);
    logs("a = 1", "column 3: `=` compares nothing, `==` does");
    logs(
        "severity_text == 'x'",
        "column 18: texts stand in double quotes",
    );
    logs("severity_text == \"x", "column 18: the text does not end");
    logs("1 < 2 < 3", "column 7: comparisons do not chain");
    logs("(true", "column 6: `)` is missing here");
    logs("true true", "column 6: the expression should end here");
    logs("and true", "column 1: a value is missing before `and`");
    logs("true and", "column 9: a value is missing at the end");
    logs("", "column 1: a value is missing at the end");
    logs(
        "99999999999999999999 == 1",
        "column 1: the number is too large",
    );
    logs("severity_text + 1 == 2", "column 15: `+` is for numbers");
    logs(
        "true == 1.5",
        "column 6: true or false never equals a number",
    );
    mistake(
        Signal::Traces,
        "body == \"x\"",
        "column 1: traces have no field `body`",
    );
    mistake(
        Signal::Metrics,
        "status.code == 1",
        "column 1: metrics have no field `status.code`",
    );
}

#[test]
fn each_signal_has_its_fields() {
    let known = |signal, source: &str| {
        let ast = parse_condition(source).expect(source);
        checker(signal).condition(&ast).expect(source);
    };
    known(
        Signal::Traces,
        "span.name == \"GET\" and kind == SPAN_KIND_SERVER and status.code == STATUS_CODE_ERROR and \
         end_time_unix_nano - start_time_unix_nano > 1000000 and parent_span_id == \"\"",
    );
    known(
        Signal::Metrics,
        "metric.name == \"up\" and datapoint.attributes[\"a\"] == 1 and type == \"gauge\" and value > 1 and unit == \"s\"",
    );
}

#[test]
fn nesting_is_bounded() {
    let deep = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    assert!(parse_condition(&deep(30)).is_ok());
    let error = parse_condition(&deep(5_000)).expect_err("deep");
    assert!(error.message.contains("too deeply"), "{error}");
    assert!(parse_condition(&"not ".repeat(4_000)).is_err());
    let chain = |n: usize| format!("true{}", " or true".repeat(n));
    let (chained, long) = (chain(200), chain(201));
    let ast = parse_condition(&chained).expect("short enough");
    assert!(checker(Signal::Logs).condition(&ast).is_ok());
    assert!(parse_condition(&long).is_err());
    assert!(parse_condition(&"x".repeat(20_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_with_a_place(source in "[ -~\\n]{0,60}|.{0,30}") {
        if let Err(error) = parse_statement(&source) {
            prop_assert!(error.at <= source.len());
            prop_assert!(error.show(&source).starts_with("column "));
        }
    }

    #[test]
    fn anything_put_together_of_parts_is_checked_without_a_panic(parts in prop::collection::vec(prop_oneof![
        Just("severity_number"), Just("attributes[\"a\"]"), Just("=="), Just("<"), Just("and"), Just("not"), Just("("), Just(")"),
        Just("1"), Just("2.5"), Just("\"x\""), Just("nil"), Just("IsMatch("), Just(","), Just("-"), Just("+"), Just("body"), Just("Len("),
        Just("["), Just("]"), Just("/"), Just("0"),
    ], 0..12)) {
        let source = parts.join(" ");
        if let Ok(ast) = parse_condition(&source)
            && let Ok((expr, _)) = checker(Signal::Logs).check(&ast)
        {
            let (resource, record) = (Resource::default(), LogRecord::default());
            let context = Context { resource: &resource, scope: None, record: Record::Log(&record) };
            let _ = expr.eval(&context);
        }
    }
}
