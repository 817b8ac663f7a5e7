//! A child process whose output is kept and which never outlives its test.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal, kill_process};

/// Lines kept of what a program wrote; the oldest go first.
const LINES_MAX: usize = 20_000;
/// Lines shown when a test fails.
const LINES_SHOWN: usize = 40;
/// How often an ending program is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// A drain may take this long after SIGTERM.
const TERMINATE_WITHIN: Duration = Duration::from_secs(60);
/// For the last lines of a program that has ended.
const REST_WITHIN: Duration = Duration::from_secs(5);

/// The program of that name beside this test: `target/<profile>/`, or the folder `VERVET_BIN_DIR`.
///
/// # Panics
/// When it is not there.
pub fn binary(name: &str) -> PathBuf {
    let dir = match std::env::var_os("VERVET_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let test = std::env::current_exe().unwrap();
            test.ancestors().nth(2).unwrap().to_owned()
        }
    };
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is absent: run `cargo build --workspace --bins --tests` first",
        path.display()
    );
    path
}

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<String>,
    open_streams: usize,
}

impl Program {
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        let spawned = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let output = Arc::new(Output::default());
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Output::read(&output, stdout);
        Output::read(&output, stderr);
        Self {
            name: name.to_owned(),
            child,
            output,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it wrote, both streams.
    pub fn output(&self) -> String {
        let lines = self.output.lines.lock();
        lines.kept.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The first line from which `find` takes something.
    ///
    /// # Panics
    /// When the program ends or `within` passes before.
    pub fn wait_for_line<T>(
        &self,
        what: &str,
        within: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + within;
        let mut lines = self.output.lines.lock();
        loop {
            if let Some(found) = lines.kept.iter().find_map(|line| find(line)) {
                return found;
            }
            assert!(lines.open_streams > 0, "{} ended before {what}", self.name);
            let wait = self.output.changed.wait_until(&mut lines, deadline);
            assert!(
                !wait.timed_out(),
                "{}: not within {within:?}: {what}",
                self.name
            );
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ended_before = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit that follows.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn terminate(&mut self) -> ExitStatus {
        self.send(Signal::TERM);
        self.wait(TERMINATE_WITHIN)
    }

    /// A signal to the running program.
    pub fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// # Panics
    /// When it does not end in time.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.output.wait_for_end(Instant::now() + REST_WITHIN);
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Output {
    fn read(output: &Arc<Self>, stream: impl Read + Send + 'static) {
        output.lines.lock().open_streams += 1;
        let output = Arc::clone(output);
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                output.push(text);
                line.clear();
            }
            output.lines.lock().open_streams -= 1;
            output.changed.notify_all();
        });
    }

    /// What a program wrote last is read a moment after it ended. A child of it may hold the streams open for longer.
    fn wait_for_end(&self, deadline: Instant) {
        let mut lines = self.lines.lock();
        while lines.open_streams > 0 && !self.changed.wait_until(&mut lines, deadline).timed_out() {
        }
    }

    fn push(&self, line: String) {
        let mut lines = self.lines.lock();
        if lines.kept.len() == LINES_MAX {
            lines.kept.pop_front();
        }
        lines.kept.push_back(line);
        drop(lines);
        self.changed.notify_all();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let lines = self.output.lines.lock();
            let skipped = lines.kept.len().saturating_sub(LINES_SHOWN);
            let shown: Vec<&str> = lines
                .kept
                .iter()
                .skip(skipped)
                .map(String::as_str)
                .collect();
            crate::say(&format!(
                "--- {} wrote:\n{}\n---",
                self.name,
                shown.join("\n")
            ));
        }
    }
}
