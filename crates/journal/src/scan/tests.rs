use super::*;
use crate::fs::{FileSystem, OsFileSystem};
use crate::journal::Entry;
use crate::request::Request;

/// Records 1..=count of 10 payload bytes each, without a segment header.
fn encoded(count: usize) -> Vec<u8> {
    let payload: &[&[u8]] = &[b"0123456789"];
    let entries = vec![
        Entry {
            kind: 1,
            parts: payload
        };
        count
    ];
    let mut request = Request::encode(&entries, 100, 1 << 20).unwrap();
    request.number(1, 1, true);
    request.encoded().to_vec()
}

/// Sequences and corrupt ranges, in order.
#[derive(Debug, PartialEq)]
enum Seen {
    Record(u64),
    Corrupt(u64, u64),
}

fn scan(bytes: &[u8]) -> Vec<Seen> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    std::fs::write(&path, bytes).unwrap();
    let file = OsFileSystem.open_read(&path).unwrap();
    let mut scanner = Scanner::new(1, 0, bytes.len() as u64);
    let mut seen = Vec::new();
    while let Some(found) = scanner.next(&*file).unwrap() {
        seen.push(match found {
            Found::Record { header, .. } => Seen::Record(header.sequence),
            Found::Corrupt { offset, end } => Seen::Corrupt(offset, end),
        });
    }
    seen
}

#[test]
fn a_damaged_payload_costs_one_record() {
    let mut bytes = encoded(3);
    bytes[34 + 24] ^= 1;
    assert_eq!(
        scan(&bytes),
        [Seen::Record(1), Seen::Corrupt(34, 68), Seen::Record(3)]
    );
}

#[test]
fn a_damaged_header_costs_one_record() {
    let mut bytes = encoded(3);
    bytes[34] ^= 1;
    assert_eq!(
        scan(&bytes),
        [Seen::Record(1), Seen::Corrupt(34, 68), Seen::Record(3)]
    );
}

#[test]
fn foreign_bytes_between_records_are_stepped_over() {
    let mut bytes = encoded(2);
    bytes.splice(34..34, [7; 1001]);
    assert_eq!(
        scan(&bytes),
        [Seen::Record(1), Seen::Corrupt(34, 1035), Seen::Record(2)]
    );
}

#[test]
fn a_repeated_record_is_not_read_twice() {
    let mut bytes = encoded(2);
    bytes.extend_from_within(..34);
    assert_eq!(
        scan(&bytes),
        [Seen::Record(1), Seen::Record(2), Seen::Corrupt(68, 102)]
    );
}

#[test]
fn a_cut_record_is_corrupt_to_the_end() {
    let bytes = encoded(2);
    assert_eq!(scan(&bytes[..60]), [Seen::Record(1), Seen::Corrupt(34, 60)]);
    assert_eq!(scan(&bytes[..40]), [Seen::Record(1), Seen::Corrupt(34, 40)]);
}

#[test]
fn a_promised_length_beyond_the_file_allocates_nothing() {
    let header = RecordHeader {
        payload_bytes: 64 << 20,
        payload_crc: 0,
        sequence: 1,
        kind: 0,
        last_of_append: true,
        after_sync: false,
    };
    let bytes = header.encode(1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    std::fs::write(&path, bytes).unwrap();
    let file = OsFileSystem.open_read(&path).unwrap();
    let mut scanner = Scanner::new(1, 0, 24);
    assert_eq!(
        scanner.next(&*file).unwrap(),
        Some(Found::Corrupt { offset: 0, end: 24 })
    );
    assert!(
        scanner.window.capacity() <= 24,
        "{}",
        scanner.window.capacity()
    );
}
