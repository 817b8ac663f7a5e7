use std::fs;
use std::path::PathBuf;

use vervet_journal::{Entry, Journal, JournalConfig};
use vervet_store::catalog::{Catalog as _, Commit, SqliteCatalog};

use super::*;

struct Silent;

impl Progress for Silent {
    fn begin(&self, _bytes: u64, _files: usize) {}
    fn advance(&self, _bytes: u64) {}
    fn file_done(&self) {}
    fn defect(&self, _defect: &Defect) {}
}

/// A data folder whose catalog covers `position` of `records` journal records.
fn data_dir(records: u64, position: u64) -> tempfile::TempDir {
    data_dir_of(records, position, 1 << 20)
}

fn data_dir_of(records: u64, position: u64, segment_bytes_max: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("folder");
    let catalog = SqliteCatalog::open(dir.path()).expect("catalog");
    let commit = Commit {
        journal_position: Some(position),
        ..Commit::default()
    };
    catalog.commit(&commit).expect("committed");
    let config = JournalConfig {
        segment_bytes_max,
        ..JournalConfig::new(dir.path().join(JOURNAL_DIR))
    };
    let (journal, _report) = Journal::open(config).expect("journal");
    for n in 0..records {
        let payload = format!("payload {n}");
        journal
            .append(&[Entry {
                kind: 1,
                parts: &[payload.as_bytes()],
            }])
            .expect("appended");
    }
    dir
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut segments: Vec<PathBuf> = fs::read_dir(dir.join(JOURNAL_DIR))
        .expect("listed")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    segments.sort();
    segments
}

fn checked(dir: &Path) -> Findings {
    verify(dir, VerifyOptions::default(), &Silent).expect("checked")
}

#[test]
fn a_healthy_folder_tells_what_waits_in_the_journal() {
    let dir = data_dir(10, 4);
    let findings = checked(dir.path());
    assert_eq!(findings.defects, []);
    assert_eq!(findings.journal.records, 10);
    assert_eq!(findings.journal.records_waiting, 6);
    assert_eq!(findings.journal.last_sequence, 10);
}

#[test]
fn a_damaged_record_is_named_with_its_sequence() {
    let dir = data_dir(10, 4);
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).expect("read");
    let at = bytes
        .windows(9)
        .position(|window| window == b"payload 6")
        .expect("found");
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("written");
    let findings = checked(dir.path());
    let [defect] = findings.defects.as_slice() else {
        panic!("{:?}", findings.defects);
    };
    assert_eq!(defect.place, path.display().to_string());
    assert!(
        defect.message.contains("records 7 to 7"),
        "{}",
        defect.message
    );
}

#[test]
fn a_journal_that_ends_before_the_catalog_is_a_defect() {
    let dir = data_dir(3, 9);
    let findings = checked(dir.path());
    assert_eq!(findings.defects.len(), 1);
    assert!(findings.defects[0].message.contains("taken for old ones"));
    fs::remove_dir_all(dir.path().join(JOURNAL_DIR)).expect("removed");
    assert_eq!(checked(dir.path()).defects.len(), 1);
}

#[test]
fn records_that_are_nowhere_are_a_defect() {
    let dir = data_dir_of(9, 1, 100);
    let segments = segments(dir.path());
    assert!(segments.len() > 3, "{segments:?}");
    fs::remove_file(&segments[1]).expect("removed");
    let findings = checked(dir.path());
    let [defect] = findings.defects.as_slice() else {
        panic!("{:?}", findings.defects);
    };
    assert!(defect.message.contains("neither"), "{}", defect.message);
}

#[test]
fn damaged_alerts_and_errors_are_named() {
    let dir = data_dir(1, 0);
    fs::write(dir.path().join(ALERTS_FILE), b"{\"a\":").expect("written");
    fs::write(dir.path().join(ERRORS_FILE), vec![7; 8192]).expect("written");
    let kinds: Vec<&str> = checked(dir.path())
        .defects
        .iter()
        .map(|defect| defect.kind)
        .collect();
    assert_eq!(kinds, ["errors", "alerts"]);
}

#[test]
fn a_lost_catalog_is_told_as_a_start_would_tell_it() {
    let dir = data_dir(0, 0);
    let folder = dir.path().join("data/logs/day=1");
    fs::create_dir_all(&folder).expect("folder");
    fs::write(folder.join("x.parquet"), b"PAR1 and more PAR1").expect("written");
    let told = |found: &str| {
        let findings = checked(dir.path());
        let mut defects = findings.defects.iter();
        let defect = defects
            .find(|defect| defect.kind == "catalog")
            .expect(found);
        assert!(defect.message.contains(found), "{}", defect.message);
        assert!(
            defect.message.contains("does not start"),
            "{}",
            defect.message
        );
        assert!(defect.place.ends_with("catalog.sqlite"), "{}", defect.place);
    };
    told("names no file");
    let catalog = dir.path().join("catalog.sqlite");
    fs::write(&catalog, b"").expect("emptied");
    told("is empty");
    fs::remove_file(&catalog).expect("removed");
    told("is missing");
    fs::write(&catalog, vec![7; 8192]).expect("written");
    told("is damaged");
}
