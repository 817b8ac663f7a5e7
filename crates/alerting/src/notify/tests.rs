use std::collections::BTreeSet;
use std::time::Duration;

use vervet_model::{Labels, UnixMillis};

use super::dedup::{Decision, decide};
use super::message::{Envelope, notification};
use super::*;
use crate::alert::fingerprint;
use crate::rule_file::TextMap;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn alert(labels: &[(&str, &str)], resolved: bool) -> DispatchAlert {
    let labels = Labels::from_pairs(labels.iter().copied());
    DispatchAlert {
        fingerprint: fingerprint(&labels),
        annotations: TextMap::from([("summary".to_owned(), "it is down".to_owned())]),
        labels,
        starts_at: UnixMillis(NOW.0 - 60_500),
        ends_at: UnixMillis(if resolved { NOW.0 } else { NOW.0 + 240_000 }),
        generator_url: "http://vervet/metrics?expr=up".to_owned(),
    }
}

#[test]
fn webhook_json_is_alertmanagers_version_4() {
    let group_labels = Labels::from_pairs([("alertname", "Down")]);
    let envelope = Envelope {
        receiver: "ops",
        group_key: r#"{}:{alertname="Down"}"#,
        group_labels: &group_labels,
        external_url: "http://vervet",
        alerts_max: 2,
    };
    let alerts = [
        alert(
            &[("alertname", "Down"), ("job", "api"), ("env", "production")],
            false,
        ),
        alert(
            &[("alertname", "Down"), ("job", "web"), ("env", "production")],
            true,
        ),
        alert(
            &[("alertname", "Down"), ("job", "x"), ("env", "production")],
            false,
        ),
    ];
    let message = notification(&envelope, &alerts, NOW);
    insta::assert_json_snapshot!(message);
}

#[test]
fn fingerprints_are_fnv_1a_as_in_prometheus() {
    // From Prometheus's own definition: the empty set is the offset basis.
    assert_eq!(fingerprint(&Labels::empty()), 14_695_981_039_346_656_037);
    let one = Labels::from_pairs([("a", "1")]);
    let by_hand = [b'a', 255, b'1', 255]
        .iter()
        .fold(14_695_981_039_346_656_037_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211)
        });
    assert_eq!(fingerprint(&one), by_hand);
}

/// Sets are written as digits: `"12"` is {1, 2}.
fn set(digits: &str) -> BTreeSet<u64> {
    digits
        .chars()
        .filter_map(|c| c.to_digit(10))
        .map(u64::from)
        .collect()
}

fn entry(firing: &str, resolved: &str, sent_minutes_ago: i64) -> LogEntry {
    LogEntry {
        group_key: String::new(),
        receiver: String::new(),
        integration: 0,
        sent_at: NOW.0 - sent_minutes_ago * 60_000,
        expires_at: i64::MAX,
        firing: set(firing),
        resolved: set(resolved),
    }
}

#[test]
fn dedup_decides_as_alertmanager() {
    use Decision::{
        AllResolved, AlreadyNotified, FirstNotification, NewAlertsInGroup, NewResolved,
        NothingFired, RepeatIntervalElapsed,
    };
    for (logged, firing, resolved, send_resolved, expected) in [
        (None, "1", "", true, FirstNotification),
        (None, "", "1", true, NothingFired),
        (Some(entry("1", "", 1)), "12", "", true, NewAlertsInGroup),
        (Some(entry("", "1", 1)), "1", "", true, FirstNotification),
        (Some(entry("1", "", 1)), "", "1", true, AllResolved),
        (Some(entry("1", "", 1)), "", "1", false, AllResolved),
        (Some(entry("", "1", 300)), "", "1", true, NothingFired),
        (Some(entry("12", "", 1)), "1", "2", true, NewResolved),
        (Some(entry("12", "", 1)), "1", "2", false, AlreadyNotified),
        (Some(entry("1", "2", 1)), "1", "2", true, AlreadyNotified),
        (Some(entry("1", "", 240)), "1", "", true, AlreadyNotified),
        (
            Some(entry("1", "", 241)),
            "1",
            "",
            true,
            RepeatIntervalElapsed,
        ),
    ] {
        let repeat = Duration::from_secs(4 * 3600);
        let (firing, resolved) = (set(firing), set(resolved));
        let decision = decide(
            logged.as_ref(),
            &firing,
            &resolved,
            send_resolved,
            repeat,
            NOW,
        );
        assert_eq!(
            decision, expected,
            "{logged:?} {firing:?} {resolved:?} {send_resolved}"
        );
    }
}

fn spec(yaml: &str) -> Result<NotifyConfig, String> {
    let spec: NotifySpec = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    NotifyConfig::try_from(spec).map_err(|error| error.to_string())
}

