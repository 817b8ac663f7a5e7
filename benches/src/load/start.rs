//! How the programs are started: with default limits, configurations that hold addresses, paths and components only.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::http::{free_addresses, get};
use super::program::{Program, Programs};
use crate::sink::{Sample, Totals};

/// A running collector with its addresses.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) program: Program,
    pub(super) data_dir: PathBuf,
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
}

impl Collector {
    /// Starts one with an empty data folder in `dir` and waits until it is ready.
    pub(super) fn start(programs: &Programs, dir: &Path) -> anyhow::Result<Self> {
        let [http, grpc, otlp_http] = free_addresses()?;
        let data_dir = dir.join("collector-data");
        let config = format!(
            "data_dir: {data_dir:?}\nenvironment: bench\nhttp: {{listen: \"{http}\"}}\n\
             otlp: {{grpc: \"{grpc}\", http: \"{otlp_http}\"}}\n"
        );
        let command = programs.command("vervet-collector", &[])?;
        let mut program = Program::configured("vervet-collector", command, dir, &config)?;
        program.wait_ready(http)?;
        Ok(Self {
            program,
            data_dir,
            grpc,
            http,
        })
    }

    /// Rows that the collector holds of a table, in memory and in segments.
    pub(super) fn rows(&self, table: &str) -> anyhow::Result<u64> {
        let status: serde_json::Value =
            serde_json::from_str(&get(self.http, "/api/vervet/v1/status")?)?;
        let rows = |key| status.pointer(&format!("/tables/{table}/{key}"))?.as_u64();
        let rows = rows("rows_head")
            .zip(rows("rows_stored"))
            .map(|(head, stored)| head + stored);
        rows.with_context(|| format!("the status names no rows of {table}: {status}"))
    }
}

/// What an agent is configured to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    pub(super) receivers: String,
    /// None when empty.
    pub(super) processors: String,
    pub(super) pipelines: String,
}

/// Starts an agent that keeps its buffer in `data_dir` and sends to `destination`, and waits until it is ready.
pub(super) fn start_agent(
    programs: &Programs,
    dir: &Path,
    data_dir: &Path,
    destination: SocketAddr,
    flow: &Flow,
) -> anyhow::Result<Program> {
    let [admin] = free_addresses()?;
    let Flow {
        receivers,
        processors,
        pipelines,
    } = flow;
    let processors = match processors.as_str() {
        "" => String::new(),
        some => format!("processors: {some}\n"),
    };
    let config = format!(
        "data_dir: {data_dir:?}\nadmin: {{listen: \"{admin}\"}}\n\
         resource: {{host.name: bench, deployment.environment.name: bench}}\n\
         receivers: {receivers}\n{processors}\
         exporters: {{collector: {{type: otlp, endpoint: \"http://{destination}\", compression: zstd}}}}\n\
         pipelines: {pipelines}\n",
    );
    let command = programs.command("vervet-agent", &programs.agent_wrapper)?;
    let mut program = Program::configured("vervet-agent", command, dir, &config)?;
    program.wait_ready(admin)?;
    Ok(program)
}

/// A running [`crate::sink`].
#[derive(Debug)]
pub(super) struct Sink {
    _program: Program,
    pub(super) grpc: SocketAddr,
    http: SocketAddr,
}

impl Sink {
    /// Starts this very program as a sink.
    pub(super) fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["sink", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped());
        let mut program = Program::start("sink", command, dir)?;
        let stdout = program.take_stdout().context("the sink has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut address = |name: &str| -> anyhow::Result<SocketAddr> {
            let line = lines.next().context("the sink ended")??;
            let address = line.strip_prefix(name).map(str::trim);
            let parsed = address.and_then(|address| address.parse().ok());
            parsed.with_context(|| format!("the sink said: {line}"))
        };
        let (grpc, http) = (address("grpc")?, address("http")?);
        Ok(Self {
            _program: program,
            grpc,
            http,
        })
    }

    pub(super) fn totals(&self) -> anyhow::Result<Totals> {
        Ok(serde_json::from_str(&get(self.http, "/totals")?)?)
    }

    /// The first log record of the last request.
    pub(super) fn sample(&self) -> anyhow::Result<Sample> {
        Ok(serde_json::from_str(&get(self.http, "/sample")?)?)
    }
}
