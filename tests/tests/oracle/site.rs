//! Where a scenario takes place: a folder of logs, the agent, the network, the collector; and the judgement afterwards.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::runtime::Runtime;
use vervet_tests::books::{self, BookLine};
use vervet_tests::proxy::{Mode, Proxy};
use vervet_tests::say;

use crate::agent::Agent;
use crate::collector::Collector;
use crate::ledger::{Findings, Ledger, Verdict, Written};
use crate::line::Line;
use crate::writer::Shape;

/// After so long without a new line nothing more is expected.
const QUIET_AT_END: Duration = Duration::from_secs(20);
const ARRIVES_WITHIN: Duration = Duration::from_secs(300);
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The writer of the last file.
const LAST_WRITER: usize = 900;

/// What the agent is told.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) name: String,
    /// Below the folder of logs.
    pub(crate) include: Vec<String>,
    pub(crate) shape: Shape,
    /// YAML of `limits`.
    pub(crate) limits: &'static str,
    /// Further YAML of the receiver and of the exporter, with a comma before it.
    pub(crate) receiver: &'static str,
    pub(crate) exporter: &'static str,
    /// The agent gives up old data; the books must tell how much.
    pub(crate) may_drop: bool,
    /// A message of the agent without which the scenario has shown nothing.
    pub(crate) must_say: &'static str,
    /// The user the agent runs as, when it is not the one of the test.
    pub(crate) user: Option<u32>,
}

impl Setup {
    pub(crate) fn new(name: &str, include: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            include: include.iter().map(|glob| (*glob).to_owned()).collect(),
            shape: Shape::Plain,
            limits: "{}",
            receiver: "",
            exporter: "",
            may_drop: false,
            must_say: "",
            user: None,
        }
    }
}

pub(crate) struct Site {
    pub(crate) setup: Setup,
    // Before the folder, so that it ends first.
    pub(crate) agent: Arc<Agent>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) network: Arc<Network>,
    /// Tells writers and network that it is over.
    pub(crate) stop: Arc<AtomicBool>,
    /// The agent has said what it must say.
    said: AtomicBool,
}

/// What is counted for the closing line only.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notes {
    pub(crate) rotations: u64,
    pub(crate) reused_inodes: u32,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            // Writers may hold on to the agent a little longer.
            self.agent.abandon();
        }
    }
}

/// Looks until it holds; false when that takes longer than `within`.
pub(crate) fn wait_until(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    true
}

/// The way from the agent to the collector, and the collector.
pub(crate) struct Network {
    pub(crate) proxy: Proxy,
    collector: parking_lot::Mutex<Collector>,
    _runtime: Runtime,
}

impl Network {
    fn start(ledger: &Arc<Ledger>) -> Self {
        let mut collector = Collector::new(Arc::clone(ledger));
        let address = collector.start();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let proxy = runtime.block_on(Proxy::start(address)).unwrap();
        Self {
            proxy,
            collector: parking_lot::Mutex::new(collector),
            _runtime: runtime,
        }
    }

    /// Misbehaves until told to stop, then is well again.
    pub(crate) fn misbehave(
        &self,
        modes: &[Mode],
        interval: Duration,
        collector_fails: bool,
        stop: &AtomicBool,
    ) {
        let mut modes = modes.iter().cycle();
        while !stop.load(Ordering::Relaxed) {
            self.proxy.set(*modes.next().unwrap());
            let turn = interval.mul_f64(rand::rng().random_range(0.2..1.0));
            if collector_fails {
                self.fail_once();
            }
            wait_until(turn, || stop.load(Ordering::Relaxed));
        }
        self.collector.lock().set_busy(false);
        self.proxy.set(Mode::Pass);
    }

    fn fail_once(&self) {
        let mut collector = self.collector.lock();
        match rand::rng().random_range(0..3) {
            0 => {
                collector.kill();
                self.proxy.set_upstream(collector.start());
            }
            1 => collector.set_busy(true),
            _ => collector.set_busy(false),
        }
    }
}

