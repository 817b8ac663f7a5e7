//! The ways in which programs rotate their logs: what was read under one name does not come again under another.

use super::*;

const LINES: usize = 100;

type Step = fn(&Path);

/// A way of rotation, with a look at the folder after each step.
struct Way {
    name: &'static str,
    include: &'static str,
    steps: &'static [Step],
}

const WAYS: [Way; 12] = [
    Way {
        name: "a rotated file is compressed to the next number",
        include: "app*",
        steps: &[
            |dir| rename(dir, "app.log", "app.log.1"),
            |dir| gzip(dir, "app.log.1", "app.log.2.gz"),
            |dir| remove(dir, "app.log.1"),
        ],
    },
    Way {
        name: "a rotated file is copied to the next number",
        include: "app*",
        steps: &[
            |dir| rename(dir, "app.log", "app.log.1"),
            |dir| copy(dir, "app.log.1", "app.log.2"),
            |dir| remove(dir, "app.log.1"),
        ],
    },
    Way {
        name: "Logback, the file on the way unseen",
        include: "app*[gz]",
        steps: &[
            |dir| rename(dir, "app.log", "app.log9876.tmp"),
            |dir| gzip(dir, "app.log9876.tmp", "app.2026-11-21.log.gz"),
            |dir| remove(dir, "app.log9876.tmp"),
        ],
    },
    Way {
        name: "Logback, the file on the way seen",
        include: "app*",
        steps: &[
            |dir| rename(dir, "app.log", "app.log9876.tmp"),
            |dir| gzip(dir, "app.log9876.tmp", "app.1.log.gz"),
            |dir| remove(dir, "app.log9876.tmp"),
        ],
    },
    Way {
        name: "pm2",
        include: "app*",
        steps: &[
            |dir| gzip(dir, "app.log", "app__2026-11-28_00-00-00.log.gz"),
            |dir| cut(dir, "app.log"),
        ],
    },
    Way {
        name: "a copy with a date before the name",
        include: "*app*",
        steps: &[
            |dir| copy(dir, "app.log", "2026-11-28-app.log"),
            |dir| cut(dir, "app.log"),
        ],
    },
    Way {
        name: "a copy kept as a backup",
        include: "app*",
        steps: &[
            |dir| copy(dir, "app.log", "app.log.bak"),
            |dir| cut(dir, "app.log"),
        ],
    },
    Way {
        name: "kubelet",
        include: "app*",
        steps: &[
            |dir| rename(dir, "app.log", "app.log.20261128-203000"),
            |dir| {
                gzip(
                    dir,
                    "app.log.20261128-203000",
                    "app.log.20261128-203000.tmp",
                );
            },
            |dir| {
                rename(
                    dir,
                    "app.log.20261128-203000.tmp",
                    "app.log.20261128-203000.gz",
                );
            },
            |dir| remove(dir, "app.log.20261128-203000"),
        ],
    },
    Way {
        name: "a copy that is seen empty",
        include: "app*",
        steps: &[
            |dir| copy_to(dir, "app.log", "app.log.1", 0),
            |dir| copy(dir, "app.log", "app.log.1"),
            |dir| cut(dir, "app.log"),
        ],
    },
    Way {
        name: "a copy of which the beginning is seen",
        include: "app*",
        steps: &[
            |dir| copy_to(dir, "app.log", "app.log.1", 500),
            |dir| copy_to(dir, "app.log", "app.log.1", 1_500),
            |dir| copy(dir, "app.log", "app.log.1"),
            |dir| cut(dir, "app.log"),
        ],
    },
    Way {
        name: "a copy whose beginning is seen before the cut",
        include: "app*",
        steps: &[
            |dir| copy_to(dir, "app.log", "app.log.1", 500),
            |dir| {
                copy(dir, "app.log", "app.log.1");
                cut(dir, "app.log");
            },
        ],
    },
    Way {
        name: "a copy over another one, seen empty",
        include: "app*",
        steps: &[
            |dir| copy(dir, "app.log", "app.log.1"),
            |dir| cut(dir, "app.log"),
            |dir| write(&dir.join("app.log"), LINES..2 * LINES),
            |dir| copy_to(dir, "app.log", "app.log.1", 0),
            |dir| copy(dir, "app.log", "app.log.1"),
            |dir| cut(dir, "app.log"),
        ],
    },
];

fn rename(dir: &Path, from: &str, to: &str) {
    fs::rename(dir.join(from), dir.join(to)).expect("renamed");
}

fn remove(dir: &Path, name: &str) {
    fs::remove_file(dir.join(name)).expect("removed");
}

