mod booked;

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use vervet_journal::{Entry, Journal, JournalConfig};

use super::*;
use crate::buffer::{Totals, encode_header};
use crate::exporters::dead_letter::{DeadLetters, Letter};
use crate::exporters::settings::DeadLetterConfig;

fn request(text: &str) -> Vec<u8> {
    let value = Some(any_value::Value::StringValue(text.to_owned()));
    let record = LogRecord {
        body: Some(AnyValue { value }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs {
        log_records: vec![record],
        ..ScopeLogs::default()
    }];
    let resource_logs = vec![ResourceLogs {
        scope_logs,
        ..ResourceLogs::default()
    }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// What a repair tells.
fn repaired(data_dir: &Path) -> String {
    let mut told = String::new();
    let mut tell = |text: &str| {
        told.push_str(text);
        Ok(())
    };
    repair::repaired(data_dir, &mut tell).expect("repairs");
    told
}

/// A buffer of six batches in segments of two, of which `main` has settled two.
fn written(data_dir: &Path) -> Journal {
    written_in(data_dir, 400, 6)
}

fn written_in(data_dir: &Path, segment_bytes_max: u64, batches: u32) -> Journal {
    let config = JournalConfig {
        segment_bytes_max,
        ..JournalConfig::new(data_dir.join(FOLDER))
    };
    let (journal, _) = Journal::open(config).expect("opens");
    let mut main = journal.cursor("exporter-main").expect("created");
    for number in 1..=batches {
        let mut header = Vec::new();
        let at = UnixNanos(1_700_000_000_000_000_000);
        encode_header(&mut header, "files", 1, at, &Totals::default(), &[]);
        let request = request(&format!("line {number:>60}"));
        let parts = [&header[..], &request[..]];
        journal
            .append(&[Entry {
                kind: Signal::Logs as u8,
                parts: &parts,
            }])
            .expect("stored");
    }
    main.commit(2, b"").expect("stored");
    journal
}

fn segments(data_dir: &Path) -> Vec<PathBuf> {
    let inspector = inspector(data_dir).expect("opens");
    inspector
        .segments()
        .expect("lists")
        .into_iter()
        .map(|segment| segment.path)
        .collect()
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[offset] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn selection(arguments: &[&str]) -> export::Selection {
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: export::ExportArgs,
    }
    let arguments = [&["export"], arguments].concat();
    Command::try_parse_from(arguments)
        .expect("valid")
        .args
        .selection
}

fn exported(data_dir: &Path, arguments: &[&str]) -> (bool, String) {
    let mut out = Vec::new();
    let whole = export::write(data_dir, &selection(arguments), &mut out).expect("written");
    (whole, String::from_utf8(out).expect("text"))
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines()
        .map(|line| {
            line.trim_start_matches("line ")
                .trim()
                .parse()
                .expect("a number")
        })
        .collect()
}

#[test]
fn a_buffer_in_use_is_listed_verified_and_exported_and_not_repaired() {
    let dir = tempfile::tempdir().expect("folder");
    let journal = written(dir.path());
    assert!(verify::run(dir.path()).expect("reads"));
    assert!(ls::run(dir.path(), true).expect("reads"));
    let (whole, text) = exported(dir.path(), &["--format", "text"]);
    assert_eq!(
        (whole, numbers(&text)),
        (true, vec![3, 4, 5, 6]),
        "two are settled and gone"
    );
    let refused = repair::run(dir.path(), false).expect_err("in use");
    assert!(refused.to_string().contains("stop it first"), "{refused}");
    drop(journal);
    assert!(repair::run(dir.path(), false).expect("repairs what is not broken"));
}

#[test]
fn damage_is_found_taken_out_kept_aside_and_exported_from_there() {
    let dir = tempfile::tempdir().expect("folder");
    drop(written(dir.path()));
    let damaged = &segments(dir.path())[0];
    let bytes = fs::read(damaged).expect("read");
    // A bit in the text of record 3, after both headers.
    let at = bytes
        .windows(4)
        .position(|window| window == b"line")
        .expect("there");
    flip(damaged, at);
    assert!(!verify::run(dir.path()).expect("reads"));
    let (whole, text) = exported(dir.path(), &["--format", "text"]);
    assert_eq!((whole, numbers(&text)), (false, vec![4, 5, 6]));
    assert!(repair::run(dir.path(), false).expect("repairs"));
    assert!(
        verify::run(dir.path()).expect("reads"),
        "the damage is gone"
    );
    let (whole, text) = exported(dir.path(), &["--format", "text"]);
    assert_eq!((whole, numbers(&text)), (true, vec![4, 5, 6]));
    // One bit of its text is another, the rest of the batch can be read.
    let (whole, text) = exported(dir.path(), &["--format", "text", "--quarantine"]);
    assert!(
        whole && text.starts_with("mine ") && text.trim_end().ends_with('3'),
        "{text}"
    );
    // Numbers go on, and what was there is read as before.
    let config = JournalConfig::new(dir.path().join(FOLDER));
    let (journal, report) = Journal::open(config).expect("opens");
    assert!(!report.found_damage(), "{report:?}");
    assert_eq!(journal.last_sequence(), 6);
}

#[test]
fn a_range_a_signal_or_what_an_exporter_has_not_settled_is_exported() {
    let dir = tempfile::tempdir().expect("folder");
    let journal = written(dir.path());
    journal
        .cursor("exporter-main")
        .expect("free")
        .commit(5, b"")
        .expect("stored");
    let of = |arguments: &[&str]| {
        numbers(&exported(dir.path(), &[&["--format", "text"], arguments].concat()).1)
    };
    assert_eq!(of(&["--pending", "main"]), [6]);
    assert_eq!(of(&["--from", "5", "--to", "5"]), [5]);
    assert_eq!(of(&["--signal", "traces"]), [0; 0]);
    let unknown = export::write(dir.path(), &selection(&["--pending", "mian"]), Vec::new());
    let message = unknown.expect_err("unknown").to_string();
    assert!(message.ends_with("it knows: main"), "{message}");
}

#[test]
fn json_lines_and_protobuf_files_are_the_requests() {
    let dir = tempfile::tempdir().expect("folder");
    let _journal = written(dir.path());
    let (_, json) = exported(dir.path(), &["--from", "6"]);
    let read: ExportLogsServiceRequest = serde_json::from_str(json.trim_end()).expect("OTLP JSON");
    let expected = request(&format!("line {:>60}", 6));
    assert_eq!(read.encode_to_vec(), expected);
    let out = dir.path().join("out");
    exported(
        dir.path(),
        &[
            "--format",
            "protobuf",
            "--out",
            out.to_str().expect("text"),
            "--from",
            "6",
        ],
    );
    assert_eq!(
        fs::read(out.join("00000000000000000006-logs.pb")).expect("written"),
        expected
    );
    assert_eq!(fs::read_dir(&out).expect("listed").count(), 1);
}

#[test]
fn exported_files_are_the_owners_alone_and_replace_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("folder");
    let _journal = written(dir.path());
    let out = dir.path().join("out/deep");
    let arguments = [
        "--format",
        "protobuf",
        "--out",
        out.to_str().expect("text"),
        "--from",
        "6",
    ];
    exported(dir.path(), &arguments);
    let file = out.join("00000000000000000006-logs.pb");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&out), mode(&file)), (0o700, 0o600));
    let again = export::write(dir.path(), &selection(&arguments), Vec::new());
    let error = again.expect_err("the file is there");
    assert!(
        format!("{error:#}").contains("logs.pb cannot be made"),
        "{error:#}"
    );
    // A link that waits under the file's name leads nowhere.
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").expect("written");
    fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink(&victim, &file).expect("linked");
    assert!(export::write(dir.path(), &selection(&arguments), Vec::new()).is_err());
    assert_eq!(fs::read_to_string(&victim).expect("read"), "precious");
}

