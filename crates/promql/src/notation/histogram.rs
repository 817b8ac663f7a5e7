//! Native histograms: `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`, read and written.

use std::fmt::Write as _;

use super::{POINTS_MAX, Point, parse_number, parse_times};
use crate::native::{NativeHistogram, ResetHint};

/// Reads `{{...}}`, `{{...}}x3` or `{{...}}+{{...}}x3`.
pub(super) fn expand(word: &str, points: &mut Vec<Point>) -> Result<(), String> {
    let (first, rest) = split(word)?;
    let mut current = parse(first)?;
    if rest.is_empty() {
        points.push(Point::Histogram(current));
        return Ok(());
    }
    let (step, rest) = match rest.strip_prefix(['+', '-']) {
        Some(after) => {
            let (step, after) = split(after)?;
            (Some((parse(step)?, rest.starts_with('-'))), after)
        }
        None => (None, rest),
    };
    let times = rest
        .strip_prefix('x')
        .ok_or_else(|| format!("no count in {word:?}"))?;
    for _ in 0..parse_times(times, points, word)? {
        points.push(Point::Histogram(current.clone()));
        if let Some((step, is_minus)) = &step {
            let next = match is_minus {
                true => current.minus(step),
                false => current.plus(step),
            };
            current = next.map_err(|error| error.to_string())?.0;
        }
    }
    points.push(Point::Histogram(current));
    Ok(())
}

/// Splits `{{inside}}rest`.
fn split(text: &str) -> Result<(&str, &str), String> {
    text.strip_prefix("{{")
        .and_then(|text| text.split_once("}}"))
        .ok_or_else(|| format!("not a histogram: {text:?}"))
}

fn parse(text: &str) -> Result<NativeHistogram, String> {
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
            let whole = value.trim().parse::<i32>();
            whole.map_err(|error| format!("{value:?}: {error}"))
        };
        let list = || {
            let numbers = value.split_whitespace().map(parse_number);
            numbers.take(POINTS_MAX).collect::<Result<Vec<f64>, _>>()
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

/// A histogram as it is written in a test; what is zero is left out.
pub fn histogram_text(histogram: &NativeHistogram) -> String {
    let mut fields = Vec::new();
    let mut field = |name: &str, value: f64| {
        if value != 0.0 {
            fields.push(format!("{name}:{value}"));
        }
    };
    field("schema", f64::from(histogram.schema));
    field("count", histogram.count);
    field("sum", histogram.sum);
    field("z_bucket", histogram.zero_count);
    field("z_bucket_w", histogram.zero_threshold);
    if histogram.has_custom_bounds() {
        let bounds = numbers(histogram.custom_bounds.iter().copied());
        fields.push(format!("custom_values:[{bounds}]"));
    }
    match histogram.reset_hint {
        ResetHint::Unknown => {}
        ResetHint::Reset => fields.push("counter_reset_hint:reset".to_owned()),
        ResetHint::NotReset => fields.push("counter_reset_hint:not_reset".to_owned()),
        ResetHint::Gauge => fields.push("counter_reset_hint:gauge".to_owned()),
    }
    for (prefix, buckets) in [("", &histogram.positive), ("n_", &histogram.negative)] {
        let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else {
            continue;
        };
        if *first != 0 {
            fields.push(format!("{prefix}offset:{first}"));
        }
        let count = |index| {
            let found = buckets.iter().find(|(at, _)| *at == index);
            found.map_or(0.0, |(_, count)| *count)
        };
        let counts = numbers((*first..=*last).map(count));
        fields.push(format!("{prefix}buckets:[{counts}]"));
    }
    format!("{{{{{}}}}}", fields.join(" "))
}

fn numbers(values: impl Iterator<Item = f64>) -> String {
    let mut text = String::new();
    for value in values {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _written = write!(text, "{space}{value}");
    }
    text
}
