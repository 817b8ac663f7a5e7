//! A scenario, how it is run, and what must hold afterwards.

use std::path::Path;
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
use crate::writer::{Gate, Rotation, Shape, Stage, Writer};

/// Kills of a soak; unset, the scenarios are brief.
const SOAK_KILLS: &str = "VERVET_SOAK_KILLS";
/// Kills of the brief form, which `kills` and `seconds` of a scenario are about.
const BRIEF_KILLS: u32 = 20;
/// After so long without a new line nothing more is expected.
const QUIET_AT_END: Duration = Duration::from_secs(20);
const ARRIVES_WITHIN: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What happens, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What is done to the files.
    pub(crate) rotation: Rotation,
    pub(crate) rotation_interval: Duration,
    /// What must have arrived before a file is rotated.
    pub(crate) gate: Gate,
    /// Files, each with a thread that writes it.
    pub(crate) files: usize,
    /// Writers that share a file.
    pub(crate) writers_per_file: usize,
    pub(crate) lines_per_second: u32,
    pub(crate) shape: Shape,
    /// Every generation of a file begins with the same 3,000 bytes.
    pub(crate) equal_beginnings: bool,
    /// The last line of a rotated file has no line feed.
    pub(crate) unterminated: bool,
    /// Lines go to the rotated file for this long, beside those in the new one.
    pub(crate) late_writes: Duration,
    /// Times the agent is killed; one in five is a SIGTERM instead, not counted.
    pub(crate) kills: u32,
    /// The agent is also killed in the midst of rotations.
    pub(crate) kills_at_rotation: bool,
    /// How long the agent is down, at most.
    pub(crate) down_max: Duration,
    /// What the network does in turn, for a random part of `network_interval` each.
    pub(crate) network: &'static [Mode],
    pub(crate) network_interval: Duration,
    /// The collector is killed and busy at times, too.
    pub(crate) collector_fails: bool,
    /// At least so long.
    pub(crate) seconds: u32,
    /// YAML of `limits` of the agent.
    pub(crate) limits: &'static str,
    /// Further YAML of the `filelog` receiver, with a comma before it.
    pub(crate) receiver: &'static str,
}

impl Scenario {
    /// One file that is written to for a few seconds, and nothing happens.
    pub(crate) const CALM: Self = Self {
        name: "calm",
        rotation: Rotation::None,
        rotation_interval: Duration::from_secs(1),
        gate: Gate::Open,
        files: 1,
        writers_per_file: 1,
        lines_per_second: 1_000,
        shape: Shape::Plain,
        equal_beginnings: false,
        unterminated: false,
        late_writes: Duration::ZERO,
        kills: 0,
        kills_at_rotation: false,
        down_max: Duration::from_millis(400),
        network: &[Mode::Pass],
        network_interval: Duration::from_millis(800),
        collector_fails: false,
        seconds: 5,
        limits: "{}",
        receiver: "",
    };

    /// Runs it.
    ///
    /// # Panics
    /// When a line is lost, duplicated, torn or out of order, or the books do not balance.
    pub(crate) fn run(self) {
        Run::new(self).run();
    }
}

/// How many times longer than in its brief form a scenario runs.
fn scale() -> u32 {
    let kills = std::env::var(SOAK_KILLS).ok();
    let kills = kills.map_or(BRIEF_KILLS, |kills| {
        kills
            .parse()
            .unwrap_or_else(|_| panic!("{SOAK_KILLS}={kills} is no number"))
    });
    kills.div_ceil(BRIEF_KILLS).max(1)
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

struct Run {
    scenario: Scenario,
    // Before the folder, so that it ends first.
    agent: Arc<Agent>,
    dir: tempfile::TempDir,
    ledger: Arc<Ledger>,
    network: Arc<Network>,
    /// Tells writers and network that it is over.
    stop: Arc<AtomicBool>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            // Writers may hold on to the agent a little longer.
            self.agent.abandon();
        }
    }
}

