use super::*;

fn check(text: &str) -> Result<RuleFile, String> {
    let check_expr = |_: GroupKind, expr: &str| {
        if expr.contains("bad") {
            Err("no such function".to_owned())
        } else {
            Ok(())
        }
    };
    RuleFile::parse("rules.yaml", text, &check_expr).map_err(|errors| {
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

#[test]
fn a_whole_file_parses() {
    let file = check(
        "groups:
- name: one
  type: logs
  interval: 30s
  query_offset: 1m
  limit: 5
  labels: {team: a, tier: x}
  rules:
  - alert: A
    expr: up == 0
    for: 5m
    keep_firing_for: 10m
    labels: {tier: y, n: 1}
    annotations: {summary: 'is {{ $value }}'}
  - record: job:up:sum
    expr: sum(up)
",
    )
    .expect("valid");
    let group = &file.groups[0];
    assert_eq!((group.kind, group.limit), (GroupKind::Logs, 5));
    assert_eq!(group.interval, Some(Duration::from_secs(30)));
    assert_eq!(group.key(), "rules.yaml;one");
    let RuleConfig::Alerting(rule) = &group.rules[0] else {
        panic!("not an alert")
    };
    assert_eq!(
        (rule.hold.as_secs(), rule.keep_firing_for.as_secs()),
        (300, 600)
    );
    let labels: Vec<_> = rule
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(labels, ["n=1", "team=a", "tier=y"]);
    assert_eq!(group.rules[1].name(), "job:up:sum");
}

#[test]
fn errors_name_line_column_and_nearest_key() {
    for (text, expected) in [
        (
            "groups:\n- name: a\n  rules:\n  - alert: A\n    exprs: up\n",
            "rules.yaml:5:5: unknown key `exprs`, did you mean `expr`?",
        ),
        (
            "groups:\n- name: a\n  intervall: 5m\n",
            "rules.yaml:3:3: unknown key `intervall`, did you mean `interval`?",
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: bad(up)\n",
            "rules.yaml:5:11: invalid expression: no such function",
        ),
        (
            "groups:\n- name: a\n  rules:\n  - record: 1x\n    expr: up\n    for: 5m\n",
            "rules.yaml:4:13: `for` has no meaning in a recording rule",
        ),
        (
            "groups:\n- name: a\n- name: a\n",
            "rules.yaml:3:3: a second group named \"a\" in this file",
        ),
        (
            "groups:\n- name: a\n  rules:\n  - expr: up\n",
            "rules.yaml:4:5: a rule needs `record` or `alert`",
        ),
    ] {
        assert_eq!(check(text).expect_err("invalid"), expected);
    }
    let error = check("groups:\n- name: a\n  interval: 5 minutes\n").expect_err("invalid");
    assert!(error.starts_with("rules.yaml:3:13: "), "{error}");
    assert!(error.contains("is not a duration"), "{error}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let keys = "groups:\n- name: a\n  foo: 1\n  limit: many\n  rules:\n  - alert: A\n    expr: [up]\n    for: soon\n- name: b\n  name: c\n  rules: {}\n";
    let expected = [
        "rules.yaml:3:3: unknown key `foo`, known keys: name, type, interval, query_offset, limit, labels, rules",
        "rules.yaml:4:10: expected a whole number, found \"many\"",
        "rules.yaml:7:11: expected a text, found a list",
        "rules.yaml:8:10: \"soon\" is not a duration; write it like 30s, 5m or 1h30m",
        "rules.yaml:10:3: the key `name` is there already",
        "rules.yaml:11:10: expected a list, found a map",
    ];
    assert_eq!(check(keys).expect_err("invalid"), expected.join("\n"));
    let rules = "groups:
- rules:
  - {record: a, alert: b, expr: bad}
  - {alert: c}
  - record: 'd{e=\"f\"}'
    expr: up
    annotations: {g: h}
    keep_firing_for: 1m
  - {alert: i, expr: up, labels: {__name__: x, '': y}, annotations: {'': z}}
";
    let expected = [
        "rules.yaml:2:3: the group has no name",
        "rules.yaml:3:14: a rule has either `record` or `alert`, not both",
        "rules.yaml:3:33: invalid expression: no such function",
        "rules.yaml:4:5: the rule has no `expr`",
        "rules.yaml:5:13: `annotations` has no meaning in a recording rule",
        "rules.yaml:5:13: `keep_firing_for` has no meaning in a recording rule",
        "rules.yaml:5:13: \"d{e=\\\"f\\\"}\" is not a metric name: labels belong into `labels` or `expr`",
        "rules.yaml:9:35: the label `__name__` cannot be set",
        "rules.yaml:9:48: a label needs a name",
        "rules.yaml:9:70: an annotation needs a name",
    ];
    assert_eq!(check(rules).expect_err("invalid"), expected.join("\n"));
}

#[test]
fn what_prometheus_reads_is_read() {
    assert_eq!(check("").expect("empty").groups, []);
    assert_eq!(check("groups:\n").expect("no groups").groups, []);
    let file = check(
        "groups:
- name: 5
  interval: 0s
  limit: -1
  query_offset: 0s
  rules:
  - alert: true
    expr: 1
    for: 0
    keep_firing_for:
    labels: {a: 0x10, b: yes, c: 1.50, \"d d\": ~}
    annotations:
  - record: 1.x-y
    expr: up
    for: 0s
",
    );
    let group = &file.expect("valid").groups[0];
    assert_eq!((group.name.as_str(), group.limit), ("5", 0));
    assert_eq!(
        (group.interval, group.query_offset),
        (None, Some(Duration::ZERO))
    );
    let labels: Vec<_> = group.rules[0].labels().iter().collect();
    let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["a=0x10", "b=yes", "c=1.50", "d d="]);
    assert_eq!(group.rules[1].name(), "1.x-y");
}

#[test]
fn keys_of_a_newer_version_can_be_ignored() {
    let text = "groups:\n- name: a\n  new: [1]\n  rules:\n  - {alert: A, expr: up, newer: 1}\n";
    let file = RuleFile::parse_with("f", text, UnknownKeys::Ignore, &|_, _| Ok(()));
    assert_eq!(file.expect("valid").rule_count(), 1);
}

#[test]
fn rules_with_the_name_and_labels_of_others_are_known() {
    let file = check(
        "groups:
- name: a
  labels: {x: y}
  rules:
  - {record: r, expr: 1}
  - {record: r, expr: 2, labels: {x: z}}
- name: b
  rules:
  - {record: r, expr: 3}
  - {record: r, expr: 4, labels: {x: y}}
",
    );
    let [duplicate] = &file.expect("valid").duplicates[..] else {
        panic!("not one")
    };
    assert_eq!((duplicate.name.as_str(), duplicate.line), ("r", 10));
}

#[test]
fn a_broken_template_is_refused_at_its_line() {
    let file = |label: &str, summary: &str| {
        format!(
            "groups:\n- name: a\n  labels: {{team: '{label}'}}\n  rules:\n  - alert: A\n    expr: up\n    annotations:\n      summary: '{summary}'\n"
        )
    };
    for (label, summary, expected) in [
        (
            "x",
            "{{ $value",
            "rules.yaml:8:16: invalid template of the annotation `summary`: an action is not closed with }}",
        ),
        (
            "x",
            "{{ if $value }}{{ querry \"up\" | humanize }}{{ end }}",
            "rules.yaml:8:16: invalid template of the annotation `summary`: the function querry is not supported",
        ),
        (
            "x",
            "{{ humanize ($vlaue) }}",
            "rules.yaml:8:16: invalid template of the annotation `summary`: the variable $vlaue is not supported",
        ),
        (
            "{{ .Lables.job }}",
            "{{ range 1 }}",
            "rules.yaml:3:18: invalid template of the label `team`: the field .Lables is not supported\nrules.yaml:8:16: invalid template of the annotation `summary`: {{range}} without {{end}}",
        ),
    ] {
        assert_eq!(check(&file(label, summary)).expect_err("invalid"), expected);
    }
    let known = "{{ if ne .Value 1.0 }}{{ print $labels.job .ExternalURL }}{{ else }}{{ index $labels \"a\" }}{{ end }}";
    check(&file("{{ $externalLabels.a }}{{ externalURL }}", known)).expect("valid");
}

#[test]
fn a_bad_file_is_refused_and_the_good_ones_load() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let write =
        |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("write");
    write("a.yaml", "groups:\n- name: good\n");
    write("b.yml", "groups:\n- nam: bad\n");
    write("a.test.yaml", "rule_files: [a.yaml]\n");
    write("notes.txt", "no rules");
    let loaded = load_dir(dir.path(), &|_, _| Ok(()));
    assert_eq!(loaded.groups.len(), 1);
    assert_eq!(loaded.errors.len(), 1);
    let error = loaded.errors[0].to_string();
    assert!(
        error.ends_with("b.yml:2:3: unknown key `nam`, did you mean `name`?"),
        "{error}"
    );
    let rules = RuleSet::from(loaded);
    let refuses = |dir: &std::path::Path, group: &str| {
        RuleSet::refuses(&rules.refused_files, &dir.join(group).display().to_string())
    };
    assert!(refuses(dir.path(), "b.yml;bad"));
    assert!(!refuses(dir.path(), "a.yaml;good"));
    assert!(!refuses(dir.path(), "b.yml2;bad"));

    let missing = dir.path().join("missing");
    let rules = RuleSet::from(load_dir(&missing, &|_, _| Ok(())));
    let key = missing.join("any.yaml;g").display().to_string();
    assert!(RuleSet::refuses(&rules.refused_files, &key));
}

#[test]
fn shipped_rules_parse() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../alert-rules");
    let loaded = load_dir(&dir, &|_, _| Ok(()));
    assert_eq!(loaded.errors, []);
    let rules = loaded.groups.iter().flat_map(|group| &group.rules);
    let alerts: Vec<&AlertingConfig> = rules
        .filter_map(|rule| match rule {
            RuleConfig::Alerting(rule) => Some(rule),
            RuleConfig::Recording(_) => None,
        })
        .collect();
    for name in [
        "TargetDown",
        "AgentSilent",
        "SegmentsDamaged",
        "DiskWillFill",
        "HighErrorRatio",
        "NewErrorGroup",
        "ErrorGroupRegressed",
        "CrashLoopingLogPattern",
    ] {
        assert!(
            alerts.iter().any(|rule| rule.alert == name),
            "{name} is missing"
        );
    }
    for rule in alerts {
        assert!(
            rule.labels.contains_key("severity"),
            "{} has no severity",
            rule.alert
        );
        for annotation in ["summary", "description", "runbook"] {
            assert!(
                rule.annotations.contains_key(annotation),
                "{}: {annotation}",
                rule.alert
            );
        }
    }
}
