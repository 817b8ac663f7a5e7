use std::sync::LazyLock;

use super::*;
use crate::duration::parse_duration;

const T0: i64 = 1_700_000_000_000;
static NO_LABELS: LazyLock<Labels> = LazyLock::new(Labels::empty);
static NO_ANSWERS: Answers = Answers::new();

fn alerting(hold: &str, keep: &str) -> RuleState {
    RuleState::new(RuleConfig::Alerting(AlertingConfig {
        alert: "Down".to_owned(),
        expr: "up == 0".to_owned(),
        hold: parse_duration(hold).expect("valid"),
        keep_firing_for: parse_duration(keep).expect("valid"),
        labels: TextMap::from([("team".to_owned(), "{{ $labels.job }}s".to_owned())]),
        annotations: TextMap::from([("value".to_owned(), "{{ $value }}".to_owned())]),
    }))
}

fn context(minute: i64, limit: usize) -> EvalContext<'static> {
    EvalContext {
        ts: UnixMillis(T0 + minute * 60_000),
        sample_time: UnixMillis(T0 + minute * 60_000),
        limit,
        external_url: "",
        external_labels: &NO_LABELS,
        answers: &NO_ANSWERS,
    }
}

fn vector(jobs: &[&str]) -> Vec<(Labels, f64)> {
    let row = |job: &&str| (Labels::from_pairs([("__name__", "up"), ("job", job)]), 0.0);
    jobs.iter().map(row).collect()
}

fn sample_texts(samples: &[RuleSample]) -> Vec<String> {
    let text = |sample: &RuleSample| {
        let labels = &sample.labels;
        let state = labels.get("alertstate").unwrap_or_default();
        let value = if sample.value.to_bits() == STALE_MARKER_BITS {
            "stale".to_owned()
        } else {
            sample.value.to_string()
        };
        format!("{} {state} {value}", labels.metric_name())
    };
    samples.iter().map(text).collect()
}

/// One letter a minute says whether there is a result (`x`) or none (`.`), the other the state after
/// it: `p`ending, `f`iring, `i`nactive, `-` unknown.
fn check(hold: &str, keep: &str, results: &str, states: &str) {
    let mut rule = alerting(hold, keep);
    let mut seen = String::new();
    for (minute, result) in (0..).zip(results.chars()) {
        let jobs: &[&str] = if result == 'x' { &["api"] } else { &[] };
        rule.apply(context(minute, 0), vector(jobs))
            .expect("evaluates");
        seen.push(match rule.active.values().next().map(|alert| alert.state) {
            None => '-',
            Some(AlertState::Pending) => 'p',
            Some(AlertState::Firing) => 'f',
            Some(AlertState::Inactive) => 'i',
        });
    }
    assert_eq!(
        seen, states,
        "for {hold}, keep_firing_for {keep}, results {results}"
    );
}

#[test]
fn states_follow_results() {
    check("0s", "0s", "x", "f");
    check("2m", "0s", "xxxx.", "ppffi");
    // A gap while pending starts from the beginning.
    check("2m", "0s", "xx.xxx", "pp-ppf");
    // keep_firing_for bridges a short gap and ends a long one.
    check("0s", "2m", "x.x...", "fffffi");
    check("0s", "2m", "x...x", "fffif");
    // A resolved alert is kept for 15 minutes; a new result is a new alert either way.
    check("1m", "0s", "xx..xx", "pfiipf");
    check(
        "1m",
        "0s",
        &format!("xx{}", ".".repeat(18)),
        &format!("pf{}--", "i".repeat(16)),
    );
}

#[test]
fn labels_annotations_and_series_of_an_alert() {
    let mut rule = alerting("1m", "0s");
    let first = rule
        .apply(context(0, 0), vector(&["api"]))
        .expect("evaluates");
    assert!(first.changed);
    let alert = rule.active.values().next().expect("active");
    assert_eq!(
        alert.labels.to_string(),
        r#"{alertname="Down", job="api", team="apis"}"#
    );
    assert_eq!(alert.annotations["value"], "0");
    assert_eq!(
        sample_texts(&first.samples),
        ["ALERTS pending 1", "ALERTS_FOR_STATE  1700000000"]
    );

    let second = rule
        .apply(context(1, 0), vector(&["api"]))
        .expect("evaluates");
    assert_eq!(
        sample_texts(&second.samples),
        [
            "ALERTS firing 1",
            "ALERTS_FOR_STATE  1700000000",
            "ALERTS pending stale"
        ]
    );
    assert!(
        !rule
            .apply(context(2, 0), vector(&["api"]))
            .expect("evaluates")
            .changed
    );
    let gone = rule.apply(context(3, 0), vector(&[])).expect("evaluates");
    assert_eq!(
        sample_texts(&gone.samples),
        ["ALERTS firing stale", "ALERTS_FOR_STATE  stale"]
    );
    assert_eq!(
        rule.active.values().next().and_then(|a| a.resolved_at),
        Some(context(3, 0).ts)
    );
}

#[test]
fn equal_label_sets_are_an_error_that_changes_nothing() {
    let mut rule = alerting("0s", "0s");
    rule.apply(context(0, 0), vector(&["api"]))
        .expect("evaluates");
    let before = rule.active.clone();
    let twice = vec![
        (Labels::from_pairs([("__name__", "a"), ("job", "api")]), 1.0),
        (Labels::from_pairs([("__name__", "b"), ("job", "api")]), 2.0),
    ];
    let error = rule.apply(context(1, 0), twice).expect_err("duplicate");
    assert!(matches!(error, EvalError::DuplicateLabelSet(_)), "{error}");
    assert_eq!(rule.active, before);
}

#[test]
fn more_alerts_than_the_limit_drop_all_of_them() {
    let mut rule = alerting("0s", "0s");
    let error = rule
        .apply(context(0, 1), vector(&["a", "b"]))
        .expect_err("too many");
    assert_eq!(error.to_string(), "exceeded the limit of 1 with 2 alerts");
    assert!(rule.active.is_empty());
}

#[test]
fn recording_rules_name_their_series_and_mark_the_ended_ones() {
    let mut rule = RuleState::new(RuleConfig::Recording(crate::rule_file::RecordingConfig {
        record: "job:up".to_owned(),
        expr: "up".to_owned(),
        labels: TextMap::from([("team".to_owned(), "a".to_owned())]),
    }));
    let first = rule
        .apply(context(0, 0), vector(&["x", "y"]))
        .expect("evaluates");
    assert_eq!(
        first.samples[0].labels.to_string(),
        r#"{__name__="job:up", job="x", team="a"}"#
    );
    assert!(!first.changed);
    let second = rule
        .apply(context(1, 0), vector(&["y"]))
        .expect("evaluates");
    assert_eq!(
        sample_texts(&second.samples),
        ["job:up  0", "job:up  stale"]
    );
    assert!(matches!(
        rule.apply(context(2, 1), vector(&["x", "y"])),
        Err(EvalError::Limit {
            limit: 1,
            count: 2,
            what: "series"
        })
    ));
}
