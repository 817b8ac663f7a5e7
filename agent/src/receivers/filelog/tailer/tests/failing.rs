//! Files that cannot be read, for a while or at all.

use rustix::io::Errno;

use super::*;
use crate::receivers::filelog::descriptors::Descriptors;

impl Hand {
    /// The next file's turn fails.
    fn fail(&mut self, errno: Errno) -> FileId {
        let id = self.tailer.unread.pop().expect("a file is to be read");
        self.tailer.failed_to_read(id, &errno.into());
        id
    }

    fn file(&self, id: FileId) -> &TailedFile {
        &self.tailer.files[&id]
    }

    fn look_at_all(&mut self) {
        let now = Instant::now();
        (self.tailer.due.watched_look, self.tailer.due.unwatched_look) = (now, now);
        self.look();
        self.tailer.look_at_open();
        self.tailer.look_at_closed();
    }

    /// As if all had happened so long ago.
    fn pass(&mut self, ago: Duration) {
        for file in self.tailer.files.values_mut() {
            file.grown_at -= ago;
            file.gone_at = file.gone_at.map(|at| at - ago);
        }
    }

    /// The pause before the next attempt is over.
    fn end_pauses(&mut self) {
        for file in self.tailer.files.values_mut() {
            if let Some(failing) = &mut file.failing {
                failing.retry_at = Instant::now();
            }
        }
    }

    pub(super) fn metric(&self, line: &str) -> bool {
        let text = self.tailer.context.metrics.encode_text();
        text.lines().any(|known| known == line)
    }

    /// Whether a counter is at zero, whatever its labels.
    pub(super) fn is_zero(&self, counter: &str) -> bool {
        let text = self.tailer.context.metrics.encode_text();
        let mut values = text.lines().filter(|line| line.starts_with(counter));
        values.all(|line| line.ends_with(" 0"))
    }

    fn open_errors(&self) -> u64 {
        self.tailer.counts.open_errors.get()
    }
}

#[test]
fn a_file_without_a_descriptor_for_it_stays_behind_and_is_read_later() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let mut hand = Hand::new(&path, Vec::new());
    write(&path, 0..30);
    hand.look();
    for _attempt in 0..3 {
        let id = hand.fail(Errno::MFILE);
        hand.look_at_all();
        assert_eq!(hand.read(), [""; 0], "not before the pause is over");
        assert_eq!(hand.file(id).behind_bytes(), hand.file(id).size);
        hand.end_pauses();
        hand.look_at_all();
    }
    assert_eq!(hand.open_errors(), 1, "said once");
    assert_eq!(hand.read(), lines(0..30));
    assert!(hand.tailer.failed.is_empty());
}

#[test]
fn pauses_between_attempts_double_up_to_half_a_minute() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    write(&path, 0..1);
    let mut hand = Hand::new(&path, Vec::new());
    hand.look();
    let id = hand.fail(Errno::ACCESS);
    let mut pauses = Vec::new();
    for _attempt in 0..7 {
        let file = hand.tailer.files.get_mut(&id).expect("followed");
        let now = Instant::now();
        file.failed(now);
        let retry_at = file.failing.map(|failing| failing.retry_at);
        pauses.push(retry_at.map(|at| at.duration_since(now).as_secs()));
    }
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30].map(Some));
}

#[test]
fn a_deleted_file_on_a_failing_disk_keeps_its_descriptor_and_is_read_later() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let mut hand = Hand::new(&path, Vec::new());
    write(&path, 0..10);
    hand.look();
    assert_eq!(hand.read(), lines(0..10));
    write(&path, 10..20);
    fs::remove_file(&path).expect("removed");
    hand.look();
    hand.tailer.look_at_open();
    let id = hand.fail(Errno::IO);
    assert!(hand.file(id).has_descriptor());
    hand.pass(Duration::from_secs(60));
    hand.look_at_all();
    hand.end_pauses();
    hand.look_at_all();
    assert_eq!(hand.read(), lines(10..20));
    hand.pass(Duration::from_secs(60));
    hand.look_at_all();
    assert!(hand.tailer.files.is_empty(), "it is over");
    assert_eq!((hand.tailer.first_looks, hand.tailer.open.len()), (0, 0));
}

