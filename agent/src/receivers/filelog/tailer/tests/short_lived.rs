//! Files that live so shortly that they are renamed or deleted between two steps of the tailer.

use super::*;

impl Hand {
    fn only_id(&self) -> FileId {
        let ids: Vec<FileId> = self.tailer.files.keys().copied().collect();
        assert_eq!(ids.len(), 1, "one file is followed");
        ids[0]
    }

    /// Takes in what the kernel has told by now.
    fn find(&mut self) {
        self.tailer.find();
    }
}

fn rename(folder: &Path, from: &str, to: &str) {
    fs::rename(folder.join(from), folder.join(to)).expect("renamed");
}

#[test]
fn a_file_found_empty_that_is_written_and_deleted_before_the_next_look_is_read() {
    for names in [&["app.log"][..], &["app.log", "app.log.1", "app.log.2"][..]] {
        let folder = tempfile::tempdir().expect("folder");
        let mut hand = Hand::new(&folder.path().join("*.log*"), Vec::new());
        write(&folder.path().join("app.log"), 0..0);
        hand.look();
        write(&folder.path().join("app.log"), 0..3);
        names
            .windows(2)
            .for_each(|pair| rename(folder.path(), pair[0], pair[1]));
        fs::remove_file(folder.path().join(names[names.len() - 1])).expect("removed");
        assert_eq!(hand.look_and_read(), lines(0..3));
    }
}

#[test]
fn few_empty_files_keep_their_descriptors() {
    let folder = tempfile::tempdir().expect("folder");
    let mut hand = Hand::new(&folder.path().join("*.log"), Vec::new());
    let path = |file: usize| folder.path().join(format!("{file}.log"));
    for file in 0..100 {
        write(&path(file), 0..0);
        hand.look();
    }
    assert!(hand.tailer.first_looks < 50, "{}", hand.tailer.first_looks);
    for file in 0..100 {
        write(&path(file), file..file + 1);
    }
    let mut read = hand.look_and_read();
    read.sort();
    let mut expected = lines(0..100);
    expected.sort();
    assert_eq!(read, expected);
    assert_eq!(hand.tailer.first_looks, 0);
}

#[test]
fn a_file_renamed_between_its_discovery_and_its_first_look_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let mut hand = Hand::new(&folder.path().join("*.log*"), Vec::new());
    write(&folder.path().join("app.log"), 0..3);
    let changes = hand.tailer.discovery.sweep();
    rename(folder.path(), "app.log", "app.log.1");
    hand.tailer.take_in(changes, Instant::now());
    assert_eq!(hand.read(), [""; 0]);
    // Its new name is found, and it is held from then on.
    hand.look();
    fs::remove_file(folder.path().join("app.log.1")).expect("removed");
    assert_eq!(hand.look_and_read(), lines(0..3));
}

#[test]
fn a_file_renamed_between_its_first_look_and_its_turn_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let mut hand = Hand::new(&folder.path().join("*.log*"), Vec::new());
    write(&folder.path().join("app.log"), 0..3);
    hand.look();
    // Others needed its descriptor.
    let id = hand.only_id();
    hand.tailer.forget_first_look(id);
    rename(folder.path(), "app.log", "app.log.1");
    assert_eq!(hand.read(), lines(0..3));
}

#[test]
fn files_that_come_and_go_between_two_looks_are_counted() {
    let folder = tempfile::tempdir().expect("folder");
    let mut hand = Hand::new(&folder.path().join("*.log*"), Vec::new());
    hand.find();
    let metric =
        |files| format!("vervet_agent_filelog_missed_files_total{{receiver=\"files\"}} {files}");
    for name in ["app.log", "app.log.1", "other.txt"] {
        write(&folder.path().join(name), 0..3);
    }
    rename(folder.path(), "app.log", "app.log.2");
    fs::remove_file(folder.path().join("app.log.2")).expect("removed");
    fs::remove_file(folder.path().join("other.txt")).expect("removed");
    hand.find();
    assert!(hand.metric(&metric(1)), "the one that was deleted");
    // What was found is no more missed, however it goes.
    assert_eq!(hand.look_and_read(), lines(0..3));
    fs::remove_file(folder.path().join("app.log.1")).expect("removed");
    hand.find();
    assert!(hand.metric(&metric(1)));
    // It was found, and its name led nowhere when it was to be opened.
    write(&folder.path().join("app.log"), 0..3);
    let changes = hand.tailer.discovery.sweep();
    fs::remove_file(folder.path().join("app.log")).expect("removed");
    hand.tailer.take_in(changes, Instant::now());
    hand.find();
    assert!(hand.metric(&metric(2)));
}

#[test]
fn what_was_not_read_of_a_file_that_was_closed_when_it_was_deleted_is_counted() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let mut hand = Hand::new(&folder.path().join("*.log"), Vec::new());
    write(&path, 0..3);
    let bytes = fs::metadata(&path).expect("there").len();
    hand.look();
    let id = hand.only_id();
    hand.tailer.forget_first_look(id);
    fs::remove_file(&path).expect("removed");
    assert_eq!(hand.look_and_read(), [""; 0]);
    assert!(hand.tailer.files.is_empty());
    let labels = "receiver=\"files\",reason=\"deleted_unread\"";
    assert!(hand.metric(&format!(
        "vervet_agent_filelog_lost_bytes_total{{{labels}}} {bytes}"
    )));
}