/// The way from the agent to the collector, and the collector.
struct Network {
    proxy: Proxy,
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
    fn misbehave(&self, scenario: &Scenario, stop: &AtomicBool) {
        let mut modes = scenario.network.iter().cycle();
        while !stop.load(Ordering::Relaxed) {
            self.proxy.set(*modes.next().unwrap());
            let turn = scenario
                .network_interval
                .mul_f64(rand::rng().random_range(0.2..1.0));
            if scenario.collector_fails {
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

impl Run {
    fn new(scenario: Scenario) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::default());
        let network = Arc::new(Network::start(&ledger));
        let logs = dir.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        let yaml = config(&scenario, dir.path(), &network.proxy);
        Self {
            scenario,
            agent: Arc::new(Agent::new(dir.path(), &yaml, None)),
            dir,
            ledger,
            network,
            stop: Arc::default(),
        }
    }

    fn run(self) {
        let scenario = self.scenario;
        let began = Instant::now();
        let writers = self.start_writers();
        let network = {
            let (network, stop) = (Arc::clone(&self.network), Arc::clone(&self.stop));
            std::thread::spawn(move || network.misbehave(&scenario, &stop))
        };
        self.agent.start();
        for _kill in 0..scenario.kills * scale() {
            self.kill_once();
        }
        let least = Duration::from_secs(u64::from(scenario.seconds * scale()));
        while began.elapsed() < least {
            self.agent.wait_for_kill(
                least
                    .saturating_sub(began.elapsed())
                    .min(Duration::from_secs(1)),
            );
            self.start_again();
            self.check_books();
        }
        self.stop.store(true, Ordering::Relaxed);
        // A writer that waits for the agent before it rotates must not wait in vain.
        while !writers.iter().all(std::thread::JoinHandle::is_finished) {
            self.agent.wait_for_kill(POLL_INTERVAL);
            self.start_again();
        }
        let ended: Vec<_> = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect();
        network.join().unwrap();
        self.start_again();
        let rotations = ended
            .iter()
            .map(|ended| u64::from(ended.rotations))
            .sum::<u64>();
        let notes = ended.iter().map(|ended| ended.reused_inodes).sum::<u32>();
        let written: Vec<Written> = ended.into_iter().flat_map(|ended| ended.written).collect();
        self.finish(written, rotations, notes);
    }

    fn start_writers(&self) -> Vec<std::thread::JoinHandle<crate::writer::Ended>> {
        let writer = |file: usize| {
            let writer = Writer::new(
                self.scenario,
                file,
                Stage {
                    dir: self.dir.path().join("logs"),
                    ledger: Arc::clone(&self.ledger),
                    agent: Arc::clone(&self.agent),
                    stop: Arc::clone(&self.stop),
                },
            );
            std::thread::spawn(move || writer.run())
        };
        (0..self.scenario.files).map(writer).collect()
    }

    /// One kill, at a random moment: while it works, while it starts, or by a writer while it rotates.
    fn kill_once(&self) {
        let mut rng = rand::rng();
        let kills = self.agent.kills();
        while self.agent.kills() == kills {
            self.start_again();
            match rng.random_range(0..10) {
                0 => {
                    self.agent.terminate();
                    self.start_again();
                }
                1 => {
                    let after = Duration::from_millis(rng.random_range(0..50));
                    self.agent.kill_while_it_drains(after);
                    continue;
                }
                _ => {}
            }
            let pause = Duration::from_millis(rng.random_range(20..900));
            self.agent.wait_for_kill(pause);
            self.check_books();
            self.agent.kill();
        }
        std::thread::sleep(self.scenario.down_max.mul_f64(rng.random_range(0.0..1.0)));
        if rng.random_ratio(1, 5) {
            // Killed while it starts.
            self.agent.spawn();
            std::thread::sleep(Duration::from_millis(rng.random_range(0..60)));
            self.agent.kill();
        }
        self.start_again();
    }

    fn start_again(&self) {
        if !self.agent.is_running() {
            self.agent.start();
        }
    }

    /// The books balance at every moment.
    fn check_books(&self) -> Vec<BookLine> {
        let status = self.agent.status();
        let lines = status.as_ref().map(books::lines).unwrap_or_default();
        for line in &lines {
            assert!(line.balances(), "{}: {line:?}", self.scenario.name);
        }
        lines
    }

    /// Waits for what is to come, starts the agent once more so that it may do everything again, and judges.
    fn finish(self, mut written: Vec<Written>, rotations: u64, reused_inodes: u32) {
        self.wait_for(&written);
        self.agent.terminate();
        self.agent.start();
        written.push(self.write_last_file());
        self.wait_for(&written);
        let balance = self.settled_books();
        let verdict = self.ledger.verdict(&written);
        let lines = written
            .iter()
            .map(|written| written.lines + written.headers)
            .sum::<u64>();
        let at_risk = written.iter().flat_map(|written| &written.at_risk);
        let at_risk = at_risk.map(|range| range.end - range.start).sum::<u64>();
        let name = self.scenario.name;
        let mut summary = format!(
            "oracle {name}: lines {lines}, lost {}, duplicated {}, kills {}, rotations {rotations}, {}",
            verdict.lost.count,
            verdict.duplicated.count,
            self.agent.kills(),
            match &balance {
                Ok(()) => "books balance".to_owned(),
                Err(imbalance) => format!("books do not balance: {imbalance}"),
            },
        );
        if at_risk > 0 {
            summary += &format!(
                " (at risk {at_risk}, of them lost {})",
                verdict.lost_at_risk
            );
        }
        if reused_inodes > 0 {
            summary += &format!(" (inodes reused {reused_inodes})");
        }
        summary += &format!(
            " (requests {}, repeats {})",
            verdict.requests, verdict.repeats
        );
        say(&summary);
        let findings = findings(&verdict);
        assert!(findings.is_empty(), "{name}:\n{findings}");
        assert_eq!(balance, Ok(()), "{name}");
        assert_eq!(
            verdict.records + verdict.lost_at_risk - verdict.torn_at_risk,
            lines,
            "{name}: records and lines"
        );
        self.agent.terminate();
    }

    /// A file that appears after the restart. When its line has arrived, whatever the agent found to read again
    /// when it started is under way.
    fn write_last_file(&self) -> Written {
        let writer = self.scenario.files * self.scenario.writers_per_file;
        let line = Line {
            writer,
            generation: 0,
            number: 0,
        };
        let path = self
            .dir
            .path()
            .join("logs")
            .join(format!("app-{}.log", self.scenario.files));
        std::fs::write(path, self.scenario.shape.encode(&line.text(), 0)).unwrap();
        Written {
            writer,
            generations: vec![0],
            lines: 1,
            ..Written::default()
        }
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
            self.ledger.has_all(written) || last.elapsed() > QUIET_AT_END
        });
        if began.elapsed() > QUIET_AT_END {
            say(&format!(
                "oracle {}: waited {:?} for the last lines",
                self.scenario.name,
                began.elapsed()
            ));
        }
    }

