//! Every comparison on every column with file statistics, at the bounds of files and between them.

use vervet_store::catalog::{Catalog as _, SqliteCatalog};
use vervet_store::tables::Table;

use crate::oracle::DuckDb;
use crate::rows::{DAY, DAY_NS, LogRow, SampleRow, Seed, SeriesRow, SpanRow};
use crate::{rows, store};

const COMMITS: usize = 4;
const ROWS_PER_COMMIT: usize = 60;
const VALUES_PER_COLUMN: usize = 7;

/// A value of a column: how it compares, and how SQL writes it.
#[derive(Clone, PartialEq, PartialOrd)]
enum Value {
    Null,
    Number(i128),
    Nanos(i64),
    Millis(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    fn sql(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Nanos(time) => format!("make_timestamp_ns({time})"),
            Self::Millis(time) => format!("make_timestamp_ms({time})"),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Blob(bytes) => format!("from_hex('{}')", hex::encode(bytes)),
        }
    }
}

/// The rows of all commits so far.
#[derive(Default)]
struct Model {
    logs: Vec<LogRow>,
    spans: Vec<SpanRow>,
    samples: Vec<SampleRow>,
    series: Vec<SeriesRow>,
}

impl Model {
    /// Adds rows over three days; each commit has other services, ids and times, so that files differ.
    fn grow(&mut self, seed: &mut Seed, commit: usize) -> Model {
        let names = ["api", "Bücher", "cart's", "web \"2\"", "", "zoo"];
        let mut new = Model::default();
        for _row in 0..ROWS_PER_COMMIT {
            let day = i64::from(DAY) - 1 + i64::try_from(seed.below(3)).unwrap();
            let within = i64::try_from(commit * 6).unwrap() * 3_600_000_000_000;
            let time =
                day * DAY_NS + within + i64::try_from(seed.next() % 3_600_000_000_000).unwrap();
            let service = names[(commit + seed.below(2)) % names.len()].to_owned();
            let trace: Vec<u8> = [seed.next().to_be_bytes(), seed.next().to_be_bytes()].concat();
            let id = seed.next() >> (commit * 16);
            new.logs.push(LogRow {
                time,
                severity: i32::try_from(1 + (commit * 5 + seed.below(4)) % 24).unwrap(),
                service: service.clone(),
                stream: id,
                trace: (commit != 1 && seed.below(3) > 0).then(|| trace.clone()),
                body: format!("row {id}"),
                attributes: vec![("id".to_owned(), id.to_string())],
                resource: Vec::new(),
            });
            new.spans.push(SpanRow {
                time,
                duration: i64::try_from(id >> 20).unwrap() - 5,
                trace,
                parent: None,
                service: service.clone(),
                name: format!("GET /{service}"),
            });
            new.samples.push(SampleRow {
                metric: format!("{service}_total"),
                series: id,
                time_ms: time / 1_000_000,
                value: seed.fraction(),
            });
            new.series.push(SeriesRow {
                day: i32::try_from(day).unwrap(),
                metric: format!("{service}_total"),
                series: id,
                labels: vec![("service".to_owned(), service)],
            });
        }
        self.logs.extend(new.logs.iter().cloned());
        self.spans.extend(new.spans.iter().cloned());
        self.samples.extend(new.samples.iter().cloned());
        self.series.extend(new.series.iter().cloned());
        new
    }

    /// The values of one column, in the order of the rows.
    fn column(&self, table: Table, name: &str) -> Vec<Value> {
        let number = |value: i64| Value::Number(i128::from(value));
        let text = |value: &String| Value::Text(value.clone());
        let day = |time: i64| number(i64::from(rows::day_of(time)));
        match table {
            Table::Logs => self
                .logs
                .iter()
                .map(|row| match name {
                    "day" => day(row.time),
                    "time" => Value::Nanos(row.time),
                    "severity_number" => number(i64::from(row.severity)),
                    "service_name" => text(&row.service),
                    "stream_id" => Value::Number(i128::from(row.stream)),
                    "trace_id" => row.trace.clone().map_or(Value::Null, Value::Blob),
                    other => panic!("logs.{other}"),
                })
                .collect(),
            Table::Spans => self
                .spans
                .iter()
                .map(|row| match name {
                    "day" => day(row.time),
                    "time" => Value::Nanos(row.time),
                    "duration_ns" => number(row.duration),
                    "trace_id" => Value::Blob(row.trace.clone()),
                    "service_name" => text(&row.service),
                    "name" => text(&row.name),
                    other => panic!("spans.{other}"),
                })
                .collect(),
            Table::Samples => self
                .samples
                .iter()
                .map(|row| match name {
                    "day" => day(row.time_ms * 1_000_000),
                    "metric" => text(&row.metric),
                    "series_id" => Value::Number(i128::from(row.series)),
                    "time" => Value::Millis(row.time_ms),
                    other => panic!("samples.{other}"),
                })
                .collect(),
            Table::Series => self
                .series
                .iter()
                .map(|row| match name {
                    "day" => number(i64::from(row.day)),
                    "metric" => text(&row.metric),
                    "series_id" => Value::Number(i128::from(row.series)),
                    other => panic!("series.{other}"),
                })
                .collect(),
        }
    }
}

