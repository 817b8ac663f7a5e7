use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vervet_journal::OsFileSystem;
use vervet_model::{Labels, Matcher, Signal};

use super::*;
use crate::catalog::{
    CatalogError, Commit, Committed, FileFilter, Reclaimed, Snapshot, SqliteCatalog,
};
use crate::fixtures::{at, at_ms, gauge, logs, store};
use crate::ingest::{Content, reason};
use crate::maintain::{DeleteJob, DeleteWhere};
use crate::segment::{WrittenFile, write_segment};
use crate::tables::Layout;
use crate::{Direction, GroupBy, LogMeasure, LogQuery, SampleLimits, StoreError};

fn all_logs() -> LogQuery {
    LogQuery {
        matchers: Vec::new(),
        filters: Vec::new(),
        metadata: Vec::new(),
        trace_id: None,
        start: at(-86_400),
        end: at(86_400),
        limit: 100_000,
        direction: Direction::OldestFirst,
    }
}

async fn bodies(store: &Store) -> Vec<String> {
    let rows = store.logs(&all_logs()).await.unwrap();
    rows.into_iter().map(|row| row.body).collect()
}

const LIMITS: SampleLimits = SampleLimits {
    series_max: 1000,
    samples_max: 1_000_000,
    deadline: vervet_model::UnixNanos(i64::MAX),
};

fn queue_depth(store: &Store) -> Vec<(i64, f64)> {
    let matchers = [Matcher::equal("__name__", "queue_depth")];
    let found = store
        .samples(&matchers, i64::MIN, i64::MAX, LIMITS)
        .unwrap();
    found
        .into_iter()
        .flat_map(|series| series.samples)
        .collect()
}

#[tokio::test]
async fn a_row_is_seen_once_before_and_after_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    store.apply(1, logs("api", &[(1, 9, "first")]), None);
    assert_eq!(bodies(&store).await, ["first"]);
    let report = store.flush().unwrap().unwrap();
    assert_eq!(
        (report.rows, report.files, report.journal_position),
        (1, 1, 1)
    );
    assert_eq!(bodies(&store).await, ["first"]);
    store.apply(2, logs("api", &[(2, 9, "second")]), None);
    assert_eq!(bodies(&store).await, ["first", "second"]);
    let stats = store.stats().logs;
    assert_eq!((stats.rows_stored, stats.rows_head, stats.files), (1, 1, 1));
    store.flush().unwrap().unwrap();
    assert_eq!(store.flush().unwrap(), None);
    assert_eq!(bodies(&store).await, ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_is_seen_exactly_once_while_flushing() {
    const REQUESTS: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let store = store.clone();
        std::thread::spawn(move || {
            for sequence in 1..=REQUESTS {
                let n = i64::try_from(sequence).unwrap();
                let text = format!("{n:05}");
                store.apply(2 * sequence - 1, logs("api", &[(n, 9, &text)]), None);
                store.apply(2 * sequence, gauge(&[("a", n, 1.0)]), None);
                std::thread::yield_now();
            }
        })
    };
    let flusher = {
        let (store, done) = (store.clone(), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                store.flush().unwrap();
            }
        })
    };
    let mut seen = 0;
    let mut sampled = 0;
    while seen < usize::try_from(REQUESTS).unwrap() {
        let rows = bodies(&store).await;
        let expect: Vec<_> = (1..=rows.len()).map(|n| format!("{n:05}")).collect();
        assert_eq!(rows, expect);
        assert!(rows.len() >= seen, "{} after {seen}", rows.len());
        seen = rows.len();
        let samples = queue_depth(&store).len();
        assert!(samples >= sampled, "{samples} after {sampled}");
        sampled = samples;
    }
    writer.join().unwrap();
    done.store(true, Ordering::SeqCst);
    flusher.join().unwrap();
    assert_eq!(queue_depth(&store).len(), seen);
    let sql =
        "SELECT count(*) AS n, count(DISTINCT time) AS d FROM samples WHERE metric = 'queue_depth'";
    let counted = store.sql(sql, 10).await.unwrap();
    assert_eq!(
        crate::columns::Columns::new("test", &counted[0])
            .i64("n")
            .unwrap()
            .value(0),
        i64::try_from(seen).unwrap()
    );
}

