//! What a repair takes out is booked as damage, and what made room beside it as that.

use std::collections::BTreeMap;

use super::*;
use crate::agent::{Agent, AgentOptions};
use crate::books::{Account, Books, Gone, Loss};
use crate::buffer::{Amount, note, unbooked};
use crate::config::substitute::SystemSources;
use crate::pipeline::SignalSet;

/// Segments of two batches.
const SEGMENT_BYTES_MAX: u64 = 500;
const BATCHES: u32 = 10;

/// A buffer of ten batches, one record each, of which `main` has settled two.
fn written_with_totals(data_dir: &Path) -> Journal {
    let config = JournalConfig {
        segment_bytes_max: SEGMENT_BYTES_MAX,
        ..JournalConfig::new(data_dir.join(FOLDER))
    };
    let (journal, _) = Journal::open(config).expect("opens");
    journal.cursor("checkpoints").expect("created");
    let mut main = journal.cursor("exporter-main").expect("created");
    let (mut totals, mut settled) = (Totals::default(), Totals::default());
    for number in 1..=BATCHES {
        let mut header = Vec::new();
        let at = UnixNanos(1_700_000_000_000_000_000);
        encode_header(&mut header, "files", 1, at, &totals, &[]);
        let request = request(&format!("line {number:>60}"));
        let bytes = request.len() as u64;
        totals.add(Signal::Logs, Amount { records: 1, bytes });
        let parts = [&header[..], &request[..]];
        let kind = Signal::Logs as u8;
        let entry = Entry {
            kind,
            parts: &parts,
        };
        let noted = note(&totals);
        journal.append_noting(&[entry], &noted).expect("stored");
        if number == 2 {
            settled = totals;
        }
    }
    let books = Books::default();
    let logs = SignalSet::default().with(Signal::Logs);
    books.open("main", logs, Account::default(), &Totals::default());
    books.appended(Signal::Logs, totals.get(Signal::Logs));
    books.delivered("main", Signal::Logs, settled.get(Signal::Logs));
    let account = serde_json::to_vec(&books.account("main")).expect("encoded");
    main.commit(2, &account).expect("stored");
    journal
}

/// Damages the text of a batch.
fn damage(data_dir: &Path, number: u32) {
    let text = format!("{number:>60}");
    for path in segments(data_dir) {
        let bytes = fs::read(&path).expect("read");
        let place = bytes.windows(60).position(|at| at == text.as_bytes());
        if let Some(at) = place {
            return flip(&path, at);
        }
    }
    panic!("there is no batch {number}");
}

