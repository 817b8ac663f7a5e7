//! Lines of no known structure: a time at the beginning and a level word near it are recognised, and the
//! body is the whole text.

mod levels;

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::Value;

use super::fields::{full_span_id, full_trace_id};
use super::{Parsed, Reader, Settings, colours, level};
pub(super) use levels::find_level;

/// How far behind the time the second line begins, at most, if a level is looked for there (bytes).
const SECOND_LINE_WITHIN: usize = 512;
/// The longest name of an exception (bytes).
const NAME_BYTES_MAX: usize = 128;
/// How much of a text is looked at for time and level when it is coloured (bytes).
const HEAD_BYTES: usize = 200;
/// How far into the text ids are looked for (bytes).
const IDS_WITHIN: usize = 1024;

pub(super) fn parse<'a>(reader: Reader<'_>, text: &'a str) -> Parsed<'a> {
    let mut parsed = Parsed {
        body: Value::from(text),
        ..Parsed::default()
    };
    match uncoloured_head(text) {
        None => {
            let (severity, word) = read_head(reader, text, &mut parsed);
            parsed.severity = severity;
            parsed.severity_text = Cow::Borrowed(word);
        }
        Some(head) => {
            let (severity, word) = read_head(reader, &head, &mut parsed);
            parsed.severity = severity;
            parsed.severity_text = Cow::Owned(word.to_owned());
        }
    }
    find_ids(text, &mut parsed);
    parsed
}

/// Takes ids that stand in the text as `trace_id=...` and `span_id=...`, in their usual spellings; they stay in the text.
fn find_ids(text: &str, parsed: &mut Parsed<'_>) {
    let bytes = text.as_bytes();
    let head = bytes.get(..bytes.len().min(IDS_WITHIN)).unwrap_or_default();
    for equals in memchr::memchr_iter(b'=', head) {
        // All names end so.
        let end = equals.checked_sub(1).and_then(|at| bytes.get(at));
        if !matches!(end, Some(b'd' | b'D')) {
            continue;
        }
        let name = bytes.get(..equals).unwrap_or_default();
        let value = || {
            let value = text.get(equals + 1..)?;
            let value = value.strip_prefix('"').unwrap_or(value);
            let digits = value.bytes().take_while(u8::is_ascii_hexdigit).count();
            value.get(..digits)
        };
        // Not the end of a longer name, such as `parent_span_id`.
        let is_whole = |before: &[u8]| {
            let last = before.last();
            !last.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        let names = |names: [&[u8]; 3]| {
            let mut before = names.iter().filter_map(|known| name.strip_suffix(*known));
            before.any(is_whole)
        };
        if names([b"trace_id", b"traceId", b"traceID"]) {
            let id = value().and_then(full_trace_id);
            parsed.trace_id = parsed.trace_id.or(id);
        } else if names([b"span_id", b"spanId", b"spanID"]) {
            let id = value().and_then(full_span_id);
            parsed.span_id = parsed.span_id.or(id);
        }
    }
}

/// Takes the time from the beginning of `text`; gives the level, which is unset when there is none.
#[inline]
fn read_head<'t>(
    reader: Reader<'_>,
    text: &'t str,
    parsed: &mut Parsed<'_>,
) -> (Severity, &'t str) {
    let settings = reader.settings;
    let (time_at, level_at) = places(text.as_bytes());
    let stamp = text.get(time_at..).and_then(|text| reader.take_time(text));
    if let Some((stamp, _)) = stamp {
        settings.times.put(stamp, parsed);
    }
    let level_from = stamp.map_or(level_at, |(_, end)| time_at + end);
    let level = find_level(settings, text, level_from);
    let level = level.or_else(|| match stamp {
        Some((_, end)) => find_level_below(settings, text, time_at + end),
        None => Some((sign(text)?, "")),
    });
    let level = level.or_else(|| {
        let message = text.get(level_from..)?.trim_start_matches(' ');
        names_error(message).then_some((Severity::ERROR, ""))
    });
    let (severity, word) = level.unwrap_or_default();
    if stamp.is_none() && std::ptr::eq(word.as_ptr(), text.as_ptr()) {
        take_behind(settings, text, word.len(), parsed);
    }
    (severity, word)
}

