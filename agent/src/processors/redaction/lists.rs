//! Items of lists that are values of the item before: `["Authorization", "Basic x"]`, `[["cookie", "a=b"]]`, and Node's
//! `["Host", "a", "Authorization", "token x"]`.
//!
//! Lists of names look alike (`["authorization", "cookie"]`, `["password", "email"]`), so the second item decides, and how
//! the two stand.

use super::judged;

/// Keys whose values are whole lines: they hold spaces and signs.
pub(super) const HEADERS: [&[u8]; 2] = [b"cookie", b"authorization"];
/// Longest name of a header (bytes).
const NAME_BYTES_MAX: usize = 48;
/// Names of headers that may hold digits.
const NUMBERED: [&[u8]; 4] = [b"x-", b"content-", b"http2-", b"sec-"];
/// Ways to log in, which stand beside `password`.
const METHODS: [&[u8]; 8] = [
    b"oauth1", b"oauth2", b"saml2", b"fido2", b"2fa", b"u2f", b"sha256", b"sha512",
];

/// How a key and what may be its value stand in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The only two of a list that is an item of a list.
    InnerPair,
    /// The only two of a list.
    Pair,
    /// Two of several that are names and values in turns.
    InTurns,
    /// Two of several.
    Among,
}

/// Lists of names and values in turns, as Node and others name those of headers: `rawHeaders`, `raw_headers`.
const IN_TURNS: [&str; 2] = ["rawHeaders", "raw_headers"];

/// Whether a list is one of names and values in turns, by its name.
pub(super) fn is_in_turns(name: &str) -> bool {
    IN_TURNS.iter().any(|end| name.ends_with(end))
}

/// Where the name of such a list last ends in a text, if one is there.
pub(super) fn last_in_turns(text: &[u8]) -> Option<usize> {
    let places = IN_TURNS
        .iter()
        .filter_map(|name| memchr::memmem::rfind(text, name.as_bytes()).map(|at| at + name.len()));
    places.max()
}

/// Whether `value`, the item behind `key`, is its value.
pub(super) fn is_value(key: &[u8], value: &[u8], place: Place) -> bool {
    let is_option = key.starts_with(b"--");
    let is_header = HEADERS.iter().any(|header| ends_in(key, header));
    match place {
        _ if is_option => !matches!(value.first(), None | Some(b'-' | b'<' | b'$' | b'{')),
        Place::InnerPair | Place::InTurns => value.iter().any(u8::is_ascii_alphanumeric),
        _ if is_name(value) => false,
        _ if is_header => value.iter().any(u8::is_ascii_alphanumeric),
        Place::Pair => is_one_word(value) && !is_method(value),
        Place::Among => judged::looks_secret(value, true),
    }
}

/// Whether a name ends in this, in any case.
pub(super) fn ends_in(name: &[u8], end: &[u8]) -> bool {
    let at = name.len().checked_sub(end.len());
    at.and_then(|at| name.get(at..))
        .is_some_and(|last| last.eq_ignore_ascii_case(end))
}

/// Whether a text could be the name of a header or a field.
fn is_name(text: &[u8]) -> bool {
    let is_numbered = NUMBERED.iter().any(|head| {
        let begin = text.get(..head.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(head))
    });
    let is_part = |byte: &u8| {
        byte.is_ascii_alphabetic()
            || matches!(byte, b'-' | b'_' | b'.')
            || (is_numbered && byte.is_ascii_digit())
    };
    text.len() <= NAME_BYTES_MAX && text.iter().all(is_part)
}

fn is_one_word(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte > b' ') && text.iter().any(u8::is_ascii_alphanumeric)
}

fn is_method(text: &[u8]) -> bool {
    METHODS
        .iter()
        .any(|method| text.eq_ignore_ascii_case(method))
}
