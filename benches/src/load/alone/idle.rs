//! Agents with nothing to do: memory without logs, and the cost of many files that do not grow.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::run::wait_for;
use crate::generate::lines::{Lines, Shape};
use crate::load::Bench;
use crate::load::http::free_addresses;
use crate::load::start::{Flow, Sink, start_agent};
use crate::report::{Figure, Goal};

const SEED: u64 = 37;
/// Folders that the idle files are spread over.
const DIRECTORIES: usize = 200;
/// Files that get a line, one after the other.
const WOKEN_FILES: usize = 10;
/// Resident memory without logs, at most.
const IDLE_MIB: f64 = 15.0;
/// CPU time for idle files, less than (percent of a core).
const IDLE_CPU_PERCENT: f64 = 1.0;
/// Descriptors for idle files, fewer than.
const IDLE_DESCRIPTORS: f64 = 64.0;

pub(super) fn measure(bench: &Bench, progress: &dyn Fn(&str)) -> anyhow::Result<Vec<Figure>> {
    let mut figures = vec![memory(bench)?];
    progress(&format!(
        "agent alone: {} idle files",
        bench.scale.idle_files
    ));
    figures.extend(many_files(bench)?);
    Ok(figures)
}

/// Files, OTLP and the host's own figures, but no logs.
fn memory(bench: &Bench) -> anyhow::Result<Figure> {
    let dir = bench.folder("alone-idle")?;
    let sink = Sink::start(&dir)?;
    let [otlp] = free_addresses()?;
    let glob = dir.join("pods/*/*/*.log");
    let flow = Flow {
        receivers: format!(
            "{{files: {{type: filelog, include: [{glob:?}]}}, otlp: {{type: otlp, grpc: \"{otlp}\"}}, \
             host: {{type: hostmetrics, interval: 15s}}}}"
        ),
        pipelines: "{logs: {from: [files, otlp], to: [collector]}, metrics: {from: [host, otlp], to: [collector]}, \
                    traces: {from: [otlp], to: [collector]}}"
            .to_owned(),
        ..Flow::default()
    };
    let agent = start_agent(
        &bench.programs,
        &dir,
        &dir.join("agent-data"),
        sink.grpc,
        &flow,
    )?;
    std::thread::sleep(bench.scale.idle);
    let figure = Figure::new("agent, idle: memory", agent.rss_mib()?, "MiB RSS");
    agent.terminate()?;
    Ok(figure.with_goal(Goal::AtMost(IDLE_MIB)))
}

/// Files of a few lines that have all been read, until some of them get a line more.
fn many_files(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let dir = bench.folder("alone-idle-files")?;
    let files = write_files(&dir, bench.scale.idle_files)?;
    let sink = Sink::start(&dir)?;
    let glob = dir.join("pods/*/*.log");
    let flow = Flow {
        receivers: format!("{{files: {{type: filelog, include: [{glob:?}]}}}}"),
        pipelines: "{logs: {from: [files], to: [collector]}}".to_owned(),
        ..Flow::default()
    };
    let started = Instant::now();
    let mut agent = start_agent(
        &bench.programs,
        &dir,
        &dir.join("agent-data"),
        sink.grpc,
        &flow,
    )?;
    let mut records = files.len() as u64;
    wait_for(&sink, &mut agent, records)?;
    let first_read = started.elapsed().as_secs_f64();
    std::thread::sleep(bench.scale.idle_settle);
    let (cpu, watched) = (agent.cpu_seconds()?, Instant::now());
    std::thread::sleep(bench.scale.idle_window);
    let cpu = agent.cpu_seconds()? - cpu;
    let percent = 100.0 * cpu / watched.elapsed().as_secs_f64();
    let (descriptors, rss_mib) = (agent.open_files()?, agent.rss_mib()?);
    let mut lines = Lines::new(Shape::Cri, SEED + 1);
    let mut waits = Vec::new();
    for file in files
        .iter()
        .step_by((files.len() / WOKEN_FILES).max(1))
        .take(WOKEN_FILES)
    {
        let mut line = Vec::new();
        lines.write(&mut line);
        OpenOptions::new()
            .append(true)
            .open(file)?
            .write_all(&line)?;
        let written = Instant::now();
        records += 1;
        wait_for(&sink, &mut agent, records)?;
        waits.push(written.elapsed().as_secs_f64() * 1e3);
    }
    let descriptors_woken = agent.open_files()?;
    agent.terminate()?;
    let name = |what: &str| format!("agent, {} idle files: {what}", files.len());
    Ok(vec![
        Figure::new(name("first read of all"), first_read, "s"),
        Figure::new(name("CPU"), percent, "% of a core").with_goal(Goal::Below(IDLE_CPU_PERCENT)),
        Figure::new(
            name("descriptors"),
            descriptors.max(descriptors_woken) as f64,
            "open files",
        )
        .with_goal(Goal::Below(IDLE_DESCRIPTORS)),
        Figure::new(name("memory"), rss_mib, "MiB RSS"),
        Figure::median(name("a new line to acknowledged"), &waits, "ms"),
    ])
}

/// One line each.
fn write_files(dir: &Path, count: usize) -> anyhow::Result<Vec<PathBuf>> {
    let mut lines = Lines::new(Shape::Cri, SEED);
    let mut files = Vec::with_capacity(count);
    for index in 0..count {
        let folder = dir.join(format!("pods/pod-{:03}", index % DIRECTORIES));
        if index < DIRECTORIES {
            std::fs::create_dir_all(&folder)?;
        }
        let path = folder.join(format!("{index:05}.log"));
        let mut line = Vec::new();
        lines.write(&mut line);
        std::fs::write(&path, line)?;
        files.push(path);
    }
    Ok(files)
}
