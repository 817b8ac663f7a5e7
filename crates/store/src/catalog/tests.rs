use std::sync::Arc;
use std::time::Duration;

use vervet_model::{Clock as _, ManualClock};

use super::*;
use crate::segment::Checksum;
use crate::tables::{column, column_id};

const SECOND: i64 = 1_000_000_000;
const DAY_20000: i64 = 20_000 * 86_400 * SECOND;

fn open() -> (tempfile::TempDir, SqliteCatalog) {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    (dir, catalog)
}

/// A file of `logs` that exists only in the catalog.
fn file(name: &str, day: i32, services: (&str, &str), seconds: (i64, i64)) -> WrittenFile {
    let schema = Table::Logs.schema();
    let stats = |name, min, max| ColumnStats {
        column_id: column_id(schema.field_with_name(name).unwrap()).unwrap(),
        bytes: 10,
        values: 100,
        nulls: 0,
        min: Some(min),
        max: Some(max),
    };
    let time = |seconds: i64| StatValue::Time(UnixNanos(DAY_20000 + seconds * SECOND));
    let text = |text: &str| StatValue::Text(text.to_owned());
    WrittenFile {
        relative_path: format!("day={day}/{name}.parquet"),
        day,
        order: None,
        class: String::new(),
        rows: 100,
        bytes: 1_000,
        footer_bytes: 200,
        checksum: Checksum(1),
        column_stats: vec![
            stats(column::TIME, time(seconds.0), time(seconds.1)),
            stats(column::SERVICE_NAME, text(services.0), text(services.1)),
        ],
    }
}

