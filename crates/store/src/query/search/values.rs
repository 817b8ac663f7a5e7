//! The values of one attribute: from its promoted column, where a segment has one, and from the maps.
//!
//! A promoted column holds the value of a row unless it is null there; then the map may hold one. The map,
//! which costs most to decode, is read only when a row is left whose value may be in it.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Float64Type, Int64Type};

use super::maps::{Key, TextMap, metadata_name};
use super::predicate::{LeafTest, Numbers};
use super::rows::Rows;
use crate::StoreError;
use crate::columns::attributes::value;
use crate::tables::{Layout, PromotedColumn, PromotedKind, PromotedValue, column};

/// An attribute that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) key: Key,
    /// Of the record or span itself, behind its resource's.
    own: bool,
    resource: bool,
    /// The columns that may hold it, by key.
    pub(crate) promoted: Vec<PromotedColumn>,
}

impl Attribute {
    pub(crate) fn of_record(layout: &Layout, key: &str) -> Self {
        Self {
            own: true,
            resource: false,
            promoted: layout.promoted().find(key).cloned().into_iter().collect(),
            key: Key::Exact(key.to_owned()),
        }
    }

    pub(crate) fn of_resource(key: &str) -> Self {
        Self {
            own: false,
            resource: true,
            promoted: Vec::new(),
            key: Key::Exact(key.to_owned()),
        }
    }

    pub(crate) fn metadata(layout: &Layout, name: &str) -> Self {
        Self {
            resource: true,
            ..Self::own_metadata(layout, name)
        }
    }

    pub(crate) fn resource_metadata(name: &str) -> Self {
        Self {
            key: Key::Metadata(name.to_owned()),
            ..Self::of_resource(name)
        }
    }

    pub(crate) fn own_metadata(layout: &Layout, name: &str) -> Self {
        let columns = layout.promoted().columns().iter();
        let mut promoted: Vec<PromotedColumn> = columns
            .filter(|column| metadata_name(&column.key) == name)
            .cloned()
            .collect();
        promoted.sort_by(|a, b| a.key.cmp(&b.key));
        Self {
            own: true,
            resource: false,
            promoted,
            key: Key::Metadata(name.to_owned()),
        }
    }

    /// Whether one exact key of the record is asked for.
    fn is_exact(&self) -> bool {
        !self.resource && matches!(self.key, Key::Exact(_))
    }

    fn read<'a>(&'a self, rows: &mut Rows<'_>) -> Result<Values<'a>, StoreError> {
        let mut promoted = Vec::new();
        for column in &self.promoted {
            if let Some(array) = rows.column(&column.name)? {
                if *array.data_type() != column.kind.data_type() {
                    return Err(StoreError::Columns {
                        table: rows.table().name(),
                    });
                }
                promoted.push((column, array));
            }
        }
        let complete = self.is_exact()
            && promoted
                .iter()
                .any(|(_column, array)| array.null_count() == 0);
        let mut map = |wanted: bool, name: &str| match wanted && rows.map_may_hold(name, &self.key)
        {
            true => rows.required(name).map(Some),
            false => Ok(None),
        };
        Ok(Values {
            own: map(self.own && !complete, column::ATTRIBUTES)?,
            resource: map(self.resource, column::RESOURCE_ATTRIBUTES)?,
            promoted,
            key: &self.key,
        })
    }

    /// A bit for each row left.
    pub(crate) fn mask(
        &self,
        rows: &mut Rows<'_>,
        test: &LeafTest,
    ) -> Result<BooleanBuffer, StoreError> {
        let values = self.read(rows)?;
        if let Some((column, array)) = values.only_column() {
            return Ok(test.of_promoted(array, column.kind));
        }
        Ok(BooleanBuffer::collect_bool(rows.len(), |row| {
            test.of_value(values.get(row).as_deref())
        }))
    }

    /// Hands out the text of each row.
    pub(crate) fn texts<'a>(&'a self, rows: &mut Rows<'_>) -> Result<Values<'a>, StoreError> {
        self.read(rows)
    }

