//! An agent process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use vervet_tests::books::{self, BookLine};

use super::{Program, binary};

const START_WITHIN: Duration = Duration::from_secs(30);

/// `vervet-agent run`, killed when dropped.
pub(crate) struct Agent {
    pub(crate) program: Program,
    config: PathBuf,
    admin: SocketAddr,
}

impl Agent {
    /// Starts with `data_dir` inside `dir` and the rest of the configuration as given.
    pub(crate) fn start(dir: &Path, yaml: &str) -> Self {
        let config = dir.join("agent.yaml");
        let data_dir = dir.join("agent-data");
        std::fs::write(&config, format!("data_dir: {}\n{yaml}", data_dir.display())).unwrap();
        let (program, admin) = Self::spawn(&config);
        Self {
            program,
            config,
            admin,
        }
    }

    /// Starts again on the same data, after a kill.
    pub(crate) fn start_again(&mut self) {
        (self.program, self.admin) = Self::spawn(&self.config);
    }

    /// Its books, which must balance. Empty when it does not answer.
    pub(crate) fn books(&self) -> Vec<BookLine> {
        let status = tokio::task::block_in_place(|| books::status(self.admin));
        let lines = status.as_ref().map(books::lines).unwrap_or_default();
        for line in &lines {
            assert!(line.balances(), "{line:?}");
        }
        lines
    }

    fn spawn(config: &Path) -> (Program, SocketAddr) {
        let mut command = Command::new(binary("vervet-agent"));
        let program = Program::spawn(
            "vervet-agent",
            command.arg("run").arg("--config").arg(config),
        );
        let admin = tokio::task::block_in_place(|| {
            program.wait_for_line("`agent started`", START_WITHIN, books::admin_address)
        });
        (program, admin)
    }
}
