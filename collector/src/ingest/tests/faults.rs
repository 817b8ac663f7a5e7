//! Ingest, journal, segments and catalog under faults: nothing that was acknowledged is lost, nothing is there twice,
//! what was refused is there whole or not at all, and it goes on by itself once the disk is well.
//!
//! A case is one fault, a few steps of the collector under it, the end of the fault, and a check of everything that was
//! ever sent. The faults of journal and segments are made by [`Disk`]: EIO of any change or sync, a full disk, short and
//! torn writes, power cuts. Those that reach the catalog as well are real: a limit on the size of files, where writes
//! fall short and then fail with EFBIG, which SQLite takes for EIO; and a small file system that is full.
//!
//! Both need a process of their own, so that the test runs itself again in one.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource as Limited, Rlimit, getrlimit, setrlimit};
use vervet_journal::{Cursor, FileSystem};
use vervet_model::Matcher;
use vervet_store::maintain::CompactionConfig;
use vervet_store::verify::{Defect, Progress, VerifyOptions, VerifyReport, verify};
use vervet_store::{Cancel, Direction, LogQuery, SampleLimits, UpkeepConfig};
use vervet_wire::otlp::{
    KeyValue, Metric, MetricData, Number, NumberPoint, write_resource_metrics,
};

use super::disk::{Dice, Disk, Faults};
use super::*;

/// Cases of all seeds together.
const CASES: u64 = 1_000;
const CASES_OF: &str = "VERVET_FAULT_CASES";
/// A seed to run instead of the fixed one and a fresh one, as a failure prints it.
const SEED: &str = "VERVET_FAULT_SEED";
const FIXED_SEED: u64 = 1;
/// Set in the process that runs the cases: its folder.
const FOLDER: &str = "VERVET_FAULT_FOLDER";
/// Set there when the folder is a small file system of its own.
const OWN_DISK: &str = "VERVET_FAULT_OWN_DISK";
const DISK_MEBIBYTES: u64 = 32;
/// Cases after which everything starts anew.
const CASES_OF_A_WORLD: u64 = 40;
const DAY_NANOS: i64 = 86_400_000_000_000;
const THIS_TEST: &str =
    "ingest::tests::faults::nothing_acknowledged_is_lost_whatever_the_disk_does";

#[test]
fn nothing_acknowledged_is_lost_whatever_the_disk_does() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return run_in_a_process_of_its_own();
    };
    let fresh = SystemClock.now().0.unsigned_abs();
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let seeds = number(SEED).map_or_else(|| vec![FIXED_SEED, fresh], |seed| vec![seed]);
    let cases = number(CASES_OF).unwrap_or(CASES) / seeds.len() as u64;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime");
    for seed in seeds {
        println!("{SEED}={seed}");
        let mut tally = Tally::default();
        for world in 0..cases.div_ceil(CASES_OF_A_WORLD) {
            let dir = PathBuf::from(&folder).join("world");
            let world_seed = Dice::new(seed.wrapping_add(world)).below(u64::MAX);
            println!("world {world} of seed {seed}");
            runtime.block_on(run_world(&dir, world_seed, &mut tally));
            std::fs::remove_dir_all(&dir).expect("removed");
        }
        println!("seed {seed}: {tally:?}");
        assert!(tally.cases >= cases);
        assert!(tally.struck > cases / 3, "hardly any fault was met");
    }
}

fn run_in_a_process_of_its_own() {
    let dir = tempfile::tempdir().expect("folder");
    // A namespace of mounts, so that the file system is gone with the process.
    let namespaces: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-r", "-m"]];
    let namespace = namespaces.into_iter().find(|command| {
        let mut mounted = shell(
            command,
            &format!("mount -t tmpfs none '{}'", dir.path().display()),
        );
        mounted.output().is_ok_and(|output| output.status.success())
    });
    let mount = match namespace {
        Some(_) => format!(
            "mount -t tmpfs -o size={DISK_MEBIBYTES}m none '{}'; export {OWN_DISK}=1; ",
            dir.path().display()
        ),
        None => {
            println!("SKIPPED: the full disks of {THIS_TEST}: no file system can be mounted");
            String::new()
        }
    };
    let program = std::env::current_exe().expect("this program");
    let mut child = shell(
        namespace.unwrap_or_default(),
        // A signal that is ignored stays so: a write beyond the limit then only fails.
        &format!("trap '' XFSZ; {mount}exec \"$@\""),
    );
    child.arg("faults").arg(program);
    child.args(["--exact", THIS_TEST, "--nocapture"]);
    child.env(FOLDER, dir.path());
    let output = child.output().expect("started");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    for line in said.lines().filter(|line| line.starts_with("seed ")) {
        println!("{line}");
    }
    let last: Vec<&str> = said.lines().rev().take(12).collect();
    assert!(output.status.success(), "{last:#?}\n{errors}");
}

