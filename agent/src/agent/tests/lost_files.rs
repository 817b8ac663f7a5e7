//! Files of the buffer that somebody has removed, and what is kept all the same.

use std::fs;

use super::budgets::start;
use super::*;

const REQUESTS: usize = 4;
/// Two of them are more than a segment.
const TEXT_BYTES: usize = 40 << 10;

/// A small buffer, so that a few requests are several segments.
async fn small(dir: &Path, endpoint: &str) -> RunningAgent {
    let mut config = config(dir, endpoint);
    config.disk_bytes = 1 << 20;
    start(config, AgentOptions::default()).await
}

fn long(number: usize) -> String {
    format!("{number} {}", "x".repeat(TEXT_BYTES))
}

/// What `remove` takes from the folder of a stopped agent with a backlog costs nothing of it.
async fn check_kept(remove: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    collector.die();
    let agent = small(dir.path(), &collector.endpoint()).await;
    for number in 0..REQUESTS {
        send(&agent, &long(number)).await.expect("stored");
    }
    assert!(agent.status().buffer.segments > 1);
    agent.shutdown(Duration::ZERO).await;
    remove(&dir.path().join("buffer"));
    collector.come_back();
    let agent = small(dir.path(), &collector.endpoint()).await;
    wait_until("all is there", || collector.lines().len() == 2 * REQUESTS).await;
    wait_until("settled", || logs_book(&agent).held.is_zero()).await;
    assert!(agent.status().balances);
    agent.shutdown(DEADLINE).await;
}

fn remove_position(buffer: &Path) {
    let cursors = buffer.join("cursors");
    fs::remove_file(cursors.join("exporter-main.cur")).expect("removed");
    fs::remove_file(cursors.join("exporter-main.cur.tmp")).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_position_an_exporter_sends_all_that_is_stored() {
    check_kept(remove_position).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_the_place_of_a_position_costs_nothing() {
    check_kept(|buffer| {
        remove_position(buffer);
        fs::create_dir(buffer.join("cursors/exporter-main.cur")).expect("created");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_position_all_that_is_stored_is_sent() {
    check_kept(|buffer| fs::remove_dir_all(buffer.join("cursors")).expect("removed")).await;
    check_kept(|buffer| {
        fs::remove_dir_all(buffer.join("cursors")).expect("removed");
        fs::remove_file(buffer.join("known-cursors")).expect("removed");
    })
    .await;
}
