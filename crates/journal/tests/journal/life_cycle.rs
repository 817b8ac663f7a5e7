use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vervet_journal::{
    CURSOR_STATE_BYTES_MAX, Entry, Journal, JournalConfig, JournalError, OnFull, Record, SyncPolicy,
};

use crate::support::{append, config, drain, fill, open, segment_files, sequences};

#[test]
fn parts_are_joined_and_read_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(report, vervet_journal::RecoveryReport::default());
    let range = journal
        .append(&[
            Entry {
                kind: 7,
                parts: &[b"a", b"", b"bc"],
            },
            Entry {
                kind: 8,
                parts: &[],
            },
        ])
        .unwrap();
    assert_eq!(range, 1..=2);
    let mut cursor = journal.cursor("main").unwrap();
    let records = cursor.read(usize::MAX).unwrap();
    assert_eq!(records[0].payload.as_ref(), b"abc");
    assert_eq!((records[0].sequence, records[0].kind), (1, 7));
    assert_eq!(
        (
            records[1].sequence,
            records[1].kind,
            records[1].payload.len()
        ),
        (2, 8, 0)
    );
    assert!(cursor.read(usize::MAX).unwrap().is_empty());
}

#[test]
fn read_keeps_to_its_byte_budget_but_gives_at_least_one_record() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 5);
    let mut cursor = journal.cursor("main").unwrap();
    let mut take = |bytes| {
        cursor
            .read(bytes)
            .unwrap()
            .iter()
            .map(|record| record.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!(take(0), [1]);
    assert_eq!(take(130), [2, 3]);
    assert_eq!(take(usize::MAX), [4, 5]);
}

#[test]
fn commit_survives_reopening_and_rewind_goes_back_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 8);
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(sequences(&mut cursor).len(), 8);
    cursor.commit(5, b"state").unwrap();
    cursor.rewind();
    assert_eq!(sequences(&mut cursor), [6, 7, 8]);
    drop((journal, cursor));
    let (journal, _) = open(dir.path());
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(
        (cursor.committed(), cursor.state()),
        (5, b"state".as_slice())
    );
    assert_eq!(sequences(&mut cursor), [6, 7, 8]);
}

#[test]
fn commit_outside_its_range_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 3);
    let mut cursor = journal.cursor("main").unwrap();
    cursor.commit(2, &[]).unwrap();
    for through in [1, 4] {
        let error = cursor.commit(through, &[]).unwrap_err();
        assert!(
            matches!(error, JournalError::CommitOutOfRange { .. }),
            "{error}"
        );
    }
    cursor.commit(2, b"new state").unwrap();
    assert_eq!(cursor.state(), b"new state");
}

#[test]
fn numbering_goes_on_after_everything_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 10);
    cursor.commit(10, &[]).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 1);
    assert_eq!(journal.stats().segments, 1);
    drop((journal, cursor));
    std::fs::remove_dir_all(dir.path().join("cursors")).unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!((report.records, journal.last_sequence()), (2, 10));
    fill(&journal, 1);
    assert_eq!(journal.last_sequence(), 11);
}

#[test]
fn a_segment_stays_until_the_slowest_cursor_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut fast = journal.cursor("fast").unwrap();
    let mut slow = journal.cursor("slow").unwrap();
    fill(&journal, 12);
    fast.commit(12, &[]).unwrap();
    let held = segment_files(dir.path()).len();
    assert_eq!(held, 6);
    assert_eq!(sequences(&mut slow), (1..=12).collect::<Vec<_>>());
    slow.commit(6, &[]).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 3);
    // A cursor that is closed goes on holding; removing it lets go.
    drop(slow);
    fill(&journal, 2);
    fast.commit(14, &[]).unwrap();
    assert!(segment_files(dir.path()).len() > 1);
    journal.remove_cursor("slow").unwrap();
    assert_eq!(segment_files(dir.path()).len(), 1);
    let stats = journal.stats();
    assert_eq!((stats.cursors.len(), stats.cursors[0].lag_records), (1, 0));
}

#[test]
fn a_new_cursor_starts_at_the_oldest_record_present() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut first = journal.cursor("first").unwrap();
    fill(&journal, 7);
    first.commit(5, &[]).unwrap();
    let mut second = journal.cursor("second").unwrap();
    assert_eq!(second.committed(), 4);
    assert_eq!(sequences(&mut second), [5, 6, 7]);
}

