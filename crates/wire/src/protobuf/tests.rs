use super::*;

#[test]
fn truncated_and_overlong_input_is_an_error_not_a_panic() {
    for bytes in [
        &[0x0a_u8, 5, 1][..],
        &[0x08],
        &[0x80; 11],
        &[0x09, 1, 2],
        &[0x00],
        &[0x0b],
    ] {
        let mut reader = Reader::new(bytes);
        assert!(reader.next_field().is_err(), "{bytes:?}");
    }
}

#[test]
fn long_nested_messages_get_their_length_right() {
    for size in [0, 1, 126, 127, 128, 16_383, 16_384, 70_000] {
        let mut out = Vec::new();
        Writer::new(&mut out).message(1, |w| w.message(2, |w| w.bytes(3, &vec![7; size])));
        let (_, field) = Reader::new(&out)
            .next_field()
            .expect("valid")
            .expect("one field");
        let mut inner = Reader::new(field.bytes(1).expect("message"));
        let (_, field) = inner.next_field().expect("valid").expect("one field");
        let body = field.bytes(2).expect("message");
        let payload = Reader::new(body)
            .next_field()
            .expect("valid")
            .map(|(_, field)| field.bytes(3).expect("bytes").len());
        assert_eq!(payload.unwrap_or(0), size);
        assert!(inner.is_empty());
    }
}

#[test]
fn signed_integers_zigzag() {
    for value in [0, 1, -1, i32::MAX, i32::MIN] {
        let mut out = Vec::new();
        Writer::new(&mut out).sint32(6, value);
        let raw = Reader::new(&out)
            .next_field()
            .expect("valid")
            .map_or(0, |(_, field)| field.varint(6).expect("varint"));
        let raw = u32::try_from(raw).expect("32 bits");
        assert_eq!((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), value);
    }
}
