//! Lines of no known structure: a time at the beginning and a level word near it are recognised, and the
//! body is the whole text.

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::Value;

use super::{Parsed, Settings};

/// How far into the text a level word is looked for (bytes after the time).
const LEVEL_WITHIN: usize = 80;
/// How much of a text is looked at for time and level when it is coloured (bytes).
const HEAD_BYTES: usize = 200;

pub(super) fn parse<'a>(settings: &Settings, text: &'a str) -> Parsed<'a> {
    let mut parsed = Parsed {
        body: Value::from(text),
        ..Parsed::default()
    };
    match uncoloured_head(text) {
        None => {
            let (severity, word) = read_head(settings, text, &mut parsed);
            parsed.severity = severity;
            parsed.severity_text = Cow::Borrowed(word);
        }
        Some(head) => {
            let (severity, word) = read_head(settings, &head, &mut parsed);
            parsed.severity = severity;
            parsed.severity_text = Cow::Owned(word.to_owned());
        }
    }
    parsed
}

/// Takes the time from the beginning of `text`; gives the level, which is unset when there is none.
#[inline]
fn read_head<'t>(
    settings: &Settings,
    text: &'t str,
    parsed: &mut Parsed<'_>,
) -> (Severity, &'t str) {
    let time_at = time_at(text.as_bytes());
    let stamp = text
        .get(time_at..)
        .and_then(|text| settings.times.take(text));
    if let Some((stamp, _)) = stamp {
        settings.times.put(stamp, parsed);
    }
    let level_from = stamp.map_or(0, |(_, end)| time_at + end);
    let (severity, word) = find_level(text, level_from).unwrap_or_default();
    (settings.roles.level(word).unwrap_or(severity), word)
}

/// Where a time can stand: at the beginning, in a bracket, or as Ruby's logger writes it (`E, [2024-...`).
#[inline]
fn time_at(bytes: &[u8]) -> usize {
    match bytes {
        [b'[', ..] => 1,
        [b'A'..=b'Z', b',', b' ', b'[', ..] => 4,
        _ => 0,
    }
}

/// The beginning of a text without the escape sequences that colour it, when there are any.
fn uncoloured_head(text: &str) -> Option<String> {
    const ESCAPE: char = '\u{1b}';
    let bytes = text.as_bytes();
    let head_bytes = bytes.len().min(HEAD_BYTES);
    memchr::memchr(ESCAPE as u8, bytes.get(..head_bytes)?)?;
    let mut plain = String::with_capacity(head_bytes);
    let mut characters = text.chars().take(head_bytes);
    while let Some(character) = characters.next() {
        if character == ESCAPE {
            // `ESC [ 3 1 m`: up to a letter.
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    Some(plain)
}

/// The first level word: in capitals, in brackets, after `level=`, or at the beginning before a colon.
pub(super) fn find_level(text: &str, from: usize) -> Option<(Severity, &str)> {
    let bytes = text.as_bytes();
    let end = bytes.len().min(from + LEVEL_WITHIN);
    let first_line_end = memchr::memchr(b'\n', bytes.get(from..end)?).map_or(end, |at| from + at);
    let mut at = from;
    while at < first_line_end {
        let window = bytes.get(at..first_line_end)?;
        let skip = window.iter().position(u8::is_ascii_alphabetic)?;
        let start = at + skip;
        let letters = bytes
            .get(start..)?
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let stop = start + letters;
        let word = text.get(start..stop)?;
        let before = start
            .checked_sub(1)
            .and_then(|before| bytes.get(before).copied());
        if let Some(severity) = level_of(word, before, bytes.get(stop).copied(), text, start) {
            return Some((severity, word));
        }
        at = stop.max(start + 1);
    }
    None
}

fn level_of(
    word: &str,
    before: Option<u8>,
    after: Option<u8>,
    text: &str,
    start: usize,
) -> Option<Severity> {
    const SHORTEST_WORD: usize = 3;
    // Part of a longer word, such as an identifier or a path.
    let joins =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let is_channel = before == Some(b'.') && after == Some(b':');
    let is_part = before.is_some_and(joins) && !is_channel || after.is_some_and(joins);
    if word.len() < SHORTEST_WORD || is_part {
        return None;
    }
    let bracketed =
        matches!(before, Some(b'[' | b'<' | b'(')) && matches!(after, Some(b']' | b'>' | b')'));
    let head = text.get(..start).unwrap_or_default();
    // `error: ...`, `PHP Warning:  ...`, and monolog's `[...] app.ERROR: ...`
    let leads = after == Some(b':') && (start == 0 || head.ends_with("PHP "));
    let assigned = before == Some(b'=') && (head.ends_with("level=") || head.ends_with("lvl="));
    let capitals = word.bytes().all(|byte| byte.is_ascii_uppercase());
    // These are ordinary words unless punctuation marks them as levels.
    let ambiguous = matches!(word, "LOG" | "HTTP" | "FINE" | "ALERT") && after != Some(b':');
    let is_level = bracketed || assigned || leads || (capitals && !ambiguous);
    is_level.then(|| Severity::from_text(word)).flatten()
}
