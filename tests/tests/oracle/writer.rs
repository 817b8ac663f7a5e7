//! Writes one file the way programs do, and rotates it the way log rotation does.

mod rotation;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;

use crate::agent::Agent;
use crate::ledger::{Ledger, Written};
use crate::line::{self, Line};
use crate::scenario::Scenario;
use crate::shape::mixed;
use crate::site::wait_until;

pub(crate) use rotation::{Codec, Rotation};

const PORTION_INTERVAL: Duration = Duration::from_millis(10);
const PORTIONS_PER_SECOND: u32 = 100;
/// Of so many portions one is written in two pieces with a pause between.
const TORN_EVERY: u32 = 4;
const TORN_PAUSE_MILLIS_MAX: u64 = 40;
/// Lines at once at the beginning of some generations, so that a file soon is longer than the one before.
const BURST_LINES: u32 = 400;
const BURST_EVERY: u32 = 3;
const GATE_WITHIN: Duration = Duration::from_secs(120);

/// What must have arrived before a file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// A line of the file, so that the agent knows it.
    Known,
    /// Nothing; but the agent has the file open.
    Held,
    /// Every line written, but those that were at risk.
    Delivered,
}

/// What a writer shares with the rest of the run.
#[derive(Clone)]
pub(crate) struct Stage {
    /// Which of the receivers reads the files.
    pub(crate) receiver: usize,
    pub(crate) dir: PathBuf,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) agent: Arc<Agent>,
    pub(crate) stop: Arc<AtomicBool>,
}

pub(crate) struct Writer {
    scenario: Scenario,
    stage: Stage,
    /// Number of the file.
    file: usize,
    path: PathBuf,
    handle: File,
    generation: u32,
    /// What is left of lines that were begun in the file before.
    begun: Vec<Vec<u8>>,
    /// The file before, while lines still go there.
    late: Option<Late>,
    written: Vec<Written>,
    rotations: u32,
    rotated_at: Instant,
    /// Files that got the inode of the one before.
    reused_inodes: u32,
    jobs: Vec<std::thread::JoinHandle<()>>,
}

struct Late {
    handle: File,
    generation: u32,
    until: Instant,
}

/// What a writer has done.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) written: Vec<Written>,
    pub(crate) rotations: u32,
    pub(crate) reused_inodes: u32,
}

