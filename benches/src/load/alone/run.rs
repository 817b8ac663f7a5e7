//! One run of one workload: from the start of the agent to the sink's acknowledgement of the last record.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use vervet_model::Signal;

use super::MIB;
use super::workload::Input;
use crate::load::Bench;
use crate::load::http::free_addresses;
use crate::load::program::Program;
use crate::load::send::send_all;
use crate::load::start::{Sink, start_agent};

/// Everything has arrived by then, or the bench fails.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What one run gave.
pub(super) struct Run {
    /// Of the input.
    pub(super) mib: f64,
    pub(super) records: f64,
    /// OTLP protobuf for each byte of the input.
    pub(super) protobuf_per_byte: f64,
    pub(super) seconds: f64,
    /// User and system time of the agent's whole life until then.
    pub(super) cpu_seconds: f64,
    pub(super) peak_rss_mib: f64,
    /// Resident memory after a rest.
    pub(super) rest_rss_mib: f64,
}

pub(super) fn run(
    bench: &Bench,
    dir: &Path,
    data_dir: &Path,
    input: &Input,
) -> anyhow::Result<Run> {
    let sink = Sink::start(dir)?;
    let [otlp] = free_addresses()?;
    let mut started = Instant::now();
    let mut agent = start_agent(&bench.programs, dir, data_dir, sink.grpc, &input.flow(otlp))?;
    if !input.requests.is_empty() {
        started = Instant::now();
        let sent = send_all(otlp, Signal::Logs, input.requests.clone())?;
        ensure!(
            sent.records == input.records,
            "the agent took {} of {} records",
            sent.records,
            input.records
        );
    }
    wait_for(&sink, &mut agent, input.records)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = agent.cpu_seconds()?;
    let peak_rss_mib = agent.peak_rss_mib()?;
    std::thread::sleep(bench.scale.rest);
    let rest_rss_mib = agent.rss_mib()?;
    let totals = sink.totals()?;
    let arrived = totals.records;
    ensure!(
        arrived == input.records,
        "{arrived} records arrived of {}",
        input.records
    );
    input.workload.check(&sink.sample()?)?;
    if bench.programs.agent_wrapper.is_empty() {
        agent.terminate()?;
    } else {
        agent.end()?;
    }
    Ok(Run {
        mib: input.bytes as f64 / MIB,
        records: input.records as f64,
        protobuf_per_byte: totals.bytes as f64 / input.bytes as f64,
        seconds,
        cpu_seconds,
        peak_rss_mib,
        rest_rss_mib,
    })
}

/// Waits until the sink has acknowledged `records`.
pub(super) fn wait_for(sink: &Sink, agent: &mut Program, records: u64) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let totals = sink.totals()?;
        let arrived = totals.records;
        if arrived >= records {
            return Ok(());
        }
        agent.ensure_running()?;
        ensure!(
            started.elapsed() < TIMEOUT,
            "{arrived} of {records} records arrived within {TIMEOUT:?}"
        );
        std::thread::sleep(POLL_INTERVAL);
    }
}
