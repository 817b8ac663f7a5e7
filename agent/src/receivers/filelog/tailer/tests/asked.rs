//! What is remembered and what the globs ask for: files that they stop naming, files that come while nobody looks.

use super::*;
use crate::pipeline::SignalSet;
use crate::receivers::filelog::StartAt;
use crate::receivers::filelog::change::Change;

impl Hand {
    /// The agent is started again with another configuration, and what was stored.
    fn again(self, spec: FilelogSpec) -> Self {
        Self::with_spec(spec, self.positions, usize::MAX)
    }

    /// The agent gets another configuration while it runs.
    fn change(&mut self, spec: FilelogSpec) {
        self.tailer.changes.put(Change {
            config: FilelogConfig::try_from(spec).expect("valid"),
            chains: Chains::default(),
            pods: PodDirectory::none(),
            resource: Vec::new(),
            signals: SignalSet::ALL,
        });
        self.tailer.take_change();
    }
}

/// A closed file is renamed, as it seems: in truth it was deleted, and another one has got its inode.
#[test]
fn a_short_file_that_was_closed_is_not_taken_for_another_with_its_inode() {
    let folder = tempfile::tempdir().expect("folder");
    let (first, second) = (
        folder.path().join("job-a.log"),
        folder.path().join("job-b.log"),
    );
    fs::write(&first, "start\n").expect("written");
    let mut hand = Hand::new(&folder.path().join("*.log"), Vec::new());
    assert_eq!(hand.look_and_read(), ["start"]);
    hand.tailer.open.clear();
    hand.tailer.files.values_mut().for_each(|file| file.close());
    fs::rename(&first, &second).expect("renamed");
    fs::write(&second, "start\nwork of b\n").expect("written");
    assert_eq!(hand.look_and_read(), ["start", "work of b"]);
    let names: Vec<_> = hand
        .tailer
        .files
        .values()
        .map(|file| &*file.first_name)
        .collect();
    assert_eq!(names, [second.to_str().expect("text")]);
}

#[test]
fn start_at_end_reads_files_that_came_while_the_agent_was_down() {
    for was_there in [true, false] {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("app.log");
        let at_end = FilelogSpec {
            start_at: StartAt::End,
            ..spec(&folder.path().join("*.log"))
        };
        if was_there {
            write(&path, 0..10);
        }
        let mut hand = Hand::with_spec(at_end.clone(), Vec::new(), usize::MAX);
        assert_eq!(hand.look_and_read(), [""; 0], "only what comes");
        if was_there {
            write(&path, 10..11);
            fs::rename(&path, folder.path().join("app.log.1")).expect("renamed");
        }
        write(&path, 11..12);
        let mut hand = hand.again(at_end);
        let mut seen = hand.look_and_read();
        seen.sort();
        let first = if was_there { 10 } else { 11 };
        assert_eq!(seen, lines(first..12));
    }
}

#[test]
fn start_at_end_counts_for_what_other_globs_find_at_a_reload() {
    let folder = tempfile::tempdir().expect("folder");
    let at_end = |name: &str| FilelogSpec {
        start_at: StartAt::End,
        ..spec(&folder.path().join(name))
    };
    let mut hand = Hand::with_spec(at_end("app.log"), Vec::new(), usize::MAX);
    hand.look();
    // One came since, and counts as found; the other one is there and new to the globs.
    write(&folder.path().join("app.log"), 0..10);
    write(&folder.path().join("other.log"), 10..20);
    hand.change(at_end("*.log"));
    assert_eq!(hand.look_and_read(), lines(0..10));
    write(&folder.path().join("other.log"), 20..30);
    assert_eq!(hand.look_and_read(), lines(20..30));
}
