//! Prometheus's text format 0.0.4 and OpenMetrics text, read as Prometheus reads them.
//!
//! Samples borrow from the text. Exemplars are passed over. Names and label names in quotes (any UTF-8)
//! are read, too.

use std::borrow::Cow;
use std::collections::HashMap;

/// Which of the two formats a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Times in milliseconds; ends anywhere.
    Text,
    /// Times in seconds; ends with `# EOF`.
    OpenMetrics,
}

/// What a family's `TYPE` line says, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    Counter,
    #[default]
    Other,
}

/// One line of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: Cow<'a, str>,
    /// In the order written, empty values included.
    pub(super) labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) value: f64,
    /// Nanoseconds since the epoch, when the target says.
    pub(super) time_unix_nano: Option<u64>,
    pub(super) kind: Kind,
    pub(super) help: Cow<'a, str>,
}

/// The body is not exposition text. The scrape has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct ExpositionError {
    /// From 1.
    line: usize,
    reason: &'static str,
}

#[derive(Debug, Default)]
struct Family<'a> {
    kind: Kind,
    help: Cow<'a, str>,
}

/// Reads all samples of `text`, in order.
///
/// # Errors
/// The first line that is malformed, or the end when OpenMetrics text does not end with `# EOF`.
pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Vec<Sample<'_>>, ExpositionError> {
    let mut families: HashMap<&str, Family<'_>> = HashMap::new();
    let mut samples = Vec::new();
    let (mut ended, mut lines) = (false, 0);
    for (index, line) in text.split('\n').enumerate() {
        lines = index + 1;
        let at_line = |reason| ExpositionError {
            line: lines,
            reason,
        };
        let line = trim(line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() {
            continue;
        }
        if ended {
            return Err(at_line("text after # EOF"));
        }
        if let Some(comment) = line.strip_prefix('#') {
            ended = syntax == Syntax::OpenMetrics && trim(comment) == "EOF";
            read_comment(comment, &mut families);
            continue;
        }
        let mut sample = read_sample(line, syntax).map_err(at_line)?;
        if let Some((family, is_own_name)) = family_of(&families, &sample.name) {
            let counts = is_own_name || sample.name.ends_with("_total");
            sample.kind = if counts { family.kind } else { Kind::Other };
            sample.help = family.help.clone();
        }
        samples.push(sample);
    }
    if syntax == Syntax::OpenMetrics && !ended {
        return Err(ExpositionError {
            line: lines,
            reason: "the text ends without # EOF",
        });
    }
    Ok(samples)
}

/// As much of a help text as is kept: every sample of the family carries it.
fn beginning(help: &str) -> &str {
    const HELP_BYTES_MAX: usize = 1_024;
    help.get(..help.floor_char_boundary(HELP_BYTES_MAX))
        .unwrap_or(help)
}

/// The family of a sample, and whether it bears the family's very name.
fn family_of<'f, 'a>(
    families: &'f HashMap<&str, Family<'a>>,
    name: &str,
) -> Option<(&'f Family<'a>, bool)> {
    const SUFFIXES: [&str; 6] = ["_total", "_bucket", "_count", "_sum", "_created", "_info"];
    if let Some(family) = families.get(name) {
        return Some((family, true));
    }
    let stem = SUFFIXES
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))?;
    families.get(stem).map(|family| (family, false))
}

/// `HELP`, `TYPE` and `UNIT` lines; every other comment means nothing.
fn read_comment<'a>(comment: &'a str, families: &mut HashMap<&'a str, Family<'a>>) {
    let comment = trim(comment);
    let Some((word, rest)) = split_blank(comment) else {
        return;
    };
    let (name, rest) = split_blank(rest).unwrap_or((rest, ""));
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name);
    match word {
        "HELP" => families.entry(name).or_default().help = unescape(beginning(rest)),
        "TYPE" => {
            let kind = if rest == "counter" {
                Kind::Counter
            } else {
                Kind::Other
            };
            families.entry(name).or_default().kind = kind;
        }
        _ => {}
    }
}