    /// The books once nothing is held: they balance, and what was delivered is what arrived.
    fn settled_books(&self) -> Result<(), String> {
        let mut state = Err("the agent does not tell".to_owned());
        wait_until(QUIET_AT_END, || {
            let records = self.ledger.records();
            let lines = self.check_books();
            if let Some(line) = lines.iter().find(|line| line.signal == "logs") {
                let is_settled = line.delivered.records == records
                    && line.delivered == line.received
                    && line.dropped_total() == books::Amount::default();
                state = match is_settled {
                    true => Ok(()),
                    false => Err(format!("{records} records arrived: {line:?}")),
                };
            }
            state.is_ok()
        });
        state
    }
}

fn config(scenario: &Scenario, dir: &Path, proxy: &Proxy) -> String {
    let logs = dir.join("logs");
    let include = scenario.rotation.include();
    let include: Vec<String> = include
        .iter()
        .map(|glob| format!("\"{}/{glob}\"", logs.display()))
        .collect();
    format!(
        "data_dir: {data}\n\
         admin: {{listen: \"127.0.0.1:0\"}}\n\
         limits: {limits}\n\
         receivers:\n  files: {{type: filelog, include: [{include}], format: {format}, \
         service_name: oracle{receiver}}}\n\
         exporters:\n  main: {{type: otlp, endpoint: \"http://{address}\", timeout: 1s, \
         retry: {{initial: 20ms, max: 300ms}}}}\n\
         pipelines:\n  logs: {{from: [files], to: [main]}}\n",
        data = dir.join("agent-data").display(),
        limits = scenario.limits,
        include = include.join(", "),
        format = scenario.shape.format(),
        receiver = scenario.receiver,
        address = proxy.address(),
    )
}

/// What is wrong, a line each; empty when nothing is.
pub(crate) fn findings(verdict: &Verdict) -> String {
    let kinds: [(&str, &Findings); 5] = [
        ("lost", &verdict.lost),
        ("duplicated", &verdict.duplicated),
        ("never written", &verdict.foreign),
        ("out of order", &verdict.reordered),
        ("repeats with other contents", &verdict.changed_repeats),
    ];
    let found = kinds.iter().filter(|(_, findings)| findings.count > 0);
    let lines = found.map(|(kind, findings)| {
        format!(
            "  {kind}: {}, first {:#?}",
            findings.count, findings.examples
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
