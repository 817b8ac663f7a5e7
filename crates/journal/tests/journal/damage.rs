use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;
use vervet_journal::{
    Entry, Inspector, Item, Journal, JournalConfig, JournalError, OnFull, OsFileSystem, repair,
};

use crate::support::{append, append_all, config, drain, fill, open, segment_files, sequences};

/// A closed journal of records 1..=count in segments of two.
fn written(dir: &Path, count: u64) {
    let (journal, _) = open(dir);
    fill(&journal, count);
}

/// As when nothing of the last appends was acknowledged: the power went before their sync.
fn forget_acknowledged(dir: &Path) {
    std::fs::remove_file(dir.join("acknowledged")).unwrap();
}

/// The sequences of all records of a journal without damage.
fn inspected(dir: &Path) -> Vec<u64> {
    let inspector = Inspector::open(dir).unwrap();
    let mut found = Vec::new();
    for segment in inspector.segments().unwrap() {
        let there = inspector.read::<JournalError>(&segment, &mut |item| {
            match item {
                Item::Record(record) => found.push(record.sequence),
                Item::Damage(damage) => panic!("left: {damage:?}"),
            }
            Ok(())
        });
        assert!(there.unwrap());
    }
    found
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_torn_tail_is_cut_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    let path = &segment_files(dir.path())[0];
    let whole = std::fs::read(path).unwrap();
    for len in 0..whole.len() {
        std::fs::write(path, &whole[..len]).unwrap();
        forget_acknowledged(dir.path());
        let (journal, report) = open(dir.path());
        let kept = len.saturating_sub(32) as u64 / 84;
        assert_eq!(
            (report.records, journal.last_sequence()),
            (kept, kept),
            "length {len}"
        );
        assert!(!report.found_damage(), "length {len}: {report:?}");
        fill(&journal, 1);
        let mut cursor = journal.cursor("main").unwrap();
        assert_eq!(sequences(&mut cursor), (1..=kept + 1).collect::<Vec<_>>());
        drop((journal, cursor));
        std::fs::remove_dir_all(dir.path().join("cursors")).unwrap();
        std::fs::remove_file(dir.path().join("known-cursors")).unwrap();
    }
}

#[test]
fn an_append_torn_between_its_records_is_cut_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    append(&journal, b"kept").unwrap();
    append_all(&journal, &[vec![b'a'; 20], vec![b'b'; 20], vec![b'c'; 20]]).unwrap();
    drop(journal);
    let path = &segment_files(dir.path())[0];
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    forget_acknowledged(dir.path());
    let (journal, report) = open(dir.path());
    assert_eq!((report.records, report.torn_bytes), (1, 3 * 44 - 1));
    assert_eq!(append(&journal, b"next").unwrap(), 2);
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(
        drain(&mut cursor),
        [(1, "kept".to_owned()), (2, "next".to_owned())]
    );
}

#[test]
fn a_flipped_bit_anywhere_costs_at_most_its_record() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 5);
    let path = segment_files(dir.path())[1].clone();
    let whole = std::fs::read(&path).unwrap();
    for offset in 0..whole.len() {
        flip(&path, offset);
        let (journal, report) = open(dir.path());
        assert_eq!(report.quarantined.len(), 1, "offset {offset}: {report:?}");
        let lost = offset.checked_sub(32).map(|offset| 3 + offset as u64 / 84);
        let mut cursor = journal.cursor("main").unwrap();
        let expected: Vec<_> = (1..=5).filter(|sequence| Some(*sequence) != lost).collect();
        assert_eq!(sequences(&mut cursor), expected, "offset {offset}");
        // What recovery has reported is not counted again by the reader.
        assert_eq!(journal.stats().quarantined_ranges, 1);
        let range = &report.quarantined[0];
        let copy = std::fs::read(range.copy.as_ref().unwrap()).unwrap();
        let damaged = std::fs::read(&path).unwrap();
        let start = usize::try_from(range.offset).unwrap();
        assert_eq!(copy, damaged[start..start + copy.len()]);
        drop((journal, cursor));
        std::fs::write(&path, &whole).unwrap();
        std::fs::remove_dir_all(dir.path().join("quarantine")).unwrap();
    }
}

#[test]
fn damage_in_the_middle_of_the_last_segment_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    flip(&segment_files(dir.path())[0], 32 + 30);
    let (journal, report) = open(dir.path());
    assert_eq!((report.quarantined.len(), report.torn_bytes), (1, 0));
    fill(&journal, 1);
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(sequences(&mut cursor), [2, 3]);
}

