use std::fs;

use clap::Parser;
use vervet_journal::{Entry, Journal};
use vervet_store::catalog::{Catalog as _, Commit, SqliteCatalog};

use super::*;
use crate::cli::CliError;

/// Ten requests in segments of three, of which files cover `position`.
fn data_dir(position: u64) -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().expect("folder");
    let catalog = SqliteCatalog::open(dir.path()).expect("catalog");
    let commit = Commit {
        journal_position: Some(position),
        ..Commit::default()
    };
    catalog.commit(&commit).expect("committed");
    let config = JournalConfig {
        segment_bytes_max: 150,
        ..JournalConfig::new(dir.path().join(JOURNAL_DIR))
    };
    let (journal, _report) = Journal::open(config).expect("journal");
    drop(journal.cursor("store").expect("cursor"));
    for number in 1..=10 {
        let payload = format!("request {number:>3}");
        let parts = [payload.as_bytes()];
        let entry = Entry {
            kind: 1,
            parts: &parts,
        };
        journal.append(&[entry]).expect("appended");
    }
    (dir, journal)
}

/// Flips a bit of a request: its segment.
fn damage(dir: &Path, number: u64) -> PathBuf {
    let wanted = format!("request {number:>3}");
    for segment in inspector(dir).expect("opens").segments().expect("lists") {
        let mut bytes = fs::read(&segment.path).expect("read");
        let mut places = bytes.windows(wanted.len());
        if let Some(at) = places.position(|bytes| bytes == wanted.as_bytes()) {
            bytes[at] ^= 1;
            fs::write(&segment.path, bytes).expect("written");
            return segment.path;
        }
    }
    panic!("no {wanted}");
}

/// Whether all was well, as the exit code says.
fn command(dir: &Path, arguments: &[&str]) -> Result<bool, String> {
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: JournalArgs,
    }
    let dir = dir.to_str().expect("text");
    let arguments = [&["journal"], arguments, &["--data-dir", dir]].concat();
    let command = Command::try_parse_from(arguments).expect("valid");
    run(&command.args).map_err(|error| match error {
        CliError::Config(message) => message,
        CliError::Run(error) => format!("{error:#}"),
    })
}

#[test]
fn a_journal_in_use_is_inspected_and_not_repaired() {
    let (dir, journal) = data_dir(4);
    assert_eq!(command(dir.path(), &["inspect"]), Ok(true));
    assert_eq!(command(dir.path(), &["inspect", "--json"]), Ok(true));
    assert_eq!(command(dir.path(), &["repair", "--dry-run"]), Ok(true));
    let refused = command(dir.path(), &["repair"]).expect_err("in use");
    assert!(refused.contains("stop it first"), "{refused}");
    drop(journal);
    assert_eq!(command(dir.path(), &["repair"]), Ok(true));
    let seen = Seen::read(dir.path()).expect("reads");
    let text = seen.tables() + &seen.damage();
    assert!(
        text.contains("10 requests in 4 segments: no damage\n"),
        "{text}"
    );
}

#[test]
fn damage_is_told_with_what_is_in_files_then_taken_out_and_kept() {
    let (dir, journal) = data_dir(4);
    drop(journal);
    let (first, second) = (damage(dir.path(), 2), damage(dir.path(), 5));
    let before = [&first, &second].map(|path| fs::read(path).expect("read"));
    assert_eq!(command(dir.path(), &["inspect"]), Ok(false));
    assert_eq!(command(dir.path(), &["repair", "--dry-run"]), Ok(false));
    let after = [&first, &second].map(|path| fs::read(path).expect("read"));
    assert!(before == after, "a dry run changes nothing");
    assert!(!dir.path().join(JOURNAL_DIR).join("quarantine").exists());
    let seen = Seen::read(dir.path()).expect("reads");
    let told = seen.damage();
    for part in [
        "sequence 2 is lost",
        "sequence 5 is lost",
        "8 requests in 4 segments: 2 damaged, 2 requests known to be lost, 1 of them are in files",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(seen.json()["lost"], json!([[2, 2], [5, 5]]));
    let told = repaired(dir.path()).expect("repairs");
    assert!(told.contains("taken out, kept as "), "{told}");
    let end = "0 damaged ranges mended in place, 2 taken out, 2 requests known to be lost, 1 of them are in files\n";
    assert!(told.ends_with(end), "{told}");
    assert_eq!(command(dir.path(), &["inspect"]), Ok(true));
    let seen = Seen::read(dir.path()).expect("reads");
    assert_eq!(seen.survey.gaps, [2..=2, 5..=5]);
    assert_eq!(seen.quarantined.len(), 2);
    let config = JournalConfig::new(dir.path().join(JOURNAL_DIR));
    let (journal, report) = Journal::open(config).expect("opens");
    assert!(!report.found_damage(), "{report:?}");
    assert_eq!(journal.last_sequence(), 10);
}

#[test]
fn a_damaged_reader_and_an_end_that_is_missing_are_told() {
    let (dir, journal) = data_dir(10);
    drop(journal);
    let folder = dir.path().join(JOURNAL_DIR);
    fs::write(folder.join("cursors/store.cur"), "rotten").expect("written");
    let last = inspector(dir.path())
        .and_then(|inspector| Ok(inspector.segments()?))
        .expect("lists")
        .pop()
        .expect("one");
    fs::remove_file(last.path).expect("removed");
    let seen = Seen::read(dir.path()).expect("reads");
    let told = seen.damage();
    for part in [
        "cursor store: damaged",
        "ends at byte",
        "sequence 10 is lost",
        "2 damaged, 1 requests known to be lost, 1 of them are in files",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(seen.tables().contains("damaged"), "{}", seen.tables());
    let told = repaired(dir.path()).expect("repairs");
    assert!(
        told.contains("cursor store: damaged, it starts again"),
        "{told}"
    );
    assert_eq!(command(dir.path(), &["inspect"]), Ok(true), "{told}");
}

#[test]
fn where_there_is_no_journal_none_is_made() {
    let dir = tempfile::tempdir().expect("folder");
    for arguments in [&["inspect"][..], &["repair"], &["repair", "--dry-run"]] {
        let error = command(dir.path(), arguments).expect_err("nothing there");
        assert!(error.starts_with("there is no journal in "), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
}
