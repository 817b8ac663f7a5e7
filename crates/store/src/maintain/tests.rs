use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use vervet_model::Matcher;
use vervet_wire::otlp::SpanKind;

use super::*;
use crate::catalog::{Catalog as _, CatalogError, Commit, DataFile, SqliteCatalog};
use crate::fixtures::{TestSpan, at, at_ms, gauge, logs, logs_of, spans};
use crate::segment::SegmentError;
use crate::tables::Table;
use crate::{Direction, LogQuery, SampleLimits, Store, StoreConfig, StoreError};

/// Long after the day of the fixtures is over.
const LATER: i64 = 10 * 86_400;

fn small() -> UpkeepConfig {
    UpkeepConfig {
        compaction: CompactionConfig {
            file_bytes_min: 4 << 20,
            file_bytes_max: 8 << 20,
            files_min: 4,
            ..CompactionConfig::default()
        },
        reader_grace: Duration::ZERO,
        ..UpkeepConfig::default()
    }
}

fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(StoreConfig {
        upkeep: small(),
        ..StoreConfig::new(dir.path())
    })
    .unwrap()
}

fn compact_all(store: &Store, now: UnixNanos) -> Vec<Compacted> {
    let cancel = Cancel::default();
    std::iter::from_fn(|| store.compact(now, &cancel).unwrap()).collect()
}

fn read(file: &DataFile) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap());
    let reader = reader.unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// The rows of a table's files as text, in the order of the files.
fn rows(store: &Store, table: Table) -> Vec<String> {
    let view = store.0.cut();
    let batches = view.snapshot.table(table).flat_map(read);
    let row = |batch: &RecordBatch, row: usize| {
        let values = batch.columns().iter();
        let values: Vec<_> = values
            .map(|column| array_value_to_string(column, row).unwrap())
            .collect();
        values.join("|")
    };
    batches
        .flat_map(|batch| {
            let rows: Vec<_> = (0..batch.num_rows()).map(|n| row(&batch, n)).collect();
            rows
        })
        .collect()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn files(store: &Store) -> usize {
    store.0.cut().snapshot.files.len()
}

/// All Parquet files on disk.
fn on_disk(dir: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.join("data")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

fn flush_logs(store: &Store, sequence: u64, body: &str) {
    let seconds = i64::try_from(sequence).unwrap();
    store.apply(sequence, logs("api", &[(seconds, 9, body)]), None);
    store.flush().unwrap().unwrap();
}

fn count_logs() -> LogQuery {
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

#[test]
fn small_files_of_a_day_become_one_and_space_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=12 {
        flush_logs(&store, sequence, "text");
    }
    let before = sorted(rows(&store, Table::Logs));
    let done = compact_all(&store, at(LATER));
    let [one] = done.as_slice() else {
        panic!("{done:?}");
    };
    assert_eq!((one.files, one.rows, one.table), (12, 12, Table::Logs));
    assert_eq!(files(&store), 1);
    assert_eq!(sorted(rows(&store, Table::Logs)), before);
    assert_eq!(
        store.0.cut().snapshot.as_ref(),
        &store.0.catalog.snapshot().unwrap()
    );
    assert_eq!(on_disk(dir.path()).len(), 13);
    let reclaimed = store.reclaim(at(i64::from(u32::MAX))).unwrap();
    assert_eq!((reclaimed.files, reclaimed.waiting_files), (12, 0));
    assert_eq!(on_disk(dir.path()).len(), 1);
    assert_eq!(sorted(rows(&store, Table::Logs)), before);
}

#[test]
fn days_are_never_joined_and_an_open_day_waits_for_more_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=3 {
        let records = [(-1, 9, "yesterday"), (1, 9, "today")];
        store.apply(sequence, logs("api", &records), None);
        store.flush().unwrap().unwrap();
    }
    // One hour and a second into the day: the one before it is closed, itself is not.
    let done = compact_all(&store, at(3_601));
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!((done[0].day, done[0].files), (at(-1).day(), 3));
    flush_logs(&store, 4, "fourth of today");
    let done = compact_all(&store, at(3_601));
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!((done[0].day, done[0].files), (at(1).day(), 4));
    assert_eq!(store.upkeep_status().debt, Debt::default());
}

#[test]
fn of_samples_at_one_time_the_first_applied_stays_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let matchers = [Matcher::equal("__name__", "queue_depth")];
    let limits = SampleLimits {
        series_max: 10,
        samples_max: 100,
        deadline: UnixNanos(i64::MAX),
    };
    let value = || {
        let found = store.samples(&matchers, at_ms(0), at_ms(60), limits);
        found.unwrap()[0].samples.clone()
    };
    for (sequence, value) in (1..=4).zip([1.0, 2.0, 3.0, 4.0]) {
        store.apply(sequence, gauge(&[("a", 5, value)]), None);
        store.flush().unwrap().unwrap();
    }
    // While the first four are merged, a fifth is flushed: its id is lower than that of the merged file.
    let run = store.0.next_run(at(LATER)).unwrap();
    let mut pace = super::pace::Pace::new(u64::MAX);
    let merged = store
        .0
        .write_merged(&run.files, &mut pace, &Cancel::default());
    store.apply(5, gauge(&[("a", 5, 5.0)]), None);
    store.flush().unwrap().unwrap();
    store.0.replace(&run.files, vec![merged.unwrap()]).unwrap();
    assert_eq!(value(), [(at_ms(5), 1.0)]);
    assert_eq!(
        rows(&store, Table::Samples).len(),
        5,
        "rows are kept as they are"
    );
    compact_all(&store, at(LATER));
    assert_eq!(value(), [(at_ms(5), 1.0)]);
    drop(store);
    let store = open(&dir);
    let found = store.samples(&matchers, at_ms(0), at_ms(60), limits);
    assert_eq!(found.unwrap()[0].samples, [(at_ms(5), 1.0)]);
}

