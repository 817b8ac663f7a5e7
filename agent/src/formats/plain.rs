//! Lines of no known structure: a time at the beginning and a level word near it are recognised, and the
//! body is the whole text.

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::Value;

use super::fields::{full_span_id, full_trace_id};
use super::{Parsed, Reader, Settings, colours, level};

/// How far into the text a level word is looked for (bytes after the time).
const LEVEL_WITHIN: usize = 80;
/// How far behind the time the second line begins, at most, if a level is looked for there (bytes).
const SECOND_LINE_WITHIN: usize = 512;
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
    let (severity, word) = level.unwrap_or_default();
    if stamp.is_none() && std::ptr::eq(word.as_ptr(), text.as_ptr()) {
        take_behind(settings, text, word.len(), parsed);
    }
    (severity, word)
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

/// The first level word: in capitals, in brackets, after `level=`, at the beginning before a colon, or in any case where a
/// logger writes it: behind the time.
pub(super) fn find_level<'t>(
    settings: &Settings,
    text: &'t str,
    from: usize,
) -> Option<(Severity, &'t str)> {
    let bytes = text.as_bytes();
    let end = bytes.len().min(from + LEVEL_WITHIN);
    let first_line_end = memchr::memchr(b'\n', bytes.get(from..end)?).map_or(end, |at| from + at);
    let is_mapped = !settings.roles.levels.is_empty();
    let mut place = Place {
        is_timed: from > 0,
        ..Place::default()
    };
    let mut at = from;
    while at < first_line_end {
        let window = bytes.get(at..first_line_end)?;
        let skip = window.iter().position(u8::is_ascii_alphabetic)?;
        place.pass(window.get(..skip)?);
        let start = at + skip;
        let letters = bytes
            .get(start..)?
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let stop = start + letters;
        let word = Word::new(text, start, stop);
        if !is_mapped && place.in_message && word.is_plain() {
            at = stop;
            continue;
        }
        let found = word.level(place);
        if found.is_some() && !is_mapped {
            return found;
        }
        if is_mapped && let Some(found) = word.mapped(settings, place, found) {
            return Some(found);
        }
        place.pass_word();
        at = stop.max(start + 1);
    }
    None
}

/// What has been passed on the way to a word.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// A time.
    is_timed: bool,
    /// A bracket that is still open.
    in_bracket: bool,
    has_words: bool,
    /// A word outside of brackets: from here on it is the message.
    in_message: bool,
}

impl Place {
    /// Passes over what stands between words.
    #[inline]
    fn pass(&mut self, gap: &[u8]) {
        if self.in_message || gap.is_empty() {
            return;
        }
        let colons = |gap: &[u8]| gap.iter().filter(|byte| **byte == b':').count();
        // A clock, `03:04:05`, in front of all words.
        self.is_timed |= !self.has_words && gap.len() > 7 && colons(gap) == 2;
        let brackets = |byte: &&u8| matches!(**byte, b'[' | b']');
        if let Some(bracket) = gap.iter().rev().find(brackets) {
            self.in_bracket = *bracket == b'[';
        }
    }

    #[inline]
    fn pass_word(&mut self) {
        self.has_words = true;
        self.in_message |= !self.in_bracket;
    }
}

/// A word of letters in a text.
#[derive(Debug, Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    start: usize,
    stop: usize,
    /// The bytes on both sides.
    before: Option<u8>,
    after: Option<u8>,
}

impl<'t> Word<'t> {
    #[inline]
    fn new(text: &'t str, start: usize, stop: usize) -> Self {
        let byte = |at: usize| text.as_bytes().get(at).copied();
        Self {
            text,
            start,
            stop,
            before: start.checked_sub(1).and_then(byte),
            after: byte(stop),
        }
    }

