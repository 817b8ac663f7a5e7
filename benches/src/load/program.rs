//! The programs as processes: found, started, watched through `/proc`, ended.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use procfs::process::Process;

use super::http::{free_addresses, get};

const START_TIMEOUT: Duration = Duration::from_secs(15);
const END_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of a failed program's log is shown (bytes).
const LOG_TAIL_BYTES: usize = 2_000;

/// The two executables.
#[derive(Debug, Clone)]
pub struct Programs {
    collector: PathBuf,
    agent: PathBuf,
}

impl Programs {
    /// The programs in a folder, usually the one this program was built into.
    ///
    /// # Errors
    /// One is not there.
    pub fn in_folder(dir: &Path) -> anyhow::Result<Self> {
        let find = |name: &str| {
            let path = dir.join(name);
            ensure!(
                path.is_file(),
                "{name} is not in {}; build it first: cargo build --release -p vervet-collector -p vervet-agent",
                dir.display()
            );
            Ok(path)
        };
        Ok(Self {
            collector: find("vervet-collector")?,
            agent: find("vervet-agent")?,
        })
    }
}

/// A running program. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    fn start(name: &'static str, path: &Path, dir: &Path, config: &str) -> anyhow::Result<Self> {
        let config_path = dir.join(format!("{name}.yaml"));
        std::fs::write(&config_path, config)?;
        let log = dir.join(format!("{name}.log"));
        let child = Command::new(path)
            .args(["run", "--config"])
            .arg(&config_path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", path.display()))?;
        Ok(Self { name, child, log })
    }

    /// Waits until `GET address/readyz` is answered with success.
    fn wait_ready(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let started = Instant::now();
        while get(address, "/readyz").is_err() {
            self.ensure_running()?;
            if started.elapsed() > START_TIMEOUT {
                bail!(
                    "{} was not ready after {START_TIMEOUT:?}:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// # Errors
    /// The process ended by itself.
    pub(super) fn ensure_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.log_tail()),
        }
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = log
            .get(log.len().saturating_sub(LOG_TAIL_BYTES)..)
            .unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }

    fn process(&self) -> anyhow::Result<Process> {
        Ok(Process::new(i32::try_from(self.child.id())?)?)
    }

    /// CPU time used since the start, user and system (seconds).
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.process()?.stat()?;
        Ok(seconds(stat.utime + stat.stime))
    }

    /// Memory held at the moment (MiB).
    pub(super) fn rss_mib(&self) -> anyhow::Result<f64> {
        let kib = self
            .process()?
            .status()?
            .vmrss
            .context("the kernel tells no VmRSS")?;
        Ok(kib as f64 / 1024.0)
    }

    /// The most memory ever held (MiB).
    pub(super) fn peak_rss_mib(&self) -> anyhow::Result<f64> {
        let kib = self
            .process()?
            .status()?
            .vmhwm
            .context("the kernel tells no VmHWM")?;
        Ok(kib as f64 / 1024.0)
    }

    /// Sends SIGTERM, waits for the end and returns all CPU time of the process's life (seconds).
    pub(super) fn terminate(mut self) -> anyhow::Result<f64> {
        let before = waited_for_seconds()?;
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.wait()?;
        ensure!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name,
            self.log_tail()
        );
        Ok(waited_for_seconds()? - before)
    }

    fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > END_TIMEOUT {
                bail!(
                    "{} had not ended {END_TIMEOUT:?} after SIGTERM:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already unless the bench failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of all child processes that have ended (seconds).
fn waited_for_seconds() -> anyhow::Result<f64> {
    let stat = Process::myself()?.stat()?;
    Ok(seconds(u64::try_from(stat.cutime + stat.cstime)?))
}

/// CPU time of this process (seconds).
pub(super) fn own_seconds() -> anyhow::Result<f64> {
    let stat = Process::myself()?.stat()?;
    Ok(seconds(stat.utime + stat.stime))
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// A running collector with its addresses.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) program: Program,
    pub(super) data_dir: PathBuf,
    pub(super) grpc: SocketAddr,
    http: SocketAddr,
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
        let mut program = Program::start("vervet-collector", &programs.collector, dir, &config)?;
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

/// Starts an agent with the given receivers and pipelines, sending to `collector`, and waits until it is
/// ready.
pub(super) fn start_agent(
    programs: &Programs,
    dir: &Path,
    collector: &Collector,
    receivers: &str,
    pipelines: &str,
) -> anyhow::Result<Program> {
    let [admin] = free_addresses()?;
    let data_dir = dir.join("agent-data");
    let config = format!(
        "data_dir: {data_dir:?}\nadmin: {{listen: \"{admin}\"}}\n\
         resource: {{host.name: bench, deployment.environment.name: bench}}\n\
         receivers: {receivers}\n\
         exporters: {{collector: {{type: otlp, endpoint: \"http://{}\", compression: zstd}}}}\n\
         pipelines: {pipelines}\n",
        collector.grpc
    );
    let mut program = Program::start("vervet-agent", &programs.agent, dir, &config)?;
    program.wait_ready(admin)?;
    Ok(program)
}
