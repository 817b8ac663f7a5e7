//! The notation of series: `name{label="value"} 1 2+3x4 _ stale`.

use vervet_model::{Labels, LabelsBuilder, METRIC_NAME};
use vervet_promql::{NativeHistogram, ResetHint, STALE_NAN};

use crate::script::parse_millis;

/// One place in a sequence of points.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    Missing,
    Float(f64),
    Histogram(NativeHistogram),
}

#[derive(Debug)]
pub(crate) struct SeriesLine {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
    /// Instead of samples: when counters began, in milliseconds from each sample.
    pub(crate) starts: Option<Vec<Option<i64>>>,
}

pub(crate) fn parse_line(line: &str) -> Result<SeriesLine, String> {
    let mut rest = line.trim();
    let mut labels = LabelsBuilder::default();
    let name_end = rest
        .find(|next: char| next == '{' || next == '@' || next.is_whitespace())
        .unwrap_or(rest.len());
    labels.set(METRIC_NAME, &rest[..name_end]);
    rest = &rest[name_end..];
    if rest.starts_with('{') && !rest.starts_with("{{") {
        rest = parse_labels(&rest[1..], &mut labels)?;
    }
    let starts = rest.strip_prefix("@st").map(parse_starts).transpose()?;
    let points = match starts {
        Some(_) => Vec::new(),
        None => parse_points(rest)?,
    };
    Ok(SeriesLine {
        labels: labels.build(),
        points,
        starts,
    })
}

/// Reads `a="b", "metric", "c d"="e"}` and returns what follows.
fn parse_labels<'l>(text: &'l str, labels: &mut LabelsBuilder) -> Result<&'l str, String> {
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let quoted = rest.starts_with(['"', '\'', '`']);
        let (name, after) = if quoted {
            parse_string(rest)?
        } else {
            let end = rest
                .find(['=', '}', ','])
                .ok_or("a label without a value")?;
            (rest[..end].trim().to_owned(), &rest[end..])
        };
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = parse_string(after.trim_start())?;
            labels.set(name, value);
            rest = after.trim_start();
        } else {
            labels.set(METRIC_NAME, name);
        }
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        if rest.is_empty() {
            return Err("labels without an end".to_owned());
        }
    }
}

