//! A scenario, and how it is run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::Rng as _;
use vervet_tests::proxy::Mode;
use vervet_tests::say;

use crate::changes::{Changer, Changes};
use crate::judgement::Notes;
use crate::setup::{FILES, MAIN, Receiver, Setup};
use crate::shape::Shape;
use crate::site::{End, POLL_INTERVAL, Site};
use crate::writer::{Gate, Rotation, Stage, Writer};

/// Kills of a soak; unset, the scenarios are brief.
const SOAK_KILLS: &str = "VERVET_SOAK_KILLS";
/// Kills of the brief form, which `kills` and `seconds` of a scenario are about.
const BRIEF_KILLS: u32 = 20;

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Everything a network does to a connection.
pub(crate) const BAD_NETWORK: &[Mode] = &[
    Mode::Pass,
    Mode::ResetAfter(40_000),
    Mode::Stall,
    Mode::Pass,
    Mode::StallAnswers,
    Mode::Throttle(100_000),
    Mode::HalfClose,
    Mode::Pass,
    Mode::Refuse,
    Mode::ResetAfter(1_000),
];

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
    /// Lines of a file's writers are mixed piece by piece, and some stand in two files.
    pub(crate) mixes_pieces: bool,
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
    /// Further YAML of the `filelog` receiver and of the exporter, with a comma before it.
    pub(crate) receiver: &'static str,
    pub(crate) exporter: &'static str,
    /// Receivers beside the first, each with as many files of its own.
    pub(crate) others: &'static [Other],
    pub(crate) exporters: &'static [&'static str],
    /// What the network to exporters other than the first does.
    pub(crate) other_network: &'static [Mode],
    /// What becomes of the agent's configuration.
    pub(crate) changes: Changes,
    /// Descriptors the agent may have.
    pub(crate) descriptors: Option<u32>,
    /// The agent's data is on a volume of its own of so many MiB.
    pub(crate) volume_mebibytes: Option<u32>,
    /// Why the agent may give data up, if it is told to.
    pub(crate) may_drop: Option<&'static str>,
    /// A message of the agent without which the scenario has shown nothing.
    pub(crate) must_say: &'static str,
}

/// A further receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Other {
    pub(crate) name: &'static str,
    /// Below the folder of logs.
    pub(crate) folder: &'static str,
    pub(crate) rotation: Rotation,
    pub(crate) shape: Shape,
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
        mixes_pieces: false,
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
        exporter: "",
        others: &[],
        exporters: &[MAIN],
        other_network: &[Mode::Pass],
        changes: Changes::None,
        descriptors: None,
        volume_mebibytes: None,
        may_drop: None,
        must_say: "",
    };

    /// The collector is away for so long that the agent's buffer fills.
    pub(crate) const FULL_BUFFER: Self = Self {
        lines_per_second: 4_000,
        network: &[Mode::Refuse, Mode::Stall, Mode::Pass],
        network_interval: Duration::from_secs(4),
        seconds: 12,
        limits: "{disk: 1MiB}",
        must_say: "buffer takes nothing at the moment",
        ..Self::CALM
    };

    /// Runs it.
    ///
    /// # Panics
    /// When a line is lost, duplicated, torn or out of order, or the books do not balance.
    pub(crate) fn run(self) {
        let site = match self.volume_mebibytes {
            None => Site::new(self.setup()),
            Some(mebibytes) => match Site::on_volume(self.setup(), mebibytes) {
                Ok(site) => site,
                Err(reason) => return say(&format!("skipped: {}: {reason}", self.name)),
            },
        };
        let changer = Changer::new(self.changes, &site);
        let run = Run {
            scenario: self,
            site,
            changer,
        };
        run.run();
    }

    fn setup(&self) -> Setup {
        let first = Receiver {
            shape: self.shape,
            yaml: self.receiver,
            ..Receiver::new(FILES, "", self.rotation.include())
        };
        let others = self.others.iter().map(|other| Receiver {
            shape: other.shape,
            yaml: self.receiver,
            ..Receiver::new(other.name, other.folder, other.rotation.include())
        });
        Setup {
            name: self.name.to_owned(),
            receivers: std::iter::once(first).chain(others).collect(),
            exporters: self.exporters,
            limits: self.limits,
            exporter: self.exporter,
            may_drop: self.may_drop,
            must_say: self.must_say,
            user: None,
            descriptors: self.descriptors,
        }
    }

    /// For the files of one receiver.
    fn of_receiver(&self, receiver: usize) -> Self {
        let Some(other) = receiver.checked_sub(1).map(|at| self.others[at]) else {
            return *self;
        };
        Self {
            rotation: other.rotation,
            shape: other.shape,
            ..*self
        }
    }
}