#[test]
fn a_cursor_may_be_created_further_on_with_its_state_and_is_found_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let _first = journal.cursor("first").unwrap();
    fill(&journal, 7);
    let mut second = journal.cursor_behind("second", 5, b"state").unwrap();
    assert_eq!((second.committed(), second.state()), (5, &b"state"[..]));
    assert_eq!(sequences(&mut second), [6, 7]);
    // Nothing more than there is, and nothing of one that is there already.
    let third = journal.cursor_behind("third", 99, &[]).unwrap();
    assert_eq!(third.committed(), 7);
    drop((second, third));
    let again = journal.cursor_behind("second", 7, b"other").unwrap();
    assert_eq!((again.committed(), again.state()), (5, &b"state"[..]));
    drop((journal, _first, again));
    let (journal, _) = open(dir.path());
    let again = journal.cursor("second").unwrap();
    assert_eq!((again.committed(), again.state()), (5, &b"state"[..]));
}

#[test]
fn lag_counts_records_after_the_committed_one() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 7);
    cursor.commit(3, &[]).unwrap();
    let stats = journal.stats();
    assert_eq!((stats.appended_records, stats.appended_bytes), (7, 7 * 60));
    assert_eq!((stats.oldest_sequence, stats.last_sequence), (3, 7));
    let lag = &stats.cursors[0];
    assert_eq!((lag.committed, lag.lag_records), (3, 4));
    assert!(
        lag.lag_bytes > 4 * 84 && lag.lag_bytes < stats.disk_bytes,
        "{}",
        lag.lag_bytes
    );
}

#[test]
fn a_full_journal_refuses_and_recovers_after_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let full = JournalConfig {
        disk_bytes_max: 599,
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(full).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 5);
    let error = append(&journal, &[b'x'; 60]).unwrap_err();
    assert!(
        matches!(error, JournalError::Full { .. }) && error.is_retryable(),
        "{error}"
    );
    assert_eq!(journal.last_sequence(), 5);
    assert!(journal.stats().disk_bytes <= 599);
    cursor.commit(5, &[]).unwrap();
    fill(&journal, 3);
    assert_eq!(sequences(&mut cursor), [6, 7, 8]);
}

#[test]
fn a_budget_of_one_segment_turns_over() {
    let dir = tempfile::tempdir().unwrap();
    let tight = JournalConfig {
        disk_bytes_max: 256,
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(tight).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    for _ in 0..10 {
        fill(&journal, 1);
        let sequence = journal.last_sequence();
        assert_eq!(sequences(&mut cursor), [sequence]);
        cursor.commit(sequence, &[]).unwrap();
    }
}

#[test]
fn drop_oldest_makes_room_and_counts_what_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let tight = JournalConfig {
        disk_bytes_max: 600,
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(tight).unwrap();
    let mut lossy = journal.cursor("lossy").unwrap();
    lossy.set_policy(OnFull::DropOldest);
    fill(&journal, 12);
    let stats = journal.stats();
    let dropped = stats.cursors[0].dropped_records;
    let read = sequences(&mut lossy);
    assert!(dropped > 0);
    assert_eq!(read, (dropped + 1..=12).collect::<Vec<_>>());
    assert!(stats.cursors[0].dropped_bytes >= dropped * 84);
    // A blocking cursor beside it keeps its records.
    let _strict = journal.cursor("strict").unwrap();
    while append(&journal, &[b'x'; 60]).is_ok() {
        assert!(
            journal.last_sequence() < 100,
            "a blocking cursor must stop the appends"
        );
    }
    assert_eq!(journal.stats().cursors[0].dropped_records, dropped);
}

#[test]
fn what_is_under_way_is_taken_last_and_whoever_loses_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let tight = JournalConfig {
        disk_bytes_max: 1_100,
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(tight).unwrap();
    let mut lossy = journal.cursor("lossy").unwrap();
    lossy.set_policy(OnFull::DropOldest);
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    journal.set_eviction_listener(Box::new(move |evicted| {
        assert_eq!(evicted.cursors, ["lossy"]);
        let sequence = |record: &Option<Record>| record.as_ref().map(|record| record.sequence);
        let ends = (sequence(&evicted.head), sequence(&evicted.next));
        sink.lock().push(ends);
    }));
    // Two records a segment, five segments.
    fill(&journal, 4);
    lossy.hold(3);
    fill(&journal, 10);
    let taken = std::mem::take(&mut *told.lock());
    assert_eq!(taken[0], (Some(5), Some(7)));
    assert!(taken.iter().all(|(head, _)| *head > Some(4)), "{taken:?}");
    assert!(lossy.is_on_disk(1) && lossy.is_on_disk(4) && !lossy.is_on_disk(5));
    let dropped = journal.stats().cursors[0].dropped_records;
    assert_eq!(dropped, 2 * taken.len() as u64);
    let read = sequences(&mut lossy);
    assert_eq!(
        read,
        [1, 2, 3, 4]
            .into_iter()
            .chain(5 + dropped..=14)
            .collect::<Vec<_>>()
    );
    // What lies behind the cursor is under way no more.
    lossy.commit(4, &[]).unwrap();
    // Where everything is under way, the oldest goes all the same.
    lossy.hold(100);
    fill(&journal, 2);
    let oldest = journal.stats().oldest_sequence;
    fill(&journal, 6);
    let taken = std::mem::take(&mut *told.lock());
    assert_eq!(taken[0].0, Some(oldest), "{taken:?}");
    assert!(taken.is_sorted());
    // At the next start both gaps are known.
    drop((lossy, journal));
    let (journal, report) = Journal::open(config(dir.path())).unwrap();
    assert!(
        report.gaps.is_empty(),
        "what is gone is before the first: {report:?}"
    );
    assert!(journal.stats().oldest_sequence > oldest);
}

#[test]
fn gaps_are_told_with_the_records_around_them() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 8);
    drop(journal);
    let segments = segment_files(dir.path());
    // A whole segment, and the first record of another.
    std::fs::remove_file(&segments[1]).unwrap();
    let mut bytes = std::fs::read(&segments[3]).unwrap();
    bytes[32 + 24] ^= 1;
    std::fs::write(&segments[3], bytes).unwrap();
    let (_journal, report) = open(dir.path());
    let gaps: Vec<_> = report
        .gaps
        .iter()
        .map(|gap| (gap.after, gap.before, gap.is_between_segments))
        .collect();
    assert_eq!(gaps, [(2, 5, true), (6, 8, false)]);
}