#[test]
fn a_repair_tells_of_a_header_that_was_written_anew() {
    for last in [false, true] {
        let dir = tempfile::tempdir().expect("folder");
        drop(written(dir.path()));
        let mut segments = segments(dir.path());
        let damaged = match last {
            true => segments.pop().expect("one"),
            false => segments.remove(0),
        };
        flip(&damaged, 3);
        assert!(!verify::run(dir.path()).expect("reads"));
        let told = repaired(dir.path());
        let name = damaged.file_name().expect("a name").to_string_lossy();
        let line = told.lines().find(|line| line.contains(&*name));
        let line = line.unwrap_or_else(|| panic!("{told}"));
        assert!(
            line.contains("bytes at 0 damaged") && line.contains("quarantine"),
            "{told}"
        );
        assert!(told.ends_with("0 batches known to be lost\n"), "{told}");
        assert!(verify::run(dir.path()).expect("reads"), "{told}");
        let (_, text) = exported(dir.path(), &["--format", "text"]);
        assert_eq!(numbers(&text), [3, 4, 5, 6]);
        let again = repaired(dir.path());
        assert_eq!(
            again,
            "0 damaged ranges mended in place, 0 taken out, 0 batches known to be lost\n"
        );
    }
}

#[test]
fn a_half_written_end_is_no_damage_and_garbage_is() {
    let dir = tempfile::tempdir().expect("folder");
    drop(written(dir.path()));
    let last = segments(dir.path()).pop().expect("one");
    let whole = fs::read(&last).expect("read");
    let under_way = [&whole[..], &whole[32..80]].concat();
    fs::write(&last, under_way).expect("written");
    assert!(
        verify::run(dir.path()).expect("reads"),
        "as a writer under way leaves it"
    );
    let first = segments(dir.path()).remove(0);
    fs::write(&first, vec![0xa5; 300]).expect("written");
    assert!(!verify::run(dir.path()).expect("reads"));
    let missing = verify::run(&dir.path().join("nowhere")).expect_err("nothing there");
    assert!(
        missing.to_string().starts_with("there is no buffer in"),
        "{missing}"
    );
}

