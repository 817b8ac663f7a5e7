//! Values that running text gives to secret keys: `password=hunter2`, `"api_key": "abc"`, `Authorization: Basic eA==`,
//! `--password hunter2`, `{"name": "authorization", "value": "abc"}`.
//!
//! A structured line without a message is kept whole as the body, so what its keys hide must be found there, too. Linear
//! time: one search for all keys, then one look behind each.

mod apart;
mod columns;
mod forms;
mod hosts;
mod items;
mod markup;
mod pairs;
mod quotes;
mod statements;
mod value;
mod wrappers;

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::detector::Detector;
use super::edges;
use super::heads::Head;
use super::judged;
use super::lists::{self, HEADERS};
use super::names::{self, Secrecy, SecretKey, Tail};
use super::query::{self, QueryParameters};
use super::states;

/// Texts that are searched with one table of some hundred KiB; more take a smaller, slower form.
const TABLE_TEXTS_MAX: usize = 360;
/// White space and colours that may stand around the sign (bytes or sequences).
const GAP_MAX: usize = 32;
/// How often, at most, the bytes of a text are read as parts of values that are not secret.
const READINGS_MAX: usize = 8;
/// How far before a value its bracket is looked for (bytes).
const GROUP_LOOK_BACK: usize = 8;
/// Parameters of a colour sequence (bytes).
const COLOUR_BYTES_MAX: usize = 16;
/// How a colour sequence begins, also where a text is escaped.
const COLOURS: [&[u8]; 7] = [
    b"\x1b[",
    b"^[[",
    b"\\u001b[",
    b"\\u001B[",
    b"\\x1b[",
    b"\\033[",
    b"\\e[",
];

/// The search for values of keys, and for the heads of tokens.
pub(super) struct Assignments {
    search: AhoCorasick,
    /// By pattern.
    wanted: Vec<Wanted>,
}

#[derive(Clone, Copy)]
enum Wanted {
    Key {
        /// It must be a whole name.
        is_whole: bool,
        secrecy: Secrecy,
    },
    Head(Head),
    /// It stands before a parameter of an address that was escaped once more.
    Parameter,
}

/// A key in a text, with the sign behind it.
#[derive(Debug, Clone, Copy)]
struct Key {
    is_header: bool,
    is_cookie: bool,
    /// It stands in brackets or behind a comma, as an item does.
    is_item: bool,
    /// A quote ends its name, as in JSON.
    is_quoted: bool,
    /// `=` or `:`
    sign: u8,
    secrecy: Secrecy,
}

/// A value that is given to a key.
struct Given {
    place: Range<usize>,
    secrecy: Secrecy,
    /// It stands as values do, not as a word behind a colon in a sentence might.
    is_apart: bool,
}

impl Assignments {
    /// `None` without keys and heads.
    ///
    /// # Errors
    /// The search cannot be built.
    pub(super) fn new(
        keys: &[SecretKey],
        is_on: impl Fn(Detector) -> bool,
    ) -> Result<Option<Self>, String> {
        // Each form once.
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        if is_on(Detector::UrlQuery) {
            wanted.extend(query::SIGNS.map(|sign| (sign.to_owned(), Wanted::Parameter)));
        }
        for (text, head) in Head::of(is_on) {
            wanted.insert(text.to_ascii_lowercase(), Wanted::Head(head));
        }
        for key in keys {
            for between in ["_", "-", ".", ""] {
                let form = wanted.entry(key.name.replace('_', between));
                let form = form.or_insert(Wanted::Key {
                    is_whole: key.is_whole,
                    secrecy: key.secrecy,
                });
                if let Wanted::Key { is_whole, secrecy } = form {
                    *is_whole &= key.is_whole;
                    *secrecy = (*secrecy).min(key.secrecy);
                }
            }
        }
        wanted.remove("");
        if wanted.is_empty() {
            return Ok(None);
        }
        let (texts, wanted): (Vec<String>, Vec<Wanted>) = wanted.into_iter().unzip();
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .kind((texts.len() <= TABLE_TEXTS_MAX).then_some(AhoCorasickKind::DFA))
            .build(texts)
            .map_err(|error| error.to_string())?;
        Ok(Some(Self { search, wanted }))
    }

