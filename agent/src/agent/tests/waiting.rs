//! Lines that wait for a full buffer while the file they were read of goes.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::Ordering;

use super::stops::{on_logs, waiting};
use super::*;
use crate::stops::{NOT_STORED, READ_AGAIN};

fn lines(name: &str, count: usize) -> String {
    let line = |number| format!("line {number} of {name} that nobody stores\n");
    (0..count).map(line).collect()
}

fn would_lose(agent: &RunningAgent) -> bool {
    let warnings = agent.status().warnings;
    warnings.iter().any(|warning| {
        warning.starts_with("receiver input: a stop now would lose ")
            && warning.ends_with("read and waiting for room in the buffer")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_of_a_cut_file_without_a_copy_is_told_before_a_stop_loses_it() {
    let dir = tempfile::tempdir().expect("folder");
    let (agent, disk) = on_logs(dir.path()).await;
    let [path, copy] = ["app.log", "app.log.1"].map(|name| dir.path().join(name));
    // Of a file of which nothing is stored the next start would not know a copy.
    fs::write(&path, lines("old", 1)).expect("written");
    wait_until("some is stored", || agent.status().buffer.last_sequence > 0).await;
    wait_until("it is known", || waiting(&agent) == 0).await;
    disk.is_full.store(true, Ordering::SeqCst);
    let mut log = OpenOptions::new().append(true).open(&path).expect("opened");
    log.write_all(lines("app", 10).as_bytes()).expect("written");
    wait_until("all is read", || waiting(&agent) == 10).await;
    fs::copy(&path, &copy).expect("copied");
    log.set_len(0).expect("cut");
    wait_until("it is seen to be cut", || {
        let status = agent.status();
        status.files.files.iter().any(|file| file.size == 0)
    })
    .await;
    log.write_all(lines("again", 3).as_bytes())
        .expect("written");
    wait_until("the rest is read", || waiting(&agent) == 13).await;
    assert!(!would_lose(&agent), "the copy has it");
    fs::remove_file(&copy).expect("removed");
    wait_until("it is told", || would_lose(&agent)).await;
    let metrics = agent.parts.view().metrics;
    let pause = Duration::from_millis(500);
    let stopped = agent.shutdown_unless(pause, std::future::pending()).await;
    let lost = stopped.lost.iter();
    let lost: Vec<_> = lost
        .map(|line| (&*line.reason, line.amount.records))
        .collect();
    assert_eq!(lost, [(NOT_STORED, 10)]);
    let line = metrics.intake().lines().remove(0);
    assert_eq!(line.dropped[READ_AGAIN].records, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_of_a_deleted_file_is_told_before_a_stop_loses_it() {
    let dir = tempfile::tempdir().expect("folder");
    let (agent, disk) = on_logs(dir.path()).await;
    disk.is_full.store(true, Ordering::SeqCst);
    let path = dir.path().join("app.log");
    fs::write(&path, lines("app", 10)).expect("written");
    wait_until("all is read", || waiting(&agent) == 10).await;
    fs::remove_file(&path).expect("removed");
    wait_until("it is told", || would_lose(&agent)).await;
    disk.is_full.store(false, Ordering::SeqCst);
    wait_until("it is stored", || waiting(&agent) == 0).await;
    wait_until("it is told no more", || !would_lose(&agent)).await;
    let stopped = agent.shutdown_unless(Duration::ZERO, std::future::pending());
    assert!(stopped.await.lost.is_empty());
}
