use std::path::Path;
use std::time::Duration;

use vervet_journal::{
    Cursor, FileSystem as _, Inspector, Journal, JournalConfig, JournalError, OnFull,
    RecoveryReport, SyncPolicy,
};

use crate::sim::Disk;
use crate::support::{append, append_all, config, drain, fill, sequences};

fn boot(disk: &Disk) -> (Journal, RecoveryReport) {
    Journal::open_with(config(Path::new("/j")), disk.mount()).unwrap()
}

#[test]
fn a_full_volume_leaves_nothing_of_the_append_behind() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    fill(&journal, 1);
    // Room for two of three records: the failed append must not show its first two.
    disk.faults(|faults| faults.room = Some(2 * 34 + 5));
    let batch = vec![vec![b'x'; 10]; 3];
    let error = append_all(&journal, &batch).unwrap_err();
    assert!(
        matches!(error, JournalError::NoSpace { .. }) && error.is_retryable(),
        "{error}"
    );
    disk.faults(|faults| faults.room = None);
    fill(&journal, 1);
    disk.crash(1);
    let (journal, report) = boot(&disk);
    assert_eq!(
        (report.records, report.torn_bytes, report.quarantined.len()),
        (2, 0, 0)
    );
    assert_eq!(sequences(&mut journal.cursor("main").unwrap()), [1, 2]);
}

#[test]
fn the_copy_of_a_damaged_range_survives_a_power_cut() {
    for seed in 0..32 {
        let disk = Disk::default();
        let (journal, _) = boot(&disk);
        fill(&journal, 5);
        drop(journal);
        let fs = disk.mount();
        let segment = fs.open_write(Path::new("/j/00000000000000000001.seg"));
        let segment = segment.unwrap();
        segment.write_at(b"rot", 60).unwrap();
        segment.sync().unwrap();
        let (journal, report) = boot(&disk);
        let copy = report.quarantined[0].copy.clone().unwrap();
        drop(journal);
        disk.crash(seed);
        let copy = disk
            .mount()
            .open_read(&copy)
            .map(|copy| copy.len().unwrap());
        assert_eq!(copy.ok(), Some(report.quarantined[0].bytes), "seed {seed}");
    }
}

#[test]
fn a_full_volume_at_a_segment_border_costs_nothing() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    fill(&journal, 2);
    disk.faults(|faults| faults.room = Some(20));
    assert!(append(&journal, &[b'x'; 60]).unwrap_err().is_retryable());
    disk.faults(|faults| faults.room = None);
    fill(&journal, 2);
    disk.crash(2);
    let (journal, _) = boot(&disk);
    assert_eq!(
        sequences(&mut journal.cursor("main").unwrap()),
        [1, 2, 3, 4]
    );
}

/// Fills a volume that is smaller than the budget with records of a cursor's that it holds on to.
fn full_volume(policy: OnFull) -> (Disk, Journal, Cursor) {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    let mut cursor = journal.cursor("main").unwrap();
    cursor.set_policy(policy);
    disk.faults(|faults| faults.volume_bytes = Some(1_000));
    for _ in 0..100 {
        if append(&journal, &[b'x'; 60]).is_err() {
            break;
        }
    }
    (disk, journal, cursor)
}

#[test]
fn a_full_volume_costs_the_oldest_where_that_may_go() {
    let (_disk, journal, mut cursor) = full_volume(OnFull::DropOldest);
    let stats = journal.stats();
    assert_eq!((stats.last_sequence, stats.failed_appends), (100, 0));
    assert!(
        !stats.volume_full && stats.oldest_sequence > 80,
        "{stats:?}"
    );
    let read = drain(&mut cursor).len() as u64;
    assert_eq!(stats.cursors[0].dropped_records + read, 100);
    assert!(read >= 6, "no more than needed: {read}");
}

#[test]
fn the_active_segment_is_closed_and_goes_too_when_it_is_all_there_is() {
    let disk = Disk::default();
    let config = JournalConfig::new("/j");
    let (journal, _) = Journal::open_with(config, disk.mount()).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    cursor.set_policy(OnFull::DropOldest);
    disk.faults(|faults| faults.volume_bytes = Some(1_000));
    for _ in 0..100 {
        append(&journal, &[b'x'; 60]).unwrap();
    }
    let read = drain(&mut cursor).len() as u64;
    assert_eq!(journal.stats().cursors[0].dropped_records + read, 100);
    assert!(read > 0);
}

