//! Conditions in the form in which rows are asked.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampNanosecondType, UInt64Type,
};

use super::rows::Rows;
use super::templates;
use super::text::{TextColumn, TextTest};
use super::values::Attribute;
use crate::StoreError;
use crate::query::filter::{Comparison, Field, Filter, Test};
use crate::tables::{Layout, column};

/// Conditions deeper than this are refused: evaluating them recurses.
const DEPTH_MAX: usize = 64;

pub(crate) enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Leaf(Source, LeafTest),
}

/// Where a condition's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Column(String),
    /// `true` or `false`: whether the column has a value.
    Presence(String),
    Attribute(Attribute),
}

pub(crate) enum LeafTest {
    Text(Box<TextTest>),
    Compare(Comparison, f64),
    /// Sorted.
    OneOf(Vec<Vec<u8>>),
    Exists,
}

impl std::fmt::Debug for Predicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All(parts) => f.debug_tuple("All").field(parts).finish(),
            Self::Any(parts) => f.debug_tuple("Any").field(parts).finish(),
            Self::Not(part) => f.debug_tuple("Not").field(part).finish(),
            Self::Leaf(source, _test) => f.debug_tuple("Leaf").field(source).finish(),
        }
    }
}

impl Source {
    /// # Errors
    /// [`StoreError::Invalid`] when the table has no such column, or the column is a map.
    pub(crate) fn new(layout: &Layout, field: &Field) -> Result<Self, StoreError> {
        Ok(match field {
            Field::Column(name) | Field::Presence(name) => {
                let table = layout.table();
                let schema = table.schema();
                let known = schema.field_with_name(name).ok();
                if known.is_none_or(|field| matches!(field.data_type(), DataType::Map(..))) {
                    return Err(StoreError::Invalid {
                        reason: format!("{} has no column {name:?} to ask", table.name()),
                    });
                }
                match field {
                    Field::Presence(_) => Self::Presence(name.clone()),
                    _ => Self::Column(name.clone()),
                }
            }
            Field::Attribute(key) => Self::Attribute(Attribute::of_record(layout, key)),
            Field::ResourceAttribute(key) => Self::Attribute(Attribute::of_resource(key)),
            Field::Metadata(name) => Self::Attribute(Attribute::metadata(layout, name)),
            Field::OwnMetadata(name) => Self::Attribute(Attribute::own_metadata(layout, name)),
            Field::ResourceMetadata(name) => Self::Attribute(Attribute::resource_metadata(name)),
        })
    }

    fn cost(&self) -> u32 {
        match self {
            Self::Column(name) | Self::Presence(name) => match name.as_str() {
                column::BODY | column::EVENTS | column::LINKS => 16,
                column::TRACE_ID | column::SPAN_ID | column::PARENT_SPAN_ID => 4,
                _ => 1,
            },
            Self::Attribute(_) => 64,
        }
    }
}

impl Predicate {
    /// # Errors
    /// [`StoreError::Invalid`] when a column does not exist or a regular expression does not compile.
    pub(crate) fn new(layout: &Layout, filter: &Filter) -> Result<Self, StoreError> {
        Self::at_depth(layout, filter, 0)
    }

    fn at_depth(layout: &Layout, filter: &Filter, depth: usize) -> Result<Self, StoreError> {
        if depth > DEPTH_MAX {
            return Err(StoreError::Invalid {
                reason: format!("conditions are nested more than {DEPTH_MAX} deep"),
            });
        }
        let parts = |filters: &[Filter]| {
            let mut parts = filters
                .iter()
                .map(|filter| Self::at_depth(layout, filter, depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            parts.sort_by_key(Self::cost);
            Ok::<_, StoreError>(parts)
        };
        Ok(match filter {
            Filter::All(filters) => Self::All(parts(filters)?),
            Filter::Any(filters) => Self::Any(parts(filters)?),
            Filter::Not(filter) => Self::Not(Box::new(Self::at_depth(layout, filter, depth + 1)?)),
            Filter::Is(field, test) => {
                let source = Source::new(layout, field)?;
                let test = match (TextTest::new(test)?, test) {
                    (Some(text), _) => LeafTest::Text(Box::new(text)),
                    (None, Test::Compare(comparison, number)) => {
                        LeafTest::Compare(*comparison, *number)
                    }
                    (None, Test::OneOf(values)) => {
                        let mut values = values.clone();
                        values.sort_unstable();
                        LeafTest::OneOf(values)
                    }
                    (None, _) => LeafTest::Exists,
                };
                Self::Leaf(source, test)
            }
        })
    }

    /// What it takes to ask a row, in units of a small column.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::cost).sum(),
            Self::Not(part) => part.cost(),
            Self::Leaf(source, _test) => source.cost(),
        }
    }