#[test]
fn damage_met_while_reading_is_skipped_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 6);
    flip(&segment_files(dir.path())[1], 32 + 84 + 30);
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(sequences(&mut cursor), [1, 2, 3, 5, 6]);
    cursor.rewind();
    assert_eq!(sequences(&mut cursor), [1, 2, 3, 5, 6]);
    let stats = journal.stats();
    assert_eq!((stats.quarantined_ranges, stats.quarantined_bytes), (1, 84));
}

#[test]
fn numbers_a_cursor_has_committed_are_not_given_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 4);
    let mut cursor = journal.cursor("main").unwrap();
    cursor.commit(4, &[]).unwrap();
    drop((journal, cursor));
    let last = segment_files(dir.path()).pop().unwrap();
    std::fs::write(&last, &std::fs::read(&last).unwrap()[..40]).unwrap();
    let (journal, _) = open(dir.path());
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(append(&journal, b"5").unwrap(), 5);
    assert_eq!(sequences(&mut cursor), [5]);
}

#[test]
fn a_wholly_damaged_last_segment_is_kept_aside_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    let last = segment_files(dir.path()).pop().unwrap();
    std::fs::write(&last, [0xa5; 500]).unwrap();
    let (journal, report) = open(dir.path());
    let held: u64 = report.quarantined.iter().map(|range| range.bytes).sum();
    assert_eq!((held, journal.last_sequence()), (500, 3));
    assert_eq!(report.lost_end.map(|end| end.through), Some(3));
    fill(&journal, 2);
    drop(journal);
    let (journal, report) = open(dir.path());
    assert!(!report.found_damage());
    assert_eq!(
        sequences(&mut journal.cursor("main").unwrap()),
        [1, 2, 4, 5]
    );
}

#[test]
fn garbage_files_are_ignored() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    for name in [
        "1.seg",
        "notes.txt",
        "00000000000000000002.seg.bak",
        "cursors/Bad Name.cur",
    ] {
        std::fs::write(dir.path().join(name), b"garbage").unwrap();
    }
    std::fs::create_dir(dir.path().join("00000000000000000077.seg")).unwrap();
    std::fs::write(dir.path().join("cursors/main.cur.tmp"), b"half").unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!((report.ignored_files.len(), report.records), (5, 3));
    assert!(dir.path().join("notes.txt").exists());
    assert!(!dir.path().join("cursors/main.cur.tmp").exists());
    assert_eq!(sequences(&mut journal.cursor("main").unwrap()), [1, 2, 3]);
}

#[test]
fn a_corrupt_cursor_starts_again_at_the_oldest_record() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 5);
    journal.cursor("main").unwrap().commit(3, b"state").unwrap();
    drop(journal);
    let path = dir.path().join("cursors/main.cur");
    let whole = std::fs::read(&path).unwrap();
    for offset in 0..whole.len() {
        std::fs::write(&path, &whole).unwrap();
        flip(&path, offset);
        // Of the commit before nothing is left.
        std::fs::remove_file(dir.path().join("cursors/main.cur.tmp")).ok();
        let (journal, report) = open(dir.path());
        assert_eq!(report.corrupt_cursors, ["main"], "offset {offset}");
        let mut cursor = journal.cursor("main").unwrap();
        assert_eq!((cursor.committed(), cursor.state()), (2, [].as_slice()));
        assert_eq!(sequences(&mut cursor), [3, 4, 5]);
        assert!(dir.path().join("quarantine/main.cur").exists());
    }
    let (_, report) = open(dir.path());
    assert!(!report.found_damage(), "the restarted cursor is stored");
}

#[test]
fn a_corrupt_cursor_goes_on_from_the_commit_before() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 5);
    let mut cursor = journal.cursor("main").unwrap();
    for through in [2, 3] {
        let state = format!("state at {through}");
        cursor.commit(through, state.as_bytes()).unwrap();
    }
    drop((journal, cursor));
    let path = dir.path().join("cursors/main.cur");
    let spare = dir.path().join("cursors/main.cur.tmp");
    let (whole, before) = [&path, &spare]
        .map(|path| std::fs::read(path).unwrap())
        .into();
    for offset in 0..whole.len() {
        std::fs::write(&path, &whole).unwrap();
        std::fs::write(&spare, &before).unwrap();
        flip(&path, offset);
        let view = Inspector::open(dir.path()).unwrap().cursors().unwrap();
        assert_eq!((&view[0].stored, view[0].before), (&None, Some(2)));
        let (journal, report) = open(dir.path());
        assert_eq!(report.restored_cursors, ["main"], "offset {offset}");
        assert!(report.found_damage() && report.corrupt_cursors.is_empty());
        let cursor = journal.cursor("main").unwrap();
        assert_eq!(
            (cursor.committed(), cursor.state()),
            (2, b"state at 2".as_slice())
        );
        assert!(dir.path().join("quarantine/main.cur").exists());
    }
    let (_, report) = open(dir.path());
    assert!(
        !report.found_damage(),
        "what was put in its place is stored"
    );
}