fn shell(before: &[&str], script: &str) -> Command {
    let words = before.iter().copied().chain(["sh", "-ec", script]);
    let mut words = words.collect::<Vec<_>>().into_iter();
    let mut command = Command::new(words.next().expect("a word"));
    command.args(words);
    command
}

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    /// Cases in which a step failed or a fault was met.
    struck: u64,
    acknowledged: u64,
    refused: u64,
    flush_failures: u64,
    upkeep_failures: u64,
    mended: u64,
    power_cuts: u64,
    restarts: u64,
    records_checked: u64,
}

async fn run_world(dir: &Path, seed: u64, tally: &mut Tally) {
    let mut world = World::new(dir, seed);
    for _case in 0..CASES_OF_A_WORLD {
        let struck = world.disk.struck();
        let failures = tally.failures();
        world.case(tally).await;
        tally.cases += 1;
        tally.struck += u64::from(world.disk.struck() > struck || tally.failures() > failures);
        if world.dice.one_in(8) {
            world.restart(tally).await;
            world.check(tally).await;
        }
    }
    // A commit settles what an earlier one left open.
    assert!(world.send(tally).await && world.flush(tally).is_ok());
    world.verify(true);
    world.restart(tally).await;
    world.check(tally).await;
    world.verify(false);
    world.stop().await;
}

impl Tally {
    fn failures(&self) -> u64 {
        self.refused + self.flush_failures + self.upkeep_failures
    }
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    number: u64,
    signal: Signal,
    items: u64,
    /// Of the agent's.
    sequence: Option<u64>,
    acknowledged: bool,
}

struct World {
    dir: PathBuf,
    disk: Disk,
    dice: Dice,
    running: Option<Running>,
    batches: Vec<Batch>,
    /// The agent's batch that was refused, by its place in `batches`.
    waiting: Option<usize>,
    sequence: u64,
    start: UnixNanos,
}

struct Running {
    ingest: Ingest,
    committer: JoinHandle<()>,
    journal: Journal,
    cursor: Cursor,
}

impl Running {
    fn open(dir: &Path, fs: Arc<dyn FileSystem>) -> Self {
        let upkeep = UpkeepConfig {
            compaction: CompactionConfig {
                files_min: 2,
                ..CompactionConfig::default()
            },
            reader_grace: Duration::ZERO,
            ..UpkeepConfig::default()
        };
        let config = StoreConfig {
            upkeep,
            // A crash in the first flush leaves segments and a new catalog.
            journal_is_whole: true,
            ..StoreConfig::new(dir.join("store"))
        };
        let store = Store::open_on(config, Arc::clone(&fs)).expect("the store opens");
        let config = JournalConfig {
            segment_bytes_max: 4 << 10,
            ..JournalConfig::new(dir.join("journal"))
        };
        let (journal, _report) = Journal::open_with(config, fs).expect("the journal opens");
        let mut cursor = journal.cursor("store").expect("cursor");
        let options = DecodeOptions::default();
        let replayed = replay(&store, &mut cursor, &options).expect("replayed");
        assert_eq!(replayed.unreadable, 0);
        let own = Own::default();
        let head = Arc::new(HeadRoom::new(store.clone(), 256 << 20));
        let (ingest, committer) =
            Ingest::new(store, journal.clone(), options, 64 << 20, head, &own);
        let committer = tokio::task::spawn_blocking(move || committer.run());
        Self {
            ingest,
            committer,
            journal,
            cursor,
        }
    }

    fn store(&self) -> &Store {
        &self.ingest.store
    }

    async fn stop(self) {
        drop((self.ingest, self.journal, self.cursor));
        self.committer.await.expect("ended");
    }
}

/// The fault of a case.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Disk(Faults),
    /// No file may become larger (bytes).
    FileBytesMax(u64),
    /// The file system has so much left (bytes).
    Full(u64),
}

impl World {
    fn new(dir: &Path, seed: u64) -> Self {
        std::fs::create_dir_all(dir).expect("folder");
        let disk = Disk::new(seed);
        let running = Running::open(dir, disk.mount());
        Self {
            dir: dir.to_owned(),
            disk,
            dice: Dice::new(seed ^ 1),
            running: Some(running),
            batches: Vec::new(),
            waiting: None,
            sequence: 0,
            start: SystemClock.now(),
        }
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("running")
    }