    /// Calls `found` for each value, and with its detector for each token.
    pub(super) fn find(
        &self,
        text: &[u8],
        parameters: &QueryParameters,
        mut found: impl FnMut(Option<Detector>, Range<usize>),
    ) {
        let mut floor = 0;
        let mut barren = Barren::of(text);
        for hit in self.search.find_iter(text) {
            if hit.start() < floor {
                continue;
            }
            match self.wanted.get(hit.pattern().as_usize()) {
                Some(Wanted::Head(head)) => {
                    if let Some(place) = head.secret(text, hit.range()) {
                        floor = floor.max(place.end);
                        found(Some(head.detector), place);
                    }
                }
                Some(Wanted::Parameter) => {
                    if let Some(place) = parameters.escaped(text, hit.range()) {
                        floor = floor.max(place.end);
                        found(Some(Detector::UrlQuery), place);
                    }
                }
                Some(Wanted::Key { is_whole, secrecy }) => {
                    if !begins_key(text, hit.start(), *is_whole) {
                        continue;
                    }
                    let value = value_of_key(text, hit.range(), (*is_whole, *secrecy), &mut barren);
                    if let Some(place) = value {
                        floor = floor.max(place.end);
                        found(None, place);
                    }
                }
                None => {}
            }
        }
    }
}

/// Values that were read and are not secret.
struct Barren {
    /// What begins before is part of one, and is not judged by itself.
    end: usize,
    /// Bytes of values in quotes and brackets that may still be read again for the keys in them.
    again: usize,
}

impl Barren {
    fn of(text: &[u8]) -> Self {
        Self {
            end: 0,
            again: text.len().saturating_mul(READINGS_MAX),
        }
    }

    /// What begins within a bare word ends where that ends: it is judged once.
    fn add(&mut self, value: &Range<usize>, is_quoted: bool) {
        let again = self.again.checked_sub(value.len()).filter(|_| is_quoted);
        (self.end, self.again) = match again {
            Some(again) => (0, again),
            None => (value.end, self.again),
        };
    }
}

/// The value of a key that has one, if it is secret.
fn value_of_key(
    text: &[u8],
    name: Range<usize>,
    (is_whole, secrecy): (bool, Secrecy),
    barren: &mut Barren,
) -> Option<Range<usize>> {
    let is_other = secrecy.is_judged() && is_of_something_else(text, name.start);
    if is_other || is_covers_name(text, &name) {
        return None;
    }
    let tail = names::tail(text.get(name.end..)?, is_whole);
    let secrecy = if tail.is_many {
        secrecy.many()
    } else {
        secrecy
    };
    if secrecy.is_judged() && name.start < barren.end {
        return None;
    }
    if hosts::is_before_port(text, name.end + tail.length) {
        return None;
    }
    let given = value_of(text, name, tail, secrecy)?;
    if is_secret(text, &given) {
        return Some(given.place);
    }
    barren.add(&given.place, is_quoted(text, &given.place));
    None
}

/// Whether a key is the name of a rule in what stands for a secret: `<private_key:*>`.
fn is_covers_name(text: &[u8], name: &Range<usize>) -> bool {
    if text.get(name.end) != Some(&b':') {
        return false;
    }
    let start = markup::name_start(text, name.start).checked_sub(1);
    start.is_some_and(|start| value::begins_covered(text, start))
}

fn is_of_something_else(text: &[u8], at: usize) -> bool {
    judged::is_of_something_else(text.get(..at).unwrap_or_default())
}

fn is_quoted(text: &[u8], value: &Range<usize>) -> bool {
    let before = value.start.checked_sub(1).and_then(|at| text.get(at));
    matches!(before, Some(b'"' | b'\'' | b'`' | b';'))
}