#[test]
fn a_gap_behind_the_last_record_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 8);
    drop(journal);
    let segments = segment_files(dir.path());
    let (last, middle) = segments[1..].split_last().unwrap();
    middle
        .iter()
        .for_each(|path| std::fs::remove_file(path).unwrap());
    // As a crash leaves it before the first record in it is there.
    std::fs::remove_file(dir.path().join("acknowledged")).unwrap();
    std::fs::File::options()
        .write(true)
        .open(last)
        .unwrap()
        .set_len(32)
        .unwrap();
    let gaps = |report: &vervet_journal::RecoveryReport| {
        let gaps = report.gaps.iter();
        gaps.map(|gap| (gap.after, gap.before, gap.is_between_segments))
            .collect::<Vec<_>>()
    };
    for _start in 0..2 {
        let (journal, report) = open(dir.path());
        assert_eq!(gaps(&report), [(2, 7, true)]);
        drop(journal);
    }
    let (journal, _report) = open(dir.path());
    fill(&journal, 1);
    assert_eq!(journal.last_sequence(), 7);
    drop(journal);
    let (_journal, report) = open(dir.path());
    assert_eq!(gaps(&report), [(2, 7, true)]);
}

#[test]
fn a_reader_goes_on_when_its_segment_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let tight = JournalConfig {
        disk_bytes_max: 600,
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(tight).unwrap();
    let mut lossy = journal.cursor("lossy").unwrap();
    lossy.set_policy(OnFull::DropOldest);
    fill(&journal, 2);
    assert_eq!(lossy.read(1).unwrap()[0].sequence, 1);
    fill(&journal, 10);
    let rest = sequences(&mut lossy);
    assert!(rest.windows(2).all(|pair| pair[0] + 1 == pair[1]) && rest.ends_with(&[12]));
    // What was read before the drop can still be committed.
    lossy.commit(1, &[]).unwrap();
}

#[test]
fn what_can_never_fit_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let small = JournalConfig {
        record_bytes_max: 100,
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(small).unwrap();
    let too_large = append(&journal, &[0; 101]).unwrap_err();
    assert!(matches!(
        too_large,
        JournalError::TooLarge {
            bytes: 101,
            bytes_max: 100,
            ..
        }
    ));
    assert!(!too_large.is_retryable());
    assert!(matches!(
        journal.append(&[]).unwrap_err(),
        JournalError::EmptyAppend
    ));
    append(&journal, &[0; 100]).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    let state = vec![0; CURSOR_STATE_BYTES_MAX as usize + 1];
    assert!(matches!(
        cursor.commit(1, &state).unwrap_err(),
        JournalError::TooLarge { .. }
    ));
    assert_eq!(cursor.committed(), 0);
}

