use std::path::Path;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use vervet_model::{Matcher, Signal};
use vervet_wire::otlp::{
    KeyValue, LogRecord, Scope, Span, Value, write_resource_logs, write_resource_spans,
};

use super::*;
use crate::catalog::{Catalog as _, SqliteCatalog};
use crate::fixtures::{at, decoded, resource};
use crate::tables::Promoted;
use crate::verify::{Defect, Progress, VerifyOptions};
use crate::{Decoded, Direction, LogQuery, LogRow, Store, StoreConfig, TraceQuery};

type Attributes = Vec<KeyValue<'static>>;

/// One log record per set of attributes, a second apart.
fn logs(first_second: i64, records: &[Attributes]) -> Decoded {
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource("api"), &Scope::default(), |writer| {
        for (seconds, attributes) in (first_second..).zip(records) {
            writer.push(&LogRecord {
                time_unix_nano: at(seconds).0.unsigned_abs(),
                severity_number: 9,
                body: Value::from(seconds.to_string()),
                attributes: attributes.clone(),
                ..LogRecord::default()
            });
        }
    });
    decoded(Signal::Logs, &body)
}

fn batch(records: &[Attributes]) -> RecordBatch {
    logs(0, records).batch().unwrap().clone()
}

fn pair(key: &'static str, value: impl Into<Value<'static>>) -> KeyValue<'static> {
    KeyValue::new(key, value)
}

fn wanted(key: &str, kind: Option<PromotedKind>) -> PromoteKey {
    PromoteKey {
        key: key.to_owned(),
        kind,
    }
}

fn columns(layout: &Layout) -> Vec<(&str, PromotedKind)> {
    let columns = layout.promoted().columns().iter();
    columns.map(|column| (&*column.key, column.kind)).collect()
}

#[test]
fn a_key_that_is_used_twice_in_a_row_gets_a_column_of_its_type() {
    let config = PromoteConfig::default();
    let row = |n: i64, odd: bool| {
        let mut row = vec![
            pair("status", 200 + n % 7),
            pair("ratio", n as f64 / 4.0),
            pair("cached", n % 2 == 0),
            pair("id", format!("{n:04}")),
            // Nine of ten values are numbers: too few for a column of numbers.
            pair(
                "size",
                if n % 10 == 0 {
                    "big".to_owned()
                } else {
                    n.to_string()
                },
            ),
        ];
        if odd {
            row.push(pair("odd", "x"));
        }
        if n % 20 == 0 {
            row.push(pair("rare", 1));
        }
        row
    };
    let flush = |odd| batch(&(0..2_000).map(|n| row(n, odd)).collect::<Vec<_>>());
    let mut usage = Usage::default();
    let fixed = Layout::fixed(Table::Logs);
    assert_eq!(usage.plan(&fixed, &[flush(true)], &config).unwrap(), fixed);
    let few = batch(&[vec![pair("other", 1)]]);
    assert_eq!(usage.plan(&fixed, &[few], &config).unwrap(), fixed);
    let planned = usage.plan(&fixed, &[flush(false)], &config).unwrap();
    let expect = [
        ("cached", PromotedKind::Boolean),
        ("id", PromotedKind::Text),
        ("ratio", PromotedKind::Double),
        ("size", PromotedKind::Text),
        ("status", PromotedKind::Integer),
    ];
    assert_eq!(columns(&planned), expect);
    let again = usage.plan(&planned, &[flush(false)], &config).unwrap();
    assert_eq!(again, planned, "nothing is left to promote");
    let later = usage.plan(&planned, &[flush(true)], &config).unwrap();
    assert_eq!(later, planned, "used in one flush");
    let later = usage.plan(&later, &[flush(true)], &config).unwrap();
    assert_eq!(columns(&later).last(), Some(&("odd", PromotedKind::Text)));
}

#[test]
fn configured_keys_come_first_and_the_number_is_bounded() {
    let config = PromoteConfig {
        logs: vec![
            wanted("typed", Some(PromotedKind::Integer)),
            wanted("seen", None),
            wanted("absent", None),
        ],
        columns_max: 3,
        ..PromoteConfig::default()
    };
    let row = || {
        vec![
            pair("a", 1),
            pair("b", 1),
            pair("seen", 1.5),
            pair("typed", "7"),
        ]
    };
    let rows = batch(&(0..1_000).map(|_| row()).collect::<Vec<_>>());
    let mut usage = Usage::default();
    let fixed = Layout::fixed(Table::Logs);
    let first = usage
        .plan(&fixed, std::slice::from_ref(&rows), &config)
        .unwrap();
    let configured = [
        ("typed", PromotedKind::Integer),
        ("seen", PromotedKind::Double),
    ];
    assert_eq!(columns(&first), configured);
    let second = usage
        .plan(&first, std::slice::from_ref(&rows), &config)
        .unwrap();
    assert_eq!(columns(&second)[2..], [("a", PromotedKind::Integer)]);
    assert_eq!(usage.plan(&second, &[rows], &config).unwrap(), second);
}

