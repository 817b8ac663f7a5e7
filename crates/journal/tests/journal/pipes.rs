//! Pipes in the place of files.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use vervet_journal::{Inspector, Journal};

use crate::support::{append, config, fill, open};

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let names = |dir: &Path| {
        let (journal, _) = open(dir);
        fill(&journal, 5);
        journal.cursor("main").unwrap().commit(2, b"").unwrap();
        drop(journal);
        let found = walk(dir);
        assert!(found.len() >= 5, "{found:?}");
        found
    };
    let count = names(tempfile::tempdir().unwrap().path()).len();
    for at in 0..count {
        let dir = tempfile::tempdir().unwrap();
        let path = names(dir.path()).swap_remove(at);
        std::fs::remove_file(&path).unwrap();
        let mode = Mode::from_raw_mode(0o600);
        let pipe = FileType::Fifo;
        mknodat(CWD, &path, pipe, mode, 0).unwrap();
        let (done, ended) = mpsc::sync_channel(1);
        let folder = dir.path().to_path_buf();
        thread::spawn(move || {
            if let Ok((journal, _)) = Journal::open(config(&folder)) {
                let _found = journal.cursor("main").map(|mut cursor| cursor.read(100));
                let _found = append(&journal, b"x");
            }
            let _inspected = Inspector::open(&folder).map(|inspector| inspector.segments());
            done.send(()).unwrap();
        });
        let waited = Duration::from_secs(30);
        assert_eq!(ended.recv_timeout(waited), Ok(()), "{}", path.display());
    }
}

/// All files below a folder.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
