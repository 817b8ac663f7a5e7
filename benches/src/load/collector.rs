//! The collector takes requests of one signal over OTLP/gRPC; done when all are acknowledged, that is
//! durable in its journal.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use vervet_model::Signal;

use super::Bench;
use super::program::own_seconds;
use super::send::{Request, Sent, send_all};
use super::start::Collector;
use crate::generate::logs::Logs;
use crate::generate::samples::Target;
use crate::generate::spans::{SPANS_PER_TRACE, Spans};
use crate::report::Figure;

const SEED: u64 = 23;
/// Log records and spans of a request.
const RECORDS_PER_REQUEST: usize = 1_000;
/// Nodes that are scraped.
const TARGETS: u64 = 6;
/// Nodes whose scrapes share a request, which then has about as many samples as others have records.
const TARGETS_PER_REQUEST: usize = 3;
const MIB: f64 = 1_048_576.0;

/// What one run gave.
struct Run {
    sent: Sent,
    /// From the first request to the end of the collector, which was told to end after the last answer.
    complete: Duration,
    /// CPU of the collector until the last acknowledgement (seconds).
    cpu_acknowledged: f64,
    /// The same until its end: all flushes and everything that is derived from the records.
    cpu_complete: f64,
    cpu_sender: f64,
    peak_rss_mib: f64,
    rows: u64,
    parquet_bytes: u64,
}

pub(super) fn measure(bench: &Bench, signal: Signal) -> anyhow::Result<Vec<Figure>> {
    let run = run(bench, signal)?;
    let (name, record) = match signal {
        Signal::Logs => ("collector logs", "log record"),
        Signal::Traces => ("collector spans", "span"),
        Signal::Metrics => ("collector samples", "sample"),
    };
    let seconds = run.sent.elapsed.as_secs_f64();
    let millions = run.sent.records as f64 / 1e6;
    let figure = |what: &str, value, unit| Figure::new(format!("{name}: {what}"), value, unit);
    Ok(vec![
        figure(
            "OTLP/gRPC to durable",
            run.sent.records as f64 / seconds,
            "records/s",
        ),
        figure(
            "OTLP/gRPC to durable",
            run.sent.bytes as f64 / MIB / seconds,
            "MiB/s of protobuf",
        ),
        figure(
            "OTLP/gRPC to Parquet",
            run.sent.records as f64 / run.complete.as_secs_f64(),
            "records/s",
        ),
        figure(
            "CPU, to durable",
            run.cpu_acknowledged / millions,
            "CPU s/million",
        ),
        figure(
            "CPU, all work and last flush",
            run.cpu_complete / millions,
            "CPU s/million",
        ),
        figure(
            "CPU of the load generator",
            run.cpu_sender / millions,
            "CPU s/million",
        ),
        figure(
            "requests repeated for lack of room",
            run.sent.retries as f64,
            "requests",
        ),
        figure("peak memory", run.peak_rss_mib, "MiB RSS"),
        Figure::new(
            format!("{name}: on disk per {record}"),
            run.parquet_bytes as f64 / run.rows as f64,
            "bytes",
        ),
    ])
}

fn run(bench: &Bench, signal: Signal) -> anyhow::Result<Run> {
    let requests = requests(bench, signal);
    let dir = bench.folder(&format!("collector-{signal}"))?;
    let collector = Collector::start(&bench.programs, &dir)?;
    let (own_before, before) = (own_seconds()?, collector.program.cpu_seconds()?);
    let sent = send_all(collector.grpc, signal, requests)?;
    let cpu_acknowledged = collector.program.cpu_seconds()? - before;
    let cpu_sender = own_seconds()? - own_before;
    let tables: &[&str] = match signal {
        Signal::Logs => &["logs"],
        Signal::Traces => &["spans"],
        Signal::Metrics => &["samples", "series"],
    };
    let rows = collector.rows(tables[0])?;
    // Rules write samples of their own, nothing else may be there.
    let own_samples = if signal == Signal::Metrics { 10_000 } else { 0 };
    ensure!(
        (sent.records..=sent.records + own_samples).contains(&rows),
        "{} records were acknowledged, the collector holds {rows}",
        sent.records
    );
    let peak_rss_mib = collector.program.peak_rss_mib()?;
    let Collector {
        program, data_dir, ..
    } = collector;
    let ending = Instant::now();
    let cpu_complete = program.terminate()? - before;
    let complete = sent.elapsed + ending.elapsed();
    let folders = tables.iter().map(|table| data_dir.join("data").join(table));
    let parquet_bytes = folders
        .map(|folder| parquet_bytes(&folder))
        .sum::<anyhow::Result<u64>>()?;
    ensure!(
        parquet_bytes > 0,
        "the collector left no segments in {}",
        data_dir.display()
    );
    Ok(Run {
        sent,
        complete,
        cpu_acknowledged,
        cpu_complete,
        cpu_sender,
        peak_rss_mib,
        rows,
        parquet_bytes,
    })
}

/// The requests, made before anything is timed.
fn requests(bench: &Bench, signal: Signal) -> Vec<Request> {
    let request = |body: Vec<u8>, records: usize| Request {
        body: body.into(),
        records: records as u64,
    };
    match signal {
        Signal::Logs => {
            let mut logs = Logs::new(SEED);
            let count = bench.scale.log_records / RECORDS_PER_REQUEST;
            (0..count)
                .map(|_| request(logs.request(RECORDS_PER_REQUEST), RECORDS_PER_REQUEST))
                .collect()
        }
        Signal::Traces => {
            let mut spans = Spans::new(SEED);
            let traces = RECORDS_PER_REQUEST / SPANS_PER_TRACE;
            let count = bench.scale.spans / (traces * SPANS_PER_TRACE);
            (0..count)
                .map(|_| request(spans.request(traces), traces * SPANS_PER_TRACE))
                .collect()
        }
        Signal::Metrics => {
            let mut targets: Vec<Target> =
                (0..TARGETS).map(|index| Target::new(SEED, index)).collect();
            let series: usize = targets.iter().map(Target::series_count).sum();
            let scrapes = bench.scale.samples / series;
            (0..scrapes).flat_map(|_| scrape(&mut targets)).collect()
        }
    }
}

/// The next scrape of all nodes. A request is the concatenation of its resource groups.
fn scrape(targets: &mut [Target]) -> Vec<Request> {
    let request = |targets: &mut [Target]| Request {
        records: targets
            .iter()
            .map(|target| target.series_count() as u64)
            .sum(),
        body: targets.iter_mut().flat_map(Target::request).collect(),
    };
    targets
        .chunks_mut(TARGETS_PER_REQUEST)
        .map(request)
        .collect()
}

/// Bytes of all Parquet files below a folder.
fn parquet_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.is_dir() {
            bytes += parquet_bytes(&path)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