/// Starts an agent whose exporter may lose its oldest records: what it books, once nothing is held.
async fn booked(data_dir: &Path) -> BTreeMap<String, u64> {
    let text = format!(
        "data_dir: {0}\n\
         receivers:\n  otlp: {{type: otlp, grpc: 127.0.0.1:0}}\n\
         exporters:\n  main: {{type: file, path: {0}/out.jsonl, queue: {{on_full: drop_oldest}}}}\n\
         pipelines:\n  logs: {{from: [otlp], to: [main]}}\n\
         admin: {{listen: 127.0.0.1:0}}\n",
        data_dir.display()
    );
    let config = AgentConfig::parse("test.yaml", &text, &SystemSources).expect("valid");
    let agent = Agent::start(config, AgentOptions::default()).await;
    let agent = agent.expect("starts");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let status = agent.status();
        let book = status.books.iter().find(|line| line.signal == "logs");
        let book = book.expect("a line").clone();
        assert!(book.balances(), "{book:?}");
        if book.held.is_zero() {
            agent.shutdown(std::time::Duration::from_secs(5)).await;
            let dropped = book.dropped.into_iter();
            return dropped.map(|(why, gone)| (why, gone.records)).collect();
        }
        assert!(std::time::Instant::now() < end, "{book:?}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

fn damaged(records: u64) -> BTreeMap<String, u64> {
    [("lost_to_damage".to_owned(), records)].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_repair_lets_go_is_booked_as_damage_wherever_it_was() {
    // At the end of a segment, at the beginning, all of one in the middle, all of the first one there is, the last ones.
    for lost in [&[4][..], &[5], &[5, 6], &[3, 4], &[9, 10]] {
        let dir = tempfile::tempdir().expect("folder");
        drop(written_with_totals(dir.path()));
        lost.iter().for_each(|number| damage(dir.path(), *number));
        assert!(repair::run(dir.path(), false).expect("repairs"));
        assert_eq!(
            booked(dir.path()).await,
            damaged(lost.len() as u64),
            "{lost:?}"
        );
    }
}

/// Takes batches 5 and 6, as `drop_oldest` does while the exporter is at work: it stores what is gone soon afterwards.
fn evict(data_dir: &Path) {
    let path = segments(data_dir).remove(2);
    let inspector = inspector(data_dir).expect("opens");
    let mut before = BTreeMap::new();
    for segment in inspector.segments().expect("lists") {
        let read = inspector.read::<vervet_journal::JournalError>(&segment, &mut |item| {
            if let vervet_journal::Item::Record(record) = item {
                let (header, _) = decode(record.payload).expect("a header");
                before.insert(record.sequence, header.before);
            }
            Ok(())
        });
        assert!(read.expect("reads"));
    }
    let config = JournalConfig::new(data_dir.join(FOLDER));
    let (journal, _) = Journal::open(config).expect("opens");
    let mut main = journal.cursor("exporter-main").expect("opens");
    let mut account: Account = serde_json::from_slice(main.state()).expect("decoded");
    account.add_gone([Gone {
        from: before[&5],
        to: before[&7],
        loss: Loss::Evicted,
    }]);
    let account = serde_json::to_vec(&account).expect("encoded");
    main.commit(2, &account).expect("stored");
    drop((main, journal));
    fs::remove_file(path).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_each_other_eviction_and_damage_keep_their_reasons() {
    for repairs in [false, true] {
        let dir = tempfile::tempdir().expect("folder");
        drop(written_with_totals(dir.path()));
        evict(dir.path());
        damage(dir.path(), 4);
        if repairs {
            assert!(repair::run(dir.path(), false).expect("repairs"));
        }
        let booked = booked(dir.path()).await;
        assert_eq!(booked["lost_to_damage"], 1, "{booked:?}");
        assert_eq!(booked["evicted_by_drop_oldest"], 2, "{booked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_booked_at_once_is_booked_by_the_next_start_or_repair() {
    for starts in [false, true] {
        let dir = tempfile::tempdir().expect("folder");
        drop(written_with_totals(dir.path()));
        damage(dir.path(), 4);
        // An agent has the buffer open again as soon as it is repaired.
        let (mut told, mut agent) = (String::new(), None);
        let mut tell = |text: &str| {
            told.push_str(text);
            let opened = Journal::open(JournalConfig::new(dir.path().join(FOLDER)));
            agent = Some(opened.expect("opens"));
            Ok(())
        };
        let failed = repair::repaired(dir.path(), &mut tell).expect_err("not booked");
        drop(agent);
        let failed = format!("{failed:#}");
        assert!(failed.contains("not in the books yet"), "{failed}");
        assert!(
            told.contains("1 taken out, 1 batches known to be lost"),
            "{told}"
        );
        if !starts {
            assert!(repair::run(dir.path(), false).expect("repairs"));
        }
        assert_eq!(booked(dir.path()).await, damaged(1), "{starts}");
        assert_eq!(unbooked::load(dir.path()).expect("read"), []);
    }
}

#[test]
fn a_repair_that_is_refused_leaves_nothing_to_book() {
    let dir = tempfile::tempdir().expect("folder");
    let journal = written_with_totals(dir.path());
    damage(dir.path(), 4);
    assert!(repair::run(dir.path(), false).is_err(), "in use");
    drop(journal);
    assert_eq!(unbooked::load(dir.path()).expect("read"), []);
}
