use super::*;

fn logs(text: &str) -> Selector {
    match parse(text) {
        Ok(Query::Logs(selector)) => selector,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn selectors_and_line_filters() {
    let selector = logs(
        r#"{service_name="web", level=~"error|fatal"} |= "time\"out" != `a\d` |~ "x+" !~ "\\d""#,
    );
    assert_eq!(
        format!("{:?}", selector.matchers),
        r#"[service_name="web", level=~"error|fatal"]"#
    );
    let texts: Vec<_> = selector
        .filters
        .iter()
        .map(|filter| (filter.op, filter.text.as_str()))
        .collect();
    insta::assert_debug_snapshot!(texts);
    let selector = logs(r#"{a="b"} |= "x" | trace_id="0af7" | order_id!~"1.*""#);
    assert_eq!(
        format!("{:?}", selector.metadata),
        r#"[trace_id="0af7", order_id!~"1.*"]"#
    );
    assert!(logs("{}").matchers.is_empty());
    assert_eq!(logs(r#"{a="b",}"#).matchers.len(), 1);
}

#[test]
fn metric_queries_keep_what_surrounds_the_aggregations() {
    let text =
        r#"sum by (level) (rate({a="b"} |= "x)" [5m])) / count_over_time({a="c"}[1h30m]) > 3"#;
    let Ok(Query::Metric(query)) = parse(text) else {
        panic!("a metric query")
    };
    assert_eq!(
        query.promql,
        "sum by (level) (vervet_logql_0) / vervet_logql_1 > 3"
    );
    let ranges: Vec<_> = query
        .aggregations
        .iter()
        .map(|a| (a.function, a.range.as_secs()))
        .collect();
    assert_eq!(
        ranges,
        [
            (RangeFunction::Rate, 300),
            (RangeFunction::CountOverTime, 5400)
        ]
    );
    let groups: Vec<_> = query
        .aggregations
        .iter()
        .map(|a| a.group_by.clone())
        .collect();
    let by_level = vervet_store::GroupBy::Some(vec!["level".to_owned()]);
    assert_eq!(groups, [by_level, vervet_store::GroupBy::All]);
    let Ok(Query::Metric(query)) = parse("vector(1)+vector(1)") else {
        panic!("a metric query")
    };
    assert_eq!(
        (query.promql.as_str(), query.aggregations.len()),
        ("vector(1)+vector(1)", 0)
    );
}

#[test]
fn errors_say_what_and_where() {
    for (text, position, words) in [
        (r#"{a="b"} | json"#, 8, "line filters"),
        (r#"{a="b""#, 6, "\"}\""),
        (r#"{a="b} "#, 3, "double quotes"),
        (r#"{a~"b"}"#, 2, "one of ="),
        (r#"{a=~"("}"#, 4, "regular expression"),
        (r#"rate({a="b"}[5x])"#, 13, "duration"),
        (r#"sum({a="b"})"#, 4, "range aggregation"),
        ("", 0, "empty"),
        (r#"{a="b"} foo"#, 8, "unexpected"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.message.contains(words), "{text}: {error}");
    }
}