    async fn stop(&mut self) {
        let running = self.running.take().expect("running");
        running.stop().await;
    }

    async fn case(&mut self, tally: &mut Tally) {
        let fault = self.choose();
        let ballast = self.begin(fault);
        let first = self.dice.below(8);
        let more = (0..self.dice.below(3)).map(|_step| self.dice.below(8));
        for step in std::iter::once(first).chain(more.collect::<Vec<_>>()) {
            match step {
                0..4 => drop(self.send(tally).await),
                4..6 => drop(self.flush(tally)),
                6 => drop(self.upkeep(tally)),
                _ => self.check(tally).await,
            }
        }
        if let Fault::Disk(Faults {
            power_cut_after: Some(_),
            ..
        }) = fault
        {
            tally.power_cuts += 1;
            self.crash(true).await;
        }
        self.end(ballast);
        // It goes on without a restart, at once.
        let poisoned = self.running().journal.stats().poisoned;
        while self.waiting.is_some() {
            assert!(self.send_waiting(tally).await, "refused after {fault:?}");
        }
        assert!(self.send(tally).await, "refused after {fault:?}");
        tally.mended += u64::from(poisoned);
        if self.dice.one_in(3) {
            let flushed = self.flush(tally);
            assert!(flushed.is_ok(), "{flushed:?} after {fault:?}");
        }
        if self.dice.one_in(8) {
            let kept = self.upkeep(tally);
            assert!(kept.is_ok(), "{kept:?} after {fault:?}");
        }
        self.check(tally).await;
    }

    fn choose(&mut self) -> Fault {
        let dice = &mut self.dice;
        let (before, times) = (dice.below(10), 1 + dice.below(4));
        let strike = (
            u32::try_from(before).expect("small"),
            u32::try_from(times).expect("small"),
        );
        let own_disk = std::env::var_os(OWN_DISK).is_some();
        let faults = match dice.below(10) {
            0 | 1 => Faults {
                fail: Some(strike),
                ..Faults::default()
            },
            2 | 3 => Faults {
                fail_syncs: Some((strike.0 / 3, strike.1)),
                ..Faults::default()
            },
            4 => Faults {
                room: Some(dice.below(6_000)),
                write_bytes_max: dice.one_in(2).then_some(7),
                ..Faults::default()
            },
            5 | 6 => Faults {
                power_cut_after: Some(strike.0),
                fail_syncs: dice.one_in(3).then_some((strike.0 / 3, 1)),
                ..Faults::default()
            },
            7 if own_disk => return Fault::Full(dice.below(32 << 10)),
            8 => {
                let wal = self.dir.join("store/catalog.sqlite-wal");
                let len = std::fs::metadata(wal).map_or(0, |metadata| metadata.len());
                return Fault::FileBytesMax(len + dice.below(8 << 10));
            }
            _ => return Fault::FileBytesMax(dice.below(10 << 10)),
        };
        Fault::Disk(faults)
    }

    /// Returns the file that fills the disk.
    fn begin(&mut self, fault: Fault) -> Option<PathBuf> {
        match fault {
            Fault::Disk(faults) => self.disk.set(faults),
            Fault::FileBytesMax(bytes) => limit_files(Some(bytes)),
            Fault::Full(room) => {
                let path = self.dir.join("ballast");
                let stats = rustix::fs::statvfs(&self.dir).expect("statvfs");
                let free = stats.f_bavail * stats.f_frsize;
                let ballast = usize::try_from(free.saturating_sub(room)).expect("small");
                std::fs::write(&path, vec![0; ballast]).expect("there was room");
                return Some(path);
            }
        }
        None
    }

    fn end(&mut self, ballast: Option<PathBuf>) {
        self.disk.set(Faults::default());
        limit_files(None);
        if let Some(ballast) = ballast {
            std::fs::remove_file(ballast).expect("removed");
        }
    }

    /// Sends something new, the agent's batch that waits first. Whether it was acknowledged.
    async fn send(&mut self, tally: &mut Tally) -> bool {
        let from_agent = self.dice.one_in(2);
        if from_agent && self.waiting.is_some() {
            return self.send_waiting(tally).await;
        }
        self.sequence += u64::from(from_agent);
        let logs = !self.dice.one_in(3);
        self.batches.push(Batch {
            number: self.batches.len() as u64,
            signal: if logs { Signal::Logs } else { Signal::Metrics },
            items: 1 + self.dice.below(6),
            sequence: from_agent.then_some(self.sequence),
            acknowledged: false,
        });
        let place = self.batches.len() - 1;
        if from_agent {
            self.waiting = Some(place);
        }
        self.send_batch(place, tally).await
    }

