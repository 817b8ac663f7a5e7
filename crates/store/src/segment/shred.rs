//! Moves attributes from the map into the promoted columns of a layout, and packs the values of samples.
//!
//! In: rows of the fixed columns, or of a layout from before further columns were added, or as files have them. Out: the same rows in
//! the layout given. Columns that the rows have already are taken over as they are.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, MapArray, RecordBatch,
    StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::SegmentError;
use super::decimal;
use super::gather::Place;
use super::packed::unpack;
use super::sort::check_fixed_columns;
use crate::tables::{Layout, PromotedColumn, PromotedKind, PromotedValue, Table, column};

/// The rows of `batch` in `layout`.
///
/// # Errors
/// [`SegmentError::Schema`] when the batch is not of the layout's table.
pub fn shred(batch: &RecordBatch, layout: &Layout) -> Result<RecordBatch, SegmentError> {
    let table = layout.table();
    check_fixed_columns(table, batch)?;
    if table == Table::Samples {
        return decimal::pack(batch);
    }
    let arrow = |source| SegmentError::Arrow {
        table: table.name(),
        source,
    };
    let batch = &unpack(batch).map_err(arrow)?;
    let fixed = table.schema().fields().len();
    let promoted = layout.promoted().columns();
    let new: Vec<&PromotedColumn> = promoted
        .iter()
        .filter(|column| batch.column_by_name(&column.name).is_none())
        .collect();
    if batch.num_columns() != fixed + promoted.len() - new.len() {
        return Err(SegmentError::Schema {
            table: table.name(),
        });
    }
    let mut columns: Vec<ArrayRef> = batch.columns().iter().take(fixed).cloned().collect();
    let mut moved = Vec::new();
    if !new.is_empty() {
        let schema = table.schema();
        let attributes = schema.index_of(column::ATTRIBUTES).map_err(arrow)?;
        let map = columns.get_mut(attributes).ok_or(SegmentError::Schema {
            table: table.name(),
        })?;
        let rest;
        let own = map.as_map();
        let places: Vec<Place> = (0..own.len()).map(|row| (0, row)).collect();
        (rest, moved) = split(&[own], &places, own.nulls().cloned(), &new).map_err(arrow)?;
        *map = Arc::new(rest);
    }
    let mut moved = moved.into_iter();
    for column in promoted {
        let known = batch.column_by_name(&column.name).cloned();
        columns.extend(known.or_else(|| moved.next()));
    }
    RecordBatch::try_new(layout.schema(), columns).map_err(arrow)
}

/// Of the rows at `places` in `maps`: the entries that stay in the map, and an array for each of `columns`.
pub(super) fn split(
    maps: &[&MapArray],
    places: &[Place],
    nulls: Option<NullBuffer>,
    columns: &[&PromotedColumn],
) -> Result<(MapArray, Vec<ArrayRef>), ArrowError> {
    let no_text = || ArrowError::SchemaError("attributes are no text".to_owned());
    let texts: Option<Vec<Texts<'_>>> = maps.iter().map(|map| Texts::of(map)).collect();
    let texts = texts.ok_or_else(no_text)?;
    let mut lookup = Lookup::new(columns);
    let mut builders: Vec<Builder> = columns
        .iter()
        .map(|column| Builder::new(column.kind, places.len()))
        .collect();
    let mut row: Vec<Slot<'_>> = vec![Slot::Empty; columns.len()];
    let mut kept: Vec<Place> = Vec::new();
    let mut lengths = Vec::with_capacity(places.len());
    for (batch, number) in places {
        let texts = texts.get(*batch).ok_or_else(no_text)?;
        let kept_before = kept.len();
        row.fill(Slot::Empty);
        for (place, entry) in texts.entries(*number).enumerate() {
            let moved = take_entry(
                &mut lookup,
                &mut row,
                columns,
                (texts.keys, texts.values),
                (place, entry),
            );
            if !moved {
                kept.push((*batch, entry));
            }
        }
        lengths.push(kept.len() - kept_before);
        for (builder, slot) in builders.iter_mut().zip(&row) {
            builder.append(*slot);
        }
    }
    let first = maps.first().ok_or_else(no_text)?;
    let (keys, values): (Vec<&dyn Array>, Vec<&dyn Array>) = texts
        .iter()
        .map(|texts| (texts.keys as &dyn Array, texts.values as &dyn Array))
        .unzip();
    let rest = [interleave(&keys, &kept)?, interleave(&values, &kept)?];
    let rest = map_like(first, rest, lengths, nulls)?;
    Ok((rest, builders.into_iter().map(Builder::finish).collect()))
}

