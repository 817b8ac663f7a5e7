use super::*;

#[test]
fn byte_order_marks_decide() {
    let auto = |bytes: &[u8]| EncodingSpec::Auto.resolve(bytes, false);
    assert_eq!(auto(b"\xff\xfea\0"), Some((Encoding::Utf16Le, 2)));
    assert_eq!(auto(b"\xfe\xff\0a"), Some((Encoding::Utf16Be, 2)));
    assert_eq!(auto(b"\xef\xbb\xbfa"), Some((Encoding::Utf8, 3)));
    assert_eq!(auto(b"plain"), Some((Encoding::Utf8, 0)));
    for few in [&b""[..], b"\xff", b"\xef\xbb", b"\xfe"] {
        assert_eq!(auto(few), None, "{few:?}");
        let at_end = EncodingSpec::Auto.resolve(few, true);
        assert_eq!(at_end, Some((Encoding::Utf8, 0)), "{few:?}");
    }
    let fixed = EncodingSpec::Utf16Be.resolve(b"\0a", false);
    assert_eq!(fixed, Some((Encoding::Utf16Be, 0)));
    let foreign = EncodingSpec::Latin1.resolve(b"\xff\xfe", false);
    assert_eq!(foreign, Some((Encoding::Latin1, 0)));
}

#[test]
fn line_feeds_are_whole_units() {
    // U+0A00 and U+010A hold the byte of a line feed without being one.
    let little = b"\x00\x0a\x0a\x01\x0a\x00";
    assert_eq!(Encoding::Utf16Le.find_line_feed(little), Some(4));
    let big = b"\x0a\x00\x01\x0a\x00\x0a";
    assert_eq!(Encoding::Utf16Be.find_line_feed(big), Some(4));
    assert_eq!(Encoding::Utf8.find_line_feed(b"ab\n"), Some(2));
}

#[test]
fn cuts_do_not_split_characters() {
    assert_eq!(Encoding::Utf8.boundary("aé".as_bytes(), 2), 1);
    assert_eq!(Encoding::Latin1.boundary(b"abc", 2), 2);
    let units =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    assert_eq!(Encoding::Utf16Le.boundary(&units("ab😀"), 6), 4);
    assert_eq!(Encoding::Utf16Le.boundary(&units("abc"), 3), 2);
}

#[test]
fn what_is_no_text_is_replaced_and_told() {
    let utf8 = Encoding::Utf8.decode(Cow::Borrowed(b"caf\xe9"));
    assert_eq!((&*utf8.text, utf8.replaced), ("caf\u{fffd}", true));
    let latin = Encoding::Latin1.decode(Cow::Borrowed(b"caf\xe9"));
    assert_eq!((&*latin.text, latin.replaced), ("café", false));
    let unpaired = Encoding::Utf16Le.decode(Cow::Borrowed(b"a\0\x00\xd8b\0!"));
    assert_eq!(
        (&*unpaired.text, unpaired.replaced),
        ("a\u{fffd}b\u{fffd}", true)
    );
}
