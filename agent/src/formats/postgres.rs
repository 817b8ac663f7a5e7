//! PostgreSQL with its default `log_line_prefix` (`%m [%p] `), also with `%q%u@%d ` behind it as Debian sets it:
//! `2024-01-02 03:04:05.678 UTC [123] app@shop ERROR:  relation "x" does not exist`.
//!
//! Lines such as DETAIL and STATEMENT are records of their own, without a severity.

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::{KeyValue, Value};

use super::{Parsed, Settings, timestamp};

pub(super) fn parse<'a>(settings: &Settings, text: &'a str) -> Option<Parsed<'a>> {
    let (mut stamp, end) = timestamp::take(text.as_bytes())?;
    let rest = text.get(end..)?;
    let (zone, rest) = rest.split_once(" [")?;
    match zone.trim_start() {
        "" => {}
        zone if is_abbreviation(zone) => stamp.zoned = false,
        zone => stamp = timestamp::at_offset(stamp, hours_of(zone)?)?,
    }
    let (process, rest) = rest.split_once("] ")?;
    let process: i64 = process.parse().ok()?;
    let (head, message) = rest.split_once(":  ")?;
    let (whom, level) = match head.rsplit_once(' ') {
        Some((whom, level)) => (Some(whom.split_once('@')?), level),
        None => (None, head),
    };
    let severity = severity_of(level)?;
    let mut parsed = Parsed {
        severity: settings.roles.level(level).unwrap_or(severity),
        severity_text: Cow::Borrowed(level),
        body: Value::from(message),
        attributes: vec![KeyValue::new("process.pid", process)],
        ..Parsed::default()
    };
    settings.times.put(stamp, &mut parsed);
    if let Some((user, database)) = whom {
        let attributes = &mut parsed.attributes;
        attributes.push(KeyValue::new("user.name", user));
        attributes.push(KeyValue::new("db.namespace", database));
    }
    Some(parsed)
}

/// Whether a line is of this format, as far as multi-line records need to know.
pub(crate) fn is_postgres(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| parse(&Settings::default(), line).is_some())
}

fn severity_of(level: &str) -> Option<Severity> {
    Some(match level {
        "DEBUG" | "DEBUG1" | "DEBUG2" | "DEBUG3" | "DEBUG4" | "DEBUG5" => Severity::DEBUG,
        "INFO" | "LOG" => Severity::INFO,
        "NOTICE" => Severity::from_number(10),
        "WARNING" => Severity::WARN,
        "ERROR" => Severity::ERROR,
        "FATAL" | "PANIC" => Severity::FATAL,
        "DETAIL" | "HINT" | "CONTEXT" | "STATEMENT" | "QUERY" | "LOCATION" | "BACKTRACE" => {
            Severity::UNSPECIFIED
        }
        _ => return None,
    })
}

/// `CET`, which different people read differently.
fn is_abbreviation(zone: &str) -> bool {
    (2..=5).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// `+03`, where a zone has no abbreviation.
fn hours_of(zone: &str) -> Option<i64> {
    let hours: i64 = zone.parse().ok()?;
    let signed = zone.starts_with(['+', '-']) && zone.len() == 3;
    (signed && (-15..=15).contains(&hours)).then_some(hours * 3_600)
}
