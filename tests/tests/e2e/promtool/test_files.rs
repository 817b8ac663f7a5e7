//! Rule files and tests of them, which pass and which fail.

pub(super) const RULES: &[(&str, &str)] = &[
    (
        "alerts.yaml",
        r#"
groups:
- name: alerts
  rules:
  - alert: Down
    expr: up == 0
    for: 3m
    labels: {severity: page, where: "{{ $labels.job }}"}
    annotations:
      summary: "{{ $labels.job }} of {{ $externalLabels.region }} is down ({{ $value }})"
      link: "{{ $externalURL }}/alerts"
  - alert: Slow
    expr: latency > 1
    annotations: {value: "{{ $value | humanizeDuration }}", twice: '{{ printf "%.1f" $value }}'}
  - alert: Slow
    expr: latency > 5
    labels: {severity: page}
  - alert: Kept
    expr: flap > 0
    keep_firing_for: 2m
"#,
    ),
    (
        "records.yaml",
        r#"
groups:
- name: sums
  rules:
  - record: job:requests:rate5m
    expr: sum by (job) (rate(requests_total[5m]))
  - record: requests:rate5m
    expr: sum(job:requests:rate5m)
    labels: {kind: total}
  - record: half
    expr: scalar(requests:rate5m) / 2
- name: later
  rules:
  - record: copy
    expr: half * 1
"#,
    ),
    (
        "more/ratio.yml",
        "groups:\n- name: ratio\n  rules:\n  - record: errors:ratio\n    expr: errors / on (job) all\n",
    ),
    (
        "limited.yaml",
        "groups:\n- name: limited\n  limit: 1\n  rules:\n  - record: few\n    expr: many\n",
    ),
    (
        "ask.yaml",
        r#"
groups:
- name: ask
  rules:
  - alert: Asks
    expr: ask > 0
    annotations:
      one: '{{ with query "sum(other)" }}{{ . | first | value | humanize }}{{ end }}'
      all: '{{ range query "sort_desc(other)" }}{{ .Labels.x }}={{ .Value }};{{ else }}nothing{{ end }}'
      broken: '{{ query "sum(" | first | value }}'
"#,
    ),
    (
        "broken.yaml",
        "groups:\n- name: broken\n  rules:\n  - record: r\n    expr: sum(\n",
    ),
];

