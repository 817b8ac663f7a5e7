use proptest::prelude::*;

use super::*;

fn header() -> RecordHeader {
    RecordHeader {
        payload_bytes: 5,
        payload_crc: 7,
        sequence: 12,
        kind: 3,
        last_of_append: true,
        after_sync: true,
    }
}

#[test]
fn every_single_bit_flip_of_a_record_header_is_noticed() {
    let bytes = header().encode(10);
    assert_eq!(RecordHeader::decode(&bytes, 10), Some(header()));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(RecordHeader::decode(&flipped, 10), None, "bit {bit}");
    }
}

#[test]
fn a_record_header_is_valid_only_in_its_own_segment() {
    assert_eq!(RecordHeader::decode(&header().encode(10), 11), None);
}

#[test]
fn zeros_are_no_header() {
    assert_eq!(RecordHeader::decode(&[0; 24], 1), None);
    assert_eq!(decode_segment_header(&[0; 32]), SegmentHeader::Invalid);
}

#[test]
fn a_later_version_is_told_from_damage() {
    let mut bytes = encode_segment_header(9, SEGMENT_VERSION);
    assert_eq!(
        decode_segment_header(&bytes),
        SegmentHeader::Valid {
            first: 9,
            version: 2
        }
    );
    bytes[8] = 3;
    assert_eq!(decode_segment_header(&bytes), SegmentHeader::Invalid);
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(
        decode_segment_header(&bytes),
        SegmentHeader::Newer { version: 3 }
    );
}

#[test]
fn only_segment_names_parse() {
    assert_eq!(parse_segment_file_name(&segment_file_name(77)), Some(77));
    for name in [
        "1.seg",
        "+0000000000000000001.seg",
        "00000000000000000000.seg",
        "lock",
        "é.seg",
    ] {
        assert_eq!(parse_segment_file_name(name), None, "{name}");
    }
    assert_eq!(parse_segment_file_name("18446744073709551615.seg"), None);
}

proptest! {
    #[test]
    fn record_headers_round_trip(
        payload_bytes in 0..=RECORD_BYTES_LIMIT,
        payload_crc: u32,
        sequence in 1..SEQUENCE_LIMIT,
        kind: u8,
        last_of_append: bool,
        after_sync: bool,
    ) {
        let header = RecordHeader { payload_bytes, payload_crc, sequence, kind, last_of_append, after_sync };
        prop_assert_eq!(RecordHeader::decode(&header.encode(1), 1), Some(header));
    }
}
