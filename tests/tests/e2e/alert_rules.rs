//! The rules that are built in, by the tests beside them, as Prometheus's own `promtool` runs them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use vervet_alerting::{GroupKind, load_dir};

use crate::harness::{skip, tests_dir};

fn rules_dir() -> PathBuf {
    tests_dir("../alert-rules")
}

/// The test files beside the rules.
fn test_files() -> Vec<PathBuf> {
    let files = std::fs::read_dir(rules_dir()).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().ends_with(".test.yaml"));
    files.sort();
    files
}

#[test]
fn shipped_rules_pass_their_tests_in_promtool() {
    const NAME: &str = "shipped_rules_pass_their_tests_in_promtool";
    let mut command = Command::new("promtool");
    command.args(["test", "rules"]).args(test_files());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return skip(NAME, &format!("promtool cannot be run: {error}")),
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    let passed = said.lines().filter(|line| line.contains("SUCCESS"));
    assert_eq!(passed.count(), test_files().len(), "{said}");
}

#[test]
fn every_shipped_rule_of_metrics_is_seen_to_fire_and_not_to_fire_and_to_end() {
    let loaded = load_dir(&rules_dir(), &|_kind, _expr| Ok(()));
    let of_metrics = loaded.groups.iter();
    let of_metrics = of_metrics.filter(|group| group.kind == GroupKind::Metrics);
    let names: BTreeSet<String> = of_metrics
        .flat_map(|group| &group.rules)
        .map(|rule| rule.name().to_owned())
        .collect();
    assert!(names.len() >= 16, "{names:?}");
    let texts = test_files().into_iter();
    let texts: String = texts
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for name in names {
        // Whether alerts are expected, at one time of a test after the other.
        let expected: Vec<bool> = texts
            .split("alertname: ")
            .filter(|part| part.lines().next() == Some(name.as_str()))
            .map(|part| part.lines().nth(1).unwrap().trim() == "exp_alerts:")
            .collect();
        let first = expected.iter().position(|fires| *fires);
        let first = first.unwrap_or_else(|| panic!("{name} is never seen to fire"));
        assert!(first > 0, "{name} is not seen before: {expected:?}");
        let ends = expected[first..].contains(&false);
        assert!(ends, "{name} is not seen to end: {expected:?}");
    }
}
