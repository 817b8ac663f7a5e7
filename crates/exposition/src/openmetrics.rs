//! OpenMetrics 1.0 text, a statement at a time. Between two words stands one blank.

use vervet_wire::remote_write::Kind;

use crate::error::{Cited, Fault};
use crate::labels::{self, Dialect, unescaped};
use crate::lines::{self, ExemplarValues, Lines};
use crate::number::parse_seconds;
use crate::point::{Metadata, Sink};

/// Reads one statement, without the line break that ends it.
pub(crate) fn statement<S: Sink>(
    lines: &mut Lines,
    statement: &[u8],
    sink: &mut S,
) -> Result<(), Fault> {
    if lines.ended {
        return Err(Fault::AfterEof);
    }
    match statement.split_first_chunk::<2>() {
        Some((b"# ", _comment)) => comment(lines, statement, sink),
        _ => sample(lines, statement, sink),
    }
}

fn sample<S: Sink>(lines: &mut Lines, statement: &[u8], sink: &mut S) -> Result<(), Fault> {
    let series = lines.series(Dialect::OpenMetrics, statement, 0, sink)?;
    let (start, mut end) = word(statement, series.end);
    let value = lines::value(statement, start, end, "expected value after metric")?;
    let mut timestamp_ms = None;
    if end < statement.len() && !is_exemplar(statement, end) {
        let (start, after) = word(statement, end);
        if start == after {
            let expected = "expected timestamp or # symbol";
            return Err(Fault::expected(expected, statement, end));
        }
        timestamp_ms = Some(timestamp(statement, start, after, "")?);
        end = after;
    }
    let exemplar = match end < statement.len() {
        true if is_exemplar(statement, end) => Some(exemplar(lines, statement, end + 4)?),
        true => {
            let expected = "expected next entry after timestamp";
            return Err(Fault::expected(expected, statement, end));
        }
        false => None,
    };
    lines.hand_out(statement, series, value, timestamp_ms, exemplar, sink)
}

fn is_exemplar(statement: &[u8], at: usize) -> bool {
    let rest = statement.get(at..).unwrap_or_default();
    rest.starts_with(b" # {")
}

/// Reads an exemplar from behind its brace.
fn exemplar(lines: &mut Lines, statement: &[u8], open: usize) -> Result<ExemplarValues, Fault> {
    lines.exemplar_spans.clear();
    let spans = &mut lines.exemplar_spans;
    let end = labels::braces(Dialect::Exemplar, statement, open, spans, &mut None)?;
    let (start, end) = word(statement, end);
    let expected = "expected value after exemplar labels";
    let value = lines::value(statement, start, end, expected)?;
    let mut timestamp_ms = None;
    if end < statement.len() {
        let (start, after) = word(statement, end);
        if start == after {
            let expected = "expected timestamp or comment";
            return Err(Fault::expected(expected, statement, end));
        }
        timestamp_ms = Some(timestamp(statement, start, after, "exemplar ")?);
        if after < statement.len() {
            let expected = "expected next entry after exemplar timestamp";
            return Err(Fault::expected(expected, statement, after));
        }
    }
    Ok(ExemplarValues {
        value,
        timestamp_ms,
    })
}

/// The word behind the one blank at `at`; empty when it is not there.
fn word(statement: &[u8], at: usize) -> (usize, usize) {
    if statement.get(at) != Some(&b' ') {
        return (at, at);
    }
    let start = at + 1;
    let rest = statement.get(start..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b' ' | b'\n'));
    (start, start + end.unwrap_or(rest.len()))
}

fn timestamp(statement: &[u8], start: usize, end: usize, of: &str) -> Result<i64, Fault> {
    let text = statement.get(start..end).unwrap_or_default();
    match parse_seconds(text) {
        Ok(Some(millis)) => Ok(millis),
        Ok(None) => {
            let message = format!("invalid {of}timestamp {}", Cited(text));
            Err(Fault::Malformed(message))
        }
        Err(error) => Err(Fault::while_parsing(&error, statement)),
    }
}

fn comment<S: Sink>(lines: &mut Lines, statement: &[u8], sink: &mut S) -> Result<(), Fault> {
    let rest = statement.get(2..).unwrap_or_default();
    if let Some(after) = rest.strip_prefix(b"EOF") {
        lines.ended = true;
        return match after {
            [] => Ok(()),
            _ => Err(Fault::AfterEof),
        };
    }
    let word = match rest.split_first_chunk::<5>() {
        Some((b"HELP ", _)) => "HELP",
        Some((b"TYPE ", _)) => "TYPE",
        Some((b"UNIT ", _)) => "UNIT",
        _ => {
            return Err(Fault::expected(
                "expected a valid start token",
                statement,
                0,
            ));
        }
    };
    let (family, end) = lines::family_name(word, statement, 7)?;
    if statement.get(end) != Some(&b' ') {
        return Err(Fault::Malformed(format!("expected text in {word}")));
    }
    let text = statement.get(end + 1..).unwrap_or_default();
    match word {
        "HELP" => {
            let help = lines::help_text(text)?;
            sink.metadata(&family, Metadata::Help(&unescaped(help)));
        }
        "TYPE" => lines::set_kind(lines, &family, kind(text)?, sink),
        _ => sink.metadata(&family, Metadata::Unit(unit(&family, text)?)),
    }
    Ok(())
}

fn kind(text: &[u8]) -> Result<Kind, Fault> {
    Ok(match text {
        b"counter" => Kind::Counter,
        b"gauge" => Kind::Gauge,
        b"histogram" => Kind::Histogram,
        b"gaugehistogram" => Kind::GaugeHistogram,
        b"summary" => Kind::Summary,
        b"info" => Kind::Info,
        b"stateset" => Kind::StateSet,
        b"unknown" => Kind::Unknown,
        other => return Err(lines::invalid_type(other)),
    })
}

/// The unit of a family, whose name must end with it.
fn unit<'a>(family: &str, text: &'a [u8]) -> Result<&'a str, Fault> {
    let unit = std::str::from_utf8(text).ok();
    let fits = |unit: &&str| unit.is_empty() || ends_with_unit(family, unit);
    unit.filter(fits).ok_or_else(|| {
        let message = format!("unit {} not a suffix of metric {family:?}", Cited(text));
        Fault::Malformed(message)
    })
}

/// Whether a name is some word, `_` and the unit.
pub(crate) fn ends_with_unit(name: &str, unit: &str) -> bool {
    let stem = name.strip_suffix(unit);
    stem.is_some_and(|stem| stem.ends_with('_'))
}
