//! Nothing is lost, nothing comes twice, and nobody waits for somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vervet_journal::JournalError;
use vervet_wire::LANES;

use super::destination::Destination;
use super::proxy::Proxy;
use super::rig::Rig;
use super::{texts, wait_until};

const DISK_BYTES: u64 = 64 << 20;
const QUICK: &str = "timeout: 2s, retry: {initial: 2ms, max: 20ms}";

async fn survives_cuts_and_kills(kind: &str) {
    let destination = Destination::start().await;
    let proxy = Proxy::start(destination.address).await;
    let mut rig = Rig::new(DISK_BYTES);
    let settings = format!(
        "type: {kind}, endpoint: 'http://{}', {QUICK}",
        proxy.address
    );
    let all = texts(0..900);
    let mut batches = all.chunks(3);
    for round in 1..=15 {
        for batch in batches.by_ref().take(20) {
            rig.append(batch).expect("room");
        }
        let running = rig.start("main", &settings).await;
        let connections = proxy.connections.load(Ordering::Relaxed);
        // Killed after a different number of connections each time, or when it has caught up.
        wait_until("a few connections", || {
            proxy.connections.load(Ordering::Relaxed) > connections + round % 5
                || rig.book("main").held.is_zero()
        })
        .await;
        running.kill().await;
    }
    proxy.be_honest();
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    assert_eq!(destination.lines(), all, "lost or doubled");
    let book = rig.book("main");
    assert!(
        book.dropped.is_empty() && book.delivered.records == 900,
        "{book:?}"
    );
    assert!(
        destination.state(|state| state.repeats) > 0,
        "no answer was ever lost"
    );
    assert_eq!(rig.committed("main"), rig.journal.last_sequence());
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_loses_and_doubles_nothing_though_connections_are_cut_and_the_exporter_is_killed() {
    survives_cuts_and_kills("otlp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_loses_and_doubles_nothing_though_connections_are_cut_and_the_exporter_is_killed() {
    survives_cuts_and_kills("otlphttp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_overtake_each_other_up_to_the_limit_and_keep_their_own_order() {
    for (kind, max) in [("otlp", 4), ("otlphttp", 2)] {
        let delay = Duration::from_millis(3);
        let destination = Destination::with(|_, _| None, delay, None).await;
        let mut rig = Rig::new(DISK_BYTES);
        let settings = format!(
            "type: {kind}, endpoint: 'http://{}', concurrency: {{max: {max}}}",
            destination.address
        );
        let running = rig.start("main", &settings).await;
        let mut sent = 0;
        while destination.state(|state| state.peak) < max {
            texts(sent..sent + 40)
                .iter()
                .for_each(|text| rig.append(std::slice::from_ref(text)).expect("room"));
            sent += 40;
            assert!(sent < 40_000, "the limit does not grow");
            rig.wait_until_settled("main").await;
        }
        running.stop().await;
        destination.state(|state| {
            assert_eq!(state.peak, max);
            assert_eq!(state.peak_in_lane, 1);
            assert_eq!(state.sequences.len() as u64, LANES);
            for (lane, sequences) in &state.sequences {
                assert!(sequences.is_sorted(), "{lane}: {sequences:?}");
                let number = sequences[0] % LANES;
                assert_eq!(*lane, format!("agent#{number}"));
                assert!(sequences.iter().all(|sequence| sequence % LANES == number));
            }
        });
        assert_eq!(destination.lines(), texts(0..sent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_exporter_costs_another_nothing_and_loses_only_its_own() {
    let destination = Destination::start().await;
    let mut rig = Rig::new(1 << 20);
    let dead = format!(
        "type: otlp, endpoint: 'http://127.0.0.1:9', queue: {{on_full: drop_oldest}}, {QUICK}"
    );
    let dead = rig.start("dead", &dead).await;
    let alive = format!(
        "type: otlp, endpoint: 'http://{}', {QUICK}",
        destination.address
    );
    let alive = rig.start("alive", &alive).await;
    let padding = "x".repeat(2_000);
    let all: Vec<String> = texts(0..2_000)
        .iter()
        .map(|text| text.clone() + &padding)
        .collect();
    for batch in all.chunks(4) {
        loop {
            match rig.append(batch) {
                Ok(()) => break,
                // The living one has a place in the journal, too, until it has committed.
                Err(JournalError::Full { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
    rig.wait_until_settled("alive").await;
    assert_eq!(destination.lines(), all);
    assert!(rig.book("alive").dropped.is_empty());
    let stats = rig.journal.stats();
    assert!(stats.disk_bytes <= 1 << 20, "{stats:?}");
    let at_once = rig.book("dead").dropped["evicted_by_drop_oldest"];
    assert!(at_once.records > 1_000, "{at_once:?}");
    let dropped = |name: &str| {
        let cursor = stats
            .cursors
            .iter()
            .find(|cursor| cursor.name.ends_with(name));
        cursor.expect("there").dropped_records
    };
    assert!(dropped("dead") > 0 && dropped("alive") == 0, "{stats:?}");
    alive.stop().await;
    dead.stop().await;
    // Once it reaches somebody, it has lost no more than was told when it went.
    let again = format!(
        "type: otlp, endpoint: 'http://{}', {QUICK}",
        destination.address
    );
    let again = rig.start("dead", &again).await;
    rig.wait_until_settled("dead").await;
    let book = rig.book("dead");
    assert_eq!(
        book.dropped,
        [("evicted_by_drop_oldest".to_owned(), at_once)].into()
    );
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_arrived_is_never_booked_as_dropped_though_the_exporter_is_killed() {
    let destination = Destination::with(|_, _| None, Duration::from_millis(2), None).await;
    let mut rig = Rig::new(1 << 20);
    let settings = format!(
        "type: otlp, endpoint: 'http://{}', queue: {{on_full: drop_oldest}}, {QUICK}",
        destination.address
    );
    let padding = "x".repeat(4_000);
    let mut written = 0;
    for round in 1..=12 {
        let running = rig.start("main", &settings).await;
        let stored = destination.state(|state| state.lines.len());
        // More than the buffer holds while it sends, and while it is gone.
        for batch in 0..200 {
            let texts = texts(written..written + 2);
            let batch_texts: Vec<String> =
                texts.iter().map(|text| text.clone() + &padding).collect();
            rig.append(&batch_texts).expect("the oldest make room");
            written += 2;
            if batch == 100 {
                wait_until("something arrives", || {
                    destination.state(|state| state.lines.len()) > stored + round
                })
                .await;
            }
        }
        running.kill().await;
    }
    let running = rig.start("main", &settings).await;
    rig.wait_until_settled("main").await;
    running.stop().await;
    let (book, arrived) = (rig.book("main"), destination.lines().len() as u64);
    assert_eq!(book.delivered.records, arrived, "{book:?}");
    let dropped: Vec<_> = book.dropped.iter().collect();
    assert_eq!(dropped.len(), 1, "{book:?}");
    assert_eq!(dropped[0].0, "evicted_by_drop_oldest");
    assert_eq!(dropped[0].1.records, written as u64 - arrived);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_lane_gets_through_the_others_try_at_once() {
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let judge = move |_: &[String], _: &http::HeaderMap| {
        let away = away.load(Ordering::SeqCst);
        away.then(|| (503, Vec::new(), String::new()))
    };
    let destination = Destination::with(judge, Duration::ZERO, None).await;
    let mut rig = Rig::new(DISK_BYTES);
    let all = texts(0..4);
    // Whoever waited that long by himself would not be in time.
    let settings = format!(
        "type: otlphttp, endpoint: 'http://{}', retry: {{initial: 100h, max: 100h}}",
        destination.address
    );
    let running = rig.start("main", &settings).await;
    for text in all.iter().take(3) {
        rig.append(std::slice::from_ref(text)).expect("room");
    }
    wait_until("three lanes wait", || rig.metrics.failed("main") == 3).await;
    is_away.store(false, Ordering::SeqCst);
    rig.append(&all[3..]).expect("room");
    rig.wait_until_settled("main").await;
    running.stop().await;
    assert_eq!(destination.lines(), all);
    assert_eq!(rig.metrics.failed("main"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_everything_is_sent_and_committed() {
    let destination = Destination::with(|_, _| None, Duration::from_millis(1), None).await;
    let mut rig = Rig::new(DISK_BYTES);
    let out = rig.dir.path().join("out.txt");
    let settings = [
        (
            "grpc",
            format!("type: otlp, endpoint: 'http://{}'", destination.address),
        ),
        (
            "file",
            format!("type: file, format: text, path: '{}'", out.display()),
        ),
        ("debug", "type: debug, records_per_second: 1".to_owned()),
    ];
    let mut running = Vec::new();
    for (name, settings) in &settings {
        running.push(rig.start(name, settings).await);
    }
    let all = texts(0..300);
    for batch in all.chunks(2) {
        rig.append(batch).expect("room");
    }
    rig.close();
    for exporter in running {
        exporter.ended().await;
    }
    for (name, _) in settings {
        assert_eq!(rig.committed(name), rig.journal.last_sequence(), "{name}");
        assert_eq!(rig.book(name).delivered.records, 300, "{name}");
    }
    assert_eq!(destination.lines(), all);
    let written = std::fs::read_to_string(out).expect("written");
    let written: Vec<&str> = written.lines().collect();
    assert_eq!(written, all, "in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_compressed_as_told() {
    for (compression, encoding) in [("zstd", "zstd"), ("gzip", "gzip"), ("none", "")] {
        let destination = Destination::start().await;
        let mut rig = Rig::new(DISK_BYTES);
        rig.append(&texts(0..50)).expect("room");
        for kind in ["otlp", "otlphttp"] {
            let settings = format!(
                "type: {kind}, endpoint: 'http://{}', compression: {compression}",
                destination.address
            );
            let running = rig.start(kind, &settings).await;
            rig.wait_until_settled(kind).await;
            running.stop().await;
        }
        assert_eq!(destination.lines(), texts(0..50), "the second is a repeat");
        assert_eq!(destination.state(|state| state.repeats), 1);
        assert_eq!(
            destination.state(|state| state.encodings.clone()),
            [encoding]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_exporter_shows_that_the_agent_lives_and_nothing_comes_twice() {
    for kind in ["otlp", "otlphttp"] {
        let destination = Destination::start().await;
        let mut rig = Rig::new(DISK_BYTES);
        rig.alive_interval = Duration::from_millis(20);
        let settings = format!(
            "type: {kind}, endpoint: 'http://{}', {QUICK}",
            destination.address
        );
        rig.append(&texts(0..3)).expect("room");
        let running = rig.start("main", &settings).await;
        rig.wait_until_settled("main").await;
        wait_until("signs of life", || {
            destination.state(|state| state.repeats) >= 2
        })
        .await;
        running.stop().await;
        // After a restart too, although there is nothing to send.
        let before = destination.state(|state| state.repeats);
        let running = rig.start("main", &settings).await;
        wait_until("signs of life after a restart", || {
            destination.state(|state| state.repeats) > before
        })
        .await;
        running.stop().await;
        assert_eq!(destination.lines(), texts(0..3));
    }
}
