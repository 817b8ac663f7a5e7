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
fn a_wrong_guess_of_a_length_changes_nothing() {
    let inner = |size: usize| vec![7; size];
    for size in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        let mut expected = vec![0x0a];
        let mut length = [0; 10];
        let used = writer::encode_varint(size as u64, &mut length);
        assert_eq!(varint_width(size as u64), used);
        expected.extend_from_slice(&length[..used]);
        expected.extend_from_slice(&inner(size));
        for width in 0..7 {
            let mut out = vec![9];
            Writer::new(&mut out).message_of(1, width, |w| w.raw(&inner(size)));
            assert!(out[1..] == expected, "{size} bytes, {width} expected");
        }
        let mut out = vec![9];
        let mut w = Writer::new(&mut out);
        w.message_head(1, size);
        w.raw(&inner(size));
        assert!(out[1..] == expected, "{size} bytes");
    }
    assert_eq!(varint_width(u64::MAX), 10);
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

/// Message 1 { field 2: text; message 3 { field 4: `inner` } } and field 5 after it.
fn nested(text: &[u8], inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    w.message(1, |w| {
        w.bytes(2, text);
        w.message(3, |w| w.bytes_always(4, inner));
    });
    w.varint(5, 6);
    out
}

/// Where the bytes of field 4 of `nested` stand with their key, inside two messages.
fn places(
    source: &[u8],
) -> (
    std::ops::Range<usize>,
    std::ops::Range<usize>,
    std::ops::Range<usize>,
) {
    let body = |of: std::ops::Range<usize>, wanted: u32| {
        let mut reader = Reader::new(&source[of.clone()]);
        loop {
            let (number, field) = reader.next_field().expect("valid").expect("present");
            if number == wanted {
                let end = of.end - reader.remaining();
                return end - field.bytes(number).expect("message").len()..end;
            }
        }
    };
    let outer = body(0..source.len(), 1);
    let middle = body(outer.clone(), 3);
    let inner = body(middle.clone(), 4);
    (outer, middle, inner)
}

#[test]
fn a_rewritten_field_gets_the_lengths_around_it_right() {
    for before in [0, 1, 100, 200, 20_000] {
        for after in [0, 1, 110, 130, 300, 70_000] {
            let source = nested(b"kept", &vec![1; before]);
            let (outer, middle, inner) = places(&source);
            let mut rewriter = Rewriter::new(&source);
            rewriter.enter(0, outer.clone());
            rewriter.enter(outer.start + 6, middle.clone());
            rewriter.replace(middle.start..inner.end, |w| {
                w.bytes_always(4, &vec![2; after]);
            });
            rewriter.leave();
            rewriter.leave();
            let expected = nested(b"kept", &vec![2; after]);
            assert_eq!(rewriter.finish(), Some(expected), "{before} {after}");
        }
    }
}

#[test]
fn messages_left_out_are_gone_whether_changed_before_or_not() {
    let source = nested(b"kept", b"inner");
    let (outer, middle, _) = places(&source);
    for change_first in [false, true] {
        let mut rewriter = Rewriter::new(&source);
        rewriter.enter(0, outer.clone());
        rewriter.enter(outer.start + 6, middle.clone());
        if change_first {
            rewriter.remove(middle.clone());
        }
        rewriter.leave_out();
        rewriter.leave();
        let mut expected = Vec::new();
        let mut w = Writer::new(&mut expected);
        w.message(1, |w| w.bytes(2, b"kept"));
        w.varint(5, 6);
        assert_eq!(rewriter.finish(), Some(expected));
    }
}

#[test]
fn nothing_rewritten_is_nothing_copied() {
    let source = nested(b"kept", b"inner");
    let (outer, ..) = places(&source);
    let mut rewriter = Rewriter::new(&source);
    rewriter.enter(0, outer);
    rewriter.leave();
    assert_eq!(rewriter.finish(), None);
}
