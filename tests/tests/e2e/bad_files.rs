//! Bad configuration, rule files and log lines: named with their place, and the rest goes on.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::{
    Collector, CollectorOptions, Program, Standalone, binary, eventually, now_nanos, turn,
};

const EXIT_CONFIG: i32 = 78;
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const ARRIVES_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn bad_configuration_ends_with_78_and_names_line_and_nearest_key() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = "data_dir: /tmp/never\nlimits:\n  haed: 1MiB\n";
    check_config(
        dir.path(),
        "vervet-collector",
        collector,
        &[":3", "haed", "head"],
    );
    let agent = "data_dir: /tmp/never\nreceivers:\n  files:\n    type: filelog\n    inclued: [a]\n";
    check_config(
        dir.path(),
        "vervet-agent",
        agent,
        &[":5", "inclued", "include"],
    );
    let open = "http: {listen: \"0.0.0.0:7420\"}\n";
    check_config(
        dir.path(),
        "vervet-collector",
        open,
        &["http.listen", "auth: disabled"],
    );
}

/// `run` and `validate` refuse `yaml` and say each of `words`.
fn check_config(dir: &Path, program: &str, yaml: &str, words: &[&str]) {
    let path = dir.join("bad.yaml");
    std::fs::write(&path, yaml).unwrap();
    for command in ["run", "validate"] {
        let mut ended = Program::spawn(
            program,
            Command::new(binary(program))
                .arg(command)
                .arg("--config")
                .arg(&path),
        );
        let status = ended.wait(ENDS_WITHIN);
        let output = ended.output();
        assert_eq!(
            status.code(),
            Some(EXIT_CONFIG),
            "{program} {command}: {output}"
        );
        for word in [path.to_str().unwrap()].iter().chain(words) {
            assert!(
                output.contains(word),
                "{program} {command}: {word:?} is missing in {output}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rule_file_is_named_with_its_line_and_the_good_ones_load() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let group = |name: &str, expr: &str| {
        format!(
            "groups:\n  - name: {name}\n    rules:\n      - alert: {name}\n        expr: {expr}\n"
        )
    };
    std::fs::write(rules.join("good.yaml"), group("Good", "vector(1)")).unwrap();
    std::fs::write(rules.join("query.yaml"), group("Query", "sum(up")).unwrap();
    std::fs::write(rules.join("key.yaml"), group("Key", "up\n        fro: 1m")).unwrap();
    let options = CollectorOptions {
        rules_dir: Some(rules),
        ..CollectorOptions::new(dir.path())
    };
    let collector = Collector::start(options).await;
    let output = collector.program.output();
    for place in ["query.yaml:5", "key.yaml:6"] {
        let named = output
            .lines()
            .any(|line| line.contains("refused") && line.contains(place));
        assert!(named, "{place} is not named in {output}");
    }
    let loaded = eventually("the good rule fires", ARRIVES_WITHIN, async || {
        let answer = collector.api.json("/api/v1/rules", &[]).await;
        let groups = answer["data"]["groups"].as_array().unwrap().clone();
        (groups.first()?["rules"][0]["state"] == "firing").then_some(groups)
    })
    .await;
    let names: Vec<_> = loaded
        .iter()
        .map(|group| group["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_log_line_is_kept_with_replacements_and_counted() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("binary.log");
    std::fs::write(&path, b"").unwrap();
    let standalone = Standalone::start(dir.path(), path.to_str().unwrap()).await;
    let started = now_nanos();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"before\nbad \xff\xfe bytes \x00 here\nafter\n")
        .unwrap();
    let lines = eventually(
        "the lines around and the bad one",
        ARRIVES_WITHIN,
        async || {
            let found = standalone
                .api
                .logs("{service_name=~\".*\"}", started, now_nanos())
                .await;
            let lines: Vec<String> = found.into_iter().map(|found| found.line).collect();
            lines.iter().any(|line| line == "after").then_some(lines)
        },
    )
    .await;
    assert!(lines.iter().any(|line| line == "before"), "{lines:?}");
    let kept = lines
        .iter()
        .find(|line| line.starts_with("bad "))
        .expect("the bad line is kept");
    assert!(kept.contains("\u{fffd}\u{fffd} bytes"), "{kept:?}");
    assert!(kept.ends_with(" here"), "{kept:?}");
    let metrics = standalone.agent_metrics().await;
    let counted = metrics.lines().any(|line| {
        let counter = line.starts_with("vervet_agent_") && line.contains("utf8");
        counter && !line.ends_with(" 0")
    });
    assert!(counted, "the bad line is not counted in {metrics}");
}
