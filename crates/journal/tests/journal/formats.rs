//! Folders written by released format versions stay readable.

use std::path::{Path, PathBuf};

use crate::support::{config, fill, open, segment_files, sequences};

/// Copies a fixture, since opening a journal writes to it.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("formats")
        .join(version)
}

/// Five records in three segments; a bit of record 4 is flipped, the last segment ends in half a
/// record; cursor `main` has committed 2 with a state, cursor `audit` nothing.
fn check_content(dir: &Path, corrupt_cursors: &[&str]) {
    let (journal, report) = open(dir);
    assert_eq!(
        (report.segments, report.records, report.torn_bytes),
        (3, 4, 40)
    );
    assert_eq!(report.quarantined.len(), 1);
    assert_eq!(
        (report.quarantined[0].offset, report.quarantined[0].bytes),
        (32 + 84, 84)
    );
    assert_eq!(report.corrupt_cursors, corrupt_cursors);
    let mut main = journal.cursor("main").unwrap();
    assert_eq!(
        (main.committed(), main.state()),
        (2, b"state of main".as_slice())
    );
    assert_eq!(sequences(&mut main), [3, 5]);
    assert_eq!(
        sequences(&mut journal.cursor("audit").unwrap()),
        [1, 2, 3, 5]
    );
    fill(&journal, 2);
    drop((journal, main));
    let (journal, report) = open(dir);
    assert_eq!((report.records, report.quarantined.len()), (6, 1));
    assert_eq!(
        sequences(&mut journal.cursor("audit").unwrap()),
        [1, 2, 3, 5, 6, 7]
    );
}

/// Its last segment is not continued: records of version 1 do not say where a sync was.
#[test]
fn version_1_is_read_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture("v1"), dir.path());
    check_content(dir.path(), &[]);
    let versions: Vec<u8> = segment_files(dir.path())
        .iter()
        .map(|path| std::fs::read(path).unwrap()[8])
        .collect();
    assert_eq!(versions, [1, 1, 1, 2]);
}

/// As version 1, and the file of cursor `broken` is damaged.
#[test]
fn version_2_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture("v2"), dir.path());
    check_content(dir.path(), &["broken"]);
    assert_eq!(segment_files(dir.path()).len(), 4);
}

/// What this version writes is byte for byte the committed fixture.
#[test]
fn this_version_writes_version_2() {
    let dir = tempfile::tempdir().unwrap();
    write_fixture(dir.path());
    for name in [
        "00000000000000000001.seg",
        "00000000000000000003.seg",
        "00000000000000000005.seg",
        "cursors/main.cur",
        "cursors/audit.cur",
        "cursors/broken.cur",
    ] {
        let (written, kept) = (dir.path().join(name), fixture("v2").join(name));
        assert_eq!(
            std::fs::read(written).unwrap(),
            std::fs::read(kept).unwrap(),
            "{name}"
        );
    }
}

fn write_fixture(dir: &Path) {
    let (journal, _) = vervet_journal::Journal::open(config(dir)).unwrap();
    let audit = journal.cursor("audit").unwrap();
    let mut main = journal.cursor("main").unwrap();
    let broken = journal.cursor("broken").unwrap();
    fill(&journal, 6);
    main.commit(2, b"state of main").unwrap();
    drop((journal, audit, main, broken));
    for (name, offset) in [
        ("00000000000000000003.seg", 32 + 84 + 24 + 10),
        ("cursors/broken.cur", 13),
    ] {
        let damaged = dir.join(name);
        let mut bytes = std::fs::read(&damaged).unwrap();
        bytes[offset] ^= 1;
        std::fs::write(damaged, bytes).unwrap();
    }
    let torn = dir.join("00000000000000000005.seg");
    let bytes = std::fs::read(&torn).unwrap();
    std::fs::write(torn, &bytes[..32 + 84 + 40]).unwrap();
    if let Some(keep) = std::env::var_os("VERVET_WRITE_FIXTURE") {
        copy(dir, Path::new(&keep));
    }
}
