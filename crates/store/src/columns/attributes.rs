//! The whole attributes of a row: what its map holds and what has columns of its own.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};

use super::Columns;
use crate::StoreError;
use crate::tables::{Layout, PromotedColumn, PromotedKind, PromotedValue, column};

/// Reads the attributes of the rows of one batch, which may be of the head or of a segment of any age.
///
/// The batch needs the column `attributes` and those of the layout's promoted columns that its segment has:
/// one that is missing counts as null in every row.
pub(crate) struct Attributes<'a> {
    keys: &'a StringArray,
    values: &'a StringArray,
    map: &'a MapArray,
    promoted: Vec<(&'a PromotedColumn, &'a ArrayRef)>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(columns: Columns<'a>, layout: &'a Layout) -> Result<Self, StoreError> {
        let map = columns.map(column::ATTRIBUTES)?;
        let text = |array: &'a ArrayRef| array.as_string_opt().ok_or(columns.error());
        let mut promoted = Vec::new();
        for column in layout.promoted().columns() {
            if let Some(array) = columns.batch.column_by_name(&column.name) {
                if *array.data_type() != column.kind.data_type() {
                    return Err(columns.error());
                }
                promoted.push((column, array));
            }
        }
        Ok(Self {
            keys: text(map.keys())?,
            values: text(map.values())?,
            map,
            promoted,
        })
    }

    /// All attributes of a row, by key; those with the same key in the order they came.
    pub(crate) fn entries(&self, row: usize) -> Vec<(&'a str, Cow<'a, str>)> {
        let typed = self.promoted.iter().filter_map(|(column, array)| {
            Some((
                column.key.as_str(),
                value(array, column.kind, row)?.to_text(),
            ))
        });
        let mut entries: Vec<_> = typed.chain(self.in_map(row)).collect();
        // Stable: where a key is there twice, its first value is the one that has moved.
        entries.sort_by_key(|(key, _value)| *key);
        entries
    }

    /// As [`Attributes::entries`], in texts of their own.
    pub(crate) fn owned(&self, row: usize) -> Vec<(String, String)> {
        self.entries(row)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into_owned()))
            .collect()
    }

    fn in_map(&self, row: usize) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let offsets = self.map.value_offsets();
        let offset = |row: usize| {
            let offset = offsets.get(row).copied().unwrap_or_default();
            usize::try_from(offset).unwrap_or_default()
        };
        let range = if self.map.is_valid(row) {
            offset(row)..offset(row + 1)
        } else {
            0..0
        };
        let (keys, values) = (self.keys, self.values);
        range.map(move |entry| {
            let value = if values.is_valid(entry) {
                values.value(entry)
            } else {
                ""
            };
            (keys.value(entry), Cow::Borrowed(value))
        })
    }
}

/// The value of a promoted column in a row.
pub(crate) fn value(array: &ArrayRef, kind: PromotedKind, row: usize) -> Option<PromotedValue<'_>> {
    if array.is_null(row) {
        return None;
    }
    Some(match kind {
        PromotedKind::Integer => {
            PromotedValue::Integer(array.as_primitive_opt::<Int64Type>()?.value(row))
        }
        PromotedKind::Double => {
            PromotedValue::Double(array.as_primitive_opt::<Float64Type>()?.value(row))
        }
        PromotedKind::Boolean => PromotedValue::Boolean(array.as_boolean_opt()?.value(row)),
        PromotedKind::Text => PromotedValue::Text(array.as_string_opt::<i32>()?.value(row)),
    })
}
