use serde_json::{Value, json};

use super::*;

/// Queries, each after `> `, and the lines that Prometheus 2.42 makes of them.
const PROMETHEUS: &str = include_str!("tests/prometheus.txt");

fn formatted(query: &str) -> String {
    match format_query(query, Features::all()) {
        Ok(text) => text,
        Err(error) => panic!("{query}: {error}"),
    }
}

#[test]
fn queries_are_laid_out_as_prometheus_does() {
    let mut checked = 0;
    for block in PROMETHEUS
        .split("\n\n")
        .filter(|block| !block.starts_with('#'))
    {
        let (query, expected) = block.trim_end().split_once('\n').expect("query and layout");
        let query = query.strip_prefix("> ").expect("a query");
        assert_eq!(formatted(query), expected, "{query}");
        checked += 1;
    }
    assert!(checked >= 200, "{checked}");
}

#[test]
fn what_is_laid_out_is_the_same_query() {
    for block in PROMETHEUS
        .split("\n\n")
        .filter(|block| !block.starts_with('#'))
    {
        let (query, expected) = block.trim_end().split_once('\n').expect("query and layout");
        let query = query.strip_prefix("> ").expect("a query");
        let tree = |query| parse_query(query, Features::all()).expect("valid");
        // Matchers are sorted, so trees are compared after one round.
        assert_eq!(tree(&formatted(query)), tree(expected), "{query}");
        assert_eq!(formatted(expected), expected);
    }
}

