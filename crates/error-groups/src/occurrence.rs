//! One sighting of a failure, as the collector hands it over.
//!
//! Limits: stack text 64 KiB, message 8 KiB, 64 attributes of 1 KiB each (name and value apart),
//! every other field 1 KiB. What is longer is cut at a character boundary and ends in
//! [`TRUNCATION_MARK`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use vervet_model::{SpanId, TraceId, UnixNanos};

use crate::stack::Language;

/// The longest stack text that is read or stored, in bytes.
pub const STACK_BYTES_MAX: usize = 64 * 1024;
/// The longest message that is read or stored, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// The most attributes stored with an event.
pub const ATTRIBUTES_MAX: usize = 64;
/// The longest attribute name, attribute value or other short field, in bytes.
pub const FIELD_BYTES_MAX: usize = 1024;
/// Ends a text that was cut; counted within the limits.
pub const TRUNCATION_MARK: &str = "...[truncated]";

/// Where a failure was seen. The same failure may be seen in all three places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OccurrenceSource {
    /// An `exception` event of a span.
    SpanEvent,
    /// A log record with `exception.*` attributes.
    LogRecord,
    /// A stack trace inside the text of a log record.
    LogBody,
}

impl OccurrenceSource {
    /// One bit for each source, so that a stored event can say where it was seen.
    pub(crate) fn bit(self) -> i64 {
        match self {
            Self::SpanEvent => 1,
            Self::LogRecord => 2,
            Self::LogBody => 4,
        }
    }

    /// The sources in a mask made of [`Self::bit`].
    pub(crate) fn from_mask(mask: i64) -> Vec<Self> {
        [Self::SpanEvent, Self::LogRecord, Self::LogBody]
            .into_iter()
            .filter(|source| mask & source.bit() != 0)
            .collect()
    }
}

/// One sighting of a failure. Empty strings mean "not known".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    pub source: OccurrenceSource,
    pub time: UnixNanos,
    pub service_name: String,
    pub service_version: String,
    pub environment: String,
    /// `exception.type`; may be empty when the stack text names it.
    pub exception_type: String,
    pub message: String,
    /// The stack as the language prints it.
    pub stacktrace: String,
    pub language_hint: Option<Language>,
    pub logger: String,
    /// `Some(false)` when the failure ended the process or the request.
    pub handled: Option<bool>,
    pub trace_id: Option<TraceId>,
    pub span_id: Option<SpanId>,
    pub host_name: String,
    pub attributes: Vec<(String, String)>,
}

impl Occurrence {
    /// An occurrence that knows only its place, time and service.
    pub fn new(source: OccurrenceSource, time: UnixNanos, service_name: impl Into<String>) -> Self {
        Self {
            source,
            time,
            service_name: service_name.into(),
            service_version: String::new(),
            environment: String::new(),
            exception_type: String::new(),
            message: String::new(),
            stacktrace: String::new(),
            language_hint: None,
            logger: String::new(),
            handled: None,
            trace_id: None,
            span_id: None,
            host_name: String::new(),
            attributes: Vec::new(),
        }
    }

    /// The value of the attribute `name`, if it is there and not empty.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// The longest prefix of `text` of at most `bytes_max` bytes that ends between characters.
pub(crate) fn prefix(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or(text)
}

/// `text`, or its beginning and [`TRUNCATION_MARK`] when it is longer than `bytes_max`.
pub(crate) fn truncated(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let kept = prefix(text, bytes_max.saturating_sub(TRUNCATION_MARK.len()));
    Cow::Owned(format!("{kept}{TRUNCATION_MARK}"))
}
