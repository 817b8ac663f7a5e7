use super::*;

/// Runs a test file beside its rule file; what failed.
fn run(rules: &str, tests: &str, options: &TestOptions) -> FileReport {
    let dir = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("written");
    };
    write("rules.yaml", rules);
    write("tests.yaml", tests);
    let mut report = test_file(&dir.path().join("tests.yaml"), options).expect("a runtime");
    for failure in &mut report.failures {
        *failure = failure.replace(&format!("{}/", dir.path().display()), "");
    }
    report
}

#[track_caller]
fn check(rules: &str, tests: &str, expected: &[&str]) {
    let report = run(rules, tests, &TestOptions::default());
    assert_eq!(report.failures, expected);
}

#[test]
fn the_shipped_rules_pass_their_tests() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alert-rules");
    let mut files = 0;
    for entry in dir.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().ends_with(".test.yaml") {
            let report = test_file(&path, &TestOptions::default()).expect("a runtime");
            assert_eq!(report.failures, [""; 0], "{}", path.display());
            assert!(report.tests > 0, "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 3, "{files}");
}

const DOWN: &str = r#"
groups:
- name: g
  rules:
  - alert: Down
    expr: up == 0
    for: 2m
    labels: {severity: page}
    annotations: {summary: "{{ $labels.job }} of {{ $externalLabels.cluster }} at {{ $externalURL }}"}
"#;

const DOWN_TESTS: &str = r#"
rule_files: [rules.yaml]
tests:
- name: goes down
  external_labels: {cluster: c1}
  external_url: http://here
  input_series:
  - series: 'up{job="api"}'
    values: '1 0x5 1x5'
  alert_rule_test:
  - {eval_time: 2m, alertname: Down, exp_alerts: []}
  - eval_time: 3m30s
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: page, job: api}
      exp_annotations: {summary: api of c1 at http://here}
  - {eval_time: 7m, alertname: Down}
  promql_expr_test:
  - expr: ALERTS
    eval_time: 1m
    exp_samples:
    - labels: 'ALERTS{alertname="Down", alertstate="pending", job="api", severity="page"}'
      value: 1
"#;

#[test]
fn alerts_and_their_series_are_tested() {
    check(DOWN, DOWN_TESTS, &[]);
}

#[test]
fn a_failure_shows_what_was_expected_and_what_came() {
    let tests = DOWN_TESTS.replace("severity: page, job: api", "severity: none, job: api");
    let expected = "tests.yaml:12: \"goes down\": alertname: Down, time: 3m30s
        exp:
            alert
              label alertname: \"Down\"
              label job: \"api\"
              label severity: \"none\"
              annotation summary: \"api of c1 at http://here\"
        got:
            alert
              label alertname: \"Down\"
              label job: \"api\"
              label severity: \"page\"
              annotation summary: \"api of c1 at http://here\"
";
    check(DOWN, &tests, &[expected]);
    let options = TestOptions {
        diff: true,
        ..TestOptions::default()
    };
    let expected = "tests.yaml:12: \"goes down\": alertname: Down, time: 3m30s
        diff (- expected, + got):
              alert
                label alertname: \"Down\"
                label job: \"api\"
            -   label severity: \"none\"
            +   label severity: \"page\"
                annotation summary: \"api of c1 at http://here\"
";
    assert_eq!(run(DOWN, &tests, &options).failures, [expected]);
}

const RECORDING: &str = "
groups:
- name: second
  rules:
  - {record: total, expr: sum(rate5)}
- name: first
  labels: {from: group}
  rules:
  - {record: rate5, expr: 'rate(c[5m])'}
";

#[test]
fn recorded_series_can_be_read_in_the_order_of_groups() {
    let tests = "
rule_files: ['ru*.y?ml']
group_eval_order: [first, second]
tests:
- interval: 1m
  start_timestamp: 2026-01-02T03:04:05Z
  input_series:
  - {series: 'c{job=\"a\"}', values: '0+60x10'}
  - {series: 'c{job=\"b\"}', values: '0+120x5 _x5'}
  promql_expr_test:
  - expr: rate5
    eval_time: 5m
    exp_samples:
    - {labels: 'rate5{from=\"group\", job=\"b\"}', value: 2}
    - {labels: 'rate5{from=\"group\", job=\"a\"}', value: 1}
  - {expr: total, eval_time: 5m, exp_samples: [{labels: total, value: 3}]}
  - {expr: time(), eval_time: 55s, exp_samples: [{value: 1767323100}]}
";
    check(RECORDING, tests, &[]);
    let tests = tests.replace("value: 3", "value: 4");
    let expected = "tests.yaml:16: expr: \"total\", time: 5m
        exp:
            {__name__=\"total\"} 4
        got:
            {__name__=\"total\"} 3
";
    check(RECORDING, &tests, &[expected]);
}

#[test]
fn what_is_later_than_the_last_evaluation_is_not_seen() {
    let tests = "
evaluation_interval: 1m
tests:
- interval: 10s
  input_series:
  - {series: a, values: '0+1x100'}
  - {series: h, values: '{{schema:0 sum:1 count:1 buckets:[1]}}x3 _x100'}
  promql_expr_test:
  - {expr: a, eval_time: 90s, exp_samples: [{labels: a, value: 6}]}
  - {expr: a offset -1m, eval_time: 30s, exp_samples: [{labels: a, value: 6}]}
  - {expr: 'max_over_time(a[1m:])', eval_time: 1m, exp_samples: [{labels: '{}', value: 6}]}
  - {expr: h, eval_time: 10s, exp_samples: [{labels: h, histogram: '{{count:1 sum:1 buckets:[1]}}'}]}
  - {expr: 'histogram_sum(h)', eval_time: 10s, exp_samples: [{labels: '{}', value: 1}]}
";
    check("", tests, &[]);
}

#[test]
fn numbers_are_equal_or_nearly_so_if_that_is_wished() {
    let tests = "
fuzzy_compare: true
tests:
- input_series: [{series: a, values: '0.1'}]
  promql_expr_test:
  - {expr: a * 3, eval_time: 0s, exp_samples: [{labels: '{}', value: 0.3}]}
";
    check("", tests, &[]);
    let exact = tests.replace("fuzzy_compare: true", "fuzzy_compare: false");
    assert_eq!(run("", &exact, &TestOptions::default()).failures.len(), 1);
}

#[test]
fn what_cannot_be_run_says_why() {
    let tests = "
rule_files: [rules.yaml, none-*.yaml]
tests:
- input_series:
  - {series: a, values: '1 2+'}
- input_series:
  - {series: 'a{b}', values: '1'}
- promql_expr_test:
  - {expr: 'sum(', eval_time: 0s}
  - {expr: 'a[5m]', eval_time: 0s}
  - {expr: '1', eval_time: 0s, exp_samples: [{labels: 'a{', value: 1}]}
";
    let report = run("groups: []", tests, &TestOptions::default());
    assert_eq!(report.notes, ["no file matches \"none-*.yaml\""]);
    let [points, labels, syntax, matrix, expected] = &report.failures[..] else {
        panic!("{:?}", report.failures)
    };
    assert_eq!(
        points,
        "tests.yaml:5: input series \"a\": \"2+\" is not a number"
    );
    assert_eq!(
        labels,
        "tests.yaml:7: input series \"a{b}\": the label \"b\" has no value"
    );
    assert!(
        syntax.starts_with("tests.yaml:9: expr: \"sum(\", time: 0s, err: "),
        "{syntax}"
    );
    assert!(
        matrix.ends_with("neither an instant vector nor a scalar"),
        "{matrix}"
    );
    assert!(
        expected.contains("labels \"a{\": the labels are not closed"),
        "{expected}"
    );

    check(
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: b + on() c}\n",
        "rule_files: [rules.yaml]\ntests:\n- input_series:\n  - {series: 'b{x=\"1\"}', values: 1}\n  - {series: 'b{x=\"2\"}', values: 1}\n  - {series: c, values: 1}\n",
        &[
            "tests.yaml:3: rule: a, time: 0s, err: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
        ],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'sum('}\n",
        "rule_files: [rules.yaml]\ntests: [{}]\n",
        &["rules.yaml:4:23: invalid expression: 1:4: parse error: unclosed left parenthesis"],
    );
    check(
        "",
        "tests: [{promql_expr_test: [{expr: 1, eval_time: 100y}]}]",
        &["tests.yaml:1: it takes more than 1000000 evaluations"],
    );
}

#[test]
fn only_chosen_tests_run() {
    let tests = "tests: [{name: one}, {name: two}, {name: three}]";
    let options = TestOptions {
        run: vec![Regex::new("^t").expect("valid")],
        debug: true,
        ..TestOptions::default()
    };
    let report = run("", tests, &options);
    assert_eq!((report.tests, report.debug.len()), (2, 2));
}

#[test]
fn templates_ask_the_series_of_the_test() {
    let rules = r#"
groups:
- name: g
  query_offset: 1m
  rules:
  - alert: High
    expr: a > 1
    annotations:
      top: '{{ range query "topk(1, b)" }}{{ .Labels.x }}={{ .Value }}{{ end }}'
  - {record: r, expr: a}
"#;
    let tests = r#"
rule_files: [rules.yaml]
tests:
- input_series:
  - {series: a, values: '1 2 3'}
  - {series: 'b{x="p"}', values: '1x5'}
  - {series: 'b{x="q"}', values: '2x5'}
  alert_rule_test:
  - {eval_time: 1m, alertname: High}
  - {eval_time: 2m, alertname: High, exp_alerts: [{exp_annotations: {top: q=2}}]}
  promql_expr_test:
  - {expr: 'timestamp(r)', eval_time: 2m, exp_samples: [{labels: '{}', value: 60}]}
"#;
    check(rules, tests, &[]);
}
