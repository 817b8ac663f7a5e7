//! A newcomer's first minute: one program, a log file, the figures of this host.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::harness::{Api, Standalone, eventually, now_nanos, say, turn};

/// What the README promises.
const FOUND_WITHIN: Duration = Duration::from_secs(2);
/// Two intervals of the scrapes and of the host's figures.
const SCRAPED_WITHIN: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn appended_line_is_found_within_two_seconds_and_the_host_answers() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let mut file = File::create(&path).unwrap();
    let mut standalone = Standalone::start(dir.path(), &path.display().to_string()).await;
    let api = standalone.api.clone();
    let started = now_nanos();
    writeln!(file, "the first line").unwrap();
    wait_for(&api, "the first line", started, Duration::from_secs(15)).await;
    for number in 1..=5 {
        let line = format!("appended line number {number}");
        let appended = Instant::now();
        writeln!(file, "{line}").unwrap();
        wait_for(&api, &line, started, FOUND_WITHIN).await;
        say(&format!(
            "line {number}: found after {} ms",
            appended.elapsed().as_millis()
        ));
    }
    for query in [
        "up{job=\"vervet-collector\"} == 1",
        "up{job=\"vervet-agent\"} == 1",
        "system_cpu_time_seconds_total",
        "system_memory_usage_bytes",
        "system_filesystem_usage_bytes",
        "system_disk_io_bytes_total",
        "system_network_io_bytes_total",
        "system_cpu_load_average_1m",
    ] {
        eventually(query, SCRAPED_WITHIN, async || {
            (!api.promql(query).await.is_empty()).then_some(())
        })
        .await;
    }
    assert!(
        standalone.program.terminate().success(),
        "SIGTERM drains and exits 0"
    );
}

async fn wait_for(api: &Api, line: &str, start: i64, within: Duration) {
    let query = format!("{{service_name=~\".*\"}} |= \"{line}\"");
    // Looking must not cost more than one interval of looking again.
    eventually(&query, within, async || {
        let found = api.logs(&query, start, now_nanos()).await;
        found.iter().any(|found| found.line == line).then_some(())
    })
    .await;
}