#[tokio::test]
async fn replay_after_a_crash_stores_every_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let requests = || {
        [
            logs("api", &[(1, 9, "one")]),
            logs("api", &[(2, 9, "two")]),
            gauge(&[("a", 3, 3.0)]),
        ]
    };
    let source = |sequence| AppliedSource {
        agent_id: "agent-1",
        signal: Signal::Logs,
        sequence,
    };
    {
        let store = store(&dir);
        let [first, second, third] = requests();
        store.apply(1, first, Some(source(7)));
        store.flush().unwrap();
        store.apply(2, second, Some(source(8)));
        store.apply(3, third, None);
        assert_eq!(store.agent_sequence("agent-1", Signal::Logs), 8);
    }
    let store = store(&dir);
    assert_eq!(store.journal_position().unwrap(), 1);
    assert_eq!(store.agent_sequence("agent-1", Signal::Logs), 7);
    let outcomes: Vec<bool> = (1..)
        .zip(requests())
        .zip([Some(source(7)), Some(source(8)), None])
        .map(|((sequence, request), source)| store.apply(sequence, request, source).repeated)
        .collect();
    assert_eq!(outcomes, [true, false, false]);
    assert_eq!(bodies(&store).await, ["one", "two"]);
    assert_eq!(queue_depth(&store), [(at_ms(3), 3.0)]);
    let again = store.apply(4, logs("api", &[(2, 9, "two")]), Some(source(8)));
    assert!(again.repeated);
    assert_eq!(bodies(&store).await.len(), 2);
}

#[tokio::test]
async fn a_failed_segment_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    store.apply(1, logs("api", &[(1, 9, "one")]), None);
    store.apply(2, gauge(&[("a", 1, 1.0)]), None);
    // A file where the folder should be fails as a full disk does: no segment can be made.
    let blocked = dir.path().join("data").join("samples");
    let _ = fs::remove_dir_all(&blocked);
    fs::write(&blocked, "").unwrap();
    let error = store.flush().unwrap_err();
    assert!(matches!(error, StoreError::Segment(_)), "{error:?}");
    assert!(error.is_retryable());
    store.apply(3, logs("api", &[(2, 9, "two")]), None);
    assert_eq!(bodies(&store).await, ["one", "two"]);
    assert_eq!(queue_depth(&store).len(), 1);
    assert!(store.flush().is_err());
    let left: Vec<_> = walk(&dir.path().join("data").join("logs"));
    assert!(
        left.is_empty(),
        "segments of the failed flush are left: {left:?}"
    );
    fs::remove_file(&blocked).unwrap();
    let report = store.flush().unwrap().unwrap();
    assert_eq!(report.journal_position, 3);
    assert_eq!(bodies(&store).await, ["one", "two"]);
    assert_eq!(queue_depth(&store).len(), 1);
    assert_eq!(store.head_bytes(), 0);
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// A catalog whose next snapshot, or commit, fails.
struct Failing {
    inner: SqliteCatalog,
    fail_commit: AtomicBool,
    fail_snapshot: AtomicBool,
}

/// A segment with one log record.
fn logs_segment(dir: &std::path::Path, body: &str) -> WrittenFile {
    let Content::Logs(batch) = logs("api", &[(1, 9, body)]).content else {
        panic!("not a logs request");
    };
    let day = at(1).day();
    write_segment(&dir.join("data"), &Layout::fixed(Table::Logs), day, &batch).unwrap()
}

fn failure() -> CatalogError {
    CatalogError::NotACatalog {
        path: std::path::PathBuf::new(),
        reason: "test",
    }
}

