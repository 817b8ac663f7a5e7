//! More files than descriptors.

use super::*;
use crate::receivers::filelog::descriptors::Descriptors;

const DESCRIPTORS: usize = 8;

impl Hand {
    /// With so few descriptors that a receiver has no fewer.
    fn with_few_descriptors(include: &Path) -> Self {
        let mut metrics = AgentMetrics::default();
        metrics.filelog.descriptors = Descriptors::of(DESCRIPTORS);
        Self::with_metrics(spec(include), Vec::new(), usize::MAX, metrics)
    }
}

#[test]
fn files_renamed_out_of_the_globs_do_not_keep_all_descriptors() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: String| folder.path().join(name);
    let mut hand = Hand::with_few_descriptors(&folder.path().join("*.log"));
    for file in 0..DESCRIPTORS {
        write(&path(format!("{file}.log")), 0..10);
    }
    assert_eq!(hand.look_and_read().len(), 10 * DESCRIPTORS);
    assert_eq!(hand.tailer.open.len(), DESCRIPTORS);
    for file in 0..DESCRIPTORS {
        let (from, to) = (format!("{file}.log"), format!("{file}.log.1"));
        fs::rename(path(from), path(to)).expect("renamed");
    }
    // As the tailer does it by itself once the kernel has told.
    hand.look();
    write(&path("new.log".to_owned()), 10..20);
    hand.look();
    hand.tailer.read();
    assert!(!hand.tailer.is_crowded, "all descriptors are kept");
    assert_eq!(hand.take(), lines(10..20));
    // What is written to a renamed file that was closed is read all the same.
    for file in 0..DESCRIPTORS {
        write(&path(format!("{file}.log.1")), 20 + file..21 + file);
    }
    let mut read = hand.look_and_read();
    read.sort();
    assert_eq!(read, lines(20..20 + DESCRIPTORS));
}

#[test]
fn the_last_line_of_a_file_that_was_closed_before_its_rotation_is_read() {
    for to in ["app.log.1", "away"] {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("app.log");
        let mut hand = Hand::with_few_descriptors(&folder.path().join("*.log*"));
        fs::write(&path, "whole\nwithout line feed").expect("written");
        assert_eq!(hand.look_and_read(), ["whole"]);
        // Others need its descriptor.
        for file in 0..DESCRIPTORS {
            write(&folder.path().join(format!("{file}.log")), 0..1);
        }
        assert_eq!(hand.look_and_read().len(), DESCRIPTORS);
        let file = |hand: &Hand| {
            let files = hand.tailer.files.values();
            let mut files = files.filter(|file| file.first_name.ends_with("/app.log"));
            let file = files.next().expect("followed");
            (file.id, file.open.is_some())
        };
        let (id, is_open) = file(&hand);
        assert!(!is_open, "it kept its descriptor");
        let now = folder.path().join(to);
        fs::rename(&path, &now).expect("renamed");
        // As the kernel tells it where no glob names the new name.
        hand.tailer.moved(&path, now);
        assert_eq!(hand.look_and_read(), [""; 0]);
        assert_eq!(file(&hand), (id, true));
        hand.tailer.files.values_mut().for_each(|file| {
            // As if that had been long ago.
            file.grown_at -= Duration::from_secs(30);
            file.gone_at = file.gone_at.map(|at| at - Duration::from_secs(30));
        });
        hand.tailer.look_at_open();
        assert_eq!(hand.take(), ["without line feed"], "{to}");
    }
}
