use arrow::array::RecordBatch;
use vervet_wire::otlp::{KeyValue, LogRecord, Scope, Value, write_resource_logs};

use super::*;
use crate::fixtures::{at, decoded, resource};
use crate::ingest::Content;
use crate::segment::sort_batch;
use crate::tables::{Layout, Table};

/// Records `from..to`, with the number in body, attribute and trace id.
fn batch(from: u32, to: u32) -> RecordBatch {
    let mut body = Vec::new();
    write_resource_logs(&mut body, &resource("api"), &Scope::default(), |writer| {
        for number in from..to {
            let mut trace_id = [1; 16];
            trace_id[..4].copy_from_slice(&number.to_be_bytes());
            writer.push(&LogRecord {
                time_unix_nano: at(i64::from(number)).0.unsigned_abs(),
                severity_number: 9,
                body: Value::from(format!("order n{number}x accepted")),
                attributes: vec![KeyValue::new("order.id", format!("id-{number}"))],
                trace_id: &trace_id,
                ..LogRecord::default()
            });
        }
    });
    match decoded(vervet_model::Signal::Logs, &body).content {
        Content::Logs(batch) => batch,
        other => panic!("{other:?}"),
    }
}

const KINDS: [FilterKind; 2] = [FilterKind::Blooms, FilterKind::Ribbons];

fn builder(kind: FilterKind) -> IndexBuilder {
    IndexBuilder::new(&Layout::fixed(Table::Logs), kind).unwrap()
}

/// A blob over row groups of these sizes, of records numbered on and on.
fn built(kind: FilterKind, sizes: &[u32]) -> (IndexHeader, Vec<u8>) {
    let mut builder = builder(kind);
    let mut from = 0;
    for size in sizes {
        let rows = sort_batch(Table::Logs, &batch(from, from + size)).unwrap();
        builder.add(&rows.slice(0, rows.num_rows() / 2));
        builder.add(&rows.slice(rows.num_rows() / 2, rows.num_rows() - rows.num_rows() / 2));
        builder.end_group();
        from += size;
    }
    let (place, blob) = builder.finish(1 << 30).unwrap();
    assert_eq!(place.length, blob.len() as u64);
    (IndexHeader::parse(place, &blob).unwrap(), blob)
}

/// What the blob of a file says, read at its place.
fn try_look_up(
    header: &IndexHeader,
    blob: &[u8],
    hash: u64,
) -> Result<Option<Vec<bool>>, IndexError> {
    header.look_up(hash, |offset, length| {
        let start = usize::try_from(offset - (1 << 30)).unwrap();
        blob.get(start..start + length)
    })
}

fn look_up(header: &IndexHeader, blob: &[u8], hash: u64) -> Vec<bool> {
    try_look_up(header, blob, hash).unwrap().unwrap()
}

#[test]
fn every_token_is_found_in_its_row_group() {
    let sizes = [vec![500], vec![100, 2_000, 3, 700], vec![2_000, 10, 10]];
    let cases = sizes
        .iter()
        .flat_map(|sizes| KINDS.map(|kind| (kind, sizes)));
    for (kind, sizes) in cases {
        let (header, blob) = built(kind, sizes);
        let key = token::KeyHash::new("order_id");
        let (mut number, mut also) = (0_u32, 0);
        for (group, size) in sizes.iter().enumerate() {
            for _ in 0..*size {
                let mut trace_id = [1; 16];
                trace_id[..4].copy_from_slice(&number.to_be_bytes());
                for hash in [
                    token::body_word(&format!("n{number}x")),
                    key.with_value(&format!("id-{number}")),
                    token::id(&trace_id),
                ] {
                    let found = look_up(&header, &blob, hash);
                    assert_eq!(found.len(), sizes.len());
                    assert!(found[group], "{sizes:?} {number}");
                    also += found.iter().filter(|found| **found).count() - 1;
                }
                number += 1;
            }
        }
        let lookups = usize::try_from(number).unwrap() * 3 * (sizes.len() - 1);
        assert!(
            also * 3 <= lookups,
            "{sizes:?}: {also} of {lookups} lookups were in vain"
        );
        assert!(
            look_up(&header, &blob, token::body_word("order"))
                .iter()
                .all(|found| *found)
        );
        assert!(
            look_up(&header, &blob, key.in_own_map())
                .iter()
                .all(|found| *found)
        );
    }
}

#[test]
fn the_cube_counts_every_record() {
    let (header, blob) = built(FilterKind::Ribbons, &[100, 200]);
    let (offset, length) = header.cube_range().unwrap();
    let start = usize::try_from(offset - (1 << 30)).unwrap();
    let cube = header.cube(&blob[start..start + length]).unwrap();
    assert_eq!(cube.groups.len(), 1);
    let records: u64 = cube.groups[0]
        .minutes
        .values()
        .map(|minute| minute.first.records + minute.rest.records)
        .sum();
    assert_eq!(records, 300);
    // One record a second: each minute has one at its first nanosecond.
    assert!(
        cube.groups[0]
            .minutes
            .values()
            .all(|minute| minute.first.records == 1)
    );
}