impl Stage {
    /// A moment at which the agent may be killed.
    fn moment(&self, scenario: &Scenario) {
        if scenario.kills_at_rotation && rand::rng().random_ratio(1, 5) {
            self.agent.kill();
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Writer {
    pub(crate) fn new(scenario: Scenario, file: usize, stage: Stage) -> Self {
        let path = stage.dir.join(format!("app-{file}.log"));
        let handle = scenario.rotation.create_first(&path);
        let writers = (0..scenario.writers_per_file).map(|index| Written {
            writer: file * scenario.writers_per_file + index,
            receiver: stage.receiver,
            ..Written::default()
        });
        let mut writer = Self {
            written: writers.collect(),
            scenario,
            stage,
            file,
            path,
            handle,
            generation: 0,
            begun: Vec::new(),
            late: None,
            rotations: 0,
            rotated_at: Instant::now(),
            reused_inodes: 0,
            jobs: Vec::new(),
        };
        writer.begin_generation();
        writer
    }

    /// Until told to stop.
    pub(crate) fn run(mut self) -> Ended {
        let mut next = Instant::now();
        while !self.stage.stopped() {
            self.write_lines(self.lines_due());
            self.write_late();
            let due = self.rotated_at.elapsed() > self.scenario.rotation_interval;
            if due && self.scenario.rotation != Rotation::None && self.gate_opens() {
                self.rotate();
                self.rotations += 1;
                self.rotated_at = Instant::now();
            }
            next = (next + PORTION_INTERVAL).max(Instant::now() - PORTION_INTERVAL);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        for job in self.jobs {
            job.join().unwrap();
        }
        Ended {
            written: self.written,
            rotations: self.rotations,
            reused_inodes: self.reused_inodes,
        }
    }

    /// How many lines a portion has.
    fn lines_due(&self) -> u32 {
        let mut rng = rand::rng();
        match self.scenario.lines_per_second / PORTIONS_PER_SECOND {
            0 => u32::from(rng.random_ratio(self.scenario.lines_per_second, PORTIONS_PER_SECOND)),
            average => rng.random_range(1..=2 * average),
        }
    }

    fn begin_generation(&mut self) {
        for written in &mut self.written {
            written.generations.push(written.lines);
        }
        self.handle.write_all(&self.scenario.shape.mark()).unwrap();
        self.write_pieces_begun();
        if self.scenario.equal_beginnings {
            let writer = self.written[0].writer;
            let header = self.scenario.shape.text(&line::header(writer), writer);
            self.handle.write_all(&header).unwrap();
            self.written[0].headers += 1;
        }
        if rand::rng().random_ratio(1, BURST_EVERY) {
            self.write_lines(BURST_LINES);
        }
    }

    /// Appends lines of the file's writers in turn.
    fn write_lines(&mut self, lines: u32) {
        if lines == 0 {
            return;
        }
        let bytes = self.next_lines(lines, self.generation);
        let mut rng = rand::rng();
        if rng.random_ratio(1, TORN_EVERY) {
            let (first, second) = bytes.split_at(rng.random_range(0..bytes.len()));
            self.handle.write_all(first).unwrap();
            std::thread::sleep(Duration::from_millis(
                rng.random_range(0..TORN_PAUSE_MILLIS_MAX),
            ));
            self.handle.write_all(second).unwrap();
        } else {
            self.handle.write_all(&bytes).unwrap();
        }
    }

    fn next_lines(&mut self, lines: u32, generation: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _line in 0..lines {
            bytes.extend(self.next_pieces(generation).concat());
        }
        bytes
    }

    /// The next line of each writer, in pieces that come one after the other.
    fn next_pieces(&mut self, generation: u32) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for written in &mut self.written {
            let line = Line {
                writer: written.writer,
                generation,
                number: written.lines,
            };
            written.lines += 1;
            lines.push(self.scenario.shape.pieces(&line));
        }
        match self.scenario.mixes_pieces {
            true => mixed(lines),
            false => lines.concat(),
        }
    }

    /// Begins a line of each writer whose end will stand in the next file.
    fn begin_pieces(&mut self) {
        let mut pieces = self.next_pieces(self.generation);
        self.begun = pieces.split_off(rand::rng().random_range(0..=pieces.len()));
        self.write_pieces(&pieces);
    }

    fn write_pieces_begun(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        self.write_pieces(&begun);
    }

    fn write_pieces(&mut self, pieces: &[Vec<u8>]) {
        for piece in pieces {
            self.handle.write_all(piece).unwrap();
            self.moment();
        }
    }

    /// A program that has not noticed the rotation writes on to the old file.
    fn write_late(&mut self) {
        let Some(late) = self.late.take() else {
            return;
        };
        let bytes = self.next_lines(2, late.generation);
        let mut handle = &late.handle;
        handle.write_all(&bytes).unwrap();
        if Instant::now() < late.until {
            self.late = Some(late);
        }
    }

    /// Waits until the file may be rotated; false when told to stop before.
    fn gate_opens(&self) -> bool {
        let (ledger, gate) = (&self.stage.ledger, self.scenario.gate);
        let opened = wait_until(GATE_WITHIN, || {
            let mut written = self.written.iter();
            let holds = match gate {
                Gate::Open => true,
                Gate::Held => self.is_held(),
                Gate::Known => written.all(|written| ledger.knows(written.writer, self.generation)),
                Gate::Delivered => ledger.has_all(&self.written),
            };
            holds || self.stage.stopped()
        });
        assert!(
            opened,
            "{:?}: not within {GATE_WITHIN:?}: {gate:?}",
            self.path
        );
        !self.stage.stopped()
    }

    /// Whether the agent keeps the file open: it also looks into files for a moment, to see what they are.
    fn is_held(&self) -> bool {
        const LONGER_THAN_A_LOOK: Duration = Duration::from_millis(30);
        let is_open = || self.stage.agent.has_open(&self.path);
        is_open() && {
            std::thread::sleep(LONGER_THAN_A_LOOK);
            is_open()
        }
    }

    /// The file of that path is another one from here on.
    fn switch(&mut self, handle: File) {
        let before = std::mem::replace(&mut self.handle, handle);
        if !self.scenario.late_writes.is_zero() {
            self.late = Some(Late {
                handle: before,
                generation: self.generation,
                until: Instant::now() + self.scenario.late_writes,
            });
        }
        self.generation += 1;
        self.begin_generation();
    }

    fn moment(&self) {
        self.stage.moment(&self.scenario);
    }

    fn inode(&self) -> u64 {
        self.handle.metadata().unwrap().ino()
    }
}

/// Opens a file for appending.
fn append(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    options.open(path).unwrap()
}
