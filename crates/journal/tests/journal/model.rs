//! Random histories of appends, reads, commits, faults and power cuts against a plain model.
//!
//! After every start: each acknowledged record that the cursor still needs is there, intact and
//! in order; nothing that was refused is there; what a power cut or a failed sync left undecided
//! is there once or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use vervet_journal::{Cursor, Journal, JournalConfig, JournalError};

use crate::sim::Disk;
use crate::support::{append_all, config};

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u16>),
    Read(u16),
    Commit(u8),
    Rewind,
    Room(u16),
    ShortWrites(u8),
    HealDisk,
    FailedSync,
    PowerCutAfter(u32),
    Crash(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(0..200_u16, 1..4).prop_map(Step::Append),
        4 => (0..600_u16).prop_map(Step::Read),
        3 => any::<u8>().prop_map(Step::Commit),
        1 => Just(Step::Rewind),
        1 => (0..300_u16).prop_map(Step::Room),
        1 => (1..50_u8).prop_map(Step::ShortWrites),
        2 => Just(Step::HealDisk),
        1 => Just(Step::FailedSync),
        2 => (1..12_u32).prop_map(Step::PowerCutAfter),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Reopen),
    ]
}

struct World {
    disk: Disk,
    running: Option<(Journal, Cursor)>,
    /// Acknowledged payloads by sequence.
    acknowledged: BTreeMap<u64, Vec<u8>>,
    /// Payloads whose fate the next start decides.
    undecided: BTreeSet<Vec<u8>>,
    /// What the cursor may stand at: one value, two after a commit that failed half-way.
    committed: BTreeSet<u64>,
    position: u64,
    payloads: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            disk: Disk::default(),
            running: None,
            acknowledged: BTreeMap::new(),
            undecided: BTreeSet::new(),
            committed: BTreeSet::from([0]),
            position: 0,
            payloads: 0,
        };
        world.start();
        world
    }

    fn config() -> JournalConfig {
        JournalConfig {
            disk_bytes_max: 4096,
            ..config(Path::new("/j"))
        }
    }

    fn start(&mut self) {
        self.running = None;
        let (journal, report) = Journal::open_with(Self::config(), self.disk.mount()).unwrap();
        assert!(report.corrupt_cursors.is_empty(), "{report:?}");
        let cursor = journal.cursor("main").unwrap();
        assert!(
            self.committed.contains(&cursor.committed()),
            "at {}",
            cursor.committed()
        );
        let committed = cursor.committed();
        assert_eq!(
            cursor.state(),
            if committed == 0 {
                vec![]
            } else {
                state(committed)
            }
        );
        self.committed = BTreeSet::from([committed]);
        self.position = committed;
        self.running = Some((journal, cursor));
        self.audit(committed);
    }

    /// Reads everything and settles what was undecided.
    fn audit(&mut self, committed: u64) {
        let (journal, _) = self.running.as_ref().unwrap();
        let mut auditor = journal.cursor("audit").unwrap();
        let mut found = BTreeMap::new();
        let mut previous = 0;
        loop {
            let records = auditor.read(1000).unwrap();
            if records.is_empty() {
                break;
            }
            for record in records {
                assert!(
                    record.sequence > previous,
                    "{} after {previous}",
                    record.sequence
                );
                previous = record.sequence;
                found.insert(record.sequence, record.payload.to_vec());
            }
        }
        drop(auditor);
        journal.remove_cursor("audit").unwrap();
        for (sequence, payload) in &found {
            let known = self.acknowledged.get(sequence);
            assert!(
                known == Some(payload) || known.is_none() && self.undecided.remove(payload),
                "record {sequence} was never accepted, or came twice"
            );
        }
        for (sequence, payload) in self.acknowledged.range(committed + 1..) {
            assert_eq!(
                found.get(sequence),
                Some(payload),
                "record {sequence} is lost"
            );
        }
        self.undecided.clear();
        self.acknowledged.extend(found);
    }

    fn append(&mut self, lengths: &[u16]) {
        let payloads: Vec<Vec<u8>> = lengths.iter().map(|len| self.payload(*len)).collect();
        let (journal, _) = self.running.as_ref().unwrap();
        match append_all(journal, &payloads) {
            Ok(range) => {
                let last = self.acknowledged.keys().next_back().copied().unwrap_or(0);
                assert!(*range.start() > last, "sequences go back");
                self.acknowledged.extend(range.zip(payloads));
            }
            Err(JournalError::Poisoned { .. }) => self.undecided.extend(payloads),
            Err(_) => {}
        }
    }

    /// Unique bytes of at least 8.
    fn payload(&mut self, len: u16) -> Vec<u8> {
        self.payloads += 1;
        let mut payload = self.payloads.to_le_bytes().to_vec();
        payload.resize(payload.len() + usize::from(len), 0x5a);
        payload
    }

    fn read(&mut self, bytes_max: u16) {
        let (_, cursor) = self.running.as_mut().unwrap();
        let Ok(records) = cursor.read(usize::from(bytes_max)) else {
            return;
        };
        let mut expected = self.acknowledged.range(self.position + 1..);
        for record in &records {
            let (sequence, payload) = expected.next().unwrap();
            assert_eq!(
                (record.sequence, record.payload.as_ref()),
                (*sequence, payload.as_slice())
            );
        }
        assert!(
            !records.is_empty() || expected.next().is_none(),
            "reading stopped early"
        );
        self.position = records
            .last()
            .map_or(self.position, |record| record.sequence);
    }

    fn commit(&mut self, share: u8) {
        let (_, cursor) = self.running.as_mut().unwrap();
        let committed = cursor.committed();
        let through = committed + (self.position - committed) * u64::from(share) / 255;
        if through == 0 {
            return;
        }
        match cursor.commit(through, &state(through)) {
            Ok(()) => self.committed = BTreeSet::from([through]),
            Err(_) => drop(self.committed.insert(through)),
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Append(lengths) => self.append(lengths),
            Step::Read(bytes_max) => self.read(*bytes_max),
            Step::Commit(share) => self.commit(*share),
            Step::Rewind => {
                let (_, cursor) = self.running.as_mut().unwrap();
                cursor.rewind();
                self.position = cursor.committed();
            }
            Step::Room(room) => self
                .disk
                .faults(|faults| faults.room = Some(u64::from(*room))),
            Step::ShortWrites(bytes) => {
                self.disk
                    .faults(|faults| faults.write_bytes_max = Some(usize::from(*bytes)));
            }
            Step::HealDisk => self.disk.faults(|faults| {
                faults.room = None;
                faults.write_bytes_max = None;
            }),
            Step::FailedSync => {
                self.disk.faults(|faults| faults.fail_syncs = true);
                self.append(&[10]);
                self.disk.faults(|faults| faults.fail_syncs = false);
            }
            Step::PowerCutAfter(changes) => {
                self.disk
                    .faults(|faults| faults.power_cut_after = Some(*changes));
            }
            Step::Crash(seed) => {
                self.disk.crash(*seed);
                self.start_through_power_cuts(*seed);
            }
            Step::Reopen => {
                self.disk.faults(|faults| *faults = Default::default());
                // Closing without a crash: what was written is still in the page cache.
                self.start();
            }
        }
    }

    /// The power goes again during some recoveries.
    fn start_through_power_cuts(&mut self, seed: u64) {
        self.running = None;
        for attempt in 1..=u32::try_from(seed % 4).unwrap() {
            self.disk
                .faults(|faults| faults.power_cut_after = Some(attempt));
            drop(Journal::open_with(Self::config(), self.disk.mount()));
            self.disk.crash(seed.rotate_left(attempt));
        }
        self.start();
    }
}

fn state(committed: u64) -> Vec<u8> {
    format!("state of {committed}").into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_read_back(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.run(&Step::Crash(5));
    }
}
