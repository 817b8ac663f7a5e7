//! What DuckDB sees while files are added, replaced and deleted.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use vervet_model::{Clock as _, ManualClock, UnixNanos};
use vervet_store::catalog::{Catalog as _, Commit, DataFile, SqliteCatalog};
use vervet_store::tables::Table;

use crate::oracle::DuckDb;
use crate::rows::{DAY, DAY_NS, LogRow, SampleRow, Seed};
use crate::{rows, store, write};

const ROWS: usize = 50;

fn logs(seed: &mut Seed) -> RecordBatch {
    let row = |_| LogRow {
        time: i64::from(DAY) * DAY_NS + i64::try_from(seed.below(1_000_000_000)).unwrap(),
        severity: 9,
        service: seed.pick(&["api", "web"]).to_owned(),
        stream: seed.next(),
        trace: None,
        body: "same".to_owned(),
        attributes: Vec::new(),
        resource: Vec::new(),
    };
    rows::logs(&(0..ROWS).map(row).collect::<Vec<_>>())
}

fn samples(seed: &mut Seed) -> RecordBatch {
    let row = |_| SampleRow {
        metric: "up".to_owned(),
        series: seed.next(),
        time_ms: i64::from(DAY) * DAY_NS / 1_000_000 + i64::try_from(seed.below(1_000)).unwrap(),
        value: 1.0,
    };
    rows::samples(&(0..ROWS).map(row).collect::<Vec<_>>())
}

fn read(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Replaces all files of `logs` by one.
fn merge(dir: &std::path::Path, catalog: &SqliteCatalog) {
    let files: Vec<DataFile> = catalog
        .snapshot()
        .unwrap()
        .table(Table::Logs)
        .cloned()
        .collect();
    let batches: Vec<_> = files.iter().map(|file| read(&file.path)).collect();
    let all = concat_batches(&Table::Logs.schema(), &batches).unwrap();
    let commit = Commit {
        add: write(dir, Table::Logs, &all),
        remove: files.iter().map(|file| file.id).collect(),
        ..Commit::default()
    };
    catalog.commit(&commit).unwrap();
}

#[test]
fn duckdb_reads_whole_commits_while_they_go_on() {
    const COMMITS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) =
        DuckDb::attach("duckdb_reads_whole_commits_while_they_go_on", dir.path())
    else {
        return;
    };
    let sql =
        "SELECT (SELECT count(*) FROM logs), (SELECT CAST(sum(value) AS BIGINT) FROM samples)";
    let reads = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut seed = Seed(2);
            for _commit in 0..COMMITS {
                let batches = [
                    (Table::Logs, logs(&mut seed)),
                    (Table::Samples, samples(&mut seed)),
                ];
                store(dir.path(), &catalog, &batches);
            }
        });
        let (mut seen, mut reads) = (0, 0);
        while !writer.is_finished() {
            let row = duckdb.row(sql);
            let count = row[0].as_u64().unwrap();
            assert_eq!(count % ROWS as u64, 0, "part of a commit is visible");
            assert_eq!(
                row[1].as_u64().unwrap_or(0),
                count,
                "one table is ahead of the other"
            );
            assert!(count >= seen, "rows went away: {seen} then {count}");
            (seen, reads) = (count, reads + 1);
        }
        reads
    });
    println!("{reads} reads during {COMMITS} commits");
    assert!(reads > 1, "DuckDB was kept waiting");
    assert_eq!(duckdb.row(sql), json!([COMMITS * ROWS, COMMITS * ROWS]));
}

#[test]
fn replaced_files_are_seen_once_even_while_duckdb_reads() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let mut seed = Seed(3);
    for _file in 0..4 {
        store(dir.path(), &catalog, &[(Table::Logs, logs(&mut seed))]);
    }
    let test = "replaced_files_are_seen_once_even_while_duckdb_reads";
    let Some(mut duckdb) = DuckDb::attach(test, dir.path()) else {
        return;
    };
    let sql =
        "SELECT count(*), count(DISTINCT stream_id), count(DISTINCT filename) FROM logs_packed";
    let rows = 4 * ROWS;
    assert_eq!(duckdb.row(sql), json!([rows, rows, 4]));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..30).for_each(|_| merge(dir.path(), &catalog)));
        while !writer.is_finished() {
            let row = duckdb.row(sql);
            assert_eq!((&row[0], &row[1]), (&json!(rows), &json!(rows)), "{row}");
        }
    });
    assert_eq!(duckdb.row(sql), json!([rows, rows, 1]));
    // Snapshot 1 made the tables, the next two added a file each.
    let earlier = "SELECT count(*) FROM logs_packed AT (VERSION => 3)";
    assert_eq!(duckdb.number(earlier), 2 * ROWS as u64);
    let dated = "SELECT count(*) FROM ducklake_snapshots('lake') WHERE snapshot_time > now() - INTERVAL 1 HOUR";
    assert_eq!(duckdb.number(dated), 2 + 4 + 30);
}

