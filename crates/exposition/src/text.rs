//! The text format 0.0.4, a statement at a time: a line, or several when a quote goes over its end.

use vervet_wire::remote_write::Kind;

use crate::error::Fault;
use crate::labels::{Dialect, is_blank, skip_blanks, unescaped_help};
use crate::lines::{self, Lines};
use crate::number::parse_millis;
use crate::point::{Metadata, Sink};

/// Reads one statement, without the line break that ends it.
pub(crate) fn statement<S: Sink>(
    lines: &mut Lines,
    statement: &[u8],
    sink: &mut S,
) -> Result<(), Fault> {
    let start = skip_blanks(statement, 0);
    match statement.get(start) {
        None => Ok(()),
        Some(b'#') => comment(lines, statement, start + 1, sink),
        Some(_) => sample(lines, statement, start, sink),
    }
}

fn sample<S: Sink>(
    lines: &mut Lines,
    statement: &[u8],
    start: usize,
    sink: &mut S,
) -> Result<(), Fault> {
    let series = lines.series(Dialect::Text, statement, start, sink)?;
    let start = skip_blanks(statement, series.end);
    let end = word_end(statement, start, |byte| byte == b'{' || is_blank(byte));
    let value = lines::value(statement, start, end, "expected value after metric")?;
    let start = skip_blanks(statement, end);
    let timestamp_ms = match statement.get(start) {
        None => None,
        Some(_) => Some(timestamp(statement, start)?),
    };
    lines.hand_out(statement, series, value, timestamp_ms, None, sink)
}

fn timestamp(statement: &[u8], start: usize) -> Result<i64, Fault> {
    let end = word_end(statement, start, |byte| !byte.is_ascii_digit());
    let digits = statement.get(start..end).unwrap_or_default();
    if digits.is_empty() {
        let expected = "expected timestamp or new record";
        return Err(Fault::expected(expected, statement, start));
    }
    let after = skip_blanks(statement, end);
    if after < statement.len() {
        let expected = "expected next entry after timestamp";
        return Err(Fault::expected(expected, statement, after));
    }
    parse_millis(digits).map_err(|error| Fault::while_parsing(&error, statement))
}

fn word_end(statement: &[u8], start: usize, ends: impl Fn(u8) -> bool) -> usize {
    let rest = statement.get(start..).unwrap_or_default();
    let end = rest.iter().position(|byte| ends(*byte) || *byte == b'\n');
    start + end.unwrap_or(rest.len())
}

/// `HELP` and `TYPE` lines; every other comment means nothing.
fn comment<S: Sink>(
    lines: &mut Lines,
    statement: &[u8],
    after_mark: usize,
    sink: &mut S,
) -> Result<(), Fault> {
    let start = skip_blanks(statement, after_mark);
    let rest = statement.get(start..).unwrap_or_default();
    let word = match (rest.split_first_chunk::<4>(), start > after_mark) {
        (Some((word @ (b"HELP" | b"TYPE"), [blank, ..])), true) if is_blank(*blank) => word,
        _ => return Ok(()),
    };
    let start = skip_blanks(statement, start + 4);
    if word == b"HELP" {
        let (family, end) = lines::family_name("HELP", statement, start)?;
        let help = lines::help_text(text_behind(statement, end))?;
        sink.metadata(&family, Metadata::Help(&unescaped_help(help)));
    } else {
        let (family, end) = lines::family_name("TYPE", statement, start)?;
        let kind = match text_behind(statement, end) {
            b"counter" => Kind::Counter,
            b"gauge" => Kind::Gauge,
            b"histogram" => Kind::Histogram,
            b"summary" => Kind::Summary,
            b"untyped" => Kind::Unknown,
            other => return Err(lines::invalid_type(other)),
        };
        lines::set_kind(lines, &family, kind, sink);
    }
    Ok(())
}

/// What follows the one byte behind a name.
fn text_behind(statement: &[u8], end: usize) -> &[u8] {
    statement.get(end + 1..).unwrap_or_default()
}
