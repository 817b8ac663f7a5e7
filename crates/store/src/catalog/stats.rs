//! Minimum and maximum of a column in a file, in the text form DuckLake gives them.
//!
//! DuckDB skips a file on these texts, so a wrong one loses rows without a word. The forms are those that
//! DuckDB 1.5.5 writes: integers in decimal, timestamps as
//! `YYYY-MM-DD HH:MM:SS` with a fraction only when it is not zero, trailing zeros cut.

use std::cmp::Ordering;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::temporal_conversions::timestamp_ns_to_datetime;
use vervet_model::UnixNanos;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A longer text has no bound in the catalog: the row would cost more than it saves.
const TEXT_BYTES_MAX: usize = 256;

/// One bound of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum StatValue {
    /// `Int32` and `Int64` columns.
    Int(i64),
    /// `UInt64` columns.
    UInt(u64),
    /// `Float64` columns; never NaN.
    Double(f64),
    /// `Utf8` columns.
    Text(String),
    /// `Timestamp` columns of either unit.
    Time(UnixNanos),
}

/// What the catalog records of one column of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStats {
    pub column_id: i64,
    /// Compressed bytes of the column in the file.
    pub bytes: u64,
    /// Values that are not null.
    pub values: u64,
    pub nulls: u64,
    /// `None` when every value is null.
    pub min: Option<StatValue>,
    pub max: Option<StatValue>,
}

impl StatValue {
    /// The text DuckLake stores; `None` where it has no exact one, so that the file is never skipped.
    pub(crate) fn to_ducklake(&self) -> Option<String> {
        match self {
            Self::Int(value) => Some(value.to_string()),
            Self::UInt(value) => Some(value.to_string()),
            Self::Double(value) => double_text(*value),
            Self::Text(value) => bounded_text(value),
            Self::Time(time) => timestamp_text(*time),
        }
    }

    /// Reads the text of a bound of the same kind as `self`. `None` when it is no such text.
    pub(crate) fn parse_like(&self, text: &str) -> Option<Self> {
        Some(match self {
            Self::Int(_) => Self::Int(text.parse().ok()?),
            Self::UInt(_) => Self::UInt(text.parse().ok()?),
            Self::Double(_) => Self::Double(text.parse().ok()?),
            Self::Text(_) => Self::Text(text.to_owned()),
            Self::Time(_) => Self::Time(parse_timestamp(text)?),
        })
    }

    /// Order within one kind, `None` between kinds.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::UInt(a), Self::UInt(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// Digits and exponent; the shortest that reads back as the same double.
fn double_text(value: f64) -> Option<String> {
    value.is_finite().then(|| format!("{value:e}"))
}

fn bounded_text(value: &str) -> Option<String> {
    (value.len() <= TEXT_BYTES_MAX && !value.contains('\0')).then(|| value.to_owned())
}

/// `YYYY-MM-DD HH:MM:SS[.fraction]`. An `i64` of nanoseconds spans 1677 to 2262.
pub(super) fn timestamp_text(time: UnixNanos) -> Option<String> {
    let mut text = timestamp_ns_to_datetime(time.0)?
        .format("%Y-%m-%d %H:%M:%S")
        .to_string();
    let nanos = time.0.rem_euclid(NANOS_PER_SECOND);
    if nanos != 0 {
        let fraction = format!("{nanos:09}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    Some(text)
}

/// A snapshot's time in UTC. Always six digits of a second, so that the texts sort as the times do.
pub(super) fn snapshot_time(time: UnixNanos) -> String {
    timestamp_ns_to_datetime(time.0)
        .map(|time| time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string())
        .unwrap_or_default()
}

/// The inverse of [`timestamp_text`].
pub(super) fn parse_timestamp(text: &str) -> Option<UnixNanos> {
    string_to_timestamp_nanos(text).ok().map(UnixNanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn timestamps_read_as_duckdb_writes_them() {
        let check = |nanos: i64, expect: &str| {
            assert_eq!(timestamp_text(UnixNanos(nanos)).as_deref(), Some(expect));
        };
        check(1_728_000_000_000_000_000, "2024-10-04 00:00:00");
        check(1_728_000_008_000_000_056, "2024-10-04 00:00:08.000000056");
        check(1_728_000_000_056_000_000, "2024-10-04 00:00:00.056");
        check(-1, "1969-12-31 23:59:59.999999999");
        check(951_782_400_000_000_000, "2000-02-29 00:00:00");
    }

    #[test]
    fn damaged_timestamps_do_not_parse() {
        for text in ["", "2024-10-04 00", "x-1-1 0:0:0", "2024-13-01 00:00:00"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn timestamp_text_reads_back(nanos: i64) {
            let text = timestamp_text(UnixNanos(nanos)).unwrap();
            prop_assert_eq!(parse_timestamp(&text), Some(UnixNanos(nanos)));
        }
    }
}