#[test]
fn without_usage_only_the_configuration_counts() {
    let config = PromoteConfig {
        usage_percent: 0,
        ..PromoteConfig::default()
    };
    let rows = batch(&(0..1_000).map(|_| vec![pair("a", 1)]).collect::<Vec<_>>());
    let mut usage = Usage::default();
    let fixed = Layout::fixed(Table::Logs);
    for _flush in 0..3 {
        assert_eq!(
            usage
                .plan(&fixed, std::slice::from_ref(&rows), &config)
                .unwrap(),
            fixed
        );
    }
}

fn open(dir: &Path, logs: &[&str], spans: &[&str]) -> Store {
    let keys = |keys: &[&str]| keys.iter().map(|key| wanted(key, None)).collect();
    open_with(dir, keys(logs), keys(spans))
}

fn open_with(dir: &Path, logs: Vec<PromoteKey>, spans: Vec<PromoteKey>) -> Store {
    Store::open(StoreConfig {
        promote: PromoteConfig {
            logs,
            spans,
            ..PromoteConfig::default()
        },
        ..StoreConfig::new(dir)
    })
    .unwrap()
}

fn all(metadata: Vec<Matcher>) -> LogQuery {
    LogQuery {
        matchers: Vec::new(),
        filters: Vec::new(),
        metadata,
        trace_id: None,
        start: at(-10),
        end: at(100),
        limit: 1_000,
        direction: Direction::OldestFirst,
    }
}

async fn rows(store: &Store, metadata: Vec<Matcher>) -> Vec<LogRow> {
    store.logs(&all(metadata)).await.unwrap().found
}

async fn bodies(store: &Store, metadata: Vec<Matcher>) -> Vec<String> {
    let rows = rows(store, metadata).await;
    rows.into_iter().map(|row| row.body).collect()
}

async fn numbers(store: &Store, sql: &str) -> Vec<Option<i64>> {
    let batches = store.sql(sql, 1_000).await.unwrap();
    let column = |batch: &RecordBatch| {
        let column = batch.column(0).as_primitive::<Int64Type>();
        column.iter().collect::<Vec<_>>()
    };
    batches.iter().flat_map(column).collect()
}

#[tokio::test]
async fn rows_of_head_old_and_new_segments_answer_alike() {
    let dir = tempfile::tempdir().unwrap();
    let record = |status: i64| vec![pair("http.status", status), pair("path", "/a")];
    {
        let store = open(dir.path(), &[], &[]);
        store.apply(
            1,
            logs(1, &[record(200), vec![pair("http.status", "0200")]]),
            None,
        );
        store.flush().unwrap();
    }
    let store = open_with(
        dir.path(),
        vec![wanted("http.status", Some(PromotedKind::Integer))],
        Vec::new(),
    );
    store.apply(
        2,
        logs(
            3,
            &[record(200), record(500), vec![pair("http.status", "none")]],
        ),
        None,
    );
    let in_head = rows(&store, Vec::new()).await;
    store.flush().unwrap();
    assert_eq!(rows(&store, Vec::new()).await, in_head);
    store.apply(3, logs(6, &[record(200), vec![]]), None);

    let status = |value: &str| vec![Matcher::equal("http_status", value)];
    assert_eq!(bodies(&store, status("200")).await, ["1", "3", "6"]);
    assert_eq!(bodies(&store, status("0200")).await, ["2"]);
    assert_eq!(bodies(&store, status("none")).await, ["5"]);
    assert_eq!(bodies(&store, status("")).await, ["7"]);
    let not = Matcher::new("http_status", vervet_model::MatchOp::NotEqual, "200").unwrap();
    assert_eq!(bodies(&store, vec![not]).await, ["2", "4", "5", "7"]);

    let column = "SELECT attr_http_status FROM logs ORDER BY time";
    assert_eq!(
        numbers(&store, column).await,
        [None, None, Some(200), Some(500), None, Some(200), None],
        "the first two rows were written before the column was added"
    );
    let whole = "SELECT count(*) FROM logs WHERE attributes['http.status'] = '200'";
    assert_eq!(numbers(&store, whole).await, [Some(3)]);
    let filtered = "SELECT count(*) FROM logs WHERE attr_http_status >= 300";
    assert_eq!(numbers(&store, filtered).await, [Some(1)]);

    let before = rows(&store, Vec::new()).await;
    store.flush().unwrap();
    drop(store);
    let store = open(dir.path(), &[], &[]);
    assert_eq!(rows(&store, Vec::new()).await, before);
    store.apply(4, logs(8, &[record(404)]), None);
    store.flush().unwrap();
    let kept = "SELECT count(*) FROM logs WHERE attr_http_status = 404";
    assert_eq!(numbers(&store, kept).await, [Some(1)], "a column stays");
}

