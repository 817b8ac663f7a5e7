//! Cursors for which only what lies before an end is kept.

use vervet_journal::OnFull;

use crate::support::{fill, open, segment_files, sequences};

#[test]
fn behind_its_end_a_cursor_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut main = journal.cursor("main").unwrap();
    let old = journal.cursor("old").unwrap();
    fill(&journal, 5);
    old.end_at(Some(3));
    drop(old);
    fill(&journal, 7);
    main.commit(12, &[]).unwrap();
    // Two segments hold what it has before its end, the last is being written.
    assert_eq!(segment_files(dir.path()).len(), 3);
    let stats = journal.stats();
    let old = stats.cursors.iter().find(|cursor| cursor.name == "old");
    assert_eq!(old.unwrap().lag_records, 3);
    // It gets that, and what follows where it goes on without an end.
    let mut old = journal.cursor("old").unwrap();
    old.end_at(None);
    fill(&journal, 2);
    main.commit(14, &[]).unwrap();
    assert_eq!(sequences(&mut old), [1, 2, 3, 4, 11, 12, 13, 14]);
    old.commit(14, &[]).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 1);
}

#[test]
fn what_lies_before_an_end_goes_when_it_is_settled_or_room_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut main = journal.cursor("main").unwrap();
    let mut old = journal.cursor("old").unwrap();
    fill(&journal, 12);
    main.commit(12, &[]).unwrap();
    old.set_policy(OnFull::DropOldest);
    old.commit(2, &[]).unwrap();
    old.end_at(Some(4));
    assert_eq!(segment_files(dir.path()).len(), 2);
    old.commit(4, &[]).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 1);
    let stats = journal.stats();
    assert!(stats.cursors.iter().all(|cursor| cursor.lag_records == 0));
}

#[test]
fn what_is_missing_behind_an_end_is_no_damage_to_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut main = journal.cursor("main").unwrap();
    let old = journal.cursor("old").unwrap();
    fill(&journal, 12);
    old.end_at(Some(4));
    main.commit(12, &[]).unwrap();
    drop((journal, main, old));
    let (journal, report) = open(dir.path());
    let gaps = report.gaps.iter();
    let gaps: Vec<_> = gaps
        .map(|gap| (gap.after, gap.before, gap.is_between_segments))
        .collect();
    assert_eq!(gaps, [(4, 11, true)]);
    let mut old = journal.cursor("old").unwrap();
    assert_eq!(sequences(&mut old), [1, 2, 3, 4, 11, 12]);
}
