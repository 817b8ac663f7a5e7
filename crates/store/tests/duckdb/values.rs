//! Values of all kinds, read back through DuckDB.

use serde_json::json;
use vervet_store::catalog::SqliteCatalog;
use vervet_store::tables::Table;

use crate::oracle::DuckDb;
use crate::rows::{DAY, DAY_NS, LogRow, SampleRow, SeriesRow};
use crate::{rows, store};

fn log(service: &str, time: i64) -> LogRow {
    LogRow {
        time,
        severity: 9,
        service: service.to_owned(),
        stream: 1,
        trace: None,
        body: String::new(),
        attributes: Vec::new(),
        resource: Vec::new(),
    }
}

#[test]
fn unusual_values_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) = DuckDb::attach("unusual_values_read_back", dir.path()) else {
        return;
    };
    let long = "x".repeat(300);
    let before_1970 = -DAY_NS + 1;
    let mut full = log("full", i64::from(DAY) * DAY_NS + 123_456_789);
    full.trace = Some((0..16).collect());
    full.body = "line one\nline 'two' \u{1f412}".to_owned();
    full.attributes = vec![
        ("http.status".to_owned(), "500".to_owned()),
        ("empty".to_owned(), String::new()),
    ];
    full.resource = vec![("k8s.node.name".to_owned(), "node-1".to_owned())];
    for row in [
        log(&long, 0),
        log("nul\0byte", 0),
        log("old", before_1970),
        full,
    ] {
        store(dir.path(), &catalog, &[(Table::Logs, rows::logs(&[row]))]);
    }
    let mut check =
        |sql: &str, expect: serde_json::Value| assert_eq!(duckdb.row(sql), expect, "{sql}");
    check(
        &format!("SELECT count(*) FROM logs WHERE service_name = '{long}'"),
        json!([1]),
    );
    check(
        "SELECT count(*) FROM logs WHERE service_name > 'nu' AND service_name < 'nv'",
        json!([1]),
    );
    check(
        "SELECT count(*) FROM logs WHERE time < make_timestamp_ns(0)",
        json!([1]),
    );
    check(
        "SELECT day, epoch_ns(time) FROM logs WHERE service_name = 'old'",
        json!([-1, before_1970]),
    );
    check(
        "SELECT attributes['http.status'], attributes['empty'], attributes['none'], resource_attributes['k8s.node.name'] FROM logs WHERE service_name = 'full'",
        json!(["500", "", null, "node-1"]),
    );
    check(
        "SELECT hex(trace_id), hex(span_id), body, event_name, epoch_ns(time) % 1000000000 FROM logs WHERE severity_number = 9 AND trace_id IS NOT NULL",
        json!([
            "000102030405060708090A0B0C0D0E0F",
            "08090A0B0C0D0E0F",
            "line one\nline 'two' \u{1f412}",
            null,
            123_456_789
        ]),
    );
    check(
        "SELECT count(*) FROM logs WHERE time BETWEEN TIMESTAMP '2024-10-04 00:00:00' AND TIMESTAMP '2024-10-04 00:00:01'",
        json!([1]),
    );
    check(
        "SELECT count(DISTINCT day), min(day), max(day) FROM logs",
        json!([3, -1, DAY]),
    );
}

#[test]
fn samples_join_their_series() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) = DuckDb::attach("samples_join_their_series", dir.path()) else {
        return;
    };
    let series: Vec<SeriesRow> = [(u64::MAX, "a"), (0, "b"), (1 << 63, "c")]
        .map(|(series, pod)| SeriesRow {
            day: DAY,
            metric: "up".to_owned(),
            series,
            labels: vec![("pod".to_owned(), pod.to_owned())],
        })
        .to_vec();
    let values = [1.5, f64::NAN, f64::INFINITY, -0.0, 2.5];
    let samples: Vec<SampleRow> = series
        .iter()
        .flat_map(|of| {
            (0_i64..)
                .zip(values)
                .map(|(n, value)| (of.series, n, value))
        })
        .map(|(series, n, value)| SampleRow {
            metric: "up".to_owned(),
            series,
            time_ms: i64::from(DAY) * DAY_NS / 1_000_000 + n * 15_000,
            value,
        })
        .collect();
    store(
        dir.path(),
        &catalog,
        &[
            (Table::Series, rows::series(&series)),
            (Table::Samples, rows::samples(&samples)),
        ],
    );
    let mut check =
        |sql: &str, expect: serde_json::Value| assert_eq!(json!(duckdb.rows(sql)), expect, "{sql}");
    check(
        "SELECT labels['pod'], count(*), sum(value) FILTER (WHERE isfinite(value)), max(epoch_ms(time)) % 86400000 FROM samples JOIN series USING (day, metric, series_id) GROUP BY ALL ORDER BY ALL",
        json!([
            ["a", 5, 4.0, 60_000],
            ["b", 5, 4.0, 60_000],
            ["c", 5, 4.0, 60_000]
        ]),
    );
    check("SELECT count(*) FROM samples WHERE value > 2", json!([[9]]));
    check(
        "SELECT count(*) FROM samples WHERE isnan(value)",
        json!([[3]]),
    );
    check(
        "SELECT count(*) FROM samples WHERE value < 0.5",
        json!([[3]]),
    );
    check(
        "SELECT count(*) FROM samples WHERE series_id = 18446744073709551615",
        json!([[5]]),
    );
}

#[test]
fn moved_folder_is_attached_once_it_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let first = dir.path().join("first");
    let catalog = SqliteCatalog::open(&first).unwrap();
    store(
        &first,
        &catalog,
        &[(Table::Logs, rows::logs(&[log("a", 5)]))],
    );
    drop(catalog);
    let second = dir.path().join("second place");
    std::fs::rename(&first, &second).unwrap();
    SqliteCatalog::open(&second).unwrap();
    let Some(mut duckdb) = DuckDb::attach("moved_folder_is_attached_once_it_was_opened", &second)
    else {
        return;
    };
    assert_eq!(
        duckdb.number("SELECT count(*) FROM logs WHERE service_name = 'a'"),
        1
    );
}
