//! The same queries of one and of the other, in turn.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Server;
use super::data::Data;
use crate::report::{Figure, Goal};

const TIMEOUT: Duration = Duration::from_secs(120);
/// Rounds of each query at least and at most; between them as many as the time allows.
const ROUNDS_MIN: usize = 15;
const ROUNDS_MAX: usize = 100;
const TIME: Duration = Duration::from_secs(10);
/// Each round asks this much later, so that no answer of an earlier round has the steps of a later one.
const LATER_MS: i64 = 137;
/// A dashboard that is looked at asks again after this.
const REFRESH_MS: i64 = 60_000;
/// The panels of the dashboard: each is asked for the last hours in steps of a minute.
const PANELS: [&str; 20] = [
    "sum(rate(bench_requests_total[5m]))",
    "sum by (code) (rate(bench_requests_total[5m]))",
    "sum by (method) (rate(bench_requests_total[5m]))",
    "sum by (path) (rate(bench_requests_total[5m]))",
    "sum by (instance) (rate(bench_requests_total[5m]))",
    "sum(rate(bench_requests_total{code=\"500\"}[5m])) / sum(rate(bench_requests_total[5m]))",
    "sum by (path) (rate(bench_requests_total{code=~\"4..|5..\"}[5m]))",
    "topk(5, sum by (path) (rate(bench_requests_total[5m])))",
    "histogram_quantile(0.5, sum by (le) (rate(bench_latency_seconds_bucket[5m])))",
    "histogram_quantile(0.9, sum by (le) (rate(bench_latency_seconds_bucket[5m])))",
    "histogram_quantile(0.99, sum by (le) (rate(bench_latency_seconds_bucket[5m])))",
    "histogram_quantile(0.99, sum by (le, path) (rate(bench_latency_seconds_bucket[5m])))",
    "sum(bench_memory_bytes)",
    "sum by (instance) (bench_memory_bytes)",
    "sum by (pod) (bench_memory_bytes)",
    "max by (container) (bench_memory_bytes)",
    "avg by (container) (avg_over_time(bench_memory_bytes[10m]))",
    "topk(10, sum by (container) (bench_memory_bytes))",
    "count by (version) (bench_container_info)",
    "count(bench_memory_bytes > 150000000)",
];

/// A query: its name, the expression, and the hours and the step in seconds of its range.
const QUERIES: [(&str, &str, i64, i64); 8] = [
    ("rate over all", "rate({__name__=~\"bench_.+\"}[5m])", 1, 60),
    (
        "rate over all, 6 h",
        "rate({__name__=~\"bench_.+\"}[5m])",
        6,
        900,
    ),
    (
        "sum by",
        "sum by (path) (rate(bench_requests_total[5m]))",
        24,
        300,
    ),
    (
        "histogram_quantile",
        "histogram_quantile(0.99, sum by (le) (rate(bench_latency_seconds_bucket[5m])))",
        24,
        300,
    ),
    ("topk", "topk(5, rate(bench_requests_total[5m]))", 6, 300),
    (
        "join",
        "sum by (version, region) (bench_memory_bytes * on (instance, pod, container) group_left (version, region) \
         bench_container_info)",
        6,
        300,
    ),
    (
        "subquery",
        "max_over_time(sum by (path) (rate(bench_requests_total[5m]))[1h:1m])",
        6,
        300,
    ),
    (
        "one series",
        "bench_memory_bytes{instance=\"10.0.0.7:9100\",pod=\"pod-1\",container=\"container-3\"}",
        24,
        60,
    ),
];

pub(super) fn measure(
    servers: &[Server<'_>; 2],
    data: &Data,
    progress: &dyn Fn(&str),
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, query, hours, step) in QUERIES {
        progress(&format!("beside Prometheus: {name}"));
        let paths = |round: i64| {
            let end_ms = data.end_ms() + round * LATER_MS;
            vec![path(query, end_ms, hours.min(data.hours), step)]
        };
        figures.extend(compare(name, servers, &paths)?);
    }
    for (name, later_ms) in [
        ("dashboard of 20", LATER_MS),
        ("dashboard of 20, again after a minute", REFRESH_MS),
    ] {
        progress(&format!("beside Prometheus: {name}"));
        let paths = |round: i64| {
            let end_ms = data.end_ms() + round * later_ms;
            let panels = PANELS.iter();
            panels
                .map(|query| path(query, end_ms, data.hours.min(6), 60))
                .collect()
        };
        figures.extend(compare(name, servers, &paths)?);
    }
    Ok(figures)
}

fn path(query: &str, end_ms: i64, hours: i64, step: i64) -> String {
    let query: String = query
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let seconds = |millis: i64| millis as f64 / 1e3;
    let (start, end) = (seconds(end_ms - hours * 3_600_000), seconds(end_ms));
    format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}")
}

/// What one round of its paths takes at each server (ms and CPU seconds), in turn. The first is not counted.
fn compare(
    name: &str,
    servers: &[Server<'_>; 2],
    paths: &dyn Fn(i64) -> Vec<String>,
) -> anyhow::Result<Vec<Figure>> {
    let mut times: [Vec<f64>; 2] = Default::default();
    let mut spent = [0.0; 2];
    let mut answers = [0; 2];
    let begun = Instant::now();
    for round in 0..=ROUNDS_MAX {
        if round > ROUNDS_MIN && begun.elapsed() > TIME {
            break;
        }
        let paths = paths(i64::try_from(round)?);
        for (which, server) in servers.iter().enumerate() {
            let before = server.program.cpu_seconds()?;
            let (mut millis, mut bytes) = (0.0, 0);
            for path in &paths {
                let started = Instant::now();
                bytes += ask(server.http, path).with_context(|| server.name.to_owned())?;
                millis += started.elapsed().as_secs_f64() * 1e3;
            }
            if round > 0 {
                times[which].push(millis);
                spent[which] += server.program.cpu_seconds()? - before;
            }
            answers[which] = bytes;
        }
    }
    let sizes = answers.map(|bytes| bytes as f64);
    ensure!(
        sizes[0] * 0.7 < sizes[1] && sizes[1] * 0.7 < sizes[0],
        "{name}: answers of {answers:?} bytes cannot be the same"
    );
    let mut figures = Vec::new();
    let mut medians = Vec::new();
    for (which, server) in servers.iter().enumerate() {
        let title = format!("{name}: {}", server.name);
        let median = Figure::median(title.clone(), &times[which], "ms");
        medians.push(median.value);
        figures.push(median);
        figures.push(Figure::p99(title.clone(), &times[which], "ms, p99"));
        let cpu = spent[which] / times[which].len() as f64 * 1e3;
        figures.push(Figure::new(title, cpu, "CPU ms"));
    }
    if let [prometheus, collector] = medians.as_slice() {
        let ratio = Figure::new(
            format!("{name}: time"),
            collector / prometheus,
            "x Prometheus's",
        );
        figures.push(ratio.with_goal(Goal::AtMost(0.5)));
    }
    Ok(figures)
}

/// Asks, and reads the answer to its end; its length.
fn ask(address: SocketAddr, path: &str) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let shown = String::from_utf8_lossy(answer.get(..300).unwrap_or(&answer)).into_owned();
    let status = shown.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200 "), "{shown}");
    Ok(answer.len())
}
