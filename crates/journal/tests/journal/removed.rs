//! Files that somebody removes while the journal is open.

use std::path::Path;

use vervet_journal::{Cursor, Journal};

use crate::support::{fill, open, segment_files, sequences};

/// Ten records in five segments, of which the cursor `main` has committed two.
fn ten(dir: &Path) -> (Journal, Cursor) {
    let (journal, _) = open(dir);
    let mut cursor = journal.cursor("main").unwrap();
    fill(&journal, 10);
    cursor.commit(2, b"state").unwrap();
    (journal, cursor)
}

fn remove_active(dir: &Path) {
    std::fs::remove_file(segment_files(dir).pop().unwrap()).unwrap();
}

#[test]
fn a_removed_active_segment_is_made_again_with_the_next_append() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut cursor) = ten(dir.path());
    assert_eq!(sequences(&mut cursor), (3..=10).collect::<Vec<_>>());
    fill(&journal, 1);
    // The file that it is read from will be gone.
    assert_eq!(sequences(&mut cursor), [11]);
    remove_active(dir.path());
    fill(&journal, 2);
    assert_eq!(sequences(&mut cursor), [12, 13]);
    let stats = journal.stats();
    assert_eq!((stats.put_back, stats.lost_segments), (1, 0));
    drop((journal, cursor));
    let (journal, report) = open(dir.path());
    assert!(!report.found_damage() && report.gaps.is_empty());
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(sequences(&mut cursor), (3..=13).collect::<Vec<_>>());
}

#[test]
fn a_look_makes_a_removed_active_segment_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut cursor) = ten(dir.path());
    remove_active(dir.path());
    journal.look().unwrap();
    journal.look().unwrap();
    assert_eq!(journal.stats().put_back, 1);
    assert_eq!(sequences(&mut cursor), (3..=10).collect::<Vec<_>>());
}

#[test]
fn of_a_removed_folder_the_active_segment_and_the_cursors_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (journal, mut cursor) = ten(&path);
    std::fs::remove_dir_all(&path).unwrap();
    fill(&journal, 1);
    let stats = journal.stats();
    assert_eq!(
        (stats.put_back, stats.lost_segments, stats.lost_records),
        (1, 3, 6)
    );
    assert_eq!(sequences(&mut cursor), [9, 10, 11]);
    let second = Journal::open(crate::support::config(&path));
    assert!(second.is_err(), "it is locked again");
    drop((journal, cursor));
    let (journal, report) = open(&path);
    assert_eq!(report.missing_cursors, ["main"]);
    assert_eq!(journal.last_sequence(), 11);
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(sequences(&mut cursor), [9, 10, 11]);
}

#[test]
fn a_removed_closed_segment_is_passed_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut cursor) = ten(dir.path());
    std::fs::remove_file(&segment_files(dir.path())[1]).unwrap();
    assert_eq!(sequences(&mut cursor), [3, 4, 7, 8, 9, 10]);
    let stats = journal.stats();
    assert_eq!((stats.lost_segments, stats.lost_records), (1, 2));
    cursor.commit(10, b"").unwrap();
    assert_eq!(segment_files(dir.path()).len(), 1);
}

#[test]
fn a_removed_folder_of_cursors_is_made_again_by_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut cursor) = ten(dir.path());
    std::fs::remove_dir_all(dir.path().join("cursors")).unwrap();
    cursor.commit(4, b"later").unwrap();
    drop((journal, cursor));
    let (journal, report) = open(dir.path());
    assert!(!report.found_damage());
    assert_eq!(journal.cursor("main").unwrap().committed(), 4);
}

#[test]
fn a_journal_whose_folder_is_elsewhere_says_so_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (dir.path().join("journal"), dir.path().join("elsewhere"));
    let (journal, mut cursor) = ten(&path);
    std::fs::rename(&path, &elsewhere).unwrap();
    assert!(journal.look().is_err());
    assert!(cursor.read(1 << 20).is_err());
    std::fs::rename(&elsewhere, &path).unwrap();
    journal.look().unwrap();
    assert_eq!(sequences(&mut cursor), (3..=10).collect::<Vec<_>>());
    assert_eq!(journal.stats().lost_segments, 0);
}

#[test]
fn who_has_the_folder_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_journal, _) = open(dir.path());
    let error = Journal::open(crate::support::config(dir.path())).unwrap_err();
    let told = format!("lock is held by process {}", std::process::id());
    assert!(error.to_string().contains(&told), "{error}");
}

#[test]
fn a_removed_lock_keeps_others_out_still() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    for _ in 0..2 {
        let error = Journal::open(crate::support::config(dir.path())).unwrap_err();
        let told = format!("lock is held by process {}", std::process::id());
        assert!(error.to_string().contains(&told), "{error}");
    }
    // It takes the lock of the file that is there now, with the folders.
    fill(&journal, 1);
    std::fs::remove_dir_all(dir.path().join("cursors")).unwrap();
    let mut cursor = journal.cursor("main").unwrap();
    assert_eq!(sequences(&mut cursor), [1]);
    cursor.commit(1, b"").unwrap();
    assert!(Journal::open(crate::support::config(dir.path())).is_err());
    drop((journal, cursor));
    open(dir.path());
}