fn add(files: impl IntoIterator<Item = WrittenFile>) -> Commit {
    Commit {
        add: files.into_iter().map(|file| (Table::Logs, file)).collect(),
        ..Commit::default()
    }
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    let stem = |file: &DataFile| {
        file.path
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    snapshot.files.iter().map(stem).collect()
}

fn totals(catalog: &SqliteCatalog) -> (i64, i64, i64) {
    rusqlite::Connection::open(catalog.path())
        .unwrap()
        .query_row(
            "SELECT record_count, next_row_id, file_size_bytes FROM ducklake_table_stats WHERE table_id = 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap()
}

#[test]
fn commit_is_seen_by_the_next_opening() {
    let (dir, catalog) = open();
    let commit = Commit {
        journal_position: Some(7),
        agent_sequences: vec![("a".to_owned(), Signal::Logs, 3)],
        metric_metadata: vec![MetricMetadata {
            metric: "up".to_owned(),
            kind: "gauge".to_owned(),
            help: "1 when \"up\"".to_owned(),
            unit: String::new(),
        }],
        ..add([file("one", 20_000, ("a", "b"), (0, 9))])
    };
    let id = catalog.commit(&commit).unwrap().snapshot;
    drop(catalog);

    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let snapshot = catalog.snapshot().unwrap();
    assert_eq!(snapshot.id, id);
    let [file] = snapshot.files.as_slice() else {
        panic!("{snapshot:?}");
    };
    assert_eq!(
        *file.path,
        catalog.data_dir().join("logs/day=20000/one.parquet")
    );
    assert_eq!(
        (file.day, file.rows, file.bytes, file.footer_bytes),
        (20_000, 100, 1_000, 200)
    );
    let last = UnixNanos(DAY_20000 + 9 * SECOND);
    assert_eq!(file.time_range, Some((UnixNanos(DAY_20000), last)));
    assert_eq!(catalog.journal_position().unwrap(), 7);
    assert_eq!(catalog.agent_sequences().unwrap(), commit.agent_sequences);
    assert_eq!(catalog.metric_metadata().unwrap(), commit.metric_metadata);
    assert_eq!(totals(&catalog), (100, 100, 1_000));
}

#[test]
fn replaced_file_leaves_the_snapshot_and_the_totals() {
    let (_dir, catalog) = open();
    catalog
        .commit(&add([
            file("a", 1, ("a", "a"), (0, 1)),
            file("b", 1, ("a", "a"), (0, 1)),
        ]))
        .unwrap();
    let ids: Vec<FileId> = catalog
        .snapshot()
        .unwrap()
        .files
        .iter()
        .map(|file| file.id)
        .collect();
    let mut merge = add([file("ab", 1, ("a", "a"), (0, 1))]);
    merge.remove = ids.clone();
    catalog.commit(&merge).unwrap();
    assert_eq!(names(&catalog.snapshot().unwrap()), ["ab"]);
    assert_eq!(totals(&catalog), (100, 300, 1_000));
    assert_eq!(catalog.known_files().unwrap().len(), 3);
}

#[test]
fn failed_commit_changes_nothing() {
    let (_dir, catalog) = open();
    catalog
        .commit(&add([file("a", 1, ("a", "a"), (0, 1))]))
        .unwrap();
    let before = catalog.snapshot().unwrap();
    let commit = Commit {
        remove: vec![before.files[0].id, FileId(99)],
        journal_position: Some(5),
        ..add([file("b", 1, ("a", "a"), (0, 1))])
    };
    let error = catalog.commit(&commit).unwrap_err();
    assert!(
        matches!(error, CatalogError::NotLive { id: FileId(99) }),
        "{error}"
    );
    assert_eq!(catalog.snapshot().unwrap(), before);
    assert_eq!(catalog.journal_position().unwrap(), 0);
    assert_eq!(totals(&catalog), (100, 100, 1_000));
}

#[test]
fn journal_position_never_goes_back() {
    let (_dir, catalog) = open();
    let at = |position| Commit {
        journal_position: Some(position),
        ..Commit::default()
    };
    let first = catalog.commit(&at(5)).unwrap();
    assert_eq!(
        catalog.commit(&at(5)).unwrap(),
        first,
        "no files, no snapshot"
    );
    let error = catalog.commit(&at(4)).unwrap_err();
    assert!(matches!(
        error,
        CatalogError::JournalPositionWentBack {
            given: 4,
            committed: 5
        }
    ));
    assert_eq!(catalog.journal_position().unwrap(), 5);
}

#[test]
fn agent_sequence_keeps_the_highest() {
    let (_dir, catalog) = open();
    for sequence in [4, 9, 2] {
        let agent_sequences = vec![("a".to_owned(), Signal::Traces, sequence)];
        catalog
            .commit(&Commit {
                agent_sequences,
                ..Commit::default()
            })
            .unwrap();
    }
    let expected = vec![("a".to_owned(), Signal::Traces, 9)];
    assert_eq!(catalog.agent_sequences().unwrap(), expected);
}

#[test]
fn agent_sequence_that_does_not_fit_is_clamped() {
    let (_dir, catalog) = open();
    catalog
        .commit(&Commit {
            agent_sequences: vec![("a".to_owned(), Signal::Logs, u64::MAX)],
            ..Commit::default()
        })
        .unwrap();
    let highest = i64::MAX.unsigned_abs();
    let expected = vec![("a".to_owned(), Signal::Logs, highest)];
    assert_eq!(catalog.agent_sequences().unwrap(), expected);
}

#[test]
fn files_are_pruned_by_day_time_and_value() {
    let (_dir, catalog) = open();
    let unbounded = WrittenFile {
        column_stats: Vec::new(),
        ..file("unbounded", 20_000, ("", ""), (0, 0))
    };
    catalog
        .commit(&add([
            file("early", 20_000, ("api", "cart"), (0, 10)),
            file("late", 20_000, ("cart", "web"), (11, 20)),
            file("next", 20_001, ("api", "web"), (86_400, 86_401)),
            unbounded,
        ]))
        .unwrap();
    let check = |seconds: Option<(i64, i64)>, service: Option<&str>, expect: &[&str]| {
        let at = |seconds| UnixNanos(DAY_20000 + seconds * SECOND);
        let filter = FileFilter {
            time: seconds.map(|(from, to)| (at(from), at(to))),
            equals: service
                .map(|service| (column::SERVICE_NAME, StatValue::Text(service.to_owned())))
                .into_iter()
                .collect(),
        };
        assert_eq!(names(&catalog.files(Table::Logs, &filter).unwrap()), expect);
    };
    check(None, None, &["early", "late", "unbounded", "next"]);
    check(Some((10, 10)), None, &["early", "unbounded"]);
    check(Some((10, 11)), None, &["early", "late", "unbounded"]);
    check(Some((86_401, 99_999)), None, &["next"]);
    check(None, Some("cart"), &["early", "late", "unbounded", "next"]);
    check(None, Some("auth"), &["early", "unbounded", "next"]);
    check(Some((0, 50)), Some("zoo"), &["unbounded"]);
}

#[test]
fn reclaim_deletes_what_no_kept_snapshot_shows() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(UnixNanos(DAY_20000)));
    let catalog = SqliteCatalog::open_with_clock(dir.path(), Arc::clone(&clock) as _).unwrap();
    let folder = catalog.data_dir().join("logs/day=1");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["a", "b"] {
        std::fs::write(folder.join(format!("{name}.parquet")), b"12345").unwrap();
    }
    catalog
        .commit(&add([file("a", 1, ("a", "a"), (0, 1))]))
        .unwrap();
    clock.advance(Duration::from_secs(60));
    let mut replace = add([file("b", 1, ("a", "a"), (0, 1))]);
    replace.remove = vec![catalog.snapshot().unwrap().files[0].id];
    catalog.commit(&replace).unwrap();

    // The snapshot that shows `a` is 60 s old, but was the newest until now: who took it still reads `a`.
    let held = HashSet::new();
    let early = catalog.reclaim(clock.now(), &held).unwrap();
    assert_eq!((early.files, early.waiting_files), (0, 1));
    assert_eq!(early.waiting_bytes, 1_000);
    assert!(folder.join("a.parquet").exists());

    clock.advance(Duration::from_secs(1));
    let reader = HashSet::from([folder.join("a.parquet").into()]);
    let while_read = catalog.reclaim(clock.now(), &reader).unwrap();
    assert_eq!((while_read.files, while_read.waiting_files), (0, 1));
    assert_eq!(while_read.waiting_bytes, 5);
    assert!(folder.join("a.parquet").exists());

    let reclaimed = catalog.reclaim(clock.now(), &held).unwrap();
    assert_eq!((reclaimed.files, reclaimed.bytes), (1, 5));
    assert_eq!(early.snapshots + while_read.snapshots, 3);
    assert!(!folder.join("a.parquet").exists());
    assert_eq!(names(&catalog.snapshot().unwrap()), ["b"]);
    assert_eq!(
        catalog.known_files().unwrap(),
        HashSet::from([folder.join("b.parquet")])
    );

    clock.advance(Duration::from_secs(60));
    let again = catalog.reclaim(clock.now(), &held).unwrap();
    assert_eq!(again, Reclaimed::default());
    let later = add([file("c", 1, ("a", "a"), (0, 1))]);
    assert_eq!(catalog.commit(&later).unwrap().snapshot, SnapshotId(4));
    assert_eq!(names(&catalog.snapshot().unwrap()), ["b", "c"]);
}

