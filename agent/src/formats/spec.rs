//! The setting `format`: a word, or a map with `type` and more.
//!
//! ```yaml
//! format: auto
//! format: {type: json, time: {fields: [created], zone: Europe/Berlin}, severity: {map: {PANIC: fatal}}}
//! format: {type: container, content: json}
//! ```

use std::collections::BTreeMap;
use std::fmt;

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, IntoDeserializer};
use vervet_model::Severity;

use super::fields::Roles;
use super::pattern::Pattern;
use super::timestamp::Times;
use super::{LogFormat, Parser, Runtime, Settings};
use crate::config::word_or_map::{WordOrMap, word_or_map};

/// Names in a list of fields, at most.
const FIELDS_MAX: usize = 32;

/// The setting as it is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FormatSpec(Box<FormatMap>);

/// The words for a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// Whatever the line is.
    #[default]
    Auto,
    /// Lines of a container runtime, CRI or Docker's; what the container wrote is read by `content`.
    Container,
    Cri,
    Docker,
    Json,
    Logfmt,
    Klog,
    /// Access logs of Apache and nginx.
    Access,
    NginxError,
    /// RFC 5424 or 3164.
    Syslog,
    Postgres,
    /// Named groups of `pattern`.
    Regex,
    Plain,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatMap {
    #[serde(rename = "type", default)]
    word: Word,
    /// How what a container wrote is read; only for `auto`, `container`, `cri` and `docker`. Default `auto`.
    #[serde(default)]
    content: Option<Word>,
    /// For `regex`.
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    time: TimeSpec,
    #[serde(default)]
    severity: SeveritySpec,
    #[serde(default)]
    message: MessageSpec,
}

/// `time: {fields: [created], formats: ["%d.%m.%Y %H:%M:%S"], zone: Europe/Berlin}`
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeSpec {
    /// Tried before the known names.
    #[serde(default)]
    fields: Vec<String>,
    /// Patterns with the conversions of `strptime`, tried before the known shapes.
    #[serde(default)]
    formats: Vec<String>,
    /// Where times without an offset from UTC were written. Default: UTC, or the container runtime's time.
    #[serde(default)]
    zone: Option<String>,
}

/// `severity: {fields: [prio], map: {PANIC: fatal, "7": debug}}`
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeveritySpec {
    #[serde(default)]
    fields: Vec<String>,
    /// Levels as written, in any case, to `trace`, `debug`, `info`, `warn`, `error`, `fatal` or a number from 1 to 24.
    #[serde(default)]
    map: BTreeMap<String, String>,
}

/// `message: {fields: [text]}`
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageSpec {
    #[serde(default)]
    fields: Vec<String>,
}

/// Why a `format` cannot be used. The configuration must be changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FormatError {
    #[error("format.content: `{0}` is not a format for what a container wrote")]
    NestedContainer(&'static str),
    #[error("format.content is only for auto, container, cri and docker")]
    ContentWithoutContainer,
    #[error("format.{setting}.fields: more than {FIELDS_MAX} names")]
    TooManyFields { setting: &'static str },
    #[error(
        "format.time.formats: `{pattern}` is not a pattern such as %Y-%m-%d %H:%M:%S: {source}"
    )]
    TimePattern { pattern: String, source: TimeError },
    #[error(
        "format.time.formats: `{0}` does not tell a date with its year and a time of day, as %Y-%m-%d %H:%M:%S does"
    )]
    TimeIncomplete(String),
    #[error("format.time.zone: `{zone}` is not a time zone such as Europe/Berlin: {source}")]
    Zone { zone: String, source: TimeError },
    #[error("format.severity.map: `{0}` is neither a level such as warn nor a number from 1 to 24")]
    Level(String),
    #[error("format.pattern: {0}")]
    Pattern(#[source] regex::Error),
    #[error("format.pattern has no named group such as (?<message>.*)")]
    PatternWithoutNames,
    #[error("format.pattern is missing, which regex needs")]
    PatternMissing,
    #[error("format.pattern is only for regex")]
    PatternUnused,
    #[error("`{0}` is not a format")]
    Unknown(String),
}

/// An error of the calendar library, which can be compared in tests.
#[derive(Debug, Clone)]
pub struct TimeError(jiff::Error);

impl PartialEq for TimeError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for TimeError {}

impl FormatSpec {
    /// The setting that is only a word.
    ///
    /// # Errors
    /// The word is not a format.
    pub fn word(word: &str) -> Result<Self, FormatError> {
        let de: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
        let word = Word::deserialize(de).map_err(|_error| FormatError::Unknown(word.to_owned()))?;
        Ok(Self(Box::new(FormatMap::of_word(word))))
    }

