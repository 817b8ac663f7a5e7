//! The journal under test beside what it should hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vervet_journal::{Cursor, Journal, JournalConfig, JournalError, OnFull, RecoveryReport};

use crate::sim::Disk;
use crate::support::{append_all, config};

const DISK_BYTES_MAX: u64 = 2048;
/// Records of one append, at most; a flipped bit in the last append costs all of it.
const APPEND_RECORDS_MAX: usize = 3;
const READERS: [&str; 2] = ["main", "second"];
const THIRD: &str = "third";

#[derive(Debug, Clone)]
pub(super) enum Step {
    Append(Vec<u16>),
    Read(usize, u16),
    Commit(usize, u8),
    /// Everybody reads and commits all there is.
    Settle,
    Rewind(usize),
    /// Whether the reader loses its oldest records when the budget is used up.
    Policy(usize, bool),
    /// The reader says up to where records are under way, as a share of those behind it.
    Hold(usize, u8),
    /// Creates a cursor that nobody reads, or removes it.
    ToggleThird,
    Room(u16),
    /// Nothing more than this fits on the volume, unless something goes.
    FillBut(u16),
    ShortWrites(u8),
    Heal,
    FailedSync,
    /// Asks a journal that takes no appends to take some again.
    Mend,
    FailChangeAfter(u32),
    PowerCutAfter(u32),
    BadSector(u64),
    /// Stops, flips a bit, starts.
    Flip(u64),
    /// Stops, cuts the last segment, starts.
    Cut(u64),
    Crash(u64),
    Reopen,
}

pub(super) struct World {
    disk: Disk,
    running: Option<Running>,
    /// Acknowledged payloads by sequence.
    acknowledged: BTreeMap<u64, Vec<u8>>,
    /// Acknowledged payloads that damage has taken, or that went with their segments; a mended disk or a power cut may
    /// give them back.
    gone: BTreeMap<u64, Vec<u8>>,
    /// First sequence of the segment that each record is in.
    homes: BTreeMap<u64, u64>,
    /// Payloads of undecided appends that damage hides: a mended disk may show them.
    hidden: BTreeSet<Vec<u8>>,
    /// Appends whose fate the next start decides.
    undecided: Vec<Vec<Vec<u8>>>,
    readers: [Reader; 2],
    /// Where the third cursor was created, while it exists; two places when a failure left that open.
    third: BTreeSet<Option<u64>>,
    /// As [`Reader::settled`].
    third_settled: u64,
    /// Everything up to here may have been dropped from cursors that allow it, and so have these.
    floor: u64,
    taken: BTreeSet<u64>,
    /// Segments and cursors that the disk has damaged since the last start.
    flipped: Vec<PathBuf>,
    /// The last segment, when it has been cut since the last start.
    cut: Option<PathBuf>,
    broken: Vec<PathBuf>,
    /// Damage is known in what is on disk, so that figures are not exact.
    inexact: bool,
    /// The last sequences of ends that were told to be lost.
    ends_told: BTreeSet<u64>,
    payloads: u64,
}

struct Running {
    journal: Journal,
    cursors: [Cursor; 2],
}