#[test]
fn rows_of_series_are_kept_once_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=4 {
        store.apply(sequence, gauge(&[("a", 5, 1.0), ("b", 5, 1.0)]), None);
        // As after a restart that did not know of the rows written before.
        *store.0.series.write() = Default::default();
        store.apply(10 + sequence, gauge(&[("a", 6, 1.0), ("b", 6, 1.0)]), None);
        store.flush().unwrap().unwrap();
    }
    assert!(rows(&store, Table::Series).len() > 2);
    compact_all(&store, at(LATER));
    let series = rows(&store, Table::Series);
    assert_eq!(series.len(), 2, "{series:?}");
    assert_eq!(rows(&store, Table::Samples).len(), 10);
}

#[test]
fn a_damaged_file_is_set_aside_and_the_others_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=9 {
        flush_logs(&store, sequence, "text");
    }
    let view = store.0.cut();
    let damaged: Vec<&DataFile> = [2, 5].map(|at| &view.snapshot.files[at]).to_vec();
    fs::write(&damaged[0].path, "no parquet").unwrap();
    fs::remove_file(&damaged[1].path).unwrap();
    let done = compact_all(&store, at(LATER));
    assert_eq!(
        done.iter().map(|done| done.files).sum::<u64>(),
        7,
        "{done:?}"
    );
    assert_eq!(files(&store), 5);
    let status = store.upkeep_status();
    let mut aside: Vec<_> = status.set_aside.iter().map(|file| &file.path).collect();
    aside.sort();
    let mut expect: Vec<_> = damaged.iter().map(|file| &file.path).collect();
    expect.sort();
    assert_eq!(aside, expect);
    assert!(status.set_aside.iter().all(|file| !file.reason.is_empty()));
    assert_eq!(
        compact_all(&store, at(LATER + 60)),
        [],
        "not tried again at once"
    );
    assert_eq!(store.upkeep_status().set_aside.len(), 2);
    assert_eq!(
        on_disk(dir.path()).len(),
        9 - 1 + 3,
        "no output of a failed merge is left"
    );
}