fn cut(dir: &Path, name: &str) {
    copy_to(dir, name, name, 0);
}

fn copy(dir: &Path, from: &str, to: &str) {
    copy_to(dir, from, to, usize::MAX);
}

/// Copies the first bytes over what is there.
fn copy_to(dir: &Path, from: &str, to: &str, bytes: usize) {
    let text = fs::read(dir.join(from)).expect("read");
    fs::write(dir.join(to), &text[..bytes.min(text.len())]).expect("written");
}

fn gzip(dir: &Path, from: &str, to: &str) {
    write_gzip(&dir.join(from), &dir.join(to));
}

impl Hand {
    /// Files that nothing was heard of for long are given up.
    fn pass_time(&mut self) {
        let ids: Vec<FileId> = self.tailer.files.keys().copied().collect();
        for id in ids {
            self.tailer
                .end_if_over(id, Instant::now() + Duration::from_secs(300));
        }
    }
}

#[test]
fn every_line_comes_once_however_a_log_is_rotated() {
    for way in &WAYS {
        // The agent lives all the time, or is started again after each step.
        for restarts in [false, true] {
            let folder = tempfile::tempdir().expect("folder");
            let (dir, include) = (folder.path(), folder.path().join(way.include));
            write(&dir.join("app.log"), 0..LINES);
            let mut hand = Hand::new(&include, Vec::new());
            let mut seen = hand.look_and_read();
            let mut known = Vec::new();
            for step in way.steps {
                step(dir);
                if restarts {
                    // As the buffer keeps them: the later one of a file counts.
                    known.append(&mut hand.positions);
                    hand = Hand::new(&include, known.clone());
                }
                seen.extend(hand.look_and_read());
                seen.extend(hand.look_and_read());
            }
            hand.pass_time();
            seen.extend(hand.look_and_read());
            write(&dir.join("app.log"), 1_000..1_010);
            seen.extend(hand.look_and_read());
            let has_more = seen.contains(&line(LINES));
            let mut expected = lines(0..if has_more { 2 * LINES } else { LINES });
            expected.extend(lines(1_000..1_010));
            seen.sort();
            expected.sort();
            let (got, wanted) = (seen.len(), expected.len());
            assert!(
                seen == expected,
                "{} {restarts}: {got} of {wanted}",
                way.name
            );
        }
    }
}

/// Replicas that write the same lines are files of their own.
#[test]
fn files_that_are_no_forms_of_one_another_are_all_read() {
    let folder = tempfile::tempdir().expect("folder");
    for name in [
        "app-1.log",
        "app-2.log",
        "2026-11-27.log",
        "2026-11-28.log",
        "0.log",
        "1.log",
    ] {
        write(&folder.path().join(name), 0..LINES);
    }
    let mut hand = Hand::new(&folder.path().join("*.log"), Vec::new());
    assert_eq!(hand.look_and_read().len(), 6 * LINES);
}

#[test]
fn the_end_of_a_renamed_file_is_read_though_a_glob_still_finds_it() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    fs::write(&path, "first line\nlast").expect("written");
    let mut hand = Hand::new(&folder.path().join("app.log*"), Vec::new());
    assert_eq!(hand.look_and_read(), ["first line"]);
    rename(folder.path(), "app.log", "app.log.1");
    fs::write(&path, "next line\n").expect("written");
    assert_eq!(hand.look_and_read(), ["next line"]);
    hand.pass_time();
    assert_eq!(hand.look_and_read(), ["last"]);
    hand.pass_time();
    assert_eq!(hand.look_and_read(), [""; 0]);
}

#[test]
fn what_is_deleted_goes_first_but_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().expect("folder");
    let (large, small) = (
        folder.path().join("large.log"),
        folder.path().join("small.log"),
    );
    let mut hand = Hand::new(&folder.path().join("*.log"), Vec::new());
    write(&large, 0..40_000);
    hand.look();
    fs::remove_file(&large).expect("removed");
    hand.look();
    hand.tailer.look_at_closed();
    write(&small, 0..1);
    hand.look();
    let id_of = |hand: &Hand, path: &Path| {
        let mut files = hand.tailer.files.values();
        files.find(|file| file.path == path).map(|file| file.id)
    };
    let wanted = id_of(&hand, &small).expect("found");
    let mut turns = 0;
    loop {
        let id = hand.tailer.unread.pop().expect("the small one waits");
        turns += 1;
        if id == wanted {
            break;
        }
        hand.tailer.turn(id, Instant::now());
    }
    // Before it was deleted, the large one was ordinary itself.
    assert!(turns <= URGENT_TURNS_MAX + 2, "{turns}");
}
