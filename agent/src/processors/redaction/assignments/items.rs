//! Values behind their keys in lists that stand in text: `["Authorization", "Basic x"]`, `(b'cookie', b'a=b')`.

use std::ops::Range;

use super::super::lists::{self, Place};
use super::super::names::Secrecy;
use super::apart;
use super::markup::{name_start, space};

/// How far before an item the name of its list is looked for (bytes).
const LIST_BYTES_MAX: usize = 512;

/// The item that begins at `next`, behind the key `name`, which stands between `marks`.
pub(super) fn value(
    text: &[u8],
    name: Range<usize>,
    marks: &[u8],
    next: usize,
    secrecy: Secrecy,
) -> Option<Range<usize>> {
    let start = name_start(text, name.start);
    let key = text.get(start..name.end)?;
    let before = unprefixed(text.get(..start)?.strip_suffix(marks)?);
    let before = without_space(before);
    let (bracket, outside) = before.split_last()?;
    let is_first = match bracket {
        b'[' | b'(' | b'{' => true,
        b',' => false,
        _ => return None,
    };
    let item = unprefixed_item(text.get(next..)?);
    let is_option = key.starts_with(b"--");
    let is_list = !is_option
        && item.starts_with(b"[")
        && lists::HEADERS.iter().any(|h| lists::ends_in(key, h));
    if !is_list && !item.starts_with(marks) {
        return None;
    }
    let value = apart::assigned(text, next, b'=', secrecy)?;
    let place = match is_first && closes(text, value.end, marks, is_list) {
        true if is_inner(outside) => Place::InnerPair,
        true => Place::Pair,
        false if is_in_turns(before) => Place::InTurns,
        false => Place::Among,
    };
    lists::is_value(key, text.get(value.clone())?, place).then_some(value)
}

/// Without white space and line ends, also escaped, behind it.
fn without_space(before: &[u8]) -> &[u8] {
    let mut rest = before.trim_ascii_end();
    while let [shorter @ .., b'\\', b'n' | b'r' | b't'] = rest {
        rest = shorter.trim_ascii_end();
    }
    rest
}

/// Whether the list that a text ends in is one of names and values in turns.
fn is_in_turns(before: &[u8]) -> bool {
    let near = before.get(before.len().saturating_sub(LIST_BYTES_MAX)..);
    let near = near.unwrap_or_default();
    let list = lists::last_in_turns(near).and_then(|at| near.get(at..));
    list.is_some_and(|list| !list.contains(&b']'))
}

/// Without the letter that Python writes before the quotes of bytes.
fn unprefixed(before: &[u8]) -> &[u8] {
    match before {
        [rest @ .., bracket, b'b' | b'u' | b'r'] if !bracket.is_ascii_alphanumeric() => {
            before.get(..=rest.len()).unwrap_or_default()
        }
        _ => before,
    }
}

fn unprefixed_item(item: &[u8]) -> &[u8] {
    match item {
        [b'b' | b'u' | b'r', rest @ ..] => rest,
        _ => item,
    }
}

/// Whether a list ends behind the value that ends at `end`.
fn closes(text: &[u8], end: usize, marks: &[u8], is_list: bool) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    let marks_length = if rest.starts_with(marks) {
        marks.len()
    } else {
        0
    };
    let mut at = space(text, end + marks_length);
    if is_list && text.get(at) == Some(&b']') {
        at = space(text, at + 1);
    }
    matches!(text.get(at), Some(b']' | b')' | b'}'))
}

/// Whether what stands before a list makes it an item of a list.
fn is_inner(outside: &[u8]) -> bool {
    match outside.trim_ascii_end() {
        [.., b'['] => true,
        [before @ .., b','] => matches!(before.trim_ascii_end().last(), Some(b']' | b')' | b'}')),
        _ => false,
    }
}
