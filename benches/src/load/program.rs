//! A program as a process: found, started, watched through `/proc`, ended.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use procfs::process::Process;

use super::http::get;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const END_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of a failed program's log is shown (bytes).
const LOG_TAIL_BYTES: usize = 2_000;

/// Where the executables are; each is looked for when it is started.
#[derive(Debug, Clone)]
pub struct Programs {
    dir: PathBuf,
    /// Put before the agent's command line, such as the name of a profiler.
    pub agent_wrapper: Vec<String>,
}

impl Programs {
    /// The programs in a folder, usually the one this program was built into.
    pub fn in_folder(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            agent_wrapper: Vec::new(),
        }
    }

    /// # Errors
    /// One of `names` is not there.
    pub fn ensure_built(&self, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            ensure!(
                self.dir.join(name).is_file(),
                "{name} is not in {}; build it first: cargo build --release -p {name}",
                self.dir.display()
            );
        }
        Ok(())
    }

    /// A command that runs `name`, under `wrapper` if that names a program.
    pub(super) fn command(&self, name: &str, wrapper: &[String]) -> anyhow::Result<Command> {
        self.ensure_built(&[name])?;
        let path = self.dir.join(name);
        let Some((first, rest)) = wrapper.split_first() else {
            return Ok(Command::new(path));
        };
        let mut command = Command::new(first);
        command.args(rest).arg(path);
        Ok(command)
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
    /// Runs `command`, which writes its log into `dir`.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        command.stdin(Stdio::null()).stderr(File::create(&log)?);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { name, child, log })
    }

    /// Runs `command` with a configuration.
    pub(super) fn configured(
        name: &'static str,
        mut command: Command,
        dir: &Path,
        config: &str,
    ) -> anyhow::Result<Self> {
        let config_path = dir.join(format!("{name}.yaml"));
        std::fs::write(&config_path, config)?;
        command
            .args(["run", "--config"])
            .arg(&config_path)
            .stdout(Stdio::null());
        Self::start(name, command, dir)
    }

    /// What it writes to standard output, when that was piped.
    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until `GET address/readyz` is answered with success.
    pub(super) fn wait_ready(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.wait_until(|| get(address, "/readyz").is_ok())
    }

    /// Waits until a running program is as it should be.
    pub(super) fn wait_until(&mut self, is_ready: impl Fn() -> bool) -> anyhow::Result<()> {
        let started = Instant::now();
        while !is_ready() {
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

    /// Descriptors it holds open.
    pub(super) fn open_files(&self) -> anyhow::Result<usize> {
        Ok(self.process()?.fd_count()?)
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
        let status = self.end()?;
        ensure!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name,
            self.log_tail()
        );
        Ok(waited_for_seconds()? - before)
    }

    /// Sends SIGTERM and waits for the end. A profiler around the program may end by the signal.
    pub(super) fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.wait()
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
