use std::time::Duration;

use arrow::ipc::reader::StreamReader;

use super::*;
use crate::StoreConfig;
use crate::fixtures::{gauge, logs};

fn log_store(dir: &tempfile::TempDir, rows: i64) -> Store {
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    let bodies: Vec<String> = (0..rows).map(|n| format!("line {n}")).collect();
    let records: Vec<(i64, i32, &str)> = (0..)
        .zip(&bodies)
        .map(|(seconds, body)| (seconds, 9, body.as_str()))
        .collect();
    store.apply(1, logs("api", &records), None);
    store.apply(2, gauge(&[("a", 10, 1.5)]), None);
    store.flush().unwrap();
    store
}

async fn encoded(store: &Store, sql: &str, format: SqlFormat) -> Vec<u8> {
    let mut rows = store.sql_rows(sql, SqlLimits::default()).await.unwrap();
    let schema = rows.schema();
    let mut encoder = SqlEncoder::new(format, &schema).unwrap();
    let mut bytes = Vec::new();
    while let Some(batch) = rows.next().await {
        bytes.extend(encoder.rows(&batch.unwrap()).unwrap());
    }
    bytes.extend(encoder.finish(&schema).unwrap());
    bytes
}

#[tokio::test]
async fn every_column_of_every_table_has_each_form() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir, 3);
    for table in Table::ALL {
        let sql = format!("SELECT * FROM {}", table.name());
        let json = String::from_utf8(encoded(&store, &sql, SqlFormat::JsonLines).await).unwrap();
        let csv = String::from_utf8(encoded(&store, &sql, SqlFormat::Csv).await).unwrap();
        let arrow = encoded(&store, &sql, SqlFormat::Arrow).await;
        let rows = match table {
            Table::Logs => 3,
            Table::Spans => 0,
            Table::Samples | Table::Series => 1,
        };
        assert_eq!(json.lines().count(), rows, "{json}");
        for line in json.lines() {
            let _row: serde_json::Value = serde_json::from_str(line).unwrap();
        }
        assert_eq!(csv.lines().count(), rows + 1, "{csv}");
        let read = StreamReader::try_new(arrow.as_slice(), None).unwrap();
        assert_eq!(
            read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
            rows
        );
    }
    let sql = "SELECT time, body, attributes, arrow_cast(trace_id, 'Binary') AS trace FROM logs ORDER BY time LIMIT 1";
    let json = String::from_utf8(encoded(&store, sql, SqlFormat::JsonLines).await).unwrap();
    assert_eq!(
        json,
        "{\"time\":\"2024-10-04T00:00:00\",\"body\":\"line 0\",\"attributes\":{\"http.method\":\"GET\"},\"trace\":null}\n"
    );
    let csv = String::from_utf8(encoded(&store, sql, SqlFormat::Csv).await).unwrap();
    assert_eq!(
        csv,
        "time,body,attributes,trace\n2024-10-04T00:00:00,line 0,\"{\"\"http.method\"\":\"\"GET\"\"}\",\n"
    );
}

