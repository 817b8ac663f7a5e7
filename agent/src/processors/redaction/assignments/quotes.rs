//! Quotes as they stand in texts that were escaped once more: `&quot;x&quot;` of pages, `%22x%22` of addresses, `\u0022x\u0022`.

use std::ops::Range;

use super::super::work;

/// Quotes, backslashes and closing brackets that may stand behind a key.
const MARKS_MAX: usize = 4;
/// Quotes in the escapes of markup, addresses and languages.
const ESCAPED: [&[u8]; 17] = [
    b"&quot;",
    b"&apos;",
    b"&#34;",
    b"&#39;",
    b"&#034;",
    b"&#039;",
    b"&#x22;",
    b"&#x27;",
    b"&amp;quot;",
    b"&amp;#34;",
    b"&amp;#39;",
    b"%22",
    b"%27",
    b"\\u0022",
    b"\\u0027",
    b"\\x22",
    b"\\x27",
];
/// Signs between a key and its value, in the same escapes, and as wide as Chinese characters.
const SIGNS: [(&[u8], u8); 10] = [
    (b"%3D", b'='),
    (b"%3d", b'='),
    (b"%3A", b':'),
    (b"%3a", b':'),
    (b"\\u003d", b'='),
    (b"\\u003D", b'='),
    (b"\\x3d", b'='),
    (b"&#61;", b'='),
    ("\u{ff1d}".as_bytes(), b'='),
    ("\u{ff1a}".as_bytes(), b':'),
];

/// The escaped quote that a text begins with.
pub(super) fn escaped(text: &[u8]) -> Option<&'static [u8]> {
    match text.first()? {
        b'&' | b'%' | b'\\' => ESCAPED.into_iter().find(|quote| text.starts_with(quote)),
        _ => None,
    }
}

/// The sign a text begins with, and its length.
pub(super) fn sign(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        // A path (`secret::Store`) or a column's type (`password::text`).
        [b':', b':', next, ..] if next.is_ascii_alphanumeric() => None,
        [b'=', b'=', b'=', ..] => Some((b'=', 3)),
        [b'=', b'=' | b'>', ..] => Some((b'=', 2)),
        // What follows is base64, in LDAP's records.
        [b':', b':', b' ', ..] | [b':', b'=', ..] => Some((b':', 2)),
        [sign @ (b'=' | b':'), ..] => Some((*sign, 1)),
        [b'%' | b'\\' | b'&' | 0xef, ..] => {
            let mut known = SIGNS.iter();
            let found = known.find(|(escaped, _)| text.starts_with(escaped));
            found.map(|(escaped, sign)| (*sign, escaped.len()))
        }
        _ => None,
    }
}

/// How many bytes of quotes, backslashes and closing brackets a text begins with.
pub(super) fn marks(text: &[u8]) -> usize {
    let mut length = 0;
    for _ in 0..MARKS_MAX {
        let rest = text.get(length..).unwrap_or_default();
        length += match rest.first() {
            Some(b'"' | b'\'' | b'`' | b']') => 1,
            Some(b'\\' | b'&' | b'%') => match escaped(rest) {
                Some(quote) => quote.len(),
                None if matches!(rest, [b'\\', b'"' | b'\'' | b'`' | b'\\' | b']', ..]) => 1,
                None => break,
            },
            _ => break,
        };
    }
    length
}

/// What stands between an escaped quote that ends before `start` and the next one.
pub(super) fn between(text: &[u8], start: usize, quote: &[u8]) -> Range<usize> {
    let rest = text.get(start..).unwrap_or_default();
    let length = memchr::memmem::find(rest, quote).unwrap_or(rest.len());
    work::read(length);
    start..start + length
}