#[test]
fn where_both_commits_of_a_cursor_are_corrupt_it_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal, 5);
    let mut cursor = journal.cursor("main").unwrap();
    cursor.commit(2, b"state").unwrap();
    cursor.commit(3, b"state").unwrap();
    drop((journal, cursor));
    flip(&dir.path().join("cursors/main.cur"), 20);
    flip(&dir.path().join("cursors/main.cur.tmp"), 20);
    let (journal, report) = open(dir.path());
    assert_eq!(report.corrupt_cursors, ["main"]);
    let cursor = journal.cursor("main").unwrap();
    assert_eq!((cursor.committed(), cursor.state()), (2, [].as_slice()));
}

#[test]
fn a_later_format_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 1);
    let path = &segment_files(dir.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    bytes[8] = 3;
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(path, &bytes).unwrap();
    let error = Journal::open(config(dir.path())).unwrap_err();
    assert!(
        matches!(error, JournalError::UnsupportedVersion { version: 3, .. }),
        "{error}"
    );
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Bytes overwritten, inserted or cut out anywhere: the journal opens, what it reads is
    /// intact and in order, and it takes new records that are found again.
    #[test]
    fn any_damage_leaves_a_journal_that_works(
        edits in prop::collection::vec(
            (0..3_usize, 0..200_usize, 0..120_usize, prop::collection::vec(any::<u8>(), 0..120)),
            1..6,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 6);
        let paths = segment_files(dir.path());
        for (segment, offset, removed, inserted) in edits {
            let mut bytes = std::fs::read(&paths[segment]).unwrap();
            let start = offset.min(bytes.len());
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, inserted);
            std::fs::write(&paths[segment], bytes).unwrap();
        }
        let (journal, report) = open(dir.path());
        let before = sequences(&mut journal.cursor("main").unwrap());
        prop_assert_eq!(before.len() as u64, report.records);
        prop_assert!(before.is_sorted_by(|left, right| left < right));
        fill(&journal, 3);
        let last = journal.last_sequence();
        drop(journal);
        let (journal, _) = open(dir.path());
        let after = sequences(&mut journal.cursor("main").unwrap());
        prop_assert_eq!(after, before.into_iter().chain(last - 2..=last).collect::<Vec<_>>());
    }

    /// The same damage, repaired: nothing that could be read is lost, nothing damaged is left, and numbers that were
    /// given out before stay taken.
    #[test]
    fn any_damage_is_taken_out_and_kept_aside(
        edits in prop::collection::vec(
            (0..3_usize, 0..200_usize, 0..120_usize, prop::collection::vec(any::<u8>(), 0..120)),
            1..6,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 6);
        let paths = segment_files(dir.path());
        for (segment, offset, removed, inserted) in edits {
            let mut bytes = std::fs::read(&paths[segment]).unwrap();
            let start = offset.min(bytes.len());
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, inserted);
            std::fs::write(&paths[segment], bytes).unwrap();
        }
        let readable = {
            let (journal, _) = open(dir.path());
            sequences(&mut journal.cursor("main").unwrap())
        };
        let config = config(dir.path());
        let report = repair(config.clone(), Arc::new(OsFileSystem)).unwrap();
        prop_assert!(report.removed.iter().all(|removed| removed.copy.as_ref().unwrap().exists()));
        prop_assert_eq!(&inspected(dir.path()), &readable);
        let (journal, report) = open(dir.path());
        prop_assert!(!report.found_damage(), "{:?}", report);
        fill(&journal, 1);
        prop_assert!(readable.last().is_none_or(|last| *last < journal.last_sequence()));
    }
}

/// A power cut can leave a file without a byte.
#[test]
fn an_empty_segment_is_repaired() {
    for emptied in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 6);
        std::fs::write(&segment_files(dir.path())[emptied], b"").unwrap();
        repair(config(dir.path()), Arc::new(OsFileSystem)).unwrap();
        let first = emptied as u64 * 2 + 1;
        let kept: Vec<u64> = (1..=6)
            .filter(|sequence| !(first..first + 2).contains(sequence))
            .collect();
        assert_eq!(inspected(dir.path()), kept, "segment {emptied}");
        let (journal, report) = open(dir.path());
        assert!(!report.found_damage(), "{report:?}");
        fill(&journal, 1);
        assert_eq!(journal.last_sequence(), 7, "no number is given out twice");
    }
}

