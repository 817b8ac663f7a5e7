//! The load bench: the release programs as a user runs them, on one machine with their load.
//!
//! Each measurement starts programs of its own on free ports of the loopback interface, with an empty data
//! folder, and ends them with SIGTERM. Nothing is tuned: configurations hold addresses and paths only. The
//! bench fails rather than print a figure when the collector does not hold what it acknowledged, or when not
//! every line has arrived.
//!
//! Limits: 35 s of sending per signal, 60 s for the agent with a collector; see [`alone`] for the agent alone.

mod agent;
pub mod alone;
mod beside;
mod collector;
mod http;
mod idle;
mod program;
mod scraping;
mod send;
mod start;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use vervet_model::Signal;

use crate::report::Figure;
pub use program::Programs;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Log records sent to the collector.
    pub log_records: usize,
    /// Spans sent to the collector.
    pub spans: usize,
    /// Samples sent to the collector.
    pub samples: usize,
    /// Size of the file that the agent reads (MiB).
    pub file_mib: usize,
    /// How long the programs idle before their memory is read.
    pub idle: Duration,
    /// Size of each input of the agent alone (MiB).
    pub agent_file_mib: usize,
    /// How often each workload of the agent alone is run.
    pub repetitions: usize,
    /// From the last record to the reading of memory at rest.
    pub rest: Duration,
    /// Files that do not grow.
    pub idle_files: usize,
    /// From the first read of all idle files to the measurement, and how long that is.
    pub idle_settle: Duration,
    pub idle_window: Duration,
    /// What both hold when the collector is compared with Prometheus.
    pub hours: i64,
    /// How long scraping is measured.
    pub scrape_window: Duration,
}

impl Scale {
    pub const FULL: Self = Self {
        log_records: 1_000_000,
        spans: 400_000,
        samples: 2_000_000,
        file_mib: 200,
        idle: Duration::from_secs(10),
        agent_file_mib: 384,
        repetitions: 5,
        rest: Duration::from_secs(2),
        idle_files: 20_000,
        idle_settle: Duration::from_secs(15),
        idle_window: Duration::from_secs(30),
        hours: 24,
        scrape_window: Duration::from_secs(60),
    };
    pub const QUICK: Self = Self {
        log_records: 100_000,
        spans: 50_000,
        samples: 250_000,
        file_mib: 20,
        idle: Duration::from_secs(3),
        agent_file_mib: 38,
        repetitions: 1,
        rest: Duration::from_secs(1),
        idle_files: 2_000,
        idle_settle: Duration::from_secs(3),
        idle_window: Duration::from_secs(5),
        hours: 2,
        scrape_window: Duration::from_secs(20),
    };
}

/// Where the programs are and where they may keep data.
#[derive(Debug, Clone)]
pub struct Bench {
    pub programs: Programs,
    pub work_dir: PathBuf,
    pub scale: Scale,
}

/// A part of the load bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The agent by itself, sending to a destination that costs next to nothing.
    Agent,
    /// The collector, and the agent together with it.
    Collector,
    /// Of the collector, only logs over OTLP/gRPC: for comparing two builds, in turn.
    Logs,
    /// The collector beside a Prometheus, with the same samples and queries. Not part of a whole run.
    Prometheus,
    /// The agent beside a Prometheus in agent mode, scraping the same targets. Not part of a whole run; needs no collector.
    Scraping,
}

impl Bench {
    /// Measures everything, or one part, one thing after the other. `progress` is told what comes next.
    ///
    /// # Errors
    /// A program is missing, did not start, answer or keep what it acknowledged.
    pub fn run(&self, only: Option<Part>, progress: impl Fn(&str)) -> anyhow::Result<Vec<Figure>> {
        let wanted = |part| only.is_none_or(|only| only == part);
        let (agent, collector) = (wanted(Part::Agent), wanted(Part::Collector));
        let scraping = only == Some(Part::Scraping);
        if agent || collector || scraping {
            self.programs.ensure_built(&["vervet-agent"])?;
        }
        if !(agent || scraping) || collector {
            self.programs.ensure_built(&["vervet-collector"])?;
        }
        let mut figures = Vec::new();
        if agent {
            figures.extend(alone::measure(self, &progress).context("agent alone")?);
        }
        if collector {
            figures.extend(self.run_collector(&progress)?);
        }
        if only == Some(Part::Logs) {
            figures.extend(self.run_signal(Signal::Logs, &progress)?);
        }
        if scraping {
            figures.extend(scraping::measure(self, &progress).context("scraping")?);
        }
        if only == Some(Part::Prometheus) {
            figures.extend(beside::measure(self, &progress).context("beside Prometheus")?);
        }
        Ok(figures)
    }

    fn run_collector(&self, progress: &dyn Fn(&str)) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        progress("idle: both programs");
        figures.extend(idle::measure(self).context("idle")?);
        progress("agent: from a file to acknowledged");
        figures.extend(agent::measure(self).context("agent")?);
        for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
            figures.extend(self.run_signal(signal, progress)?);
        }
        Ok(figures)
    }

    fn run_signal(&self, signal: Signal, progress: &dyn Fn(&str)) -> anyhow::Result<Vec<Figure>> {
        progress(&format!("collector: {signal} over OTLP/gRPC"));
        collector::measure(self, signal).with_context(|| format!("collector, {signal}"))
    }

    /// A new folder for one measurement.
    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.work_dir.join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}