    /// The word of the configuration.
    pub(crate) fn as_str(&self) -> &'static str {
        self.0.word.as_str()
    }
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Cri => "cri",
            Self::Docker => "docker",
            other => other.parts().1.as_str(),
        }
    }

    fn parts(self) -> (Runtime, LogFormat) {
        match self {
            Self::Auto => (Runtime::Any, LogFormat::Auto),
            Self::Container => (Runtime::Container, LogFormat::Auto),
            Self::Cri => (Runtime::Cri, LogFormat::Auto),
            Self::Docker => (Runtime::Docker, LogFormat::Auto),
            Self::Json => (Runtime::None, LogFormat::Json),
            Self::Logfmt => (Runtime::None, LogFormat::Logfmt),
            Self::Klog => (Runtime::None, LogFormat::Klog),
            Self::Access => (Runtime::None, LogFormat::Access),
            Self::NginxError => (Runtime::None, LogFormat::NginxError),
            Self::Syslog => (Runtime::None, LogFormat::Syslog),
            Self::Postgres => (Runtime::None, LogFormat::Postgres),
            Self::Regex => (Runtime::None, LogFormat::Regex),
            Self::Plain => (Runtime::None, LogFormat::Plain),
        }
    }
}

impl FormatMap {
    fn parts(&self) -> Result<(Runtime, LogFormat), FormatError> {
        let (runtime, format) = self.word.parts();
        let Some(content) = self.content else {
            return Ok((runtime, format));
        };
        if runtime == Runtime::None {
            return Err(FormatError::ContentWithoutContainer);
        }
        match content.parts() {
            (Runtime::None | Runtime::Any, format) => Ok((runtime, format)),
            _ => Err(FormatError::NestedContainer(content.as_str())),
        }
    }
}

impl TryFrom<FormatSpec> for Parser {
    type Error = FormatError;

    fn try_from(spec: FormatSpec) -> Result<Self, FormatError> {
        let FormatSpec(spec) = spec;
        let (runtime, format) = spec.parts()?;
        let roles = Roles {
            time: names("time", spec.time.fields)?,
            severity: names("severity", spec.severity.fields)?,
            message: names("message", spec.message.fields)?,
            levels: levels(spec.severity.map)?,
        };
        let times = Times {
            formats: patterns(spec.time.formats)?,
            zone: spec.time.zone.map(zone).transpose()?,
        };
        Ok(Self::new(Settings {
            runtime,
            format,
            roles,
            times,
            pattern: pattern(format, spec.pattern.as_deref())?,
        }))
    }
}

fn pattern(format: LogFormat, pattern: Option<&str>) -> Result<Option<Pattern>, FormatError> {
    match (format, pattern) {
        (LogFormat::Regex, Some(pattern)) => {
            let pattern = Pattern::new(pattern).map_err(FormatError::Pattern)?;
            match pattern.has_names() {
                true => Ok(Some(pattern)),
                false => Err(FormatError::PatternWithoutNames),
            }
        }
        (LogFormat::Regex, None) => Err(FormatError::PatternMissing),
        (_, Some(_)) => Err(FormatError::PatternUnused),
        (_, None) => Ok(None),
    }
}

fn names(setting: &'static str, names: Vec<String>) -> Result<Vec<String>, FormatError> {
    if names.len() > FIELDS_MAX {
        return Err(FormatError::TooManyFields { setting });
    }
    Ok(names)
}

fn levels(map: BTreeMap<String, String>) -> Result<BTreeMap<String, Severity>, FormatError> {
    let level = |text: &str| {
        let by_number = text.trim().parse().ok().map(Severity::from_number);
        let severity = by_number.or_else(|| Severity::from_text(text));
        severity.filter(|severity| *severity != Severity::UNSPECIFIED)
    };
    map.into_iter()
        .map(|(word, text)| match level(&text) {
            Some(severity) => Ok((word.trim().to_lowercase(), severity)),
            None => Err(FormatError::Level(text)),
        })
        .collect()
}

/// Patterns that can be used at all: what a pattern writes, it must be able to read.
fn patterns(patterns: Vec<String>) -> Result<Vec<String>, FormatError> {
    for pattern in &patterns {
        let known = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let check = || -> Result<bool, jiff::Error> {
            let text = BrokenDownTime::from(&known).to_string(pattern)?;
            let (read, _end) = BrokenDownTime::parse_prefix(pattern, &text)?;
            Ok(read.to_timestamp().is_ok() || read.to_datetime().is_ok())
        };
        let is_whole = check().map_err(|error| FormatError::TimePattern {
            pattern: pattern.clone(),
            source: TimeError(error),
        })?;
        if !is_whole {
            return Err(FormatError::TimeIncomplete(pattern.clone()));
        }
    }
    Ok(patterns)
}

fn zone(name: String) -> Result<TimeZone, FormatError> {
    TimeZone::get(&name).map_err(|error| FormatError::Zone {
        zone: name,
        source: TimeError(error),
    })
}

impl<'de> Deserialize<'de> for FormatSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_map(deserializer).map(|map| Self(Box::new(map)))
    }
}

impl WordOrMap for FormatMap {
    type Word = Word;
    const EXPECTED: &'static str = "a format such as json, or a map with `type`";

    fn of_word(word: Word) -> Self {
        Self {
            word,
            ..Self::default()
        }
    }
}
