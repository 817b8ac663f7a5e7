//! Log line formats: from the text of one record to its time, severity, body, ids and attributes.
//!
//! Pure functions over borrowed text: nothing is copied unless an escape sequence must be resolved.
//! Invariants: no input panics; no text is lost. A recognised field moves to its place in the record only
//! when it could be read there, all others stay attributes; without a message field, and whenever a line
//! is not of its format, the whole text is the body.

mod cri;
mod fields;
mod json;
mod logfmt;
mod plain;
mod timestamp;

use std::borrow::Cow;

use serde::Deserialize;
use vervet_model::{Severity, SpanId, TraceId};
use vervet_wire::otlp::{KeyValue, Value};

pub use cri::{CriLine, split_cri};

/// The attribute of a record whose text is not of the configured format; its value names the format.
pub const PARSE_ERROR: &str = "vervet.parse_error";
/// The attribute that names the stream (`stdout`, `stderr`) a container wrote to.
pub const IOSTREAM: &str = "log.iostream";

/// How a line becomes a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Decided per line.
    #[default]
    Auto,
    Json,
    Logfmt,
    /// The lines container runtimes write; what the container wrote is read as by `auto`.
    #[serde(alias = "container")]
    Cri,
    Plain,
}

impl LogFormat {
    /// The word in the configuration and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Logfmt => "logfmt",
            Self::Cri => "cri",
            Self::Plain => "plain",
        }
    }
}

/// What a line says, borrowed from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed<'a> {
    /// Nanoseconds since the epoch, 0 when the line tells no time.
    pub time_unix_nano: u64,
    /// The time was found in running text without an offset from UTC: a better source replaces it.
    pub time_is_local: bool,
    pub severity: Severity,
    /// The level as written.
    pub severity_text: Cow<'a, str>,
    pub body: Value<'a>,
    pub attributes: Vec<KeyValue<'a>>,
    pub trace_id: Option<TraceId>,
    pub span_id: Option<SpanId>,
    /// The format the text turned out not to be of.
    pub failed: Option<LogFormat>,
}

/// Reads one line, container runtime prefix included.
pub fn parse_line(format: LogFormat, line: &str) -> Parsed<'_> {
    if !matches!(format, LogFormat::Auto | LogFormat::Cri) {
        return parse_text(format, line);
    }
    match split_cri(line.as_bytes()) {
        Some(cri) => {
            let content = line.get(cri.content_at..).unwrap_or_default();
            let mut parsed = parse_text(LogFormat::Auto, content);
            parsed.add_cri(cri.time_unix_nano, cri.stream);
            parsed
        }
        None => parse_text(format, line),
    }
}

/// Reads the text of one record, which has no container runtime prefix (any more).
pub fn parse_text(format: LogFormat, text: &str) -> Parsed<'_> {
    match format {
        LogFormat::Json => json::parse(text).unwrap_or_else(|| unparsed(text, format)),
        LogFormat::Logfmt => logfmt::parse(text, logfmt::Strictness::BareKeys)
            .unwrap_or_else(|| unparsed(text, format)),
        LogFormat::Cri => unparsed(text, format),
        LogFormat::Plain => plain::parse(text),
        LogFormat::Auto => parse_auto(text),
    }
}

/// Decides by the first bytes: an object is JSON, `key=` is logfmt when every word is a pair.
fn parse_auto(text: &str) -> Parsed<'_> {
    if text.starts_with('{') {
        return match json::parse(text) {
            Some(parsed) => parsed,
            None if text.starts_with("{\"") => unparsed(text, LogFormat::Json),
            None => plain::parse(text),
        };
    }
    if logfmt::begins(text)
        && let Some(parsed) = logfmt::parse(text, logfmt::Strictness::PairsOnly)
    {
        return parsed;
    }
    plain::parse(text)
}

fn unparsed(text: &str, format: LogFormat) -> Parsed<'_> {
    let mut parsed = plain::parse(text);
    parsed
        .attributes
        .push(KeyValue::new(PARSE_ERROR, format.as_str()));
    parsed.failed = Some(format);
    parsed
}

impl Parsed<'_> {
    /// Adds what the container runtime tells; a time that the application itself tells wins.
    pub(crate) fn add_cri(&mut self, time_unix_nano: u64, stream: &'static str) {
        if self.time_unix_nano == 0 || self.time_is_local {
            self.time_unix_nano = time_unix_nano;
        }
        self.attributes.push(KeyValue::new(IOSTREAM, stream));
    }
}

#[cfg(test)]
mod tests;