#[test]
fn a_full_volume_stops_appends_of_those_that_hold_on_until_there_is_room() {
    let (disk, journal, mut cursor) = full_volume(OnFull::Block);
    let last = journal.last_sequence();
    assert!(journal.stats().volume_full);
    assert!(journal.probe_volume(200).is_err() && journal.stats().volume_full);
    disk.faults(|faults| faults.volume_bytes = Some(2_000));
    journal.probe_volume(200).unwrap();
    assert!(!journal.stats().volume_full);
    assert_eq!(append(&journal, &[b'x'; 60]).unwrap(), last + 1);
    assert_eq!(drain(&mut cursor).len() as u64, last + 1);
    assert_eq!(journal.stats().cursors[0].dropped_records, 0);
}

#[test]
fn an_active_segment_that_nobody_needs_makes_room_on_a_full_volume() {
    let disk = Disk::default();
    let config = JournalConfig::new("/j");
    let (journal, _) = Journal::open_with(config, disk.mount()).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    disk.faults(|faults| faults.volume_bytes = Some(1_060));
    while append(&journal, &[b'x'; 60]).is_ok() {}
    let last = journal.last_sequence();
    assert!(last > 4, "{last}");
    cursor.commit(last - 1, b"").unwrap();
    assert!(
        append(&journal, &[b'x'; 60]).is_err(),
        "one is needed still"
    );
    cursor.commit(last, b"").unwrap();
    assert_eq!(append(&journal, &[b'y'; 60]).unwrap(), last + 1);
    assert_eq!(drain(&mut cursor).len(), 1);
    disk.crash(1);
    let (_journal, report) = boot(&disk);
    assert!(
        !report.found_damage() && report.gaps.is_empty(),
        "{report:?}"
    );
}

/// On a volume of which one segment is all: nothing comes back from it while somebody has it open.
#[test]
fn what_everybody_has_read_gives_its_room_back_at_once() {
    let disk = Disk::default();
    let (journal, _) = Journal::open_with(JournalConfig::new("/j"), disk.mount()).unwrap();
    let mut cursors = ["main", "second"].map(|name| journal.cursor(name).unwrap());
    fill(&journal, 1);
    for cursor in &mut cursors {
        cursor.commit(1, b"").unwrap();
    }
    for round in 0..3 {
        disk.faults(|faults| faults.volume_bytes = Some(1_000));
        while append(&journal, &[b'x'; 60]).is_ok() {}
        let last = journal.last_sequence();
        for cursor in &mut cursors {
            assert!(!drain(cursor).is_empty(), "round {round}");
            cursor.commit(last, b"").unwrap();
        }
        assert_eq!(append(&journal, &[b'y'; 60]).unwrap(), last + 1);
        assert!(!disk.holds_removed());
    }
}

/// As a cursor whose destination is away for long: it has read, and reads no more.
#[test]
fn what_is_taken_gives_its_room_back_though_somebody_was_reading_it() {
    let (disk, journal, mut cursor) = full_volume(OnFull::DropOldest);
    assert_eq!(cursor.read(60).unwrap().len(), 1);
    let failed = journal.stats().failed_appends;
    for _ in 0..50 {
        append(&journal, &[b'x'; 60]).unwrap();
    }
    assert_eq!(journal.stats().failed_appends, failed);
    assert!(!disk.holds_removed());
    assert_eq!(drain(&mut cursor).last().unwrap().0, 150);
}

/// The new segment has no room for so much as its header before the old one is gone.
#[test]
fn a_volume_without_a_byte_left_goes_on_once_all_was_acknowledged() {
    let disk = Disk::default();
    let (journal, _) = Journal::open_with(JournalConfig::new("/j"), disk.mount()).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    for _ in 0..9 {
        append(&journal, &[b'x'; 60]).unwrap();
    }
    cursor.commit(9, b"").unwrap();
    disk.fill_but(0);
    assert_eq!(append(&journal, &[b'y'; 60]).unwrap(), 10);
    assert_eq!(drain(&mut cursor).len(), 1);
    disk.crash(1);
    let (journal, report) = boot(&disk);
    assert!(
        !report.found_damage() && report.gaps.is_empty(),
        "{report:?}"
    );
    assert_eq!(journal.last_sequence(), 10);
}

