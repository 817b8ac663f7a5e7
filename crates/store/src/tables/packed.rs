//! Texts of log records whose numbers and ids are stored apart.
//!
//! In files, and so in the catalog's table `logs_packed`, a text column `c` has a companion `packed_c`: half bytes for
//! the digits that were taken out of the text. What is left of it repeats. The companion is null where the text is as
//! it came. The view `logs` puts both together for other readers, [`unpack`](crate::segment::unpack) for us.
//!
//! ```text
//! text:      order 9f03a1 shipped after 17 days
//! c:         order <1>6 shipped after <1>2 days     <1>: U+0001
//! packed_c:  9f 03 a1 17
//! ```
//!
//! After each U+0001 comes the character `0` + n, and then the text goes on: n digits (1 to 64) of the companion belong
//! here. A text that has a U+0001 of its own is never packed.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, Field};

use super::define::with_id;
use super::{Layout, PromotedKind, Table, column, column_id};

/// What the name of a companion begins with. No other column of the table does.
pub(crate) const PREFIX: &str = "packed_";
/// From the id of a column to that of its companion.
const ID_DISTANCE: i64 = 1_000_000;

/// Stands where digits were taken out.
pub(crate) const MARK: char = '\u{1}';
/// The character after the mark is this one and the number of digits.
pub(crate) const LENGTH_BASE: u8 = b'0';
/// Digits of one place, at most.
pub(crate) const DIGITS_MAX: usize = 64;

/// The name of the companion of a column.
pub(crate) fn companion(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The columns of a layout whose texts are packed.
pub(crate) fn packed_columns(layout: &Layout) -> impl Iterator<Item = &str> {
    let is_packed = layout.table() == Table::Logs;
    let promoted = layout.promoted().columns().iter();
    let texts = promoted.filter(|column| column.kind == PromotedKind::Text);
    let texts = texts.map(|column| column.name.as_str());
    std::iter::once(column::BODY)
        .chain(texts)
        .take_while(move |_name| is_packed)
}

/// The companion of a packed column.
pub(crate) fn companion_field(field: &Field) -> Option<Field> {
    let id = column_id(field)?.checked_add(ID_DISTANCE)?;
    let companion = Field::new(companion(field.name()), DataType::Binary, true);
    Some(with_id(companion, id))
}

/// The columns that files have after those of the layout.
pub(super) fn companions(layout: &Layout) -> Vec<Field> {
    let schema = layout.schema();
    packed_columns(layout)
        .filter_map(|name| companion_field(schema.field_with_name(name).ok()?))
        .collect()
}

/// The view that shows the rows of `logs_packed` as they came, in DuckDB's SQL.
pub(crate) fn view(layout: &Layout) -> String {
    let (mut hidden, mut shown) = (String::new(), String::new());
    for name in packed_columns(layout) {
        let comma = if hidden.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(hidden, "{comma}{}", companion(name));
        let _ = write!(shown, "{comma}{} AS {name}", whole_text(name));
    }
    format!("SELECT * EXCLUDE ({hidden}) REPLACE ({shown}) FROM logs_packed")
}

/// `p` are the parts between marks, each but the first with its number of digits before it; `d` all digits.
fn whole_text(name: &str) -> String {
    let companion = companion(name);
    format!(
        "CASE WHEN {companion} IS NULL THEN {name} ELSE list_transform(\
         [{{'p': string_split({name}, chr(1)), 'd': lower(hex({companion}))}}], \
         lambda t: array_to_string(list_transform(t.p, lambda part, i: CASE WHEN i = 1 THEN part ELSE concat(\
         substr(t.d, CAST(1 + coalesce(list_sum(list_transform(t.p[2:i - 1], lambda q: ascii(q) - 48)), 0) AS BIGINT), \
         ascii(part) - 48), substr(part, 2)) END), ''))[1] END"
    )
}
