//! Whole numbers and times for people.

use vervet_agent::figures;

pub(super) use crate::time::text as time;

/// `1.5 MiB`
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
pub(super) fn bytes(bytes: u64) -> String {
    figures::bytes(bytes as f64)
}

/// `1,234,567`
pub(super) fn count(number: u64) -> String {
    figures::count(&number.to_string())
}

/// `2h 5m`
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
pub(super) fn seconds(seconds: u64) -> String {
    figures::seconds(seconds as f64)
}

/// Columns as wide as their widest cell, two blanks between them; the first is left-aligned.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    figures::table(rows, 1, "")
}
