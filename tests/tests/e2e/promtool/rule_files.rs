//! Rule files, good and bad.

/// Judged the same by Prometheus 2.42 and 3.
pub(super) const SAME: &[(&str, &str)] = &[
    ("nothing", ""),
    ("no groups", "groups:\n"),
    ("an empty list of groups", "groups: []\n"),
    (
        "a whole file",
        r#"
groups:
- name: shop
  interval: 30s
  limit: 10
  rules:
  - record: job:orders:rate5m
    expr: sum by (job) (rate(orders_total[5m]))
    labels: {team: shop}
  - alert: NoOrders
    expr: job:orders:rate5m == 0
    for: 10m
    labels: {severity: page, n: 1, really: true}
    annotations:
      summary: "{{ $labels.job }}: {{ $value | humanize }}"
- name: other
  rules:
"#,
    ),
    (
        "templates of every kind",
        r#"
groups:
- name: g
  rules:
  - alert: A
    expr: up == 0
    annotations:
      a: '{{ with query "up" }}{{ . | first | value | humanizePercentage }}{{ end }}'
      b: '{{ range $i, $s := query "up" | sortByLabel "job" }}{{ $i }}{{ $s.Labels.job }}{{ else }}-{{ end }}'
      c: '{{- /* no words */ -}} {{ $x := 1 }}{{ if gt $value 3.0 }}{{ $x = 2 }}{{ else if eq $labels.a "b" }}x{{ else }}y{{ end }}{{ $x }}'
      d: '{{ $externalLabels.region }} {{ $externalURL }} {{ .ExternalURL }} {{ .Labels.a }} {{ .Value }}'
      e: '{{ reReplaceAll "a(.*)" "b$1" $labels.x | toUpper | title | printf "%q" }}'
      f: '{{ printf "%.2f of %s" .Value .Labels.x }} {{ args 1 2 }} {{ "{{" }}'
      g: '{{ graphLink "up" }} {{ tableLink "up" }} {{ pathPrefix }} {{ safeHtml "<b>" }} {{ html "<" }} {{ len "x" }}'
"#,
    ),
    (
        "a template whose braces are not closed",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ $value'}\n",
    ),
    (
        "a template with an unknown variable",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ $valeu }}'}\n",
    ),
    (
        "a template with an unknown function",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {a: '{{ humanise 1 }}'}\n",
    ),
    (
        "a template without its end",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ if $value }}x'}\n",
    ),
    (
        "a variable out of its block",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}'}\n",
    ),
    (
        "a template with nothing in it",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ }}'}\n",
    ),
    (
        "a template with one end too many",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ end }}'}\n",
    ),
    (
        "braces in a recording rule are no template",
        "groups:\n- name: g\n  rules:\n  - record: r\n    expr: up\n    labels: {a: '{{ $x'}\n",
    ),
    (
        "numbers and the like as texts",
        "groups:\n- name: 5\n  rules:\n  - alert: true\n    expr: 1\n    labels: {a: 0x10, b: yes, c: 1.50, d: 2020-01-01, e: ~}\n",
    ),
    (
        "empty values",
        "groups:\n- name: a\n  interval: 0s\n  limit: -1\n  rules:\n  - alert: A\n    expr: up\n    for:\n    labels:\n    annotations:\n      x:\n",
    ),
    (
        "durations of every kind",
        "groups:\n- name: a\n  interval: 1h30m\n  rules:\n  - alert: A\n    expr: up\n    for: 1y2w3d4h5m6s7ms\n    keep_firing_for: 0\n",
    ),
    (
        "a duration that is none",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    for: 5 minutes\n",
    ),
    (
        "a duration without a unit",
        "groups:\n- name: a\n  interval: 30\n  rules: []\n",
    ),
    (
        "a duration in the wrong order",
        "groups:\n- name: a\n  interval: 5m1h\n  rules: []\n",
    ),
    (
        "a limit that is no number",
        "groups:\n- name: a\n  limit: many\n  rules: []\n",
    ),
    (
        "a limit in quotes",
        "groups:\n- name: a\n  limit: '5'\n  rules: []\n",
    ),
    (
        "unknown keys at every level",
        "groups:\n- name: a\n  colour: red\n  rules:\n  - alert: A\n    expr: up\n    severity: high\nmore: 1\n",
    ),
    ("a key twice", "groups:\n- name: a\n  name: b\n"),
    (
        "a label twice",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    labels:\n      x: 1\n      x: 2\n",
    ),
    ("a text instead of a map", "groups\n"),
    ("a map instead of a list", "groups:\n  name: a\n"),
    (
        "rules that are texts",
        "groups:\n- name: a\n  rules:\n  - up\n",
    ),
    (
        "a list as a label",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    labels:\n      x: [1]\n",
    ),
    ("no YAML", "groups:\n- name: a\n  rules: [}\n"),
    ("a tab", "groups:\n\t- name: a\n"),
    (
        "two documents, of which the first counts",
        "groups:\n- name: a\n---\nfoo: 1\n",
    ),
    ("a group without a name", "groups:\n- rules: []\n"),
    ("a group with an empty name", "groups:\n- name: ''\n"),
    (
        "two groups of one name",
        "groups:\n- name: a\n- rules: []\n  name: a\n",
    ),
    (
        "both record and alert",
        "groups:\n- name: a\n  rules:\n  - expr: up\n    record: r\n    alert: A\n",
    ),
    (
        "neither record nor alert",
        "groups:\n- name: a\n  rules:\n  - expr: up\n",
    ),
    (
        "no expression",
        "groups:\n- name: a\n  rules:\n  - alert: A\n",
    ),
    (
        "an empty expression",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: ''\n",
    ),
    (
        "an expression that is none",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: sum(up\n",
    ),
    (
        "an expression that is none, in a block",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: |\n\n      sum(up)\n      > >\n      1\n",
    ),
    (
        "an expression that is none, folded",
        "groups:\n- name: a\n  rules:\n  - record: r\n    labels: {x: y}\n    # why\n    expr: >-  # because\n      up +\n",
    ),
    (
        "expressions with unknown and ill-typed functions",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: rat(up[5m])\n  - record: r2\n    expr: rate(up)\n  - record: r3\n    expr: sum(up, up)\n  - record: r4\n    expr: up{a=~\"(\"}\n",
    ),
    (
        "an expression of a matrix or text",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: up[5m]\n  - record: r2\n    expr: '\"text\"'\n",
    ),
    (
        "a recording rule with what only alerts have",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: up\n    for: 5m\n    annotations: {a: b}\n",
    ),
    (
        "a recording rule with a hold of nothing",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: up\n    for: 0s\n    annotations: {}\n",
    ),
    (
        "a record with labels",
        "groups:\n- name: a\n  rules:\n  - record: 'r{a=\"b\"}'\n    expr: up\n",
    ),
    (
        "the name as a label",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: up\n    labels: {__name__: x}\n",
    ),
    (
        "a label without a name",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: up\n    labels: {'': x}\n",
    ),
    (
        "mistakes in many rules",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: up(\n  - alert: A\n    expr: ok\n  - alert: B\n    expr: up)\n- name: b\n  rules:\n  - record: s\n    expr: '!'\n",
    ),
    (
        "aliases and merge keys",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    labels: &l {team: x}\n  - alert: B\n    expr: up\n    labels: {<<: *l, b: c}\n  - alert: C\n    expr: up\n    labels: *l\n",
    ),
    (
        "a rule twice",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: up\n    labels: {x: y}\n- name: b\n  rules:\n  - record: r\n    expr: down\n    labels: {x: y}\n",
    ),
    (
        "an alert twice, with other labels",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    labels: {x: y}\n  - alert: A\n    expr: up\n    labels: {x: z}\n",
    ),
    (
        "an alert and a record of one name",
        "groups:\n- name: a\n  rules:\n  - alert: a\n    expr: up\n  - record: a\n    expr: up\n",
    ),
    (
        "a rule twice and another that is wrong",
        "groups:\n- name: a\n  rules:\n  - alert: a\n    expr: up\n  - alert: a\n    expr: up\n  - record: b\n    expr: up(\n",
    ),
];

/// Exit code, name, file: what 2.42 does not know, and what the collector is stricter about.
pub(super) const NEWER: &[(i32, &str, &str)] = &[
    (
        0,
        "labels and query_offset of a group",
        "groups:\n- name: a\n  query_offset: 1m\n  labels: {team: x}\n  rules:\n  - record: r\n    expr: up\n",
    ),
    (
        0,
        "names of any characters",
        "groups:\n- name: a\n  rules:\n  - record: http.requests\n    expr: '{\"http.requests\"}'\n    labels: {'a b': c}\n",
    ),
    (
        1,
        "the name as a label of a group",
        "groups:\n- name: a\n  labels: {__name__: x}\n",
    ),
    (
        0,
        "a query offset of nothing",
        "groups:\n- name: a\n  query_offset: 0s\n",
    ),
    (
        0,
        "rules over logs",
        "groups:\n- name: a\n  type: logs\n  rules:\n  - alert: A\n    expr: 'count_over_time({service_name=\"a\"}[5m]) > 3'\n",
    ),
    (
        1,
        "a field that templates do not have",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    annotations: {a: '{{ .Lables.job }}'}\n",
    ),
    (
        1,
        "an expression that no data can answer",
        "groups:\n- name: a\n  rules:\n  - record: r\n    expr: 'label_replace(up, \"a\", \"b\", \"c\", \"(\")'\n",
    ),
];
