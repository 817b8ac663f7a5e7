//! Batches that no append can hold.

use super::*;

const DISK_BYTES: u64 = 1 << 20;

/// Stores a batch and reads back how many records came through, while a consumer makes room.
async fn check_stored(line_bytes: &[usize], expect: u64) -> u64 {
    let dir = tempfile::tempdir().expect("folder");
    let running = start(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    let mut cursor = running.journal.cursor("exporter-main").expect("opens");
    running
        .sender
        .send(lines_of(line_bytes, 7))
        .await
        .expect("open");
    let (mut records, mut positions) = (0, Vec::new());
    let end = std::time::Instant::now() + DEADLINE;
    while records < expect {
        assert!(std::time::Instant::now() < end, "{records} of {expect}");
        for record in cursor.read(1 << 20).expect("reads") {
            let (header, _) = decode(record.payload).expect("valid");
            records += header.records;
            positions.push(header.positions.len());
            cursor.commit(record.sequence, &[]).expect("committed");
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(records, expect);
    assert_eq!(positions.pop(), Some(1), "the last has the position");
    assert_eq!(positions.iter().sum::<usize>(), 0);
    let metrics = Arc::clone(&running.metrics);
    running.finish().await;
    let text = metrics.encode_text();
    let waiting = text.lines().filter(|line| line.contains("_waiting_"));
    let waiting: Vec<_> = waiting.filter(|line| line.starts_with("vervet")).collect();
    assert!(
        !waiting.is_empty() && waiting.iter().all(|line| line.ends_with(" 0")),
        "{waiting:?}"
    );
    let line = metrics.intake().lines().remove(0);
    let dropped = line.dropped.get(TOO_LARGE).copied().unwrap_or_default();
    dropped.records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_no_append_can_hold_is_stored_in_pieces() {
    let lines = [&[900_000; 2][..], &[100; 50]].concat();
    assert_eq!(check_stored(&lines, 52).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_only_what_is_too_large_by_itself_is_dropped() {
    let lines = [100, 1_200_000, 100, 700_000, 1_100_000];
    assert_eq!(check_stored(&lines, 3).await, 2);
}
