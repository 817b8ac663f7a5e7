//! What redaction takes out never touches the disk, and the books balance.

use std::path::Path;
use std::time::Duration;

use crate::agent::{Agent, AgentOptions, RunningAgent};
use crate::config::AgentConfig;
use crate::config::substitute::SystemSources;

const DEADLINE: Duration = Duration::from_secs(30);
const LINES: &str = concat!(
    "{\"msg\":\"paid with 4111 1111 1111 1111\",\"card\":4111111111111111,\"note\":\"innocent-marker\"}\n",
    "2024-11-27T20:36:06Z INFO card=4111-1111-1111-1111 innocent-marker\n",
    "only 5500000000000004 here\n",
    "{\"user\":{\"password\":\"hunter2-hunter2\"},\"msg\":\"innocent-marker\"}\n",
);

/// An agent that reads `LINES` and has nobody to send them to.
async fn agent(dir: &Path, action: &str) -> RunningAgent {
    let log = dir.join("app.log");
    std::fs::write(&log, LINES).expect("written");
    let text = format!(
        "data_dir: {data}\n\
         receivers:\n  files: {{type: filelog, include: ['{log}']}}\n\
         processors:\n  pii: {{type: redaction, action: {action}}}\n\
         exporters:\n  main: {{type: otlp, endpoint: 'http://127.0.0.1:9', retry: {{initial: 10ms, max: 50ms}}}}\n\
         pipelines:\n  logs: {{from: [files], via: [pii], to: [main]}}\n\
         admin: {{listen: 127.0.0.1:0}}\n",
        data = dir.join("data").display(),
        log = log.display(),
    );
    let config = AgentConfig::parse("test.yaml", &text, &SystemSources).expect("valid");
    let agent = Agent::start(config, AgentOptions::default()).await;
    agent.expect("starts")
}

async fn wait_for(agent: &RunningAgent, line: &str) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !agent.metrics_text().contains(line) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let in_time = waited.await.is_ok();
    assert!(in_time, "{line} not in time: {}", agent.metrics_text());
}

/// How often `needle` stands in the files below `dir`.
fn grep(dir: &Path, needle: &str) -> usize {
    let entries = std::fs::read_dir(dir).expect("folder");
    let found = entries.map(|entry| {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            return grep(&path, needle);
        }
        let bytes = std::fs::read(&path).expect("readable");
        memchr::memmem::find_iter(&bytes, needle).count()
    });
    found.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_card_number_is_found_in_the_journal() {
    let dir = tempfile::tempdir().expect("folder");
    let agent = agent(dir.path(), "mask").await;
    let labels = "{receiver=\"files\",signal=\"logs\"}";
    wait_for(
        &agent,
        &format!("receiver_buffered_records_total{labels} 4"),
    )
    .await;
    let data = dir.path().join("data");
    assert_eq!(grep(&data, "innocent-marker"), 3, "the control is found");
    assert_eq!(grep(&data, "<credit_card:*>"), 4);
    for secret in ["4111", "1111 1111", "5500000000000004", "hunter2"] {
        assert_eq!(grep(&data, secret), 0, "{secret}");
    }
    let rule = "redactions_total{processor=\"pii\",rule=\"credit_card\"} 4";
    assert!(
        agent.metrics_text().contains(rule),
        "{}",
        agent.metrics_text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_records_are_in_the_books() {
    let dir = tempfile::tempdir().expect("folder");
    let agent = agent(dir.path(), "drop").await;
    let labels = "receiver=\"files\",signal=\"logs\"";
    for line in [
        format!("receiver_received_records_total{{{labels}}} 4"),
        format!("receiver_buffered_records_total{{{labels}}} 1"),
        format!("receiver_dropped_records_total{{{labels},reason=\"pii:credit_card\"}} 3"),
        format!("receiver_waiting_records{{{labels}}} 0"),
    ] {
        wait_for(&agent, &line).await;
    }
    assert_eq!(grep(&dir.path().join("data"), "4111"), 0);
}