/// Neither the position of a cursor nor the next segment has room of its own.
#[test]
fn a_volume_without_a_byte_left_takes_a_commit_and_goes_on() {
    let disk = Disk::default();
    let (journal, _) = Journal::open_with(JournalConfig::new("/j"), disk.mount()).unwrap();
    let mut cursors = ["main", "second"].map(|name| journal.cursor(name).unwrap());
    for round in 0..5_u64 {
        for _ in 0..9 {
            append(&journal, &[b'x'; 60]).unwrap();
        }
        if round > 0 {
            disk.fill_but(0);
            assert!(append(&journal, &[b'x'; 60]).unwrap_err().is_retryable());
        }
        let last = journal.last_sequence();
        for cursor in &mut cursors {
            cursor.commit(last, b"state").unwrap();
            if round == 0 {
                // Of the one before it comes the room for the next.
                cursor.commit(last, b"state").unwrap();
            } else {
                let grown = cursor.commit(last, b"a state that has grown");
                assert!(matches!(grown, Err(JournalError::NoSpace { .. })));
                cursor.commit(last, b"state").unwrap();
            }
        }
        append(&journal, &[b'y'; 60]).unwrap();
        disk.faults(|faults| faults.volume_bytes = None);
    }
    disk.crash(1);
    let (journal, report) = boot(&disk);
    assert!(!report.found_damage(), "{report:?}");
    let mut cursor = journal.cursor("second").unwrap();
    assert_eq!((cursor.state(), cursor.committed()), (&b"state"[..], 49));
    assert_eq!(drain(&mut cursor).len(), 1);
    cursor.commit(50, b"").unwrap();
    drop(cursor);
    journal.remove_cursor("second").unwrap();
    drop(journal);
    let (_journal, report) = boot(&disk);
    assert!(report.ignored_files.is_empty(), "{report:?}");
}

#[test]
fn a_journal_of_which_only_an_empty_segment_is_left_opens_on_a_full_volume() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 2);
    cursor.commit(2, b"").unwrap();
    // Nothing fits any more, whatever goes: the next segment stays without its header.
    disk.faults(|faults| faults.room = Some(0));
    assert!(append(&journal, &[b'x'; 60]).unwrap_err().is_retryable());
    drop((journal, cursor));
    let (journal, report) = boot(&disk);
    assert!(
        !report.found_damage() && report.gaps.is_empty(),
        "{report:?}"
    );
    assert_eq!(journal.stats().disk_bytes, 0);
    disk.faults(|faults| faults.room = None);
    fill(&journal, 2);
    disk.crash(1);
    let (journal, report) = boot(&disk);
    assert!(!report.found_damage(), "{report:?}");
    assert_eq!(sequences(&mut journal.cursor("main").unwrap()), [3, 4]);
}

#[test]
fn short_writes_are_continued() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    disk.faults(|faults| faults.write_bytes_max = Some(7));
    fill(&journal, 5);
    assert_eq!(
        sequences(&mut journal.cursor("main").unwrap()),
        [1, 2, 3, 4, 5]
    );
}

#[test]
fn a_failed_sync_closes_the_journal_for_appends_until_it_is_reopened() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    fill(&journal, 1);
    disk.faults(|faults| faults.fail_syncs = true);
    assert!(matches!(
        append(&journal, b"a"),
        Err(JournalError::Poisoned { .. })
    ));
    disk.faults(|faults| faults.fail_syncs = false);
    let syncs = disk.syncs();
    assert!(matches!(
        append(&journal, b"b"),
        Err(JournalError::Poisoned { .. })
    ));
    assert_eq!(disk.syncs(), syncs, "a failed sync is not tried again");
    assert!(journal.stats().poisoned);
    // What was durable before can still be read.
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(sequences(&mut cursor), [1]);
    drop((journal, cursor));
    let (journal, _) = boot(&disk);
    fill(&journal, 1);
    assert_eq!(sequences(&mut journal.cursor("main").unwrap()), [1, 2]);
}

#[test]
fn a_mended_journal_goes_on_without_what_it_refused() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    fill(&journal, 1);
    disk.faults(|faults| faults.fail_syncs = true);
    assert!(append(&journal, b"refused").is_err());
    assert!(
        matches!(journal.mend(), Err(JournalError::Poisoned { .. })),
        "the disk still fails"
    );
    assert!(append(&journal, b"refused too").is_err());
    disk.faults(|faults| faults.fail_syncs = false);
    journal.mend().unwrap();
    assert!(!journal.stats().poisoned);
    journal.mend().unwrap();
    let sequence = append(&journal, b"taken").unwrap();
    disk.crash(4);
    let (journal, report) = boot(&disk);
    assert!(!report.found_damage(), "{report:?}");
    let read = drain(&mut journal.cursor("main").unwrap());
    assert_eq!((read.len(), read[1].0), (2, sequence), "{read:?}");
    assert_eq!(read[1].1, "taken");
}

