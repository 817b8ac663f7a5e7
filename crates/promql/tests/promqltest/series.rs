//! A line of a script that loads or expects a series.

use vervet_model::Labels;
use vervet_promql::notation::{Point, parse_points, parse_series, split_sequence};

use crate::script::parse_millis;

#[derive(Debug)]
pub(crate) struct SeriesLine {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
    /// Instead of samples: when counters began, in milliseconds from each sample.
    pub(crate) starts: Option<Vec<Option<i64>>>,
}

pub(crate) fn parse_line(line: &str) -> Result<SeriesLine, String> {
    let (labels, rest) = parse_series(line)?;
    let starts = rest.trim_start().strip_prefix("@st");
    let starts = starts.map(parse_starts).transpose()?;
    let points = match starts {
        Some(_) => Vec::new(),
        None => parse_points(rest)?,
    };
    Ok(SeriesLine {
        labels,
        points,
        starts,
    })
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
