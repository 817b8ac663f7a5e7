use std::fs;
use std::sync::atomic::AtomicU64;

use rusqlite::Connection;
use vervet_wire::otlp::SpanKind;

use super::*;
use crate::catalog::CATALOG_FILE;
use crate::fixtures::{self, TestSpan, gauge, logs};
use crate::segment::Checksum;

/// Notes what it is told.
#[derive(Default)]
struct Notes {
    work: AtomicU64,
    done: AtomicU64,
    defects: AtomicU64,
}

impl Progress for Notes {
    fn begin(&self, bytes: u64, _files: usize) {
        self.work.store(bytes, Ordering::Relaxed);
    }

    fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn file_done(&self) {}

    fn defect(&self, _defect: &Defect) {
        self.defects.fetch_add(1, Ordering::Relaxed);
    }
}

const SPAN: TestSpan = TestSpan {
    trace: 1,
    id: 2,
    parent: None,
    name: "GET /",
    kind: SpanKind::Server,
    seconds: 5,
    millis: 20,
    failed: false,
};

/// A store with files of every table and of two days.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = fixtures::store(&dir);
    let bodies: Vec<String> = (0..500)
        .map(|n| format!("request {n} took {}", n * 7919 % 1009))
        .collect();
    let records: Vec<(i64, i32, &str)> = (0..)
        .zip(&bodies)
        .map(|(seconds, body)| (seconds, 9, body.as_str()))
        .collect();
    store.apply(1, logs("api", &records), None);
    store.apply(
        2,
        logs("web", &[(1, 9, "a"), (90_000, 17, "next day")]),
        None,
    );
    store.apply(3, fixtures::spans("api", &[SPAN]), None);
    store.apply(4, gauge(&[("a", 0, 1.0), ("b", 15, 2.0)]), None);
    store.flush().unwrap();
    dir
}

fn checked(dir: &Path) -> VerifyReport {
    verify(dir, VerifyOptions::default(), &Notes::default()).unwrap()
}

/// The only defect.
fn defect(dir: &Path) -> Defect {
    let report = checked(dir);
    let [defect] = report.defects.as_slice() else {
        panic!("{:?}", report.defects);
    };
    defect.clone()
}

fn change(dir: &Path, sql: &str) {
    let connection = Connection::open(dir.join(CATALOG_FILE)).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
}

/// The file of logs of the first day, as the catalog has it.
fn a_file(dir: &Path) -> (PathBuf, RecordedFile) {
    let catalog = CatalogInspector::open(dir).unwrap();
    let files = catalog.files().unwrap();
    let largest = files.into_iter().max_by_key(|file| file.bytes).unwrap();
    (catalog.data_dir().join(&largest.relative_path), largest)
}

#[test]
fn a_healthy_store_is_checked_to_the_last_row() {
    let dir = filled();
    let notes = Notes::default();
    let report = verify(dir.path(), VerifyOptions::default(), &notes).unwrap();
    assert_eq!(report.defects, []);
    assert_eq!(report.orphans, []);
    assert_eq!((report.files, report.checksums), (5, 5));
    // 502 logs, a span, two samples and their series.
    assert_eq!((report.rows, report.journal_position), (507, 4));
    assert!(notes.done.into_inner() > report.bytes);
    let quick = VerifyOptions {
        rows: false,
        ..VerifyOptions::default()
    };
    let report = verify(dir.path(), quick, &Notes::default()).unwrap();
    assert_eq!((report.rows, report.checksums), (0, 5));
}

#[test]
fn every_flipped_bit_is_found() {
    let dir = filled();
    let (path, recorded) = a_file(dir.path());
    let intact = fs::read(&path).unwrap();
    for bit in (0..intact.len() * 8).step_by(37) {
        let mut bytes = intact.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let outcome = segment::check(&path, &recorded, &[], false, &Notes::default());
        assert!(outcome.problem.is_some(), "bit {bit}");
    }
    fs::write(&path, &intact).unwrap();
    let outcome = segment::check(&path, &recorded, &[], false, &Notes::default());
    assert_eq!(outcome.problem, None);
}

#[test]
fn a_damaged_file_without_checksum_never_ends_the_check() {
    let dir = filled();
    let (path, recorded) = a_file(dir.path());
    let recorded = RecordedFile {
        checksum: None,
        ..recorded
    };
    let stats = CatalogInspector::open(dir.path())
        .unwrap()
        .stats(recorded.id)
        .unwrap();
    let intact = fs::read(&path).unwrap();
    let mut found = 0;
    for (round, bit) in (0..intact.len() * 8).step_by(211).enumerate() {
        let mut bytes = intact.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if round % 3 == 0 {
            bytes[bit / 8] = !bytes[bit / 8];
        }
        fs::write(&path, &bytes).unwrap();
        let outcome = segment::check(&path, &recorded, &stats, true, &Notes::default());
        found += usize::from(outcome.problem.is_some());
    }
    // Not all of them: that is what the checksum is for.
    assert!(found > 0);
}