#[test]
fn counts_are_judged_by_all_rows_of_a_segment() {
    // A record every 20 seconds, three a minute: too few for counts. With ten times as many they are worth it.
    let records = batch(0, 20_000);
    let counted = |times: i64| {
        let mut builder = builder(FilterKind::Blooms);
        for _ in 0..times {
            for start in (0..20_000).step_by(1_000) {
                let part = records.slice(start, 1_000);
                let step: Vec<u32> = (0..50).map(|row| row * 20).collect();
                let step = arrow::array::UInt32Array::from(step);
                builder.add(&arrow::compute::take_record_batch(&part, &step).unwrap());
            }
        }
        builder.end_group();
        let (place, blob) = builder.finish(1 << 30).unwrap();
        IndexHeader::parse(place, &blob)
            .unwrap()
            .cube_range()
            .is_some()
    };
    assert!(!counted(1));
    assert!(counted(10));
}

#[test]
fn a_damaged_header_is_refused() {
    for kind in KINDS {
        let (header, blob) = built(kind, &[300, 300]);
        let place = header.place;
        for byte in 0..HEADER_BYTES {
            let mut damaged = blob.clone();
            damaged[byte] ^= 3;
            assert!(IndexHeader::parse(place, &damaged).is_err(), "{byte}");
        }
        assert!(IndexHeader::parse(place, &blob[..HEADER_BYTES - 1]).is_err());
        let newer = [vec![9], blob[1..].to_vec()].concat();
        assert_eq!(
            IndexHeader::parse(place, &newer),
            Err(IndexError::Version(9))
        );
        let short = IndexPlace {
            length: place.length - 1,
            ..place
        };
        assert!(IndexHeader::parse(short, &blob).is_err());
    }
}

#[test]
fn damaged_filters_and_counts_are_told() {
    let hash = token::body_word("order");
    for kind in KINDS {
        let (header, mut blob) = built(kind, &[300, 300]);
        let (offset, length) = header.cube_range().unwrap();
        let start = usize::try_from(offset - (1 << 30)).unwrap();
        let mut cube = blob[start..start + length].to_vec();
        cube[length / 2] ^= 1;
        assert_eq!(header.cube(&cube), Err(IndexError::Damaged("cube")));

        let intact = try_look_up(&header, &blob, hash);
        let mut told = 0;
        for byte in start + length..blob.len() {
            blob[byte] ^= 0x10;
            match try_look_up(&header, &blob, hash) {
                Err(error) => {
                    assert_eq!(error, IndexError::Damaged("filters"), "{byte}");
                    told += 1;
                }
                // Another page than the token's.
                found => assert_eq!(found, intact, "{byte}"),
            }
            blob[byte] ^= 0x10;
        }
        assert!(told > 100, "{told} bytes are those of the token");
        let (found, cut) = (look_up(&header, &blob, hash), &blob[..start + length]);
        assert_eq!(found, [true, true]);
        assert!(try_look_up(&header, cut, hash).is_err());
    }
}

#[test]
fn filters_keep_to_their_share_of_the_file() {
    for kind in KINDS {
        let mut builder = builder(kind);
        builder.add(&batch(0, 5_000));
        builder.end_group();
        let (place, _blob) = builder.finish(50_000).unwrap();
        assert!(place.length < 7_000, "{kind:?} {}", place.length);
        assert!(IndexBuilder::new(&Layout::fixed(Table::Samples), kind).is_none());
    }
}

#[test]
fn ribbons_are_smaller_and_have_fewer_columns_for_want_of_room() {
    let bytes = |kind, room: u64| {
        let mut builder = builder(kind);
        builder.add(&batch(0, 20_000));
        builder.end_group();
        builder.finish(room).unwrap().0.length
    };
    let (blooms, ribbons) = (
        bytes(FilterKind::Blooms, 1 << 30),
        bytes(FilterKind::Ribbons, 1 << 30),
    );
    assert!(ribbons * 10 < blooms * 8, "{ribbons} {blooms}");
    let tight = bytes(FilterKind::Ribbons, ribbons * 5);
    assert!(tight * 2 <= ribbons && tight * 4 > ribbons, "{tight}");
}

#[test]
fn a_group_of_very_many_tokens_is_full() {
    let mut builder = ribbons::RibbonBuilder::default();
    let token = |number: u64| xxh3_64(&number.to_le_bytes());
    for _ in 0..3 {
        (0..500_000).for_each(|number| builder.put(token(number)));
        assert!(!builder.is_full(), "they are mostly the same");
    }
    (500_000..2_000_000).for_each(|number| builder.put(token(number)));
    assert!(builder.is_full());
    builder.end_group(1);
    assert!(!builder.is_full());
}
