//! Exporters that the buffer has not known.

use super::reload::{Log, Setup, change, exporter};
use super::*;

fn both(main: &str, other: (&str, &str), dir: &Path) -> (String, String) {
    let exporters = exporter("main", main, "10ms") + &exporter(other.0, other.1, "10ms");
    assert!(dir.is_dir());
    (
        exporters,
        format!("  logs: {{from: [files], to: [main, {}]}}\n", other.0),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_exporter_gets_nothing_that_was_stored_before() {
    let dir = tempfile::tempdir().expect("folder");
    let (one, two, three) = (
        TestCollector::start(),
        TestCollector::start(),
        TestCollector::start(),
    );
    let mut setup = Setup::new(dir.path(), &one.endpoint());
    let mut log = Log::create(dir.path());
    let mut agent = setup.start().await;
    log.write(5);
    wait_until("by the first", || one.lines().len() == 5).await;

    (setup.exporters, setup.pipelines) =
        both(&one.endpoint(), ("two", &two.endpoint()), dir.path());
    let changes = change(&mut agent, &setup).await;
    assert_eq!(changes.new_exporters, ["two"]);
    log.write(5);
    wait_until("by both", || {
        one.lines().len() == 10 && two.lines().len() >= 5
    })
    .await;
    assert_eq!(two.lines(), texts(5..10));
    let status = agent.status();
    assert!(status.balances, "{status:?}");

    // Also one that comes with a start, while one that is known goes on where it was.
    agent.shutdown(DEADLINE).await;
    (setup.exporters, setup.pipelines) =
        both(&one.endpoint(), ("three", &three.endpoint()), dir.path());
    let agent = setup.start().await;
    log.write(5);
    wait_until("by the third", || {
        one.lines().len() == 15 && three.lines().len() >= 5
    })
    .await;
    assert_eq!(three.lines(), texts(10..15));
    let status = agent.status();
    assert!(status.balances, "{status:?}");
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_exporter_to_the_same_destination_does_not_make_the_backlog_of_another_look_like_repeats()
 {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let mut setup = Setup::new(dir.path(), "http://127.0.0.1:9");
    let mut log = Log::create(dir.path());
    let mut agent = setup.start().await;
    log.write(1);
    wait_until("stored", || logs_book(&agent).held.records == 1).await;
    let (dead, alive) = ("http://127.0.0.1:9", collector.endpoint());
    (setup.exporters, setup.pipelines) = both(dead, ("second", &alive), dir.path());
    change(&mut agent, &setup).await;
    // One batch a line, so that each lane of the second has had some.
    for line in 2..=9 {
        log.write(1);
        wait_until("by the second", || collector.lines().len() == line - 1).await;
    }
    (setup.exporters, setup.pipelines) = both(&alive, ("second", &alive), dir.path());
    change(&mut agent, &setup).await;
    wait_until("the backlog", || {
        collector.lines().contains(&"line 0".to_owned())
    })
    .await;
    agent.shutdown(DEADLINE).await;
}
