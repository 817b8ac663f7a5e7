//! `vervet-collector rules` beside Prometheus's `promtool`: the same files, the same verdicts, the same lines.
//!
//! Debian's promtool is 2.42. Where Prometheus 3 differs, the collector follows 3: those files are judged by themselves
//! (`NEWER`).

mod rule_files;
mod test_files;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::harness::{binary, skip};

/// What a program said of a file.
struct Verdict {
    code: i32,
    said: String,
    /// The lines of the file that it names.
    lines: BTreeSet<u64>,
}

fn promtool(folder: &Path, args: &[&str]) -> std::io::Result<Verdict> {
    run(Command::new("promtool").args(args).current_dir(folder))
}

fn ours(folder: &Path, args: &[&str]) -> Verdict {
    let mut command = Command::new(binary("vervet-collector"));
    run(command.args(args).current_dir(folder)).unwrap()
}

fn run(command: &mut Command) -> std::io::Result<Verdict> {
    let output = command.output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(Verdict {
        code: output.status.code().unwrap(),
        lines: named_lines(&said),
        said,
    })
}

/// `rules.yaml:3:5: ...` as the collector says it, `rules.yaml: 3:5: ...` and `line 3: ...` as promtool does.
fn named_lines(said: &str) -> BTreeSet<u64> {
    let number = |text: &str| {
        let digits = text
            .trim_start()
            .split(|c: char| !c.is_ascii_digit())
            .next();
        digits.and_then(|digits| digits.parse::<u64>().ok())
    };
    let after = |line: &str| match line.split_once("rules.yaml:") {
        Some((_, after)) => number(after),
        None => line.trim_start().strip_prefix("line ").and_then(number),
    };
    said.lines()
        .filter_map(after)
        .filter(|line| *line > 0)
        .collect()
}

#[test]
fn rule_files_are_judged_as_promtool_does() {
    const NAME: &str = "rule_files_are_judged_as_promtool_does";
    let dir = tempfile::tempdir().unwrap();
    let mut differences = Vec::new();
    for (name, text) in rule_files::SAME {
        std::fs::write(dir.path().join("rules.yaml"), text.trim_start()).unwrap();
        for flags in [&["--lint-fatal"][..], &["--lint=none"]] {
            let theirs = [&["check", "rules"], flags, &["rules.yaml"]].concat();
            let theirs = match promtool(dir.path(), &theirs) {
                Ok(verdict) => verdict,
                Err(error) => return skip(NAME, &format!("promtool cannot be run: {error}")),
            };
            let own = ours(
                dir.path(),
                &[&["rules", "check"], flags, &["rules.yaml"]].concat(),
            );
            if own.code != theirs.code || !theirs.lines.is_subset(&own.lines) {
                let (own, theirs) = (shown(&own), shown(&theirs));
                differences.push(format!("{name} {flags:?}\npromtool: {theirs}\nours: {own}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn tests_of_rules_pass_and_fail_as_in_promtool() {
    const NAME: &str = "tests_of_rules_pass_and_fail_as_in_promtool";
    let dir = tempfile::tempdir().unwrap();
    let mut differences = Vec::new();
    let mut verdicts = BTreeSet::new();
    std::fs::create_dir(dir.path().join("more")).unwrap();
    for (file, text) in test_files::RULES {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    for (name, text) in test_files::SAME {
        std::fs::write(dir.path().join("test.yaml"), text).unwrap();
        let theirs = match promtool(dir.path(), &["test", "rules", "test.yaml"]) {
            Ok(verdict) => verdict,
            Err(error) => return skip(NAME, &format!("promtool cannot be run: {error}")),
        };
        let own = ours(dir.path(), &["rules", "test", "test.yaml"]);
        verdicts.insert(own.code);
        if own.code != theirs.code {
            let (own, theirs) = (shown(&own), shown(&theirs));
            differences.push(format!("{name}\npromtool: {theirs}\nours: {own}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert_eq!(verdicts, BTreeSet::from([0, 1]));
}

#[test]
fn what_is_newer_than_debians_promtool_is_judged_as_prometheus_3_does() {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in test_files::RULES {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for (expected, name, text) in rule_files::NEWER {
        std::fs::write(dir.path().join("rules.yaml"), text.trim_start()).unwrap();
        let own = ours(dir.path(), &["rules", "check", "rules.yaml"]);
        assert_eq!(own.code, *expected, "{name}: {}", own.said);
    }
    for (expected, name, text) in test_files::NEWER {
        std::fs::write(dir.path().join("test.yaml"), text).unwrap();
        let own = ours(dir.path(), &["rules", "test", "test.yaml"]);
        assert_eq!(own.code, *expected, "{name}: {}", own.said);
    }
}

fn shown(verdict: &Verdict) -> String {
    format!(
        "exit code {}, lines {:?}\n{}",
        verdict.code, verdict.lines, verdict.said
    )
}