fn is_secret(text: &[u8], given: &Given) -> bool {
    if given.secrecy == Secrecy::Always {
        return true;
    }
    let bytes = text.get(given.place.clone()).unwrap_or_default();
    let is_quoted = is_quoted(text, &given.place);
    if !given.secrecy.is_judged() {
        let behind = text.get(given.place.end..).filter(|_| !is_quoted);
        let is_folder = given.secrecy == Secrecy::Folder && judged::is_folder(bytes);
        return !is_folder && !states::is_state(bytes, behind.unwrap_or_default());
    }
    judged::is_secret(given.secrecy, bytes, is_quoted, is_quoted || given.is_apart)
        || (is_group(text, given.place.start) && value::holds_secret(bytes))
}

/// Whether a value is what stands in brackets.
fn is_group(text: &[u8], start: usize) -> bool {
    let before = text
        .get(..start)
        .unwrap_or_default()
        .iter()
        .rev()
        .take(GROUP_LOOK_BACK);
    let mut signs = before.skip_while(|byte| matches!(**byte, b'"' | b'\'' | b'\\' | b' '));
    matches!(signs.next(), Some(b'[' | b'{'))
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
        _ => edges::ends_colour(before) || edges::escape_length(before).is_some(),
    }
}

/// The value that is given to a key.
fn value_of(text: &[u8], name: Range<usize>, tail: Tail, secrecy: Secrecy) -> Option<Given> {
    let behind = name.end + tail.length;
    let rest = text.get(behind..)?;
    if rest.first().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    // `\u001b[0m` begins with a backslash, too.
    let marks = if colour(rest).is_some() {
        0
    } else {
        quotes::marks(rest)
    };
    let at = gap(text, behind + marks);
    let is_arrow = || matches!(text.get(at..at + 2), Some(b"->")) && is_item(text, name.start);
    let sign = text.get(at..).and_then(quotes::sign);
    let Some((sign, length)) = sign.or_else(|| is_arrow().then_some((b'=', 2))) else {
        let place = apart::value(text, name, behind..behind + marks, secrecy)?;
        return Some(Given {
            place,
            secrecy,
            is_apart: true,
        });
    };
    let is_quoted = rest.iter().take(marks).any(|byte| *byte != b']');
    let is_apart =
        sign == b'=' || is_quoted || (secrecy == Secrecy::Likely && leads(text, name.start));
    let start = name.start;
    let name = text.get(name)?;
    let is_header = HEADERS.iter().any(|header| lists::ends_in(name, header));
    let key = Key {
        is_header,
        is_item: is_header && is_item(text, start),
        is_cookie: lists::ends_in(name, b"cookie"),
        is_quoted,
        sign,
        secrecy,
    };
    let at = markup::behind_closing(text, gap(text, at + length));
    let place = value::after(text, at, key)?;
    Some(Given {
        place,
        secrecy,
        is_apart,
    })
}

/// Whether the name that ends in what begins at `at` is in brackets, or behind a comma.
fn is_item(text: &[u8], at: usize) -> bool {
    let before = text.get(..markup::name_start(text, at));
    let before = before.unwrap_or_default().trim_ascii_end();
    matches!(before.last(), Some(b'{' | b'(' | b'[' | b','))
}

/// Whether the name that ends in what begins at `at` leads a line, or an item of a list, without a capital, as words that tell
/// a state have (`PASS: x`), or is joined to other words.
fn leads(text: &[u8], at: usize) -> bool {
    let start = markup::name_start(text, at);
    let before = text.get(..start).unwrap_or_default();
    let line = before.trim_ascii_end();
    let is_first = match line.last() {
        None | Some(b',' | b'{' | b'(' | b';' | b'[') => true,
        Some(_) => before
            .get(line.len()..)
            .is_some_and(|gap| gap.contains(&b'\n')),
    };
    let is_state = start == at && text.get(at).is_some_and(u8::is_ascii_uppercase);
    (is_first && !is_state) || start < at
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
    if !matches!(text, [b'\x1b' | b'\\' | b'^', ..]) {
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
