//! The rules that are built in. Those of metrics are run by `promtool` (`tests/tests/e2e/alert_rules.rs`), which does not know
//! those of logs.

use std::time::Duration;

use vervet_model::{Signal, UnixNanos};
use vervet_promql::{Features, Value};
use vervet_store::{DecodeOptions, Store, StoreConfig};
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, write_resource_logs};

use super::*;
use crate::config::Limits;
use crate::query::QueryService;

#[test]
fn every_shipped_rule_parses_in_its_language() {
    let loaded = shipped().expect("embedded");
    assert_eq!(loaded.errors, []);
    let names: Vec<_> = loaded
        .groups
        .iter()
        .flat_map(|group| &group.rules)
        .map(|rule| rule.name().to_owned())
        .collect();
    for name in [
        "TargetDown",
        "AgentSilent",
        "DiskWillFill",
        "HighErrorRatio",
        "NewErrorGroup",
        "CrashLoopingLogPattern",
        "CollectorFlushFails",
        "CollectorTurnsAway",
        "NotificationsFail",
        "AgentBufferFills",
        "AgentDrops",
    ] {
        assert!(
            names.iter().any(|have| have == name),
            "{name} is missing among {names:?}"
        );
    }
}

const START: UnixNanos = UnixNanos(1_728_000_000_000_000_000);

fn after(seconds: u64) -> UnixNanos {
    START.saturating_add(Duration::from_secs(seconds))
}

/// Lines of a service, by the seconds after the start.
fn log(store: &Store, sequence: u64, service: &'static str, lines: &[(u64, &'static str)]) {
    let attribute = |key, value: &'static str| KeyValue::new(key, value);
    let resource = Resource {
        attributes: vec![
            attribute("service.name", service),
            attribute("deployment.environment.name", "production"),
        ],
    };
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource, &Scope::default(), |writer| {
        for (seconds, line) in lines {
            writer.push(&LogRecord {
                time_unix_nano: after(*seconds).0.unsigned_abs(),
                body: (*line).to_owned().into(),
                ..LogRecord::default()
            });
        }
    });
    let decoded = store.decode(Signal::Logs, &body, &DecodeOptions::default(), after(3_600));
    store.apply(sequence, decoded.expect("valid"), None);
}

#[tokio::test]
async fn the_rule_about_crashes_fires_at_three_lines_in_five_minutes_and_ends() {
    let dir = tempfile::tempdir().expect("folder");
    let store = Store::open(StoreConfig::new(dir.path())).expect("store");
    let twice = [
        (60, "panicked at src/main.rs"),
        (90, "Uncaught Exception: x"),
    ];
    log(&store, 1, "shop", &twice);
    log(
        &store,
        2,
        "shop",
        &[
            (200, "Back-off restarting failed container"),
            (210, "all is well"),
        ],
    );
    log(&store, 3, "calm", &twice);
    let service = QueryService::new(store, &Limits::default(), Features::default());
    let loaded = shipped().expect("embedded");
    let mut rules = loaded.groups.iter().flat_map(|group| &group.rules);
    let rule = rules
        .find(|rule| rule.name() == "CrashLoopingLogPattern")
        .expect("shipped");
    for (seconds, expect) in [(180, None), (240, Some(3.0)), (340, Some(3.0)), (400, None)] {
        let at = after(seconds).to_millis();
        let output = service
            .logql_instant(rule.expr(), at)
            .await
            .expect("answered");
        let Value::Vector(found) = output.value else {
            panic!("no vector");
        };
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.labels.to_string(), it.sample.value))
            .collect();
        let labels = r#"{deployment_environment_name="production", service_name="shop"}"#;
        let expect: Vec<_> = expect
            .map(|value| (labels.to_owned(), value))
            .into_iter()
            .collect();
        assert_eq!(found, expect, "after {seconds} s");
    }
}
