//! What the agent is given to do: the inputs, made from a seed, and the configuration.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::ensure;

use crate::generate::lines::{Lines, Shape};
use crate::generate::logs::Logs;
use crate::load::send::Request;
use crate::load::start::Flow;
use crate::sink::Sample;

const SEED: u64 = 31;
/// Files of [`Workload::ManyFiles`].
const FILES: usize = 200;
/// Lines that go to one of many files before the next has its turn.
const LINES_PER_TURN: usize = 50;
/// Log records of a request of [`Workload::PassThrough`].
const RECORDS_PER_REQUEST: usize = 1_000;

/// All that is on by default, and e-mail addresses.
const DETECTORS: &str = "credit_card, iban, jwt, bearer, basic, aws, gcp, stripe, supabase, github, slack, gitlab, openai, service_token, private_key, \
                         url_query, email";

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// Plain lines of a container runtime, one file.
    Cri,
    /// JSON lines, one file.
    Json,
    /// JSON lines of a container runtime, one file.
    CriJson,
    /// JSON lines from which secrets are removed, one file.
    Redaction,
    /// Plain lines of a container runtime, 200 files.
    ManyFiles,
    /// OTLP requests, handed on.
    PassThrough,
}

/// The input of a workload.
pub(super) struct Input {
    pub(super) workload: Workload,
    /// Glob of the files, if it reads files.
    files: PathBuf,
    pub(super) requests: Vec<Request>,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Workload {
    pub(super) const ALL: [Self; 6] = [
        Self::Cri,
        Self::Json,
        Self::CriJson,
        Self::Redaction,
        Self::ManyFiles,
        Self::PassThrough,
    ];
    /// These are run with the buffer in memory, too.
    pub(super) const ALSO_IN_MEMORY: [Self; 2] = [Self::Cri, Self::Json];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cri => "CRI lines",
            Self::Json => "JSON lines",
            Self::CriJson => "JSON in CRI lines",
            Self::Redaction => "JSON lines, redacted",
            Self::ManyFiles => "CRI lines, 200 files",
            Self::PassThrough => "OTLP handed on",
        }
    }

    /// Five times what Fluent Bit 5.1 does on a machine with two cores.
    pub(super) fn goal_mib_per_cpu_second(self) -> Option<f64> {
        match self {
            Self::Cri => Some(100.0),
            Self::Json => Some(85.0),
            _ => None,
        }
    }

    fn shape(self) -> Shape {
        match self {
            Self::Cri | Self::ManyFiles | Self::PassThrough => Shape::Cri,
            Self::Json => Shape::Json,
            Self::CriJson => Shape::CriJson,
            Self::Redaction => Shape::Secrets,
        }
    }

    /// Fails when a record shows that the agent did not do the work: a figure would then be for nothing.
    pub(super) fn check(self, sample: &Sample) -> anyhow::Result<()> {
        let parsed = sample.attributes.len() >= 7 && sample.numbers >= 3 && sample.has_trace_id;
        let done = match self {
            Self::Cri | Self::ManyFiles => sample.attributes.contains_key("log.iostream"),
            Self::Json | Self::CriJson => parsed,
            Self::Redaction => {
                parsed
                    && !sample.body.contains("4111 1111")
                    && !sample.body.contains("@example.com")
            }
            Self::PassThrough => sample.numbers == 3,
        };
        let timed = sample.time_unix_nano / 1_000_000_000
            == crate::generate::START_UNIX_NANO / 1_000_000_000
            || sample.time_unix_nano > crate::generate::START_UNIX_NANO;
        ensure!(
            done && timed && sample.severity_number > 0,
            "the agent made of a line: {sample:?}"
        );
        Ok(())
    }
}

impl Input {
    /// Makes at least `mib` of it in a folder of its own in `dir`.
    pub(super) fn make(workload: Workload, dir: &Path, mib: usize) -> anyhow::Result<Self> {
        if workload == Workload::PassThrough {
            return Ok(Self::requests(mib << 20));
        }
        let pods = dir.join(format!("{workload:?}/pods"));
        let count = if workload == Workload::ManyFiles {
            FILES
        } else {
            1
        };
        let mut files = (0..count)
            .map(|index| pod_log(&pods, index))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let (mut lines, mut records, mut bytes) = (Lines::new(workload.shape(), SEED), 0, 0);
        let mut chunk = Vec::new();
        while bytes < mib << 20 {
            for file in &mut files {
                chunk.clear();
                (0..LINES_PER_TURN).for_each(|_| lines.write(&mut chunk));
                file.write_all(&chunk)?;
                records += LINES_PER_TURN as u64;
                bytes += chunk.len();
            }
        }
        for file in files {
            // Written out now, so that the agent's syncs do not pay for it.
            file.into_inner()?.sync_all()?;
        }
        Ok(Self {
            workload,
            files: pods.join("*/*/*.log"),
            requests: Vec::new(),
            records,
            bytes: bytes as u64,
        })
    }

    fn requests(bytes_min: usize) -> Self {
        let mut logs = Logs::new(SEED);
        let (mut requests, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_min {
            let body = logs.request(RECORDS_PER_REQUEST);
            bytes += body.len();
            requests.push(Request {
                body: body.into(),
                records: RECORDS_PER_REQUEST as u64,
            });
        }
        Self {
            workload: Workload::PassThrough,
            files: PathBuf::new(),
            records: (requests.len() * RECORDS_PER_REQUEST) as u64,
            requests,
            bytes: bytes as u64,
        }
    }

    /// The agent's configuration; `otlp` is where it listens if it reads no files.
    pub(super) fn flow(&self, otlp: SocketAddr) -> Flow {
        let (receiver, via) = match self.workload {
            Workload::PassThrough => (format!("{{type: otlp, grpc: \"{otlp}\"}}"), ""),
            Workload::Redaction => (self.filelog(), "via: [redact], "),
            _ => (self.filelog(), ""),
        };
        let processors = match via {
            "" => String::new(),
            _ => format!("{{redact: {{type: redaction, detect: [{DETECTORS}]}}}}"),
        };
        Flow {
            receivers: format!("{{input: {receiver}}}"),
            processors,
            pipelines: format!("{{logs: {{from: [input], {via}to: [collector]}}}}"),
        }
    }

    fn filelog(&self) -> String {
        format!(
            "{{type: filelog, include: [{:?}], start_at: beginning}}",
            self.files
        )
    }
}

/// A new file where a container runtime would put it.
fn pod_log(pods: &Path, index: usize) -> anyhow::Result<BufWriter<File>> {
    const BUFFER_BYTES: usize = 256 << 10;
    let pod = format!("shop_checkout-6f9d8c7b5-{index:05}_1b9b6a5c-0000-4000-8000-{index:012}");
    let dir = pods.join(pod).join("server");
    std::fs::create_dir_all(&dir)?;
    Ok(BufWriter::with_capacity(
        BUFFER_BYTES,
        File::create(dir.join("0.log"))?,
    ))
}
