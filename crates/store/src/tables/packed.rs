//! Texts of log records whose numbers and ids are stored apart, and numbers that are stored as integers.
//!
//! In files, and so in the catalog's table `logs_packed`, a column `c` of texts or doubles may have two companions, `packed_c`
//! and `packed_number_c`, which are null where the value stands in `c` as it came. The view `logs` puts all together for other
//! readers, [`unpack`](crate::segment::unpack) for us.
//!
//! Of a text the companions have the digits and the number that were taken out, and what is left of it repeats:
//!
//! ```text
//! text:            order 9f03a1 of 8 items shipped after 17 days
//! c:               order <1>6 of <1>0 items shipped after <1>2 days     <1>: U+0001
//! packed_c:        9f 03 a1 17
//! packed_number_c: 2^52 + 8
//! ```
//!
//! After each U+0001 comes the character `0` + n, and then the text goes on: n digits (1 to 64) of the companion, two a byte,
//! belong here, or for n = 0 the number in decimal digits, without zeros before it, which stands once in a text. A text that has
//! a U+0001 of its own is never packed. Files from before catalog version 7 have no numbers.
//!
//! Of a double that is a decimal of few digits, `m / 10^k` by one division of doubles, `packed_number_c` is `(2^52 + m) * 2^k`,
//! and `c` is null. In files from before version 7 `packed_c` is `k << 52 | m` instead.
//!
//! Numbers are doubles because of their bytes: those of the mantissa are `m`, and only of doubles other readers accept a stream
//! for each byte.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, Field};

use super::define::with_id;
use super::{Layout, PromotedKind, Table, column, column_id};

/// What the name of a companion begins with. No other column of the table does.
pub(crate) const PREFIX: &str = "packed_";
/// What the name of a companion for numbers begins with. No column has such a name that its first companion were named so.
const NUMBER_PREFIX: &str = "packed_number_";
/// From the id of a column to that of its companion, and from there to that for numbers.
const ID_DISTANCE: i64 = 1_000_000;

/// Stands where digits were taken out.
pub(crate) const MARK: char = '\u{1}';
/// The character after the mark is this one and the number of digits.
pub(crate) const LENGTH_BASE: u8 = b'0';
/// Digits of one place, at most.
pub(crate) const DIGITS_MAX: usize = 64;
/// Stands in the place of the number of digits where the number belongs.
pub(crate) const NUMBER: usize = 0;
/// Decimal digits of the number, at most: all numbers of so many are below 2^52.
pub(crate) const NUMBER_DIGITS_MAX: usize = 15;

/// Bits of a double's mantissa, and of the first companion of a double below its power of ten.
pub(crate) const MANTISSA_BITS: u32 = 52;
/// The bits of 2^52. Those of a number are these and `k << 52 | m`.
const NUMBER_BITS: i64 = (1_023 + MANTISSA_BITS as i64) << MANTISSA_BITS;

/// The number for `k << 52 | m`.
pub(crate) fn to_number(packed: i64) -> f64 {
    f64::from_bits(NUMBER_BITS.wrapping_add(packed).cast_unsigned())
}

/// What [`to_number`] was given; of any other double anything.
pub(crate) fn from_number(number: f64) -> i64 {
    number.to_bits().cast_signed().wrapping_sub(NUMBER_BITS)
}

/// The name of the companion of a column.
pub(crate) fn companion(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The name of the companion of a column for numbers.
pub(crate) fn number_companion(name: &str) -> String {
    format!("{NUMBER_PREFIX}{name}")
}

/// Some columns and all companions that they can have.
pub(crate) fn with_companions<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let all = |name: &'n str| [name.to_owned(), companion(name), number_companion(name)];
    names.into_iter().flat_map(all).collect()
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

/// The companion of a packed column for numbers.
pub(crate) fn number_field(field: &Field) -> Option<Field> {
    let id = column_id(field)?.checked_add(2 * ID_DISTANCE)?;
    let companion = Field::new(number_companion(field.name()), DataType::Float64, true);
    Some(with_id(companion, id))
}

/// The columns that files have after those of the layout: first the companions of all packed columns, then those for
/// numbers.
pub(super) fn companions(layout: &Layout) -> Vec<Field> {
    let schema = layout.schema();
    let packed = || packed_columns(layout).filter_map(|name| schema.field_with_name(name).ok());
    let companions = packed().filter_map(companion_field);
    companions
        .chain(packed().filter_map(number_field))
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
        let _ = write!(
            hidden,
            "{comma}{}, {}",
            companion(name),
            number_companion(name)
        );
        let _ = write!(shown, "{comma}{whole} AS {name}");
    }
    format!("SELECT * EXCLUDE ({hidden}) REPLACE ({shown}) FROM logs_packed")
}

/// `p` are the parts between marks, each but the first with its number of digits before it; `d` all digits, `n` the number.
fn whole_text(name: &str) -> String {
    let (companion, number) = (companion(name), number_companion(name));
    format!(
        "CASE WHEN {companion} IS NULL THEN {name} ELSE list_transform(\
         [{{'p': string_split({name}, chr(1)), 'd': lower(hex({companion})), 'n': CAST(CAST({number} - {NUMBER_BASE} AS BIGINT) AS VARCHAR)}}], \
         lambda t: array_to_string(list_transform(t.p, lambda part, i: CASE WHEN i = 1 THEN part \
         WHEN ascii(part) = 48 THEN concat(t.n, substr(part, 2)) ELSE concat(\
         substr(t.d, CAST(1 + coalesce(list_sum(list_transform(t.p[2:i - 1], lambda q: ascii(q) - 48)), 0) AS BIGINT), \
         ascii(part) - 48), substr(part, 2)) END), ''))[1] END"
    )
}

fn whole_double(name: &str) -> String {
    let (companion, number) = (companion(name), number_companion(name));
    let mask = (1_i64 << MANTISSA_BITS) - 1;
    // A number is below 1.25 times a power of two, so no logarithm is as close to the next integer.
    let power = format!("(CAST(floor(log2({number}) + 0.1) AS BIGINT) - {MANTISSA_BITS})");
    format!(
        "CASE WHEN {number} IS NOT NULL THEN \
         ({number} / pow(2, {power}) - {NUMBER_BASE}) / {POWERS_OF_TEN}[1 + {power}] \
         WHEN {companion} IS NOT NULL THEN \
         CAST({companion} & {mask} AS DOUBLE) / {POWERS_OF_TEN}[1 + ({companion} >> {MANTISSA_BITS})] ELSE {name} END"
    )
}

/// 2^52.
const NUMBER_BASE: i64 = 1 << MANTISSA_BITS;
const POWERS_OF_TEN: &str = "[1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12]";
