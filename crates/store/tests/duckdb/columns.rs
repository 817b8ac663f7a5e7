//! Promoted columns as DuckDB sees them: in files that have them and in files from before.

use std::path::Path;

use serde_json::{Value, json};
use vervet_store::catalog::{Catalog as _, Commit, SqliteCatalog};
use vervet_store::segment::{write_compacted, write_segment};
use vervet_store::tables::{Layout, Promoted, PromotedKind, Table};

use crate::oracle::DuckDb;
use crate::rows::{self, DAY, DAY_NS, LogRow, Pairs, Seed};

const ROWS: usize = 40;

/// Writes and commits one file of `logs` in a layout, and the columns in it that the catalog lacks.
fn commit(dir: &Path, catalog: &SqliteCatalog, layout: &Layout, rows: &[LogRow]) {
    let batch = rows::logs(rows);
    let file = write_segment(&dir.join("data"), layout, DAY, &batch).unwrap();
    let known = catalog.snapshot().unwrap().layouts;
    let commit = Commit {
        add: vec![(Table::Logs, file)],
        promote: known.clone().with(layout.clone()).added_since(&known),
        ..Commit::default()
    };
    catalog.commit(&commit).unwrap();
}

fn layout(keys: &[(&str, PromotedKind)]) -> Layout {
    let keys = keys.iter().map(|(key, kind)| ((*key).to_owned(), *kind));
    Layout::new(Table::Logs, Promoted::default().with(keys))
}

fn log(n: usize, attributes: Pairs) -> LogRow {
    LogRow {
        time: i64::from(DAY) * DAY_NS + i64::try_from(n).unwrap(),
        severity: 9,
        service: "api".to_owned(),
        stream: 1,
        trace: None,
        body: n.to_string(),
        attributes,
        resource: Vec::new(),
    }
}

fn attributes(seed: &mut Seed) -> Pairs {
    let mut pairs = Pairs::new();
    let mut add = |key: &str, value: String| pairs.push((key.to_owned(), value));
    if seed.below(4) > 0 {
        add(
            "status",
            seed.pick(&["200", "404", "500", "007", "many"]).to_owned(),
        );
    }
    if seed.below(4) > 0 {
        let value = seed.pick(&[
            "0.5", "-1", "1.50", "NaN", "inf", "-inf", "1000000", "0.000001",
        ]);
        add("took.ms", value.to_owned());
    }
    if seed.below(4) > 0 {
        add("cached", seed.pick(&["true", "false", "yes"]).to_owned());
    }
    if seed.below(4) > 0 {
        add(
            "Region",
            seed.pick(&["eu", "us", "nul\0byte", ""]).to_owned(),
        );
    }
    pairs
}

const KEYS: [(&str, PromotedKind); 4] = [
    ("status", PromotedKind::Integer),
    ("took.ms", PromotedKind::Double),
    ("cached", PromotedKind::Boolean),
    ("Region", PromotedKind::Text),
];

/// Every value is another, so that no dictionary holds them, in a file as flushed and in one that is kept.
#[test]
fn values_of_a_wide_range_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let layout = layout(&KEYS);
    commit(dir.path(), &catalog, &layout, &[log(0, Vec::new())]);
    let Some(mut duckdb) = DuckDb::attach("values_of_a_wide_range_are_read", dir.path()) else {
        return;
    };
    let mut seed = Seed(31);
    let mut wide = |bits: usize| {
        let shift = seed.below(bits);
        i64::try_from(seed.next() >> 40).unwrap() >> shift
    };
    let (mut rows, mut expect) = (Vec::new(), Vec::new());
    for n in 1..=10_000 {
        let (count, micros, page, sent) = (wide(23), wide(23), wide(20), wide(14));
        #[expect(clippy::cast_precision_loss, reason = "24 bits")]
        let took = micros as f64 / 1_000.0;
        let path = format!("/orders/{:08}?page={page}", micros * 5);
        let body = format!(
            "order {:010x} of {sent} items: {page} waiting",
            micros * count
        );
        let pair = |key: &str, value: String| (key.to_owned(), value);
        let attributes = vec![
            pair("status", count.to_string()),
            pair("took.ms", took.to_string()),
            pair("Region", path.clone()),
        ];
        let row = log(n, attributes);
        expect.push(json!([body, count, micros, true, path]));
        rows.push(LogRow { body, ..row });
    }
    let (flushed, kept) = rows.split_at(5_000);
    commit(dir.path(), &catalog, &layout, flushed);
    let kept = [Ok(rows::logs(kept))];
    let kept = write_compacted(&dir.path().join("data"), &layout, DAY, kept).unwrap();
    let add = Commit {
        add: vec![(Table::Logs, kept)],
        ..Commit::default()
    };
    catalog.commit(&add).unwrap();
    let sql = "SELECT body, attr_status, CAST(round(attr_took_ms * 1000) AS BIGINT) AS micros, \
        attr_took_ms = micros / 1000, attr_region FROM logs WHERE attr_status IS NOT NULL ORDER BY time";
    assert_eq!(duckdb.rows(sql), expect);
    let sql = "SELECT count(packed_body), count(packed_number_body), count(packed_number_attr_took_ms), \
        count(packed_number_attr_region) FROM logs_packed";
    for count in duckdb.row(sql).as_array().unwrap() {
        assert!(count.as_u64().unwrap() > 9_000, "{count}");
    }
}