#[test]
fn an_end_that_was_acknowledged_and_is_gone_is_told_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 4);
    let path = segment_files(dir.path())[1].clone();
    let (whole, noted) = (
        std::fs::read(&path).unwrap(),
        std::fs::read(dir.path().join("acknowledged")).unwrap(),
    );
    for len in 0..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        std::fs::write(dir.path().join("acknowledged"), &noted).unwrap();
        let kept = 2 + len.saturating_sub(32) as u64 / 84;
        let lost = inspected_loss(dir.path());
        assert_eq!(lost, [kept + 1..=4], "length {len}");
        let (journal, report) = open(dir.path());
        assert!(report.found_damage());
        let end = report.lost_end.unwrap();
        // A piece of a header is not kept.
        let left = if len < 32 { 0 } else { 32 + (kept - 2) * 84 };
        assert_eq!(
            (end.segment.clone(), end.bytes, end.after, end.through),
            (path.clone(), left, kept, 4),
            "length {len}"
        );
        // What was left of a record is kept.
        let torn = (len as u64).saturating_sub(left);
        let held: u64 = report.quarantined.iter().map(|range| range.bytes).sum();
        assert!(held == torn || len < 32, "length {len}: {held} of {torn}");
        // Its numbers are not given out again, and it is told until something follows.
        drop(journal);
        let (journal, report) = open(dir.path());
        assert_eq!(report.lost_end, Some(end), "length {len}");
        fill_from(&journal, 5);
        drop(journal);
        assert!(inspected_loss(dir.path()).is_empty());
        let (journal, report) = open(dir.path());
        assert!(!report.found_damage(), "length {len}: {report:?}");
        let gap = &report.gaps[0];
        assert_eq!((gap.after, gap.before), (kept, 5), "length {len}");
        assert_eq!(journal.last_sequence(), 5);
        drop(journal);
        std::fs::remove_dir_all(dir.path().join("quarantine")).ok();
    }
}

/// One record with that sequence.
fn fill_from(journal: &Journal, sequence: u64) {
    assert_eq!(append(journal, &[b'x'; 60]).unwrap(), sequence);
}

/// What an inspection says is lost at the end.
fn inspected_loss(dir: &Path) -> Vec<std::ops::RangeInclusive<u64>> {
    let inspector = Inspector::open(dir).unwrap();
    let mut lost = Vec::new();
    for segment in inspector.segments().unwrap() {
        inspector
            .read::<JournalError>(&segment, &mut |item| {
                if let Item::Damage(damage) = item {
                    assert!(!damage.is_unfinished, "{damage:?}");
                    lost.extend(damage.lost);
                }
                Ok(())
            })
            .unwrap();
    }
    lost
}

#[test]
fn the_last_segment_may_not_be_missing_either() {
    let dir = tempfile::tempdir().unwrap();
    for left in [1, 0] {
        written(dir.path(), 4);
        for path in &segment_files(dir.path())[left..] {
            std::fs::remove_file(path).unwrap();
        }
        let (journal, report) = open(dir.path());
        let end = report.lost_end.unwrap();
        assert_eq!((end.after, end.through), (2 * left as u64, 4));
        fill_from(&journal, 5);
        drop(journal);
        std::fs::remove_dir_all(dir.path()).unwrap();
        std::fs::create_dir(dir.path()).unwrap();
    }
}

#[test]
fn a_flipped_bit_in_what_was_acknowledged_last_costs_its_record_only() {
    for (damaged, expected) in [(0, vec![1, 3, 4]), (1, vec![1, 2, 4]), (2, vec![1, 2, 3])] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path());
        append(&journal, b"first").unwrap();
        append_all(&journal, &[vec![b'a'; 20], vec![b'b'; 20], vec![b'c'; 20]]).unwrap();
        drop(journal);
        flip(
            &segment_files(dir.path())[0],
            32 + 24 + 5 + 44 * damaged + 30,
        );
        let (journal, report) = open(dir.path());
        assert!(report.found_damage());
        assert_eq!(report.quarantined[0].bytes, 44, "{damaged}");
        let read = drain(&mut journal.cursor("main").unwrap());
        let read: Vec<u64> = read.into_iter().map(|(sequence, _)| sequence).collect();
        assert_eq!(read, expected, "{damaged}");
        assert_eq!(journal.last_sequence(), 4);
        assert_eq!(append(&journal, b"next").unwrap(), 5);
    }
}

