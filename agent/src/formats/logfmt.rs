//! logfmt: `key=value key="quoted value" ...`. Values are text; a key without `=` is `true`. Limit: [`VALUES_MAX`]
//! words; a line with more is not read.

use std::borrow::Cow;

use vervet_wire::otlp::{KeyValue, Value};

use super::fields::Assembler;
use super::json::VALUES_MAX;
use super::{Parsed, Settings, Strictness};

/// Longest key (bytes).
const KEY_BYTES_MAX: usize = 128;

/// Whether `text` begins with `key=`.
pub(super) fn begins(text: &str) -> bool {
    let key = text
        .bytes()
        .take(KEY_BYTES_MAX)
        .take_while(|byte| is_key_byte(*byte))
        .count();
    key > 0 && text.as_bytes().get(key) == Some(&b'=')
}

/// Reads `line`; `None` when it is no logfmt. Unless that is configured, there must be two words at least, and all
/// of them pairs: prose with a pair in it is prose. Otherwise words without `=` are flags.
pub(super) fn parse<'a>(
    settings: &Settings,
    line: &'a str,
    strictness: Strictness,
) -> Option<Parsed<'a>> {
    let mut record = Assembler::new(settings);
    let (mut pairs, mut words) = (0, 0);
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (key, value, after) = take_word(rest)?;
        pairs += usize::from(value.is_some());
        if value.is_none() && strictness == Strictness::Auto {
            return None;
        }
        let value = value.map_or(Value::Bool(true), Value::String);
        words += 1;
        if words > VALUES_MAX {
            return None;
        }
        record.field(Cow::Borrowed(key), value);
        rest = after;
    }
    let pairs_needed = match strictness {
        Strictness::Auto => 2,
        Strictness::Configured => 1,
    };
    (pairs >= pairs_needed).then(|| record.finish(line))
}

/// All of `text` as pairs; `None` when anything in it is none.
pub(super) fn pairs(text: &str) -> Option<Vec<KeyValue<'_>>> {
    let (mut pairs, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (key, value, after) = take_word(rest)?;
        if pairs.len() >= VALUES_MAX {
            return None;
        }
        pairs.push(KeyValue::new(key, value?));
        rest = after;
    }
    Some(pairs)
}

/// A key, its value if it has one, and what follows behind white space.
fn take_word(text: &str) -> Option<(&str, Option<Cow<'_, str>>, &str)> {
    let key_bytes = text.bytes().take_while(|byte| is_key_byte(*byte)).count();
    if !(1..=KEY_BYTES_MAX).contains(&key_bytes) {
        return None;
    }
    let (key, after) = text.split_at_checked(key_bytes)?;
    let (value, after) = match after.strip_prefix('=') {
        Some(after) => {
            let (value, after) = take_value(after)?;
            (Some(value), after)
        }
        None => (None, after),
    };
    let next = after.trim_start();
    (next.len() < after.len() || next.is_empty()).then_some((key, value, next))
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'@' | b':')
}

/// The value at the beginning of `text` and what follows it; `None` when a quote is not closed.
pub(super) fn take_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(found) = text.strip_prefix("<\n").and_then(take_lines) {
        return Some(found);
    }
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return (!value.contains('"')).then_some((Cow::Borrowed(value), rest));
    };
    let end = closing_quote(quoted.as_bytes())?;
    let (raw, rest) = (quoted.get(..end)?, quoted.get(end + 1..)?);
    let value = if raw.contains('\\') {
        Cow::Owned(unescape(raw))
    } else {
        Cow::Borrowed(raw)
    };
    Some((value, rest))
}

/// A value of several lines as klog writes it: each is indented by a tab, and ` >` ends it.
fn take_lines(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let (mut value, mut rest) = (String::new(), text);
    while let Some(line) = rest.strip_prefix('\t') {
        let (line, after) = line.split_once('\n')?;
        if !value.is_empty() {
            value.push('\n');
        }
        value.push_str(line);
        rest = after;
    }
    Some((Cow::Owned(value), rest.strip_prefix(" >")?))
}

pub(super) fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(found) == Some(&b'"') {
            return Some(found);
        }
        at = found + 2;
    }
}

/// Resolves `\n`, `\t`, `\r` and escaped characters; an unknown escape stays as written.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(escaped @ ('"' | '\\')) => out.push(escaped),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}