#[test]
fn reclaimed_catalog_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(UnixNanos(i64::from(DAY) * DAY_NS)));
    let catalog = SqliteCatalog::open_with_clock(dir.path(), Arc::clone(&clock) as _).unwrap();
    let mut seed = Seed(4);
    for _file in 0..3 {
        store(
            dir.path(),
            &catalog,
            &[
                (Table::Logs, logs(&mut seed)),
                (Table::Samples, samples(&mut seed)),
            ],
        );
    }
    merge(dir.path(), &catalog);
    let Some(mut attached_before) = DuckDb::attach("reclaimed_catalog_reads_the_same", dir.path())
    else {
        return;
    };
    let sql = "SELECT (SELECT count(*) FROM logs WHERE service_name >= 'a'), (SELECT count(*) FROM samples)";
    let expect = json!([3 * ROWS, 3 * ROWS]);
    assert_eq!(attached_before.row(sql), expect);

    clock.advance(Duration::from_secs(3_600));
    let reclaimed = catalog.reclaim(clock.now(), &HashSet::new()).unwrap();
    assert_eq!((reclaimed.snapshots, reclaimed.files), (5, 3));
    assert_eq!(attached_before.row(sql), expect);
    let mut attached_after =
        DuckDb::attach("reclaimed_catalog_reads_the_same", dir.path()).unwrap();
    assert_eq!(attached_after.row(sql), expect);
    store(dir.path(), &catalog, &[(Table::Logs, logs(&mut seed))]);
    assert_eq!(attached_after.row(sql), json!([4 * ROWS, 3 * ROWS]));
}

#[test]
fn totals_in_the_catalog_are_those_duckdb_counts() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let mut seed = Seed(5);
    for _file in 0..3 {
        store(dir.path(), &catalog, &[(Table::Logs, logs(&mut seed))]);
    }
    merge(dir.path(), &catalog);
    let Some(mut duckdb) =
        DuckDb::attach("totals_in_the_catalog_are_those_duckdb_counts", dir.path())
    else {
        return;
    };
    let info = duckdb.row("SELECT file_count, file_size_bytes FROM ducklake_table_info('lake') WHERE table_name = 'logs_packed'");
    let files: Vec<DataFile> = catalog.snapshot().unwrap().files;
    assert_eq!(info, json!([1, files[0].bytes]));
    let stats: (u64, u64, u64) = {
        let sqlite = rusqlite::Connection::open(catalog.path()).unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        };
        let (records, next, bytes) = sqlite
            .query_row("SELECT record_count, next_row_id, file_size_bytes FROM ducklake_table_stats WHERE table_id = 1", [], read)
            .unwrap();
        (
            records.unsigned_abs(),
            next.unsigned_abs(),
            bytes.unsigned_abs(),
        )
    };
    assert_eq!(stats.0, duckdb.number("SELECT count(*) FROM logs"));
    assert_eq!(stats.2, files[0].bytes);
    assert_eq!(
        stats.1,
        duckdb.number("SELECT max(rowid) + 1 FROM logs_packed")
    );
}

/// Somebody attached the catalog for writing: the bounds DuckDB then keeps per table must not hide what
/// is committed later.
#[test]
fn foreign_table_bounds_do_not_hide_later_rows() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let mut seed = Seed(7);
    store(dir.path(), &catalog, &[(Table::Logs, logs(&mut seed))]);
    let severity_of_9 =
        "INSERT INTO ducklake_table_column_stats VALUES (1, 4, 0, NULL, '1', '2', NULL)";
    rusqlite::Connection::open(catalog.path())
        .unwrap()
        .execute(severity_of_9, [])
        .unwrap();
    let test = "foreign_table_bounds_do_not_hide_later_rows";
    let Some(mut duckdb) = DuckDb::attach(test, dir.path()) else {
        return;
    };
    let sql = "SELECT count(*) FROM logs WHERE severity_number > 5";
    assert_eq!(duckdb.number(sql), 0, "the trap this test is about is gone");
    store(dir.path(), &catalog, &[(Table::Logs, logs(&mut seed))]);
    let mut duckdb = DuckDb::attach(test, dir.path()).unwrap();
    assert_eq!(duckdb.number(sql), 2 * ROWS as u64);
}