#[test]
fn columns_are_added_while_duckdb_is_attached() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let test = "columns_are_added_while_duckdb_is_attached";
    let Some(mut duckdb) = DuckDb::attach(test, dir.path()) else {
        return;
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let status = |n: usize, value: &str| log(n, vec![pair("status", value), pair("x", "y")]);
    commit(
        dir.path(),
        &catalog,
        &layout(&[]),
        &[status(1, "200"), status(2, "500")],
    );
    let described = "SELECT column_name, column_type FROM (DESCRIBE logs) WHERE starts_with(column_name, 'attr_')";
    assert_eq!(duckdb.rows(described), Vec::<Value>::new());

    let one = layout(&KEYS[..1]);
    commit(
        dir.path(),
        &catalog,
        &one,
        &[status(3, "200"), status(4, "0200")],
    );
    assert_eq!(duckdb.rows(described), [json!(["attr_status", "BIGINT"])]);
    let all = layout(&KEYS);
    commit(
        dir.path(),
        &catalog,
        &all,
        &[status(5, "404"), log(6, Vec::new())],
    );
    assert_eq!(
        duckdb.rows(described),
        [
            json!(["attr_status", "BIGINT"]),
            json!(["attr_took_ms", "DOUBLE"]),
            json!(["attr_cached", "BOOLEAN"]),
            json!(["attr_region", "VARCHAR"])
        ]
    );
    let rows = duckdb.rows(
        "SELECT body, attr_status, attr_cached, attributes['status'] FROM logs ORDER BY time",
    );
    let expect = [
        json!(["1", null, null, "200"]),
        json!(["2", null, null, "500"]),
        json!(["3", 200, null, null]),
        json!(["4", null, null, "0200"]),
        json!(["5", 404, null, null]),
        json!(["6", null, null, null]),
    ];
    assert_eq!(rows, expect);
    let mut check = |sql: &str, expect: u64| assert_eq!(duckdb.number(sql), expect, "{sql}");
    check("SELECT count(*) FROM logs", 6);
    check("SELECT count(attr_status) FROM logs", 2);
    check("SELECT count(*) FROM logs WHERE attr_status >= 200", 2);
    check("SELECT count(*) FROM logs WHERE attr_status IS NULL", 4);
    check("SELECT count(*) FROM logs WHERE attributes['x'] = 'y'", 5);
    // Snapshot 1 made the tables, each file is one more.
    check("SELECT count(*) FROM logs AT (VERSION => 3)", 4);
    check(
        "SELECT count(*) FROM (DESCRIBE SELECT * FROM logs AT (VERSION => 2)) WHERE starts_with(column_name, 'attr_')",
        0,
    );
    let whole = "SELECT count(*) FROM logs WHERE COALESCE(attr_status, TRY_CAST(attributes['status'] AS BIGINT)) = 200";
    check(whole, 3);
}

/// The value that a row of a file with the columns has, as DuckDB prints it.
fn promoted(row: &LogRow, key: &str, kind: PromotedKind) -> Option<String> {
    let (_key, text) = row.attributes.iter().find(|(known, _)| known == key)?;
    kind.exact(text).map(|_exact| text.clone())
}

/// What each row has in the columns of [`KEYS`].
type Typed = Vec<[Option<String>; 4]>;

