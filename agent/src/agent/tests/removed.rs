//! Exporters that are taken out of the configuration and come back.

use super::reload::{Log, Setup, change, exporter};
use super::*;
use crate::admin::ExporterStatus;

/// A living exporter and one beside it that comes and goes.
struct Pair<'a> {
    dir: &'a Path,
    alive: TestCollector,
}

impl<'a> Pair<'a> {
    /// With the log they are sent.
    fn new(dir: &'a Path) -> (Self, Log) {
        let alive = TestCollector::start();
        (Self { dir, alive }, Log::create(dir))
    }

    fn with(&self, other: Option<&str>) -> Setup<'_> {
        let mut setup = Setup::new(self.dir, &self.alive.endpoint());
        if let Some(endpoint) = other {
            setup.exporters += &exporter("other", endpoint, "10ms");
            setup.pipelines = "  logs: {from: [files], to: [main, other]}\n".to_owned();
        }
        setup
    }

    /// Writes a line at a time, so that each is a batch.
    async fn write(&self, log: &mut Log, lines: usize) {
        for _ in 0..lines {
            log.write(1);
            wait_until("by the living", || self.alive.lines().len() == log.lines).await;
        }
    }
}

fn other(agent: &RunningAgent) -> ExporterStatus {
    let mut exporters = agent.status().exporters.into_iter();
    let found = exporters.find(|exporter| exporter.exporter == "other");
    found.expect("it is known")
}

fn book_of_other(agent: &RunningAgent) -> BookLine {
    let status = agent.status();
    assert!(status.balances, "{status:?}");
    let mut books = status.books.into_iter();
    let found = books.find(|line| line.exporter == "other");
    found.expect("it has a book")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_an_exporter_is_not_configured_is_not_kept_for_it() {
    let dir = tempfile::tempdir().expect("folder");
    let late = TestCollector::start();
    let (pair, mut log) = Pair::new(dir.path());
    let mut agent = pair.with(Some("http://127.0.0.1:9")).start().await;
    pair.write(&mut log, 5).await;
    change(&mut agent, &pair.with(None)).await;
    pair.write(&mut log, 5).await;
    assert_eq!(other(&agent).behind_batches, 5);
    // Also over a restart.
    agent.shutdown(DEADLINE).await;
    let mut agent = pair.with(None).start().await;
    pair.write(&mut log, 5).await;
    assert_eq!(other(&agent).behind_batches, 5);

    change(&mut agent, &pair.with(Some(&late.endpoint()))).await;
    pair.write(&mut log, 5).await;
    wait_until("by the one that is back", || late.lines().len() >= 10).await;
    wait_until("settled", || book_of_other(&agent).held.is_zero()).await;
    assert_eq!(late.lines(), [texts(0..5), texts(15..20)].concat());
    let book = book_of_other(&agent);
    let dropped: Vec<_> = book.dropped.iter().collect();
    assert_eq!(dropped.len(), 1, "{book:?}");
    assert_eq!(book.dropped["not_configured"].records, 10, "{book:?}");
    assert_eq!(book.delivered.records, 10);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_left_twice_gets_what_came_between() {
    let dir = tempfile::tempdir().expect("folder");
    let late = TestCollector::start();
    let (pair, mut log) = Pair::new(dir.path());
    let dead = "http://127.0.0.1:9";
    let mut agent = pair.with(Some(dead)).start().await;
    for _ in 0..2 {
        change(&mut agent, &pair.with(Some(dead))).await;
        pair.write(&mut log, 2).await;
        change(&mut agent, &pair.with(None)).await;
        pair.write(&mut log, 3).await;
    }
    // It starts with one that is back, as after a change of the file while the agent was stopped.
    agent.shutdown(DEADLINE).await;
    let agent = pair.with(Some(&late.endpoint())).start().await;
    wait_until("settled", || book_of_other(&agent).held.is_zero()).await;
    assert_eq!(late.lines(), [texts(0..2), texts(5..7)].concat());
    let book = book_of_other(&agent);
    assert_eq!(book.dropped["not_configured"].records, 6, "{book:?}");
    agent.shutdown(DEADLINE).await;
}