impl Catalog for Failing {
    fn snapshot(&self) -> Result<Snapshot, CatalogError> {
        if self.fail_snapshot.swap(false, Ordering::SeqCst) {
            return Err(failure());
        }
        self.inner.snapshot()
    }

    fn files(&self, table: Table, filter: &FileFilter) -> Result<Snapshot, CatalogError> {
        self.inner.files(table, filter)
    }

    fn commit(&self, commit: &Commit) -> Result<Committed, CatalogError> {
        if self.fail_commit.swap(false, Ordering::SeqCst) {
            return Err(failure());
        }
        self.inner.commit(commit)
    }

    fn journal_position(&self) -> Result<u64, CatalogError> {
        self.inner.journal_position()
    }

    fn agent_sequences(&self) -> Result<Vec<(String, Signal, u64)>, CatalogError> {
        self.inner.agent_sequences()
    }

    fn metric_metadata(&self) -> Result<Vec<MetricMetadata>, CatalogError> {
        self.inner.metric_metadata()
    }

    fn add_delete_job(
        &self,
        condition: &DeleteWhere,
        now: UnixNanos,
    ) -> Result<DeleteJob, CatalogError> {
        self.inner.add_delete_job(condition, now)
    }

    fn delete_jobs(&self) -> Result<Vec<DeleteJob>, CatalogError> {
        self.inner.delete_jobs()
    }

    fn save_delete_job(&self, job: &DeleteJob) -> Result<(), CatalogError> {
        self.inner.save_delete_job(job)
    }

    fn known_files(&self) -> Result<std::collections::HashSet<std::path::PathBuf>, CatalogError> {
        self.inner.known_files()
    }

    fn reclaim(
        &self,
        before: UnixNanos,
        held: &std::collections::HashSet<Arc<std::path::Path>>,
    ) -> Result<Reclaimed, CatalogError> {
        self.inner.reclaim(before, held)
    }
}

#[tokio::test]
async fn a_failing_catalog_neither_loses_nor_doubles_rows() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Arc::new(Failing {
        inner: SqliteCatalog::open(dir.path()).unwrap(),
        fail_commit: AtomicBool::new(true),
        fail_snapshot: AtomicBool::new(false),
    });
    let snapshot = catalog.snapshot().unwrap();
    let store = open::open_with(
        StoreConfig::new(dir.path()),
        Arc::clone(&catalog) as _,
        snapshot,
        Arc::new(OsFileSystem),
    )
    .unwrap();
    store.apply(1, logs("api", &[(1, 9, "one")]), None);
    store.apply(2, gauge(&[("a", 1, 1.0)]), None);
    assert!(store.flush().is_err(), "the commit fails");
    assert_eq!(store.journal_position().unwrap(), 0);
    assert_eq!(bodies(&store).await, ["one"]);
    // Commits that this store does not know of: its next one does not follow what it shows.
    let file = logs_segment(dir.path(), "stranger");
    let stranger = catalog.commit(&Commit {
        add: vec![(Table::Logs, file)],
        ..Commit::default()
    });
    let drop_it = Commit {
        remove: vec![stranger.unwrap().added[0].id],
        ..Commit::default()
    };
    catalog.commit(&drop_it).unwrap();
    catalog.fail_snapshot.store(true, Ordering::SeqCst);
    assert!(
        store.flush().is_err(),
        "committed, but the snapshot cannot be read"
    );
    assert_eq!(store.journal_position().unwrap(), 2);
    assert_eq!(bodies(&store).await, ["one"]);
    let series = store.sql("SELECT * FROM series", 100).await.unwrap();
    assert_eq!(
        series.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        1
    );
    store.apply(3, logs("api", &[(2, 9, "two")]), None);
    store.flush().unwrap().unwrap();
    assert_eq!(bodies(&store).await, ["one", "two"]);
    assert_eq!(store.stats().logs.rows_stored, 2);
    let series = store.sql("SELECT * FROM series", 100).await.unwrap();
    assert_eq!(
        series.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        1
    );
}

