//! Log line formats: from the text of one record to its time, severity, body, ids and attributes.
//!
//! In: a [`Parser`], compiled once from the setting `format`, and the text of one record, with or without what a
//! container runtime wraps around it. Out: a [`Parsed`] record that borrows from the text; nothing is copied
//! unless an escape sequence must be resolved.
//!
//! Invariants: no input panics; no text is lost. A recognised field moves to its place in the record only when
//! it could be read there, all others stay attributes; without a message field, and whenever a text is not of
//! its format, the whole text is the body. `auto` reads every text by what the text is, so mixed streams come out right;
//! a [`Detector`] per stream watches what it finds and tells what the stream is of.

mod access;
mod colours;
mod detect;
mod fields;
mod json;
mod klog;
mod level;
mod logfmt;
mod nginx_error;
mod pattern;
mod plain;
mod postgres;
mod runtime;
mod spec;
mod syslog;
mod timestamp;

use std::borrow::Cow;
use std::sync::Arc;

use vervet_model::{Severity, SpanId, TraceId};
use vervet_wire::otlp::{KeyValue, Value};

pub use detect::Detector;
use fields::Roles;
pub use json::unescape;
pub(crate) use level::JUL_LEVELS;
use pattern::Pattern;
pub(crate) use postgres::{begins_csv, is_postgres};
pub use runtime::{Content, Runtime, RuntimeLine};
pub use spec::{FormatError, FormatSpec};
use timestamp::Times;

/// The attribute of a record whose text is not of the configured format; its value names the format.
pub const PARSE_ERROR: &str = "vervet.parse_error";
/// The value of [`PARSE_ERROR`] for a time that is an hour or more off, perhaps, because its zone is not known.
pub const TIME_ZONE: &str = "time_zone";
/// The attribute that names the stream (`stdout`, `stderr`) a container wrote to.
pub const IOSTREAM: &str = "log.iostream";

/// How the text of a record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Decided per record.
    #[default]
    Auto,
    Json,
    Logfmt,
    Klog,
    /// Of Apache and nginx.
    Access,
    NginxError,
    Syslog,
    Postgres,
    /// Named groups of a pattern.
    Regex,
    Plain,
}

impl LogFormat {
    /// The word in the configuration and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Logfmt => "logfmt",
            Self::Klog => "klog",
            Self::Access => "access",
            Self::NginxError => "nginx_error",
            Self::Syslog => "syslog",
            Self::Postgres => "postgres",
            Self::Regex => "regex",
            Self::Plain => "plain",
        }
    }
}

/// What a text says, borrowed from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed<'a> {
    /// Nanoseconds since the epoch, 0 when the text tells no time.
    pub time_unix_nano: u64,
    /// The time came without year or offset from UTC: a better source replaces it.
    pub time_is_local: bool,
    /// The time came with the name of a zone that tells no offset from UTC.
    pub zone_is_unknown: bool,
    pub severity: Severity,
    /// The level as written.
    pub severity_text: Cow<'a, str>,
    pub body: Value<'a>,
    pub attributes: Vec<KeyValue<'a>>,
    pub trace_id: Option<TraceId>,
    pub span_id: Option<SpanId>,
    /// The format the text turned out not to be of.
    pub failed: Option<&'static str>,
}

/// The setting `format`, compiled. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Parser(Arc<Settings>);

#[derive(Debug, Clone, Default)]
struct Settings {
    runtime: Runtime,
    format: LogFormat,
    roles: Roles,
    times: Times,
    pattern: Option<Pattern>,
}

impl Settings {
    /// The severity of a level word.
    fn level(&self, word: &str) -> Option<Severity> {
        self.roles.level(word).or_else(|| level::of(word))
    }
}

impl Parser {
    fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// What container runtime's lines are expected.
    pub fn runtime(&self) -> Runtime {
        self.0.runtime
    }

    /// How what is left without the runtime's part is read.
    pub fn format(&self) -> LogFormat {
        self.0.format
    }

    /// The same settings for another format, as an annotation may ask for. A container runtime's part stays
    /// what it is.
    pub fn with_format(&self, format: LogFormat) -> Self {
        let settings = Settings {
            format,
            ..(*self.0).clone()
        };
        Self::new(settings)
    }

