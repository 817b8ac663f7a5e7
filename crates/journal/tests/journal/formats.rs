//! Folders written by released format versions stay readable.

use std::path::Path;

use crate::support::{config, open, sequences};

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

/// Five records in three segments; a bit of record 4 is flipped, the last segment ends in half a
/// record; cursor `main` has committed 2 with a state, cursor `audit` nothing.
#[test]
fn version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copy(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/formats/v1")),
        dir.path(),
    );
    let (journal, report) = open(dir.path());
    assert_eq!(
        (report.segments, report.records, report.torn_bytes),
        (3, 4, 40)
    );
    assert_eq!(report.quarantined.len(), 1);
    assert_eq!(
        (report.quarantined[0].offset, report.quarantined[0].bytes),
        (32 + 84, 84)
    );
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
}

/// What this version writes is byte for byte the committed fixture, apart from its damage.
#[test]
fn this_version_writes_version_1() {
    let dir = tempfile::tempdir().unwrap();
    write_fixture(dir.path());
    let fixture = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/formats/v1"));
    for name in [
        "00000000000000000001.seg",
        "00000000000000000003.seg",
        "00000000000000000005.seg",
        "cursors/main.cur",
        "cursors/audit.cur",
    ] {
        let (written, kept) = (dir.path().join(name), fixture.join(name));
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
    crate::support::fill(&journal, 6);
    main.commit(2, b"state of main").unwrap();
    drop((journal, audit, main));
    let damaged = dir.join("00000000000000000003.seg");
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[32 + 84 + 24 + 10] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    let torn = dir.join("00000000000000000005.seg");
    let bytes = std::fs::read(&torn).unwrap();
    std::fs::write(torn, &bytes[..32 + 84 + 40]).unwrap();
    if let Some(keep) = std::env::var_os("VERVET_WRITE_FIXTURE") {
        copy(dir, Path::new(&keep));
    }
}