    /// Hands the numbers among the values to `add`, with their row.
    pub(crate) fn numbers(
        &self,
        rows: &mut Rows<'_>,
        mut add: impl FnMut(usize, f64),
    ) -> Result<(), StoreError> {
        let values = self.read(rows)?;
        if let Some((column, array)) = values.only_column() {
            if let Some(numbers) = Numbers::new(array.as_ref()) {
                numbers.each(add);
                return Ok(());
            }
            for row in 0..rows.len() {
                let number = value(array, column.kind, row).and_then(as_number);
                if let Some(number) = number {
                    add(row, number);
                }
            }
            return Ok(());
        }
        for row in 0..rows.len() {
            if let Some(number) = values.get(row).and_then(|text| text.parse().ok()) {
                add(row, number);
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers are compared as 64-bit floats"
)]
pub(crate) fn as_number(value: PromotedValue<'_>) -> Option<f64> {
    match value {
        PromotedValue::Integer(value) => Some(value as f64),
        PromotedValue::Double(value) => Some(value),
        PromotedValue::Boolean(_) => None,
        PromotedValue::Text(text) => text.parse().ok(),
    }
}

/// What was read of one attribute.
pub(crate) struct Values<'k> {
    key: &'k Key,
    promoted: Vec<(&'k PromotedColumn, ArrayRef)>,
    own: Option<ArrayRef>,
    resource: Option<ArrayRef>,
}

impl Values<'_> {
    /// The column that holds all values there are.
    fn only_column(&self) -> Option<(&PromotedColumn, &ArrayRef)> {
        match self.promoted.as_slice() {
            [(column, array)] if self.own.is_none() && self.resource.is_none() => {
                Some((column, array))
            }
            _ => None,
        }
    }

    pub(crate) fn get(&self, row: usize) -> Option<Cow<'_, str>> {
        // What the resource says is never hidden by the record.
        if let Some((_key, text)) = in_map(self.resource.as_ref(), row, self.key) {
            return Some(Cow::Borrowed(text));
        }
        // Of several keys the first counts, and of equal ones the one in a column.
        let typed = self
            .promoted
            .iter()
            .find_map(|(column, array)| Some((column, value(array, column.kind, row)?)));
        if let (Some((_column, value)), None) = (typed, &self.own) {
            return Some(value.to_text());
        }
        match (typed, in_map(self.own.as_ref(), row, self.key)) {
            (Some((column, value)), own) => match own {
                Some((key, text)) if key < column.key.as_str() => Some(Cow::Borrowed(text)),
                _ => Some(value.to_text()),
            },
            (None, own) => own.map(|(_key, text)| Cow::Borrowed(text)),
        }
    }
}

fn in_map<'a>(map: Option<&'a ArrayRef>, row: usize, key: &Key) -> Option<(&'a str, &'a str)> {
    TextMap::new(map?.as_ref())?.get(row, key)
}

impl LeafTest {
    /// A bit for each value of a promoted column; a null is an absent value.
    fn of_promoted(&self, array: &ArrayRef, kind: PromotedKind) -> BooleanBuffer {
        let absent = self.of_value(None);
        if let Some(text) = self.equal_text() {
            return match kind.exact(text) {
                Some(PromotedValue::Integer(expected)) => {
                    let Some(array) = array.as_primitive_opt::<Int64Type>() else {
                        return BooleanBuffer::new_unset(array.len());
                    };
                    rows_where(array, absent, |row| array.value(row) == expected)
                }
                Some(PromotedValue::Double(expected)) => {
                    let Some(array) = array.as_primitive_opt::<Float64Type>() else {
                        return BooleanBuffer::new_unset(array.len());
                    };
                    let same = |value: f64| {
                        value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan()
                    };
                    rows_where(array, absent, |row| same(array.value(row)))
                }
                None => rows_where(array.as_ref(), absent, |_row| false),
                Some(_) => self.of_each(array, kind),
            };
        }
        self.of_each(array, kind)
    }

    fn of_each(&self, array: &ArrayRef, kind: PromotedKind) -> BooleanBuffer {
        if let (PromotedKind::Text, Some(mask)) = (kind, self.of_texts(array)) {
            return mask;
        }
        if let (Self::Compare(comparison, number), Some(numbers)) =
            (self, Numbers::new(array.as_ref()))
        {
            let compares = |value| comparison.holds(value, *number);
            return BooleanBuffer::collect_bool(array.len(), |row| {
                numbers.get(row).is_some_and(compares)
            });
        }
        BooleanBuffer::collect_bool(array.len(), |row| {
            let value = value(array, kind, row);
            match self {
                Self::Compare(comparison, number) => value
                    .and_then(as_number)
                    .is_some_and(|value| comparison.holds(value, *number)),
                _ => self.of_value(value.map(PromotedValue::to_text).as_deref()),
            }
        })
    }
}

fn rows_where(array: &dyn Array, absent: bool, holds: impl Fn(usize) -> bool) -> BooleanBuffer {
    match array.null_count() {
        0 => BooleanBuffer::collect_bool(array.len(), holds),
        _ => BooleanBuffer::collect_bool(array.len(), |row| match array.is_null(row) {
            true => absent,
            false => holds(row),
        }),
    }
}
