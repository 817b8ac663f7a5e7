//! Values that stand apart from their keys, without a sign between: those of options on a command line (`--password x`,
//! `"--password", "x"`), those of pairs in JSON (`{"name": "authorization", "value": "x"}`), those of lists
//! (`["Authorization", "Basic x"]`), and those in markup.

use std::ops::Range;

use super::{Key, gap, items, markup, value};

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
    is_judged: bool,
) -> Option<Range<usize>> {
    let marks = text.get(quotes.clone())?;
    let behind = gap(text, quotes.end);
    let is_item = text.get(behind) == Some(&b',');
    match text.get(quotes.end)? {
        b' ' | b'\t' if marks.is_empty() && is_option(text, name.start) => {
            operand(text, behind, is_judged)
        }
        _ if is_item && (marks.ends_with(b"\"") || marks.ends_with(b"'")) => {
            let next = gap(text, behind + 1);
            let opened = text.get(next..)?.strip_prefix(marks);
            if let Some((word, behind)) = opened.and_then(|item| item.split_at_checked(VALUE.len()))
                && word.eq_ignore_ascii_case(VALUE)
                && let Some(behind) = behind.strip_prefix(marks)
            {
                return of_pair(text, gap(text, text.len() - behind.len()), is_judged);
            }
            match opened {
                Some(_) if is_option(text, name.start) => assigned(text, next, b'=', is_judged),
                _ => items::value(text, name, marks, next, is_judged),
            }
        }
        _ => markup::value(text, name, quotes, is_judged),
    }
}

/// Whether the name that ends in what begins at `at` has two dashes before it.
fn is_option(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'_');
    let name = before.iter().rev().take(NAME_BYTES_MAX);
    let length = name.take_while(is_part).count();
    before
        .get(before.len() - length..)
        .is_some_and(|name| name.starts_with(b"--"))
}

/// What follows an option: neither another one, nor a name of something else, nor a sentence.
fn operand(text: &[u8], at: usize, is_judged: bool) -> Option<Range<usize>> {
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
    assigned(text, at, b'=', is_judged)
}

fn of_pair(text: &[u8], at: usize, is_judged: bool) -> Option<Range<usize>> {
    match text.get(at)? {
        b':' => assigned(text, gap(text, at + 1), b':', is_judged),
        _ => None,
    }
}

pub(super) fn assigned(text: &[u8], at: usize, sign: u8, is_judged: bool) -> Option<Range<usize>> {
    let key = Key {
        is_header: false,
        is_cookie: false,
        is_quoted: true,
        sign,
        is_judged,
    };
    value::after(text, at, key)
}
