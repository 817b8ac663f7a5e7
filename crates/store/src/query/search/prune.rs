//! What the statistics of a row group say of a condition.

use parquet::basic::SortOrder;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;

use super::predicate::{LeafTest, Predicate, Source};
use super::segment::Segment;
use super::text::TextTest;
use crate::query::filter::Comparison;

/// How many rows fulfil a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    None,
    Some,
    All,
}

impl Verdict {
    fn not(self) -> Self {
        match self {
            Self::None => Self::All,
            Self::Some => Self::Some,
            Self::All => Self::None,
        }
    }
}

/// The conditions that rows of the group still have to be asked; `None` when none can fulfil them all.
pub(super) fn remaining<'p>(
    predicate: &'p Predicate,
    segment: &Segment,
    group: usize,
) -> Option<Vec<&'p Predicate>> {
    let parts = match predicate {
        Predicate::All(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut remaining = Vec::with_capacity(parts.len());
    for part in parts {
        match verdict(part, segment, group) {
            Verdict::None => return None,
            Verdict::Some => remaining.push(part),
            Verdict::All => {}
        }
    }
    Some(remaining)
}

fn verdict(predicate: &Predicate, segment: &Segment, group: usize) -> Verdict {
    match predicate {
        Predicate::All(parts) => {
            let verdicts: Vec<_> = parts
                .iter()
                .map(|part| verdict(part, segment, group))
                .collect();
            if verdicts.contains(&Verdict::None) {
                Verdict::None
            } else if verdicts.contains(&Verdict::Some) {
                Verdict::Some
            } else {
                Verdict::All
            }
        }
        Predicate::Any(parts) => {
            let verdicts: Vec<_> = parts
                .iter()
                .map(|part| verdict(part, segment, group))
                .collect();
            if verdicts.contains(&Verdict::All) {
                Verdict::All
            } else if verdicts.contains(&Verdict::Some) {
                Verdict::Some
            } else {
                Verdict::None
            }
        }
        Predicate::Not(part) => verdict(part, segment, group).not(),
        Predicate::Leaf(Source::Column(name), test) => segment
            .chunk(group, name)
            .map_or(Verdict::Some, |chunk| of_chunk(chunk, test)),
        Predicate::Leaf(Source::Attribute(_) | Source::Presence(_), _test) => Verdict::Some,
    }
}

fn of_chunk(chunk: &ColumnChunkMetaData, test: &LeafTest) -> Verdict {
    let Some(statistics) = chunk.statistics() else {
        return Verdict::Some;
    };
    let whole = statistics.null_count_opt() == Some(0);
    let verdict = match (statistics, test) {
        (_, LeafTest::Exists) if whole => Verdict::All,
        (Statistics::ByteArray(bounds), LeafTest::Text(test)) => {
            let exact = bounds.min_is_exact() && bounds.max_is_exact();
            let bounds = bounds.min_opt().zip(bounds.max_opt());
            let Some((min, max)) = bounds.map(|(min, max)| (min.data(), max.data())) else {
                return Verdict::Some;
            };
            of_texts(min, max, exact, test)
        }
        // Unsigned numbers have bounds of another order; they are asked row by row.
        _ if chunk.column_descr().sort_order() == SortOrder::UNSIGNED
            && !matches!(statistics, Statistics::ByteArray(_)) =>
        {
            Verdict::Some
        }
        (Statistics::Int32(bounds), LeafTest::Compare(comparison, number)) => {
            let bounds = bounds.min_opt().zip(bounds.max_opt());
            bounds.map_or(Verdict::Some, |(min, max)| {
                of_numbers(f64::from(*min), f64::from(*max), *comparison, *number)
            })
        }
        (Statistics::Int64(bounds), LeafTest::Compare(comparison, number)) => {
            let bounds = bounds.min_opt().zip(bounds.max_opt());
            bounds.map_or(Verdict::Some, |(min, max)| {
                of_numbers(float(*min), float(*max), *comparison, *number)
            })
        }
        _ => Verdict::Some,
    };
    match verdict {
        Verdict::None if null_may_pass(test) && !whole => Verdict::Some,
        Verdict::All if !whole => Verdict::Some,
        verdict => verdict,
    }
}

/// Whether a row without a value may fulfil the condition.
fn null_may_pass(test: &LeafTest) -> bool {
    test.of_value(None)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers are compared as 64-bit floats"
)]
fn float(value: i64) -> f64 {
    value as f64
}

/// `exact` when the bounds are values themselves; else they were shortened, but are bounds still.
fn of_texts(min: &[u8], max: &[u8], exact: bool, test: &TextTest) -> Verdict {
    if exact
        && min == max
        && let Ok(text) = std::str::from_utf8(min)
    {
        return match test.holds(text) {
            true => Verdict::All,
            false => Verdict::None,
        };
    }
    match test {
        TextTest::Equals(text) if text.as_bytes() < min || text.as_bytes() > max => Verdict::None,
        _ => Verdict::Some,
    }
}

fn of_numbers(min: f64, max: f64, comparison: Comparison, number: f64) -> Verdict {
    let (of_min, of_max) = (comparison.holds(min, number), comparison.holds(max, number));
    match comparison {
        Comparison::Equal if min == max => match of_min {
            true => Verdict::All,
            false => Verdict::None,
        },
        Comparison::Equal if number < min || number > max => Verdict::None,
        Comparison::Equal => Verdict::Some,
        _ if of_min && of_max => Verdict::All,
        _ if !of_min && !of_max => Verdict::None,
        _ => Verdict::Some,
    }
}
