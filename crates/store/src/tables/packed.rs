//! Texts of log records whose numbers and ids are stored apart, and numbers that are stored as integers.
//!
//! In files, and so in the catalog's table `logs_packed`, a column `c` of texts or doubles may have a companion `packed_c`,
//! which is null where the value stands in `c` as it came. The view `logs` puts both together for other readers,
//! [`unpack`](crate::segment::unpack) for us.
//!
//! Of a text the companion has the digits that were taken out, two a byte, and what is left of it repeats:
//!
//! ```text
//! text:      order 9f03a1 shipped after 17 days
//! c:         order <1>6 shipped after <1>2 days     <1>: U+0001
//! packed_c:  9f 03 a1 17
//! ```
//!
//! After each U+0001 comes the character `0` + n, and then the text goes on: n digits (1 to 64) of the companion belong
//! here. A text that has a U+0001 of its own is never packed.
//!
//! Of a double that is a decimal of few digits the companion is `k << 52 | m` with the value `m / 10^k`, one division of
//! doubles, and `c` is null.

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

/// Bits of the companion of a double below its power of ten.
pub(crate) const MANTISSA_BITS: u32 = 52;

/// The name of the companion of a column.
pub(crate) fn companion(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Whether promoted columns of a kind have companions.
pub(crate) fn is_packed(table: Table, kind: PromotedKind) -> bool {
    table == Table::Logs && matches!(kind, PromotedKind::Text | PromotedKind::Double)
}

/// The columns of a layout that have companions.
pub(crate) fn packed_columns(layout: &Layout) -> impl Iterator<Item = &str> {
    let table = layout.table();
    let promoted = layout.promoted().columns().iter();
    let promoted = promoted.filter(move |column| is_packed(table, column.kind));
    let body = (table == Table::Logs).then_some(column::BODY);
    body.into_iter()
        .chain(promoted.map(|column| column.name.as_str()))
}

/// The companion of a packed column.
pub(crate) fn companion_field(field: &Field) -> Option<Field> {
    let id = column_id(field)?.checked_add(ID_DISTANCE)?;
    let data_type = match field.data_type() {
        DataType::Float64 => DataType::Int64,
        _ => DataType::Binary,
    };
    let companion = Field::new(companion(field.name()), data_type, true);
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
    let schema = layout.schema();
    let (mut hidden, mut shown) = (String::new(), String::new());
    for name in packed_columns(layout) {
        let field = schema.field_with_name(name);
        let whole = match field.map(Field::data_type) {
            Ok(DataType::Float64) => whole_double(name),
            _ => whole_text(name),
        };
        let comma = if hidden.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(hidden, "{comma}{}", companion(name));
        let _ = write!(shown, "{comma}{whole} AS {name}");
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

fn whole_double(name: &str) -> String {
    let companion = companion(name);
    let mantissa = (1_i64 << MANTISSA_BITS) - 1;
    format!(
        "CASE WHEN {companion} IS NULL THEN {name} ELSE CAST({companion} & {mantissa} AS DOUBLE) / \
         [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12]\
         [1 + ({companion} >> {MANTISSA_BITS})] END"
    )
}
