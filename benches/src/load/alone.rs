//! The agent by itself: it sends to a [`crate::sink`] in a process of its own, so that its CPU time is known apart from
//! that of a collector, which would share the cores.
//!
//! Every workload is run [`Scale::repetitions`](super::Scale) times, in turn with the others, each time with a new agent and
//! an empty data folder; its input is made once, before anything is timed, and is in the page cache. With the data
//! folder in a file system in memory the same agent shows what the disk costs.
//!
//! Limits: [`run::TIMEOUT`] a run.

mod idle;
mod run;
mod workload;

use std::path::Path;

use anyhow::Context as _;

use super::Bench;
use crate::report::{Figure, Goal};
use run::{Run, run};
use workload::Input;
pub use workload::Workload;

const MIB: f64 = 1_048_576.0;
/// A file system in memory, where Linux has one.
const MEMORY_DIR: &str = "/dev/shm";
/// Resident memory under load, at most.
const PEAK_MIB: f64 = 40.0;
/// Throughput with the buffer on disk as part of that with the buffer in memory.
const DISK_PERCENT: f64 = 80.0;

/// Where the agent's buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Disk,
    Memory,
}

/// A workload on a medium and what its runs gave, in order.
struct Series {
    workload: Workload,
    medium: Medium,
    runs: Vec<Run>,
}

/// Measures idle agents, then all workloads.
pub(super) fn measure(bench: &Bench, progress: &dyn Fn(&str)) -> anyhow::Result<Vec<Figure>> {
    progress("agent alone: idle");
    let mut figures = idle::measure(bench, progress).context("idle")?;
    progress("agent alone: writing the logs that will be read");
    let dir = bench.folder("alone")?;
    let inputs: Vec<Input> = Workload::ALL
        .into_iter()
        .map(|workload| Input::make(workload, &dir, bench.scale.agent_file_mib))
        .collect::<anyhow::Result<_>>()?;
    let memory = tempfile::Builder::new()
        .prefix("vervet-bench-")
        .tempdir_in(MEMORY_DIR);
    if let Err(error) = &memory {
        progress(&format!(
            "no buffer in memory is measured: {MEMORY_DIR}: {error}"
        ));
    }
    let memory = memory.ok();
    let mut series = all_series(memory.is_some());
    for repetition in 0..bench.scale.repetitions {
        progress(&format!(
            "agent alone: round {} of {}",
            repetition + 1,
            bench.scale.repetitions
        ));
        for series in &mut series {
            let Some(input) = inputs
                .iter()
                .find(|input| input.workload == series.workload)
            else {
                continue;
            };
            let data_dir = match (series.medium, &memory) {
                (Medium::Memory, Some(memory)) => memory.path().join("agent-data"),
                _ => dir.join("agent-data"),
            };
            let what = || format!("{}, {:?}", series.workload.name(), series.medium);
            let run = with_empty(&data_dir, || run(bench, &dir, &data_dir, input));
            series.runs.push(run.with_context(what)?);
        }
    }
    for series in series.iter().filter(|series| series.medium == Medium::Disk) {
        figures.extend(workload_figures(series));
    }
    figures.extend(disk_figures(&series));
    Ok(figures)
}

/// One run of a workload, for a profile of it: how much CPU time the agent needed.
///
/// # Errors
/// A program did not start, or not everything arrived in time.
pub fn profile(bench: &Bench, workload: Workload, mib: usize) -> anyhow::Result<Vec<Figure>> {
    let dir = bench.folder("profile")?;
    let input = Input::make(workload, &dir, mib)?;
    let run = run(bench, &dir, &dir.join("agent-data"), &input)?;
    Ok(workload_figures(&Series {
        workload,
        medium: Medium::Disk,
        runs: vec![run],
    }))
}

fn all_series(with_memory: bool) -> Vec<Series> {
    let series = |workload, medium| Series {
        workload,
        medium,
        runs: Vec::new(),
    };
    let disk = Workload::ALL.map(|workload| series(workload, Medium::Disk));
    let memory = Workload::ALSO_IN_MEMORY.map(|workload| series(workload, Medium::Memory));
    disk.into_iter()
        .chain(memory.into_iter().filter(|_| with_memory))
        .collect()
}

/// Runs with a folder that is not there before and not after.
fn with_empty<T>(data_dir: &Path, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    remove(data_dir)?;
    let result = run()?;
    remove(data_dir)?;
    Ok(result)
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn workload_figures(series: &Series) -> Vec<Figure> {
    let name = |what: &str| format!("agent, {}: {what}", series.workload.name());
    let values = |value: fn(&Run) -> f64| series.runs.iter().map(value).collect::<Vec<_>>();
    let per_cpu = Figure::median(
        name("per CPU second"),
        &values(|run| run.mib / run.cpu_seconds),
        "MiB/CPU s",
    );
    let per_cpu = match series.workload.goal_mib_per_cpu_second() {
        Some(goal) => per_cpu.with_goal(Goal::AtLeast(goal)),
        None => per_cpu,
    };
    vec![
        per_cpu,
        Figure::median(
            name("per CPU second"),
            &values(|run| run.records / run.cpu_seconds),
            "records/CPU s",
        ),
        Figure::median(
            name("to acknowledged"),
            &values(|run| run.mib / run.seconds),
            "MiB/s",
        ),
        Figure::median(
            name("to acknowledged"),
            &values(|run| run.records / run.seconds),
            "records/s",
        ),
        Figure::median(
            name("protobuf sent"),
            &values(|run| run.protobuf_per_byte),
            "bytes/byte of input",
        ),
        Figure::median(
            name("peak memory"),
            &values(|run| run.peak_rss_mib),
            "MiB RSS",
        )
        .with_goal(Goal::AtMost(PEAK_MIB)),
        Figure::median(
            name("memory afterwards"),
            &values(|run| run.rest_rss_mib),
            "MiB RSS",
        ),
    ]
}

/// What the disk costs: throughput with the buffer on it as part of that with the buffer in memory, run by run.
fn disk_figures(series: &[Series]) -> Vec<Figure> {
    let runs = |workload, medium| {
        let found = series
            .iter()
            .find(|series| series.workload == workload && series.medium == medium);
        found.map(|series| series.runs.as_slice())
    };
    Workload::ALSO_IN_MEMORY
        .into_iter()
        .filter_map(|workload| {
            let (disk, memory) =
                runs(workload, Medium::Disk).zip(runs(workload, Medium::Memory))?;
            let ratios = |rate: fn(&Run) -> f64| {
                let pairs = disk.iter().zip(memory);
                pairs
                    .map(|(disk, memory)| 100.0 * rate(disk) / rate(memory))
                    .collect::<Vec<_>>()
            };
            let name = |what: &str| format!("agent, {}: {what}", workload.name());
            Some([
                Figure::median(
                    name("with the buffer on disk"),
                    &ratios(|run| run.mib / run.seconds),
                    "% of MiB/s in memory",
                )
                .with_goal(Goal::AtLeast(DISK_PERCENT)),
                Figure::median(
                    name("with the buffer on disk"),
                    &ratios(|run| run.mib / run.cpu_seconds),
                    "% of MiB/CPU s in memory",
                ),
            ])
        })
        .flatten()
        .collect()
}
