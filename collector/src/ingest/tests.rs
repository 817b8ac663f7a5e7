mod disk;
mod faults;

use std::path::Path;

use bytes::Bytes;
use tokio::task::JoinHandle;
use vervet_journal::JournalConfig;
use vervet_model::{Signal, SystemClock};
use vervet_store::StoreConfig;
use vervet_wire::compress::{Compression, Compressor};
use vervet_wire::otlp::{LogRecord, Resource, Scope, Value, write_resource_logs};
use vervet_wire::{Coding, LANES, Received};

use super::*;

/// The receiving half of a collector on real files.
struct Collector {
    ingest: Ingest,
    own: Own,
    committer: JoinHandle<()>,
}

impl Collector {
    fn open(dir: &Path) -> Self {
        Self::open_with(dir, 64 << 20, 256 << 20)
    }

    fn open_with(dir: &Path, inflight_bytes: usize, head_bytes_max: usize) -> Self {
        let store = Store::open(StoreConfig::new(dir.join("store"))).expect("store");
        let config = JournalConfig::new(dir.join("journal"));
        let (journal, _report) = Journal::open(config).expect("journal");
        let mut cursor = journal.cursor("flush").expect("cursor");
        let options = DecodeOptions::default();
        replay(&store, &mut cursor, &options).expect("replayed");
        let own = Own::default();
        let head = Arc::new(HeadRoom::new(store.clone(), head_bytes_max));
        let (ingest, committer) = Ingest::new(store, journal, options, inflight_bytes, head, &own);
        let committer = tokio::task::spawn_blocking(move || committer.run());
        Self {
            ingest,
            own,
            committer,
        }
    }

    /// Nothing was flushed, so the head is gone and the journal brings it back.
    async fn crash_and_reopen(self, dir: &Path) -> Self {
        drop(self.ingest);
        self.committer.await.expect("ended");
        Self::open(dir)
    }

    async fn send(&self, source: Source) {
        let mut body = Vec::new();
        write_resource_logs(&mut body, &Resource::default(), &Scope::default(), |w| {
            w.push(&LogRecord {
                time_unix_nano: SystemClock.now().0.unsigned_abs(),
                body: Value::Int(source.sequence.cast_signed()),
                ..LogRecord::default()
            });
        });
        let body = Bytes::from(body);
        // Every second batch came compressed.
        let is_compressed = source.sequence.is_multiple_of(2);
        let request = OtlpRequest {
            signal: Signal::Logs,
            received: is_compressed.then(|| compressed(&body)),
            body,
            source: Some(source),
        };
        let accepted = self.ingest.accept(request).await.expect("accepted");
        assert_eq!(accepted, Accepted::default());
    }

    fn rows(&self) -> u64 {
        self.ingest.store.stats().logs.rows_head
    }
}

fn compressed(body: &Bytes) -> Received {
    let compressor = Compressor::new(Compression::Zstd, None);
    Received {
        coding: Coding::Zstd,
        bytes: compressor.expect("a compressor").pack(body).bytes().clone(),
    }
}

fn bare(sequence: u64) -> Source {
    Source {
        agent_id: "agent".to_owned(),
        sequence,
    }
}