    async fn send_waiting(&mut self, tally: &mut Tally) -> bool {
        let place = self.waiting.expect("one waits");
        self.send_batch(place, tally).await
    }

    async fn send_batch(&mut self, place: usize, tally: &mut Tally) -> bool {
        let batch = self.batches.get(place).expect("batch").clone();
        let request = self.request(&batch);
        let result = self.running().ingest.accept(request).await;
        let acknowledged = match result {
            Ok(accepted) => {
                assert_eq!(accepted, Accepted::default());
                true
            }
            Err(Refusal::Unavailable { .. } | Refusal::Overloaded { .. }) => false,
            Err(refusal) => panic!("not to be repeated: {refusal:?}"),
        };
        match acknowledged {
            true => tally.acknowledged += 1,
            false => tally.refused += 1,
        }
        self.batches.get_mut(place).expect("batch").acknowledged = acknowledged;
        if acknowledged && self.waiting == Some(place) {
            self.waiting = None;
        }
        acknowledged
    }

    fn request(&self, batch: &Batch) -> OtlpRequest {
        let mut body = Vec::new();
        let (resource, scope) = (Resource::default(), Scope::default());
        let time = |item| self.time(batch, item).0.unsigned_abs();
        match batch.signal {
            Signal::Logs => write_resource_logs(&mut body, &resource, &scope, |writer| {
                for item in 0..batch.items {
                    let text = format!("{}/{item}", batch.number);
                    writer.push(&LogRecord {
                        time_unix_nano: time(item),
                        body: Value::from(text.as_str()),
                        ..LogRecord::default()
                    });
                }
            }),
            _ => write_resource_metrics(&mut body, &resource, &scope, |writer| {
                let points = (0..batch.items).map(|item| NumberPoint {
                    attributes: vec![KeyValue::new("batch", batch.number.to_string())],
                    time_unix_nano: time(item),
                    value: Number::Double(1.0),
                    ..NumberPoint::default()
                });
                writer.push(&Metric {
                    name: "faults".into(),
                    data: MetricData::Gauge(points.collect()),
                    ..Metric::default()
                });
            }),
        }
        let body = Bytes::from(body);
        // Every third batch came compressed.
        let is_compressed = batch.number.is_multiple_of(3);
        OtlpRequest {
            signal: batch.signal,
            received: is_compressed.then(|| compressed(&body)),
            body,
            source: batch.sequence.map(|sequence| Source {
                agent_id: "agent".to_owned(),
                sequence,
            }),
        }
    }

    /// Mostly today; on some other day now and then, so that folders are made and emptied.
    fn time(&self, batch: &Batch, item: u64) -> UnixNanos {
        let day = if batch.number % 8 == 7 {
            batch.number % 5
        } else {
            0
        };
        let day = i64::try_from(day).expect("small");
        let millis = i64::try_from(item).expect("small") * 1_000_000;
        UnixNanos(self.start.0 - day * DAY_NANOS + millis)
    }

    fn flush(&mut self, tally: &mut Tally) -> Result<(), String> {
        let running = self.running.as_mut().expect("running");
        let flushed = running.store().flush();
        tally.flush_failures += u64::from(flushed.is_err());
        let flushed = flushed.map_err(|error| format!("{error:?}"))?;
        if let Some(report) = flushed {
            let committed = running.cursor.commit(report.journal_position, &[]);
            committed.map_err(|error| format!("{error:?}"))?;
        }
        Ok(())
    }

    fn upkeep(&mut self, tally: &mut Tally) -> Result<(), String> {
        let store = self.running().store().clone();
        let steps = || {
            let now = SystemClock.now();
            while store.compact(now, &Cancel::default())?.is_some() {}
            store.reclaim(SystemClock.now())
        };
        let result = steps();
        tally.upkeep_failures += u64::from(result.is_err());
        result.map(drop).map_err(|error| format!("{error:?}"))
    }

    /// The process ends, or the machine does.
    async fn crash(&mut self, power_cut: bool) {
        let files = ["catalog.sqlite", "catalog.sqlite-wal"].map(|name| {
            let path = self.dir.join("store").join(name);
            let bytes = std::fs::read(&path).ok();
            (path, bytes)
        });
        // The database is then as it was, not as its closing leaves it.
        let as_it_was = self.dice.one_in(2);
        self.stop().await;
        if as_it_was {
            let _ = std::fs::remove_file(self.dir.join("store/catalog.sqlite-shm"));
            for (path, bytes) in files {
                match bytes {
                    Some(bytes) => std::fs::write(&path, bytes).expect("written"),
                    None => drop(std::fs::remove_file(&path)),
                }
            }
        }
        if power_cut {
            self.disk.cut_power();
        }
        self.running = Some(Running::open(&self.dir, self.disk.mount()));
    }