#[test]
fn a_file_that_cannot_be_deleted_keeps_no_other_from_it() {
    let (_dir, catalog) = open();
    let folder = catalog.data_dir().join("logs/day=1");
    // A folder of that name cannot be deleted as a file.
    std::fs::create_dir_all(folder.join("a.parquet")).unwrap();
    std::fs::write(folder.join("b.parquet"), b"12345").unwrap();
    let files = ["a", "b"].map(|name| file(name, 1, ("a", "a"), (0, 1)));
    let added = catalog.commit(&add(files)).unwrap().added;
    let drop_both = Commit {
        remove: added.iter().map(|file| file.id).collect(),
        ..Commit::default()
    };
    catalog.commit(&drop_both).unwrap();
    let later = UnixNanos(i64::MAX);
    let error = catalog.reclaim(later, &HashSet::new()).unwrap_err();
    assert!(matches!(error, CatalogError::Io { .. }), "{error}");
    assert!(!folder.join("b.parquet").exists());
    std::fs::remove_dir(folder.join("a.parquet")).unwrap();
    let reclaimed = catalog.reclaim(later, &HashSet::new()).unwrap();
    assert_eq!((reclaimed.files, reclaimed.bytes), (1, 0));
}

#[test]
fn a_snapshot_made_of_the_one_before_is_the_one_that_is_listed() {
    let (_dir, catalog) = open();
    let mut known = catalog.snapshot().unwrap();
    let commits: [(&[&str], &[usize]); 5] = [
        (&["a", "b", "c"], &[]),
        (&["d"], &[0, 2]),
        (&[], &[0]),
        (&[], &[]),
        (&["e", "f"], &[0]),
    ];
    for (names, removed) in commits {
        let remove: Vec<FileId> = removed.iter().map(|at| known.files[*at].id).collect();
        // Files are listed by day; a merged one has the place of its parts.
        let order = removed.first().map(|at| known.files[*at].order);
        let written = names.iter().enumerate().map(|(index, name)| WrittenFile {
            order: order.filter(|_| index == 0),
            ..file(name, 5 - i32::try_from(index).unwrap(), ("a", "b"), (0, 9))
        });
        let commit = Commit {
            remove: remove.clone(),
            ..add(written)
        };
        let committed = catalog.commit(&commit).unwrap();
        known = known.after(&committed, &remove).unwrap();
        assert_eq!(known, catalog.snapshot().unwrap());
    }
    let skipped = catalog.commit(&add([file("g", 1, ("a", "b"), (0, 9))]));
    drop(skipped);
    let next = catalog
        .commit(&add([file("h", 1, ("a", "b"), (0, 9))]))
        .unwrap();
    assert_eq!(known.after(&next, &[]), None, "a commit is missing");
}

#[test]
fn newer_catalog_is_refused() {
    let (dir, catalog) = open();
    rusqlite::Connection::open(catalog.path())
        .unwrap()
        .execute("UPDATE vervet_schema_version SET version = 99", [])
        .unwrap();
    drop(catalog);
    let error = SqliteCatalog::open(dir.path()).err().unwrap();
    assert!(matches!(error, CatalogError::NewerSchema { found: 99, .. }));
    assert!(
        error.to_string().contains("newer version of Vervet"),
        "{error}"
    );
}

#[test]
fn foreign_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    rusqlite::Connection::open(dir.path().join(CATALOG_FILE))
        .unwrap()
        .execute("CREATE TABLE notes (text TEXT)", [])
        .unwrap();
    let error = SqliteCatalog::open(dir.path()).err().unwrap();
    assert!(matches!(error, CatalogError::NotACatalog { .. }), "{error}");
}

#[test]
fn readers_see_whole_commits_only() {
    let (_dir, catalog) = open();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..40 {
                let pair = [0, 1].map(|i| file(&format!("{n}-{i}"), 1, ("a", "a"), (0, 1)));
                catalog.commit(&add(pair)).unwrap();
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let files = catalog.snapshot().unwrap().files.len();
            assert_eq!(files % 2, 0);
            assert!(files >= seen);
            seen = files;
        }
    });
    assert_eq!(catalog.snapshot().unwrap().files.len(), 80);
}