    /// Takes off what a container runtime wraps around a line.
    pub fn split<'a>(&self, line: &'a str) -> Content<'a> {
        let runtime = self.0.runtime.split(line.as_bytes());
        Content::new(line, runtime)
    }

    /// Reads one line that [`Parser::split`] has taken apart.
    pub fn parse_line<'c>(
        &self,
        content: &'c Content<'_>,
        detector: &mut Detector,
        observed_unix_nano: u64,
    ) -> Parsed<'c> {
        let mut parsed = self.parse(&content.text, detector, observed_unix_nano);
        self.add_runtime(&mut parsed, content.runtime.as_ref());
        parsed
    }

    /// Reads the text of one record, which has no container runtime's part (any more). `observed_unix_nano`
    /// tells the year when the text does not.
    pub fn parse<'a>(
        &self,
        text: &'a str,
        detector: &mut Detector,
        observed_unix_nano: u64,
    ) -> Parsed<'a> {
        let reader = Reader {
            settings: &self.0,
            observed_unix_nano,
        };
        match self.0.format {
            LogFormat::Auto => reader.auto(text, detector),
            format => reader
                .read(format, text, Strictness::Configured)
                .unwrap_or_else(|| reader.unparsed(text, format.as_str())),
        }
    }

    /// Adds what the runtime told, or that it should have told something and did not.
    pub(crate) fn add_runtime(&self, parsed: &mut Parsed<'_>, line: Option<&RuntimeLine>) {
        match line {
            Some(line) => parsed.add_runtime(line),
            None => {
                if let Some(missing) = self.0.runtime.required() {
                    parsed.fail(missing);
                }
            }
        }
        if parsed.zone_is_unknown && parsed.failed.is_none() {
            let mark = KeyValue::new(PARSE_ERROR, TIME_ZONE);
            parsed.attributes.push(mark);
        }
    }
}

/// How sure a reader must be that a text is of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// The text must be unmistakable.
    Auto,
    /// The user said so.
    Configured,
}

/// What the readers of the formats need beside the text.
#[derive(Debug, Clone, Copy)]
struct Reader<'s> {
    settings: &'s Settings,
    observed_unix_nano: u64,
}

impl Reader<'_> {
    /// Reads `text` as one format; `None` when it is not of it.
    fn read<'a>(
        self,
        format: LogFormat,
        text: &'a str,
        strictness: Strictness,
    ) -> Option<Parsed<'a>> {
        match format {
            LogFormat::Json => json::parse(self.settings, text),
            LogFormat::Logfmt => logfmt::parse(self.settings, text, strictness),
            LogFormat::Klog => klog::parse(self, text),
            LogFormat::Access => access::parse(self.settings, text),
            LogFormat::NginxError => nginx_error::parse(self.settings, text),
            LogFormat::Syslog => syslog::parse(self, text, strictness),
            LogFormat::Postgres => postgres::parse(self.settings, text),
            LogFormat::Regex => self.settings.pattern.as_ref()?.parse(self.settings, text),
            LogFormat::Plain => Some(plain::parse(self, text)),
            LogFormat::Auto => None,
        }
    }

    /// Decides by the first bytes what `text` can be.
    fn auto<'a>(self, text: &'a str, detector: &mut Detector) -> Parsed<'a> {
        for guess in detect::guesses(text) {
            if let Some(parsed) = self.read(*guess, text, Strictness::Auto) {
                detector.saw(*guess);
                return parsed;
            }
        }
        if text.starts_with("{\"") {
            return self.unparsed(text, LogFormat::Json.as_str());
        }
        detector.saw(LogFormat::Plain);
        plain::parse(self, text)
    }

    /// The time at the beginning of `text`, which may be without its year, and how many bytes it takes.
    #[inline]
    fn take_time(self, text: &str) -> Option<(timestamp::Stamp, usize)> {
        let times = &self.settings.times;
        let classic = || timestamp::take_classic(text.as_bytes(), self.observed_unix_nano);
        times.take(text).or_else(classic)
    }

    fn unparsed<'a>(self, text: &'a str, format: &'static str) -> Parsed<'a> {
        let mut parsed = plain::parse(self, text);
        parsed.fail(format);
        parsed
    }
}

impl Parsed<'_> {
    /// What could not be read of the text, as [`PARSE_ERROR`] has it.
    pub fn parse_error(&self) -> Option<&'static str> {
        self.failed.or(self.zone_is_unknown.then_some(TIME_ZONE))
    }

    fn fail(&mut self, format: &'static str) {
        if self.failed.is_none() {
            self.attributes.push(KeyValue::new(PARSE_ERROR, format));
            self.failed = Some(format);
        }
    }

    /// A time that the application itself tells wins.
    fn add_runtime(&mut self, line: &RuntimeLine) {
        if self.time_unix_nano == 0 || self.time_is_local {
            self.time_unix_nano = line.time_unix_nano;
            self.time_is_local = false;
            self.zone_is_unknown = false;
        }
        self.attributes.push(KeyValue::new(IOSTREAM, line.stream));
        for (key, value) in line.labels.iter().flat_map(|labels| labels.iter()) {
            self.attributes
                .push(KeyValue::new(format!("docker.attrs.{key}"), value.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
