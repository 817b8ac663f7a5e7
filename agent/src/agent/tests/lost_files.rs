//! Files of the buffer that somebody has removed, and what is kept all the same.

use std::fs;
use std::sync::atomic::Ordering;

use super::budgets::start;
use super::*;
use crate::buffer::tests::full_disk::FullDisk;

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

/// An agent that holds segments for a collector that is away.
async fn with_backlog(dir: &Path) -> (RunningAgent, TestCollector) {
    let mut collector = TestCollector::start();
    collector.die();
    let agent = small(dir, &collector.endpoint()).await;
    for number in 0..REQUESTS {
        send(&agent, &long(number)).await.expect("stored");
    }
    (agent, collector)
}

/// What `remove` takes from the folder of a stopped agent with a backlog costs nothing of it.
async fn check_kept(remove: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().expect("folder");
    let (agent, mut collector) = with_backlog(dir.path()).await;
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

fn complains(agent: &RunningAgent, start: &str, end: &str) -> bool {
    let complaints = agent.status().complaints;
    let mut complaints = complaints.iter();
    complaints.any(|told| told.starts_with(start) && told.contains(end))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_that_is_removed_under_a_running_agent_is_made_again_with_what_it_holds() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    collector.die();
    let agent = small(dir.path(), &collector.endpoint()).await;
    for text in texts(0..3) {
        send(&agent, &text).await.expect("stored");
    }
    fs::remove_dir_all(dir.path().join("buffer")).expect("removed");
    wait_until("it is told", || {
        let warnings = agent.status().warnings;
        let mut warnings = warnings.iter();
        warnings.any(|warning| {
            warning.starts_with("buffer: files of it were removed")
                && warning.ends_with("nothing is lost")
        })
    })
    .await;
    for text in texts(3..5) {
        send(&agent, &text).await.expect("stored");
    }
    let stopped = agent.shutdown_unless(Duration::ZERO, std::future::pending());
    assert_eq!(stopped.await.removed_batches, 0);
    collector.come_back();
    let agent = small(dir.path(), &collector.endpoint()).await;
    wait_until("all is there", || collector.lines().len() == 10).await;
    assert_eq!(collector.lines(), stored(0..5));
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_segments_that_were_not_sent_are_told_and_counted() {
    let dir = tempfile::tempdir().expect("folder");
    let (agent, mut collector) = with_backlog(dir.path()).await;
    let segments = agent.status().buffer.segments;
    fs::remove_dir_all(dir.path().join("buffer")).expect("removed");
    wait_until("it is told", || {
        let warnings = agent.status().warnings;
        let told = format!("{} segments are lost", segments - 1);
        warnings.iter().any(|warning| warning.contains(&told))
    })
    .await;
    let stopped = agent.shutdown_unless(Duration::ZERO, std::future::pending());
    assert_eq!(stopped.await.removed_batches, segments - 1);
    collector.come_back();
    let agent = small(dir.path(), &collector.endpoint()).await;
    wait_until("the rest is sent", || logs_book(&agent).held.is_zero()).await;
    let book = logs_book(&agent);
    assert!(book.balances(), "{book:?}");
    // Each has two records.
    assert_eq!(book.dropped["lost_to_damage"].records, 2 * (segments - 1));
    assert_eq!(collector.lines().len(), 2);
    let stopped = agent.shutdown_unless(DEADLINE, std::future::pending());
    assert_eq!(stopped.await.removed_batches, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_that_may_not_be_written_is_complained_of_at_once_with_the_reason() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let disk = Arc::new(FullDisk::default());
    let mut config = config(dir.path(), &collector.endpoint());
    config.disk_bytes = 1 << 20;
    let options = AgentOptions {
        file_system: Arc::clone(&disk) as Arc<dyn FileSystem>,
        ..AgentOptions::default()
    };
    let agent = start(config, options).await;
    disk.is_read_only.store(true, Ordering::SeqCst);
    send(&agent, &long(0)).await.expect("its segment is there");
    let progress = "exporter main: progress cannot be stored";
    wait_until("told", || complains(&agent, progress, "permission denied")).await;
    send(&agent, &long(1)).await.expect_err("no other segment");
    wait_until("told", || {
        complains(&agent, "buffer: cannot create", "permission denied")
    })
    .await;
    disk.is_read_only.store(false, Ordering::SeqCst);
    wait_until("all is well", || agent.status().complaints.is_empty()).await;
    send(&agent, &long(1)).await.expect("stored");
    agent.shutdown(DEADLINE).await;
}