#[tokio::test]
async fn rows_of_two_days_go_to_segments_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    store.apply(
        1,
        logs("api", &[(-1, 9, "yesterday"), (1, 9, "today")]),
        None,
    );
    store.apply(2, gauge(&[("a", -1, 1.0), ("a", 1, 2.0)]), None);
    let report = store.flush().unwrap().unwrap();
    assert_eq!(report.files, 6, "two of logs, samples and series each");
    assert_eq!(bodies(&store).await, ["yesterday", "today"]);
    assert_eq!(queue_depth(&store), [(at_ms(-1), 1.0), (at_ms(1), 2.0)]);
    store.apply(3, gauge(&[("a", 2, 2.0)]), None);
    let report = store.flush().unwrap().unwrap();
    assert_eq!(report.files, 1, "the series is known for that day");
}

#[test]
fn series_beyond_the_limit_are_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig {
        series_max: 1,
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    let applied = store.apply(
        1,
        gauge(&[("a", 1, 1.0), ("b", 1, 1.0), ("b", 2, 1.0)]),
        None,
    );
    assert_eq!(applied.stored, 1);
    assert_eq!(applied.rejected, [(reason::SERIES_LIMIT, 2)]);
    assert_eq!(store.stats().series.rows_head, 1);
}

#[test]
fn a_flush_is_due_by_size_or_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig {
        head_bytes_max: 100_000,
        flush_interval: Duration::from_secs(60),
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    assert!(!store.should_flush(at(100_000)));
    store.apply(1, logs("api", &[(1, 9, "one")]), None);
    // The fixtures receive their requests at 3600 s.
    assert!(!store.should_flush(at(3659)));
    assert!(store.should_flush(at(3660)));
    store.apply(2, logs("api", &[(1, 9, &"x".repeat(100_000))]), None);
    assert!(store.should_flush(at(3600)));
}

#[tokio::test]
async fn series_and_metadata_survive_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = store(&dir);
        store.apply(1, gauge(&[("a", 1, 1.0), ("b", 1, 2.0)]), None);
        store.flush().unwrap();
    }
    let store = store(&dir);
    let selector = vec![Matcher::equal("pod", "b")];
    let expect = Labels::from_pairs([
        ("__name__", "queue_depth"),
        ("job", "worker"),
        ("pod", "b"),
        ("service_name", "worker"),
    ]);
    let window = (at_ms(0), at_ms(60));
    assert_eq!(store.series(&[selector], window.0, window.1), [expect]);
    assert_eq!(
        store.label_values("pod", &[], window.0, window.1),
        ["a", "b"]
    );
    assert!(
        store
            .series(&[], at_ms(5 * 86_400), at_ms(6 * 86_400))
            .is_empty()
    );
    let metadata = store.metric_metadata();
    assert_eq!(
        (&*metadata[0].metric, &*metadata[0].help),
        ("queue_depth", "Waiting jobs.")
    );
    let query = all_logs();
    let counts = store.log_counts(
        &query,
        &GroupBy::All,
        Duration::from_secs(1),
        LogMeasure::Records,
    );
    assert_eq!(counts.await.unwrap().found, []);
}

/// A closed store with four files, and all files below `data`.
fn filled(dir: &tempfile::TempDir) -> Vec<std::path::PathBuf> {
    let opened = store(dir);
    for sequence in 1..=4 {
        opened.apply(sequence, logs("api", &[(5, 9, "text")]), None);
        opened.flush().unwrap().unwrap();
    }
    drop(opened);
    walk(&dir.path().join("data"))
}