/// Reads a quoted string at the front and returns its content and what follows.
pub(crate) fn parse_string(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().ok_or("a string is missing")?;
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((index, next)) = chars.next() {
        if next == quote {
            return Ok((content, &text[index + next.len_utf8()..]));
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

/// Reads distances from samples such as `_ -30s-1mx2 0`.
fn parse_starts(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut starts = Vec::new();
    for word in text.split_whitespace() {
        let (sequence, count) = match word.rsplit_once('x') {
            Some((sequence, count)) => (sequence, count.parse::<i64>().ok()),
            None => (word, Some(0)),
        };
        let count = count.ok_or_else(|| format!("no count in {word:?}"))?;
        if sequence == "_" {
            starts.extend((0..count.max(1)).map(|_| None));
            continue;
        }
        let (start, step) = split_sequence(sequence);
        let start = parse_millis(start)?;
        let step = match step.strip_prefix('+').unwrap_or(step) {
            "" => 0,
            step => parse_millis(step)?,
        };
        starts.extend((0..=count).map(|index| Some(start + index * step)));
    }
    Ok(starts)
}

pub(crate) fn parse_points(text: &str) -> Result<Vec<Point>, String> {
    let mut points = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = word_end(rest);
        expand(&rest[..end], &mut points)?;
        rest = rest[end..].trim_start();
    }
    Ok(points)
}

/// The end of the first word; a histogram between double braces may hold spaces.
fn word_end(text: &str) -> usize {
    let mut index = 0;
    let mut inside = false;
    while index < text.len() {
        let rest = &text[index..];
        if rest.starts_with("{{") {
            inside = true;
        } else if rest.starts_with("}}") {
            inside = false;
        } else if !inside && rest.starts_with(char::is_whitespace) {
            break;
        }
        index += rest.chars().next().map_or(1, char::len_utf8);
    }
    index
}

fn expand(word: &str, points: &mut Vec<Point>) -> Result<(), String> {
    if word.starts_with("{{") {
        return expand_histograms(word, points);
    }
    let Some((sequence, count)) = word.rsplit_once('x') else {
        points.push(parse_point(word)?);
        return Ok(());
    };
    let count: u32 = count
        .parse()
        .map_err(|_invalid| format!("no count in {word:?}"))?;
    if sequence == "_" {
        points.extend((0..count).map(|_| Point::Missing));
        return Ok(());
    }
    let (start, step) = split_sequence(sequence);
    let Point::Float(start) = parse_point(start)? else {
        return Err(format!("no number in {word:?}"));
    };
    let step = if step.is_empty() {
        0.0
    } else {
        parse_number(step)?
    };
    let mut value = start;
    for _ in 0..=count {
        points.push(Point::Float(value));
        value += step;
    }
    Ok(())
}

/// Splits `1+2` before the sign of the step.
fn split_sequence(sequence: &str) -> (&str, &str) {
    let bytes = sequence.as_bytes();
    let sign = (1..bytes.len()).find(|index| {
        matches!(bytes[*index], b'+' | b'-') && !matches!(bytes[index - 1], b'e' | b'E')
    });
    sign.map_or((sequence, ""), |index| sequence.split_at(index))
}

fn parse_point(word: &str) -> Result<Point, String> {
    Ok(match word {
        "_" => Point::Missing,
        "stale" => Point::Float(STALE_NAN),
        _ => Point::Float(parse_number(word)?),
    })
}

pub(crate) fn parse_number(word: &str) -> Result<f64, String> {
    if let Some(hex) = word.strip_prefix("0x") {
        return i32::from_str_radix(hex, 16)
            .map(f64::from)
            .map_err(|error| error.to_string());
    }
    word.parse()
        .map_err(|_invalid| format!("not a number: {word:?}"))
}

/// Reads `{{...}}`, `{{...}}x3` or `{{...}}+{{...}}x3`.
fn expand_histograms(word: &str, points: &mut Vec<Point>) -> Result<(), String> {
    let (first, rest) = split_histogram(word)?;
    let mut current = parse_histogram(first)?;
    if rest.is_empty() {
        points.push(Point::Histogram(current));
        return Ok(());
    }
    let (sign, rest) = match rest.strip_prefix('x') {
        Some(_) => ("", rest),
        None => rest.split_at(1),
    };
    let (step, rest) = if sign.is_empty() {
        (None, rest)
    } else {
        let (step, rest) = split_histogram(rest)?;
        (Some(parse_histogram(step)?), rest)
    };
    let count = rest
        .strip_prefix('x')
        .and_then(|count| count.parse::<usize>().ok());
    for _ in 0..count.ok_or_else(|| format!("no count in {word:?}"))? {
        points.push(Point::Histogram(current.clone()));
        if let Some(step) = &step {
            let next = if sign == "-" {
                current.minus(step)
            } else {
                current.plus(step)
            };
            current = next.map_err(|error| error.to_string())?.0;
        }
    }
    points.push(Point::Histogram(current));
    Ok(())
}

/// Splits `{{inside}}rest`.
fn split_histogram(text: &str) -> Result<(&str, &str), String> {
    text.strip_prefix("{{")
        .and_then(|text| text.split_once("}}"))
        .ok_or_else(|| format!("not a histogram: {text:?}"))
}

fn parse_histogram(text: &str) -> Result<NativeHistogram, String> {
    let mut histogram = NativeHistogram::default();
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    let (mut offset, mut negative_offset) = (0, 0);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once(':')
            .ok_or_else(|| format!("no key in {rest:?}"))?;
        let (value, after) = match after.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or("a list without an end")?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        let number = || parse_number(value.trim());
        let whole = || {
            value
                .trim()
                .parse::<i32>()
                .map_err(|error| error.to_string())
        };
        let list = || {
            value
                .split_whitespace()
                .map(parse_number)
                .collect::<Result<Vec<f64>, String>>()
        };
        match key.trim() {
            "schema" => histogram.schema = whole()?,
            "sum" => histogram.sum = number()?,
            "count" => histogram.count = number()?,
            "z_bucket" => histogram.zero_count = number()?,
            "z_bucket_w" => histogram.zero_threshold = number()?,
            "custom_values" => histogram.custom_bounds = list()?,
            "buckets" => positive = list()?,
            "n_buckets" => negative = list()?,
            "offset" => offset = whole()?,
            "n_offset" => negative_offset = whole()?,
            "counter_reset_hint" => histogram.reset_hint = parse_hint(value)?,
            key => return Err(format!("unknown histogram field {key:?}")),
        }
        rest = after.trim();
    }
    histogram.positive = (offset..).zip(positive).collect();
    histogram.negative = (negative_offset..).zip(negative).collect();
    Ok(histogram.compacted())
}

fn parse_hint(text: &str) -> Result<ResetHint, String> {
    Ok(match text.trim() {
        "unknown" => ResetHint::Unknown,
        "reset" => ResetHint::Reset,
        "not_reset" => ResetHint::NotReset,
        "gauge" => ResetHint::Gauge,
        other => return Err(format!("unknown counter reset hint {other:?}")),
    })
}
