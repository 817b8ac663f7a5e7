//! DuckDB reads the live catalog while the collector writes it.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Api, Collector, CollectorOptions, DuckDb, Record, attribute, log_request, now_nanos, say, skip,
    span_request, turn, within,
};
use opentelemetry_proto::tonic::trace::v1::Span;

const TABLES: [&str; 4] = ["logs", "spans", "samples", "series"];
const ROUNDS: usize = 100;
const ROWS_PER_ROUND: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_counts_what_the_collector_counts() {
    const NAME: &str = "duckdb_counts_what_the_collector_counts";
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions {
        limits: "{flush_interval: 500ms}".to_owned(),
        ..CollectorOptions::new(dir.path())
    };
    let mut collector = Collector::start(options).await;
    let mut duckdb = match DuckDb::attach(&collector.data_dir()) {
        Ok(duckdb) => duckdb,
        Err(reason) => return skip(NAME, &reason),
    };
    let api = collector.api.clone();
    let sender = tokio::spawn(async move { send_everything(&api).await });
    let (mut reads, mut seen) = (0_u64, [0; TABLES.len()]);
    while !sender.is_finished() {
        for (seen, table) in seen.iter_mut().zip(TABLES) {
            let count = tokio::task::block_in_place(|| duckdb.number(&count_of(table)));
            assert!(
                count >= *seen,
                "rows of {table} went away: {seen} then {count}"
            );
            *seen = count;
        }
        reads += 1;
    }
    sender.await.unwrap();
    assert!(reads > 3, "DuckDB was kept waiting: {reads} reads");
    assert!(
        seen.iter().all(|seen| *seen > 0),
        "nothing was visible while rows came in: {seen:?}"
    );
    let tables = at_rest(&collector.api).await;
    compare(&mut duckdb, &tables);
    let expected = (ROUNDS * ROWS_PER_ROUND) as u64;
    for table in ["logs", "spans"] {
        assert_eq!(tables[table]["rows_stored"], expected, "{table}");
    }
    say(&format!(
        "duckdb: {reads} reads of {} tables during ingestion",
        TABLES.len()
    ));
    assert!(collector.terminate().success());
    compare(&mut duckdb, &tables);
}

fn count_of(table: &str) -> String {
    format!("SELECT count(*) FROM {table}")
}

fn compare(duckdb: &mut DuckDb, tables: &Value) {
    for table in TABLES {
        let count = duckdb.number(&count_of(table));
        assert!(count > 0, "{table} is empty");
        assert_eq!(tables[table]["rows_stored"], count, "rows of {table}");
        say(&format!(
            "duckdb: {table}: {count} rows, as the collector says"
        ));
    }
}

/// The collector's own counts once every row is in a segment.
async fn at_rest(api: &Api) -> Value {
    let mut last = Value::Null;
    let flushed = async || {
        last = api.json("/api/vervet/v1/status", &[]).await["tables"].clone();
        // The head keeps the series it knows, stored or not.
        let rows = ["logs", "spans", "samples"].map(|table| &last[table]["rows_head"]);
        rows.iter().all(|rows| **rows == 0).then_some(())
    };
    let flushed = within(Duration::from_secs(60), flushed).await;
    assert!(flushed.is_some(), "some rows are not in segments: {last}");
    last
}

async fn send_everything(api: &Api) {
    let rows = u64::try_from(ROWS_PER_ROUND).unwrap();
    for round in 0..u64::try_from(ROUNDS).unwrap() {
        let now = now_nanos();
        let records = (0..rows).map(|row| Record {
            time: now,
            body: format!("round {round} row {row}"),
            severity: 9,
            ..Record::default()
        });
        let spans = (0..rows).map(|row| Span {
            trace_id: (u128::from(round * rows + row) + 1).to_be_bytes().to_vec(),
            span_id: (round * rows + row + 1).to_be_bytes().to_vec(),
            name: "work".to_owned(),
            start_time_unix_nano: now.unsigned_abs(),
            end_time_unix_nano: now.unsigned_abs() + 1_000,
            attributes: vec![attribute("round", &round.to_string())],
            ..Span::default()
        });
        let bodies = [
            ("logs", log_request("lake", records)),
            ("traces", span_request("lake", spans.collect())),
            ("metrics", gauges(round, now)),
        ];
        for (signal, body) in bodies {
            assert_eq!(api.otlp(signal, body).await.0, 200, "{signal}");
        }
    }
}

/// One sample each of ten series that last, and one series that is new.
fn gauges(round: u64, now: i64) -> bytes::Bytes {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
    };
    use prost::Message as _;
    let labels = (0..10)
        .map(|row| row.to_string())
        .chain([format!("round-{round}")]);
    let points = labels.map(|label| NumberDataPoint {
        attributes: vec![attribute("row", &label)],
        time_unix_nano: now.unsigned_abs(),
        value: Some(number_data_point::Value::AsInt(
            i64::try_from(round).unwrap(),
        )),
        ..NumberDataPoint::default()
    });
    let gauge = Gauge {
        data_points: points.collect(),
    };
    let metric = Metric {
        name: "lake.level".to_owned(),
        data: Some(metric::Data::Gauge(gauge)),
        ..Metric::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec().into()
}