/// Where Prometheus 3 differs from 2.42.
#[test]
fn what_is_new_in_prometheus_3_is_shown() {
    for (query, expected) in [
        ("1e6+1e-7", "1000000 + 0.0000001"),
        ("5m*-90s", "5m * -1m30s"),
        ("rate(x[300])", "rate(x[5m])"),
        (
            "a*ignoring()group_left(c)b",
            "a * ignoring () group_left (c) b",
        ),
        (
            r#"sum by("a.b",c)({"x.y","ü"="1",c="2"})"#,
            r#"sum by ("a.b", c) ({"ü"="1",__name__="x.y",c="2"})"#,
        ),
        (
            r#"a/on("ä")group_left("ö")b"#,
            r#"a / on ("ä") group_left ("ö") b"#,
        ),
        ("a+fill(1e6)b", "a + fill (1e+06) b"),
        (
            "a>on(x)fill_right(-1)fill_left(0)b",
            "a > on (x) fill_left (0) fill_right (-1) b",
        ),
        ("h</1.5", "h </ 1.5"),
        ("LIMITK(2,x)", "limitk(2, x)"),
        ("info(x,{a='b'})", r#"info(x, {a="b"})"#),
    ] {
        assert_eq!(formatted(query), expected);
    }
}

#[test]
fn arithmetic_on_durations_stays_as_it_is_written() {
    for (query, expected) in [
        ("rate(x[5m*2])", "rate(x[5m * 2])"),
        ("rate(x[(5m)])", "rate(x[5m])"),
        ("x offset -(1h/2)", "x offset -(1h / 2)"),
        ("x[step()+1m:(2^3^1)*1s]", "x[step() + 1m:(2 ^ 3 ^ 1) * 1s]"),
        (
            "rate(x[MAX_OF(range(),-5m+10m)])",
            "rate(x[max_of(range(), -5m + 10m)])",
        ),
        (
            "rate(x[5m]offset 1m SMOOTHED)",
            "rate(x[5m] smoothed offset 1m)",
        ),
        ("x smoothed @ end()", "x @ end() smoothed"),
    ] {
        assert_eq!(formatted(query), expected);
    }
}

#[test]
fn what_is_not_valid_or_not_switched_on_is_refused() {
    let error = |query| format_query(query, Features::default()).expect_err("refused");
    assert_eq!(error("sum(").error_type().as_str(), "bad_data");
    assert!(error("rate(x[5m*2])").to_string().contains("not enabled"));
    assert!(error("abs(1)").to_string().contains("expected type"));
    assert!(parse_query("", Features::default()).is_err());
}

#[test]
fn deep_and_long_queries_are_shown_in_little_time_and_stack() {
    let deep = format!("{}x{}", "(".repeat(500), ")".repeat(500));
    let text = formatted(&deep);
    assert_eq!(formatted(&text), text);
    assert!(parse_query(&deep, Features::all()).is_ok());
    let long = vec![format!("x{{a=\"{}\"}}", "y".repeat(1000)); 400].join(" + ");
    assert_eq!(formatted(&long).lines().count(), 799);
}

fn tree(query: &str) -> Value {
    let text = parse_query(query, Features::all()).expect("valid");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn selectors_are_data() {
    assert_eq!(
        tree(r#"x{a="b",c!~"d"} @ 1.5 offset -1m"#),
        json!({
            "type": "vectorSelector", "name": "x", "offset": -60_000, "timestamp": 1500, "startOrEnd": null,
            "anchored": false, "smoothed": false,
            "matchers": [
                {"name": "a", "value": "b", "type": "="},
                {"name": "c", "value": "d", "type": "!~"},
                {"name": "__name__", "value": "x", "type": "="},
            ],
        })
    );
    assert_eq!(
        tree(r#"{"x.y"}[90s] anchored @ start()"#),
        json!({
            "type": "matrixSelector", "name": "", "range": 90_000, "offset": 0, "timestamp": null,
            "startOrEnd": "start", "anchored": true, "smoothed": false,
            "matchers": [{"name": "__name__", "value": "x.y", "type": "="}],
        })
    );
    let subquery = tree("x[1h:5m] @ end() offset 1s");
    assert_eq!(subquery["type"], "subquery");
    assert_eq!(subquery["expr"]["type"], "vectorSelector");
    assert_eq!(
        [&subquery["range"], &subquery["step"], &subquery["offset"]],
        [&json!(3_600_000), &json!(300_000), &json!(1000)]
    );
    assert_eq!(subquery["startOrEnd"], "end");
    assert_eq!(tree("x[1h:]")["step"], 0);
}

#[test]
fn operators_are_data() {
    let binary = tree("a > bool on(x) group_left(y) b");
    assert_eq!(
        (&binary["type"], &binary["op"]),
        (&json!("binaryExpr"), &json!(">"))
    );
    assert_eq!(
        (&binary["lhs"]["name"], &binary["rhs"]["name"]),
        (&json!("a"), &json!("b"))
    );
    assert_eq!(binary["bool"], true);
    assert_eq!(
        binary["matching"],
        json!({"card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"]})
    );
    for (query, cardinality) in [
        ("a+b", "one-to-one"),
        ("a+on()group_right()b", "one-to-many"),
        ("a or b", "many-to-many"),
        ("a unless ignoring(x) b", "many-to-many"),
    ] {
        assert_eq!(tree(query)["matching"]["card"], cardinality, "{query}");
    }
    assert_eq!(tree("a + 1")["matching"], Value::Null);
    assert_eq!(tree("1 + 2 * 3")["rhs"]["op"], "*");
    assert_eq!(tree("2 ^ 3 ^ 4")["rhs"]["op"], "^");
    assert_eq!(tree("8 - 4 - 2")["lhs"]["op"], "-");
    assert_eq!(tree("-a ^ 2")["type"], "unaryExpr");
    assert_eq!(tree("-a * 2")["lhs"]["type"], "unaryExpr");
    let precedences = tree("a or b and c == d + e * f");
    assert_eq!(precedences["rhs"]["rhs"]["rhs"]["rhs"]["op"], "*");
    assert_eq!(tree("a unless b and c")["op"], "and");
}

#[test]
fn calls_aggregations_and_literals_are_data() {
    assert_eq!(
        tree("round(x, 2)")["func"],
        json!({"name": "round", "argTypes": ["vector", "scalar"], "variadic": 1, "returnType": "vector"})
    );
    assert_eq!(tree("label_join(x, 'a', 'b')")["func"]["variadic"], -1);
    assert_eq!(tree("time()")["args"], json!([]));
    assert_eq!(tree("time()")["func"]["returnType"], "scalar");
    let sum = tree("sum by (a, b) (x)");
    assert_eq!((&sum["op"], &sum["param"]), (&json!("sum"), &Value::Null));
    assert_eq!(
        (&sum["grouping"], &sum["without"]),
        (&json!(["a", "b"]), &json!(false))
    );
    let quantile = tree("quantile without () (.5, x)");
    assert_eq!(quantile["type"], "aggregation");
    assert_eq!(
        (&quantile["grouping"], &quantile["without"]),
        (&json!([]), &json!(true))
    );
    assert_eq!(
        quantile["param"],
        json!({"type": "numberLiteral", "val": "0.5"})
    );
    assert_eq!(
        tree("-Inf"),
        json!({"type": "numberLiteral", "val": "-Inf"})
    );
    assert_eq!(tree("5m"), json!({"type": "numberLiteral", "val": "300"}));
    assert_eq!(
        tree("('a\\n')")["expr"],
        json!({"type": "stringLiteral", "val": "a\n"})
    );
}
