//! The agent beside a real Prometheus: both scrape the same targets with the same `scrape_configs`, and at every look they
//! know the same series, with the same values, and the same ones as ended.
//!
//! The targets are the programs' own `/metrics`, the node exporter where it is installed, and a server whose bodies go through
//! [`phases::PHASES`]. A look is taken when both have scraped a phase twice. What differs between them by design is left out:
//! how long a scrape took, and that the agent writes `le` and `quantile` as Prometheus 3 does.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail them by a panic"
)]

mod phases;
mod programs;
mod sink;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use phases::{PHASES, Targets};
use programs::{Agent, Prometheus, free_address, is_installed, node_exporter};
use sink::Sink;
use vervet_tests::say;

/// A series as `name{label="value",…}`, and its value unless that differs by chance.
type View = BTreeMap<String, String>;

const DEADLINE: Duration = Duration::from_secs(60);
const NAME: &str = "the_agent_scrapes_as_prometheus_does";

fn skip(reason: &str) {
    say(&format!("skipped: {NAME}: {reason}"));
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{NAME} must not be skipped in CI: {reason}");
}

/// Waits until `poll` has something.
async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut poll: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = poll().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_scrapes_as_prometheus_does() {
    if !is_installed("prometheus") {
        return skip("prometheus is not installed");
    }
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let targets = Targets::start().await;
    let sink = Sink::start();
    let (own, admin) = (free_address(), free_address());
    let listed = dir.path().join("leaving.json");
    let leaving = format!("[{{\"targets\": [\"{}\"]}}]", targets.address);
    std::fs::write(&listed, &leaving).unwrap();
    let node_exporter = node_exporter();
    let mut jobs = phases::jobs(targets.address, &listed);
    for (job, address) in [("prometheus", Some(own)), ("agent", Some(admin))]
        .into_iter()
        .chain([(
            "node",
            node_exporter.as_ref().map(|(_program, address)| *address),
        )])
    {
        if let Some(address) = address {
            let job =
                format!("- {{job_name: {job}, static_configs: [{{targets: [\"{address}\"]}}]}}\n");
            jobs.push_str(&phases::timed(&job));
        }
    }
    let prometheus = Prometheus::start(dir.path(), own, &jobs).await;
    let agent = Agent::start(dir.path(), admin, sink.address, &jobs);

    for (number, phase) in PHASES.iter().enumerate() {
        targets.show(number);
        eventually(phase.name, async || targets.is_seen().then_some(())).await;
        agree(phase.name, &prometheus, &sink).await;
    }
    let emptied = dir.path().join("emptied");
    std::fs::write(&emptied, "[]").unwrap();
    std::fs::rename(&emptied, &listed).unwrap();
    // A series with times of its own does not end, for neither of them.
    let is_left = |view: View| {
        let mut series = view.keys();
        series.any(|series| series.starts_with("up{") && series.contains("job=\"leaving\""))
    };
    eventually("the end of a target that is gone", async || {
        (!is_left(sink.view()) && !is_left(prometheus.view().await)).then_some(())
    })
    .await;
    agree("a target that is gone", &prometheus, &sink).await;
    let known = sink.view().len();
    say(&format!(
        "scrape: {} looks, {known} series at the last one, all alike",
        PHASES.len() + 1
    ));
    agent.stop();
}

/// Waits until both know the same.
async fn agree(what: &str, prometheus: &Prometheus, sink: &Sink) {
    let end = Instant::now() + DEADLINE;
    let mut stable = 0;
    loop {
        let (theirs, ours) = (prometheus.view().await, sink.view());
        // Twice, as it may be by chance while one of them is ahead.
        stable = if theirs == ours { stable + 1 } else { 0 };
        if stable == 2 {
            return;
        }
        assert!(
            Instant::now() < end,
            "{what}: {}",
            difference(&theirs, &ours)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn difference(theirs: &View, ours: &View) -> String {
    let mut lines = Vec::new();
    for (series, value) in theirs {
        match ours.get(series) {
            None => lines.push(format!("only Prometheus has {series} {value}")),
            Some(own) if own != value => {
                lines.push(format!("{series}: Prometheus {value}, agent {own}"))
            }
            Some(_) => {}
        }
    }
    let only_ours = ours
        .iter()
        .filter(|(series, _)| !theirs.contains_key(*series));
    lines.extend(only_ours.map(|(series, value)| format!("only the agent has {series} {value}")));
    let count = lines.len();
    lines.truncate(40);
    format!("{count} differences\n{}", lines.join("\n"))
}

/// The text of a series, and the text of its value.
fn shown(name: &str, labels: &BTreeMap<String, String>, value: f64) -> (String, String) {
    let labels: Vec<String> = labels
        .iter()
        .map(
            |(label, value)| match (label.as_str(), value.parse::<f64>()) {
                ("le" | "quantile", Ok(number)) => format!("{label}=\"{number}\""),
                _ => format!("{label}={value:?}"),
            },
        )
        .collect();
    let job = labels.iter().find(|label| label.starts_with("job="));
    let by_chance = ["job=\"prometheus\"", "job=\"agent\"", "job=\"node\""];
    let is_by_chance = name == "scrape_duration_seconds"
        || job.is_some_and(|job| by_chance.contains(&job.as_str())) && name != "up";
    let value = match is_by_chance {
        true => "by chance".to_owned(),
        false => value.to_string(),
    };
    (format!("{name}{{{}}}", labels.join(",")), value)
}
