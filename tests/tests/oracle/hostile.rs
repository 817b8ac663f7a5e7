//! Folders that no program leaves behind on purpose: strange names, things that are no files, too many files, folders
//! that go away.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::judgement::Notes;
use crate::ledger::Written;
use crate::line;
use crate::scenario::scale;
use crate::setup::Setup;
use crate::site::{Site, wait_until};

/// `nobody`, who may read only what everybody may.
const NOBODY: u32 = 65_534;
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

impl Site {
    /// Kills the agent after up to that many milliseconds and starts it again.
    pub(crate) fn kill_within(&self, millis: u64) {
        let pause = Duration::from_millis(rand::rng().random_range(0..millis));
        self.agent.wait_for_kill(pause);
        self.agent.kill();
        self.agent.start();
    }
}

#[test]
fn strange_names_and_depths() {
    let site = Site::new(Setup::new("strange-names", &["**/*.log"]));
    let deep: PathBuf = (0..24).map(|level| format!("level {level}")).collect();
    let names: Vec<PathBuf> = vec![
        "plain.log".into(),
        "with a blank and \"quotes\".log".into(),
        "line\nfeed.log".into(),
        "[a-z]{b,c}*?.log".into(),
        "back\\slash.log".into(),
        "漢字 🐒.log".into(),
        format!("{}.log", "x".repeat(250)).into(),
        deep.join("deep.log"),
        ".hidden.log".into(),
        "-dash.log".into(),
    ];
    fs::create_dir_all(site.logs().join(&deep)).unwrap();
    fs::write(site.logs().join("empty.log"), "").unwrap();
    let mut written: Vec<_> = (0..names.len()).map(Written::of).collect();
    site.agent.start();
    for _round in 0..4 * scale() {
        for (name, written) in names.iter().zip(&mut written) {
            site.write_lines(written, name, 5);
        }
        site.kill_within(700);
    }
    site.finish(written, Notes::default());
}

#[test]
fn files_with_the_same_contents_are_different_files() {
    let site = Site::new(Setup::new("equal-files", &["*.log"]));
    let header = line::header(0) + "\n";
    let mut written = Written::of(0);
    let copies = 5;
    for copy in 0..copies {
        fs::write(site.logs().join(format!("app-{copy}.log")), &header).unwrap();
    }
    written.headers = u64::from(copies);
    site.agent.start();
    site.kill_within(700);
    for copy in 0..copies {
        site.write_generation(&mut written, copy, format!("app-{copy}.log"), 3);
    }
    site.kill_within(700);
    site.finish(vec![written], Notes::default());
}

#[test]
fn a_file_with_several_names_is_one_file() {
    let site = Site::new(Setup::new("several-names", &["**/*.log"]));
    let mut written = Written::of(0);
    site.write_lines(&mut written, "app.log", 10);
    fs::create_dir(site.logs().join("sub")).unwrap();
    let logs = site.logs();
    fs::hard_link(logs.join("app.log"), logs.join("sub/hard.log")).unwrap();
    symlink(logs.join("app.log"), logs.join("soft.log")).unwrap();
    site.agent.start();
    site.arrived(&[written.clone()]);
    site.write_lines(&mut written, "sub/hard.log", 10);
    site.kill_within(300);
    fs::remove_file(logs.join("app.log")).unwrap();
    site.write_lines(&mut written, "sub/hard.log", 10);
    site.kill_within(300);
    site.finish(vec![written], Notes::default());
}

#[test]
fn a_backlog_is_read_once_however_often_the_agent_is_killed() {
    let site = Site::new(Setup::new("backlog", &["*.log"]));
    let mut written = Written::of(0);
    site.write_lines(&mut written, "app.log", 60_000);
    site.agent.start();
    for _kill in 0..10 * scale() {
        site.kill_within(200);
        site.check_books();
    }
    site.finish(vec![written], Notes::default());
}

#[test]
fn files_appear_while_the_agent_starts() {
    let site = Site::new(Setup::new("appearing", &["*/*.log"]));
    let mut written = Written::of(0);
    let mut files = 0;
    for _start in 0..6 * scale() {
        site.agent.spawn();
        for _file in 0..40 {
            // A folder that is new, with a file that is complete before anybody can watch it.
            let folder = format!("folder-{}", files / 8);
            fs::create_dir_all(site.logs().join(&folder)).unwrap();
            site.write_generation(&mut written, files, format!("{folder}/{files}.log"), 3);
            files += 1;
        }
        site.kill_within(600);
        site.agent.kill();
    }
    fs::create_dir(site.logs().join("last")).unwrap();
    site.agent.start();
    site.finish_in(vec![written], Notes::default(), "last/last.log");
}

#[test]
fn the_folder_goes_away_and_comes_back() {
    let site = Site::new(Setup::new("vanishing-folder", &["app/*.log"]));
    let (folder, away) = (site.logs().join("app"), site.logs().join("away"));
    let mut written: Vec<_> = (0..3).map(Written::of).collect();
    site.agent.start();
    for round in 0..3 * scale() {
        fs::create_dir_all(&folder).unwrap();
        for (file, written) in written.iter_mut().enumerate() {
            site.write_generation(written, round, format!("app/{round}-{file}.log"), 20);
        }
        site.arrived(&written);
        // Renamed, and written to where it is now; the agent may be killed while it sees nothing of it.
        fs::rename(&folder, &away).unwrap();
        site.kill_within(2_500);
        for (file, written) in written.iter_mut().enumerate() {
            site.write_generation(written, round, format!("away/{round}-{file}.log"), 20);
        }
        fs::rename(&away, &folder).unwrap();
        site.arrived(&written);
        site.kill_within(1_500);
        fs::remove_dir_all(&folder).unwrap();
        site.kill_within(1_500);
    }
    fs::create_dir_all(&folder).unwrap();
    site.finish_in(written, Notes::default(), "app/last.log");
}