fn read_sample(line: &str, syntax: Syntax) -> Result<Sample<'_>, &'static str> {
    let name_bytes = line.bytes().take_while(|byte| is_name_byte(*byte)).count();
    let (name, rest) = line.split_at_checked(name_bytes).ok_or("no metric name")?;
    if name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit())
    {
        return Err("a metric name begins with a digit");
    }
    let mut name = Cow::Borrowed(name);
    let mut rest = trim_start(rest);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        let (quoted_name, after) = read_labels(inside, &mut labels)?;
        match quoted_name {
            Some(_) if !name.is_empty() => return Err("two metric names"),
            Some(quoted) => name = quoted,
            None => {}
        }
        rest = after;
    }
    if name.is_empty() {
        return Err("no metric name");
    }
    let (value, rest) = split_blank(rest).unwrap_or((trim(rest), ""));
    let value = read_number(value).ok_or("the value is no number")?;
    let time_unix_nano = read_time(rest, syntax)?;
    Ok(Sample {
        name,
        labels,
        value,
        time_unix_nano,
        kind: Kind::Other,
        help: Cow::Borrowed(""),
    })
}

/// What may follow the value: a time, an exemplar.
fn read_time(rest: &str, syntax: Syntax) -> Result<Option<u64>, &'static str> {
    let (time, exemplar) = match rest.split_once('#') {
        Some((time, exemplar)) => (trim(time), Some(trim_start(exemplar))),
        None => (trim(rest), None),
    };
    if exemplar.is_some_and(|exemplar| !exemplar.starts_with('{')) {
        return Err("text after the value");
    }
    if time.is_empty() {
        return Ok(None);
    }
    const NOT_A_TIME: &str = "the timestamp is no number";
    let millis = match syntax {
        Syntax::Text => time.parse::<i64>().map_err(|_error| NOT_A_TIME)?,
        Syntax::OpenMetrics => {
            let seconds: f64 = read_number(time).ok_or(NOT_A_TIME)?;
            if !seconds.is_finite() {
                return Err(NOT_A_TIME);
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and is checked below"
            )]
            let millis = (seconds * 1e3).round() as i64;
            millis
        }
    };
    let nanos = u64::try_from(millis)
        .ok()
        .and_then(|millis| millis.checked_mul(1_000_000));
    nanos.map(Some).ok_or("the timestamp is out of range")
}

type LabelList<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Reads up to the closing brace: a metric name that stands alone in quotes, and what follows the brace.
fn read_labels<'a>(
    mut rest: &'a str,
    labels: &mut LabelList<'a>,
) -> Result<(Option<Cow<'a, str>>, &'a str), &'static str> {
    let mut metric_name = None;
    loop {
        rest = trim_start(rest);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((metric_name, after));
        }
        let quoted = rest.starts_with('"');
        let (name, after) = if quoted {
            read_quoted(rest)?
        } else {
            let bytes = rest.bytes().take_while(|byte| is_name_byte(*byte)).count();
            let (name, after) = rest.split_at_checked(bytes).ok_or("no label name")?;
            (Cow::Borrowed(name), after)
        };
        if name.is_empty() {
            return Err("no label name");
        }
        rest = trim_start(after);
        match rest.strip_prefix('=') {
            Some(after) => {
                let (value, after) = read_quoted(trim_start(after))?;
                if labels.iter().any(|(known, _)| *known == name) {
                    return Err("a label stands twice");
                }
                labels.push((name, value));
                rest = trim_start(after);
            }
            None if quoted && metric_name.is_none() => metric_name = Some(name),
            None => return Err("a label has no value"),
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("labels are not separated by commas"),
        }
    }
}

/// Text in quotes at the beginning of `text`, and what follows it.
fn read_quoted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let inside = text
        .strip_prefix('"')
        .ok_or("a label value is not in quotes")?;
    let mut at = 0;
    loop {
        let rest = inside.as_bytes().get(at..).ok_or("a quote is not closed")?;
        at += memchr::memchr2(b'"', b'\\', rest).ok_or("a quote is not closed")?;
        if inside.as_bytes().get(at) == Some(&b'"') {
            let raw = inside.get(..at).unwrap_or_default();
            return Ok((unescape(raw), inside.get(at + 1..).unwrap_or_default()));
        }
        at += 2;
    }
}

/// Resolves `\n`, `\"` and `\\`; an unknown escape stays as written.
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(escaped @ ('"' | '\\')) => out.push(escaped),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
        }
    }
    Cow::Owned(out)
}

fn read_number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

const BLANKS: [char; 2] = [' ', '\t'];

fn trim(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(BLANKS)
}

/// The first word and what follows it.
fn split_blank(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = trim_start(text).split_once(BLANKS)?;
    Some((word, trim_start(rest)))
}