pub(super) const SAME: &[(&str, &str)] = &[
    ("nothing", ""),
    ("no tests", "rule_files: [alerts.yaml]\n"),
    (
        "a file that is not there",
        "rule_files: [none.yaml]\ntests: []\n",
    ),
    (
        "a glob that nothing matches",
        "rule_files: ['none*.yaml']\ntests:\n- interval: 1m\n",
    ),
    (
        "a broken rule file",
        "rule_files: [broken.yaml]\ntests:\n- interval: 1m\n",
    ),
    (
        "a broken rule file and no tests",
        "rule_files: [broken.yaml]\n",
    ),
    ("an unknown key", "rule_files: []\ntest: []\n"),
    (
        "an unknown key of a test",
        "tests:\n- interval: 1m\n  series: []\n",
    ),
    (
        "a group twice in the order",
        "group_eval_order: [a, a]\ntests: []\n",
    ),
    (
        "an alert that is pending and fires and ends",
        r#"
rule_files: [alerts.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  external_labels: {region: eu}
  external_url: http://prometheus
  input_series:
  - {series: 'up{job="a"}', values: '1 1 0x6 1x5'}
  alert_rule_test:
  - {eval_time: 1m, alertname: Down}
  - {eval_time: 4m, alertname: Down}
  - eval_time: 5m
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: page, where: a, job: a}
      exp_annotations: {summary: "a of eu is down (0)", link: "http://prometheus/alerts"}
  - eval_time: 8m
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: page, where: a, job: a}
      exp_annotations: {summary: "a of eu is down (0)", link: "http://prometheus/alerts"}
  - {eval_time: 9m, alertname: Down, exp_alerts: []}
"#,
    ),
    (
        "a label that is wrong",
        r#"
rule_files: [alerts.yaml]
tests:
- interval: 1m
  input_series: [{series: latency, values: '2x5'}]
  alert_rule_test:
  - eval_time: 1m
    alertname: Slow
    exp_alerts: [{exp_labels: {a: b}, exp_annotations: {value: 2s, twice: '2.0'}}]
"#,
    ),
    (
        "an annotation that is missing",
        r#"
rule_files: [alerts.yaml]
tests:
- interval: 1m
  input_series: [{series: latency, values: '2x5'}]
  alert_rule_test:
  - {eval_time: 1m, alertname: Slow, exp_alerts: [{exp_annotations: {value: 2s}}]}
"#,
    ),
    (
        "two rules of one name",
        r#"
rule_files: [alerts.yaml]
tests:
- interval: 1m
  input_series: [{series: latency, values: '6x5'}]
  alert_rule_test:
  - eval_time: 1m
    alertname: Slow
    exp_alerts:
    - {exp_labels: {severity: page}}
    - {exp_annotations: {value: 6s, twice: '6.0'}}
"#,
    ),
    (
        "one alert of two is not expected",
        r#"
rule_files: [alerts.yaml]
tests:
- interval: 1m
  input_series: [{series: latency, values: '6x5'}]
  alert_rule_test:
  - {eval_time: 1m, alertname: Slow, exp_alerts: [{exp_labels: {severity: page}}]}
"#,
    ),
    (
        "an alert that is not there",
        r#"
rule_files: [alerts.yaml]
tests:
- interval: 1m
  alert_rule_test:
  - {eval_time: 1m, alertname: NoSuchAlert, exp_alerts: []}
  - {eval_time: 1m, alertname: Down, exp_alerts: [{}]}
"#,
    ),
    (
        "a test of alerts without a name",
        "rule_files: [alerts.yaml]\ntests:\n- interval: 1m\n  alert_rule_test:\n  - {eval_time: 1m}\n",
    ),
    (
        "an alert that is kept",
        r#"
rule_files: [alerts.yaml]
tests:
- interval: 1m
  input_series: [{series: flap, values: '1 1 0x10'}]
  alert_rule_test:
  - {eval_time: 1m, alertname: Kept, exp_alerts: [{}]}
  - {eval_time: 3m, alertname: Kept, exp_alerts: [{}]}
  - {eval_time: 4m, alertname: Kept, exp_alerts: []}
"#,
    ),
    (
        "times between two evaluations",
        r#"
rule_files: [alerts.yaml]
evaluation_interval: 1m
tests:
- interval: 10s
  input_series: [{series: latency, values: '0x8 2x20'}]
  alert_rule_test:
  - {eval_time: 1m50s, alertname: Slow, exp_alerts: []}
  - {eval_time: 2m30s, alertname: Slow, exp_alerts: [{exp_annotations: {value: 2s, twice: '2.0'}}]}
  promql_expr_test:
  - {expr: latency, eval_time: 95s, exp_samples: [{labels: latency, value: 2}]}
  - {expr: latency, eval_time: 2m35s, exp_samples: [{labels: latency, value: 2}]}
"#,
    ),
    (
        "samples after the last evaluation are not there",
        r#"
evaluation_interval: 1m
tests:
- interval: 10s
  input_series: [{series: a, values: '0+1x100'}]
  promql_expr_test:
  - {expr: a, eval_time: 90s, exp_samples: [{labels: a, value: 6}]}
"#,
    ),
    (
        "samples after the last evaluation are expected",
        r#"
evaluation_interval: 1m
tests:
- interval: 10s
  input_series: [{series: a, values: '0+1x100'}]
  promql_expr_test:
  - {expr: a, eval_time: 90s, exp_samples: [{labels: a, value: 9}]}
"#,
    ),
    (
        "the series of alerts",
        r#"
rule_files: [alerts.yaml]
tests:
- interval: 1m
  input_series: [{series: latency, values: '2x5'}, {series: 'up{job="b"}', values: '0x5'}]
  promql_expr_test:
  - expr: ALERTS{alertname="Slow"}
    eval_time: 1m
    exp_samples: [{labels: 'ALERTS{alertname="Slow", alertstate="firing"}', value: 1}]
  - expr: ALERTS{alertname="Down"}
    eval_time: 1m
    exp_samples:
    - {labels: 'ALERTS{alertname="Down", alertstate="pending", job="b", severity="page", where="b"}', value: 1}
  - expr: ALERTS_FOR_STATE{alertname="Slow"}
    eval_time: 2m
    exp_samples: [{labels: 'ALERTS_FOR_STATE{alertname="Slow"}', value: 0}]
"#,
    ),
    (
        "recording rules that read one another",
        r#"
rule_files: [records.yaml]
group_eval_order: [sums, later]
tests:
- interval: 1m
  input_series:
  - {series: 'requests_total{job="a", i="1"}', values: '0+60x10'}
  - {series: 'requests_total{job="a", i="2"}', values: '0+60x10'}
  - {series: 'requests_total{job="b"}', values: '0+120x10'}
  promql_expr_test:
  - expr: job:requests:rate5m
    eval_time: 5m
    exp_samples:
    - {labels: 'job:requests:rate5m{job="b"}', value: 2}
    - {labels: 'job:requests:rate5m{job="a"}', value: 2}
  - {expr: requests:rate5m, eval_time: 5m, exp_samples: [{labels: 'requests:rate5m{kind="total"}', value: 4}]}
  - {expr: half + copy, eval_time: 5m, exp_samples: [{labels: '{}', value: 4}]}
"#,
    ),
    (
        "a recorded value that is wrong",
        r#"
rule_files: [records.yaml]
tests:
- interval: 1m
  input_series: [{series: 'requests_total{job="a"}', values: '0+60x10'}]
  promql_expr_test:
  - {expr: 'job:requests:rate5m', eval_time: 5m, exp_samples: [{labels: 'job:requests:rate5m{job="a"}', value: 2}]}
"#,
    ),
    (
        "a recorded series that ends",
        r#"
rule_files: [more/*.yml]
tests:
- interval: 1m
  input_series:
  - {series: 'errors{job="a"}', values: '1 1 stale'}
  - {series: 'all{job="a"}', values: '4x10'}
  promql_expr_test:
  - {expr: 'errors:ratio', eval_time: 1m, exp_samples: [{labels: 'errors:ratio{job="a"}', value: 0.25}]}
  - {expr: 'errors:ratio', eval_time: 2m, exp_samples: []}
"#,
    ),
    (
        "a rule that fails in between",
        r#"
rule_files: ['more/rat?o.yml']
tests:
- interval: 1m
  input_series:
  - {series: 'errors{job="a"}', values: '1x5'}
  - {series: 'all{job="a", i="1"}', values: '4x1 _ 4'}
  - {series: 'all{job="a", i="2"}', values: '_ 4x10'}
  promql_expr_test:
  - {expr: '1', eval_time: 3m, exp_samples: [{labels: '{}', value: 1}]}
"#,
    ),
    (
        "a limit that is kept",
        "rule_files: [limited.yaml]\ntests:\n- interval: 1m\n  input_series: [{series: many, values: 1}]\n",
    ),
    (
        "a limit that is exceeded",
        "rule_files: [limited.yaml]\ntests:\n- interval: 1m\n  input_series: [{series: 'many{a=\"1\"}', values: 1}, {series: 'many{a=\"2\"}', values: 1}]\n",
    ),
    (
        "input that a rule records too",
        r#"
rule_files: [limited.yaml]
tests:
- interval: 1m
  input_series: [{series: many, values: '1x5'}, {series: few, values: '7 7 _ _'}]
  promql_expr_test:
  - {expr: few, eval_time: 1m, exp_samples: [{labels: few, value: 7}]}
  - {expr: few, eval_time: 2m, exp_samples: [{labels: few, value: 1}]}
"#,
    ),
    (
        "templates that ask",
        r#"
rule_files: [ask.yaml]
tests:
- interval: 1m
  input_series:
  - {series: ask, values: '1'}
  - {series: 'other{x="p"}', values: '1500'}
  - {series: 'other{x="q"}', values: '2'}
  promql_expr_test:
  - {expr: count(ALERTS), eval_time: 0s, exp_samples: [{labels: '{}', value: 1}]}
"#,
    ),
    (
        "the notation of values",
        r#"
tests:
- interval: 1m
  input_series:
  - {series: a, values: '1+2x3 10-5x2 -1 _x2 3 stale 1e2 0x2'}
  - {series: b, values: 'Inf -Inf NaN'}
  - {series: '{__name__="c", d="e\"f"}', values: '-2.5e-1'}
  promql_expr_test:
  - {expr: a, eval_time: 3m, exp_samples: [{labels: a, value: 7}]}
  - {expr: a, eval_time: 6m, exp_samples: [{labels: a, value: 0}]}
  - {expr: a, eval_time: 9m, exp_samples: [{labels: a, value: -1}]}
  - {expr: a, eval_time: 11m, exp_samples: []}
  - {expr: a, eval_time: 12m, exp_samples: [{labels: a, value: 100}]}
  - {expr: count_over_time(a[20m]), eval_time: 15m, exp_samples: [{labels: '{}', value: 13}]}
  - {expr: b, eval_time: 0m, exp_samples: [{labels: b, value: .inf}]}
  - {expr: b, eval_time: 1m, exp_samples: [{labels: b, value: -.Inf}]}
  - {expr: c, eval_time: 1m, exp_samples: [{labels: 'c{d="e\"f"}', value: -0.25}]}
"#,
    ),
    (
        "NaN is equal to nothing",
        "tests:\n- interval: 1m\n  input_series: [{series: a, values: NaN}]\n  promql_expr_test:\n  - {expr: a, eval_time: 0s, exp_samples: [{labels: a, value: .nan}]}\n",
    ),
    (
        "a number that is nearly the one",
        "tests:\n- interval: 1m\n  input_series: [{series: a, values: '0.1'}]\n  promql_expr_test:\n  - {expr: a * 3, eval_time: 0s, exp_samples: [{labels: '{}', value: 0.3}]}\n",
    ),
    (
        "values that are no numbers",
        "tests:\n- interval: 1m\n  input_series: [{series: a, values: '1 two'}]\n",
    ),
    (
        "a step without a count",
        "tests:\n- interval: 1m\n  input_series: [{series: a, values: '1+2'}]\n",
    ),
    (
        "a series without the end of its labels",
        "tests:\n- interval: 1m\n  input_series: [{series: 'a{b=\"c\"', values: '1'}]\n",
    ),
    (
        "a series with a label that has no value",
        "tests:\n- interval: 1m\n  input_series: [{series: 'a{b}', values: '1'}]\n",
    ),
    (
        "an expression that is none",
        "tests:\n- interval: 1m\n  promql_expr_test:\n  - {expr: 'sum(', eval_time: 0s}\n",
    ),
    (
        "an expression of a matrix",
        "tests:\n- interval: 1m\n  promql_expr_test:\n  - {expr: 'up[5m]', eval_time: 0s}\n",
    ),
    (
        "expected labels that are none",
        "tests:\n- interval: 1m\n  promql_expr_test:\n  - {expr: '1', eval_time: 0s, exp_samples: [{labels: 'a{', value: 1}]}\n",
    ),
    (
        "an expected value that is no number",
        "tests:\n- interval: 1m\n  promql_expr_test:\n  - {expr: '1', eval_time: 0s, exp_samples: [{labels: '', value: one}]}\n",
    ),
    (
        "scalars and empty labels",
        "tests:\n- interval: 1m\n  promql_expr_test:\n  - {expr: time(), eval_time: 90s, exp_samples: [{value: 90}]}\n  - {expr: vector(1), eval_time: 0s, exp_samples: [{labels: '{}', value: 1}]}\n",
    ),
    (
        "the order of samples does not count",
        r#"
tests:
- interval: 1m
  input_series: [{series: 'a{x="1"}', values: 1}, {series: 'a{x="2"}', values: 2}]
  promql_expr_test:
  - {expr: sort_desc(a), eval_time: 0s, exp_samples: [{labels: 'a{x="1"}', value: 1}, {labels: 'a{x="2"}', value: 2}]}
"#,
    ),
    (
        "more samples than expected",
        r#"
tests:
- interval: 1m
  input_series: [{series: 'a{x="1"}', values: 1}, {series: 'a{x="2"}', values: 2}]
  promql_expr_test:
  - {expr: a, eval_time: 0s, exp_samples: [{labels: 'a{x="1"}', value: 1}]}
"#,
    ),
    (
        "the step of subqueries is the interval of evaluations",
        r#"
evaluation_interval: 15s
tests:
- interval: 15s
  input_series: [{series: a, values: '0+1x100'}]
  promql_expr_test:
  - {expr: 'count_over_time(a[65s:])', eval_time: 5m, exp_samples: [{labels: '{}', value: 5}]}
"#,
    ),
    (
        "the lookback is five minutes",
        r#"
tests:
- interval: 1m
  input_series: [{series: a, values: '1'}]
  promql_expr_test:
  - {expr: a, eval_time: 4m59s, exp_samples: [{labels: a, value: 1}]}
  - {expr: a, eval_time: 5m1s, exp_samples: []}
"#,
    ),
    (
        "many tests, of which the second fails",
        r#"
tests:
- name: one
  interval: 1m
  promql_expr_test: [{expr: '1', eval_time: 0s, exp_samples: [{value: 1}]}]
- name: two
  interval: 1m
  promql_expr_test: [{expr: '1', eval_time: 0s, exp_samples: [{value: 2}]}]
"#,
    ),
    (
        "a duration that is none",
        "evaluation_interval: 1 minute\ntests: []\n",
    ),
];

/// Exit code, name, file: what 2.42 does not know.
pub(super) const NEWER: &[(i32, &str, &str)] = &[
    (
        0,
        "numbers that are nearly equal",
        "fuzzy_compare: true\ntests:\n- input_series: [{series: a, values: '0.1'}]\n  promql_expr_test:\n  - {expr: a * 3, eval_time: 0s, exp_samples: [{labels: '{}', value: 0.3}]}\n",
    ),
    (
        0,
        "a start",
        "tests:\n- start_timestamp: 1000\n  promql_expr_test:\n  - {expr: time(), eval_time: 10s, exp_samples: [{value: 1010}]}\n",
    ),
    (
        0,
        "native histograms",
        "tests:\n- input_series: [{series: h, values: '{{schema:0 sum:5 count:3 buckets:[1 2]}}x5'}]\n  promql_expr_test:\n  - {expr: h, eval_time: 1m, exp_samples: [{labels: h, histogram: '{{count:3 sum:5 buckets:[1 2]}}'}]}\n  - {expr: histogram_count(h), eval_time: 1m, exp_samples: [{labels: '{}', value: 3}]}\n",
    ),
    (
        1,
        "another native histogram",
        "tests:\n- input_series: [{series: h, values: '{{schema:0 sum:5 count:3 buckets:[1 2]}}x5'}]\n  promql_expr_test:\n  - {expr: h, eval_time: 1m, exp_samples: [{labels: h, histogram: '{{count:3 sum:5 buckets:[2 1]}}'}]}\n",
    ),
    (
        1,
        "a histogram that is none",
        "tests:\n- promql_expr_test:\n  - {expr: '1', eval_time: 1m, exp_samples: [{histogram: '1'}]}\n",
    ),
    (
        0,
        "quoted names",
        "tests:\n- input_series: [{series: '{\"a.b\", \"c d\"=\"e\"}', values: 1}]\n  promql_expr_test:\n  - {expr: '{\"a.b\"}', eval_time: 0s, exp_samples: [{labels: '{\"a.b\", \"c d\"=\"e\"}', value: 1}]}\n",
    ),
    (
        1,
        "a start that is none",
        "tests:\n- start_timestamp: noon\n",
    ),
];