    /// Whether values of some text columns fulfil the condition; `None` when it looks at anything else.
    pub(crate) fn of_values(&self, values: &[(&str, &str)]) -> Option<bool> {
        match self {
            Self::All(parts) => {
                let mut all = true;
                for part in parts {
                    all &= part.of_values(values)?;
                }
                Some(all)
            }
            Self::Any(parts) => {
                let mut any = false;
                for part in parts {
                    any |= part.of_values(values)?;
                }
                Some(any)
            }
            Self::Not(part) => part.of_values(values).map(|holds| !holds),
            Self::Leaf(Source::Column(name), test) => {
                let (_name, value) = values.iter().find(|(known, _value)| known == name)?;
                Some(test.of_value(Some(value)))
            }
            Self::Leaf(..) => None,
        }
    }

    /// Leaves out rows of pages that can be told to hold no match before any row is looked at. What is left has to be
    /// narrowed all the same.
    pub(crate) fn skip_pages(&self, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        match self {
            _ if rows.is_empty() => Ok(()),
            Self::All(parts) => parts.iter().try_for_each(|part| part.skip_pages(rows)),
            Self::Leaf(Source::Column(name), LeafTest::OneOf(ids)) if name == column::TRACE_ID => {
                rows.skip_pages_without(name, ids)
            }
            Self::Leaf(Source::Column(name), LeafTest::Text(test)) => {
                templates::skip_pages(test, rows, name)
            }
            _ => Ok(()),
        }
    }

    /// Keeps the rows that fulfil the condition.
    pub(crate) fn narrow(&self, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        if let Self::All(parts) = self {
            return parts.iter().try_for_each(|part| part.narrow(rows));
        }
        let mask = self.mask(rows)?;
        rows.keep(&mask)
    }

    /// A bit for each of the rows left.
    pub(crate) fn mask(&self, rows: &mut Rows<'_>) -> Result<BooleanBuffer, StoreError> {
        match self {
            Self::All(parts) => {
                let mut mask = BooleanBuffer::new_set(rows.len());
                for part in parts {
                    if !mask.has_true() {
                        break;
                    }
                    mask = &mask & &part.mask(rows)?;
                }
                Ok(mask)
            }
            Self::Any(parts) => {
                let mut mask = BooleanBuffer::new_unset(rows.len());
                for part in parts {
                    mask = &mask | &part.mask(rows)?;
                }
                Ok(mask)
            }
            Self::Not(part) => Ok(!&part.mask(rows)?),
            Self::Leaf(Source::Column(name), test) => {
                if let LeafTest::Text(test) = test
                    && let Some(mask) = templates::mask(test, rows, name)?
                {
                    return Ok(mask);
                }
                let column = rows.required(name)?;
                test.of_column(&column).ok_or(StoreError::Columns {
                    table: rows.table().name(),
                })
            }
            Self::Leaf(Source::Presence(name), test) => {
                let column = rows.required(name)?;
                let [with, without] =
                    [true, false].map(|there| test.of_value(Some(presence(there))));
                Ok(BooleanBuffer::collect_bool(rows.len(), |row| {
                    if column.is_valid(row) { with } else { without }
                }))
            }
            Self::Leaf(Source::Attribute(attribute), test) => attribute.mask(rows, test),
        }
    }
}

impl LeafTest {
    pub(crate) fn of_value(&self, value: Option<&str>) -> bool {
        match self {
            Self::Text(test) => test.holds(value.unwrap_or_default()),
            Self::Compare(comparison, number) => value
                .and_then(|value| value.parse().ok())
                .is_some_and(|value| comparison.holds(value, *number)),
            Self::OneOf(values) => value.is_some_and(|value| is_one_of(values, value.as_bytes())),
            Self::Exists => value.is_some(),
        }
    }

    /// `None` when the column is of a type that cannot be asked so.
    fn of_column(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        let rows = column.len();
        if let Self::Exists = self {
            return Some(BooleanBuffer::collect_bool(rows, |row| {
                column.is_valid(row)
            }));
        }
        if let Some(mask) = self.of_texts(column) {
            return Some(mask);
        }
        if let Some(bytes) = column.as_binary_opt::<i32>() {
            return Some(BooleanBuffer::collect_bool(rows, |row| {
                let value = bytes.is_valid(row).then(|| bytes.value(row));
                self.of_bytes(value)
            }));
        }
        let numbers = Numbers::new(column.as_ref())?;
        Some(BooleanBuffer::collect_bool(rows, |row| {
            self.of_number(numbers.get(row), || numbers.text(row))
        }))
    }

