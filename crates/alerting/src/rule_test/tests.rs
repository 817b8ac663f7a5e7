use super::*;

fn check(text: &str) -> Result<TestFile, String> {
    TestFile::parse("t.yaml", text, UnknownKeys::Refuse).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

#[test]
fn a_whole_file_parses() {
    let file = check(
        "rule_files: [a.yaml, 'b/*.yaml']
evaluation_interval: 30s
group_eval_order: [two, one]
fuzzy_compare: true
tests:
- name: first
  interval: 15s
  start_timestamp: 2021-01-01T00:00:00Z
  external_labels: {cluster: x}
  external_url: http://prom/
  input_series:
  - {series: 'up{job=\"a\"}', values: '1 0x3'}
  alert_rule_test:
  - eval_time: 1m
    alertname: Down
    exp_alerts:
    - {exp_labels: {n: 1}, exp_annotations: {s: ''}}
    -
  promql_expr_test:
  - expr: up
    eval_time: 2m
    exp_samples:
    - {labels: up, value: -.inf}
    - {labels: h, histogram: '{{sum:1}}'}
- start_timestamp: 1.5
",
    );
    let file = file.expect("valid");
    assert_eq!(file.rule_files, ["a.yaml", "b/*.yaml"]);
    assert_eq!(file.group_eval_order, ["two", "one"]);
    assert!(file.fuzzy_compare);
    let [test, other] = &file.tests[..] else {
        panic!("{file:?}")
    };
    assert_eq!(test.interval, Duration::from_secs(15));
    assert_eq!(test.start, UnixMillis(1_609_459_200_000));
    assert_eq!(test.external_labels["cluster"], "x");
    assert_eq!((test.line, test.input_series[0].line), (6, 12));
    assert_eq!(test.alert_tests[0].expected.len(), 2);
    assert_eq!(test.alert_tests[0].expected[0].annotations["s"], "");
    let samples = &test.expr_tests[0].expected;
    assert_eq!(samples[0].value, f64::NEG_INFINITY);
    assert_eq!(samples[1].histogram, "{{sum:1}}");
    assert_eq!(
        (other.interval, other.start),
        (Duration::from_secs(30), UnixMillis(1500))
    );
    assert_eq!(
        check("").expect("empty").evaluation_interval,
        Duration::from_secs(60)
    );
}

#[test]
fn mistakes_are_told_with_their_places() {
    let text = "group_eval_order: [a, a]
tests:
  - intervall: 1m
    start_timestamp: noon
    alert_rule_test:
    - eval_time: 1m
    promql_expr_test:
    - exp_samples: [{value: one}]
";
    let expected = [
        "t.yaml:1:23: the group \"a\" is in the order already",
        "t.yaml:3:5: unknown key `intervall`, did you mean `interval`?",
        "t.yaml:4:22: \"noon\" is neither seconds since 1970 nor a time such as 2026-01-02T03:04:05Z",
        "t.yaml:6:7: the item has no `alertname`",
        "t.yaml:8:29: expected a number, found \"one\"",
    ];
    assert_eq!(check(text).expect_err("invalid"), expected.join("\n"));
}
