//! How many bytes a row takes, on made-up data whose content varies as real content does.

use vervet_store::segment::write_segment;
use vervet_store::tables::{Layout, Table};

use crate::rows::{self, DAY, DAY_NS, LogRow, SampleRow, Seed};

const BODIES: [&str; 8] = [
    "GET /api/v1/products/{} 200 in {} ms",
    "connection to postgres at 10.0.{}.{} reset, retrying",
    "user {} added item {} to the cart",
    "cache miss for key session:{}:{}",
    "payment {} authorised by provider in {} ms",
    "slow query took {} ms and returned {} rows",
    "TypeError: Cannot read properties of undefined (reading 'id') at checkout.js:{}:{}",
    "job {} finished after {} attempts",
];

fn log(seed: &mut Seed, n: usize) -> LogRow {
    let stream = seed.below(60);
    let body = seed.pick(&BODIES);
    let body = body.replacen("{}", &seed.below(100_000).to_string(), 1);
    let body = body.replacen("{}", &seed.below(500).to_string(), 1);
    let trace = [seed.next().to_be_bytes(), seed.next().to_be_bytes()].concat();
    let pair = |key: &str, value: String| (key.to_owned(), value);
    LogRow {
        time: i64::from(DAY) * DAY_NS
            + i64::try_from(n * 7_000_000 + seed.below(6_999_999)).unwrap(),
        severity: seed.pick(&[9, 9, 9, 9, 5, 13, 17]),
        service: format!("service-{}", stream / 3),
        stream: Seed(u64::try_from(stream).unwrap()).next(),
        trace: (seed.below(10) < 6).then_some(trace),
        body,
        attributes: vec![
            pair("log.iostream", "stdout".to_owned()),
            pair(
                "http.response.status_code",
                seed.pick(&["200", "200", "200", "404", "500"]).to_owned(),
            ),
            pair("enduser.id", seed.below(20_000).to_string()),
        ],
        resource: vec![
            pair("k8s.node.name", format!("node-{}", stream % 4)),
            pair("service.version", format!("1.4.{}", stream % 7)),
        ],
    }
}

/// Counters, rounded gauges, constants and full-entropy values, 15 s apart.
fn series(seed: &mut Seed, id: usize, points: usize) -> Vec<SampleRow> {
    let start = i64::from(DAY) * DAY_NS / 1_000_000 + i64::try_from(seed.below(15_000)).unwrap();
    let hash = seed.next();
    let mut value = seed.fraction() * 1_000.0;
    (0..points)
        .map(|n| {
            value = match id % 10 {
                0..5 => value.floor() + (seed.fraction() * 20.0).floor(),
                5..8 => ((value + seed.fraction() - 0.5) * 100.0).round() / 100.0,
                8 => value.floor(),
                _ => seed.fraction(),
            };
            SampleRow {
                metric: format!("metric_{}", id / 50),
                series: hash,
                time_ms: start + i64::try_from(n).unwrap() * 15_000,
                value,
            }
        })
        .collect()
}

#[test]
fn rows_are_small() {
    let dir = tempfile::tempdir().unwrap();
    let mut seed = Seed(6);
    let logs: Vec<LogRow> = (0..122_880).map(|n| log(&mut seed, n)).collect();
    let samples: Vec<SampleRow> = (0..256).flat_map(|id| series(&mut seed, id, 960)).collect();
    let bytes_per_row = |table, batch| {
        let file = write_segment(dir.path(), &Layout::fixed(table), DAY, &batch).unwrap();
        println!("{}: {} rows, {} bytes", table.name(), file.rows, file.bytes);
        file.bytes as f64 / file.rows as f64
    };
    let log = bytes_per_row(Table::Logs, rows::logs(&logs));
    let sample = bytes_per_row(Table::Samples, rows::samples(&samples));
    println!("{log:.2} bytes per log row, {sample:.2} bytes per sample");
    assert!(log < 45.0, "{log}");
    assert!(sample < 2.2, "{sample}");
}