    async fn restart(&mut self, tally: &mut Tally) {
        tally.restarts += 1;
        let power_cut = self.dice.one_in(2);
        self.crash(power_cut).await;
    }

    /// Everything that was acknowledged is there once; everything else whole or not at all, and at most once.
    async fn check(&mut self, tally: &mut Tally) {
        let logs = self.logs().await;
        let samples = self.samples();
        for batch in &self.batches {
            let found = match batch.signal {
                Signal::Logs => logs.get(&batch.number),
                _ => samples.get(&batch.number),
            };
            let times: Vec<u32> = (0..batch.items)
                .map(|item| {
                    found
                        .and_then(|found| found.get(&item))
                        .copied()
                        .unwrap_or(0)
                })
                .collect();
            tally.records_checked += batch.items;
            let once = times.iter().all(|times| *times == 1);
            let absent = times.iter().all(|times| *times == 0);
            assert!(
                once || absent && !batch.acknowledged,
                "{batch:?} is there {times:?} times"
            );
        }
        let known = self.batches.len() as u64;
        assert!(
            logs.keys()
                .chain(samples.keys())
                .all(|number| *number < known)
        );
    }

    /// How often each record of each batch is there.
    async fn logs(&mut self) -> HashMap<u64, BTreeMap<u64, u32>> {
        let query = LogQuery {
            matchers: Vec::new(),
            filters: Vec::new(),
            metadata: Vec::new(),
            trace_id: None,
            start: UnixNanos(self.start.0 - 10 * DAY_NANOS),
            end: UnixNanos(self.start.0 + DAY_NANOS),
            limit: 100_000,
            direction: Direction::OldestFirst,
        };
        let answer = self.running().store().logs(&query).await.expect("answered");
        assert_eq!(answer.warnings, Vec::<String>::new());
        let mut found: HashMap<u64, BTreeMap<u64, u32>> = HashMap::new();
        for row in answer.into_iter() {
            let (batch, item) = row.body.split_once('/').expect("a body of this test");
            let batch = found.entry(batch.parse().expect("number")).or_default();
            *batch.entry(item.parse().expect("number")).or_default() += 1;
        }
        found
    }

    fn samples(&mut self) -> HashMap<u64, BTreeMap<u64, u32>> {
        let limits = SampleLimits {
            series_max: 100_000,
            samples_max: 10_000_000,
            deadline: UnixNanos(i64::MAX),
        };
        let matchers = [Matcher::equal("__name__", "faults")];
        let store = self.running().store().clone();
        let series = store.samples(&matchers, i64::MIN, i64::MAX, limits);
        let mut found: HashMap<u64, BTreeMap<u64, u32>> = HashMap::new();
        for series in series.expect("answered") {
            let batch = series
                .labels
                .get("batch")
                .and_then(|batch| batch.parse().ok());
            let items = found.entry(batch.expect("number")).or_default();
            for (item, _sample) in series.samples.iter().enumerate() {
                *items.entry(item as u64).or_default() += 1;
            }
        }
        found
    }

    /// Every file is as the catalog says, and there is no other, but, while it runs, such as could not be deleted.
    fn verify(&self, running: bool) {
        let report = verified(&self.dir);
        assert!(report.defects.is_empty(), "{:?}", report.defects);
        let undeleted = |path: &Path| running && self.disk.is_undeleted(path);
        let mut orphans = report.orphans.iter().map(|orphan| orphan.path.as_path());
        let orphan = orphans.find(|path| !undeleted(path));
        assert_eq!(orphan, None, "running: {running}");
    }
}

fn verified(dir: &Path) -> VerifyReport {
    struct Silent;
    impl Progress for Silent {
        fn begin(&self, _bytes: u64, _files: usize) {}
        fn advance(&self, _bytes: u64) {}
        fn file_done(&self) {}
        fn defect(&self, _defect: &Defect) {}
    }
    verify(&dir.join("store"), VerifyOptions::default(), &Silent).expect("verified")
}

/// Of this process; none when there is to be no limit.
fn limit_files(bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        ..getrlimit(Limited::Fsize)
    };
    setrlimit(Limited::Fsize, limit).expect("limited");
}