/// How many times longer than in its brief form a scenario runs.
pub(crate) fn scale() -> u32 {
    let kills = std::env::var(SOAK_KILLS).ok();
    let kills = kills.map_or(BRIEF_KILLS, |kills| {
        kills
            .parse()
            .unwrap_or_else(|_| panic!("{SOAK_KILLS}={kills} is no number"))
    });
    kills.div_ceil(BRIEF_KILLS).max(1)
}

struct Run {
    scenario: Scenario,
    site: Site,
    changer: Changer,
}

impl Run {
    fn run(mut self) {
        let scenario = self.scenario;
        let began = Instant::now();
        let writers = self.start_writers();
        let networks = self.start_networks();
        self.site.agent.start();
        for _kill in 0..scenario.kills * scale() {
            self.kill_once();
        }
        let least = Duration::from_secs(u64::from(scenario.seconds * scale()));
        while began.elapsed() < least {
            self.site.agent.wait_for_kill(
                least
                    .saturating_sub(began.elapsed())
                    .min(Duration::from_secs(1)),
            );
            self.site.start_again();
            self.site.check_books();
        }
        self.site.stop.store(true, Ordering::Relaxed);
        // A writer that waits for the agent before it rotates must not wait in vain.
        while !writers.iter().all(std::thread::JoinHandle::is_finished) {
            self.site.agent.wait_for_kill(POLL_INTERVAL);
            self.site.start_again();
        }
        let ended: Vec<_> = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect();
        for network in networks {
            network.join().unwrap();
        }
        self.changer.end(&self.site);
        self.site.start_again();
        let notes = Notes {
            rotations: ended.iter().map(|ended| u64::from(ended.rotations)).sum(),
            reused_inodes: ended.iter().map(|ended| ended.reused_inodes).sum(),
        };
        let written = ended.into_iter().flat_map(|ended| ended.written);
        self.site.finish(written.collect(), notes);
    }

    fn start_writers(&self) -> Vec<std::thread::JoinHandle<crate::writer::Ended>> {
        let files = self.scenario.files;
        let writer = |number: usize| {
            let receiver = number / files;
            let folder = self.site.setup.receivers[receiver].folder;
            let stage = Stage {
                receiver,
                dir: self.site.logs().join(folder),
                ledger: Arc::clone(&self.site.main().ledger),
                agent: Arc::clone(&self.site.agent),
                stop: Arc::clone(&self.site.stop),
            };
            let writer = Writer::new(self.scenario.of_receiver(receiver), number, stage);
            std::thread::spawn(move || writer.run())
        };
        let receivers = 1 + self.scenario.others.len();
        (0..files * receivers).map(writer).collect()
    }

    fn start_networks(&self) -> Vec<std::thread::JoinHandle<()>> {
        let scenario = self.scenario;
        let start = |(number, end): (usize, &End)| {
            let (network, stop) = (Arc::clone(&end.network), Arc::clone(&self.site.stop));
            let (modes, collector_fails) = match number {
                0 => (scenario.network, scenario.collector_fails),
                _ => (scenario.other_network, false),
            };
            let interval = scenario.network_interval;
            std::thread::spawn(move || {
                network.misbehave(modes, interval, collector_fails, &stop);
            })
        };
        // The network of an exporter that comes and goes is the changer's.
        let own = match scenario.changes {
            Changes::Exporter => 1,
            Changes::None | Changes::Globs(_) => self.site.ends.len(),
        };
        self.site
            .ends
            .iter()
            .take(own)
            .enumerate()
            .map(start)
            .collect()
    }

    /// One kill, at a random moment: while it works, while it starts, or by a writer while it rotates.
    fn kill_once(&mut self) {
        let mut rng = rand::rng();
        let kills = self.site.agent.kills();
        while self.site.agent.kills() == kills {
            self.site.start_again();
            match rng.random_range(0..10) {
                0 => {
                    self.site.agent.terminate();
                    self.site.start_again();
                }
                1 => {
                    let after = Duration::from_millis(rng.random_range(0..50));
                    self.site.agent.kill_while_it_drains(after);
                    continue;
                }
                2 => self.site.agent.reload(),
                3..6 => self.changer.change_at_work(&self.site),
                _ => {}
            }
            let pause = Duration::from_millis(rng.random_range(20..900));
            self.site.agent.wait_for_kill(pause);
            self.site.check_books();
            self.site.agent.kill();
        }
        if rng.random_ratio(1, 2) {
            self.changer.change_between(&self.site);
        }
        std::thread::sleep(self.scenario.down_max.mul_f64(rng.random_range(0.0..1.0)));
        if rng.random_ratio(1, 5) {
            // Killed while it starts.
            self.site.agent.spawn();
            std::thread::sleep(Duration::from_millis(rng.random_range(0..60)));
            self.site.agent.kill();
        }
        self.site.start_again();
    }
}
