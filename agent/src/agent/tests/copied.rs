//! Data folders that are put back to an earlier state, or copied: nothing new is taken for a repeat.

use std::fs;

use super::*;

/// Replaces what is in the folder `to`, which stays the same folder, by what is in `from`.
fn put(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).expect("folder") {
        let path = entry.expect("entry").path();
        match path.is_dir() {
            true => fs::remove_dir_all(path).expect("removed"),
            false => fs::remove_file(path).expect("removed"),
        }
    }
    add(from, to);
}

fn add(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => {
                fs::create_dir(&target).expect("created");
                add(&entry.path(), &target);
            }
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

/// Starts an agent, sends texts, waits until they are delivered and stops it.
async fn deliver(dir: &Path, collector: &TestCollector, numbers: std::ops::Range<usize>) {
    let agent = agent(dir, &collector.endpoint()).await;
    for text in texts(numbers) {
        send(&agent, &text).await.expect("stored");
    }
    wait_until("settled", || logs_book(&agent).held.is_zero()).await;
    assert!(agent.shutdown(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_folder_was_put_back_is_delivered() {
    let (dir, snapshot) = (tempfile::tempdir(), tempfile::tempdir());
    let (dir, snapshot) = (dir.expect("folder"), snapshot.expect("folder"));
    let collector = TestCollector::start();
    deliver(dir.path(), &collector, 0..5).await;
    put(dir.path(), snapshot.path());
    deliver(dir.path(), &collector, 5..15).await;
    put(snapshot.path(), dir.path());
    deliver(dir.path(), &collector, 15..20).await;
    assert_eq!(collector.lines(), stored(0..20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_and_its_original_are_both_delivered() {
    let (dir, copy) = (tempfile::tempdir(), tempfile::tempdir());
    let (dir, copy) = (dir.expect("folder"), copy.expect("folder"));
    let collector = TestCollector::start();
    deliver(dir.path(), &collector, 0..5).await;
    put(dir.path(), copy.path());
    deliver(dir.path(), &collector, 5..10).await;
    deliver(copy.path(), &collector, 10..15).await;
    deliver(dir.path(), &collector, 15..20).await;
    assert_eq!(collector.lines(), stored(0..20));
}