    fn as_str(self) -> &'t str {
        self.text.get(self.start..self.stop).unwrap_or_default()
    }

    fn head(self) -> &'t str {
        self.text.get(..self.start).unwrap_or_default()
    }

    /// The first byte behind that is no blank.
    fn next(self) -> Option<u8> {
        let behind = self.text.as_bytes().get(self.stop..)?;
        behind.iter().copied().find(|byte| *byte != b' ')
    }

    /// Nothing but letters says that it could be a level, and they are not capitals.
    #[inline]
    fn is_plain(self) -> bool {
        let second = self.text.as_bytes().get(self.start + 1);
        let is_capital = second.is_some_and(u8::is_ascii_uppercase);
        let marks = matches!(self.before, Some(b'[' | b'<' | b'(' | b'='));
        !is_capital && !marks && self.after != Some(b':')
    }

    fn is_capitals(self) -> bool {
        self.as_str().bytes().all(|byte| byte.is_ascii_uppercase())
    }

    /// Part of a longer word, such as an identifier or a path. Levels may be: monolog's `app.ERROR: `, celery's
    /// `: ERROR/MainProcess]`, `[Server thread/ERROR]`.
    fn is_part(self) -> bool {
        let joins =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
        match (self.before, self.after) {
            (Some(b'.'), Some(b':')) => false,
            (Some(b'/'), Some(b']')) => !self.is_capitals(),
            (_, Some(b'/')) => !(self.is_capitals() && self.head().ends_with(": ")),
            (before, after) => before.is_some_and(joins) || after.is_some_and(joins),
        }
    }

    /// Whether punctuation marks it as a level.
    fn is_marked(self) -> bool {
        let (before, after) = (self.before, self.after);
        // `[error]`, structlog's `[warning  ]`
        let bracketed = match before {
            Some(b'[') => matches!(after, Some(b']' | b'>' | b')' | b' ')) && self.closes(),
            Some(b'<' | b'(') => matches!(after, Some(b']' | b'>' | b')')),
            _ => false,
        };
        let head = || self.head();
        // `error: ...`, `PHP Warning:  ...`, and monolog's `[...] app.ERROR: ...`
        let leads = after == Some(b':') && (self.start == 0 || head().ends_with("PHP "));
        // Node's `console.trace` begins with this what it prints.
        let is_trace = self.as_str() == "Trace";
        let assigned =
            before == Some(b'=') && (head().ends_with("level=") || head().ends_with("lvl="));
        bracketed || assigned || (leads && !is_trace)
    }

    fn closes(self) -> bool {
        matches!(self.next(), Some(b']' | b'>' | b')'))
    }

    /// Whether it stands where loggers write the level: behind a time, as the first word or, with brackets in between, in front
    /// of `:` or `|`.
    fn is_placed(self, place: Place) -> bool {
        if !place.is_timed || place.in_message {
            return false;
        }
        match self.next() {
            Some(b'|') => true,
            // `http: ` and `log: ` name packages of Go.
            Some(b':') => !matches!(self.as_str(), "http" | "log" | "fine"),
            _ => {
                let is_apart = matches!(self.after, None | Some(b' ' | b'\t' | b']'));
                !place.has_words && is_apart && is_unmistakable(self.as_str())
            }
        }
    }

    fn level(self, place: Place) -> Option<(Severity, &'t str)> {
        const SHORTEST_WORD: usize = 3;
        let word = self.as_str();
        if word.len() < SHORTEST_WORD || self.is_part() {
            return None;
        }
        // `[TypeError: boom] { code: 'X' }`, as Node prints an error without a stack.
        if self.before == Some(b'[') && self.after == Some(b':') && word.ends_with("Error") {
            return Some((Severity::ERROR, ""));
        }
        let is_capitals = self.is_capitals();
        if !is_capitals && !self.is_marked() && !self.is_placed(place) {
            return None;
        }
        let is_monolog = self.before == Some(b'.') && self.after == Some(b':');
        let severity = match is_monolog {
            true => Severity::from_syslog_text(word)?,
            false => level::of(word)?,
        };
        // These are ordinary words unless punctuation marks them as levels.
        let is_ambiguous = is_capitals
            && matches!(
                word,
                "LOG" | "HTTP" | "FINE" | "CONFIG" | "ALERT" | "SUCCESS"
            )
            && self.after != Some(b':');
        (!is_ambiguous || self.is_marked() || self.is_placed(place)).then_some((severity, word))
    }

    /// With a configured word, which may have digits: `found`, or what the configuration makes of the word.
    fn mapped(
        self,
        settings: &Settings,
        place: Place,
        found: Option<(Severity, &'t str)>,
    ) -> Option<(Severity, &'t str)> {
        let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let rest = self.text.as_bytes().get(self.start..)?;
        let bytes = rest.iter().take_while(|byte| in_word(byte)).count();
        let whole = Self::new(self.text, self.start, self.start + bytes);
        let word = whole.as_str();
        let is_placed = || !place.in_message || whole.is_capitals() || whole.is_marked();
        match settings.roles.level(word) {
            Some(severity) if !whole.is_part() && is_placed() => Some((severity, word)),
            _ => found,
        }
    }
}

/// Whether a word in front of a message is a level without any mark; others, such as `log`, begin sentences.
fn is_unmistakable(word: &str) -> bool {
    // Nest's, in capitals only.
    if word == "LOG" {
        return true;
    }
    let words: &[&str] = match word.len() {
        3 => &["err", "wrn", "inf", "dbg", "trc", "ftl"],
        4 => &["info", "warn", "crit"],
        5 => &["error", "debug", "trace", "fatal"],
        7 => &["warning", "verbose"],
        8 => &["critical"],
        11 => &["information"],
        _ => return false,
    };
    words.iter().any(|level| word.eq_ignore_ascii_case(level))
}
