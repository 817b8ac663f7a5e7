//! What an exporter waits for when nothing more comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::destination::Destination;
use super::rig::{Rig, Running};
use super::{texts, wait_until};

const DISK_BYTES: u64 = 64 << 20;
/// Attempts that take longer than an exporter waits for a destination that does not answer, at pauses of 50 ms on average.
const ATTEMPTS: u64 = 80;
const PAUSES: &str = "retry: {initial: 100ms, max: 100ms}";

/// An exporter with one batch, whose destination has not taken it so far; nothing more comes.
async fn draining(rig: &mut Rig, endpoint: &str) -> Running {
    rig.append(&texts(0..1)).expect("room");
    let settings = format!("type: otlp, endpoint: '{endpoint}', {PAUSES}");
    let running = rig.start("main", &settings).await;
    wait_until("it has tried", || rig.metrics.failed("main") > 0).await;
    rig.close();
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_does_not_answer_is_not_waited_for() {
    let mut rig = Rig::new(DISK_BYTES);
    let running = draining(&mut rig, "http://127.0.0.1:9").await;
    running.ended().await;
    assert_eq!(rig.book("main").held.records, 1);
    assert_eq!(rig.committed("main"), 0);
    assert!(rig.metrics.standings.any_gave_up());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_answers_is_waited_for() {
    let takes = Arc::new(AtomicBool::new(false));
    let does_take = Arc::clone(&takes);
    let judge = move |_: &[String], _: &http::HeaderMap| {
        (!does_take.load(Ordering::SeqCst)).then(|| (503, Vec::new(), String::new()))
    };
    let destination = Destination::with(judge, Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    let endpoint = format!("http://{}", destination.address);
    let running = draining(&mut rig, &endpoint).await;
    wait_until("many attempts", || rig.metrics.failed("main") > ATTEMPTS).await;
    takes.store(true, Ordering::SeqCst);
    running.ended().await;
    assert_eq!(destination.lines(), texts(0..1));
    assert!(!rig.metrics.standings.any_gave_up());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_memory_only_is_tried_until_the_deadline() {
    let mut rig = Rig::new(DISK_BYTES);
    rig.is_durable = false;
    let running = draining(&mut rig, "http://127.0.0.1:9").await;
    wait_until("many attempts", || rig.metrics.failed("main") > ATTEMPTS).await;
    running.stop().await;
    assert!(!rig.metrics.standings.any_gave_up());
}