/// Files that lack columns, files with some of them and files with all.
fn fill(dir: &Path, catalog: &SqliteCatalog) -> Typed {
    let mut seed = Seed(11);
    let mut typed = Vec::new();
    for file in 0..12 {
        let known = match file {
            0..3 => &KEYS[..0],
            3..6 => &KEYS[..2],
            _ => &KEYS[..],
        };
        // Bounds differ between files.
        let usual = |(_key, value): &(String, String)| {
            file % 3 != 0 || !matches!(&**value, "NaN" | "inf" | "-inf" | "500")
        };
        let row = |n| {
            let mut pairs = attributes(&mut seed);
            pairs.retain(usual);
            log(n, pairs)
        };
        let rows: Vec<_> = (0..ROWS).map(row).collect();
        commit(dir, catalog, &layout(known), &rows);
        typed.extend(rows.iter().map(|row| {
            KEYS.map(|(key, kind)| {
                let has = known.iter().any(|(other, _)| *other == key);
                has.then(|| promoted(row, key, kind)).flatten()
            })
        }));
    }
    typed
}

struct Judge {
    duckdb: DuckDb,
    typed: Typed,
}

impl Judge {
    /// DuckDB counts as many rows as there are values, of one column, for which `holds`. Returns how many.
    fn check(
        &mut self,
        condition: &str,
        column: usize,
        holds: impl Fn(Option<&str>) -> bool,
    ) -> usize {
        let values = self.typed.iter().map(|row| row[column].as_deref());
        let expect = values.filter(|value| holds(*value)).count();
        let sql = format!("SELECT count(*) FROM logs WHERE {condition}");
        assert_eq!(self.duckdb.number(&sql), expect as u64, "{sql}");
        expect
    }

    fn integers(&mut self) {
        let integer = |test: fn(i64) -> bool| {
            move |text: Option<&str>| text.is_some_and(|text| test(text.parse().unwrap()))
        };
        assert!(self.check("attr_status = 500", 0, integer(|n| n == 500)) > 0);
        assert!(self.check("attr_status > 404", 0, integer(|n| n > 404)) > 0);
        let between = integer(|n| (201..=404).contains(&n));
        self.check("attr_status BETWEEN 201 AND 404", 0, between);
        self.check("attr_status < 200", 0, integer(|n| n < 200));
        assert!(self.check("attr_status IS NULL", 0, |text| text.is_none()) > 0);
        self.check("attr_status IS NOT NULL", 0, |text| text.is_some());
    }

    /// DuckDB puts NaN above everything.
    fn doubles(&mut self) {
        let double = |test: fn(f64) -> bool| {
            move |text: Option<&str>| text.is_some_and(|text| test(text.parse().unwrap()))
        };
        let above = double(|v| v > 100.0 || v.is_nan());
        assert!(self.check("attr_took_ms > 100", 1, above) > 0);
        assert!(self.check("attr_took_ms = 'NaN'::DOUBLE", 1, double(f64::is_nan)) > 0);
        let endless = double(|v| v == f64::INFINITY || v.is_nan());
        self.check("attr_took_ms >= 'inf'::DOUBLE", 1, endless);
        self.check("attr_took_ms < 0", 1, double(|v| v < 0.0));
        self.check("attr_took_ms = 0.000001", 1, double(|v| v == 0.000_001));
        self.check("attr_took_ms <= -1", 1, double(|v| v <= -1.0));
        self.check("attr_took_ms IS NULL", 1, |text| text.is_none());
    }

    fn booleans_and_texts(&mut self) {
        assert!(self.check("attr_cached", 2, |text| text == Some("true")) > 0);
        self.check("attr_cached = false", 2, |text| text == Some("false"));
        self.check("attr_cached IS NULL", 2, |text| text.is_none());
        assert!(self.check("attr_region = 'eu'", 3, |text| text == Some("eu")) > 0);
        self.check("attr_region = ''", 3, |text| text == Some(""));
        let after = |text: Option<&str>| text.is_some_and(|text| text > "eu");
        self.check("attr_region > 'eu'", 3, after);
        let with_nul = |text: Option<&str>| text.is_some_and(|text| text.starts_with("nul"));
        self.check("attr_region LIKE 'nul%'", 3, with_nul);
    }
}

#[test]
fn filters_on_promoted_columns_skip_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let typed = fill(dir.path(), &catalog);
    let test = "filters_on_promoted_columns_skip_no_row";
    let Some(duckdb) = DuckDb::attach(test, dir.path()) else {
        return;
    };
    let mut judge = Judge { duckdb, typed };
    judge.integers();
    judge.doubles();
    judge.booleans_and_texts();
    let total = judge.duckdb.number("SELECT count(*) FROM logs");
    assert_eq!(total, judge.typed.len() as u64);
}