    /// `None` when the column is no text.
    pub(crate) fn of_texts(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        let texts = TextColumn::new(column.as_ref())?;
        Some(match self {
            Self::Text(test) => test.mask(texts),
            _ => BooleanBuffer::collect_bool(column.len(), |row| self.of_value(texts.get(row))),
        })
    }

    /// The text that a value must equal, if that is the condition.
    pub(crate) fn equal_text(&self) -> Option<&str> {
        match self {
            Self::Text(test) => match test.as_ref() {
                TextTest::Equals(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn of_bytes(&self, value: Option<&[u8]>) -> bool {
        match self {
            Self::OneOf(values) => value.is_some_and(|value| is_one_of(values, value)),
            Self::Text(test) => test.holds(&hex::encode(value.unwrap_or_default())),
            Self::Exists => value.is_some(),
            Self::Compare(..) => false,
        }
    }

    fn of_number(&self, value: Option<f64>, text: impl Fn() -> String) -> bool {
        match self {
            Self::Compare(comparison, number) => {
                value.is_some_and(|value| comparison.holds(value, *number))
            }
            Self::Text(test) => match value {
                Some(_) => test.holds(&text()),
                None => test.holds(""),
            },
            Self::Exists => value.is_some(),
            Self::OneOf(_) => false,
        }
    }
}

/// How the presence of a value is written.
pub(crate) fn presence(there: bool) -> &'static str {
    if there { "true" } else { "false" }
}

fn is_one_of(sorted: &[Vec<u8>], value: &[u8]) -> bool {
    match sorted {
        [only] => only == value,
        many => many
            .binary_search_by(|known| known.as_slice().cmp(value))
            .is_ok(),
    }
}

/// A column of numbers of any type.
pub(crate) enum Numbers<'a> {
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt64(&'a PrimitiveArray<UInt64Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Time(&'a PrimitiveArray<TimestampNanosecondType>),
}

impl<'a> Numbers<'a> {
    pub(crate) fn new(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Int32 => Self::Int32(array.as_primitive_opt()?),
            DataType::Int64 => Self::Int64(array.as_primitive_opt()?),
            DataType::UInt64 => Self::UInt64(array.as_primitive_opt()?),
            DataType::Float64 => Self::Float64(array.as_primitive_opt()?),
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                Self::Time(array.as_primitive_opt()?)
            }
            _ => return None,
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers are compared as 64-bit floats"
    )]
    pub(crate) fn get(&self, row: usize) -> Option<f64> {
        match self {
            Self::Int32(array) => value(array, row).map(f64::from),
            Self::Int64(array) => value(array, row).map(float),
            Self::UInt64(array) => value(array, row).map(|value| value as f64),
            Self::Float64(array) => value(array, row),
            Self::Time(array) => value(array, row).map(float),
        }
    }

    /// Hands out each number with its row.
    pub(crate) fn each(&self, mut add: impl FnMut(usize, f64)) {
        match self {
            // The usual ones, without a look at the type and the validity of each row.
            Self::Float64(array) if array.null_count() == 0 => {
                for (row, value) in array.values().iter().enumerate() {
                    add(row, *value);
                }
            }
            Self::Int64(array) if array.null_count() == 0 => {
                for (row, value) in array.values().iter().enumerate() {
                    add(row, float(*value));
                }
            }
            _ => {
                for row in 0..self.len() {
                    if let Some(value) = self.get(row) {
                        add(row, value);
                    }
                }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Int32(array) => array.len(),
            Self::Int64(array) => array.len(),
            Self::UInt64(array) => array.len(),
            Self::Float64(array) => array.len(),
            Self::Time(array) => array.len(),
        }
    }

    /// The number as attributes write it.
    pub(crate) fn text(&self, row: usize) -> String {
        let text = match self {
            Self::Int32(array) => value(array, row).map(|value| value.to_string()),
            Self::Int64(array) => value(array, row).map(|value| value.to_string()),
            Self::UInt64(array) => value(array, row).map(|value| value.to_string()),
            Self::Float64(array) => value(array, row).map(|value| value.to_string()),
            Self::Time(array) => value(array, row).map(|value| value.to_string()),
        };
        text.unwrap_or_default()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers are compared as 64-bit floats"
)]
fn float(value: i64) -> f64 {
    value as f64
}

fn value<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}
