//! Lines of no known structure: a time at the beginning and a level word near it are recognised, and the
//! body is the whole text.

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::Value;

use super::{Parsed, Settings};

/// How far into the text a level word is looked for (bytes after the time).
const LEVEL_WITHIN: usize = 80;

pub(super) fn parse<'a>(settings: &Settings, text: &'a str) -> Parsed<'a> {
    let bytes = text.as_bytes();
    let bracket = usize::from(bytes.first() == Some(&b'['));
    let stamp = text
        .get(bracket..)
        .and_then(|text| settings.times.take(text));
    let level_from = stamp.map_or(0, |(_, end)| bracket + end);
    let level = klog_level(text).or_else(|| find_level(text, level_from));
    let (severity, severity_text) = level.unwrap_or_default();
    let mut parsed = Parsed {
        severity: settings.roles.level(severity_text).unwrap_or(severity),
        severity_text: Cow::Borrowed(severity_text),
        body: Value::from(text),
        ..Parsed::default()
    };
    if let Some((stamp, _)) = stamp {
        settings.times.put(stamp, &mut parsed);
    }
    parsed
}

/// `E0102 03:04:05.678901 ...`, as Kubernetes' own programs log.
fn klog_level(text: &str) -> Option<(Severity, &str)> {
    let digits = text.get(1..5)?;
    let is_klog = digits.bytes().all(|byte| byte.is_ascii_digit()) && text.get(5..6) == Some(" ");
    let letter = text
        .get(..1)
        .filter(|letter| is_klog && "IWEF".contains(letter))?;
    Some((Severity::from_text(letter)?, letter))
}

/// The first level word: in capitals, in brackets, after `level=`, or at the beginning before a colon.
fn find_level(text: &str, from: usize) -> Option<(Severity, &str)> {
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
    if word.len() < SHORTEST_WORD || before.is_some_and(joins) || after.is_some_and(joins) {
        return None;
    }
    let bracketed =
        matches!(before, Some(b'[' | b'<' | b'(')) && matches!(after, Some(b']' | b'>' | b')'));
    let assigned = before == Some(b'=')
        && text
            .get(..start)
            .is_some_and(|head| head.ends_with("level=") || head.ends_with("lvl="));
    let leads = start == 0 && after == Some(b':');
    let capitals = word.bytes().all(|byte| byte.is_ascii_uppercase());
    // These are ordinary words unless punctuation marks them as levels.
    let ambiguous = matches!(word, "LOG" | "HTTP" | "FINE" | "ALERT") && after != Some(b':');
    let is_level = bracketed || assigned || leads || (capitals && !ambiguous);
    is_level.then(|| Severity::from_text(word)).flatten()
}