impl Site {
    /// With an empty folder of logs and the agent not yet started.
    pub(crate) fn new(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::default());
        let network = Arc::new(Network::start(&ledger));
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        let yaml = Self::yaml(&setup, dir.path(), &network.proxy);
        let agent = Agent::new(dir.path(), &yaml, setup.user);
        Self {
            setup,
            agent: Arc::new(agent),
            dir,
            ledger,
            network,
            stop: Arc::default(),
            said: AtomicBool::new(false),
        }
    }

    fn yaml(setup: &Setup, dir: &Path, proxy: &Proxy) -> String {
        let logs = dir.join("logs");
        let include = setup.include.iter();
        let include: Vec<String> = include
            .map(|glob| format!("\"{}/{glob}\"", logs.display()))
            .collect();
        format!(
            "data_dir: {data}\n\
             admin: {{listen: \"127.0.0.1:0\"}}\n\
             limits: {limits}\n\
             receivers:\n  files: {{type: filelog, include: [{include}], format: {format}, \
             service_name: oracle{receiver}}}\n\
             exporters:\n  main: {{type: otlp, endpoint: \"http://{address}\", timeout: 1s, \
             retry: {{initial: 20ms, max: 300ms}}{exporter}}}\n\
             pipelines:\n  logs: {{from: [files], to: [main]}}\n",
            data = dir.join("agent-data").display(),
            limits = setup.limits,
            include = include.join(", "),
            format = setup.shape.format(),
            receiver = setup.receiver,
            exporter = setup.exporter,
            address = proxy.address(),
        )
    }

    pub(crate) fn start_again(&self) {
        if !self.agent.is_running() {
            self.agent.start();
        }
    }

    /// The books balance at every moment.
    pub(crate) fn check_books(&self) -> Vec<BookLine> {
        let status = self.agent.status();
        if self.agent.output().contains(self.setup.must_say) {
            self.said.store(true, Ordering::Relaxed);
        }
        let lines = status.as_ref().map(books::lines).unwrap_or_default();
        for line in &lines {
            assert!(line.balances(), "{}: {line:?}", self.setup.name);
        }
        lines
    }

    /// Waits for what is to come, starts the agent once more so that it may do everything again, and judges.
    pub(crate) fn finish(self, written: Vec<Written>, notes: Notes) {
        self.finish_in(written, notes, "app-last.log");
    }

    /// As [`Self::finish`]; `last` is a name that the globs find.
    pub(crate) fn finish_in(self, mut written: Vec<Written>, notes: Notes, last: &str) {
        self.wait_for(&written);
        self.agent.terminate();
        self.agent.start();
        // When the line of this file has arrived, whatever the agent found to read again is under way.
        written.push(self.write_lines(&mut Written::of(LAST_WRITER), last, 1));
        self.wait_for(&written);
        let balance = self.settled_books();
        let verdict = self.ledger.verdict(&written);
        let lines = written
            .iter()
            .map(|written| written.lines + written.headers);
        let lines = lines.sum::<u64>();
        say(&self.summary(&verdict, &balance, lines, at_risk(&written), notes));
        let name = &self.setup.name;
        let mut findings = findings(&verdict);
        let dropped = balance
            .as_ref()
            .map_or(0, |line| line.dropped_total().records);
        assert!(
            !self.setup.may_drop || dropped > 0,
            "{name}: nothing was dropped"
        );
        if self.setup.may_drop && verdict.lost.count == dropped {
            findings.retain(|(kind, _)| *kind != LOST);
        }
        let lines_found: Vec<_> = findings.iter().map(|(_, text)| text.as_str()).collect();
        assert!(findings.is_empty(), "{name}:\n{}", lines_found.join("\n"));
        assert!(balance.is_ok(), "{name}: {balance:?}");
        let said = self.said.load(Ordering::Relaxed);
        assert!(
            said,
            "{name}: the agent never said `{}`",
            self.setup.must_say
        );
        let arrived = verdict.records - verdict.torn_at_risk;
        let absent = verdict.lost.count + verdict.lost_at_risk;
        assert_eq!(arrived + absent, lines, "{name}: records and lines");
        self.agent.terminate();
    }

    fn summary(
        &self,
        verdict: &Verdict,
        balance: &Result<BookLine, String>,
        lines: u64,
        at_risk: u64,
        notes: Notes,
    ) -> String {
        let mut summary = format!(
            "oracle {}: lines {lines}, lost {}, duplicated {}, kills {}, rotations {}, {}",
            self.setup.name,
            verdict.lost.count,
            verdict.duplicated.count,
            self.agent.kills(),
            notes.rotations,
            match &balance {
                Ok(_) => "books balance".to_owned(),
                Err(imbalance) => format!("books do not balance: {imbalance}"),
            },
        );
        if let (true, Ok(line)) = (self.setup.may_drop, balance) {
            let dropped = line.dropped_total().records;
            summary += &format!(" (the books say {dropped} were dropped)");
        }
        if at_risk > 0 {
            let lost = verdict.lost_at_risk;
            summary += &format!(" (at risk {at_risk}, of them lost {lost})");
        }
        if notes.reused_inodes > 0 {
            summary += &format!(" (inodes reused {})", notes.reused_inodes);
        }
        let (requests, repeats, late) = (verdict.requests, verdict.repeats, verdict.late);
        summary + &format!(" (requests {requests}, repeats {repeats}, behind another lane {late})")
    }

    /// Appends lines to a file below the folder of logs, and gives a copy of `written`.
    pub(crate) fn write_lines(
        &self,
        written: &mut Written,
        name: impl AsRef<Path>,
        lines: u64,
    ) -> Written {
        self.write_generation(written, 0, name, lines)
    }

    /// As [`Self::write_lines`], for a writer of several files: each is a generation, whose lines are in order.
    pub(crate) fn write_generation(
        &self,
        written: &mut Written,
        generation: u32,
        name: impl AsRef<Path>,
        lines: u64,
    ) -> Written {
        let path = self.logs().join(name);
        let mut bytes = Vec::new();
        for _line in 0..lines {
            let line = Line {
                writer: written.writer,
                generation,
                number: written.lines,
            };
            written.lines += 1;
            bytes.extend(self.setup.shape.encode(&line.text(), written.writer));
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(path).unwrap();
        file.write_all(&bytes).unwrap();
        written.clone()
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    /// Waits until everything written has arrived.
    pub(crate) fn arrived(&self, written: &[Written]) {
        self.wait_for(written);
        let missing = findings(&self.ledger.verdict(written));
        assert!(missing.is_empty(), "{}: {missing:#?}", self.setup.name);
    }

    /// Until every line that may not be lost has come, or none has for a while.
    fn wait_for(&self, written: &[Written]) {
        let began = Instant::now();
        let (mut seen, mut last) = (self.ledger.records(), Instant::now());
        wait_until(ARRIVES_WITHIN, || {
            let now = self.ledger.records();
            if now != seen {
                (seen, last) = (now, Instant::now());
            }
            let accounted = self.setup.may_drop && self.is_accounted_for(written);
            accounted || self.ledger.has_all(written) || last.elapsed() > QUIET_AT_END
        });
        if began.elapsed() > QUIET_AT_END {
            say(&format!(
                "oracle {}: waited {:?} for the last lines",
                self.setup.name,
                began.elapsed()
            ));
        }
    }

    /// Whether what has arrived and what the books call dropped is everything.
    fn is_accounted_for(&self, written: &[Written]) -> bool {
        let lines = written.iter().map(|written| written.lines).sum::<u64>();
        let books = self.check_books();
        let dropped = books.iter().map(|line| line.dropped_total().records);
        self.ledger.records() + dropped.sum::<u64>() == lines
    }

    /// The books once nothing is held: they balance, and what was delivered is what arrived.
    fn settled_books(&self) -> Result<BookLine, String> {
        let mut state = Err("the agent does not tell".to_owned());
        wait_until(QUIET_AT_END, || {
            let records = self.ledger.records();
            let lines = self.check_books();
            if let Some(line) = lines.iter().find(|line| line.signal == "logs") {
                let dropped = line.dropped_total() != books::Amount::default();
                let is_settled = line.delivered.records == records
                    && line.held == books::Amount::default()
                    && (self.setup.may_drop || !dropped);
                state = match is_settled {
                    true => Ok(line.clone()),
                    false => Err(format!("{records} records arrived: {line:?}")),
                };
            }
            state.is_ok()
        });
        state
    }
}

const LOST: &str = "lost";

/// What is wrong, by kind; empty when nothing is.
fn findings(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let kinds: [(&str, &Findings); 5] = [
        (LOST, &verdict.lost),
        ("duplicated", &verdict.duplicated),
        ("never written", &verdict.foreign),
        ("out of order", &verdict.reordered),
        ("repeats with other contents", &verdict.changed_repeats),
    ];
    let found = kinds.iter().filter(|(_, findings)| findings.count > 0);
    let lines = found.map(|(kind, findings)| {
        let (count, examples) = (findings.count, &findings.examples);
        (*kind, format!("  {kind}: {count}, first {examples:#?}"))
    });
    lines.collect()
}

fn at_risk(written: &[Written]) -> u64 {
    let ranges = written.iter().flat_map(|written| &written.at_risk);
    ranges.map(|range| range.end - range.start).sum()
}
