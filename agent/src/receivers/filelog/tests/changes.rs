//! A receiver whose configuration changes while it reads.

use super::*;
use crate::receivers::filelog::change::Change;

fn change(spec: FilelogSpec) -> Change {
    Change {
        config: FilelogConfig::try_from(spec).expect("valid"),
        chains: Chains::default(),
        pods: PodDirectory::none(),
        resource: Vec::new(),
        signals: crate::pipeline::SignalSet::ALL,
    }
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_and_goes_during_a_change_is_read() {
    const LINES: usize = 100_000;
    let (directory, path) = directory();
    let glob = directory.path().join("*.log");
    append(&path, numbered(0..LINES));
    let mut running = start(spec(&glob), Vec::new());
    // Nobody takes anything, so the receiver is held up in the middle of the file.
    wait_until("a full queue", || {
        running.queue.ordinary.len() == crate::pipeline::SOURCE_BATCHES_MAX
    })
    .await;
    running.changes.put(change(FilelogSpec {
        service_name: Some("changed".to_owned()),
        ..spec(&glob)
    }));
    let short = directory.path().join("short.log");
    append(&short, format!("line {LINES}\n"));
    wait_until("its descriptor", || {
        running.metric("vervet_agent_filelog_open_files{receiver=\"files\"} 2")
    })
    .await;
    fs::remove_file(&short).expect("removed");
    running.until_count(LINES + 1).await;
    let mut found = numbers(&running.seen);
    found.sort_unstable();
    assert!(found.into_iter().eq(0..=LINES), "each line once");
    append(&path, format!("line {}\n", LINES + 1));
    running.until_count(LINES + 2).await;
    let last = running.seen.last().expect("seen");
    assert_eq!(last.service, "changed");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_globs_leave_files_where_they_are_and_find_them_again_there() {
    let (directory, one) = directory();
    let two = directory.path().join("two.txt");
    append(&one, "one 1\n");
    append(&two, "two 1\n");
    let mut running = start(spec(&one), Vec::new());
    running.until_count(1).await;
    // As a receiver that starts: of a file that is there only what comes is wanted.
    running.changes.put(change(FilelogSpec {
        start_at: StartAt::End,
        ..spec(&two)
    }));
    wait_until("the place of the other", || {
        running.metric("vervet_agent_filelog_behind_bytes{receiver=\"files\"} 0")
            && running.metric("vervet_agent_filelog_files{receiver=\"files\"} 1")
    })
    .await;
    append(&one, "one 2\n");
    let two_is_followed = |seen: &[Seen]| seen.iter().any(|seen| seen.body.starts_with("two"));
    let mut number = 2;
    while !two_is_followed(&running.seen) {
        append(&two, format!("two {number}\n"));
        number += 1;
        assert!(running.take().await, "the receiver has ended");
    }
    assert!(
        !running.bodies().contains(&"one 2"),
        "{:?}",
        running.bodies()
    );
    assert!(
        !running.bodies().contains(&"two 1"),
        "{:?}",
        running.bodies()
    );
    running.changes.put(change(spec(&one)));
    running
        .until(|seen| seen.iter().any(|seen| seen.body == "one 2"))
        .await;
    let ones = running.bodies();
    let ones: Vec<_> = ones.iter().filter(|body| body.starts_with("one")).collect();
    assert_eq!(ones, [&"one 1", &"one 2"]);
    running.stop().await;
}
