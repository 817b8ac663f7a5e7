//! Values whose names stand beside them: `{name: 'password', value: 'x'}`, `{Name:DB_PASSWORD Value:x}`,
//! `name: DB_PASSWORD` and `value: x` on the line after, `{"value":"x","key":"password"}`.

use std::ops::Range;

use super::super::names::Secrecy;
use super::markup::space;
use super::{Key, gap, quotes, value};

/// How far the value may be from its name (bytes).
const PAIR_BYTES_MAX: usize = 256;
/// Longest name before its last words (bytes).
const NAME_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 24;
/// What a name is called, in any case.
const NAMES: [&[u8]; 6] = [b"name", b"key", b"header", b"field", b"variable", b"param"];
const VALUE: &[u8] = b"value";
/// `value` without its first letter, which may be a capital.
const VALUE_TAIL: &[u8] = b"alue";

/// The value beside the name that ends in the key at `key`, behind whose quotes is `behind`.
pub(super) fn value(
    text: &[u8],
    key: usize,
    behind: usize,
    secrecy: Secrecy,
) -> Option<Range<usize>> {
    if text
        .get(behind)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    {
        return None;
    }
    let label = label_start(text, key)?;
    let after = text.get(behind..text.len().min(behind + PAIR_BYTES_MAX))?;
    let after = after.get(..object_end(after))?;
    let found = value_words(after).find_map(|at| assigned_at(text, behind + at));
    let key = Key {
        is_header: false,
        is_cookie: false,
        is_item: false,
        is_quoted: true,
        sign: b':',
        secrecy,
    };
    if let Some(at) = found {
        return value::after(text, at, key);
    }
    let text = text.get(..label)?;
    let from = label.saturating_sub(PAIR_BYTES_MAX);
    let before = text.get(from..)?;
    let from = from + before.iter().rposition(|byte| b"{<".contains(byte))?;
    let at = value_words(text.get(from..)?).find_map(|at| assigned_at(text, from + at))?;
    value::after(text, at, key).filter(|value| value.end < label)
}

/// Where the word begins that calls the name a name whose last words begin at `key`.
fn label_start(text: &[u8], key: usize) -> Option<usize> {
    let before = text.get(..key)?;
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let name = before.iter().rev().take(NAME_BYTES_MAX);
    let name = name.take_while(is_part).count();
    let before = without_quotes(before.get(..key - name)?).trim_ascii_end();
    let before = match before {
        [rest @ .., b'=', b'>'] | [rest @ .., b':' | b'='] => rest,
        _ => return None,
    };
    let before = without_quotes(before.trim_ascii_end());
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'-');
    let length = before
        .iter()
        .rev()
        .take(LABEL_BYTES_MAX)
        .take_while(is_part)
        .count();
    let start = before.len() - length;
    let word = before.get(start..)?;
    // `ParameterKey`, beside which stands `ParameterValue`.
    let is_joined = |word: &[u8]| word.ends_with(b"Name") || word.ends_with(b"Key");
    let is_name = NAMES.iter().any(|name| word.eq_ignore_ascii_case(name)) || is_joined(word);
    is_name.then_some(start)
}

fn without_quotes(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let [shorter @ .., b'"' | b'\'' | b'`' | b'\\'] = rest {
        rest = shorter;
    }
    for quote in [&b"&quot;"[..], b"&#34;", b"&#39;", b"%22"] {
        rest = rest.strip_suffix(quote).unwrap_or(rest);
    }
    rest
}

/// Where an object or an item of a list ends.
fn object_end(text: &[u8]) -> usize {
    let ends = |(at, byte): (usize, &u8)| match byte {
        b'}' | b']' => true,
        b'>' => !at
            .checked_sub(1)
            .and_then(|at| text.get(at))
            .is_some_and(|b| b"=-".contains(b)),
        b'\n' => {
            let line = text.get(at + 1..).unwrap_or_default().trim_ascii_start();
            line.starts_with(b"-")
        }
        _ => false,
    };
    text.iter().enumerate().position(ends).unwrap_or(text.len())
}

/// Where words `value` begin.
fn value_words(text: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memmem::find_iter(text, VALUE_TAIL).filter_map(|at| {
        let start = at.checked_sub(1)?;
        let before = start.checked_sub(1).and_then(|at| text.get(at));
        let is_joined = text.get(start) == Some(&b'V');
        let is_inside = before.is_some_and(|byte| match is_joined {
            true => byte.is_ascii_uppercase() || *byte == b'_',
            false => byte.is_ascii_alphanumeric() || *byte == b'_',
        });
        let is_word = text
            .get(start)
            .is_some_and(|byte| matches!(byte, b'v' | b'V'));
        (is_word && !is_inside).then_some(start)
    })
}

/// Behind `value:` that begins at `at`.
fn assigned_at(text: &[u8], at: usize) -> Option<usize> {
    let behind = at + VALUE.len();
    let marks = quotes::marks(text.get(behind..)?);
    let at = gap(text, behind + marks);
    let (_, length) = quotes::sign(text.get(at..)?)?;
    Some(space(text, at + length))
}