/// The lowest, the highest, and some in between.
fn probes(seed: &mut Seed, values: &[Value]) -> Vec<Value> {
    let mut values: Vec<Value> = values
        .iter()
        .filter(|value| **value != Value::Null)
        .cloned()
        .collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let mut probes = vec![values[0].clone(), values[values.len() - 1].clone()];
    probes.extend((2..VALUES_PER_COLUMN).map(|_| values[seed.below(values.len())].clone()));
    probes
}

fn check_column(duckdb: &mut DuckDb, seed: &mut Seed, model: &Model, table: Table, name: &str) {
    let values = model.column(table, name);
    let count = |test: &dyn Fn(&Value) -> bool| {
        u64::try_from(
            values
                .iter()
                .filter(|value| **value != Value::Null && test(value))
                .count(),
        )
        .unwrap()
    };
    for probe in probes(seed, &values) {
        let mut check = |operator: &str, expect: u64| {
            let sql = format!(
                "SELECT count(*) FROM {} WHERE {name} {operator} {}",
                table.name(),
                probe.sql()
            );
            assert_eq!(duckdb.number(&sql), expect, "{sql}");
        };
        check("=", count(&|value| *value == probe));
        check("<>", count(&|value| *value != probe));
        check("<", count(&|value| *value < probe));
        check("<=", count(&|value| *value <= probe));
        check(">", count(&|value| *value > probe));
        check(">=", count(&|value| *value >= probe));
    }
    let nulls =
        u64::try_from(values.iter().filter(|value| **value == Value::Null).count()).unwrap();
    let sql = |test: &str| format!("SELECT count(*) FROM {} WHERE {name} {test}", table.name());
    assert_eq!(duckdb.number(&sql("IS NULL")), nulls, "{name}");
    assert_eq!(
        duckdb.number(&sql("IS NOT NULL")),
        count(&|_| true),
        "{name}"
    );
    let low = values
        .iter()
        .filter(|value| **value != Value::Null)
        .min_by(|a, b| a.partial_cmp(b).unwrap());
    let low = low.unwrap().sql();
    let minimum = format!(
        "SELECT count(*) FROM (SELECT min({name}) AS low FROM {}) WHERE low = {low}",
        table.name()
    );
    assert_eq!(duckdb.number(&minimum), 1, "{minimum}");
}

#[test]
fn predicates_on_every_stats_column_lose_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) =
        DuckDb::attach("predicates_on_every_stats_column_lose_no_row", dir.path())
    else {
        return;
    };
    let mut seed = Seed(1);
    let mut model = Model::default();
    for commit in 0..COMMITS {
        let new = model.grow(&mut seed, commit);
        let batches = [
            (Table::Logs, rows::logs(&new.logs)),
            (Table::Spans, rows::spans(&new.spans)),
            (Table::Samples, rows::samples(&new.samples)),
            (Table::Series, rows::series(&new.series)),
        ];
        store(dir.path(), &catalog, &batches);
    }
    for table in Table::ALL {
        let by_trace = ["trace_id"]
            .into_iter()
            .filter(|_| table.id() <= Table::Spans.id());
        for name in table.stats_columns().iter().copied().chain(by_trace) {
            check_column(&mut duckdb, &mut seed, &model, table, name);
        }
    }
}

/// A file that a predicate excludes may be missing: who still answers has not opened it.
#[test]
fn excluded_files_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let Some(mut duckdb) = DuckDb::attach("excluded_files_are_not_opened", dir.path()) else {
        return;
    };
    let row = |n: u8| LogRow {
        time: i64::from(DAY + i32::from(n)) * DAY_NS + i64::from(n),
        severity: i32::from(n) + 1,
        service: format!("service-{n}"),
        stream: u64::from(n) << 60,
        trace: Some(vec![n * 100; 16]),
        body: String::new(),
        attributes: Vec::new(),
        resource: Vec::new(),
    };
    let kept = [row(0), row(1)];
    let (model, gone) = (
        Model {
            logs: kept.to_vec(),
            ..Model::default()
        },
        [row(2)],
    );
    store(dir.path(), &catalog, &[(Table::Logs, rows::logs(&kept))]);
    store(dir.path(), &catalog, &[(Table::Logs, rows::logs(&gone))]);
    let snapshot = catalog.snapshot().unwrap();
    std::fs::remove_file(&snapshot.files[2].path).unwrap();
    for name in Table::Logs.stats_columns() {
        for value in model.column(Table::Logs, name) {
            let sql = format!(
                "SELECT count(body) FROM logs WHERE {name} = {}",
                value.sql()
            );
            assert_eq!(duckdb.number(&sql), 1, "{sql}");
        }
    }
}
