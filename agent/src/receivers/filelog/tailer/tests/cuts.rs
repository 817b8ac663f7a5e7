//! Files that are copied and cut before all of them was read, all of whose generations begin the same, and an agent
//! that is killed meanwhile.

use super::*;

/// Longer than what tells one file from another.
const HEADER_LINES: usize = 60;

/// How a copy is kept.
type Keep = fn(&Path, &Path);

fn plain(from: &Path, to: &Path) {
    fs::copy(from, to).expect("copied");
}

fn gzip(from: &Path, to: &Path) {
    write_gzip(from, &to.with_added_extension("gz"));
}

/// A log of which each generation begins with the same lines.
struct Log {
    folder: tempfile::TempDir,
    include: &'static str,
    keep: Keep,
    generation: usize,
    positions: Vec<FilePosition>,
    seen: Vec<String>,
}

impl Log {
    fn new(include: &'static str, keep: Keep) -> Self {
        let log = Self {
            folder: tempfile::tempdir().expect("folder"),
            include,
            keep,
            generation: 0,
            positions: Vec::new(),
            seen: Vec::new(),
        };
        log.begin();
        log
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("app.log")
    }

    fn header() -> Vec<String> {
        let line = |number| format!("the line {number} that all generations begin with");
        (0..HEADER_LINES).map(line).collect()
    }

    fn begin(&self) {
        fs::write(self.path(), Self::header().join("\n") + "\n").expect("written");
    }

    /// Lines of this generation that nobody has written yet, a hundred for each part.
    fn write(&self, part: usize) {
        let from = self.generation * 1_000 + part * 100;
        write(&self.path(), from..from + 100);
    }

    /// As `copytruncate` does it; what comes after the copy is lost with the cut, unless it was read.
    fn cut(&mut self) {
        self.copy();
        self.cut_copied();
    }

    fn copy(&self) {
        let copy = format!("app.log.{}", self.generation);
        (self.keep)(&self.path(), &self.folder.path().join(copy));
    }

    fn cut_copied(&mut self) {
        self.generation += 1;
        self.begin();
    }

    /// More lines, and a cut after which nothing is written.
    fn leave_a_copy(&mut self) {
        self.write(0);
        self.cut();
        fs::write(self.path(), "").expect("emptied");
    }

    fn start(&self) -> Hand {
        Hand::new(
            &self.folder.path().join(self.include),
            self.positions.clone(),
        )
    }

    /// Everything there is, and what was made durable of it.
    fn read(&mut self, hand: &mut Hand) {
        hand.look();
        hand.tailer.look_at_open();
        hand.tailer.due.unwatched_look = Instant::now();
        hand.tailer.look_at_closed();
        let read = hand.read();
        // What was found by a cut only now.
        hand.look();
        let more = hand.read();
        self.seen.extend(read.into_iter().chain(more));
        self.positions.append(&mut hand.positions);
    }

    /// What a killed agent and its successors have read must be so many headers, and these other lines.
    fn check(&self, headers: usize, expected: impl IntoIterator<Item = usize>, case: &str) {
        let is_header = |line: &&String| line.starts_with("the line");
        let found = self.seen.iter().filter(is_header).count();
        let others = self.seen.iter().filter(|line| !is_header(line));
        let number = |line: &String| line.split(' ').nth(1)?.parse().ok();
        let numbers: Vec<usize> = others.map(|line| number(line).expect(line)).collect();
        let expected: Vec<usize> = expected.into_iter().collect();
        let times = |number| numbers.iter().filter(|found| **found == number).count();
        let with = |wrong: &dyn Fn(usize) -> bool| -> Vec<usize> {
            let wrong = expected.iter().filter(|number| wrong(times(**number)));
            wrong.copied().collect()
        };
        let (lost, doubled) = (with(&|times| times == 0), with(&|times| times > 1));
        assert!(
            lost.is_empty() && doubled.is_empty() && numbers.len() == expected.len(),
            "{case}: lost {lost:?}, doubled {doubled:?} of {}",
            numbers.len()
        );
        assert_eq!(found, headers * HEADER_LINES, "{case}: lines of headers");
    }
}

fn part(generation: usize, part: usize) -> std::ops::Range<usize> {
    let from = generation * 1_000 + part * 100;
    from..from + 100
}

/// Every combination of globs that name the copies or not, and of what copies are.
fn each(check: impl Fn(Log, &str)) {
    for include in ["app.log", "app.log*"] {
        for (what, keep) in [("plain", plain as Keep), ("gzip", gzip)] {
            check(Log::new(include, keep), &format!("{include}, {what}"));
        }
    }
}