#[test]
fn what_the_last_append_noted_is_known_although_it_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for (payload, note) in [("one", "after one"), ("two", "after two")] {
        let entry = Entry {
            kind: 1,
            parts: &[payload.as_bytes()],
        };
        journal.append_noting(&[entry], note.as_bytes()).unwrap();
    }
    drop(journal);
    let path = segment_files(dir.path())[0].clone();
    for len in [32 + 27 + 27, 32 + 27, 0] {
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(len)
            .unwrap();
        let (_journal, report) = open(dir.path());
        assert_eq!(report.note, b"after two", "length {len}");
    }
}

/// Cuts nothing, but leaves no record of this segment whole.
fn spoil(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[32..].fill(0xff);
    std::fs::write(path, bytes).unwrap();
}

/// Segments of 200 bytes, and room for five of them.
fn open_small(dir: &Path) -> Journal {
    let config = vervet_journal::JournalConfig {
        disk_bytes_max: 1000,
        ..config(dir)
    };
    Journal::open(config).unwrap().0
}

#[test]
fn segments_that_damage_has_emptied_do_not_fill_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_small(dir.path());
    drop(journal.cursor("main").unwrap());
    fill(&journal, 8);
    drop(journal);
    segment_files(dir.path())
        .iter()
        .for_each(|path| spoil(path));
    let journal = open_small(dir.path());
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 10);
    let held = append(&journal, &[b'x'; 60]);
    assert!(matches!(held, Err(JournalError::Full { .. })), "{held:?}");
    assert_eq!(sequences(&mut cursor), (9..=18).collect::<Vec<_>>());
    let stats = journal.stats();
    assert_eq!((stats.cursors[0].dropped_records, stats.segments), (0, 5));
}

#[test]
fn a_damaged_end_is_let_go_of_by_who_has_settled_what_is_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_small(dir.path());
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 4);
    let path = &segment_files(dir.path())[1];
    let len = std::fs::metadata(path).unwrap().len();
    flip(path, usize::try_from(len).unwrap() - 1);
    assert_eq!(sequences(&mut cursor), [1, 2, 3]);
    let behind = |journal: &Journal| journal.stats().cursors[0].lag_records;
    // Until they are settled, a restart wants them again.
    assert_eq!(behind(&journal), 4);
    cursor.commit(2, b"").unwrap();
    assert_eq!(behind(&journal), 2);
    cursor.commit(3, b"").unwrap();
    let quarantined = journal.stats().quarantined_ranges;
    assert_eq!((behind(&journal), quarantined), (0, 1));
    fill_from(&journal, 5);
    assert_eq!(drain(&mut cursor).len(), 1);
}

#[test]
fn a_record_that_lies_ready_is_not_taken_for_damage() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_small(dir.path());
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 2);
    // The second does not fit into the answer, but has been read.
    assert_eq!(cursor.read(100).unwrap().len(), 1);
    cursor.commit(1, b"").unwrap();
    assert_eq!(journal.stats().cursors[0].lag_records, 1);
    assert_eq!(sequences(&mut cursor), [2]);
}

#[test]
fn where_damage_stands_behind_what_is_taken_the_last_record_taken_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let small = || JournalConfig {
        disk_bytes_max: 700,
        ..config(dir.path())
    };
    let (journal, _) = Journal::open(small()).unwrap();
    drop(journal.cursor("lossy").unwrap());
    fill(&journal, 6);
    drop(journal);
    let third = &segment_files(dir.path())[2];
    let mut bytes = std::fs::read(third).unwrap();
    bytes[32 + 24] ^= 1;
    std::fs::write(third, bytes).unwrap();
    let (journal, _) = Journal::open(small()).unwrap();
    let mut lossy = journal.cursor("lossy").unwrap();
    lossy.set_policy(OnFull::DropOldest);
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    journal.set_eviction_listener(Box::new(move |evicted| {
        let ends = [&evicted.head, &evicted.last, &evicted.next];
        let ends = ends.map(|record| record.as_ref().map(|record| record.sequence));
        sink.lock().push(ends);
    }));
    fill(&journal, 4);
    let told = told.lock();
    assert_eq!(told[0], [Some(1), None, Some(3)]);
    assert_eq!(told[1], [Some(3), Some(4), Some(6)], "{told:?}");
}
