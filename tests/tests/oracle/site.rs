//! Where a scenario takes place: a folder of logs, the agent, the network, the collectors.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::runtime::Runtime;
use vervet_tests::Tmpfs;
use vervet_tests::books::{self, BookLine};
use vervet_tests::proxy::{Mode, Proxy};

use crate::agent::Agent;
use crate::collector::Collector;
use crate::ledger::{Ledger, Written};
use crate::line::Line;
use crate::setup::Setup;

pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The folder of the agent's data.
pub(crate) const DATA: &str = "agent-data";

pub(crate) struct Site {
    pub(crate) setup: Setup,
    // Before the folder, so that it ends first.
    pub(crate) agent: Arc<Agent>,
    /// Before the folder, too: it is in there.
    _volume: Option<Tmpfs>,
    pub(crate) dir: tempfile::TempDir,
    /// In the order of the exporters; never empty.
    pub(crate) ends: Vec<End>,
    /// Tells writers and networks that it is over.
    pub(crate) stop: Arc<AtomicBool>,
    /// The agent has said what it must say.
    pub(super) said: AtomicBool,
}

/// Where an exporter sends to.
pub(crate) struct End {
    pub(crate) exporter: &'static str,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) network: Arc<Network>,
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

/// The way from the agent to a collector, and the collector.
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

impl End {
    fn new(exporter: &'static str, setup: &Setup) -> Self {
        // All that one exporter is sent is read the same way: only lines of traces are more than one to a record.
        let shape = setup.receivers[0].shape;
        let ledger = Arc::new(Ledger::new(shape));
        let network = Arc::new(Network::start(&ledger));
        Self {
            exporter,
            ledger,
            network,
        }
    }
}

impl Site {
    /// With an empty folder of logs and the agent not yet started.
    pub(crate) fn new(setup: Setup) -> Self {
        Self::on(setup, tempfile::tempdir().unwrap(), None)
    }

    /// As [`Site::new`], with the agent's data on a small volume.
    ///
    /// # Errors
    /// It cannot be mounted here.
    pub(crate) fn on_volume(setup: Setup, mebibytes: u32) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let volume = Tmpfs::mount(&dir.path().join(DATA), mebibytes)?;
        Ok(Self::on(setup, dir, Some(volume)))
    }

    fn on(setup: Setup, dir: tempfile::TempDir, volume: Option<Tmpfs>) -> Self {
        let exporters = setup.exporters.iter();
        let ends: Vec<End> = exporters
            .map(|exporter| End::new(exporter, &setup))
            .collect();
        for receiver in &setup.receivers {
            std::fs::create_dir_all(dir.path().join("logs").join(receiver.folder)).unwrap();
        }
        let agent = Agent::new(dir.path(), &setup);
        let site = Self {
            setup,
            agent: Arc::new(agent),
            _volume: volume,
            dir,
            ends,
            stop: Arc::default(),
            said: AtomicBool::new(false),
        };
        site.configure(&site.setup);
        site
    }

    /// Writes the agent's configuration, which it reads at its next start or reload.
    pub(crate) fn configure(&self, setup: &Setup) {
        let addresses = self.ends.iter();
        let addresses = addresses.map(|end| (end.exporter, end.network.proxy.address()));
        let addresses: Vec<_> = addresses.collect();
        self.agent
            .configure(&setup.yaml(self.dir.path(), &addresses));
    }

    /// What the first exporter, `main`, sends to.
    pub(crate) fn main(&self) -> &End {
        &self.ends[0]
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

    /// The line of an exporter in the books; none when the agent does not tell.
    pub(crate) fn book_of(&self, exporter: &str) -> Option<BookLine> {
        let lines = self.check_books().into_iter();
        let mut lines = lines.filter(|line| line.signal == "logs");
        lines.find(|line| line.exporter == exporter)
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
        let receiver = &self.setup.receivers[written.receiver];
        let path = self.logs().join(receiver.folder).join(name);
        let mut bytes = match path.exists() {
            true => Vec::new(),
            false => receiver.shape.mark(),
        };
        for _line in 0..lines {
            let line = Line {
                writer: written.writer,
                generation,
                number: written.lines,
            };
            written.lines += 1;
            bytes.extend(receiver.shape.line(&line));
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(path).unwrap();
        file.write_all(&bytes).unwrap();
        written.clone()
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }
}