fn laned(sequence: u64) -> Source {
    Source::in_lane("agent", sequence)
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_may_overtake_each_other_and_repeats_are_known_also_after_a_crash() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = Collector::open(dir.path());
    // The last lane runs ahead to its end before the first has sent anything.
    for lane in (0..LANES).rev() {
        for sequence in (1..=20).filter(|sequence| sequence % LANES == lane) {
            collector.send(laned(sequence)).await;
        }
    }
    assert_eq!(collector.rows(), 20);
    for sequence in 1..=20 {
        collector.send(laned(sequence)).await;
    }
    assert_eq!(collector.rows(), 20, "repeats");
    collector = collector.crash_and_reopen(dir.path()).await;
    assert_eq!(collector.rows(), 20, "replayed");
    for sequence in 1..=24 {
        collector.send(laned(sequence)).await;
    }
    assert_eq!(collector.rows(), 24, "four are new after the crash");
    let agents = collector.own.derived.agents();
    let ids: Vec<&str> = agents.iter().map(|agent| agent.agent_id.as_str()).collect();
    assert_eq!(ids, ["agent"], "lanes are no agents");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_of_life_is_no_repeated_request() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = Collector::open(dir.path());
    collector.send(laned(1)).await;
    let repeated = || {
        let text = collector.own.metrics.render();
        let name = "vervet_collector_repeated_requests_total{signal=\"logs\"} ";
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.to_owned()))
    };
    let alive = OtlpRequest {
        signal: Signal::Logs,
        received: None,
        body: Bytes::new(),
        source: Some(laned(1)),
    };
    let accepted = collector.ingest.accept(alive).await.expect("accepted");
    assert_eq!(accepted, Accepted::default());
    assert_eq!(repeated(), None);
    collector.send(laned(1)).await;
    assert_eq!(repeated().as_deref(), Some("1"));
    assert_eq!(collector.rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_learns_lanes_and_forgets_them_stores_nothing_twice_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = Collector::open(dir.path());
    for sequence in 1..=10 {
        collector.send(bare(sequence)).await;
    }
    // The agent was upgraded before it had stored that 6 to 10 were answered. Lane 3 lags behind.
    for sequence in (6..=20).filter(|sequence| sequence % LANES != 3) {
        collector.send(laned(sequence)).await;
    }
    let lagging = (11..=20).filter(|sequence| sequence % LANES == 3).count() as u64;
    assert_eq!(collector.rows(), 20 - lagging);
    collector = collector.crash_and_reopen(dir.path()).await;
    // The old agent again, from where the last one was sure of everything.
    for sequence in 11..=22 {
        collector.send(bare(sequence)).await;
    }
    assert_eq!(collector.rows(), 22);
    for sequence in 19..=24 {
        collector.send(laned(sequence)).await;
    }
    assert_eq!(collector.rows(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batch_twice_at_once_is_stored_once() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = Collector::open(dir.path());
    for sequence in 1..=8 {
        tokio::join!(
            collector.send(laned(sequence)),
            collector.send(bare(sequence)),
            collector.send(laned(sequence))
        );
    }
    assert_eq!(collector.rows(), 8);
}

fn logs(count: usize, body: &str) -> OtlpRequest {
    let mut out = Vec::new();
    write_resource_logs(&mut out, &Resource::default(), &Scope::default(), |w| {
        for _ in 0..count {
            w.push(&LogRecord {
                time_unix_nano: SystemClock.now().0.unsigned_abs(),
                body: body.into(),
                ..LogRecord::default()
            });
        }
    });
    OtlpRequest {
        signal: Signal::Logs,
        body: out.into(),
        source: None,
        received: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_not_flushed_refuses_at_its_ceiling_and_takes_again_after_a_flush() {
    const CEILING: usize = 1 << 20;
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = Collector::open_with(dir.path(), 64 << 20, CEILING);
    let line = "x".repeat(1000);
    let mut accepted = 0;
    // Nobody flushes here. Far more than fits is offered.
    let refusal = loop {
        match collector.ingest.accept(logs(50, &line)).await {
            Ok(_) => accepted += 50,
            Err(refusal) => break refusal,
        }
        assert!(accepted < 10_000, "never refused");
    };
    assert!(
        matches!(refusal, Refusal::Overloaded { .. }),
        "to be repeated: {refusal:?}"
    );
    let head_bytes = collector.ingest.store.head_bytes();
    assert!((CEILING..2 * CEILING).contains(&head_bytes), "{head_bytes}");
    assert_eq!(collector.rows(), accepted, "acknowledged and nothing else");
    collector = {
        drop(collector.ingest);
        collector.committer.await.expect("ended");
        Collector::open_with(dir.path(), 64 << 20, CEILING)
    };
    assert_eq!(collector.rows(), accepted, "none lost in a crash");

    // A request that waits goes on as soon as the flush is over.
    let (ingest, request) = (collector.ingest.clone(), logs(50, &line));
    let waiting = async { ingest.accept(request).await };
    let flush = async {
        let store = collector.ingest.store.clone();
        collector.ingest.head.due().await;
        let flushed = tokio::task::spawn_blocking(move || store.flush()).await;
        flushed.expect("ended").expect("flushed");
        collector.ingest.head.flushed();
    };
    let (answer, ()) = tokio::join!(waiting, flush);
    // On a machine that took longer than a request waits, it is refused and comes back.
    if answer.is_err() {
        collector
            .ingest
            .accept(logs(50, &line))
            .await
            .expect("room");
    }
    assert_eq!(collector.rows(), 50);
    let stored = collector.ingest.store.stats().logs.rows_stored;
    assert_eq!(stored, accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_becomes_counts_and_is_given_back() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = Collector::open_with(dir.path(), 1 << 20, 256 << 20);
    let ingest = &collector.ingest;
    // While somebody holds nearly all of it, a body does not get in.
    let mut large = ingest.room();
    large.set(1000 << 10).expect("room");
    let body = "x".repeat(100 << 10);
    let refused = ingest.accept(logs(1, &body)).await;
    assert!(matches!(refused, Err(Refusal::Overloaded { .. })));
    // Less is given back at once.
    large.set(10 << 10).expect("less");
    ingest.accept(logs(1, &body)).await.expect("room");
    drop(large);
    // Empty records take two bytes each, and a hundred times as much as columns.
    for _ in 0..3 {
        ingest.accept(logs(5_000, "")).await.expect("alone");
    }
    assert!(matches!(
        ingest.room().set(2 << 20),
        Err(Refusal::TooLarge { .. })
    ));
    ingest.room().set(1 << 20).expect("all was given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_refused_are_counted_wherever_they_are_and_the_books_hold() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = Collector::open(dir.path());
    let router = vervet_wire::http::router(collector.ingest.clone(), 1 << 10);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("bound");
    let url = format!("http://{}/v1/logs", listener.local_addr().expect("bound"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    vervet_agent::telemetry::install_tls_provider();
    let client = reqwest::Client::new();
    let post = async |content_type: &str, body: Vec<u8>| {
        let request = client.post(&url).header("content-type", content_type);
        let answer = request.body(body).send().await.expect("answered");
        answer.status().as_u16()
    };
    let protobuf = "application/x-protobuf";
    assert_eq!(post(protobuf, Vec::new()).await, 200);
    assert_eq!(post("text/plain", Vec::new()).await, 415);
    assert_eq!(post(protobuf, vec![0; 2 << 10]).await, 413);
    assert_eq!(post(protobuf, vec![0x0a, 0x7f]).await, 400);
    let text = collector.own.metrics.render();
    let value = |line: &str| {
        let found = text.lines().find_map(|have| have.strip_prefix(line));
        found.map_or(0, |value| value.trim().parse::<u64>().expect("a number"))
    };
    let refused = |reason: &str| {
        value(&format!(
            r#"vervet_collector_refused_requests_total{{signal="logs",protocol="http",reason="{reason}"}}"#
        ))
    };
    for reason in ["unsupported", "too_large", "invalid"] {
        assert_eq!(refused(reason), 1, "{reason} in\n{text}");
    }
    let of_logs = |name: &str| {
        value(&format!(
            r#"vervet_collector_{name}_total{{signal="logs"}}"#
        ))
    };
    assert_eq!(of_logs("received_requests"), of_logs("stored_requests") + 3);
    serving.abort();
}
