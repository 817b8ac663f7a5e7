//! Values of all kinds, read back through DuckDB.

use serde_json::json;
use vervet_store::catalog::SqliteCatalog;
use vervet_store::tables::Table;

use crate::oracle::DuckDb;
use crate::rows::{DAY, DAY_NS, LogRow, SampleRow, Seed, SeriesRow};
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
fn sample_values_read_back_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) = DuckDb::attach("sample_values_read_back_to_the_bit", dir.path()) else {
        return;
    };
    let mut seed = Seed(11);
    let mut all = Vec::new();
    for commit in 0..3 {
        let samples: Vec<SampleRow> = (0..40_u64)
            .flat_map(|series| (0..200_i64).map(move |n| (series, n)))
            .map(|(series, n)| SampleRow {
                metric: format!("metric_{}", series / 4),
                series,
                time_ms: i64::from(DAY) * DAY_NS / 1_000_000 + (commit * 200 + n) * 15_000,
                value: unusual(&mut seed, series),
            })
            .collect();
        store(
            dir.path(),
            &catalog,
            &[(Table::Samples, rows::samples(&samples))],
        );
        all.extend(samples);
    }
    all.sort_by_key(|row| (row.series, row.time_ms));
    let found = duckdb.rows("BITS SELECT value FROM samples ORDER BY series_id, time");
    let expect: Vec<serde_json::Value> = all
        .iter()
        .map(|row| json!([format!("{:016x}", row.value.to_bits())]))
        .collect();
    assert_eq!(found.len(), expect.len());
    let differ = found
        .iter()
        .zip(&expect)
        .position(|(found, expect)| found != expect);
    assert_eq!(differ.map(|at| (&found[at], &expect[at])), None);
    let packed = duckdb.number("SELECT count(mantissa) FROM samples_packed");
    assert!(
        packed > 12_000,
        "{packed} of {} samples are decimals",
        all.len()
    );
}

#[test]
fn bodies_read_back_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) = DuckDb::attach("bodies_read_back_to_the_byte", dir.path()) else {
        return;
    };
    let mut seed = Seed(12);
    let mut all = Vec::new();
    for commit in 0..3_i64 {
        let logs: Vec<LogRow> = (0..1_500_i64)
            .map(|n| LogRow {
                body: body(&mut seed, n),
                ..log("texts", i64::from(DAY) * DAY_NS + commit * 2_000 + n)
            })
            .collect();
        store(dir.path(), &catalog, &[(Table::Logs, rows::logs(&logs))]);
        all.extend(logs.into_iter().map(|row| json!([row.body])));
    }
    assert_eq!(duckdb.rows("SELECT body FROM logs ORDER BY time"), all);
    let (found, text) = (
        &all[4_321][0],
        all[4_321][0].as_str().unwrap().replace('\'', "''"),
    );
    let sql = format!("SELECT DISTINCT body FROM logs WHERE body = '{text}'");
    assert_eq!(&duckdb.row(&sql)[0], found);
    let packed = duckdb.number("SELECT count(packed_body) FROM logs_packed");
    assert!(
        packed > 3_000,
        "{packed} of {} bodies are packed",
        all.len()
    );
    let numbers = duckdb.number("SELECT count(packed_number_body) FROM logs_packed");
    assert!(numbers > 500, "{numbers} bodies have a number");
}

/// A store as version 6 wrote it, whose texts have no numbers.
const VERSION_6: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/version-6");

#[test]
fn texts_of_an_earlier_version_are_in_the_view_beside_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let packed = std::fs::read(format!("{VERSION_6}/catalog.sqlite.zst")).unwrap();
    let old = zstd::decode_all(packed.as_slice()).unwrap();
    std::fs::write(dir.path().join("catalog.sqlite"), old).unwrap();
    for file in [
        "4fb8f857-d500-468f-a867-0dd6e864e139",
        "efeb66a9-3695-4980-888e-13beaa6b4b34",
    ] {
        let file = format!("data/logs/day=20000/{file}.parquet");
        let to = dir.path().join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(format!("{VERSION_6}/{file}"), to).unwrap();
    }
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let test = "texts_of_an_earlier_version_are_in_the_view_beside_new_ones";
    let Some(mut duckdb) = DuckDb::attach(test, dir.path()) else {
        return;
    };
    let bodies = |number: i64| LogRow {
        body: format!("order {number:010x} shipped {} items", number * number),
        ..log("new", i64::from(DAY) * DAY_NS + number)
    };
    let logs: Vec<LogRow> = (0..100).map(bodies).collect();
    store(dir.path(), &catalog, &[(Table::Logs, rows::logs(&logs))]);
    let expect: Vec<_> = logs.iter().map(|row| json!([row.body])).collect();
    let new = "SELECT body FROM logs WHERE service_name = 'new' ORDER BY time";
    assert_eq!(duckdb.rows(new), expect);
    let old = "FROM logs WHERE service_name = 'api'";
    let like = "regexp_full_match(body, 'order [0-9a-f]{10} shipped [0-9]+ items in [0-9]+ days')
        AND regexp_full_match(attr_url_path, '/orders/[0-9]{8}.page=[0-9]+')"
        .replace('\n', " ");
    assert_eq!(
        duckdb.number(&format!("SELECT count(*) {old} AND {like}")),
        400
    );
    assert_eq!(
        duckdb.row(&format!(
            "SELECT body, attr_url_path {old} ORDER BY time DESC LIMIT 1"
        )),
        json!([
            "order 9876b81d65 shipped 1 items in 399 days",
            "/orders/46497979?page=1"
        ])
    );
    let numbers = duckdb.number("SELECT count(packed_number_body) FROM logs_packed");
    assert!((50..=100).contains(&numbers), "{numbers}");
}

