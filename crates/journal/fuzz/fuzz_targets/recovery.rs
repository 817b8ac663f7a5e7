//! Any bytes as two segments and a cursor file: the journal opens, reads to the end in order,
//! takes a record, and finds it again after reopening.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vervet_journal::{Entry, Journal, JournalConfig, JournalError};

fuzz_target!(|data: &[u8]| {
    let Some((&[first, second], rest)) = data.split_first_chunk::<2>() else { return };
    let (one, rest) = rest.split_at(rest.len().min(usize::from(first) * 16));
    let (two, cursor) = rest.split_at(rest.len().min(usize::from(second) * 16));
    let dir = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(dir.path().join("cursors")).expect("folder");
    for (name, bytes) in [
        ("00000000000000000001.seg", one),
        ("00000000000000000009.seg", two),
        ("cursors/main.cur", cursor),
    ] {
        std::fs::write(dir.path().join(name), bytes).expect("file");
    }
    let sequence = match Journal::open(JournalConfig::new(dir.path())) {
        // The fuzzer has forged an intact header of a later version.
        Err(JournalError::UnsupportedVersion { .. }) => return,
        opened => {
            let (journal, _) = opened.expect("damage never keeps a journal from opening");
            read_in_order(&journal);
            let entry = Entry { kind: 1, parts: &[b"new"] };
            *journal.append(&[entry]).expect("append").end()
        }
    };
    let (journal, _) = Journal::open(JournalConfig::new(dir.path())).expect("open again");
    assert_eq!(journal.last_sequence(), sequence);
    assert_eq!(read_in_order(&journal), sequence);
});

fn read_in_order(journal: &Journal) -> u64 {
    let mut cursor = journal.cursor("main").expect("cursor");
    let mut last = cursor.committed();
    loop {
        let records = cursor.read(1 << 20).expect("read");
        if records.is_empty() {
            return last;
        }
        for record in records {
            assert!(record.sequence > last);
            last = record.sequence;
        }
    }
}