#[test]
fn names_that_are_not_text() {
    let site = Site::new(Setup::new("not-text", &["**/*.log"]));
    // With the bytes that are no characters replaced, these are the same.
    let names = [
        &b"latin-1 \xe4\xf6\xfc.log"[..],
        b"latin-1 \xe4\xf6\xe9.log",
    ];
    let names = names.map(|name| OsString::from_vec(name.to_vec()));
    let mut written = [0, 1].map(Written::of);
    site.agent.start();
    for _round in 0..4 * scale() {
        for (name, written) in names.iter().zip(&mut written) {
            site.write_lines(written, name, 5);
        }
        site.kill_within(700);
    }
    site.finish(written.to_vec(), Notes::default());
}

#[test]
fn many_files() {
    let site = Site::new(Setup::new("many-files", &["**/*.log"]));
    let mut written = Written::of(0);
    // More than the descriptors that one receiver may have.
    let files = if scale() > 1 { 20_000 } else { 6_000 };
    let names: Vec<String> = (0..files)
        .map(|file| format!("{}/{file}.log", file % 40))
        .collect();
    for folder in 0..40 {
        fs::create_dir(site.logs().join(folder.to_string())).unwrap();
    }
    for (file, name) in (0..).zip(&names) {
        site.write_generation(&mut written, file, name, 2);
    }
    site.agent.start();
    site.kill_within(1_500);
    site.kill_within(3_000);
    site.arrived(&[written.clone()]);
    // Positions are stored for all of them, and a few go on.
    let mut again: Vec<(u32, &String)> = (0..).zip(&names).collect();
    again.shuffle(&mut rand::rng());
    for (file, name) in &again[..200] {
        site.write_generation(&mut written, *file, name, 2);
    }
    site.kill_within(2_000);
    site.finish(vec![written], Notes::default());
}

#[test]
fn things_that_are_no_files_are_reported_once() {
    let site = Site::new(Setup::new("no-files", &["*.log"]));
    let logs = site.logs();
    mknodat(
        CWD,
        logs.join("pipe.log"),
        FileType::Fifo,
        Mode::from_raw_mode(0o666),
        0,
    )
    .unwrap();
    symlink("/dev/zero", logs.join("device.log")).unwrap();
    symlink(logs.join("loop.log"), logs.join("loop.log")).unwrap();
    symlink(logs.join("nowhere"), logs.join("dangling.log")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(logs.join("socket.log")).unwrap();
    fs::create_dir(logs.join("folder.log")).unwrap();
    let mut written = Written::of(0);
    site.write_lines(&mut written, "app.log", 10);
    site.agent.start();
    site.arrived(&[written.clone()]);
    let reported = ["pipe.log", "device.log", "socket.log"];
    let times = |output: &str, name: &str| output.matches(name).count();
    let said = wait_until(NOTICED_WITHIN, || {
        let output = site.agent.output();
        reported.iter().all(|name| times(&output, name) > 0)
    });
    assert!(said, "{}", site.agent.output());
    // Several sweeps later it has still been said once.
    for _round in 0..5 {
        site.write_lines(&mut written, "app.log", 10);
        site.arrived(&[written.clone()]);
    }
    let output = site.agent.output();
    for name in reported {
        assert_eq!(times(&output, name), 1, "{name}: {output}");
    }
    site.finish(vec![written], Notes::default());
}

#[test]
fn a_file_without_permission_is_read_once_there_is_one() {
    if !rustix::process::geteuid().is_root() {
        return vervet_tests::say(
            "skipped: a_file_without_permission: the test does not run as root",
        );
    }
    let site = Site::new(Setup {
        user: Some(NOBODY),
        ..Setup::new("no-permission", &["**/*.log"])
    });
    let set =
        |path: PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let (dir, logs) = (site.dir.path().to_owned(), site.logs());
    set(dir.clone(), 0o755);
    fs::create_dir(dir.join("agent-data")).unwrap();
    std::os::unix::fs::chown(dir.join("agent-data"), Some(NOBODY), Some(NOBODY)).unwrap();
    fs::create_dir(logs.join("closed")).unwrap();
    let mut written: Vec<_> = (0..3).map(Written::of).collect();
    site.write_lines(&mut written[0], "open.log", 10);
    site.write_lines(&mut written[1], "secret.log", 10);
    site.write_lines(&mut written[2], "closed/inside.log", 10);
    set(logs.join("secret.log"), 0o600);
    set(logs.join("closed"), 0o700);
    site.agent.start();
    site.arrived(&written[..1]);
    let said = wait_until(NOTICED_WITHIN, || {
        site.agent.output().contains("secret.log")
    });
    assert!(said, "{}", site.agent.output());
    for _round in 0..5 {
        site.write_lines(&mut written[0], "open.log", 10);
        site.arrived(&written[..1]);
    }
    let output = site.agent.output();
    assert_eq!(output.matches("secret.log").count(), 1, "{output}");
    set(logs.join("secret.log"), 0o644);
    set(logs.join("closed"), 0o755);
    site.arrived(&written);
    // Taken away again while it is read.
    set(logs.join("secret.log"), 0o600);
    site.write_lines(&mut written[1], "secret.log", 10);
    site.kill_within(1_500);
    set(logs.join("secret.log"), 0o644);
    site.finish(written, Notes::default());
}