#[test]
fn a_generation_of_which_only_the_beginning_was_read_is_not_looked_for_in_the_others() {
    each(|mut log, case| {
        let mut hand = log.start();
        for _generation in 0..3 {
            log.write(0);
            log.read(&mut hand);
            log.cut();
            log.read(&mut hand);
        }
        // Of the fourth only what all begin with has been read when the agent is killed.
        drop(hand);
        log.leave_a_copy();
        let mut hand = log.start();
        log.read(&mut hand);
        drop(hand);
        // Once more: all is known by its position now.
        log.begin();
        log.write(0);
        let mut hand = log.start();
        log.read(&mut hand);
        let expected: Vec<usize> = (0..5).flat_map(|generation| part(generation, 0)).collect();
        log.check(5, expected, case);
    });
}

#[test]
fn unread_lines_at_the_cut_are_read_once_whether_the_kill_comes_before_or_after_it_is_known() {
    for is_noticed in [false, true] {
        for is_durable in [false, true] {
            each(|mut log, case| {
                let case = format!("{case}, noticed {is_noticed}, durable {is_durable}");
                let mut hand = log.start();
                for _generation in 0..2 {
                    log.write(0);
                    log.read(&mut hand);
                    log.write(1);
                    log.cut();
                    log.read(&mut hand);
                }
                log.write(0);
                log.read(&mut hand);
                log.write(1);
                log.cut();
                if is_noticed {
                    let before = (log.positions.len(), log.seen.len());
                    log.read(&mut hand);
                    if !is_durable {
                        // It was read, but the buffer had not taken it.
                        log.positions.truncate(before.0);
                        log.seen.truncate(before.1);
                    }
                }
                drop(hand);
                let mut hand = log.start();
                log.read(&mut hand);
                log.write(0);
                log.read(&mut hand);
                drop(hand);
                let mut hand = log.start();
                log.read(&mut hand);
                let expected: Vec<usize> = (0..3)
                    .flat_map(|generation| part(generation, 0).chain(part(generation, 1)))
                    .chain(part(3, 0))
                    .collect();
                log.check(4, expected, &case);
            });
        }
    }
}

#[test]
fn a_file_that_has_grown_beyond_its_place_since_the_cut_is_told_from_what_it_was() {
    each(|mut log, case| {
        let mut hand = log.start();
        log.write(0);
        log.read(&mut hand);
        log.write(1);
        drop(hand);
        // Longer than it was, and it begins the same.
        log.cut();
        (0..4).for_each(|part| log.write(part));
        let mut hand = log.start();
        log.read(&mut hand);
        let expected: Vec<usize> = (part(0, 0).chain(part(0, 1)))
            .chain((0..4).flat_map(|number| part(1, number)))
            .collect();
        log.check(2, expected, case);
    });
}

#[test]
fn a_copy_that_lacks_what_was_read_behind_it_is_known_after_a_restart() {
    for include in ["app.log", "app.log*"] {
        let mut log = Log::new(include, plain);
        let mut hand = log.start();
        log.write(0);
        log.read(&mut hand);
        // Written between the copy and the cut, and read in time.
        log.copy();
        let between = part(0, 1).start..part(0, 1).start + 20;
        write(&log.path(), between.clone());
        log.read(&mut hand);
        log.cut_copied();
        log.read(&mut hand);
        drop(hand);
        // Of the next one only the beginning was read, and its rest is in a copy that begins as the other does.
        log.leave_a_copy();
        let mut hand = log.start();
        log.read(&mut hand);
        let expected = part(0, 0).chain(between).chain(part(1, 0));
        log.check(2, expected, include);
    }
}

#[test]
fn half_a_character_at_the_end_of_a_file_is_no_cut() {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for is_closed in [false, true] {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("app.log");
        let text = wide("\u{feff}one of them\ntwo\nthree\n");
        let (before, after) = text.split_at(2 * "_one of them\ntw".len() + 1);
        fs::write(&path, before).expect("written");
        let mut hand = Hand::new(&path, Vec::new());
        hand.look();
        assert_eq!(hand.read(), ["one of them"]);
        let id = hand.tailer.open[0];
        let file = hand.tailer.files.get_mut(&id).expect("followed");
        hand.tailer.sink.take_rest(file, Instant::now());
        assert_eq!(hand.take(), ["tw\u{fffd}"]);
        if is_closed {
            let file = hand.tailer.files.get_mut(&id).expect("followed");
            file.close();
            hand.tailer.open.clear();
        }
        let mut options = OpenOptions::new();
        let mut file = options.append(true).open(&path).expect("opened");
        file.write_all(after).expect("written");
        hand.tailer.look_at(id);
        // A file that is opened again is read from the beginning of the character on.
        let rest = match is_closed {
            true => vec!["o", "three"],
            false => vec!["three"],
        };
        assert_eq!(hand.read(), rest);
        assert_eq!(hand.tailer.counts.truncations.get(), 0);
    }
}
