//! Values that stand apart from their keys, without a sign between: those of options on a command line (`--password x`,
//! `"--password", "x"`), those of pairs in JSON (`{"name": "authorization", "value": "x"}`), those of lists
//! (`["Authorization", "Basic x"]`), and those in markup.

use std::ops::Range;

use super::super::names::Secrecy;
use super::{Key, columns, forms, gap, items, markup, pairs, statements, value};

/// Longest name of an option before its last words (bytes).
const NAME_BYTES_MAX: usize = 64;
/// The name of the other half of a pair, in any case: Go writes `Value`.
const VALUE: &[u8] = b"value";
/// What follows an option in sentences about it.
const WORDS: [&[u8]; 30] = [
    b"a",
    b"an",
    b"and",
    b"argument",
    b"as",
    b"cannot",
    b"be",
    b"do",
    b"does",
    b"flag",
    b"for",
    b"from",
    b"given",
    b"has",
    b"in",
    b"instead",
    b"is",
    b"missing",
    b"must",
    b"not",
    b"on",
    b"option",
    b"or",
    b"requires",
    b"should",
    b"the",
    b"to",
    b"was",
    b"will",
    b"with",
];

/// The value of the key `name`, behind which stand `quotes`.
pub(super) fn value(
    text: &[u8],
    name: Range<usize>,
    quotes: Range<usize>,
    secrecy: Secrecy,
) -> Option<Range<usize>> {
    let marks = text.get(quotes.clone())?;
    let found = pairs::value(text, name.start, quotes.end, secrecy)
        .or_else(|| columns::value(text, name.start, quotes.end))
        .or_else(|| statements::duplicate(text, name.start));
    if found.is_some() {
        return found;
    }
    let behind = gap(text, quotes.end);
    let is_item = text.get(behind) == Some(&b',');
    match text.get(quotes.end)? {
        b' ' | b'\t' if marks.is_empty() && is_option(text, name.start) => {
            operand(text, behind, secrecy)
        }
        b' ' if marks.is_empty() => statements::value(text, name.clone(), behind, secrecy)
            .or_else(|| markup::value(text, name, quotes, secrecy)),
        b'(' if marks.is_empty() => statements::argument(text, name, quotes.end, secrecy),
        b';' if !marks.is_empty() => statements::serialized(text, quotes.end, marks)
            .or_else(|| markup::value(text, name, quotes, secrecy)),
        _ if is_item && (marks.ends_with(b"\"") || marks.ends_with(b"'")) => {
            let next = markup::space(text, behind + 1);
            let opened = text.get(next..)?.strip_prefix(marks);
            if let Some((word, behind)) = opened.and_then(|item| item.split_at_checked(VALUE.len()))
                && word.eq_ignore_ascii_case(VALUE)
                && let Some(behind) = behind.strip_prefix(marks)
            {
                return of_pair(text, gap(text, text.len() - behind.len()), secrecy);
            }
            match opened {
                Some(_) if is_option(text, name.start) => assigned(text, next, b'=', secrecy),
                _ => items::value(text, name, marks, next, secrecy),
            }
        }
        b'\r' | b'\n' | b'\\' if !marks.is_empty() => forms::value(text, name.start, quotes.end),
        _ => markup::value(text, name, quotes, secrecy),
    }
}

/// Whether the name that ends in what begins at `at` has two dashes before it, or one behind a space: `-storepass x`.
fn is_option(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'_');
    let name = before.iter().rev().take(NAME_BYTES_MAX);
    let length = name.take_while(is_part).count();
    let start = before.len() - length;
    match before.get(start..) {
        Some([b'-', b'-', ..]) => true,
        Some([b'-', ..]) => start > 0 && before.get(start - 1) == Some(&b' '),
        _ => false,
    }
}

/// What follows an option: neither another one, nor a name of something else, nor a sentence.
pub(super) fn operand(text: &[u8], at: usize, secrecy: Secrecy) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    if matches!(
        rest,
        [] | [
            b'-' | b'<' | b'[' | b'{' | b'(' | b'$' | b'=' | b'|' | b'.' | b',',
            ..
        ]
    ) {
        return None;
    }
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let word = rest.get(..length)?;
    let ends = rest
        .get(length)
        .is_none_or(|byte| *byte <= b' ' || b",.;:".contains(byte));
    if ends && WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)) {
        return None;
    }
    assigned(text, at, b'=', secrecy)
}

fn of_pair(text: &[u8], at: usize, secrecy: Secrecy) -> Option<Range<usize>> {
    match text.get(at)? {
        b':' => assigned(text, gap(text, at + 1), b':', secrecy),
        _ => None,
    }
}

pub(super) fn assigned(text: &[u8], at: usize, sign: u8, secrecy: Secrecy) -> Option<Range<usize>> {
    let key = Key {
        is_header: false,
        is_cookie: false,
        is_item: false,
        is_quoted: true,
        sign,
        secrecy,
    };
    value::after(text, at, key)
}
