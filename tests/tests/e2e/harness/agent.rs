//! An agent process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Program, binary};

const START_WITHIN: Duration = Duration::from_secs(30);

/// `vervet-agent run`, killed when dropped.
pub(crate) struct Agent {
    pub(crate) program: Program,
    config: PathBuf,
}

impl Agent {
    /// Starts with `data_dir` inside `dir` and the rest of the configuration as given.
    pub(crate) fn start(dir: &Path, yaml: &str) -> Self {
        let config = dir.join("agent.yaml");
        let data_dir = dir.join("agent-data");
        std::fs::write(&config, format!("data_dir: {}\n{yaml}", data_dir.display())).unwrap();
        let program = Self::spawn(&config);
        Self { program, config }
    }

    /// Starts again on the same data, after a kill.
    pub(crate) fn start_again(&mut self) {
        self.program = Self::spawn(&self.config);
    }

    fn spawn(config: &Path) -> Program {
        let mut command = Command::new(binary("vervet-agent"));
        let program = Program::spawn(
            "vervet-agent",
            command.arg("run").arg("--config").arg(config),
        );
        let started = |line: &str| line.contains("agent started").then_some(());
        tokio::task::block_in_place(|| {
            program.wait_for_line("`agent started`", START_WITHIN, started);
        });
        program
    }
}
