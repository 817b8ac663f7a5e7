//! What becomes of records whose cursor is gone.

use std::path::Path;

use vervet_journal::{Inspector, Journal};

use crate::support::{fill, open, segment_files, sequences};

/// Ten records; `ahead` has committed all, `behind` two.
fn two_cursors(dir: &Path) {
    let (journal, _) = open(dir);
    fill(&journal, 10);
    let cursors = ["ahead", "behind"].map(|name| journal.cursor(name).unwrap());
    for (mut cursor, commits) in cursors.into_iter().zip([[9, 10], [1, 2]]) {
        for through in commits {
            cursor
                .commit(through, format!("at {through}").as_bytes())
                .unwrap();
        }
    }
}

fn start_again(dir: &Path) -> (Journal, Vec<u64>) {
    let (journal, report) = open(dir);
    assert!(report.found_damage());
    assert_eq!(report.missing_cursors, ["behind"]);
    let mut cursor = journal.cursor("behind").unwrap();
    let found = sequences(&mut cursor);
    (journal, found)
}

#[test]
fn a_cursor_without_its_file_starts_again_at_the_oldest_record() {
    let dir = tempfile::tempdir().unwrap();
    two_cursors(dir.path());
    for file in ["cursors/behind.cur", "cursors/behind.cur.tmp"] {
        std::fs::remove_file(dir.path().join(file)).unwrap();
    }
    let view = Inspector::open(dir.path()).unwrap().cursors().unwrap();
    let stored: Vec<_> = view.iter().map(|view| view.stored.is_some()).collect();
    assert_eq!(stored, [true, false]);
    let (journal, found) = start_again(dir.path());
    assert_eq!(found, (3..=10).collect::<Vec<_>>());
    drop(journal);
    assert!(!open(dir.path()).1.found_damage(), "it is stored");
}

#[test]
fn a_cursor_without_its_file_goes_on_from_the_commit_before() {
    let dir = tempfile::tempdir().unwrap();
    two_cursors(dir.path());
    std::fs::remove_file(dir.path().join("cursors/behind.cur")).unwrap();
    let (journal, found) = start_again(dir.path());
    assert_eq!(found, (3..=10).collect::<Vec<_>>());
    assert_eq!(journal.cursor("behind").unwrap().state(), b"at 1");
}

#[test]
fn a_folder_in_the_place_of_a_cursor_costs_no_record() {
    let dir = tempfile::tempdir().unwrap();
    two_cursors(dir.path());
    let path = dir.path().join("cursors/behind.cur");
    std::fs::remove_file(dir.path().join("cursors/behind.cur.tmp")).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let view = Inspector::open(dir.path()).unwrap().cursors().unwrap();
    assert!(view.iter().any(|view| view.stored.is_none()));
    let (_journal, found) = start_again(dir.path());
    assert_eq!(found, (3..=10).collect::<Vec<_>>());
    assert!(path.is_file());
}

#[test]
fn either_list_tells_which_cursors_there_were() {
    for lost in ["known-cursors", "cursors/known"] {
        let dir = tempfile::tempdir().unwrap();
        two_cursors(dir.path());
        for file in [lost, "cursors/behind.cur", "cursors/behind.cur.tmp"] {
            std::fs::remove_file(dir.path().join(file)).unwrap();
        }
        let (_journal, found) = start_again(dir.path());
        assert_eq!(found, (3..=10).collect::<Vec<_>>(), "without {lost}");
    }
}

#[test]
fn a_removed_cursor_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    two_cursors(dir.path());
    open(dir.path()).0.remove_cursor("behind").unwrap();
    let (journal, report) = open(dir.path());
    assert!(!report.found_damage());
    assert_eq!(journal.stats().cursors.len(), 1);
    assert_eq!(segment_files(dir.path()).len(), 1);
}

#[test]
fn without_any_cursor_nothing_is_deleted_before_all_are_there() {
    let dir = tempfile::tempdir().unwrap();
    two_cursors(dir.path());
    std::fs::remove_dir_all(dir.path().join("cursors")).unwrap();
    std::fs::remove_file(dir.path().join("known-cursors")).unwrap();
    let (journal, _) = open(dir.path());
    assert!(journal.lacks_cursors());
    journal.keep_all(true);
    let mut ahead = journal.cursor("ahead").unwrap();
    ahead.commit(10, &[]).unwrap();
    let mut behind = journal.cursor("behind").unwrap();
    journal.keep_all(false);
    assert!(!journal.lacks_cursors());
    assert_eq!(sequences(&mut behind), (3..=10).collect::<Vec<_>>());
    behind.commit(10, &[]).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 1);
}