#[test]
fn a_segment_that_could_not_be_made_is_gone_when_the_journal_is_mended() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    fill(&journal, 2);
    // The next segment is made, and neither it nor its removal reaches the disk.
    disk.faults(|faults| faults.fail_syncs = true);
    let refused = append(&journal, &[b'x'; 60]);
    assert!(matches!(refused, Err(JournalError::Poisoned { .. })));
    disk.faults(|faults| faults.fail_syncs = false);
    journal.mend().unwrap();
    append(&journal, &[b'y'; 60]).unwrap();
    fill(&journal, 2);
    disk.crash(2);
    let (journal, report) = boot(&disk);
    assert!(!report.found_damage(), "{report:?}");
    let read = drain(&mut journal.cursor("main").unwrap());
    assert_eq!(read.len(), 5, "{read:?}");
    assert!(read[2].1.starts_with('y'));
}

#[test]
fn an_unreadable_end_is_given_up_and_numbering_goes_on() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    fill(&journal, 2);
    drop(journal);
    for (limit, kept) in [(32 + 90, 1), (0, 0)] {
        disk.faults(|faults| faults.unreadable_from = Some(limit));
        let (journal, report) = boot(&disk);
        assert!(report.found_damage());
        disk.faults(|faults| faults.unreadable_from = None);
        fill(&journal, 1);
        let read = sequences(&mut journal.cursor(&format!("after-{limit}")).unwrap());
        assert_eq!(read.len(), kept + 1, "{read:?}");
        assert!(read.ends_with(&[journal.last_sequence()]), "{read:?}");
        assert!(
            journal.last_sequence() > 2,
            "number 2 may have been seen by a consumer"
        );
    }
}

#[test]
fn what_the_disk_does_not_give_at_the_moment_is_not_deleted_to_make_room() {
    let disk = Disk::default();
    let small = || JournalConfig {
        disk_bytes_max: 600,
        ..config(Path::new("/j"))
    };
    let open = || Journal::open_with(small(), disk.mount()).unwrap().0;
    let journal = open();
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 4);
    cursor.commit(2, b"").unwrap();
    drop((journal, cursor));
    disk.faults(|faults| faults.unreadable_from = Some(0));
    let journal = open();
    disk.faults(|faults| faults.unreadable_from = None);
    while append(&journal, &[b'x'; 60]).is_ok() {}
    drop(journal);
    let journal = open();
    let read = drain(&mut journal.cursor("main").unwrap());
    assert_eq!(read[0].0, 3, "{read:?}");
}

#[test]
fn a_failed_commit_leaves_the_cursor_where_it_was() {
    let disk = Disk::default();
    let (journal, _) = boot(&disk);
    fill(&journal, 3);
    let mut cursor = journal.cursor("main").unwrap();
    cursor.commit(1, b"one").unwrap();
    disk.faults(|faults| faults.room = Some(10));
    assert!(matches!(
        cursor.commit(2, b"two"),
        Err(JournalError::NoSpace { .. })
    ));
    assert_eq!((cursor.committed(), cursor.state()), (1, b"one".as_slice()));
    disk.faults(|faults| faults.room = None);
    disk.crash(3);
    let (journal, report) = boot(&disk);
    assert!(!report.found_damage());
    let cursor = journal.cursor("main").unwrap();
    assert_eq!((cursor.committed(), cursor.state()), (1, b"one".as_slice()));
}

