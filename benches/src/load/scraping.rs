//! The agent and a Prometheus in agent mode scrape the same targets at the same time.
//!
//! 100 targets of 1,000 series each, every 5 s: counters, gauges and classic histograms, whose values change with every
//! scrape. The agent sends OTLP to a sink, Prometheus remote write to a server that takes everything. CPU and memory are
//! read over one window for both.

mod targets;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::Bench;
use super::http::{free_addresses, get};
use super::program::Program;
use super::start::{Flow, Sink, start_agent};
use crate::report::{Figure, Goal};
use targets::{SERIES, TARGETS, Targets};

const INTERVAL_SECONDS: u64 = 5;
/// Of Prometheus's CPU time, at most.
const CPU_PART: f64 = 1.0 / 3.0;
/// Of Prometheus's memory, at most.
const MEMORY_PART: f64 = 0.25;
/// Memory for a series, at most (KiB).
const SERIES_KIB: f64 = 1.5;

pub(super) fn measure(bench: &Bench, progress: &dyn Fn(&str)) -> anyhow::Result<Vec<Figure>> {
    let dir = bench.folder("scraping")?;
    let sink = Sink::start(&dir)?;
    let targets = Targets::start()?;
    let idle = agent(bench, &dir, sink.grpc, None)?;
    std::thread::sleep(bench.scale.idle);
    let idle_mib = idle.rss_mib()?;
    idle.terminate()?;
    progress("scraping: agent and Prometheus, 100 targets of 1,000 series");
    let prometheus = prometheus(&dir, &targets)?;
    let agent = agent(bench, &dir, sink.grpc, Some(&targets))?;
    std::thread::sleep(bench.scale.idle_settle);
    let programs = [&prometheus, &agent];
    let (arrived, began) = (sink.totals()?.records, Instant::now());
    let before = programs.map(Program::cpu_seconds);
    std::thread::sleep(bench.scale.scrape_window);
    let after = programs.map(Program::cpu_seconds);
    let window = began.elapsed().as_secs_f64();
    let arrived = sink.totals()?.records - arrived;
    // One round may lie across an end.
    let rounds = window / INTERVAL_SECONDS as f64 - 1.0;
    let expected = rounds * (TARGETS * SERIES) as f64;
    ensure!(
        arrived as f64 >= expected,
        "{arrived} samples arrived in {window} s, {expected} were expected"
    );
    let mut cpu = [0.0; 2];
    for ((cpu, before), after) in cpu.iter_mut().zip(before).zip(after) {
        *cpu = 100.0 * (after? - before?) / window;
    }
    let memory = [prometheus.rss_mib()?, agent.rss_mib()?];
    agent.terminate()?;
    let [prometheus_cpu, agent_cpu] = cpu;
    let [prometheus_mib, agent_mib] = memory;
    let series_kib = (agent_mib - idle_mib) * 1024.0 / (TARGETS * SERIES) as f64;
    Ok(vec![
        Figure::new("scraping: Prometheus: CPU", prometheus_cpu, "% of a core"),
        Figure::new("scraping: agent: CPU", agent_cpu, "% of a core"),
        Figure::new(
            "scraping: CPU",
            agent_cpu / prometheus_cpu,
            "x Prometheus's",
        )
        .with_goal(Goal::AtMost(CPU_PART)),
        Figure::new("scraping: Prometheus: memory", prometheus_mib, "MiB RSS"),
        Figure::new("scraping: agent: memory", agent_mib, "MiB RSS"),
        Figure::new(
            "scraping: memory",
            agent_mib / prometheus_mib,
            "x Prometheus's",
        )
        .with_goal(Goal::AtMost(MEMORY_PART)),
        Figure::new("scraping: agent: memory for a series", series_kib, "KiB")
            .with_goal(Goal::AtMost(SERIES_KIB)),
    ])
}

/// An agent that scrapes the targets, or nothing.
fn agent(
    bench: &Bench,
    dir: &Path,
    sink: SocketAddr,
    targets: Option<&Targets>,
) -> anyhow::Result<Program> {
    let addresses = targets.map_or_else(|| "[]".to_owned(), Targets::list);
    let flow = Flow {
        receivers: format!(
            "{{scrape: {{type: prometheus, scrape_configs: [{{job_name: bench, scrape_interval: {INTERVAL_SECONDS}s, \
             scrape_timeout: {INTERVAL_SECONDS}s, static_configs: [{{targets: {addresses}}}]}}]}}}}"
        ),
        pipelines: "{metrics: {from: [scrape], to: [collector]}}".to_owned(),
        ..Flow::default()
    };
    let data = dir.join(if targets.is_some() {
        "agent-data"
    } else {
        "idle-data"
    });
    start_agent(&bench.programs, dir, &data, sink, &flow)
}

/// A Prometheus in agent mode that scrapes them.
fn prometheus(dir: &Path, targets: &Targets) -> anyhow::Result<Program> {
    let [http] = free_addresses()?;
    let config = dir.join("prometheus.yml");
    let mut text = format!(
        "global: {{scrape_interval: {INTERVAL_SECONDS}s, scrape_timeout: {INTERVAL_SECONDS}s}}\n"
    );
    writeln!(
        text,
        "remote_write: [{{url: \"http://{}/write\"}}]",
        targets.sink()
    )?;
    writeln!(
        text,
        "scrape_configs: [{{job_name: bench, static_configs: [{{targets: {}}}]}}]",
        targets.list()
    )?;
    std::fs::write(&config, text)?;
    let mut command = Command::new("prometheus");
    command
        .arg("--enable-feature=agent")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.agent.path={}",
            dir.join("wal").display()
        ))
        .arg(format!("--web.listen-address={http}"))
        .stdout(Stdio::null());
    let mut program = Program::start("prometheus", command, dir)
        .context("is Debian's package prometheus installed?")?;
    program.wait_until(|| get(http, "/-/ready").is_ok())?;
    Ok(program)
}