#[derive(Default)]
struct Reader {
    /// What it may stand at: one value, more after commits that failed half-way.
    committed: BTreeSet<u64>,
    position: u64,
    drops: bool,
    /// What is not committed up to here is under way; until the next start.
    held: u64,
    /// It had settled all up to here before its file was damaged; it may go on from an older commit.
    settled: u64,
    /// Its file was damaged and it started again without a state; until it commits.
    restarted: bool,
    /// Records that the budget has taken from it since the start.
    dropped: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let reader = || Reader {
            committed: BTreeSet::from([0]),
            ..Reader::default()
        };
        let mut world = Self {
            disk: Disk::default(),
            running: None,
            acknowledged: BTreeMap::new(),
            gone: BTreeMap::new(),
            homes: BTreeMap::new(),
            hidden: BTreeSet::new(),
            undecided: Vec::new(),
            readers: [reader(), reader()],
            third: BTreeSet::from([None]),
            third_settled: 0,
            floor: 0,
            taken: BTreeSet::new(),
            flipped: Vec::new(),
            cut: None,
            broken: Vec::new(),
            inexact: false,
            ends_told: BTreeSet::new(),
            payloads: 0,
        };
        world.start();
        world
    }

    pub(super) fn run(&mut self, step: &Step) {
        self.take(step);
        assert!(
            !self.disk.holds_removed(),
            "what goes gives its room back at once"
        );
        let open = self.disk.open_segments();
        assert!(
            open <= 1 + READERS.len(),
            "one of the writer, one of each reader: {open}"
        );
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Append(lengths) => self.append(lengths),
            Step::Read(reader, bytes_max) => self.read(*reader, *bytes_max),
            Step::Commit(reader, share) => self.commit(*reader, *share),
            Step::Settle => {
                for reader in 0..READERS.len() {
                    self.read(reader, u16::MAX);
                    self.commit(reader, u8::MAX);
                }
            }
            Step::Rewind(reader) => {
                let cursor = &mut self.running.as_mut().unwrap().cursors[*reader];
                cursor.rewind();
                self.readers[*reader].position = cursor.committed();
            }
            Step::Policy(reader, drops) => {
                self.readers[*reader].drops = *drops;
                self.apply_policies();
            }
            Step::Hold(reader, share) => self.hold(*reader, *share),
            Step::ToggleThird => self.toggle_third(),
            Step::Room(room) => self
                .disk
                .faults(|faults| faults.room = Some(u64::from(*room))),
            Step::FillBut(more) => self.disk.fill_but(usize::from(*more)),
            Step::ShortWrites(bytes) => {
                self.disk
                    .faults(|faults| faults.write_bytes_max = Some(usize::from(*bytes)));
            }
            Step::Heal => {
                self.disk.faults(|faults| *faults = Default::default());
                self.disk.mend_sectors();
            }
            Step::FailedSync => {
                self.disk.faults(|faults| faults.fail_syncs = true);
                self.append(&[10]);
                self.disk.faults(|faults| faults.fail_syncs = false);
            }
            Step::Mend => self.mend(),
            Step::FailChangeAfter(changes) => {
                self.disk
                    .faults(|faults| faults.fail_change_after = Some(*changes));
            }
            Step::PowerCutAfter(changes) => {
                self.disk
                    .faults(|faults| faults.power_cut_after = Some(*changes));
            }
            Step::BadSector(seed) => self.broken.extend(self.disk.break_sector(*seed)),
            Step::Flip(seed) => {
                self.stop();
                self.flipped.extend(self.disk.flip(*seed));
                self.start();
            }
            Step::Cut(seed) => {
                self.stop();
                self.cut = self.disk.cut_last(*seed);
                self.start();
            }
            Step::Crash(seed) => {
                self.disk.crash(*seed);
                self.start_through_power_cuts(*seed);
            }
            Step::Reopen => {
                // Closing without a crash: what was written is still in the page cache.
                self.stop();
                self.start();
            }
        }
    }

    fn config() -> JournalConfig {
        JournalConfig {
            disk_bytes_max: DISK_BYTES_MAX,
            ..config(Path::new("/j"))
        }
    }

    fn stop(&mut self) {
        self.disk.faults(|faults| *faults = Default::default());
        self.running = None;
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

    fn start(&mut self) {
        self.running = None;
        let opened = Journal::open_with(Self::config(), self.disk.mount());
        let (journal, report) = opened.expect("no content keeps a journal from opening");
        let first_on_disk = journal.stats().oldest_sequence;
        let cursors = READERS.map(|name| journal.cursor(name).unwrap());
        for (reader, cursor) in self.readers.iter_mut().zip(&cursors) {
            let committed = cursor.committed();
            let file = cursor_file(cursor.name());
            // It goes on from the commit before, or starts at the oldest record.
            let damaged = self.flipped.contains(&file);
            let is_empty = cursor.state().is_empty();
            // The commit before may itself be that of a restart.
            let restarted = damaged && (committed < first_on_disk || is_empty);
            assert!(
                damaged || reader.committed.contains(&committed),
                "{} at {committed} of {:?}",
                cursor.name(),
                reader.committed
            );
            reader.restarted |= restarted;
            if let Some(settled) = reader.committed.first().filter(|_| damaged) {
                reader.settled = reader.settled.max(*settled);
            }
            let is_own = cursor.state() == state(committed);
            let may_be_empty = committed == 0 || reader.restarted;
            assert!(
                is_own || is_empty && may_be_empty,
                "{}: {:?}",
                cursor.name(),
                cursor.state()
            );
            reader.committed = BTreeSet::from([committed]);
            reader.position = committed;
            reader.dropped = 0;
            reader.held = 0;
        }
        self.settle_third(&journal);
        let known = |name: &String| self.flipped.contains(&cursor_file(name));
        let mut replaced = report
            .corrupt_cursors
            .iter()
            .chain(&report.restored_cursors);
        assert!(replaced.all(known), "{report:?}");
        self.running = Some(Running { journal, cursors });
        self.apply_policies();
        self.audit(&report);
    }

    fn settle_third(&mut self, journal: &Journal) {
        let stats = journal.stats();
        let found = stats.cursors.iter().find(|cursor| cursor.name == THIRD);
        let found = found.map(|cursor| cursor.committed);
        let damaged = self.flipped.contains(&cursor_file(THIRD)) && found.is_some();
        assert!(
            damaged || self.third.contains(&found),
            "{found:?} of {:?}",
            self.third
        );
        if let Some(settled) = self.third.iter().flatten().next().filter(|_| damaged) {
            self.third_settled = self.third_settled.max(*settled);
        }
        self.third = BTreeSet::from([found]);
    }

    /// Reads everything and settles what was undecided.
    fn audit(&mut self, report: &RecoveryReport) {
        let found = self.read_all();
        let is_cut = self.cut.is_some();
        let damage = !self.flipped.is_empty() || !self.broken.is_empty() || is_cut;
        for append in std::mem::take(&mut self.undecided) {
            let is_there = |payload: &&Vec<u8>| found.values().any(|found| found == *payload);
            let there = append.iter().filter(is_there).count();
            assert!(
                there == 0 || there == append.len() || damage,
                "{there} of {} records",
                append.len()
            );
            if there > 0 || damage {
                self.hidden.extend(append);
            }
        }
        for (sequence, payload) in &found {
            let own = self.acknowledged.get(sequence);
            let is_known = own == Some(payload)
                || self.gone.get(sequence) == Some(payload)
                || own.is_none() && self.hidden.remove(payload);
            assert!(
                is_known,
                "record {sequence} was never accepted, or came twice"
            );
        }
        // What is on disk must be there whether or not a cursor waits for it: one that starts again may want it later,
        // and then nobody would know any more what had taken it.
        let on_disk = self.disk.segment_firsts();
        let missing: BTreeMap<u64, Vec<u8>> = self
            .acknowledged
            .iter()
            .filter(|(sequence, _)| {
                let home = self.homes.get(sequence);
                let is_on_disk = home.is_some_and(|home| on_disk.contains(home));
                (is_on_disk || self.is_needed(**sequence)) && !found.contains_key(sequence)
            })
            .map(own)
            .collect();
        self.excuse(
            &missing,
            report,
            found.keys().next_back().copied().unwrap_or(0),
        );
        self.check_end(&missing, report);
        // Numbers that are missing inside a segment make its figures inexact for as long as it is there.
        let has_holes = report.gaps.iter().any(|gap| !gap.is_between_segments);
        self.inexact = !missing.is_empty() || report.found_damage() || has_holes;
        self.ends_told
            .extend(report.lost_end.as_ref().map(|end| end.through));
        self.gone.extend(missing);
        // Of several segments that were deleted a power cut may bring back the first and not the second.
        let is_absent = |sequence: &u64| !found.contains_key(sequence);
        let absent = self.acknowledged.iter().filter(|(s, _)| is_absent(s));
        self.gone.extend(absent.map(own));
        self.acknowledged
            .retain(|sequence, _| !self.gone.contains_key(sequence));
        self.gone
            .retain(|sequence, _| !found.contains_key(sequence));
        for sequence in found.keys() {
            self.homes.insert(*sequence, home(&on_disk, *sequence));
        }
        self.acknowledged.extend(found);
        self.flipped.clear();
        self.cut = None;
        self.check_figures();
    }

    /// Whether a cursor waits for the record.
    fn is_needed(&self, sequence: u64) -> bool {
        let waits = |committed: Option<&u64>, settled: u64| {
            committed.is_some_and(|committed| settled.max(*committed) < sequence)
        };
        let third = self.third.iter().flatten().next();
        sequence > self.floor
            && !self.taken.contains(&sequence)
            && (waits(third, self.third_settled)
                || self
                    .readers
                    .iter()
                    .any(|reader| waits(reader.committed.first(), reader.settled)))
    }

    /// A cut end is told, with all that went with it, and nothing else is taken for one.
    fn check_end(&self, missing: &BTreeMap<u64, Vec<u8>>, report: &RecoveryReport) {
        let journal = &self.running.as_ref().unwrap().journal;
        let is_damaged = !self.flipped.is_empty() || !self.broken.is_empty();
        let Some(cut) = &self.cut else {
            // One that was told already is told again until something follows it.
            let told = report.lost_end.as_ref().map_or(0, |end| end.through);
            let is_known = self.ends_told.contains(&told);
            assert!(
                is_damaged || told == 0 || is_known,
                "nobody has cut this: {:?}",
                report.lost_end
            );
            return;
        };
        let Some((last, _)) = missing.last_key_value() else {
            return;
        };
        let (first, _) = missing.first_key_value().unwrap();
        let end = report.lost_end.as_ref().expect("a cut end is told");
        assert_eq!(&end.segment, cut);
        assert!(
            end.after < *first && *last <= end.through,
            "{first} to {last} are lost: {end:?}"
        );
        assert!(
            journal.last_sequence() >= *last,
            "numbers would be given out again"
        );
    }

    /// Fails unless the damage done explains what is missing.
    fn excuse(&self, missing: &BTreeMap<u64, Vec<u8>>, report: &RecoveryReport, last_found: u64) {
        let in_broken = |sequence: &u64| {
            let mut firsts = self.broken.iter().filter_map(|path| first_of(path));
            firsts.any(|first| first <= *sequence)
        };
        let cut = self.cut.as_ref().and_then(|path| first_of(path));
        let in_cut = |sequence: &u64| cut.is_some_and(|first| first <= *sequence);
        let other: Vec<_> = missing
            .keys()
            .filter(|sequence| !in_broken(sequence) && !in_cut(sequence))
            .collect();
        let flips = self
            .flipped
            .iter()
            .filter(|path| first_of(path).is_some())
            .count();
        assert!(
            other.len() <= flips * APPEND_RECORDS_MAX,
            "records {other:?} are lost, found up to {last_found}"
        );
        let reported =
            !report.quarantined.is_empty() || report.torn_bytes > 0 || report.lost_end.is_some();
        assert!(
            missing.is_empty() || reported,
            "{} records are lost in silence",
            missing.len()
        );
    }

    fn read_all(&self) -> BTreeMap<u64, Vec<u8>> {
        let journal = &self.running.as_ref().unwrap().journal;
        let mut auditor = journal.cursor("audit").unwrap();
        let mut found = BTreeMap::new();
        let mut previous = 0;
        loop {
            let records = auditor
                .read(1000)
                .expect("recovery has found what cannot be read");
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
        found
    }

    fn append(&mut self, lengths: &[u16]) {
        let payloads: Vec<Vec<u8>> = lengths.iter().map(|len| self.payload(*len)).collect();
        let journal = &self.running.as_ref().unwrap().journal;
        // A fault that strikes once is over when it has struck.
        let was_healthy = self.disk.is_healthy();
        let before = journal.stats();
        let must_fit = self.must_fit(&payloads);
        let segments = self.segments();
        match append_all(journal, &payloads) {
            Ok(range) => {
                let last = self.acknowledged.keys().next_back().copied().unwrap_or(0);
                let committed = self
                    .readers
                    .iter()
                    .flat_map(|reader| &reader.committed)
                    .max();
                assert!(
                    *range.start() > last.max(*committed.unwrap()),
                    "sequences go back"
                );
                let home = home(&self.disk.segment_firsts(), *range.start());
                for (sequence, payload) in range.zip(payloads) {
                    self.gone.remove(&sequence);
                    self.homes.insert(sequence, home);
                    self.acknowledged.insert(sequence, payload);
                }
                // A power cut may have brought back segments that were deleted; an append makes room first.
                let stats = self.running.as_ref().unwrap().journal.stats();
                assert!(stats.disk_bytes <= DISK_BYTES_MAX, "{stats:?}");
            }
            Err(JournalError::Poisoned { .. }) => self.undecided.push(payloads),
            Err(JournalError::Full { .. }) => {
                let blocks = |cursor: &vervet_journal::CursorStats| {
                    cursor.on_full == OnFull::Block && cursor.lag_records > 0
                };
                // What cannot be read at the moment is waited for.
                assert!(
                    before.cursors.iter().any(blocks) || !self.broken.is_empty(),
                    "full, though nobody holds it up: {before:?}"
                );
            }
            Err(JournalError::NoSpace { .. }) if must_fit => {
                panic!("no room on the volume, though nobody needs what takes it: {before:?}")
            }
            // Nothing of it may ever be seen.
            Err(error) => assert!(
                !was_healthy
                    || !self.disk.is_healthy()
                    || matches!(error, JournalError::TooLarge { .. }),
                "refused by a good disk: {error:?}"
            ),
        }
        self.note_drops(&segments);
        self.check_figures();
    }

    /// Whether the volume has room for an append once all that everybody has settled is gone.
    fn must_fit(&self, payloads: &[Vec<u8>]) -> bool {
        let last = self.acknowledged.keys().next_back().copied().unwrap_or(0);
        let cursors = &self.running.as_ref().unwrap().cursors;
        let is_settled = self.third == BTreeSet::from([None])
            && cursors.iter().all(|cursor| cursor.committed() >= last);
        let records: usize = payloads.iter().map(|payload| 24 + payload.len()).sum();
        let room = self.disk.room_beside_segments();
        is_settled && !self.inexact && room.is_some_and(|room| room >= 32 + records)
    }

    /// What was undecided is decided: nothing of it may ever be seen.
    fn mend(&mut self) {
        let journal = &self.running.as_ref().unwrap().journal;
        let was_healthy = self.disk.is_healthy();
        match journal.mend() {
            Ok(()) => {
                assert!(!journal.stats().poisoned);
                self.undecided.clear();
            }
            Err(error) => assert!(
                !was_healthy || !self.disk.is_healthy() || self.inexact,
                "not mended on a good disk: {error:?}"
            ),
        }
        self.check_figures();
    }

    /// The acknowledged records that the journal takes to be on disk, by the first sequence of their segments.
    fn segments(&self) -> BTreeMap<u64, Vec<u64>> {
        let [cursor, _] = &self.running.as_ref().unwrap().cursors;
        let mut segments: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for sequence in self.acknowledged.keys() {
            if cursor.is_on_disk(*sequence) {
                let records = segments.entry(self.homes[sequence]).or_default();
                records.push(*sequence);
            }
        }
        segments
    }

    /// Some of these segments may have gone: from whom were their records taken, and was it their turn?
    fn note_drops(&mut self, before: &BTreeMap<u64, Vec<u64>>) {
        let after = self.segments();
        let running = self.running.as_ref().unwrap();
        let oldest = running.journal.stats().oldest_sequence;
        let gone: Vec<_> = before
            .iter()
            .filter(|(first, _)| !after.contains_key(first))
            .collect();
        let is_held = |(first, records): &(&u64, &Vec<u64>)| {
            let holds = |(reader, cursor): (&Reader, &Cursor)| {
                Some(&cursor.committed()) < records.last() && reader.held >= **first
            };
            self.readers.iter().zip(&running.cursors).any(holds)
        };
        if gone.iter().any(is_held) && !self.inexact {
            let mut kept = before.iter().filter(|(first, _)| after.contains_key(first));
            assert!(
                kept.all(|segment| is_held(&segment)),
                "what is under way was taken though there was something else: {gone:?} of {before:?}"
            );
        }
        let gone: Vec<u64> = gone
            .into_iter()
            .flat_map(|(_, records)| records)
            .copied()
            .collect();
        for (reader, cursor) in self.readers.iter_mut().zip(&running.cursors) {
            let lost = gone
                .iter()
                .filter(|sequence| **sequence > cursor.committed());
            let lost: Vec<u64> = lost.copied().collect();
            assert!(
                lost.is_empty() || reader.drops || self.inexact,
                "records {lost:?} taken from {}",
                cursor.name()
            );
            reader.dropped += lost.len() as u64;
            if !lost.is_empty() {
                self.floor = self.floor.max(oldest - 1);
                self.taken.extend(lost);
            }
        }
        let stats = running.journal.stats();
        match stats.cursors.iter().find(|cursor| cursor.name == THIRD) {
            Some(third) => {
                let held = self.acknowledged.range(third.committed + 1..);
                let lost = held.take_while(|(sequence, _)| **sequence < oldest).count();
                assert!(
                    lost == 0 || self.inexact,
                    "{lost} records taken from the third cursor"
                );
            }
            // Its creation has failed, but its file may be there at the next start.
            None if self.third.len() > 1 => self.floor = self.floor.max(oldest - 1),
            None => {}
        }
    }

    /// The journal's own figures against the model's.
    fn check_figures(&self) {
        let running = self.running.as_ref().unwrap();
        let stats = running.journal.stats();
        assert!(
            stats.disk_bytes <= self.disk.segment_bytes(),
            "bytes are counted that are not there"
        );
        if self.inexact || !self.broken.is_empty() {
            return;
        }
        for (reader, cursor) in self.readers.iter().zip(&running.cursors) {
            let line = stats
                .cursors
                .iter()
                .find(|line| line.name == cursor.name())
                .unwrap();
            assert_eq!(
                line.dropped_records,
                reader.dropped,
                "dropped from {}",
                cursor.name()
            );
            let behind = self.acknowledged.range(cursor.committed() + 1..);
            let behind = behind.filter(|(sequence, _)| cursor.is_on_disk(**sequence));
            let lag = behind.count() as u64;
            assert_eq!(line.lag_records, lag, "lag of {}", cursor.name());
        }
    }

    /// Unique bytes of at least 8.
    fn payload(&mut self, len: u16) -> Vec<u8> {
        self.payloads += 1;
        let mut payload = self.payloads.to_le_bytes().to_vec();
        payload.resize(payload.len() + usize::from(len), 0x5a);
        payload
    }

    fn read(&mut self, which: usize, bytes_max: u16) {
        let running = self.running.as_mut().unwrap();
        let reader = &mut self.readers[which];
        let Ok(records) = running.cursors[which].read(usize::from(bytes_max)) else {
            assert!(
                !self.broken.is_empty() || self.disk.has_failed(),
                "reading failed on a good disk"
            );
            return;
        };
        // One record that was read ahead of the drop of its segment may still come.
        let ahead = records.first().map(|record| record.sequence);
        let cursor = &running.cursors[which];
        let on_disk = |sequence: u64| cursor.is_on_disk(sequence) || Some(sequence) == ahead;
        let behind = self.acknowledged.range(reader.position + 1..);
        let mut expected = behind.filter(|(sequence, _)| on_disk(**sequence));
        for record in &records {
            let (sequence, payload) = expected
                .next()
                .expect("a record that was never acknowledged");
            assert_eq!(record.sequence, *sequence, "out of order");
            assert!(record.payload == *payload, "record {sequence} is another");
        }
        assert!(
            !records.is_empty() || expected.next().is_none() || !self.broken.is_empty(),
            "reading stopped early"
        );
        reader.position = records
            .last()
            .map_or(reader.position, |record| record.sequence);
    }

    fn commit(&mut self, which: usize, share: u8) {
        let running = self.running.as_mut().unwrap();
        let (cursor, reader) = (&mut running.cursors[which], &mut self.readers[which]);
        let committed = cursor.committed();
        let through =
            committed + reader.position.saturating_sub(committed) * u64::from(share) / 255;
        if through == 0 {
            return;
        }
        match cursor.commit(through, &state(through)) {
            Ok(()) => {
                reader.committed = BTreeSet::from([through]);
                reader.restarted = false;
            }
            Err(_) => drop(reader.committed.insert(through)),
        }
        self.check_figures();
    }

    fn hold(&mut self, which: usize, share: u8) {
        let running = self.running.as_ref().unwrap();
        let (cursor, reader) = (&running.cursors[which], &mut self.readers[which]);
        let last = running.journal.last_sequence();
        let behind = last.saturating_sub(cursor.committed());
        reader.held = cursor.committed() + behind * u64::from(share) / 255;
        cursor.hold(reader.held);
    }

    fn apply_policies(&mut self) {
        let running = self.running.as_mut().unwrap();
        for (reader, cursor) in self.readers.iter().zip(&mut running.cursors) {
            cursor.set_policy(if reader.drops {
                OnFull::DropOldest
            } else {
                OnFull::Block
            });
        }
    }

    fn toggle_third(&mut self) {
        let journal = &self.running.as_ref().unwrap().journal;
        let stats = journal.stats();
        let is_there = stats.cursors.iter().any(|cursor| cursor.name == THIRD);
        let (outcome, after) = match is_there {
            true => (journal.remove_cursor(THIRD), None),
            false => (
                journal.cursor(THIRD).map(drop),
                Some(stats.oldest_sequence - 1),
            ),
        };
        match outcome {
            Ok(()) => self.third = BTreeSet::from([after]),
            Err(_) => drop(self.third.insert(after)),
        }
    }
}

fn own((sequence, payload): (&u64, &Vec<u8>)) -> (u64, Vec<u8>) {
    (*sequence, payload.clone())
}

/// The segment that a record which is on disk is in.
fn home(on_disk: &BTreeSet<u64>, sequence: u64) -> u64 {
    let first = on_disk.range(..=sequence).next_back();
    *first.expect("a record is in a segment")
}

fn state(committed: u64) -> Vec<u8> {
    format!("state of {committed}").into_bytes()
}

fn cursor_file(name: &str) -> PathBuf {
    Path::new("/j/cursors").join(format!("{name}.cur"))
}

/// First sequence of a segment file.
fn first_of(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".seg")?
        .parse()
        .ok()
}