#[test]
fn defects_name_the_file_and_what_it_costs() {
    let dir = filled();
    let (path, recorded) = a_file(dir.path());
    let intact = fs::read(&path).unwrap();

    fs::write(&path, &intact[..intact.len() - 1]).unwrap();
    let short = defect(dir.path());
    assert_eq!(
        short.place,
        path.canonicalize().unwrap().display().to_string()
    );
    assert_eq!(short.problem.kind(), "length");
    assert_eq!((short.cost.table.as_str(), short.cost.rows), ("logs", 501));
    let range = (fixtures::at(0), fixtures::at(499));
    assert_eq!(short.cost.time_range, Some(range));
    assert!(short.cost.is_live);

    let mut bytes = intact.clone();
    bytes[0] = b'Q';
    fs::write(&path, &bytes).unwrap();
    assert_eq!(defect(dir.path()).problem, Problem::Magic);

    let middle = intact.len() / 2;
    let mut bytes = intact.clone();
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let expected = recorded.checksum.unwrap();
    let found = Checksum::of(&bytes);
    assert_eq!(
        defect(dir.path()).problem,
        Problem::Checksum { expected, found }
    );

    fs::remove_file(&path).unwrap();
    assert_eq!(defect(dir.path()).problem, Problem::Missing);
    change(
        dir.path(),
        &format!(
            "UPDATE ducklake_data_file SET end_snapshot = 2 WHERE data_file_id = {}",
            recorded.id.0
        ),
    );
    // It was replaced, so nobody misses it; the totals are what is wrong now.
    let report = checked(dir.path());
    assert!(
        report
            .defects
            .iter()
            .all(|defect| defect.problem.kind() == "catalog")
    );
}

#[test]
fn a_file_is_not_taken_for_another_of_the_same_table() {
    let dir = filled();
    let catalog = CatalogInspector::open(dir.path()).unwrap();
    let files = catalog.files().unwrap();
    let of_logs: Vec<PathBuf> = files
        .iter()
        .filter(|file| file.table == "logs")
        .map(|file| catalog.data_dir().join(&file.relative_path))
        .collect();
    assert_eq!(of_logs.len(), 2);
    fs::copy(&of_logs[0], &of_logs[1]).unwrap();
    assert_eq!(defect(dir.path()).problem.kind(), "length");
}

#[test]
fn files_that_the_catalog_does_not_name_are_named() {
    let dir = filled();
    let (path, _recorded) = a_file(dir.path());
    let orphan = path.with_file_name("x.parquet");
    fs::write(&orphan, b"abc").unwrap();
    let report = checked(dir.path());
    assert_eq!(report.defects, []);
    let [found] = report.orphans.as_slice() else {
        panic!("{:?}", report.orphans);
    };
    assert_eq!(
        (&found.path, found.bytes),
        (&orphan.canonicalize().unwrap(), 3)
    );
}

#[test]
fn what_the_catalog_claims_must_be_true() {
    let check = |sql: &str, kind: &str| {
        let dir = filled();
        change(dir.path(), sql);
        assert_eq!(defect(dir.path()).problem.kind(), kind, "{sql}");
    };
    // Of one file, so that there is one defect.
    let file =
        "data_file_id = (SELECT max(data_file_id) FROM ducklake_data_file WHERE table_id = 1)";
    let stats = "UPDATE ducklake_file_column_stats SET";
    let time = format!("column_id = 2 AND {file}");
    check(
        &format!("{stats} max_value = min_value WHERE column_id = 6 AND min_value <> max_value"),
        "statistics",
    );
    check(
        &format!("{stats} min_value = '2200-01-01 00:00:00' WHERE {time}"),
        "statistics",
    );
    check(
        &format!("{stats} min_value = 'yesterday' WHERE {time}"),
        "statistics",
    );
    check(
        &format!("{stats} null_count = 1 WHERE {time}"),
        "statistics",
    );
    check(
        &format!("UPDATE ducklake_file_partition_value SET partition_value = '1' WHERE {file}"),
        "day",
    );
    check(
        &format!("UPDATE ducklake_data_file SET footer_size = 1 WHERE {file}"),
        "footer_length",
    );
    check(
        &format!(
            "UPDATE vervet_file_checksum SET xxh3_128 = '{}' WHERE {file}",
            Checksum(7)
        ),
        "checksum",
    );
    for sql in [
        "UPDATE ducklake_table_stats SET record_count = record_count + 1 WHERE table_id = 1",
        "UPDATE ducklake_table_stats SET next_row_id = 1 WHERE table_id = 2 AND next_row_id <> 1 OR table_id = 1",
        "UPDATE ducklake_snapshot SET next_file_id = (SELECT max(data_file_id) FROM ducklake_data_file)",
        "INSERT INTO ducklake_table_column_stats VALUES (1, 2, 0, 0, '1', '2', NULL)",
        "INSERT INTO ducklake_file_partition_value VALUES (999, 1, 0, '20000')",
        "INSERT INTO vervet_journal_position VALUES (1)",
    ] {
        let dir = filled();
        change(dir.path(), sql);
        let report = checked(dir.path());
        assert!(
            report
                .defects
                .iter()
                .any(|defect| defect.problem.kind() == "catalog"),
            "{sql}"
        );
    }
}

#[test]
fn a_damaged_database_is_a_defect_and_no_panic() {
    let dir = filled();
    let path = dir.path().join(CATALOG_FILE);
    let connection = Connection::open(&path).unwrap();
    let _busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .unwrap();
    drop(connection);
    let intact = fs::read(&path).unwrap();
    let mut found = 0;
    for page in 0..intact.len() / 4096 {
        let mut bytes = intact.clone();
        bytes[page * 4096..][..100].fill(0x5a);
        fs::write(&path, &bytes).unwrap();
        found += usize::from(
            verify(dir.path(), VerifyOptions::default(), &Notes::default())
                .map_or(true, |report| !report.defects.is_empty()),
        );
    }
    assert_eq!(found, intact.len() / 4096);
}

#[test]
fn an_older_catalog_without_checksums_is_checked_by_its_rows() {
    let dir = filled();
    let connection = Connection::open(dir.path().join(CATALOG_FILE)).unwrap();
    connection
        .execute_batch("DROP TABLE vervet_file_checksum")
        .unwrap();
    let report = checked(dir.path());
    assert_eq!(report.defects, []);
    assert_eq!((report.checksums, report.rows), (0, 507));
}
