//! Series as tests write them: `name{label="value"} 1 2+3x4 _ stale {{schema:0 sum:3 count:2 buckets:[2]}}`.
//!
//! In: a text of Prometheus's test scripts or of rule tests. Out: labels and points, one for each interval. `_` is no
//! sample, `stale` the end of the series, `axn` a value `n` times more, `a+bxn` the same in steps of `b`. Errors are
//! texts for whoever wrote the series.
//!
//! Limit: 1,000,000 points a series.

mod histogram;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use vervet_model::{Labels, LabelsBuilder, METRIC_NAME};

use crate::format::is_identifier;
use crate::native::{HistogramSample, NativeHistogram};
use crate::queryable::{STALE_NAN, Sample};

pub use histogram::histogram_text;

const POINTS_MAX: usize = 1_000_000;

/// One place in a sequence of points.
#[derive(Debug, Clone, PartialEq)]
pub enum Point {
    Missing,
    Float(f64),
    Histogram(NativeHistogram),
}

/// A series and what follows its labels.
///
/// # Errors
/// The labels are not closed, or no name or value is where one should be.
pub fn parse_series(text: &str) -> Result<(Labels, &str), String> {
    let text = text.trim_start();
    let name_end = text
        .find(|next: char| !next.is_alphanumeric() && !matches!(next, '_' | ':' | '.'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let mut labels = LabelsBuilder::default();
    if !name.is_empty() {
        if !is_identifier(name, true) {
            return Err(format!("{name:?} is not a metric name"));
        }
        labels.set(METRIC_NAME, name);
    }
    let inner = rest.trim_start();
    let rest = match inner.strip_prefix('{') {
        Some(inner) if !inner.starts_with('{') => parse_labels(inner, &mut labels)?,
        _ => rest,
    };
    Ok((labels.build(), rest))
}

/// Reads `a="b", "metric", "c d"="e"}` and returns what follows.
fn parse_labels<'l>(text: &'l str, labels: &mut LabelsBuilder) -> Result<&'l str, String> {
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let is_quoted = rest.starts_with(['"', '\'', '`']);
        let (name, after) = if is_quoted {
            parse_string(rest)?
        } else {
            let end = rest.find(['=', '}', ',']);
            let (name, after) = rest.split_at(end.ok_or("the labels are not closed with }")?);
            (name.trim().to_owned(), after)
        };
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            if !is_quoted && !is_identifier(&name, false) {
                return Err(format!("{name:?} is not a label name"));
            }
            let (value, after) = parse_string(after.trim_start())?;
            labels.set(name, value);
            rest = after.trim_start();
        } else if is_quoted {
            labels.set(METRIC_NAME, name);
        } else {
            return Err(format!("the label {name:?} has no value"));
        }
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if rest.starts_with('}') => rest,
            None => return Err(format!("expected , or }} before {rest:?}")),
        };
    }
}

/// Reads a quoted string at the front and returns its content and what follows.
///
/// # Errors
/// No string, or no end of it.
pub fn parse_string(text: &str) -> Result<(String, &str), String> {
    let quote = text
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'));
    let quote = quote.ok_or_else(|| format!("expected a quoted text, found {text:?}"))?;
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((index, next)) = chars.next() {
        if next == quote {
            let (_, after) = text.split_at(index + next.len_utf8());
            return Ok((content, after));
        }
        if next != '\\' || quote == '`' {
            content.push(next);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => content.push('\n'),
            Some((_, 't')) => content.push('\t'),
            Some((_, other)) => content.push(other),
            None => break,
        }
    }
    Err(format!("a string without an end: {text}"))
}

/// The points of a series.
///
/// # Errors
/// Something is no point, or there are too many of them.
pub fn parse_points(text: &str) -> Result<Vec<Point>, String> {
    let mut points = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(word_end(rest));
        expand(word, &mut points)?;
        rest = after.trim_start();
    }
    Ok(points)
}

/// The end of the first word; a histogram between double braces may hold spaces.
fn word_end(text: &str) -> usize {
    let mut is_inside = false;
    for (index, c) in text.char_indices() {
        let (_, rest) = text.split_at(index);
        if rest.starts_with("{{") {
            is_inside = true;
        } else if rest.starts_with("}}") {
            is_inside = false;
        } else if !is_inside && c.is_whitespace() {
            return index;
        }
    }
    text.len()
}

fn expand(word: &str, points: &mut Vec<Point>) -> Result<(), String> {
    if word.starts_with("{{") {
        return histogram::expand(word, points);
    }
    let Some((sequence, times)) = word.rsplit_once('x') else {
        points.push(parse_point(word)?);
        return Ok(());
    };
    let times = parse_times(times, points, word)?;
    if sequence == "_" {
        points.extend((0..times).map(|_| Point::Missing));
        return Ok(());
    }
    let (start, step) = split_sequence(sequence);
    let Point::Float(mut value) = parse_point(start)? else {
        return Err(format!("no number in {word:?}"));
    };
    points.push(Point::Float(value));
    let step = match step {
        "" => None,
        step => Some(parse_number(step)?),
    };
    for _ in 0..times {
        // Arithmetic would change what marks the end of a series.
        value = step.map_or(value, |step| value + step);
        points.push(Point::Float(value));
    }
    Ok(())
}

fn parse_times(text: &str, points: &[Point], word: &str) -> Result<usize, String> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let times: Option<usize> = digits.and_then(|digits| digits.parse().ok());
    match times {
        Some(times) if points.len().saturating_add(times) <= POINTS_MAX => Ok(times),
        Some(_) => Err(format!("{word:?} makes more than {POINTS_MAX} points")),
        None => Err(format!("no count in {word:?}")),
    }
}

/// Splits `1+2` before the sign of the step.
pub fn split_sequence(sequence: &str) -> (&str, &str) {
    let mut before = None;
    for (index, c) in sequence.char_indices() {
        if index > 0 && matches!(c, '+' | '-') && !matches!(before, Some('e' | 'E')) {
            return sequence.split_at(index);
        }
        before = Some(c);
    }
    (sequence, "")
}

fn parse_point(word: &str) -> Result<Point, String> {
    Ok(match word {
        "_" => Point::Missing,
        "stale" => Point::Float(STALE_NAN),
        _ => Point::Float(parse_number(word)?),
    })
}

/// A number, in decimal or as `0x1f`.
///
/// # Errors
/// The text is no number.
pub fn parse_number(word: &str) -> Result<f64, String> {
    if let Some(hex) = word.strip_prefix("0x") {
        return i32::from_str_radix(hex, 16)
            .map(f64::from)
            .map_err(|error| error.to_string());
    }
    word.parse()
        .map_err(|_invalid| format!("{word:?} is not a number"))
}

/// The points as samples, one each step from the start on (milliseconds).
pub fn placed(points: &[Point], start: i64, step: i64) -> (Vec<Sample>, Vec<HistogramSample>) {
    let (mut samples, mut histograms) = (Vec::new(), Vec::new());
    let mut timestamp = start;
    for point in points {
        match point {
            Point::Missing => {}
            Point::Float(value) => samples.push(Sample {
                timestamp,
                value: *value,
            }),
            Point::Histogram(histogram) => histograms.push(HistogramSample {
                timestamp,
                histogram: Arc::new(histogram.clone()),
            }),
        }
        timestamp = timestamp.saturating_add(step);
    }
    (samples, histograms)
}
