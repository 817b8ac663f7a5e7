//! Short ways to write and read.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use vervet_journal::{Cursor, Entry, Journal, JournalConfig, JournalError, RecoveryReport};

/// Small segments, so that tests meet several.
pub(crate) fn config(dir: &Path) -> JournalConfig {
    JournalConfig {
        segment_bytes_max: 256,
        ..JournalConfig::new(dir)
    }
}

pub(crate) fn open(dir: &Path) -> (Journal, RecoveryReport) {
    Journal::open(config(dir)).unwrap()
}

pub(crate) fn append(journal: &Journal, payload: &[u8]) -> Result<u64, JournalError> {
    journal
        .append(&[Entry {
            kind: 1,
            parts: &[payload],
        }])
        .map(|range| *range.end())
}

pub(crate) fn append_all(
    journal: &Journal,
    payloads: &[Vec<u8>],
) -> Result<RangeInclusive<u64>, JournalError> {
    let parts: Vec<[&[u8]; 1]> = payloads
        .iter()
        .map(|payload| [payload.as_slice()])
        .collect();
    let entries: Vec<_> = parts.iter().map(|parts| Entry { kind: 1, parts }).collect();
    journal.append(&entries)
}

/// 60-byte payloads, two records a segment, whose text is their sequence.
pub(crate) fn fill(journal: &Journal, count: u64) {
    for _ in 0..count {
        let next = journal.last_sequence() + 1;
        assert_eq!(
            append(journal, format!("{next:>60}").as_bytes()).unwrap(),
            next
        );
    }
}

/// Everything left for the cursor, with payloads as text.
pub(crate) fn drain(cursor: &mut Cursor) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    loop {
        let records = cursor.read(100).unwrap();
        if records.is_empty() {
            return all;
        }
        for record in records {
            all.push((
                record.sequence,
                String::from_utf8(record.payload.to_vec()).unwrap(),
            ));
        }
    }
}

pub(crate) fn sequences(cursor: &mut Cursor) -> Vec<u64> {
    drain(cursor)
        .into_iter()
        .map(|(sequence, payload)| {
            assert_eq!(payload.trim(), sequence.to_string());
            sequence
        })
        .collect()
}

pub(crate) fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}
