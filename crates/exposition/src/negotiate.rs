//! What is asked of a target, and what its answer is.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Times in milliseconds; ends anywhere.
    Text,
    /// Times in seconds; ends with `# EOF`.
    OpenMetrics,
    /// Messages with their length before them.
    Protobuf,
}

/// A scrape protocol of Prometheus's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Protobuf,
    Text0_0_4,
    Text1_0_0,
    OpenMetrics0_0_1,
    OpenMetrics1_0_0,
}

impl Protocol {
    pub const ALL: [Self; 5] = [
        Self::Protobuf,
        Self::Text0_0_4,
        Self::Text1_0_0,
        Self::OpenMetrics0_0_1,
        Self::OpenMetrics1_0_0,
    ];
    /// What Prometheus asks for by default.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetrics1_0_0,
        Self::OpenMetrics0_0_1,
        Self::Text1_0_0,
        Self::Text0_0_4,
    ];
    /// What it asks for by default when it scrapes native histograms.
    pub const WITH_NATIVE_HISTOGRAMS: [Self; 5] = [
        Self::Protobuf,
        Self::OpenMetrics1_0_0,
        Self::OpenMetrics0_0_1,
        Self::Text1_0_0,
        Self::Text0_0_4,
    ];

    /// As the configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "PrometheusProto",
            Self::Text0_0_4 => "PrometheusText0.0.4",
            Self::Text1_0_0 => "PrometheusText1.0.0",
            Self::OpenMetrics0_0_1 => "OpenMetricsText0.0.1",
            Self::OpenMetrics1_0_0 => "OpenMetricsText1.0.0",
        }
    }

    pub fn format(self) -> Format {
        match self {
            Self::Protobuf => Format::Protobuf,
            Self::Text0_0_4 | Self::Text1_0_0 => Format::Text,
            Self::OpenMetrics0_0_1 | Self::OpenMetrics1_0_0 => Format::OpenMetrics,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::Text0_0_4 => "text/plain;version=0.0.4",
            Self::Text1_0_0 => "text/plain;version=1.0.0",
            Self::OpenMetrics0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetrics1_0_0 => "application/openmetrics-text;version=1.0.0",
        }
    }

    /// Whether the format's version knows that names are escaped.
    fn has_escaping(self) -> bool {
        matches!(self, Self::Text1_0_0 | Self::OpenMetrics1_0_0)
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|protocol| protocol.name() == name).ok_or(())
    }
}

/// What a target is to do with names that are not of letters, digits, `_` and `:` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escaping {
    /// Nothing.
    #[default]
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

impl Escaping {
    const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    pub fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

impl FromStr for Escaping {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|escaping| escaping.name() == name).ok_or(())
    }
}

impl fmt::Display for Escaping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The value of the header `Accept` for these protocols, the most wanted first. A protocol is asked for once.
pub fn accept_header(protocols: &[Protocol], escaping: Escaping) -> String {
    let mut header = String::new();
    let mut weight = Protocol::ALL.len() + 1;
    for (at, protocol) in protocols.iter().enumerate() {
        if protocols.iter().take(at).any(|before| before == protocol) {
            continue;
        }
        header.push_str(protocol.media_type());
        if protocol.has_escaping() {
            let _infallible = write!(header, ";escaping={escaping}");
        }
        let _infallible = write!(header, ";q=0.{weight},");
        weight -= 1;
    }
    let _infallible = write!(header, "*/*;q=0.{weight}");
    header
}

/// What is wrong with the `Content-Type` of an answer. The scrape has failed, unless a protocol to fall back to is set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeError {
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    Blank,
    #[error("cannot parse Content-Type {0:?} and no fallback_scrape_protocol for target")]
    Malformed(String),
    #[error(
        "received unsupported Content-Type {0:?} and no fallback_scrape_protocol specified for target"
    )]
    Unsupported(String),
}

/// The format of an answer with this `Content-Type`, empty for none; `fallback` when that says nothing usable.
///
/// # Errors
/// It says nothing usable, and there is nothing to fall back to.
pub fn format_of(
    content_type: &str,
    fallback: Option<Protocol>,
) -> Result<Format, ContentTypeError> {
    let said = if content_type.is_empty() {
        Err(ContentTypeError::Blank)
    } else {
        match media_type(content_type).as_deref() {
            None => Err(ContentTypeError::Malformed(content_type.to_owned())),
            Some("text/plain") => Ok(Format::Text),
            Some("application/openmetrics-text") => Ok(Format::OpenMetrics),
            Some("application/vnd.google.protobuf") => Ok(Format::Protobuf),
            Some(_other) => Err(ContentTypeError::Unsupported(content_type.to_owned())),
        }
    };
    match fallback {
        Some(fallback) => Ok(said.unwrap_or(fallback.format())),
        None => said,
    }
}

/// The media type of a header's value in lower case, when its parameters are well formed and none stands twice.
fn media_type(value: &str) -> Option<String> {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let kind = kind.trim().to_ascii_lowercase();
    let is_type = match kind.split_once('/') {
        Some((kind, subtype)) => is_token(kind) && is_token(subtype),
        None => is_token(&kind),
    };
    if !is_type {
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(kind);
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_end().to_ascii_lowercase();
        if !is_token(&name) || names.contains(&name) {
            return None;
        }
        names.push(name);
        let after = parameter_end(after)?.trim_start();
        rest = match after.is_empty() {
            true => after,
            false => after.strip_prefix(';')?,
        };
    }
}

/// What follows a parameter's value: a token, or a text in quotes.
fn parameter_end(value: &str) -> Option<&str> {
    let value = value.trim_start();
    let Some(inside) = value.strip_prefix('"') else {
        let end = value.find(|c: char| !is_token_char(c));
        let end = end.unwrap_or(value.len());
        return value.get(end..).filter(|_rest| end > 0);
    };
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return inside.get(at + 1..),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}