#[tokio::test]
async fn an_answer_ends_at_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir, 100);
    let counted = async |sql: &str, limits: SqlLimits| {
        let mut rows = store.sql_rows(sql, limits).await?;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            count += batch?.num_rows();
        }
        Ok::<usize, StoreError>(count)
    };
    let all = SqlLimits::default();
    let some = SqlLimits {
        rows: Some(7),
        ..all
    };
    assert_eq!(counted("SELECT * FROM logs", some).await.unwrap(), 7);
    assert_eq!(counted("SELECT * FROM logs", all).await.unwrap(), 100);
    let few = SqlLimits {
        rows_max: 99,
        ..all
    };
    let error = counted("SELECT * FROM logs", few).await.unwrap_err();
    assert!(matches!(
        error,
        StoreError::QueryTooLarge {
            what: "rows in the answer",
            limit: 99
        }
    ));
    let small = SqlLimits {
        bytes_max: 100,
        ..all
    };
    let error = counted("SELECT * FROM logs", small).await.unwrap_err();
    assert!(matches!(
        error,
        StoreError::QueryTooLarge {
            what: "bytes in the answer",
            ..
        }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_its_query() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir, 100);
    let endless = "SELECT value FROM generate_series(1, 1000000000000)";
    let mut rows = store.sql_rows(endless, SqlLimits::default()).await.unwrap();
    assert!(rows.next().await.unwrap().unwrap().num_rows() > 0);
    assert_eq!(store.query_stats().heavy.running, 1);
    drop(rows);
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.query_stats().heavy.running > 0 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_off_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    drop(log_store(&dir, 100));
    let store = Store::open(StoreConfig {
        query_timeout: Duration::from_millis(300),
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    let endless = "SELECT value FROM generate_series(1, 1000000000000)";
    let limits = SqlLimits {
        rows: None,
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
    };
    let mut rows = store.sql_rows(endless, limits).await.unwrap();
    let mut end = None;
    while let Some(next) = rows.next().await {
        end = next.err();
    }
    assert!(matches!(end, Some(StoreError::Timeout { .. })), "{end:?}");
}

#[tokio::test]
async fn joins_and_made_up_rows_are_heavy_and_small_scans_light() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir, 10);
    for (sql, expect) in [
        ("SELECT count(*) FROM logs", Weight::Light),
        (
            "SELECT body FROM logs ORDER BY time DESC LIMIT 3",
            Weight::Light,
        ),
        ("EXPLAIN ANALYZE SELECT count(*) FROM logs", Weight::Light),
        ("SHOW TABLES", Weight::Light),
        ("SELECT count(*) FROM logs a, logs b", Weight::Heavy),
        (
            "SELECT count(*) FROM logs a JOIN logs b USING (body)",
            Weight::Heavy,
        ),
        (
            "SELECT count(*) FROM generate_series(1, 100000000000)",
            Weight::Heavy,
        ),
        (
            "EXPLAIN ANALYZE SELECT count(*) FROM logs a, logs b",
            Weight::Heavy,
        ),
    ] {
        let planned = store.0.plan_sql(sql).await.unwrap();
        assert_eq!(weight(&planned.plan), expect, "{sql}");
    }
}

#[tokio::test]
async fn sorting_more_than_the_memory_goes_over_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig {
        query_memory_bytes: 16 << 20,
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    // 32 MB of rows.
    let sql = "SELECT value, repeat('x', 200) AS wide FROM generate_series(1, 150000)
               ORDER BY value % 1000, value";
    let mut rows = store.sql_rows(sql, SqlLimits::default()).await.unwrap();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch.unwrap().num_rows();
    }
    assert_eq!(count, 150_000);
}

#[tokio::test]
async fn statements_that_are_too_deep_are_refused_and_deep_ones_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir, 1);
    let chain =
        |operator: &str, count: usize| format!("SELECT 1{}", format!("{operator}1").repeat(count));
    for (sql, refused) in [
        (chain("+", 950), false),
        (format!("SELECT 'a'{}", "||'b'".repeat(950)), false),
        (chain("+", 20_000), true),
        (
            format!("SELECT {}1{}", "(".repeat(900), ")".repeat(900)),
            true,
        ),
        (
            format!("SELECT {}1{}", "abs(".repeat(400), ")".repeat(400)),
            true,
        ),
        (
            format!("SELECT 1 WHERE {}", vec!["1=1"; 450].join(" OR ")),
            false,
        ),
        (vec!["SELECT 1"; 300].join(" UNION ALL "), false),
        (
            format!("SELECT 1 WHERE 1 IN ({})", vec!["1"; 9_000].join(",")),
            false,
        ),
        (" ".repeat(70_000), true),
        ("SELECT '".to_owned(), true),
    ] {
        let answer = store.sql(&sql, 10).await;
        let head: String = sql.chars().take(40).collect();
        assert_eq!(answer.is_err(), refused, "{head}: {:?}", answer.err());
    }
}
