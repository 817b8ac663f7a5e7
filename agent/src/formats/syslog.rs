//! Syslog lines: RFC 5424, RFC 3164, and what daemons write to files, which has no priority in front.
//!
//! ```text
//! <165>1 2024-01-02T03:04:05.678Z host app 123 ID7 [origin ip="192.0.2.1"] message
//! <34>Jan  2 03:04:05 host app[123]: message
//! Jan  2 03:04:05 host app[123]: message
//! 2024-01-02T03:04:05.678901+00:00 host app[123]: message
//! ```
//! Attributes are named as in OpenTelemetry's table for syslog, `syslog.*`. Without a priority the severity is looked
//! for in the message.

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::{KeyValue, Value};

use super::json::{self, VALUES_MAX};
use super::timestamp::{self, Stamp};
use super::{Parsed, Reader, Strictness, level, plain};

/// Longest name of a host or an application (bytes).
const NAME_BYTES_MAX: usize = 255;

/// Whether `text` begins with a priority or the name of a month.
pub(super) fn begins(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(b'<') => bytes.get(1).is_some_and(u8::is_ascii_digit),
        Some(b'A'..=b'S') => bytes.get(3) == Some(&b' ') && timestamp::month(bytes, 0).is_some(),
        _ => false,
    }
}

pub(super) fn parse<'a>(
    reader: Reader<'_>,
    text: &'a str,
    strictness: Strictness,
) -> Option<Parsed<'a>> {
    let (priority, rest) = match text.strip_prefix('<') {
        Some(rest) => {
            let (digits, rest) = rest.split_once('>')?;
            let priority: u8 = digits.parse().ok().filter(|priority| *priority < 192)?;
            (Some(priority), rest)
        }
        None => (None, text),
    };
    let mut parsed = Parsed::default();
    if let Some(priority) = priority {
        parsed.severity = severity_of(priority);
        parsed.severity_text = Cow::Borrowed(word_of(priority));
        let facility = i64::from(priority / 8);
        parsed
            .attributes
            .push(KeyValue::new("syslog.facility", facility));
    }
    match rest.strip_prefix("1 ").filter(|_| priority.is_some()) {
        Some(rest) => modern(reader, rest, &mut parsed)?,
        None => classic(reader, rest, strictness, &mut parsed)?,
    }
    if let Some(severity) = reader.settings.roles.level(&parsed.severity_text) {
        parsed.severity = severity;
    }
    read_object(reader, &mut parsed);
    Some(parsed)
}

/// A message that is a JSON object, alone or behind CEE's `@cee:`, is read; what it tells comes before what the daemon does.
fn read_object<'a>(reader: Reader<'_>, parsed: &mut Parsed<'a>) {
    let Value::String(Cow::Borrowed(message)) = parsed.body else {
        return;
    };
    let message: &'a str = message;
    let object = message
        .strip_prefix("@cee:")
        .unwrap_or(message)
        .trim_ascii();
    if !object.starts_with("{\"") {
        return;
    }
    let Some(inner) = json::parse(reader.settings, object) else {
        return;
    };
    parsed.body = inner.body;
    parsed.attributes.extend(inner.attributes);
    parsed.trace_id = inner.trace_id;
    parsed.span_id = inner.span_id;
    if inner.severity != Severity::UNSPECIFIED {
        parsed.severity = inner.severity;
        parsed.severity_text = inner.severity_text;
    }
    if inner.time_unix_nano != 0 && !inner.time_is_local {
        parsed.time_unix_nano = inner.time_unix_nano;
        parsed.time_is_local = false;
        parsed.zone_is_unknown = false;
    }
}

/// What stands behind the version in RFC 5424.
fn modern<'a>(reader: Reader<'_>, text: &'a str, parsed: &mut Parsed<'a>) -> Option<()> {
    parsed
        .attributes
        .push(KeyValue::new("syslog.version", Value::Int(1)));
    let (time, rest) = text.split_once(' ')?;
    if time != "-" {
        let (stamp, end) = timestamp::take(time.as_bytes())?;
        (end == time.len()).then(|| reader.settings.times.put(stamp, parsed))?;
    }
    let (host, rest) = rest.split_once(' ')?;
    let (app, rest) = rest.split_once(' ')?;
    let (process, rest) = rest.split_once(' ')?;
    let (id, rest) = rest.split_once(' ').unwrap_or((rest, "-"));
    for (key, value) in [
        ("syslog.hostname", host),
        ("syslog.appname", app),
        ("syslog.procid", process),
        ("syslog.msgid", id),
    ] {
        if value != "-" {
            parsed.attributes.push(KeyValue::new(key, value));
        }
    }
    let message = match rest.strip_prefix('-') {
        Some(rest) => rest,
        None => {
            let (data, rest) = structured_data(rest)?;
            parsed.attributes.push(KeyValue {
                key: Cow::Borrowed("syslog.structured_data"),
                value: Value::Map(data),
            });
            rest
        }
    };
    let message = match message.strip_prefix(' ') {
        Some(message) => message.strip_prefix('\u{feff}').unwrap_or(message),
        None if message.is_empty() => "",
        None => return None,
    };
    parsed.body = Value::from(message);
    Some(())
}