#[test]
fn a_file_with_fewer_rows_than_committed_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=4 {
        flush_logs(&store, sequence, "text");
    }
    let three = [(1, 9, "a"), (2, 9, "b"), (3, 9, "c")];
    store.apply(5, logs("api", &three), None);
    store.flush().unwrap();
    let view = store.0.cut();
    let (first, last) = (&view.snapshot.files[0], &view.snapshot.files[4]);
    fs::copy(&first.path, &last.path).unwrap();
    compact_all(&store, at(LATER));
    let status = store.upkeep_status();
    let reason = &status.set_aside[0].reason;
    assert!(
        reason.contains("holds 1 rows, the catalog says 3"),
        "{reason}"
    );
    assert_eq!(files(&store), 2);
}

#[test]
fn work_that_is_called_off_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=4 {
        flush_logs(&store, sequence, "text");
    }
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(store.compact(at(LATER), &cancel).unwrap(), None);
    let run = store.0.next_run(at(LATER)).unwrap();
    let mut pace = super::pace::Pace::new(u64::MAX);
    let error = store
        .0
        .write_merged(&run.files, &mut pace, &cancel)
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Segment(SegmentError::Cancelled)),
        "{error}"
    );
    assert_eq!((files(&store), on_disk(dir.path()).len()), (4, 4));
}

#[test]
fn a_crash_before_the_commit_leaves_an_orphan_that_the_next_start_moves_aside() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let store = open(&dir);
        for sequence in 1..=4 {
            flush_logs(&store, sequence, "text");
        }
        let run = store.0.next_run(at(LATER)).unwrap();
        let mut pace = super::pace::Pace::new(u64::MAX);
        store
            .0
            .write_merged(&run.files, &mut pace, &Cancel::default())
            .unwrap();
        rows(&store, Table::Logs)
    };
    assert_eq!(on_disk(dir.path()).len(), 5);
    let store = open(&dir);
    assert_eq!(on_disk(dir.path()).len(), 4);
    assert_eq!(rows(&store, Table::Logs), before);
    assert_eq!(store.unclaimed().0, 1);
}

#[test]
fn a_run_with_a_file_that_ended_meanwhile_is_dropped_without_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=4 {
        flush_logs(&store, sequence, "text");
    }
    let run = store.0.next_run(at(LATER)).unwrap();
    let mut pace = super::pace::Pace::new(u64::MAX);
    let merged = store
        .0
        .write_merged(&run.files, &mut pace, &Cancel::default());
    let drop_one = Commit {
        remove: vec![run.files[1].id],
        ..Commit::default()
    };
    store.0.commit(&drop_one).unwrap();
    let error = store
        .0
        .replace(&run.files, vec![merged.unwrap()])
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Catalog(CatalogError::NotLive { .. })),
        "{error}"
    );
    assert_eq!(on_disk(dir.path()).len(), 4, "the merged file is deleted");
    assert_eq!(compact_all(&store, at(LATER))[0].files, 3);
}

#[test]
fn a_file_stays_while_a_query_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=4 {
        flush_logs(&store, sequence, "text");
    }
    let view = store.0.cut();
    let one_file = view.snapshot.files[3].clone();
    compact_all(&store, at(LATER));
    let end_of_grace = at(i64::from(u32::MAX));
    let held = store.reclaim(end_of_grace).unwrap();
    assert_eq!((held.files, held.waiting_files), (0, 4));
    assert_eq!(store.upkeep_status().waiting_files, 4);
    drop(view);
    let held = store.reclaim(end_of_grace).unwrap();
    assert_eq!((held.files, held.waiting_files), (3, 1));
    assert!(one_file.path.exists());
    let path = one_file.path.to_path_buf();
    drop(one_file);
    assert_eq!(store.reclaim(end_of_grace).unwrap().files, 1);
    assert!(!path.exists());
    assert_eq!(on_disk(dir.path()).len(), 1);
}

#[test]
fn the_grace_of_foreign_readers_begins_when_a_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig {
        upkeep: UpkeepConfig {
            reader_grace: Duration::from_secs(600),
            ..small()
        },
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    for sequence in 1..=4 {
        flush_logs(&store, sequence, "text");
    }
    compact_all(&store, at(LATER));
    use vervet_model::{Clock as _, SystemClock};
    let now = SystemClock.now();
    let waiting = store
        .reclaim(now.saturating_add(Duration::from_secs(590)))
        .unwrap();
    assert_eq!((waiting.files, waiting.waiting_files), (0, 4));
    assert_eq!(
        store
            .reclaim(now.saturating_add(Duration::from_secs(660)))
            .unwrap()
            .files,
        4
    );
}

