//! How the bytes of a file become records: settings, checked and compiled once per receiver.

use std::sync::Arc;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use serde::de::Deserializer;

use super::FilelogSpec;
use super::encoding::EncodingSpec;
use crate::config::units::{ByteSize, HumanDuration};
use crate::config::word_or_map::{WordOrMap, word_or_map};
use crate::formats::{FormatError, FormatSpec, LogFormat, Parser};

const LINE_BYTES_DEFAULT: usize = 1 << 20;
const LINES_DEFAULT: usize = 500;
const BYTES_DEFAULT: usize = 256 << 10;
const WAIT_DEFAULT: Duration = Duration::from_secs(1);
/// What a line or a record may be set to at least and at most (bytes).
const BYTES_MIN: u64 = 1 << 10;
const BYTES_MAX: u64 = 16 << 20;
const LINES_MAX: u64 = 100_000;
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Memory of a compiled pattern (bytes).
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What becomes of records of several lines: a word, or a map.
///
/// ```yaml
/// multiline: auto          # stack traces are joined to the record they belong to
/// multiline: none          # every line is a record
/// multiline: {start: '^\d{4}-', max_lines: 200, max_bytes: 64KiB, max_wait: 2s}
/// multiline: {continue: '^\s'}
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MultilineSpec(Box<MultilineMap>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    #[default]
    Auto,
    None,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MultilineMap {
    #[serde(rename = "type", default)]
    word: Option<Word>,
    /// A line that matches begins a record, all others go on with it.
    #[serde(default)]
    start: Option<String>,
    /// A line that matches goes on with the record above.
    #[serde(default, rename = "continue")]
    go_on: Option<String>,
    /// Lines of one record, at most. Default 500.
    #[serde(default)]
    max_lines: Option<u64>,
    /// Bytes of one record of several lines, at most. Default 256 KiB.
    #[serde(default)]
    max_bytes: Option<ByteSize>,
    /// How long a record waits for its next line. Default 1 s.
    #[serde(default)]
    max_wait: Option<HumanDuration>,
}

/// What becomes of a line over `max_line`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLongLine {
    /// Its pieces become records.
    #[default]
    Split,
    /// The rest is dropped, and counted.
    Truncate,
}

/// Which lines belong together.
#[derive(Debug, Clone)]
pub(super) enum Joining {
    /// Those of a stack trace.
    Traces,
    None,
    /// All up to the next that matches.
    Start(Regex),
    /// Those that match.
    Continue(Regex),
}

/// The limits of records of several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) line_bytes_max: usize,
    pub(super) record_lines_max: usize,
    pub(super) record_bytes_max: usize,
    pub(super) wait_max: Duration,
}

/// How a file is taken apart. Cheap to clone; files of one receiver share it.
#[derive(Debug, Clone)]
pub(super) struct Framing(Arc<Settings>);

#[derive(Debug, Clone)]
struct Settings {
    parser: Parser,
    joining: Joining,
    encoding: EncodingSpec,
    on_long_line: OnLongLine,
    limits: Limits,
}

/// Why the settings cannot be used. The configuration must be changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum FramingError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("multiline takes one of `type`, `start` and `continue`")]
    TwoRules,
    #[error("multiline.{key}: {source}")]
    Pattern {
        key: &'static str,
        source: regex::Error,
    },
    #[error("{key} must be from {min} to {max}")]
    OutOfRange {
        key: &'static str,
        min: &'static str,
        max: &'static str,
    },
}

impl Framing {
    pub(super) fn new(spec: &FilelogSpec) -> Result<Self, FramingError> {
        let MultilineSpec(multiline) = &spec.multiline;
        Ok(Self(Arc::new(Settings {
            parser: Parser::try_from(spec.format.clone())?,
            joining: joining(multiline)?,
            encoding: spec.encoding,
            on_long_line: spec.on_long_line,
            limits: limits(spec.max_line, multiline)?,
        })))
    }

    /// The same for lines whose content is of another format, as a pod's annotation may say.
    pub(super) fn with_format(&self, word: &str) -> Result<Self, FormatError> {
        let other = Parser::try_from(FormatSpec::word(word)?)?;
        let settings = (*self.0).clone();
        Ok(Self(Arc::new(Settings {
            parser: settings.parser.with_format(other.format()),
            ..settings
        })))
    }

    pub(super) fn parser(&self) -> &Parser {
        &self.0.parser
    }

    pub(super) fn joining(&self) -> &Joining {
        &self.0.joining
    }

    pub(super) fn encoding(&self) -> EncodingSpec {
        self.0.encoding
    }

    pub(super) fn truncates(&self) -> bool {
        self.0.on_long_line == OnLongLine::Truncate
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Whether formats are detected, so that there is something to tell.
    pub(super) fn detects(&self) -> bool {
        self.0.parser.format() == LogFormat::Auto
    }
}

fn joining(spec: &MultilineMap) -> Result<Joining, FramingError> {
    match (spec.word, &spec.start, &spec.go_on) {
        (None | Some(Word::Auto), None, None) => Ok(Joining::Traces),
        (Some(Word::None), None, None) => Ok(Joining::None),
        (None, Some(start), None) => pattern("start", start).map(Joining::Start),
        (None, None, Some(go_on)) => pattern("continue", go_on).map(Joining::Continue),
        _ => Err(FramingError::TwoRules),
    }
}

fn pattern(key: &'static str, pattern: &str) -> Result<Regex, FramingError> {
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|source| FramingError::Pattern { key, source })
}

fn limits(max_line: Option<ByteSize>, spec: &MultilineMap) -> Result<Limits, FramingError> {
    let bytes = |key, size: Option<ByteSize>, default| match size {
        None => Ok(default),
        Some(ByteSize(bytes @ BYTES_MIN..=BYTES_MAX)) => {
            Ok(usize::try_from(bytes).unwrap_or(default))
        }
        Some(_) => Err(FramingError::OutOfRange {
            key,
            min: "1KiB",
            max: "16MiB",
        }),
    };
    let record_lines_max = match spec.max_lines {
        None => LINES_DEFAULT,
        Some(lines @ 1..=LINES_MAX) => usize::try_from(lines).unwrap_or(LINES_DEFAULT),
        Some(_) => {
            return Err(FramingError::OutOfRange {
                key: "multiline.max_lines",
                min: "1",
                max: "100000",
            });
        }
    };
    let wait_max = spec.max_wait.map_or(WAIT_DEFAULT, |wait| wait.0);
    if wait_max > WAIT_MAX {
        return Err(FramingError::OutOfRange {
            key: "multiline.max_wait",
            min: "0s",
            max: "60s",
        });
    }
    Ok(Limits {
        line_bytes_max: bytes("max_line", max_line, LINE_BYTES_DEFAULT)?,
        record_lines_max,
        record_bytes_max: bytes("multiline.max_bytes", spec.max_bytes, BYTES_DEFAULT)?,
        wait_max,
    })
}

impl<'de> Deserialize<'de> for MultilineSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_map(deserializer).map(|map| Self(Box::new(map)))
    }
}

impl WordOrMap for MultilineMap {
    type Word = Word;
    const EXPECTED: &'static str = "auto, none, or a map with `start` or `continue`";

    fn of_word(word: Word) -> Self {
        Self {
            word: Some(word),
            ..Self::default()
        }
    }
}