/// A map column of texts.
struct Texts<'a> {
    offsets: &'a OffsetBuffer<i32>,
    keys: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> Texts<'a> {
    fn of(map: &'a MapArray) -> Option<Self> {
        Some(Self {
            offsets: map.offsets(),
            keys: map.keys().as_string_opt()?,
            values: map.values().as_string_opt()?,
        })
    }

    fn entries(&self, row: usize) -> Range<usize> {
        let offset = |row: usize| {
            let offset = self.offsets.get(row).copied().unwrap_or_default();
            usize::try_from(offset).unwrap_or_default()
        };
        offset(row)..offset(row + 1)
    }
}

/// Puts one entry into its slot. `false` when it stays in the map.
fn take_entry<'a>(
    lookup: &mut Lookup<'a>,
    row: &mut [Slot<'a>],
    columns: &[&PromotedColumn],
    (keys, values): (&'a StringArray, &'a StringArray),
    (place, entry): (usize, usize),
) -> bool {
    let Some(index) = lookup.find(place, keys.value(entry)) else {
        return false;
    };
    let (Some(slot), Some(column)) = (row.get_mut(index), columns.get(index)) else {
        return false;
    };
    if !matches!(slot, Slot::Empty) || values.is_null(entry) {
        *slot = slot.closed();
        return false;
    }
    *slot = match column.kind.exact(values.value(entry)) {
        Some(value) => Slot::Value(value),
        None => Slot::Closed,
    };
    matches!(slot, Slot::Value(_))
}

/// What a row has for a column so far.
#[derive(Clone, Copy)]
enum Slot<'a> {
    Empty,
    Value(PromotedValue<'a>),
    /// The first value of the key stays in the map, so further ones do too: their order is kept.
    Closed,
}

impl Slot<'_> {
    fn closed(self) -> Self {
        match self {
            Self::Empty => Self::Closed,
            other => other,
        }
    }
}

/// The column of a key. Rows that follow each other mostly have the same keys at the same places, so the last
/// key of a place is compared before anything is hashed.
struct Lookup<'a> {
    by_key: HashMap<String, usize>,
    at_place: Vec<(&'a str, Option<usize>)>,
}

impl<'a> Lookup<'a> {
    fn new(columns: &[&PromotedColumn]) -> Self {
        let numbered = columns.iter().enumerate();
        Self {
            by_key: numbered
                .map(|(index, column)| (column.key.clone(), index))
                .collect(),
            at_place: Vec::new(),
        }
    }

    fn find(&mut self, place: usize, key: &'a str) -> Option<usize> {
        match self.at_place.get_mut(place) {
            Some((last, found)) if *last == key => *found,
            Some(known) => {
                *known = (key, self.by_key.get(key).copied());
                known.1
            }
            None => {
                let found = self.by_key.get(key).copied();
                self.at_place.push((key, found));
                found
            }
        }
    }
}

/// A map of the same type with other entries.
pub(super) fn map_like(
    map: &MapArray,
    [keys, values]: [ArrayRef; 2],
    lengths: Vec<usize>,
    nulls: Option<NullBuffer>,
) -> Result<MapArray, ArrowError> {
    let DataType::Map(field, sorted) = map.data_type() else {
        return Err(ArrowError::SchemaError("attributes are no map".to_owned()));
    };
    let fields = map.entries().fields().clone();
    let entries = StructArray::try_new(fields, vec![keys, values], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted)
}

enum Builder {
    Integer(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
}

impl Builder {
    fn new(kind: PromotedKind, rows: usize) -> Self {
        match kind {
            PromotedKind::Integer => Self::Integer(Int64Builder::with_capacity(rows)),
            PromotedKind::Double => Self::Double(Float64Builder::with_capacity(rows)),
            PromotedKind::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            PromotedKind::Text => Self::Text(StringBuilder::with_capacity(rows, 0)),
        }
    }

    fn append(&mut self, slot: Slot<'_>) {
        let value = match slot {
            Slot::Value(value) => Some(value),
            Slot::Empty | Slot::Closed => None,
        };
        // The value is of the column's kind, see `PromotedKind::exact`.
        match (self, value) {
            (Self::Integer(builder), Some(PromotedValue::Integer(value))) => {
                builder.append_value(value);
            }
            (Self::Double(builder), Some(PromotedValue::Double(value))) => {
                builder.append_value(value);
            }
            (Self::Boolean(builder), Some(PromotedValue::Boolean(value))) => {
                builder.append_value(value);
            }
            (Self::Text(builder), Some(PromotedValue::Text(value))) => builder.append_value(value),
            (Self::Integer(builder), _) => builder.append_null(),
            (Self::Double(builder), _) => builder.append_null(),
            (Self::Boolean(builder), _) => builder.append_null(),
            (Self::Text(builder), _) => builder.append_null(),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Integer(mut builder) => Arc::new(builder.finish()),
            Self::Double(mut builder) => Arc::new(builder.finish()),
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}
