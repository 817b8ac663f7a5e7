//! What container runtimes wrap around the lines of a container.
//!
//! CRI (containerd, CRI-O): `<time> <stdout|stderr> <P|F> <content>`. Docker's `json-file`:
//! `{"log":"<content>\n","stream":"stdout","time":"<time>"}`, with `attrs` when the daemon is told to add labels;
//! a `log` that does not end in a line feed goes on in the next line of its stream. The same object written by another program,
//! with spaces or in another order, is read, too.

use std::borrow::Cow;
use std::ops::Range;

use vervet_wire::otlp::Value;

use super::{json, timestamp};

/// Longest key of Docker's (bytes).
const DOCKER_KEY_BYTES_MAX: usize = 6;

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

/// How Docker begins its lines.
const DOCKER_BEGIN: &[u8] = b"{\"log\":\"";

/// The parts of a line of Docker's.
#[derive(Default)]
struct DockerParts<'l> {
    /// Where the inside of the string `log` is.
    log: Option<Range<usize>>,
    stream: Option<&'static str>,
    time_unix_nano: Option<u64>,
    /// The text of the object `attrs`.
    labels: Option<Value<'l>>,
}

fn split_docker(line: &[u8]) -> Option<RuntimeLine> {
    let parts = docker_parts(line)?;
    let log = parts.log?;
    let raw = line.get(log.clone())?;
    let content = without_line_feed(raw);
    let content_end = log.start + content.map_or(raw.len(), <[u8]>::len);
    let labels = match parts.labels {
        Some(labels) => Some(Box::new(label_pairs(&labels)?)),
        None => None,
    };
    Some(RuntimeLine {
        time_unix_nano: parts.time_unix_nano?,
        stream: parts.stream?,
        // Others who write such objects leave the line feed out.
        partial: content.is_none() && line.starts_with(DOCKER_BEGIN),
        escaped: memchr::memchr(b'\\', line.get(log.start..content_end)?).is_some(),
        content: log.start..content_end,
        labels,
    })
}

/// Reads an object that holds what Docker writes and nothing else; other JSON is left at its first other key.
fn docker_parts(line: &[u8]) -> Option<DockerParts<'_>> {
    let mut parts = DockerParts::default();
    let mut rest = space(line.strip_prefix(b"{")?);
    loop {
        rest = rest.strip_prefix(b"\"")?;
        let key = rest.get(
            ..rest
                .iter()
                .take(DOCKER_KEY_BYTES_MAX + 1)
                .position(|b| *b == b'"')?,
        )?;
        rest = space(space(rest.get(key.len() + 1..)?).strip_prefix(b":")?);
        let is_new = match key {
            b"attrs" => {
                let text = std::str::from_utf8(rest).ok()?;
                let (labels, end) = json::value_at(text)?;
                rest = rest.get(end..)?;
                parts.labels.replace(labels).is_none()
            }
            b"log" | b"stream" | b"time" => {
                let value = rest.strip_prefix(b"\"")?;
                let end = json::string_end(value)?;
                let start = line.len() - value.len();
                let text = value.get(..end)?;
                rest = value.get(end + 1..)?;
                match key {
                    b"log" => parts.log.replace(start..start + end).is_none(),
                    b"stream" => parts.stream.replace(stream(text)?).is_none(),
                    _ => {
                        let (time, time_end) = timestamp::take(text)?;
                        let is_whole = time_end == text.len();
                        is_whole && parts.time_unix_nano.replace(time.unix_nano).is_none()
                    }
                }
            }
            _ => false,
        };
        if !is_new {
            return None;
        }
        rest = space(rest);
        match rest.split_first()? {
            (b',', behind) => rest = space(behind),
            (b'}', behind) if space(behind).is_empty() => return Some(parts),
            _ => return None,
        }
    }
}

fn stream(text: &[u8]) -> Option<&'static str> {
    match text {
        b"stdout" => Some("stdout"),
        b"stderr" => Some("stderr"),
        _ => None,
    }
}

/// Behind white space as JSON has it.
#[inline]
fn space(text: &[u8]) -> &[u8] {
    match text.first() {
        Some(b' ' | b'\t' | b'\r' | b'\n') => text.trim_ascii_start(),
        _ => text,
    }
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
