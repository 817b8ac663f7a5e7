use arrow::ipc::reader::StreamReader;

use super::*;
use crate::StoreConfig;
use crate::fixtures::{gauge, logs};

mod damaged;
mod ids;
mod memory;

/// With a hundred records 10^10 rows, none of which is kept.
const ENDLESS: &str = "SELECT 1 AS n FROM logs a CROSS JOIN (SELECT 1 FROM logs b CROSS JOIN
    (SELECT 1 FROM logs c CROSS JOIN (SELECT 1 FROM logs d CROSS JOIN logs e) f) g) h";

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
    let mut rows = store.sql_rows(ENDLESS, SqlLimits::default()).await.unwrap();
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
        query_timeout: Duration::from_secs(3),
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    let limits = SqlLimits {
        rows: None,
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
    };
    let mut rows = store.sql_rows(ENDLESS, limits).await.unwrap();
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
            "EXPLAIN ANALYZE SELECT count(*) FROM logs a, logs b",
            Weight::Heavy,
        ),
    ] {
        let planned = store
            .0
            .plan_sql(sql, Instant::now() + Duration::from_secs(60))
            .await
            .unwrap();
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
    let bodies: Vec<String> = (0..400).map(|n| format!("{n:0200}")).collect();
    let records = (0..).zip(&bodies);
    let records: Vec<(i64, i32, &str)> = records.map(|(at, body)| (at, 9, body.as_str())).collect();
    store.apply(1, logs("api", &records), None);
    // 32 MB of rows.
    let sql = "SELECT a.time, b.body FROM logs a, logs b ORDER BY b.body DESC, a.time";
    let mut rows = store.sql_rows(sql, SqlLimits::default()).await.unwrap();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch.unwrap().num_rows();
    }
    assert_eq!(count, 160_000);
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
        (format!("SELECT length('a'{})", "||1".repeat(950)), false),
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

async fn answer(store: &Store, sql: &str) -> String {
    String::from_utf8(encoded(store, sql, SqlFormat::JsonLines).await).unwrap()
}

#[tokio::test]
async fn functions_for_logs_answer_as_they_always_did() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir, 3);
    for (expression, expect) in [
        ("body || '-' || severity_number", r#""line 0-9""#),
        ("'a' || NULL", "null"),
        ("concat(body, NULL, '!')", r#""line 0!""#),
        ("concat_ws(',', body, 'x')", r#""line 0,x""#),
        ("replace(body, 'line', 'row')", r#""row 0""#),
        (
            r"regexp_replace(body, '(\w+) (\d)', '${2} ${1}')",
            r#""0 line""#,
        ),
        ("upper(body)", r#""LINE 0""#),
        ("initcap(body)", r#""Line 0""#),
        ("translate(body, 'le', 'LE')", r#""LinE 0""#),
        ("split_part(body, ' ', 2)", r#""0""#),
        ("substring(body from 1 for 4)", r#""line""#),
        ("position('n' in body)", "3"),
        ("body ~ '^line'", "true"),
        ("extract(year FROM time)", "2024"),
        ("date_trunc('hour', time)", r#""2024-10-04T00:00:00""#),
        ("to_char(time, '%H')", r#""00""#),
        ("round(abs(-1.26), 1)", "1.3"),
        ("coalesce(NULL, body)", r#""line 0""#),
        ("attributes['http.method'] IS NULL", "false"),
    ] {
        let sql = format!("SELECT {expression} AS x FROM logs ORDER BY time LIMIT 1");
        let row = answer(&store, &sql).await;
        assert_eq!(row, format!("{{\"x\":{expect}}}\n"), "{expression}");
    }
    for (aggregate, expect) in [
        (
            "string_agg(body, ',' ORDER BY body)",
            r#""line 0,line 1,line 2""#,
        ),
        ("count(DISTINCT body)", "3"),
        ("approx_percentile_cont(severity_number, 0.5)", "9.0"),
        ("max(body)", r#""line 2""#),
    ] {
        let row = answer(&store, &format!("SELECT {aggregate} AS x FROM logs")).await;
        assert_eq!(row, format!("{{\"x\":{expect}}}\n"), "{aggregate}");
    }
    let lag = "SELECT lag(body) OVER (ORDER BY time) AS x FROM logs ORDER BY time LIMIT 1 OFFSET 1";
    assert_eq!(answer(&store, lag).await, "{\"x\":\"line 0\"}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_planned_while_others_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir, 100);
    let one = store.sql_rows(ENDLESS, SqlLimits::default()).await.unwrap();
    let other = store.sql_rows(ENDLESS, SqlLimits::default()).await.unwrap();
    assert_eq!(store.query_stats().heavy.running, 2);
    assert_eq!(answer(&store, "SELECT 1 AS x").await, "{\"x\":1}\n");
    drop((one, other));
}