const TREE: &str = "
route:
  receiver: all
  group_by: [alertname]
  group_wait: 10s
  routes:
  - matchers: ['severity=\"critical\"', 'team=~a|b']
    receiver: page
    continue: true
    repeat_interval: 1h
  - matchers: [severity=critical]
    receiver: chat
    group_by: ['...']
receivers:
- name: all
- name: page
  webhook_configs: [{url: http://p/}]
- name: chat
  webhook_configs: [{url: http://c/, send_resolved: false, max_alerts: 3}]
";

#[test]
fn routes_match_continue_and_inherit() {
    let config = spec(TREE).expect("valid");
    let routes = |pairs: &[(&str, &str)]| {
        let found = config.routes_for(&Labels::from_pairs(pairs.iter().copied()));
        found
            .iter()
            .map(|route| route.receiver.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        routes(&[("severity", "critical"), ("team", "b")]),
        ["page", "chat"]
    );
    assert_eq!(routes(&[("severity", "critical")]), ["chat"]);
    assert_eq!(routes(&[("severity", "info")]), ["all"]);
    let page = &config.routes_for(&Labels::from_pairs([
        ("severity", "critical"),
        ("team", "a"),
    ]))[0];
    assert_eq!(page.key, r#"{}/{severity="critical",team=~"a|b"}"#);
    assert_eq!(page.group_wait, Duration::from_secs(10));
    assert_eq!(page.group_interval, Duration::from_secs(300));
    assert_eq!(page.repeat_interval, Duration::from_secs(3600));
    assert!(page.integrations[0].webhook.send_resolved);
}

#[test]
fn invalid_settings_are_refused() {
    for (yaml, expected) in [
        (
            "route: {receiver: a}\n",
            "a route names the receiver \"a\", which is not defined",
        ),
        ("route: {}\n", "the root route names no receiver"),
        (
            "route: {receiver: a, matchers: [a=b]}\nreceivers: [{name: a}]\n",
            "the root route takes every alert and cannot have matchers",
        ),
        (
            "route: {receiver: a, routes: [{matchers: [oops]}]}\nreceivers: [{name: a}]\n",
            "\"oops\" is not a matcher; write it like severity=\"critical\"",
        ),
        (
            "route: {receiver: a, group_interval: 0s}\nreceivers: [{name: a}]\n",
            "group_interval of a route is 0",
        ),
        (
            "route: {receiver: a}\nreceivers: [{name: a}, {name: a}]\n",
            "two receivers are named \"a\"",
        ),
        (
            "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: ftp://x}]}]\n",
            "the webhook of receiver \"a\" has the url \"ftp://x\"; it must start with http:// or https://",
        ),
    ] {
        assert_eq!(spec(yaml).expect_err("invalid"), expected);
    }
    let all = spec(
        "route: {receiver: a, group_interval: 0s, matchers: [x=y], routes: [{receiver: b, matchers: [oops, 'n=~\"(\"']}, {repeat_interval: 0s}]}\n\
         receivers: [{name: c, webhook_configs: [{url: ftp://x}]}, {name: c}]\n",
    );
    let all = all.expect_err("invalid");
    for part in [
        "the webhook of receiver \"c\"",
        "two receivers are named \"c\"",
        "the root route takes every alert",
        "group_interval of a route is 0",
        "names the receiver \"a\"",
        "names the receiver \"b\"",
        "\"oops\" is not a matcher",
        "repeat_interval of a route is 0",
    ] {
        assert!(all.contains(part), "{part}\n{all}");
    }
    assert_eq!(all.matches("names the receiver").count(), 2, "{all}");
    assert!(
        spec("route: {reciever: a}\n")
            .expect_err("unknown key")
            .contains("reciever")
    );
    assert!(NotifyConfig::try_from(NotifySpec::default()).is_ok());
}

#[test]
fn ledger_counts_equal_decisions_and_keeps_a_thousand() {
    let entry = |group: usize, outcome| LedgerEntry {
        at: "t".to_owned(),
        last_at: "t".to_owned(),
        count: 1,
        group_key: group.to_string(),
        receiver: "r".to_owned(),
        integration: 0,
        outcome,
        reason: "because".to_owned(),
        attempts: 0,
        error: None,
        firing: 1,
        resolved: 0,
        alerts: Vec::new(),
    };
    let mut ledger = ledger::Ledger::default();
    ledger.push(entry(0, Outcome::NotNeeded));
    ledger.push(entry(1, Outcome::Sent));
    ledger.push(entry(0, Outcome::NotNeeded));
    ledger.push(entry(1, Outcome::Sent));
    let counts: Vec<u64> = ledger.entries().iter().map(|entry| entry.count).collect();
    assert_eq!(counts, [2, 1, 1]);
    (2..2_000).for_each(|group| ledger.push(entry(group, Outcome::Sent)));
    let entries = ledger.entries();
    assert_eq!(
        (entries.len(), entries[0].group_key.as_str()),
        (1_000, "1000")
    );
}
