//! Links that are switched between two steps of the tailer: only what lies where links may lead is read.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;
use crate::receivers::filelog::discovery::Changes;

/// A watched folder with a link to a file in it, and a file outside that may not be read.
struct Trap {
    root: tempfile::TempDir,
    hand: Hand,
}

const SECRET: usize = 1_000;

impl Trap {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("folder");
        let logs = root.path().join("logs");
        fs::create_dir(&logs).expect("created");
        write(&root.path().join("secret"), SECRET..SECRET + 3);
        write(&logs.join("inside"), 0..3);
        let hand = Hand::new(&logs.join("*.log"), Vec::new());
        let trap = Self { root, hand };
        trap.lead_to("logs/inside");
        trap
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn lead_to(&self, target: &str) {
        symlink(self.path(target), self.path("logs/next")).expect("linked");
        fs::rename(self.path("logs/next"), self.path("logs/app.log")).expect("switched");
    }

    fn id_of(&self, name: &str) -> FileId {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(self.path(name)).expect("there");
        (metadata.dev(), metadata.ino())
    }

    fn refused(&self) -> u64 {
        self.hand.tailer.counts.links_refused.get()
    }
}

#[test]
fn what_a_link_led_to_when_it_was_found_is_looked_at_again_when_it_is_opened() {
    let mut trap = Trap::new();
    let path = trap.path("logs/app.log");
    // As if the search had taken the device and the inode of the secret, and where the link leads from its other state.
    let secret = trap.id_of("secret");
    let changes = Changes {
        appeared: vec![(secret, path)],
        ..Changes::default()
    };
    trap.lead_to("secret");
    trap.hand.tailer.take_in(changes, Instant::now());
    assert!(!trap.hand.tailer.files.contains_key(&secret));
    assert_eq!(trap.refused(), 1);
    assert_eq!(trap.hand.look_and_read(), [""; 0]);
    trap.lead_to("logs/inside");
    assert_eq!(trap.hand.look_and_read(), lines(0..3));
}

#[test]
fn a_closed_file_whose_name_leads_elsewhere_is_not_read_on() {
    let mut trap = Trap::new();
    assert_eq!(trap.hand.look_and_read(), lines(0..3));
    let inside = trap.id_of("logs/inside");
    // Others need its descriptor, and the secret gets the inode it had.
    assert!(trap.hand.tailer.make_room());
    let mut file = trap.hand.tailer.files.remove(&inside).expect("followed");
    let secret = trap.id_of("secret");
    file.id = secret;
    trap.hand.tailer.files.insert(secret, file);
    trap.lead_to("secret");
    trap.hand.tailer.look_at(secret);
    assert_eq!(trap.hand.read(), [""; 0]);
}

#[test]
fn a_link_that_is_gone_when_it_is_looked_at_is_not_refused() {
    let mut trap = Trap::new();
    let patterns = trap.hand.tailer.config.patterns.clone();
    assert_eq!(patterns.may_lead(&trap.path("logs/app.log")), Some(true));
    assert_eq!(patterns.may_lead(&trap.path("logs/gone.log")), None);
    trap.lead_to("secret");
    assert_eq!(patterns.may_lead(&trap.path("logs/app.log")), Some(false));
    assert_eq!(trap.hand.look_and_read(), [""; 0]);
    assert_eq!(trap.refused(), 1);
}

#[test]
fn a_file_is_read_on_wherever_it_was_moved_to() {
    let mut trap = Trap::new();
    write(&trap.path("logs/own.log"), 10..13);
    let read = trap.hand.look_and_read().len();
    assert_eq!(read, 6);
    let id = trap.id_of("logs/own.log");
    fs::create_dir(trap.path("kept")).expect("created");
    fs::rename(trap.path("logs/own.log"), trap.path("kept/own")).expect("moved");
    trap.hand.look();
    // Others need its descriptor.
    while trap.hand.tailer.files[&id].open.is_some() {
        assert!(trap.hand.tailer.make_room());
    }
    write(&trap.path("kept/own"), 13..14);
    assert_eq!(trap.hand.look_and_read(), lines(13..14));
}

#[test]
fn a_link_that_is_switched_all_the_time_leads_nobody_out() {
    const ROUNDS: usize = 300;
    let trap = Trap::new();
    let Trap { root, mut hand } = trap;
    let (logs, secret) = (root.path().join("logs"), root.path().join("secret"));
    let switching = std::thread::spawn(move || {
        for round in 0..50_000 {
            let target = [logs.join("inside"), secret.clone()][round % 2].clone();
            symlink(target, logs.join("next")).expect("linked");
            fs::rename(logs.join("next"), logs.join("app.log")).expect("switched");
        }
    });
    let mut read = Vec::new();
    let mut rounds = 0;
    while !switching.is_finished() || rounds < ROUNDS {
        hand.tailer.discovery.mark_all();
        read.extend(hand.look_and_read());
        rounds += 1;
    }
    switching.join().expect("switched");
    hand.look_and_read();
    assert!(hand.is_zero("vervet_agent_filelog_lost_bytes_total"));
    let secrets = lines(SECRET..SECRET + 3);
    assert!(!read.iter().any(|line| secrets.contains(line)), "{read:?}");
}
