//! What container runtimes wrap around the lines of a container.
//!
//! CRI (containerd, CRI-O): `<time> <stdout|stderr> <P|F> <content>`. Docker's `json-file`:
//! `{"log":"<content>\n","stream":"stdout","time":"<time>"}`, with `attrs` when the daemon is told to add labels;
//! a `log` that does not end in a line feed goes on in the next line of its stream.

use std::borrow::Cow;
use std::ops::Range;

use vervet_wire::otlp::Value;

use super::{json, timestamp};

/// Which runtime's lines are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// None: lines are the application's own.
    None,
    /// Taken off where there is one.
    #[default]
    Any,
    /// Either, but one of them.
    Container,
    Cri,
    Docker,
}

/// What a runtime tells of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeLine {
    pub time_unix_nano: u64,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The container's line goes on in the next line of this stream.
    pub partial: bool,
    /// Where the content lies in the line.
    pub content: Range<usize>,
    /// The content is the inside of a JSON string.
    pub escaped: bool,
    /// Names and values the daemon was told to add.
    pub labels: Option<Box<Vec<(String, String)>>>,
}

/// One line without the runtime's part.
#[derive(Debug, Clone, PartialEq)]
pub struct Content<'a> {
    pub text: Cow<'a, str>,
    pub runtime: Option<RuntimeLine>,
}

impl Runtime {
    /// Reads the runtime's part; `None` when there is none, or not of the expected kind.
    #[inline]
    pub fn split(self, line: &[u8]) -> Option<RuntimeLine> {
        match self {
            Self::None => None,
            Self::Cri => split_cri(line),
            Self::Docker => split_docker(line),
            Self::Any | Self::Container if line.first() == Some(&b'{') => split_docker(line),
            Self::Any | Self::Container => split_cri(line),
        }
    }

    /// The word for what a line must have.
    pub(super) fn required(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Any => None,
            Self::Container => Some("container"),
            Self::Cri => Some("cri"),
            Self::Docker => Some("docker"),
        }
    }
}

impl<'a> Content<'a> {
    pub(super) fn new(line: &'a str, runtime: Option<RuntimeLine>) -> Self {
        let range = runtime.as_ref().map(|runtime| runtime.content.clone());
        let raw = range.and_then(|range| line.get(range)).unwrap_or(line);
        let escaped = runtime.as_ref().is_some_and(|runtime| runtime.escaped);
        let text = if escaped {
            let mut text = Vec::with_capacity(raw.len());
            json::unescape(raw.as_bytes(), &mut text);
            Cow::Owned(String::from_utf8_lossy(&text).into_owned())
        } else {
            Cow::Borrowed(raw)
        };
        Self { text, runtime }
    }
}

fn split_cri(line: &[u8]) -> Option<RuntimeLine> {
    const SHORTEST_TIME: usize = 20;
    if line.get(4) != Some(&b'-') || line.get(10) != Some(&b'T') {
        return None;
    }
    let (time, time_end) = timestamp::take(line)?;
    let rest = line.get(time_end..).filter(|_| time_end >= SHORTEST_TIME)?;
    let (stream, rest) = match rest.strip_prefix(b" stdout ") {
        Some(rest) => ("stdout", rest),
        None => ("stderr", rest.strip_prefix(b" stderr ")?),
    };
    // Tags after the first, separated by colons, have no meaning yet.
    let tags_end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let tags = rest.get(..tags_end)?;
    let partial = match tags.split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let content_at = line.len() - rest.len() + (tags_end + 1).min(rest.len());
    Some(RuntimeLine {
        time_unix_nano: time.unix_nano,
        stream,
        partial,
        content: content_at..line.len(),
        escaped: false,
        labels: None,
    })
}

fn split_docker(line: &[u8]) -> Option<RuntimeLine> {
    const BEGINNING: &[u8] = br#"{"log":""#;
    const STREAM: &[u8] = br#","stream":""#;
    const TIME: &[u8] = br#","time":""#;
    const ATTRIBUTES: &[u8] = br#","attrs":"#;
    let start = BEGINNING.len();
    line.strip_prefix(BEGINNING)?;
    let end = start + json::string_end(line.get(start..)?)?;
    let raw = line.get(start..end)?;
    let rest = line.get(end + 1..)?.strip_prefix(STREAM)?;
    let (stream, rest) = match rest.strip_prefix(br#"stdout""#) {
        Some(rest) => ("stdout", rest),
        None => ("stderr", rest.strip_prefix(br#"stderr""#)?),
    };
    let (labels, rest) = match rest.strip_prefix(ATTRIBUTES) {
        Some(rest) => {
            let text = std::str::from_utf8(rest).ok()?;
            let (labels, end) = json::value_at(text)?;
            (Some(Box::new(label_pairs(&labels)?)), rest.get(end..)?)
        }
        None => (None, rest),
    };
    let (time, time_end) = timestamp::take(rest.strip_prefix(TIME)?)?;
    if rest.get(TIME.len() + time_end..) != Some(br#""}"#) {
        return None;
    }
    let content = without_line_feed(raw);
    let content_end = start + content.map_or(raw.len(), <[u8]>::len);
    Some(RuntimeLine {
        time_unix_nano: time.unix_nano,
        stream,
        partial: content.is_none(),
        escaped: memchr::memchr(b'\\', line.get(start..content_end)?).is_some(),
        content: start..content_end,
        labels,
    })
}

/// The inside of a JSON string without the escaped line feed (and carriage return) at its end; `None` when
/// there is none.
fn without_line_feed(raw: &[u8]) -> Option<&[u8]> {
    let content = without_escape(raw, b'n')?;
    Some(without_escape(content, b'r').unwrap_or(content))
}

fn without_escape(raw: &[u8], letter: u8) -> Option<&[u8]> {
    let content = raw.strip_suffix(&[b'\\', letter])?;
    let backslashes = content.iter().rev().take_while(|b| **b == b'\\').count();
    (backslashes % 2 == 0).then_some(content)
}

fn label_pairs(labels: &Value<'_>) -> Option<Vec<(String, String)>> {
    let Value::Map(entries) = labels else {
        return None;
    };
    let pairs = entries
        .iter()
        .map(|entry| (entry.key.to_string(), entry.value.to_text().into_owned()));
    Some(pairs.collect())
}