#[test]
fn an_environment_with_limits_of_its_own_has_files_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let staging = EnvironmentKeep {
        logs: Keep {
            age: Some(Duration::from_secs(86_400)),
            bytes: None,
        },
        traces: Keep::default(),
    };
    let retention = RetentionConfig {
        environments: BTreeMap::from([("staging".to_owned(), staging)]),
        ..RetentionConfig::default()
    };
    let open = || {
        Store::open(StoreConfig {
            upkeep: UpkeepConfig {
                retention: retention.clone(),
                ..small()
            },
            ..StoreConfig::new(dir.path())
        })
        .unwrap()
    };
    let store = open();
    for sequence in 1..=3 {
        for (place, environment) in (0..).zip(["production", "staging", "qa"]) {
            let records = [(1, "ann", environment)];
            let decoded = logs_of("api", environment, &records);
            store.apply(3 * sequence + place, decoded, None);
        }
        store.flush().unwrap();
    }
    let classes = |store: &Store| {
        let view = store.0.cut();
        let files = view.snapshot.files.iter();
        files
            .map(|file| (file.class.to_string(), file.rows))
            .collect::<Vec<_>>()
    };
    let mut parts = vec![(String::new(), 2); 3];
    parts.extend(vec![("staging".to_owned(), 1); 3]);
    assert_eq!(classes(&store), parts);
    compact_all(&store, at(LATER));
    let merged = [(String::new(), 6), ("staging".to_owned(), 3)];
    assert_eq!(classes(&store), merged);
    drop(store);
    let store = open();
    assert_eq!(classes(&store), merged);
    let retained = store.retain(at(3 * 86_400)).unwrap();
    assert_eq!((retained.by_age.files, retained.by_age.rows), (1, 3));
    assert_eq!(retained.by_size, Dropped::default());
    assert_eq!(classes(&store), merged[..1]);
    // The six parts of the merged files, and the dropped file.
    assert_eq!(store.reclaim(at(i64::from(u32::MAX))).unwrap().files, 7);
    assert_eq!(on_disk(dir.path()).len(), 1);
    assert_eq!(store.retain(at(3 * 86_400)).unwrap(), Retained::default());
}

/// Rows that are applied before each flush: logs, spans and samples with times, texts and series from small
/// ranges, so that equal ones are common.
fn batches() -> impl Strategy<Value = Vec<Vec<(u8, i64, u8)>>> {
    let row = (0..3_u8, -5..5_i64, 0..4_u8);
    prop::collection::vec(prop::collection::vec(row, 1..6), 2..10)
}

