use std::path::Path;

use tokio::task::JoinHandle;
use vervet_journal::JournalConfig;
use vervet_model::{Signal, SystemClock};
use vervet_store::StoreConfig;
use vervet_wire::LANES;
use vervet_wire::otlp::{LogRecord, Resource, Scope, Value, write_resource_logs};

use super::*;

/// The receiving half of a collector on real files.
struct Collector {
    ingest: Ingest,
    own: Own,
    committer: JoinHandle<()>,
}

impl Collector {
    fn open(dir: &Path) -> Self {
        let store = Store::open(StoreConfig::new(dir.join("store"))).expect("store");
        let config = JournalConfig::new(dir.join("journal"));
        let (journal, _report) = Journal::open(config).expect("journal");
        let mut cursor = journal.cursor("flush").expect("cursor");
        let options = DecodeOptions::default();
        replay(&store, &mut cursor, &options).expect("replayed");
        let own = Own::default();
        let (ingest, committer) = Ingest::new(store, journal, options, 64 << 20, &own);
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
        let request = OtlpRequest {
            signal: Signal::Logs,
            body: body.into(),
            source: Some(source),
        };
        let accepted = self.ingest.accept(request).await.expect("accepted");
        assert_eq!(accepted, Accepted::default());
    }

    fn rows(&self) -> u64 {
        self.ingest.store.stats().logs.rows_head
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
