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

fn excluding(include: &Path, glob: &str) -> FilelogSpec {
    FilelogSpec {
        exclude: vec![glob.to_owned()],
        ..spec(include)
    }
}

#[test]
fn a_file_excluded_at_a_restart_is_read_no_more() {
    let folder = tempfile::tempdir().expect("folder");
    let (all, debug) = (folder.path().join("*"), folder.path().join("debug.log"));
    // It is left out by an exclusion, or because the globs name others.
    for other in [
        excluding(&all, "**/debug*"),
        spec(&folder.path().join("app*")),
    ] {
        write(&debug, 0..10);
        let mut hand = Hand::new(&all, Vec::new());
        assert_eq!(hand.look_and_read(), lines(0..10));
        write(&debug, 10..11);
        let mut hand = hand.again(other.clone());
        assert_eq!(hand.look_and_read(), [""; 0]);
        write(&debug, 11..20);
        assert_eq!(hand.look_and_read(), [""; 0]);
        fs::rename(&debug, folder.path().join("debug.log.1")).expect("renamed");
        let mut hand = hand.again(other);
        assert_eq!(hand.look_and_read(), [""; 0]);
        fs::remove_file(folder.path().join("debug.log.1")).expect("removed");
    }
}

#[test]
fn a_file_excluded_by_a_reload_is_read_no_more() {
    let folder = tempfile::tempdir().expect("folder");
    let (all, debug) = (folder.path().join("*"), folder.path().join("debug.log"));
    fs::write(&debug, "whole\npart").expect("written");
    let mut hand = Hand::new(&all, Vec::new());
    assert_eq!(hand.look_and_read(), ["whole"]);
    hand.change(excluding(&all, "**/debug*"));
    assert_eq!(hand.look_and_read(), [""; 0]);
    write(&debug, 1..9);
    assert_eq!(hand.look_and_read(), [""; 0]);
    assert!(hand.tailer.files.is_empty());
}

#[test]
fn the_rest_of_a_file_rotated_out_of_the_globs_is_read_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, old) = (folder.path().join("app.log"), folder.path().join("old"));
    fs::create_dir(&old).expect("created");
    // Also under a name that is excluded, and in another folder.
    for (number, (glob, to)) in [
        ("app.log", "app.log.1"),
        ("app*", "app.log.2"),
        ("app.log", "old/app.log.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let config = excluding(&folder.path().join(glob), "**/app.log.2");
        let to = folder.path().join(to);
        let first = 100 * number;
        write(&path, first..first + 10);
        let mut hand = Hand::with_spec(config.clone(), Vec::new(), usize::MAX);
        assert_eq!(hand.look_and_read(), lines(first..first + 10));
        if to.starts_with(&old) {
            // Nobody finds it there but who sees it go.
            fs::rename(&path, &to).expect("renamed");
            hand.tailer.moved(&path, to.clone());
            write(&to, first + 10..first + 11);
            assert_eq!(hand.look_and_read(), lines(first + 10..first + 11));
            write(&to, first + 11..first + 12);
            let mut hand = hand.again(config);
            assert_eq!(hand.look_and_read(), lines(first + 11..first + 12));
        } else {
            write(&path, first + 10..first + 11);
            fs::rename(&path, &to).expect("renamed");
            let mut hand = hand.again(config);
            assert_eq!(hand.look_and_read(), lines(first + 10..first + 11));
        }
        fs::remove_file(&to).expect("removed");
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

/// The positions of files that are over are dropped one day.
#[test]
fn start_at_end_knows_that_it_is_no_first_start_whatever_has_become_of_the_files() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    write(&path, 0..10);
    let mut hand = Hand::new(&path, Vec::new());
    assert_eq!(hand.look_and_read(), lines(0..10));
    let at_end = FilelogSpec {
        start_at: StartAt::End,
        ..spec(&path)
    };
    let before: Vec<_> = hand.positions.iter().map(|known| known.inode).collect();
    let mut hand = hand.again(at_end.clone());
    assert_eq!(hand.look_and_read(), [""; 0]);
    fs::remove_file(&path).expect("removed");
    hand.positions
        .retain(|known| !before.contains(&known.inode));
    write(&path, 10..11);
    let mut hand = hand.again(at_end);
    assert_eq!(hand.look_and_read(), lines(10..11));
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
