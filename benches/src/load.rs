//! The load bench: the release programs as a user runs them, on one machine with their load.
//!
//! Each measurement starts programs of its own on free ports of the loopback interface, with an empty data
//! folder, and ends them with SIGTERM. Nothing is tuned: configurations hold addresses and paths only. The
//! bench fails rather than print a figure when the collector does not hold what it acknowledged.
//!
//! Limits: 35 s of sending per signal, 60 s for the agent, under four minutes in all.

mod agent;
mod collector;
mod http;
mod idle;
mod program;
mod send;

use std::path::PathBuf;

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
    pub idle: std::time::Duration,
}

impl Scale {
    pub const FULL: Self = Self {
        log_records: 1_000_000,
        spans: 400_000,
        samples: 2_000_000,
        file_mib: 200,
        idle: std::time::Duration::from_secs(10),
    };
    pub const QUICK: Self = Self {
        log_records: 100_000,
        spans: 50_000,
        samples: 250_000,
        file_mib: 20,
        idle: std::time::Duration::from_secs(3),
    };
}

/// Where the programs are and where they may keep data.
#[derive(Debug, Clone)]
pub struct Bench {
    pub programs: Programs,
    pub work_dir: PathBuf,
    pub scale: Scale,
}

impl Bench {
    /// Measures everything, one thing after the other. `progress` is told what comes next.
    ///
    /// # Errors
    /// A program did not start, answer or keep what it acknowledged.
    pub fn run(&self, progress: impl Fn(&str)) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        progress("idle: both programs");
        figures.extend(idle::measure(self).context("idle")?);
        progress("agent: from a file to acknowledged");
        figures.extend(agent::measure(self).context("agent")?);
        for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
            progress(&format!("collector: {signal} over OTLP/gRPC"));
            let load = collector::measure(self, signal);
            figures.extend(load.with_context(|| format!("collector, {signal}"))?);
        }
        Ok(figures)
    }

    /// A new folder for one measurement.
    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.work_dir.join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}
