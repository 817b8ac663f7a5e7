//! The agent reads a log file and ships it; done when the collector holds every line.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Bench;
use super::start::{Collector, Flow, start_agent};
use crate::generate::logs::Logs;
use crate::report::Figure;

const SEED: u64 = 11;
/// After this the figures are taken from what has arrived.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const MIB: f64 = 1_048_576.0;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let dir = bench.folder("agent")?;
    let file = dir.join("service.log");
    let (lines, bytes) = write_file(&file, bench.scale.file_mib << 20)?;
    let mut collector = Collector::start(&bench.programs, &dir)?;
    let collector_before = collector.program.cpu_seconds()?;
    let started = Instant::now();
    let mut agent = start_agent(
        &bench.programs,
        &dir,
        &dir.join("agent-data"),
        collector.grpc,
        &Flow {
            receivers: format!(
                "{{files: {{type: filelog, include: [{file:?}], start_at: beginning}}}}"
            ),
            pipelines: "{logs: {from: [files], to: [collector]}}".to_owned(),
            ..Flow::default()
        },
    )?;
    let mut rows = 0;
    while rows < lines && started.elapsed() < TIMEOUT {
        std::thread::sleep(POLL_INTERVAL);
        agent.ensure_running()?;
        collector.program.ensure_running()?;
        rows = collector.rows("logs")?;
    }
    let seconds = started.elapsed().as_secs_f64();
    anyhow::ensure!(rows > 0, "no line of the file arrived within {TIMEOUT:?}");
    anyhow::ensure!(
        rows <= lines,
        "the file has {lines} lines, the collector holds {rows}"
    );
    let arrived_mib = bytes as f64 / MIB * rows as f64 / lines as f64;
    let gib = arrived_mib / 1024.0;
    let collector_cpu = collector.program.cpu_seconds()? - collector_before;
    let figures = vec![
        Figure::new(
            "agent: file to acknowledged",
            arrived_mib / seconds,
            "MiB/s",
        ),
        Figure::new(
            "agent: file to acknowledged",
            rows as f64 / seconds,
            "lines/s",
        ),
        Figure::new(
            "agent: part of the file that arrived",
            100.0 * rows as f64 / lines as f64,
            "%",
        ),
        Figure::new(
            "agent: CPU, file to acknowledged",
            agent.cpu_seconds()? / gib,
            "CPU s/GiB",
        ),
        Figure::new(
            "agent: collector's CPU meanwhile",
            collector_cpu / gib,
            "CPU s/GiB",
        ),
        Figure::new("agent: peak memory, file", agent.peak_rss_mib()?, "MiB RSS"),
    ];
    drop(agent);
    collector.program.terminate()?;
    Ok(figures)
}

/// Writes at least `bytes_min` of whole lines; returns lines and bytes.
fn write_file(path: &Path, bytes_min: usize) -> anyhow::Result<(u64, u64)> {
    const CHUNK_BYTES: usize = 1 << 20;
    let mut file = File::create(path)?;
    let mut logs = Logs::new(SEED);
    let (mut lines, mut bytes) = (0, 0);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
    while bytes < bytes_min {
        chunk.clear();
        while chunk.len() < CHUNK_BYTES {
            logs.write_line(&mut chunk);
            lines += 1;
        }
        file.write_all(&chunk)?;
        bytes += chunk.len();
    }
    // Written out now, so that the agent's syncs do not pay for it.
    file.sync_all()?;
    Ok((lines, bytes as u64))
}
