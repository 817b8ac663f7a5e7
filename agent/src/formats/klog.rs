//! The header of Kubernetes' own programs: `E0102 03:04:05.678901   12 main.go:5] message`.
//!
//! Behind it stands text, or a quoted message with `key="value"` pairs. The header names neither year nor zone: the
//! time is the latest such day that is not in the future.

use std::borrow::Cow;

use vervet_wire::otlp::{KeyValue, Value};

use super::{Parsed, Reader, logfmt, timestamp};

/// Whether `text` begins with a level letter and a date.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'I' | b'W' | b'E' | b'F'))
        && bytes.get(5) == Some(&b' ')
        && timestamp::digits(bytes, 1, 4).is_some()
}

pub(super) fn parse<'a>(reader: Reader<'_>, text: &'a str) -> Option<Parsed<'a>> {
    const TIME_AT: usize = 6;
    let bytes = text.as_bytes();
    if !begins(bytes) {
        return None;
    }
    let (month, day) = (
        timestamp::digits(bytes, 1, 2)?,
        timestamp::digits(bytes, 3, 2)?,
    );
    let (clock, time_end) = timestamp::take_clock(bytes, TIME_AT)?;
    let stamp = timestamp::in_latest_year(month, day, clock, reader.observed_unix_nano)?;
    let (header, message) = text.get(time_end..)?.split_once("] ")?;
    let (thread, place) = header.trim_start().split_once(' ')?;
    let thread: i64 = thread.parse().ok()?;
    let (file, line) = place.rsplit_once(':')?;
    let line: i64 = line.parse().ok()?;
    let letter = text.get(..1)?;
    let mut parsed = Parsed {
        severity: reader.settings.level(letter).unwrap_or_default(),
        severity_text: Cow::Borrowed(letter),
        attributes: vec![
            KeyValue::new("thread.id", thread),
            KeyValue::new("code.file.path", file),
            KeyValue::new("code.line.number", line),
        ],
        ..Parsed::default()
    };
    reader.settings.times.put(stamp, &mut parsed);
    parsed.body = match structured(message) {
        Some((body, pairs)) => {
            parsed.attributes.extend(pairs);
            Value::String(body)
        }
        None => Value::from(message),
    };
    Some(parsed)
}

/// A quoted message and its pairs; `None` when anything else stands there.
fn structured(message: &str) -> Option<(Cow<'_, str>, Vec<KeyValue<'_>>)> {
    let (body, rest) = message
        .starts_with('"')
        .then(|| logfmt::take_value(message))??;
    Some((body, logfmt::pairs(rest)?))
}