#[test]
fn an_append_larger_than_a_segment_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    append(&journal, b"small").unwrap();
    append(&journal, &[b'x'; 1000]).unwrap();
    append(&journal, b"small").unwrap();
    assert_eq!(segment_files(dir.path()).len(), 3);
    let mut cursor = journal.cursor("main").unwrap();
    let lengths: Vec<_> = drain(&mut cursor)
        .iter()
        .map(|(_, text)| text.len())
        .collect();
    assert_eq!(lengths, [5, 1000, 5]);
}

#[test]
fn one_opener_and_one_consumer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert!(matches!(
        Journal::open(config(dir.path())),
        Err(JournalError::Locked { .. })
    ));
    let cursor = journal.cursor("main").unwrap();
    assert!(matches!(
        journal.cursor("main"),
        Err(JournalError::CursorInUse { .. })
    ));
    assert!(matches!(
        journal.remove_cursor("main"),
        Err(JournalError::CursorInUse { .. })
    ));
    for name in ["", "Main", "a/b", "..", &"a".repeat(65)] {
        assert!(
            matches!(journal.cursor(name), Err(JournalError::CursorName { .. })),
            "{name}"
        );
    }
    drop(cursor);
    let cursor = journal.cursor("main").unwrap();
    drop(journal);
    assert!(matches!(
        Journal::open(config(dir.path())),
        Err(JournalError::Locked { .. })
    ));
    drop(cursor);
    open(dir.path());
}

#[test]
fn listeners_hear_of_durable_records() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let heard = Arc::new(AtomicU64::new(0));
    let sink = Arc::clone(&heard);
    journal.add_listener(Box::new(move |last| sink.store(last, Ordering::SeqCst)));
    fill(&journal, 2);
    assert_eq!(heard.load(Ordering::SeqCst), 2);
}

#[test]
fn interval_sync_shows_records_after_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let lazy = JournalConfig {
        sync: SyncPolicy::Interval(Duration::from_secs(3600)),
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(lazy).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    append(&journal, b"one").unwrap();
    assert_eq!(journal.last_sequence(), 0);
    assert!(cursor.read(100).unwrap().is_empty());
    journal.sync().unwrap();
    assert_eq!(cursor.read(100).unwrap().len(), 1);
}

#[test]
fn interval_sync_happens_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let sync = SyncPolicy::Interval(Duration::from_millis(5));
    let (journal, _) = Journal::open(JournalConfig {
        sync,
        ..config(dir.path())
    })
    .unwrap();
    append(&journal, b"one").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while journal.last_sequence() == 0 {
        assert!(Instant::now() < deadline, "no sync came");
        std::thread::yield_now();
    }
}

#[test]
fn a_commit_leaves_the_files_alone_that_a_backup_has_linked() {
    let dir = tempfile::tempdir().unwrap();
    let backup = tempfile::tempdir_in(dir.path()).unwrap();
    let (journal, _) = open(&dir.path().join("journal"));
    fill(&journal, 9);
    let mut cursor = journal.cursor("main").unwrap();
    for committed in 1..3 {
        cursor.commit(committed, b"before").unwrap();
    }
    let folder = dir.path().join("journal/cursors");
    let linked = ["main.cur", "main.cur.tmp"].map(|name| {
        let copy = backup.path().join(name);
        std::fs::hard_link(folder.join(name), &copy).unwrap();
        let bytes = std::fs::read(&copy).unwrap();
        (copy, bytes)
    });
    for committed in 3..7 {
        cursor.commit(committed, b"after").unwrap();
    }
    for (copy, bytes) in linked {
        assert_eq!(std::fs::read(&copy).unwrap(), bytes, "{}", copy.display());
    }
}

#[test]
fn cursors_are_seen_whole_while_they_are_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 9);
    let mut cursor = journal.cursor("main").unwrap();
    cursor.commit(1, &[b'a'; 4_000]).unwrap();
    let inspector = vervet_journal::Inspector::open(dir.path()).unwrap();
    let looker = std::thread::spawn(move || {
        for _ in 0..200 {
            for cursor in inspector.cursors().unwrap() {
                assert!(cursor.stored.is_some());
            }
        }
    });
    while !looker.is_finished() {
        cursor.commit(1, &[b'b'; 4_000]).unwrap();
    }
    looker.join().unwrap();
}