#[test]
fn an_end_that_was_acknowledged_and_is_missing_is_damage() {
    let at_border = |whole: &[u8]| (whole.len() - 32) / 2 + 32;
    type Cut<'c> = &'c dyn Fn(&[u8]) -> usize;
    let cuts: [(Cut<'_>, u64); 4] = [
        (&|whole| whole.len() - 5, 1),
        (&at_border, 1),
        (&|_| 32, 2),
        (&|_| 0, 2),
    ];
    for (len, lost) in cuts {
        let dir = tempfile::tempdir().expect("folder");
        drop(written(dir.path()));
        let last = segments(dir.path()).pop().expect("one");
        let whole = fs::read(&last).expect("read");
        let len = len(&whole);
        fs::write(&last, &whole[..len]).expect("cut");
        assert!(!verify::run(dir.path()).expect("reads"), "length {len}");
        let told = repaired(dir.path());
        let what = match lost {
            1 => "before what was acknowledged, sequence 6 is lost",
            _ => "before what was acknowledged, sequences 5 to 6 are lost",
        };
        assert!(told.contains(what), "length {len}: {told}");
        let end = format!("{lost} batches known to be lost\n");
        assert!(told.ends_with(&end), "length {len}: {told}");
        assert!(
            verify::run(dir.path()).expect("reads"),
            "length {len}: it was told"
        );
        let config = JournalConfig::new(dir.path().join(FOLDER));
        let (journal, report) = Journal::open(config).expect("opens");
        assert!(!report.found_damage(), "length {len}: {report:?}");
        assert_eq!(journal.last_sequence(), 6);
    }
}

#[test]
fn segments_that_are_missing_at_the_end_are_damage() {
    for left in [2, 1, 0] {
        let dir = tempfile::tempdir().expect("folder");
        drop(written(dir.path()));
        for path in &segments(dir.path())[left..] {
            fs::remove_file(path).expect("removed");
        }
        assert_eq!(verify::run(dir.path()).expect("reads"), left == 2);
    }
}

#[test]
fn all_that_several_kinds_of_damage_cost_is_told_with_its_sequences() {
    let dir = tempfile::tempdir().expect("folder");
    drop(written_in(dir.path(), 200, 10));
    let paths = segments(dir.path());
    let firsts: Vec<u64> = inspector(dir.path())
        .and_then(|inspector| Ok(inspector.segments()?))
        .expect("lists")
        .iter()
        .map(|segment| segment.first)
        .collect();
    assert_eq!(firsts, [3, 4, 5, 6, 7, 8, 9, 10]);
    flip(&paths[0], 100);
    let whole = fs::read(&paths[2]).expect("read");
    fs::write(&paths[2], &whole[..whole.len() / 2]).expect("cut");
    fs::write(&paths[3], b"").expect("emptied");
    fs::remove_file(&paths[5]).expect("removed");
    let mut told = String::new();
    assert!(!verify::verify(dir.path(), &mut told).expect("reads"));
    let done = repaired(dir.path());
    for text in [&told, &done] {
        for (file, sequence) in [(0, 3), (2, 5), (3, 6)] {
            let name = paths[file].file_name().expect("a name").to_string_lossy();
            let mut lines = text.lines().filter(|line| line.contains(&*name));
            let lost = format!("sequence {sequence} is lost");
            assert!(lines.any(|line| line.contains(&lost)), "{lost}: {text}");
        }
        assert!(text.contains("sequence 8 is not there"), "{text}");
    }
    assert!(
        done.ends_with("1 taken out, 3 batches known to be lost\n"),
        "{done}"
    );
    assert!(verify::run(dir.path()).expect("reads"), "mended");
}

#[test]
fn dead_letters_are_listed_with_their_reasons_and_each_becomes_a_file() {
    let dir = tempfile::tempdir().expect("folder");
    drop(written(dir.path()));
    let config = DeadLetterConfig {
        disk_bytes: 1 << 20,
    };
    let letters = DeadLetters::new(dir.path(), config);
    for reason in ["too\u{7} old", "too\u{7} old", "malformed"] {
        let letter = Letter {
            exporter: "main".to_owned(),
            sequence: 4,
            signal: Signal::Logs,
            at: UnixNanos(1),
            records: 1,
            status: "400".to_owned(),
            reason: reason.to_owned(),
            payload: request("line 4").into(),
        };
        letters.keep(&letter).expect("kept");
    }
    drop(letters);
    let text = ls::listed(dir.path()).expect("lists");
    assert!(
        text.contains("  main: 2 letters, 2 records: 400 too\\u{7} old\n"),
        "{text}"
    );
    let out = dir.path().join("out");
    let path = out.to_str().expect("text");
    exported(
        dir.path(),
        &["--format", "protobuf", "--dead-letters", "--out", path],
    );
    assert_eq!(fs::read_dir(&out).expect("there").count(), 3);
}

#[test]
fn what_came_after_an_exporter_was_removed_is_not_behind_it() {
    let dir = tempfile::tempdir().expect("folder");
    let journal = written(dir.path());
    let mut account = Account::default();
    account.leaves(crate::books::Place {
        through: 4,
        appended: Totals::default(),
    });
    let state = serde_json::to_vec(&account).expect("JSON");
    let mut main = journal.cursor("exporter-main").expect("free");
    main.commit(2, &state).expect("stored");
    let listed = ls::listed(dir.path()).expect("lists");
    let line = listed.lines().find(|line| line.starts_with("main"));
    let fields: Vec<&str> = line.expect("there").split_whitespace().collect();
    assert_eq!(fields.get(1..4), Some(&["2", "2", "2"][..]), "{listed}");
    let (_whole, text) = exported(dir.path(), &["--pending", "main", "--format", "text"]);
    assert_eq!(numbers(&text), [3, 4]);
}
