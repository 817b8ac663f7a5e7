//! Values that running text gives to secret keys: `password=hunter2`, `"api_key": "abc"`, `Authorization: Basic eA==`,
//! `--password hunter2`, `{"name": "authorization", "value": "abc"}`.
//!
//! A structured line without a message is kept whole as the body, so what its keys hide must be found there, too. Linear
//! time: one search for all keys, then one look behind each.

mod apart;
mod items;
mod markup;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::judged;
use super::lists::{self, HEADERS};
use super::names::{self, SecretKey};

/// Forms of keys that are searched with one table of some hundred KiB; more take a smaller, slower form.
const TABLE_FORMS_MAX: usize = 200;
/// White space and colours that may stand around the sign (bytes or sequences).
const GAP_MAX: usize = 32;
/// Quotes, brackets and backslashes that may stand behind a key (bytes).
const QUOTES_MAX: usize = 4;
/// Parameters of a colour sequence (bytes).
const COLOUR_BYTES_MAX: usize = 16;
/// How a colour sequence begins, also where a text is escaped.
const COLOURS: [&[u8]; 6] = [
    b"\x1b[",
    b"\\u001b[",
    b"\\u001B[",
    b"\\x1b[",
    b"\\033[",
    b"\\e[",
];
/// What may stand between a key and the sign: `password.value=`.
const VALUES: [&[u8]; 4] = [b".value", b"_value", b"-value", b"Value"];

/// The search for values of keys.
pub(super) struct Assignments {
    search: AhoCorasick,
    /// By pattern.
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    /// It must be a whole name.
    is_whole: bool,
    /// Only values that look like secrets are.
    is_judged: bool,
}

/// A key in a text, with the sign behind it.
#[derive(Debug, Clone, Copy)]
struct Key {
    is_header: bool,
    is_cookie: bool,
    /// A quote ends its name, as in JSON.
    is_quoted: bool,
    /// `=` or `:`
    sign: u8,
    is_judged: bool,
}

impl Assignments {
    /// `None` without keys.
    ///
    /// # Errors
    /// The search cannot be built.
    pub(super) fn new(keys: &[SecretKey]) -> Result<Option<Self>, String> {
        if keys.is_empty() {
            return Ok(None);
        }
        // Each form once.
        let mut forms: BTreeMap<String, Kind> = BTreeMap::new();
        for key in keys {
            for between in ["_", "-", ".", ""] {
                let kind = forms.entry(key.name.replace('_', between));
                let kind = kind.or_insert(Kind {
                    is_whole: key.is_whole,
                    is_judged: key.is_judged,
                });
                kind.is_whole &= key.is_whole;
                kind.is_judged &= key.is_judged;
            }
        }
        forms.remove("");
        let (forms, kinds): (Vec<String>, Vec<Kind>) = forms.into_iter().unzip();
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .kind((forms.len() <= TABLE_FORMS_MAX).then_some(AhoCorasickKind::DFA))
            .build(forms)
            .map_err(|error| error.to_string())?;
        Ok(Some(Self { search, kinds }))
    }

    /// Calls `found` for each value.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let (mut floor, mut barren) = (0, 0);
        for key in self.search.find_iter(text) {
            let Some(kind) = self.kinds.get(key.pattern().as_usize()) else {
                continue;
            };
            if key.start() < floor || !begins_key(text, key.start(), kind.is_whole) {
                continue;
            }
            if kind.is_judged && (key.start() < barren || is_of_something_else(text, key.start())) {
                continue;
            }
            let Some(value) = value_of(text, key.range(), kind.is_judged) else {
                continue;
            };
            if kind.is_judged && !judged_secret(text, &value) {
                // What begins within a bare word ends where that ends: it is judged once.
                barren = if is_quoted(text, &value) {
                    0
                } else {
                    value.end
                };
                continue;
            }
            floor = floor.max(value.end);
            found(value);
        }
    }
}

fn is_of_something_else(text: &[u8], at: usize) -> bool {
    judged::is_of_something_else(text.get(..at).unwrap_or_default())
}