/// Texts with numbers and ids, and some that look like packed ones.
fn body(seed: &mut Seed, n: i64) -> String {
    let id = seed.next();
    let number = seed.below(100_000);
    match n % 10 {
        0 => format!("order {id:016x} of {number} items"),
        1 => format!(
            "GET /größe/{number}/x?page={} took {number}.{number}ms",
            n % 7
        ),
        2 => format!("{id:032x}"),
        3 => format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 32,
            id & 0xffff,
            (id >> 16) & 0xffff,
            (id >> 20) & 0xffff,
            id >> 16
        ),
        4 => format!("{number}"),
        5 => format!("\u{1}3 its own mark {number}"),
        6 => format!("line {n}\nnext 'line'\t{number} 💥 \u{2}{number}"),
        7 => format!("{}{number}", "0".repeat(seed.below(70))),
        8 => format!("{}{}{id}", char::from_u32(0x300).unwrap(), number % 3),
        _ => String::new(),
    }
}

/// Values of kinds that differ from series to series, and now and then one of any bits.
fn unusual(seed: &mut Seed, series: u64) -> f64 {
    let decimal = |mantissa: usize, divisor: f64| {
        let mantissa = i32::try_from(mantissa).unwrap();
        f64::from(mantissa) / divisor
    };
    match (seed.below(50), series % 6) {
        (0, _) => f64::from_bits(0x7ff0_0000_0000_0002),
        (1, _) => f64::from_bits(seed.next()),
        (2, _) => -0.0,
        (_, 0) => f64::from_bits(seed.next()),
        (_, 1) => decimal(seed.below(1_000_000), 1.0),
        (_, 2) => decimal(seed.below(1_000_000), 100.0),
        (_, 3) => -decimal(seed.below(1_000_000), 1e9),
        (_, 4) => decimal(seed.below(1_000_000), 1.0 / 4096.0),
        _ => 0.0,
    }
}

/// A store as version 1 wrote it, whose samples have no mantissas.
const VERSION_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/version-1");

#[test]
fn samples_of_an_earlier_version_are_in_the_view() {
    let dir = tempfile::tempdir().unwrap();
    let packed = std::fs::read(format!("{VERSION_1}/catalog.sqlite.zst")).unwrap();
    let old = zstd::decode_all(packed.as_slice()).unwrap();
    std::fs::write(dir.path().join("catalog.sqlite"), old).unwrap();
    for file in [
        "aa5bf532-2e87-4858-8be2-4a333f690a5b",
        "b4c20c43-d95b-48ea-b643-e3545caef818",
    ] {
        let file = format!("data/samples/day=20000/{file}.parquet");
        let to = dir.path().join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(format!("{VERSION_1}/{file}"), to).unwrap();
    }
    let test = "samples_of_an_earlier_version_are_in_the_view";
    let data_path = format!("{}/data/", dir.path().canonicalize().unwrap().display());
    rusqlite::Connection::open(dir.path().join("catalog.sqlite"))
        .unwrap()
        .execute(
            r#"UPDATE ducklake_metadata SET "value" = ?1 WHERE "key" = 'data_path'"#,
            [data_path],
        )
        .unwrap();
    // Attached before, as a user may be who upgrades.
    let Some(mut early) = DuckDb::attach(test, dir.path()) else {
        return;
    };
    let version = |duckdb: &mut DuckDb| {
        duckdb.number(
            "SELECT count(*) FROM duckdb_views() WHERE view_name = 'samples' AND NOT internal",
        )
    };
    assert_eq!(version(&mut early), 0);
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) = DuckDb::attach(test, dir.path()) else {
        return;
    };
    let old = duckdb.row("SELECT count(*), count(value), CAST(sum(value) AS BIGINT) FROM samples");
    assert_eq!(old[0], old[1]);
    let new = SampleRow {
        metric: "new".to_owned(),
        series: 1,
        time_ms: i64::from(DAY) * DAY_NS / 1_000_000,
        value: 5.0,
    };
    store(
        dir.path(),
        &catalog,
        &[(Table::Samples, rows::samples(&[new]))],
    );
    for duckdb in [&mut early, &mut duckdb] {
        assert_eq!(
            duckdb.row("SELECT value FROM samples WHERE metric = 'new'"),
            json!([5.0])
        );
        assert_eq!(version(duckdb), 1);
    }
    let first = duckdb.row("SELECT count(*), count(value) FROM samples AT (VERSION => 2)");
    assert_eq!(first[0], first[1]);
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