#[test]
fn segments_without_their_catalog_are_neither_opened_nor_touched() {
    use crate::catalog::CATALOG_FILE;
    type Lose = fn(&std::path::Path);
    let lose: [(&str, Lose); 3] = [
        ("is missing", |path| fs::remove_file(path).unwrap()),
        ("is empty", |path| fs::write(path, b"").unwrap()),
        ("names no file", |path| {
            let other = tempfile::tempdir().unwrap();
            drop(store(&other));
            fs::copy(other.path().join(CATALOG_FILE), path).unwrap();
        }),
    ];
    for (found, lose) in lose {
        let dir = tempfile::tempdir().unwrap();
        let before = filled(&dir);
        assert_eq!(before.len(), 4);
        let path = dir.path().join(CATALOG_FILE);
        lose(&path);
        for _ in 0..2 {
            let error = Store::open(StoreConfig::new(dir.path())).err().unwrap();
            let StoreError::Catalog(error @ CatalogError::Lost { segments: 4, .. }) = error else {
                panic!("{found}: {error:?}");
            };
            let text = error.to_string();
            assert!(
                text.contains(found) && text.contains(CATALOG_FILE),
                "{text}"
            );
            assert!(text.contains("restore"), "{text}");
            assert_eq!(walk(&dir.path().join("data")), before, "{found}");
        }
    }
}

#[test]
fn a_damaged_catalog_is_named_and_nothing_touched() {
    use crate::catalog::CATALOG_FILE;
    let dir = tempfile::tempdir().unwrap();
    let before = filled(&dir);
    let path = dir.path().join(CATALOG_FILE);
    let mut bytes = fs::read(&path).unwrap();
    for byte in &mut bytes[100..] {
        *byte ^= 0x5a;
    }
    for damaged in [bytes, b"no database at all, and longer than a header of one must be, which has 100 bytes, so that it counts".to_vec()] {
        fs::write(&path, damaged).unwrap();
        let error = Store::open(StoreConfig::new(dir.path())).err().unwrap();
        let StoreError::Catalog(error @ CatalogError::Malformed { .. }) = error else {
            panic!("{error:?}");
        };
        let text = error.to_string();
        assert!(text.contains(CATALOG_FILE) && text.contains("estore a backup"), "{text}");
        assert_eq!(walk(&dir.path().join("data")), before);
    }
}

#[test]
fn an_older_catalog_beside_newer_segments_costs_none_of_them() {
    use crate::catalog::{CATALOG_FILE, copy_database};
    let dir = tempfile::tempdir().unwrap();
    let (path, older) = (dir.path().join(CATALOG_FILE), dir.path().join("older"));
    let opened = store(&dir);
    opened.apply(1, logs("api", &[(5, 9, "text")]), None);
    opened.flush().unwrap().unwrap();
    copy_database(&path, &older).unwrap();
    opened.apply(2, logs("api", &[(6, 9, "text")]), None);
    opened.flush().unwrap().unwrap();
    drop(opened);
    let newer = dir.path().join("newer");
    fs::rename(&path, &newer).unwrap();
    fs::rename(&older, &path).unwrap();
    let opened = store(&dir);
    assert_eq!(opened.stats().logs.rows_stored, 1);
    assert_eq!(opened.unclaimed().0, 1);
    drop(opened);

    // Back to where it was: the newer catalog finds its file again.
    let moved = walk(&dir.path().join(crate::segment::UNCLAIMED_FOLDER)).remove(0);
    let start = moved.ancestors().nth(3).unwrap();
    let to = dir
        .path()
        .join("data")
        .join(moved.strip_prefix(start).unwrap());
    fs::rename(&moved, to).unwrap();
    fs::rename(&newer, &path).unwrap();
    assert_eq!(store(&dir).stats().logs.rows_stored, 2);
}

#[test]
fn a_crash_in_the_first_flush_stops_no_start_while_the_journal_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(&dir));
    logs_segment(dir.path(), "text");
    assert!(Store::open(StoreConfig::new(dir.path())).is_err());
    let opened = Store::open(StoreConfig {
        journal_is_whole: true,
        ..StoreConfig::new(dir.path())
    });
    assert_eq!(opened.unwrap().unclaimed().0, 1);
}