/// A commit fails at any point, and the power goes at any point of the next: a cursor stands at one of the three.
#[test]
fn what_a_failed_commit_may_not_have_replaced_is_not_written_over() {
    const STATES: [[u8; 100]; 3] = [[b'a'; 100], [b'b'; 100], [b'c'; 100]];
    // Changes of a commit, and one more; seeds of what a power cut keeps.
    for (failing, cut, seed) in (0..6).flat_map(|failing| {
        (1..7).flat_map(move |cut| (0..40).map(move |seed| (failing, cut, seed)))
    }) {
        let disk = Disk::default();
        let (journal, _) = boot(&disk);
        fill(&journal, 3);
        let mut cursor = journal.cursor("main").unwrap();
        for _ in 0..2 {
            cursor.commit(1, &STATES[0]).unwrap();
        }
        disk.faults(|faults| faults.fail_change_after = Some(failing));
        let outcome = cursor.commit(2, &STATES[1]);
        disk.faults(|faults| {
            faults.fail_change_after = None;
            faults.power_cut_after = Some(cut);
        });
        let _may_fail = cursor.commit(3, &STATES[2]);
        drop((journal, cursor));
        disk.crash(seed);
        let (journal, report) = boot(&disk);
        let case = format!("failing {failing}, cut {cut}, seed {seed}");
        assert!(!report.found_damage(), "{case}: {report:?}");
        let cursor = journal.cursor("main").unwrap();
        let stored = STATES.iter().position(|state| cursor.state() == state);
        assert_eq!(
            stored.map(|at| at as u64 + 1),
            Some(cursor.committed()),
            "{case}"
        );
        assert!(outcome.is_err() || cursor.committed() >= 2, "{case}");
    }
}

#[test]
fn interval_sync_loses_only_what_was_not_synced() {
    let disk = Disk::default();
    let sync = SyncPolicy::Interval(Duration::from_secs(3600));
    let lazy = JournalConfig {
        sync,
        ..config(Path::new("/j"))
    };
    let (journal, _) = Journal::open_with(lazy, disk.mount()).unwrap();
    append(&journal, b"kept").unwrap();
    journal.sync().unwrap();
    append(&journal, b"at risk").unwrap();
    disk.crash(0);
    let (journal, _) = boot(&disk);
    let read = drain(&mut journal.cursor("main").unwrap());
    assert_eq!(read[0], (1, "kept".to_owned()));
}

#[test]
fn concurrent_appends_share_syncs() {
    const THREADS: usize = 8;
    const APPENDS: usize = 25;
    let disk = Disk::default();
    let (journal, _) = Journal::open_with(JournalConfig::new("/j"), disk.mount()).unwrap();
    disk.faults(|faults| faults.sync_duration = Duration::from_millis(2));
    let before = disk.syncs();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || {
                for number in 0..APPENDS {
                    let payload = format!("{thread}-{number}");
                    let sequence = append(journal, payload.as_bytes()).unwrap();
                    assert!(
                        journal.last_sequence() >= sequence,
                        "acknowledged before its sync"
                    );
                }
            });
        }
    });
    let syncs = disk.syncs() - before;
    assert!(syncs < (THREADS * APPENDS / 2) as u64, "{syncs} syncs");
    let read = drain(&mut journal.cursor("main").unwrap());
    assert_eq!(read.len(), THREADS * APPENDS);
    assert!(
        read.iter()
            .zip(1..)
            .all(|((sequence, _), expected)| *sequence == expected)
    );
    for thread in 0..THREADS {
        let prefix = format!("{thread}-");
        let own = read
            .iter()
            .filter_map(|(_, text)| text.strip_prefix(&prefix));
        assert!(
            own.eq((0..APPENDS).map(|number| number.to_string())),
            "thread {thread}"
        );
    }
}

#[test]
fn a_last_segment_that_the_disk_does_not_give_at_the_moment_is_kept() {
    for (appended, commits) in [(0, false), (3, false), (3, true)] {
        let disk = Disk::default();
        let open = || {
            Journal::open_with(config(Path::new("/j")), disk.mount())
                .unwrap()
                .0
        };
        let journal = open();
        let mut cursor = journal.cursor("main").unwrap();
        fill(&journal, 4);
        cursor.commit(2, b"").unwrap();
        drop((journal, cursor));
        disk.faults(|faults| faults.unreadable_from = Some(0));
        let journal = open();
        let mut cursor = journal.cursor("main").unwrap();
        assert_eq!(cursor.read(1_000).unwrap(), []);
        assert!(journal.stats().unreadable_bytes > 0);
        disk.faults(|faults| faults.unreadable_from = None);
        fill(&journal, appended);
        let read = drain(&mut cursor);
        if commits {
            cursor.commit(read.last().unwrap().0, b"").unwrap();
        }
        let there = Inspector::open_with("/j", disk.mount()).unwrap();
        let segments = there.segments().unwrap();
        let kept = segments.iter().any(|segment| segment.first == 3);
        assert!(kept, "{appended} {commits}: {segments:?}");
        drop((journal, cursor));
        if !commits {
            let journal = open();
            let read = drain(&mut journal.cursor("main").unwrap());
            assert_eq!(read[0].0, 3, "{read:?}");
            assert_eq!(journal.stats().unreadable_bytes, 0);
        }
    }
}
