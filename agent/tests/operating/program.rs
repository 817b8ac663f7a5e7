//! Runs the program and reads what it says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// A configuration and data in a folder of their own.
pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("folder");
        Self { dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `agent.yaml`; `DIR` in it stands for the folder.
    pub(super) fn configure(&self, text: &str) -> PathBuf {
        let text = text.replace("DIR", &self.dir.path().display().to_string());
        let path = self.path("agent.yaml");
        std::fs::write(&path, text).expect("written");
        path
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs one command to its end.
    pub(super) fn vervet(&self, arguments: &[&str]) -> Output {
        let mut command = program();
        command.args(arguments).current_dir(self.dir.path());
        command.output().expect("runs")
    }

    /// Starts `run`; what it logs goes to the file `log`.
    pub(super) fn start(&self, config: &Path) -> Running {
        let log = std::fs::File::create(self.path("log")).expect("created");
        let mut command = program();
        command.arg("run").arg("--config").arg(config);
        let child = command.stderr(log).stdin(Stdio::null()).spawn();
        Running(child.expect("starts"))
    }

    /// Waits until the log of [`Self::start`] holds `text`, and returns the first line that does.
    pub(super) fn wait_for_log(&self, text: &str) -> String {
        let mut found = None;
        wait_until(&format!("`{text}` in the log"), || {
            let log = self.read("log");
            found = log
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// Where the running agent's admin listener is, from its log.
    pub(super) fn admin_address(&self) -> String {
        let line = self.wait_for_log("agent started");
        let at = line.find("127.0.0.1:").expect("an address");
        let address = line.get(at..).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':');
        address
            .split(|c| !is_part(c))
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vervet-agent"));
    command
        .env_remove("VERVET_AGENT_CONFIG")
        .env("VERVET_LOG", "info");
    command
}

/// A running agent; it does not outlive the test.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.0.id().to_string())
            .status();
        assert!(sent.expect("kill").success());
    }

    /// The exit code, once it has ended.
    pub(super) fn wait(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("end of the agent", || {
            status = self.0.try_wait().expect("asked");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
