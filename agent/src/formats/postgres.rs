//! PostgreSQL with its default `log_line_prefix` (`%m [%p] `), also with `%q%u@%d ` behind it as Debian sets it:
//! `2024-01-02 03:04:05.678 UTC [123] app@shop ERROR:  relation "x" does not exist`.
//!
//! Also `csvlog`, whose fields are [`COLUMNS`]; what is empty is left out.
//!
//! Lines such as DETAIL and STATEMENT are records of their own, without a severity.

use std::borrow::Cow;

use vervet_model::Severity;
use vervet_wire::otlp::{KeyValue, Value};

use super::{Parsed, Settings, timestamp};

/// What the fields of a line of `csvlog` become, in their order, behind the time; those without a name have another place in the
/// record.
const COLUMNS: [&str; 25] = [
    "user.name",
    "db.namespace",
    "process.pid",
    "postgresql.connection_from",
    "session.id",
    "postgresql.session_line_num",
    "postgresql.command_tag",
    "postgresql.session_start_time",
    "postgresql.virtual_transaction_id",
    "postgresql.transaction_id",
    "",
    "db.response.status_code",
    "",
    "postgresql.detail",
    "postgresql.hint",
    "postgresql.internal_query",
    "postgresql.internal_query_pos",
    "postgresql.context",
    "db.query.text",
    "postgresql.query_pos",
    "postgresql.location",
    "postgresql.application_name",
    "postgresql.backend_type",
    "postgresql.leader_pid",
    "postgresql.query_id",
];
const PROCESS_COLUMN: usize = 2;
const LEVEL_COLUMN: usize = 10;
const MESSAGE_COLUMN: usize = 12;

pub(super) fn parse<'a>(settings: &Settings, text: &'a str) -> Option<Parsed<'a>> {
    parse_csv(settings, text).or_else(|| parse_text(settings, text))
}

/// Whether a line begins as one of `csvlog` does: `2024-01-02 03:04:05.678 UTC,`.
#[inline]
pub(crate) fn begins_csv(line: &[u8]) -> bool {
    let zone = || {
        let zone = line.get(24..line.len().min(32))?;
        let end = zone.iter().position(|byte| *byte == b',')?;
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-');
        zone.get(..end)?.iter().all(allowed).then_some(())
    };
    line.get(19) == Some(&b'.')
        && line.get(23) == Some(&b' ')
        && line.first().is_some_and(u8::is_ascii_digit)
        && zone().is_some()
}

fn parse_csv<'a>(settings: &Settings, text: &'a str) -> Option<Parsed<'a>> {
    if !begins_csv(text.as_bytes()) {
        return None;
    }
    let (time, mut rest) = text.split_once(',')?;
    let stamp = settings.times.parse(time)?;
    let mut parsed = Parsed {
        attributes: Vec::with_capacity(16),
        ..Parsed::default()
    };
    settings.times.put(stamp, &mut parsed);
    let mut columns = 0;
    for (index, name) in COLUMNS.into_iter().enumerate() {
        let (field, after) = take_field(rest)?;
        columns = index;
        match index {
            LEVEL_COLUMN => {
                let severity = severity_of(&field)?;
                parsed.severity = settings.roles.level(&field).unwrap_or(severity);
                parsed.severity_text = field;
            }
            MESSAGE_COLUMN => parsed.body = Value::String(field),
            PROCESS_COLUMN => {
                let process: i64 = field.parse().ok()?;
                parsed.attributes.push(KeyValue::new(name, process));
            }
            _ if field.is_empty() => {}
            _ => parsed.attributes.push(KeyValue::new(name, field)),
        }
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    (columns >= MESSAGE_COLUMN).then_some(parsed)
}

/// The first field of a row, and what stands behind its comma; `None` when a quote is not closed.
fn take_field(row: &str) -> Option<(Cow<'_, str>, Option<&str>)> {
    let Some(quoted) = row.strip_prefix('"') else {
        return Some(match row.split_once(',') {
            Some((field, rest)) => (Cow::Borrowed(field), Some(rest)),
            None => (Cow::Borrowed(row), None),
        });
    };
    let mut end = 0;
    let mut is_doubled = false;
    loop {
        end += quoted.get(end..)?.find('"')?;
        if quoted.as_bytes().get(end + 1) != Some(&b'"') {
            break;
        }
        is_doubled = true;
        end += 2;
    }
    let field = quoted.get(..end)?;
    let field = match is_doubled {
        true => Cow::Owned(field.replace("\"\"", "\"")),
        false => Cow::Borrowed(field),
    };
    match quoted.get(end + 1..)? {
        "" => Some((field, None)),
        rest => Some((field, Some(rest.strip_prefix(',')?))),
    }
}

fn parse_text<'a>(settings: &Settings, text: &'a str) -> Option<Parsed<'a>> {
    let (mut stamp, end) = timestamp::take(text.as_bytes())?;
    let rest = text.get(end..)?;
    let (zone, rest) = rest.split_once(" [")?;
    match zone.trim_start() {
        "" => {}
        zone if timestamp::is_abbreviation(zone) => stamp = stamp.named(zone),
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

/// Whether a line is of this format, not of `csvlog`, as far as multi-line records need to know.
pub(crate) fn is_postgres(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| parse_text(&Settings::default(), line).is_some())
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

/// `+03`, where a zone has no abbreviation.
fn hours_of(zone: &str) -> Option<i64> {
    let hours: i64 = zone.parse().ok()?;
    let signed = zone.starts_with(['+', '-']) && zone.len() == 3;
    (signed && (-15..=15).contains(&hours)).then_some(hours * 3_600)
}