/// `TypeError: x`, `java.io.IOException: gone`
#[inline]
fn names_error(text: &str) -> bool {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
    let bytes = text.as_bytes();
    let end = bytes
        .iter()
        .take(NAME_BYTES_MAX)
        .position(|byte| !in_name(byte));
    let name = end.and_then(|end| bytes.get(..end)).unwrap_or_default();
    let is_error = name.ends_with(b"Error") || name.ends_with(b"Exception");
    let is_type = name.first().is_some_and(u8::is_ascii_uppercase) || name.contains(&b'.');
    let behind = bytes.get(name.len()..).unwrap_or_default();
    is_error && is_type && behind.starts_with(b": ")
}

/// The level of java.util.logging, which stands at the beginning of the second line.
#[inline]
fn find_level_below<'t>(
    settings: &Settings,
    text: &'t str,
    from: usize,
) -> Option<(Severity, &'t str)> {
    let bytes = text.as_bytes();
    let end = bytes.len().min(from + SECOND_LINE_WITHIN);
    let line_feed = from + memchr::memchr(b'\n', bytes.get(from..end)?)?;
    let line = text.get(line_feed + 1..)?;
    let level = level::JUL_LEVELS.iter().find(|level| {
        line.strip_prefix(**level)
            .is_some_and(|rest| rest.starts_with(": "))
    })?;
    let word = line.get(..level.len())?;
    Some((settings.level(word)?, word))
}

/// Takes the time that stands behind the level and blanks: `INFO     2024-...`.
#[inline]
fn take_behind(settings: &Settings, text: &str, level_end: usize, parsed: &mut Parsed<'_>) {
    let rest = text.as_bytes().get(level_end..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let is_number = rest.get(blanks).is_some_and(u8::is_ascii_digit);
    if blanks > 0
        && is_number
        && let Some(time) = text.get(level_end + blanks..)
        && let Some((stamp, _)) = settings.times.take(time)
    {
        settings.times.put(stamp, parsed);
    }
}

/// Where a time can stand, and the place behind which a level is looked for without one. A time stands at the beginning, indented
/// (tracing's pretty form), in a bracket, or as Ruby's logger (`E, [2024-...`), logrus (`time="2024-...`) and Nest write it.
#[inline]
fn places(bytes: &[u8]) -> (usize, usize) {
    match bytes {
        [b'[', b'N', b'e', b's', b't', b']', ..] => nest(bytes),
        [b'[', ..] => (1, 0),
        [b'A'..=b'Z', b',', b' ', b'[', ..] => (4, 0),
        [b' ', b' ', b'0'..=b'9', ..] => (2, 0),
        [b't', b'i', b'm', b'e', b'=', b'"', ..] => (6, 0),
        [b't', b'i', b'm', b'e', b'=', ..] => (5, 0),
        _ => (0, 0),
    }
}

/// `[Nest] 123  - 01/02/2024, 3:04:05 AM     LOG [Cart] message`. The date may be one that is not read.
fn nest(bytes: &[u8]) -> (usize, usize) {
    const TIME_WITHIN: usize = 32;
    let head = bytes
        .get(..bytes.len().min(TIME_WITHIN))
        .unwrap_or_default();
    match memchr::memmem::find(head, b" - ") {
        Some(at) => (at + 3, at + 3),
        None => (1, 0),
    }
}

/// What the signs mean that Next.js puts in front of what it tells.
#[inline]
fn sign(text: &str) -> Option<Severity> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    // All begin so.
    if text.as_bytes().first() != Some(&0xe2) {
        return None;
    }
    let mut characters = text.chars();
    let severity = match characters.next()? {
        '\u{2a2f}' => Severity::ERROR,
        '\u{26a0}' => Severity::WARN,
        '\u{2713}' => Severity::INFO,
        _ => return None,
    };
    // Some write it as a picture.
    let behind = characters.as_str();
    let behind = behind.strip_prefix('\u{fe0f}').unwrap_or(behind);
    behind.starts_with(' ').then_some(severity)
}

/// The beginning of a text without the escape sequences that colour it, when there are any.
fn uncoloured_head(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let head_bytes = bytes.len().min(HEAD_BYTES);
    colours::find(bytes.get(..head_bytes)?)?;
    Some(colours::strip(text.chars().take(head_bytes)))
}
