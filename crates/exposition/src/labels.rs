//! Names, and labels in braces, of both text formats.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::Fault;

/// A part of a statement. Statements are shorter than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TextSpan {
    start: u32,
    end: u32,
}

impl TextSpan {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        let (start, end) = (place(start), place(end));
        Self { start, end }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where the name and the value of a label stand, without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LabelSpan {
    pub(crate) name: TextSpan,
    pub(crate) value: TextSpan,
}

/// What the formats do not have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Blanks anywhere, commas or not, line breaks in quotes.
    Text,
    OpenMetrics,
    /// The labels of an exemplar of OpenMetrics, where no name of a metric stands.
    Exemplar,
}

/// Reads labels from behind the opening brace to behind the closing one. A text in quotes without a value is the name
/// of the metric, which goes to `metric`.
pub(crate) fn braces(
    dialect: Dialect,
    statement: &[u8],
    open: usize,
    spans: &mut Vec<LabelSpan>,
    metric: &mut Option<TextSpan>,
) -> Result<usize, Fault> {
    let skip = |at| match dialect {
        Dialect::Text => skip_blanks(statement, at),
        Dialect::OpenMetrics | Dialect::Exemplar => at,
    };
    let mut at = open;
    loop {
        at = skip(at);
        if statement.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        let quoted = statement.get(at) == Some(&b'"');
        let name = match quoted {
            true => quotes(statement, at)?,
            false => TextSpan::new(at, name_end(statement, at, false)),
        };
        if !quoted && name.range().is_empty() {
            return Err(Fault::expected("expected label name", statement, at));
        }
        at = skip(name.range().end + usize::from(quoted));
        match statement.get(at) {
            Some(b'=') => at = skip(at + 1),
            Some(b',' | b'}') if quoted => {
                name_metric(dialect, statement, at, metric, name)?;
                at += usize::from(statement.get(at) == Some(&b','));
                continue;
            }
            _ => return Err(Fault::expected("expected equal", statement, at)),
        }
        let value = label_value(dialect, statement, at)?;
        spans.push(LabelSpan { name, value });
        at = skip(value.range().end + 1);
        match statement.get(at) {
            Some(b',') => at += 1,
            Some(b'}') => {}
            _ if dialect == Dialect::Text => {}
            _ => {
                let expected = "expected comma or brace close";
                return Err(Fault::expected(expected, statement, at));
            }
        }
    }
}

fn name_metric(
    dialect: Dialect,
    statement: &[u8],
    at: usize,
    metric: &mut Option<TextSpan>,
    name: TextSpan,
) -> Result<(), Fault> {
    if dialect == Dialect::Exemplar {
        return Err(Fault::expected("expected label name", statement, at));
    }
    match metric.replace(name) {
        Some(_first) => Err(Fault::while_parsing(&"metric name already set", statement)),
        None => Ok(()),
    }
}

fn label_value(dialect: Dialect, statement: &[u8], at: usize) -> Result<TextSpan, Fault> {
    let refused = || Fault::expected("expected label value", statement, at);
    if statement.get(at) != Some(&b'"') {
        return Err(refused());
    }
    if dialect == Dialect::Text {
        return quotes(statement, at);
    }
    let value = quotes(statement, at).map_err(|_open| refused())?;
    let inside = statement.get(value.range()).unwrap_or_default();
    match memchr::memchr(b'\n', inside) {
        Some(_broken) => Err(refused()),
        None => Ok(value),
    }
}

/// What stands in the quotes that open at `open`.
pub(crate) fn quotes(statement: &[u8], open: usize) -> Result<TextSpan, Fault> {
    let mut at = open + 1;
    loop {
        let rest = statement.get(at..).ok_or(Fault::OpenQuote)?;
        at += memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::OpenQuote)?;
        if statement.get(at) == Some(&b'"') {
            return Ok(TextSpan::new(open + 1, at));
        }
        at += 2;
    }
}

/// Where the name ends that begins at `at`; there, when none does.
pub(crate) fn name_end(statement: &[u8], at: usize, with_colons: bool) -> usize {
    let rest = statement.get(at..).unwrap_or_default();
    let is_letter =
        |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_' || (with_colons && *byte == b':');
    if !rest.first().is_some_and(is_letter) {
        return at;
    }
    let end = rest
        .iter()
        .position(|byte| !is_letter(byte) && !byte.is_ascii_digit());
    at + end.unwrap_or(rest.len())
}

pub(crate) fn skip_blanks(statement: &[u8], at: usize) -> usize {
    let rest = statement.get(at..).unwrap_or_default();
    let blanks = rest.iter().position(|byte| !is_blank(*byte));
    at + blanks.unwrap_or(rest.len())
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A label's name or value: `\n`, `\"` and `\\` are resolved, other backslashes stay.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    resolve(text, true)
}

/// A help text of the text format, where quotes are not escaped.
pub(crate) fn unescaped_help(text: &str) -> Cow<'_, str> {
    resolve(text, false)
}

fn resolve(text: &str, quotes: bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let resolved = match after.as_bytes().first() {
            Some(b'n') => Some('\n'),
            Some(b'\\') => Some('\\'),
            Some(b'"') if quotes => Some('"'),
            _ => None,
        };
        out.push(resolved.unwrap_or('\\'));
        rest = match resolved {
            Some(_) => after.get(1..).unwrap_or_default(),
            None => after,
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}