/// `[id name="value" ...]...`: elements by their id, and what follows. `None` also when they are more than [`VALUES_MAX`].
fn structured_data(text: &str) -> Option<(Vec<KeyValue<'_>>, &str)> {
    let (mut elements, mut rest, mut values) = (Vec::new(), text, 0);
    while let Some(inside) = rest.strip_prefix('[') {
        let id_end = inside.find([' ', ']']).filter(|end| *end > 0)?;
        let (id, mut tail) = inside.split_at_checked(id_end)?;
        let mut pairs = Vec::new();
        values += 1;
        if values > VALUES_MAX {
            return None;
        }
        while let Some(pair) = tail.strip_prefix(' ') {
            let (name, quoted) = pair.split_once("=\"")?;
            let end = super::logfmt::closing_quote(quoted.as_bytes())?;
            let value = unescape(quoted.get(..end)?);
            values += 1;
            if values > VALUES_MAX {
                return None;
            }
            pairs.push(KeyValue::new(name, value));
            tail = quoted.get(end + 1..)?;
        }
        rest = tail.strip_prefix(']')?;
        elements.push(KeyValue {
            key: Cow::Borrowed(id),
            value: Value::Map(pairs),
        });
    }
    (!elements.is_empty()).then_some((elements, rest))
}

/// Resolves `\"`, `\\` and `\]`; any other backslash is itself.
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some('"' | '\\' | ']')) => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    Cow::Owned(text)
}

/// Time, host, tag and message.
fn classic<'a>(
    reader: Reader<'_>,
    text: &'a str,
    strictness: Strictness,
    parsed: &mut Parsed<'a>,
) -> Option<()> {
    let (stamp, end) = classic_time(reader, text)?;
    let rest = text.get(end..)?.strip_prefix(' ')?;
    let (host, rest) = rest.split_once(' ').filter(|(host, _)| is_name(host))?;
    let tag = take_tag(rest);
    // A date in full begins many lines: only a tag with a process makes this one of syslog's.
    let is_dated = text.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let has_process = tag.is_some_and(|(_, process, _)| process.is_some());
    if strictness == Strictness::Auto && !(has_process || (tag.is_some() && !is_dated)) {
        return None;
    }
    let is_sure = strictness == Strictness::Configured || !parsed.severity_text.is_empty();
    if !is_sure && (is_level(host) || tag.is_some_and(|(app, _, _)| is_level(app))) {
        return None;
    }
    reader.settings.times.put(stamp, parsed);
    parsed
        .attributes
        .push(KeyValue::new("syslog.hostname", host));
    let message = match tag {
        Some((app, process, message)) => {
            parsed.attributes.push(KeyValue::new("syslog.appname", app));
            let process = process.map(|process| KeyValue::new("syslog.procid", process));
            parsed.attributes.extend(process);
            message
        }
        None => rest,
    };
    if parsed.severity_text.is_empty()
        && let Some((severity, word)) = plain::find_level(reader.settings, message, 0)
    {
        parsed.severity = severity;
        parsed.severity_text = Cow::Borrowed(word);
    }
    parsed.body = Value::from(message);
    Some(())
}

fn classic_time(reader: Reader<'_>, text: &str) -> Option<(Stamp, usize)> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'0'..=b'9' => timestamp::take(bytes).filter(|(stamp, _)| stamp.is_exact()),
        _ => timestamp::take_classic(bytes, reader.observed_unix_nano),
    }
}

/// Whether a level stands where syslog has the host or the tag: the line is an application's then.
fn is_level(word: &str) -> bool {
    let is_plain = word
        .bytes()
        .next_back()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && word
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic());
    let name = match is_plain {
        true => word,
        false => word.trim_matches(|c: char| c.is_ascii_punctuation()),
    };
    // Programs and hosts are called so.
    let is_name = || is_plain && matches!(name, "log" | "http" | "fine");
    level::may_be(name) && level::of(name).is_some() && !is_name()
}

/// `app[123]: message`, `app[123] message` or `app: message`.
fn take_tag(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let end = text.find([' ', '\n']).unwrap_or(text.len());
    let (word, message) = text.split_at_checked(end)?;
    let message = message.strip_prefix(' ').unwrap_or(message);
    let tag = word.strip_suffix(':');
    match tag.unwrap_or(word).split_once('[') {
        Some((app, rest)) => {
            let process = rest.strip_suffix(']')?;
            let is_tag = is_name(app) && (is_name(process) || process.is_empty());
            is_tag.then_some((app, Some(process), message))
        }
        None => tag
            .filter(|app| is_name(app))
            .map(|app| (app, None, message)),
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'[' | b']' | b'"' | b'=');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

fn severity_of(priority: u8) -> Severity {
    match priority % 8 {
        0 => Severity::FATAL,
        1 => Severity::from_number(19),
        2 => Severity::from_number(18),
        3 => Severity::ERROR,
        4 => Severity::WARN,
        5 => Severity::from_number(10),
        6 => Severity::INFO,
        _ => Severity::DEBUG,
    }
}

fn word_of(priority: u8) -> &'static str {
    const WORDS: [&str; 8] = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ];
    WORDS
        .get(usize::from(priority % 8))
        .copied()
        .unwrap_or_default()
}