fn apply(store: &Store, sequence: &mut u64, rows: &[(u8, i64, u8)]) {
    const SERVICES: [&str; 4] = ["a", "b", "", "zoo"];
    for (kind, seconds, which) in rows {
        let name = SERVICES[usize::from(*which)];
        let decoded = match kind {
            0 => logs(name, &[(*seconds, 9, name)]),
            1 => {
                let span = TestSpan {
                    trace: *which,
                    id: *which + 1,
                    parent: None,
                    name,
                    kind: SpanKind::Server,
                    seconds: *seconds,
                    millis: 5,
                    failed: false,
                };
                spans(name, &[span])
            }
            _ => gauge(&[(name, *seconds, f64::from(*which))]),
        };
        *sequence += 1;
        store.apply(*sequence, decoded, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn rows_are_kept_exactly(before in batches(), meanwhile in batches()) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        let mut sequence = 0;
        for rows in &before {
            apply(&store, &mut sequence, rows);
            store.flush().unwrap();
        }
        let expect = |store: &Store| {
            let tables = [Table::Logs, Table::Spans, Table::Samples];
            tables.map(|table| (table, sorted(rows(store, table)))).into_iter().collect::<BTreeMap<_, _>>()
        };
        // Every run is written while rows are flushed, and only then committed.
        let mut more = meanwhile.iter();
        while let Some(run) = store.0.next_run(at(LATER)) {
            let mut pace = super::pace::Pace::new(u64::MAX);
            let merged = store.0.write_merged(&run.files, &mut pace, &Cancel::default()).unwrap();
            if let Some(rows) = more.next() {
                apply(&store, &mut sequence, rows);
                store.flush().unwrap();
            }
            let all = expect(&store);
            store.0.replace(&run.files, vec![merged]).unwrap();
            prop_assert_eq!(expect(&store), all);
        }
        let listed = store.0.catalog.snapshot().unwrap();
        let view = store.0.cut();
        prop_assert_eq!(view.snapshot.as_ref(), &listed);
        for (day, count) in days(&store) {
            prop_assert_eq!(count, 1, "{:?}", day);
        }
    }
}

/// Files by table and day.
fn days(store: &Store) -> BTreeMap<(Table, i32), usize> {
    let mut days = BTreeMap::new();
    for file in &store.0.cut().snapshot.files {
        *days.entry((file.table, file.day)).or_default() += 1;
    }
    days
}

/// A reader that counts all the time sees no row vanish and none twice, while rows come in, are flushed, merged
/// and the merged files deleted.
#[test]
fn counts_never_go_down_or_double() {
    const REQUESTS: u64 = 150;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let done = Arc::new(AtomicBool::new(false));
    let span = |n: i64| TestSpan {
        trace: 1,
        id: 1,
        parent: None,
        name: "work",
        kind: SpanKind::Server,
        seconds: n,
        millis: 1,
        failed: false,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=REQUESTS {
                let seconds = i64::try_from(n).unwrap();
                store.apply(3 * n - 2, logs("api", &[(seconds, 9, "text")]), None);
                store.apply(3 * n - 1, spans("api", &[span(seconds)]), None);
                store.apply(3 * n, gauge(&[("a", seconds, 1.0)]), None);
                store.flush().unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let upkeep = scope.spawn(|| {
            let mut merged = 0;
            while !done.load(Ordering::SeqCst) {
                merged += compact_all(&store, at(LATER)).len();
                store.reclaim(at(i64::from(u32::MAX))).unwrap();
            }
            merged
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (mut seen, mut reads) = ([0_u64; 3], 0);
        let mut last = false;
        loop {
            let counts = runtime.block_on(counts(&store));
            for (seen, count) in seen.iter_mut().zip(counts) {
                assert!(count >= *seen, "{count} after {seen}");
                assert!(count <= REQUESTS, "{count} of {REQUESTS}");
                *seen = count;
            }
            reads += 1;
            if last {
                break;
            }
            last = done.load(Ordering::SeqCst);
        }
        assert_eq!(seen, [REQUESTS; 3]);
        let merged = upkeep.join().unwrap();
        assert!(merged > 3 && reads > 3, "{merged} merges, {reads} reads");
    });
    assert!(files(&store) < 100, "{}", files(&store));
}

/// Log records and spans by SQL, samples as PromQL reads them.
async fn counts(store: &Store) -> [u64; 3] {
    let logs = store.logs(&count_logs()).await.unwrap().len() as u64;
    let counted = store.sql("SELECT count(*) AS n FROM spans", 10).await;
    let columns = crate::columns::Columns::new("test", &counted.unwrap()[0])
        .i64("n")
        .unwrap()
        .value(0);
    let limits = SampleLimits {
        series_max: 10,
        samples_max: 10_000,
        deadline: UnixNanos(i64::MAX),
    };
    let matchers = [Matcher::equal("__name__", "queue_depth")];
    let found = store
        .samples(&matchers, at_ms(0), at_ms(86_400), limits)
        .unwrap();
    let samples = found.iter().map(|series| series.samples.len() as u64).sum();
    [logs, columns.unsigned_abs(), samples]
}

#[test]
fn a_catalog_read_anew_has_the_order_of_merged_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=5 {
        flush_logs(&store, sequence, "text");
    }
    let run = store.0.next_run(at(LATER)).unwrap();
    let first = run.files[0].order;
    compact_all(&store, at(LATER));
    drop(store);
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let files = catalog.snapshot().unwrap().files;
    assert_eq!(files[0].order, first);
    assert!(files[0].id.0 > first);
}
