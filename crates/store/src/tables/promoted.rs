//! Attributes that have a typed column of their own.
//!
//! The `attributes` of a row are its map together with its promoted columns. A value leaves the map for its
//! column only when the column's type holds it exactly, which is to say when reading it back gives the same
//! text; `007`, `+1` or `1.50` stay in the map, and the column is null there. Of an attribute key that a row
//! has twice only the first can move. So both parts together are always the whole, whatever came in.
//!
//! The set of a table only grows: a column is never dropped and never changes its key or type.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};

use super::define::with_id;

/// The DuckLake id of the first promoted column. Fixed columns have the ids below it.
const FIRST_COLUMN_ID: i64 = 1_000;

/// Longer keys (bytes) get no column.
const KEY_BYTES_MAX: usize = 200;

/// Decimal digits that a double keeps whatever they are.
const EXACT_DIGITS: usize = 15;

const NAME_PREFIX: &str = "attr_";

/// The type of a promoted column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PromotedKind {
    Integer,
    Double,
    Boolean,
    Text,
}

/// A value as a promoted column holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PromotedValue<'a> {
    Integer(i64),
    Double(f64),
    Boolean(bool),
    Text(&'a str),
}

impl PromotedKind {
    pub const ALL: [Self; 4] = [Self::Integer, Self::Double, Self::Boolean, Self::Text];

    /// The name that configuration and catalog use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn data_type(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Text => DataType::Utf8,
        }
    }

    /// The value of this kind whose text is exactly `text`, if there is one.
    pub fn exact(self, text: &str) -> Option<PromotedValue<'_>> {
        match self {
            Self::Integer => integer(text).map(PromotedValue::Integer),
            Self::Double => double(text).map(PromotedValue::Double),
            Self::Boolean => match text {
                "true" => Some(PromotedValue::Boolean(true)),
                "false" => Some(PromotedValue::Boolean(false)),
                _ => None,
            },
            Self::Text => Some(PromotedValue::Text(text)),
        }
    }
}

impl<'a> PromotedValue<'a> {
    /// The text that the attribute map would hold.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Integer(value) => Cow::Owned(value.to_string()),
            Self::Double(value) => Cow::Owned(value.to_string()),
            Self::Boolean(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// Decimal, no plus, no leading zeros, no minus before zero.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [b'0'] if digits.len() == text.len() => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => text.parse().ok(),
        _ => None,
    }
}

/// A number, an infinity or NaN in the form that the ingest writes.
fn double(text: &str) -> Option<f64> {
    let first = text.as_bytes().first()?;
    if !matches!(first, b'0'..=b'9' | b'-' | b'i' | b'N') {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // Writing a double costs ten times what looking at its digits does.
    (is_short_decimal(text) || value.to_string() == text).then_some(value)
}

/// Whether `text` is a decimal number in its shortest form with so few digits that every double reads them back.
fn is_short_decimal(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "1"));
    let has_fraction = number.len() != whole.len();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    number.len() <= EXACT_DIGITS
        && digits(whole)
        && digits(fraction)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && !fraction.ends_with('0')
        && (has_fraction || text != "-0")
}

/// One promoted column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotedColumn {
    /// Of the column in SQL and in files: `attr_` and the key in lower case, other characters than letters,
    /// digits and underscores as underscores, with `_2`, `_3` where names would be equal.
    pub name: String,
    /// Of the attribute.
    pub key: String,
    pub kind: PromotedKind,
    /// Of the column in the catalog, and its field id in files.
    pub column_id: i64,
}

impl PromotedColumn {
    /// The field of the column in a schema.
    pub(crate) fn field(&self) -> Field {
        with_id(
            Field::new(&self.name, self.kind.data_type(), true),
            self.column_id,
        )
    }
}

/// The promoted columns of one table, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promoted {
    columns: Vec<PromotedColumn>,
    by_key: HashMap<String, usize>,
}

impl Promoted {
    pub fn new(mut columns: Vec<PromotedColumn>) -> Self {
        columns.sort_by_key(|column| column.column_id);
        let by_key = columns
            .iter()
            .enumerate()
            .map(|(index, column)| (column.key.clone(), index))
            .collect();
        Self { columns, by_key }
    }

    pub fn columns(&self) -> &[PromotedColumn] {
        &self.columns
    }

    /// The column of an attribute key.
    pub fn find(&self, key: &str) -> Option<&PromotedColumn> {
        self.columns.get(self.position(key)?)
    }

    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// This set with columns for further keys, which get names and ids. Keys that have a column or cannot
    /// have one are left out.
    pub fn with(&self, keys: impl IntoIterator<Item = (String, PromotedKind)>) -> Self {
        let mut set = self.clone();
        for (key, kind) in keys {
            if set.by_key.contains_key(&key) || !may_be_promoted(&key) {
                continue;
            }
            let column_id = set
                .columns
                .last()
                .map_or(FIRST_COLUMN_ID, |column| column.column_id + 1);
            let column = PromotedColumn {
                name: set.free_name(&key),
                key: key.clone(),
                kind,
                column_id,
            };
            set.by_key.insert(key, set.columns.len());
            set.columns.push(column);
        }
        set
    }

    fn free_name(&self, key: &str) -> String {
        let name: String = key
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                c @ ('a'..='z' | '0'..='9' | '_') => c,
                _ => '_',
            })
            .collect();
        let name = format!("{NAME_PREFIX}{name}");
        let taken = |name: &str| self.columns.iter().any(|column| column.name == name);
        if !taken(&name) {
            return name;
        }
        (2_u64..)
            .map(|n| format!("{name}_{n}"))
            .find(|name| !taken(name))
            .unwrap_or(name)
    }
}

/// Whether an attribute key can have a column: neither empty nor overlong, and without control characters.
pub fn may_be_promoted(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len()) && !key.chars().any(char::is_control)
}
