//! How large the result of a function can be, from its arguments: always at least as large as it is.

use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use datafusion::scalar::ScalarValue;

use super::bytes_of;

/// A row has an offset or a view, and a bit (bytes).
const ROW_BYTES: usize = 17;
/// What one letter of a format of times may become (bytes): `%c`, `%+`, `%A`.
const FORMATTED_BYTES: usize = 40;

/// How the result of a function grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Growth {
    /// All arguments, one after the other.
    Sum,
    /// The same with the first between each two.
    Separated,
    /// So many times the arguments.
    Times(usize),
    /// The first, with the third wherever the second was.
    Replaced,
    /// The same with a pattern; the third may name its groups.
    PatternReplaced,
    /// The first, once for each group of the second.
    Groups,
    /// A time in the format of the second.
    Formatted,
}

impl Growth {
    /// The largest result (bytes).
    pub(super) fn bytes_max(self, args: &ScalarFunctionArgs) -> usize {
        let rows = rows(args);
        let total = |index: usize| args.args.get(index).map_or(0, |it| total(it, rows));
        let longest = |index: usize| args.args.get(index).map_or(0, longest);
        let sum = (0..args.args.len()).fold(0, |sum: usize, it| sum.saturating_add(total(it)));
        let text = match self {
            Self::Sum => sum,
            Self::Separated => total(0).saturating_mul(args.args.len()).saturating_add(sum),
            Self::Times(times) => sum.saturating_mul(times),
            Self::Replaced => {
                let shortest = match args.args.get(1) {
                    Some(ColumnarValue::Scalar(_)) => longest(1).max(1),
                    _ => 1,
                };
                // An empty text is found before every letter and at the end.
                let found = (total(0) / shortest).saturating_add(rows);
                found.saturating_mul(longest(2)).saturating_add(total(0))
            }
            Self::PatternReplaced => {
                let found = total(0).saturating_add(rows);
                let by = longest(2);
                let groups = args.args.get(2).map_or(0, |it| letters(it, "$\\"));
                let all = found.saturating_mul(by);
                all.saturating_add(total(0).saturating_mul(groups.saturating_add(1)))
            }
            Self::Groups => {
                let groups = args.args.get(1).map_or(0, |it| letters(it, "("));
                let found = total(0).saturating_add(rows.saturating_mul(ROW_BYTES));
                found.saturating_mul(groups.saturating_add(2))
            }
            Self::Formatted => total(1).saturating_mul(FORMATTED_BYTES),
        };
        text.saturating_add(rows.saturating_mul(ROW_BYTES))
    }
}

/// One when all arguments are constants.
fn rows(args: &ScalarFunctionArgs) -> usize {
    let constant = |it: &ColumnarValue| matches!(it, ColumnarValue::Scalar(_));
    match args.args.iter().all(constant) {
        true => 1,
        false => args.number_rows.max(1),
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

/// All rows of an argument (bytes).
fn total(argument: &ColumnarValue, rows: usize) -> usize {
    match argument {
        ColumnarValue::Array(array) => bytes_of(array),
        ColumnarValue::Scalar(_) => longest(argument).saturating_mul(rows),
    }
}

/// At least the longest row of an argument (bytes).
fn longest(argument: &ColumnarValue) -> usize {
    match argument {
        ColumnarValue::Array(array) => bytes_of(array),
        ColumnarValue::Scalar(value) => text(value).map_or_else(|| value.size(), str::len),
    }
}

/// How often a row has one of `letters`, at most.
fn letters(argument: &ColumnarValue, letters: &str) -> usize {
    match argument {
        ColumnarValue::Array(array) => bytes_of(array),
        ColumnarValue::Scalar(value) => text(value).map_or(0, |text| {
            text.chars().filter(|c| letters.contains(*c)).count()
        }),
    }
}