#[tokio::test]
async fn spans_are_found_by_attributes_wherever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &[], &["retries", "route"]);
    let span = |trace: u8, attributes: Attributes| {
        let (trace_id, span_id) = ([trace; 16], [trace; 8]);
        let mut body = Vec::new();
        write_resource_spans(&mut body, &resource("api"), &Scope::default(), |writer| {
            writer.push(&Span {
                trace_id: &trace_id,
                span_id: &span_id,
                name: "call".into(),
                start_unix_nano: at(i64::from(trace)).0.unsigned_abs(),
                end_unix_nano: at(i64::from(trace) + 1).0.unsigned_abs(),
                attributes: attributes.clone(),
                ..Span::default()
            });
        });
        decoded(Signal::Traces, &body)
    };
    let sets = [
        vec![pair("retries", 1), pair("route", "/a")],
        vec![pair("retries", "one"), pair("route", "/b")],
        vec![pair("retries", 1), pair("z", "last"), pair("a", "first")],
        vec![pair("route", "/a")],
    ];
    for (n, set) in (1_u8..).zip(&sets) {
        store.apply(u64::from(n), span(n, set.clone()), None);
        if n < 4 {
            store.flush().unwrap();
        }
    }
    let found = async |key: &str, value: &str| {
        let query = TraceQuery {
            attributes: vec![(key.to_owned(), value.to_owned())],
            start: at(0),
            end: at(100),
            limit: 10,
            ..TraceQuery::default()
        };
        let traces = store.search_traces(&query).await.unwrap();
        let mut found: Vec<u8> = traces.iter().map(|trace| trace.trace_id.0[0]).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(found("retries", "1").await, [1, 3]);
    assert_eq!(found("retries", "one").await, [2]);
    assert_eq!(found("route", "/a").await, [1, 4]);
    assert_eq!(found("route", "").await, Vec::<u8>::new());
    let spans = store.trace(vervet_model::TraceId([3; 16])).await.unwrap();
    let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let expect = text(&[("a", "first"), ("retries", "1"), ("z", "last")]);
    assert_eq!(spans[0].attributes, expect);
}

struct Silent;

impl Progress for Silent {
    fn begin(&self, _bytes: u64, _files: usize) {}
    fn advance(&self, _bytes: u64) {}
    fn file_done(&self) {}
    fn defect(&self, _defect: &Defect) {}
}

#[tokio::test]
async fn hostile_attributes_are_kept_within_limits() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ["nul\0key", "", "double", "integer", "nan", "k0"];
    let store = open(dir.path(), &keys, &[]);
    let many: Attributes = (0..10_000_i64)
        .map(|n| KeyValue::new(format!("k{n}"), n))
        .collect();
    let sets = vec![
        vec![pair("nul\0key", "a\0b"), pair("", "no key")],
        vec![
            pair("double", 1.5),
            pair("double", 2.5),
            pair("double", "again"),
        ],
        vec![pair("integer", i64::MIN), pair("nan", f64::NAN)],
        vec![pair("integer", "-0"), pair("nan", f64::NEG_INFINITY)],
        vec![pair("integer", 1.5), pair("nan", -0.0)],
        vec![pair("nan", "NAN"), pair("integer", true)],
        many,
    ];
    let decoded = logs(1, &sets);
    assert_eq!((decoded.records, decoded.rejected_total()), (7, 0));
    assert_eq!(
        decoded.adjusted,
        [(crate::ingest::adjustment::ATTRIBUTES_DROPPED, 1)]
    );
    store.apply(1, decoded, None);
    let in_head = rows(&store, Vec::new()).await;
    store.flush().unwrap();
    assert_eq!(rows(&store, Vec::new()).await, in_head);
    store.apply(2, logs(20, &sets), None);
    store.flush().unwrap();
    let stored = rows(&store, Vec::new()).await;
    let metadata = |rows: &[LogRow]| -> Vec<_> {
        rows.iter()
            .map(|row| {
                row.metadata
                    .iter()
                    .filter(|(key, _)| key != "observed_time")
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    assert_eq!(metadata(&stored[7..]), metadata(&in_head));
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let snapshot = catalog.snapshot().unwrap();
    let promoted: Vec<_> = columns(snapshot.layout(Table::Logs))
        .into_iter()
        .map(|(key, _kind)| key.to_owned())
        .collect();
    assert_eq!(promoted, ["double", "integer", "nan", "k0"]);

    // Neither counts nor bounds claim what the rows do not keep.
    let report = crate::verify::verify(dir.path(), VerifyOptions::default(), &Silent).unwrap();
    assert_eq!((report.defects, report.rows), (Vec::new(), 14));
}

#[test]
fn a_failed_flush_plans_its_columns_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &["a"], &[]);
    store.apply(1, logs(1, &[vec![pair("a", 1)]]), None);
    let blocked = dir.path().join("data/logs");
    std::fs::write(&blocked, "").unwrap();
    assert!(store.flush().is_err());
    assert!(store.flush().is_err());
    std::fs::remove_file(&blocked).unwrap();
    store.flush().unwrap().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let snapshot = catalog.snapshot().unwrap();
    let expect = Promoted::default().with([("a".to_owned(), PromotedKind::Integer)]);
    assert_eq!(*snapshot.layout(Table::Logs).promoted(), expect);
    assert!(
        snapshot
            .layout(Table::Spans)
            .promoted()
            .columns()
            .is_empty()
    );
}