fn is_quoted(text: &[u8], value: &Range<usize>) -> bool {
    let before = value.start.checked_sub(1).and_then(|at| text.get(at));
    matches!(before, Some(b'"' | b'\''))
}

fn judged_secret(text: &[u8], value: &Range<usize>) -> bool {
    let bytes = text.get(value.clone()).unwrap_or_default();
    judged::looks_secret(bytes, is_quoted(text, value))
}

/// Whether a name, or one of its words, begins at `at`: behind a line end that is escaped or a colour, too.
fn begins_key(text: &[u8], at: usize, is_whole: bool) -> bool {
    if names::begins_word(text, at) {
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        let is_inside =
            before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        return !(is_whole && is_inside);
    }
    let before = text.get(..at).unwrap_or_default();
    match before {
        [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., b'\\', b'u', b'0', b'0', b'3', b'c' | b'C' | b'e' | b'E'] => true,
        [rest @ .., b'm'] => {
            let is_part = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
            let parts = rest.iter().rev().take(COLOUR_BYTES_MAX).take_while(is_part);
            let parts = parts.count();
            rest.get(..rest.len() - parts)
                .is_some_and(|rest| rest.ends_with(b"["))
        }
        _ => false,
    }
}

/// The value that is assigned to a key.
fn value_of(text: &[u8], name: Range<usize>, is_judged: bool) -> Option<Range<usize>> {
    let rest = text.get(name.end..)?;
    let tail = VALUES.iter().find(|tail| {
        let head = rest.get(..tail.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(tail) && head.first() == tail.first())
    });
    let behind = name.end + tail.map_or(0, |tail| tail.len());
    let is_quote = |byte: &&u8| matches!(**byte, b'"' | b'\'' | b'\\' | b']');
    let rest = text.get(behind..)?;
    let quotes = rest.iter().take(QUOTES_MAX).take_while(is_quote).count();
    // `\u001b[0m` begins with a backslash, too.
    let quotes = if colour(rest).is_some() { 0 } else { quotes };
    let at = gap(text, behind + quotes);
    let Some(sign) = text.get(at).filter(|byte| matches!(byte, b'=' | b':')) else {
        return apart::value(text, name, behind..behind + quotes, is_judged);
    };
    let at = match text.get(at..at + 2) {
        Some(b"=>" | b":=") => at + 2,
        _ => at + 1,
    };
    let name = text.get(name)?;
    let key = Key {
        is_header: HEADERS.iter().any(|header| lists::ends_in(name, header)),
        is_cookie: lists::ends_in(name, b"cookie"),
        is_quoted: rest.iter().take(quotes).any(|byte| *byte != b']'),
        sign: *sign,
        is_judged,
    };
    let at = markup::behind_closing(text, gap(text, at));
    value::after(text, at, key)
}

/// Passes over white space and colours.
fn gap(text: &[u8], from: usize) -> usize {
    let mut at = from;
    for _ in 0..GAP_MAX {
        let rest = text.get(at..).unwrap_or_default();
        at += match rest {
            [b' ' | b'\t', ..] => 1,
            [b'\\', b't', ..] => 2,
            _ => match (colour(rest), rest) {
                (Some(length), _) => length,
                // Signs that cannot be seen.
                (None, [byte, ..]) if byte.is_ascii_control() && !b"\r\n".contains(byte) => 1,
                _ => break,
            },
        };
    }
    at
}

/// The length of the colour sequence that a text begins with.
fn colour(text: &[u8]) -> Option<usize> {
    if !matches!(text, [b'\x1b' | b'\\', ..]) {
        return None;
    }
    let head = COLOURS.iter().find(|head| text.starts_with(head))?;
    let parts = text.get(head.len()..)?;
    let is_part = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
    let length = parts.iter().take(COLOUR_BYTES_MAX).take_while(is_part);
    let length = length.count();
    let is_end = parts.get(length).is_some_and(u8::is_ascii_alphabetic);
    is_end.then_some(head.len() + length + 1)
}

#[cfg(test)]
mod tests;
