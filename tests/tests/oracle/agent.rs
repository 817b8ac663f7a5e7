//! The agent under test: started, killed and looked into from several threads.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::process::Signal;
use serde_json::Value;
use vervet_tests::{Program, binary, books};

use crate::setup::Setup;

const START_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Agent {
    config: PathBuf,
    user: Option<u32>,
    descriptors: Option<u32>,
    running: Mutex<Option<Running>>,
    killed: Condvar,
    kills: AtomicU32,
}

struct Running {
    program: Program,
    /// Known once it has started.
    admin: Option<SocketAddr>,
}

impl Agent {
    /// Not started yet, and not yet configured.
    pub(crate) fn new(dir: &Path, setup: &Setup) -> Self {
        Self {
            config: dir.join("agent.yaml"),
            user: setup.user,
            descriptors: setup.descriptors,
            running: Mutex::new(None),
            killed: Condvar::new(),
            kills: AtomicU32::new(0),
        }
    }

    /// Writes what it reads at its next start or reload, in one step: it may be reading.
    pub(crate) fn configure(&self, yaml: &str) {
        let written = self.config.with_extension("new");
        std::fs::write(&written, yaml).unwrap();
        std::fs::rename(written, &self.config).unwrap();
    }

    /// Starts it and waits until it runs.
    pub(crate) fn start(&self) {
        self.spawn();
        let mut running = self.running.lock();
        // Somebody may have killed it meanwhile.
        if let Some(running) = running.as_mut() {
            let program = &running.program;
            let admin =
                program.wait_for_line("`agent started`", START_WITHIN, books::admin_address);
            running.admin = Some(admin);
        }
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(&self) {
        let mut command = self.command();
        command.arg("run").arg("--config").arg(&self.config);
        if let Some(user) = self.user {
            command.uid(user);
        }
        let program = Program::spawn("vervet-agent", &mut command);
        let before = self.running.lock().replace(Running {
            program,
            admin: None,
        });
        assert!(before.is_none(), "the agent runs already");
    }

    fn command(&self) -> Command {
        let Some(descriptors) = self.descriptors else {
            return Command::new(self.program());
        };
        // The shell becomes the program.
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        command.arg("-c").arg(limited).arg(self.program());
        command
    }

    /// The program; for another user a copy, as the folder it was built in may be closed to others.
    fn program(&self) -> PathBuf {
        let built = binary("vervet-agent");
        if self.user.is_none() {
            return built;
        }
        let copy = self.config.with_file_name("vervet-agent");
        if !copy.exists() {
            std::fs::copy(built, &copy).unwrap();
        }
        copy
    }

    /// SIGKILL, if it runs. How often that was done is counted.
    pub(crate) fn kill(&self) {
        // Locked until it is dead, so that nobody starts another one beside it.
        let mut slot = self.running.lock();
        let Some(running) = slot.as_mut() else {
            return;
        };
        assert!(running.program.is_running(), "the agent ended by itself");
        running.program.kill();
        *slot = None;
        self.kills.fetch_add(1, Ordering::Relaxed);
        self.killed.notify_all();
    }

    /// SIGTERM and, before it can have ended, SIGKILL.
    pub(crate) fn kill_while_it_drains(&self, after: Duration) {
        // Locked all the time, or who kills it meanwhile would find that it has ended.
        let mut slot = self.running.lock();
        let Some(running) = slot.as_mut() else {
            return;
        };
        assert!(running.program.is_running(), "the agent ended by itself");
        running.program.send(Signal::TERM);
        std::thread::sleep(after);
        // It may have been faster.
        if running.program.is_running() {
            running.program.kill();
            self.kills.fetch_add(1, Ordering::Relaxed);
        }
        *slot = None;
        self.killed.notify_all();
    }

    /// SIGTERM, and its end.
    pub(crate) fn terminate(&self) {
        let mut slot = self.running.lock();
        let Some(running) = slot.as_mut() else {
            return;
        };
        assert!(running.program.is_running(), "the agent ended by itself");
        let status = running.program.terminate();
        *slot = None;
        assert!(
            status.success(),
            "after SIGTERM the agent ended with {status}"
        );
    }

    /// SIGHUP: it reads its configuration.
    pub(crate) fn reload(&self) {
        if let Some(running) = self.running.lock().as_ref() {
            running.program.send(Signal::HUP);
        }
    }

    /// Ends it without a word about how.
    pub(crate) fn abandon(&self) {
        // Dropped on the way out of a failed test, it shows what it wrote.
        drop(self.running.lock().take());
    }

    /// Waits until somebody kills it, `within` at most.
    pub(crate) fn wait_for_kill(&self, within: Duration) {
        let mut running = self.running.lock();
        if running.is_some() {
            let _timed_out = self.killed.wait_for(&mut running, within);
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.lock().is_some()
    }

    pub(crate) fn kills(&self) -> u32 {
        self.kills.load(Ordering::Relaxed)
    }

    /// What it has written since it was started.
    pub(crate) fn output(&self) -> String {
        let running = self.running.lock();
        running
            .as_ref()
            .map(|running| running.program.output())
            .unwrap_or_default()
    }

    /// Whether it has a descriptor of that file.
    pub(crate) fn has_open(&self, path: &Path) -> bool {
        let path = path.canonicalize().unwrap();
        let running = self.running.lock();
        let Some(pid) = running.as_ref().map(|running| running.program.pid()) else {
            return false;
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"));
        let targets = descriptors.into_iter().flatten().flatten();
        targets
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(|target| target == path)
    }

    /// Its status; none when it does not run.
    pub(crate) fn status(&self) -> Option<Value> {
        let admin = self.running.lock().as_ref()?.admin?;
        books::status(admin).ok()
    }
}