#[test]
fn a_compressed_file_on_a_failing_disk_is_read_on_where_it_was_left() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, other) = (folder.path().join("app.log.gz"), folder.path().join("text"));
    write(&other, 0..5_000);
    write_gzip(&other, &path);
    let mut hand = Hand::new(&path, Vec::new());
    hand.look();
    let id = hand.tailer.unread.pop().expect("found");
    hand.tailer.turn(id, Instant::now());
    let mut read = hand.take();
    fs::remove_file(&path).expect("removed");
    hand.fail(Errno::IO);
    assert_eq!((hand.tailer.first_looks, hand.tailer.open.len()), (1, 0));
    hand.end_pauses();
    hand.tailer.look_at(id);
    read.extend(hand.read());
    assert_eq!(read, lines(0..5_000));
    assert_eq!((hand.tailer.first_looks, hand.tailer.open.len()), (0, 0));
}

#[test]
fn what_could_never_be_read_of_a_deleted_file_is_counted_when_it_is_given_up() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let mut hand = Hand::new(&path, Vec::new());
    write(&path, 0..10);
    let bytes = fs::metadata(&path).expect("there").len();
    hand.look();
    hand.fail(Errno::IO);
    fs::remove_file(&path).expect("removed");
    hand.look_at_all();
    hand.pass(Duration::from_secs(3_600));
    hand.look_at_all();
    assert!(hand.tailer.files.is_empty());
    let labels = "receiver=\"files\",reason=\"unreadable\"";
    assert!(hand.metric(&format!(
        "vervet_agent_filelog_lost_bytes_total{{{labels}}} {bytes}"
    )));
}

#[test]
fn a_damaged_compressed_file_is_told_once_and_left_alone_until_it_changes() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log.zst");
    let text = lines(0..2_000).join("\n") + "\n";
    let whole = zstd::encode_all(text.as_bytes(), 1).expect("compressed");
    let mut damaged = whole.clone();
    let half = damaged.len() / 2;
    damaged[half..half + 64].fill(0xff);
    fs::write(&path, &damaged).expect("written");
    let mut hand = Hand::new(&path, Vec::new());
    hand.look();
    let before = hand.read();
    assert_eq!(hand.open_errors(), 1);
    for _round in 0..3 {
        hand.end_pauses();
        hand.look_at_all();
        assert!(hand.tailer.unread.queued.is_empty(), "nothing has changed");
    }
    damaged.push(0);
    fs::write(&path, &damaged).expect("written");
    hand.look_at_all();
    assert_eq!(hand.read(), [""; 0]);
    assert_eq!(hand.open_errors(), 1, "still the same");
    fs::write(&path, &whole).expect("written");
    hand.look_at_all();
    let read: Vec<String> = before.into_iter().chain(hand.read()).collect();
    assert_eq!(read, lines(0..2_000));
    assert!(hand.tailer.failed.is_empty());
}

#[test]
fn receivers_share_the_descriptors_of_the_process() {
    const MAX: usize = 40;
    let folder = tempfile::tempdir().expect("folder");
    let all = Descriptors::of(MAX);
    let mut hands: Vec<Hand> = (0..3)
        .map(|receiver| {
            for file in 0..60 {
                write(&folder.path().join(format!("{receiver}-{file}.log")), 0..5);
            }
            let mut hand = Hand::new(&folder.path().join(format!("{receiver}-*.log")), Vec::new());
            hand.tailer.share = all.join();
            hand
        })
        .collect();
    let mut read = [0; 3];
    for _round in 0..100 {
        for (hand, read) in hands.iter_mut().zip(&mut read) {
            hand.look();
            hand.tailer.look_at_open();
            hand.tailer.look_at_closed();
            hand.tailer.read();
            *read += hand.take().len();
        }
        let held = hands.iter().map(|hand| hand.tailer.held_descriptors());
        let held: usize = held.sum();
        assert!(held <= MAX, "{held}");
    }
    assert_eq!(read, [300; 3]);
}
