//! Puts the rows of several batches into the order of their table and the form of a layout, each value copied once.
//!
//! In: batches of the table's own columns, as the head holds them. Out: sorted batches of some thousand rows, which is
//! what stays in the caches of a processor. Joining the batches, sorting them and moving attributes one step after
//! the other copies everything three times.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, MapArray, MutableArrayData, RecordBatch, StringArray,
    StringBuilder, make_array,
};
use arrow::compute::{concat, interleave};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::SegmentError;
use super::shred::{map_like, split};
use super::sort::{check_fixed_columns, sort_keys, sorted_indices};
use crate::tables::{Layout, PromotedColumn, column};

/// Rows of a batch that comes out.
const ROWS_MAX: usize = 16_384;
/// Rows that stand side by side already, on average, from which they are copied together.
const RUN_ROWS_MIN: usize = 8;

/// Where a row is: its batch, and its number there.
pub(super) type Place = (usize, usize);

/// The rows of some batches in their order.
pub(super) struct Gather<'b> {
    layout: &'b Layout,
    batches: &'b [RecordBatch],
    /// The columns of each batch.
    data: Vec<Vec<ArrayData>>,
    places: Vec<Place>,
}

/// Rows that follow each other in one batch.
struct Run {
    batch: usize,
    from: usize,
    to: usize,
}

impl<'b> Gather<'b> {
    /// # Errors
    /// [`SegmentError::Schema`] when a batch is not of the table's own columns.
    pub(super) fn new(
        layout: &'b Layout,
        batches: &'b [RecordBatch],
    ) -> Result<Self, SegmentError> {
        let table = layout.table();
        let fixed = table.schema().fields().len();
        for batch in batches {
            check_fixed_columns(table, batch)?;
            if batch.num_columns() != fixed {
                return Err(SegmentError::Schema {
                    table: table.name(),
                });
            }
        }
        let places = places(layout, batches).map_err(|source| SegmentError::Arrow {
            table: table.name(),
            source,
        })?;
        let columns = |batch: &RecordBatch| batch.columns().iter().map(|c| c.to_data()).collect();
        Ok(Self {
            layout,
            batches,
            data: batches.iter().map(columns).collect(),
            places,
        })
    }

    /// The rows, a batch at a time.
    pub(super) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, SegmentError>> + '_ {
        self.places.chunks(ROWS_MAX).map(|places| {
            self.batch(places).map_err(|source| SegmentError::Arrow {
                table: self.layout.table().name(),
                source,
            })
        })
    }

    fn batch(&self, places: &[Place]) -> Result<RecordBatch, ArrowError> {
        let schema = self.layout.table().schema();
        let promoted: Vec<&PromotedColumn> = self.layout.promoted().columns().iter().collect();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        let mut moved = Vec::new();
        let runs: Vec<Run> = runs(places).collect();
        let copied_in_runs = runs.len().saturating_mul(RUN_ROWS_MIN) <= places.len();
        for (index, field) in schema.fields().iter().enumerate() {
            let arrays = self.batches.iter().map(|batch| batch.column(index));
            if !matches!(field.data_type(), DataType::Map(..)) {
                let copied = copied_in_runs.then(|| self.copy(index, &runs, places.len()));
                columns.push(match copied.flatten() {
                    Some(column) => column,
                    None => {
                        let arrays: Vec<&dyn Array> = arrays.map(|array| array.as_ref()).collect();
                        interleave(&arrays, places)?
                    }
                });
                continue;
            }
            let maps: Vec<&MapArray> = arrays.filter_map(|array| array.as_map_opt()).collect();
            let map = if field.name() == column::ATTRIBUTES && !promoted.is_empty() {
                let rest;
                (rest, moved) = split(&maps, places, None, &promoted)?;
                rest
            } else {
                gather_map(&maps, &runs, places.len())?
            };
            columns.push(Arc::new(map));
        }
        columns.extend(moved);
        RecordBatch::try_new(self.layout.schema(), columns)
    }

    /// The values of one column in these runs. Only the batches that have one are looked at.
    fn copy(&self, column: usize, runs: &[Run], rows: usize) -> Option<ArrayRef> {
        let mut sources: Vec<&ArrayData> = Vec::new();
        let mut source_of: Vec<Option<usize>> = vec![None; self.data.len()];
        for run in runs {
            let source = source_of.get_mut(run.batch)?;
            if source.is_none() {
                *source = Some(sources.len());
                sources.push(self.data.get(run.batch)?.get(column)?);
            }
        }
        let mut copy = MutableArrayData::new(sources, false, rows);
        for run in runs {
            let source = source_of.get(run.batch).copied().flatten()?;
            // Texts of more than 2 GiB do not fit an array, however they are put together.
            copy.try_extend(source, run.from, run.to).ok()?;
        }
        Some(make_array(copy.freeze()))
    }
}

fn runs(places: &[Place]) -> impl Iterator<Item = Run> + '_ {
    let next_to = |(batch, row): &Place, next: &Place| (*batch, row + 1) == *next;
    places.chunk_by(next_to).filter_map(|run| {
        let (batch, from) = *run.first()?;
        Some(Run {
            batch,
            from,
            to: from + run.len(),
        })
    })
}

/// All rows in the order of the table; equal ones keep theirs.
fn places(layout: &Layout, batches: &[RecordBatch]) -> Result<Vec<Place>, ArrowError> {
    let table = layout.table();
    let all = batches.iter().enumerate();
    let all = all.flat_map(|(batch, rows)| (0..rows.num_rows()).map(move |row| (batch, row)));
    let all: Vec<Place> = all.collect();
    let of_batches: Vec<Vec<ArrayRef>> = batches
        .iter()
        .map(|batch| sort_keys(table, batch))
        .collect();
    let mut keys: Vec<ArrayRef> = Vec::new();
    for column in 0..table.sort_columns().len() {
        let parts = of_batches.iter().filter_map(|keys| keys.get(column));
        let parts: Vec<&dyn Array> = parts.map(|part| part.as_ref()).collect();
        keys.push(concat(&parts)?);
    }
    let Some(order) = sorted_indices(table, &keys)? else {
        return Ok(all);
    };
    let place = |index: &u32| all.get(usize::try_from(*index).ok()?).copied();
    Ok(order.values().iter().filter_map(place).collect())
}

/// The maps of the rows in these runs. The entries of a run lie side by side.
fn gather_map(maps: &[&MapArray], runs: &[Run], rows: usize) -> Result<MapArray, ArrowError> {
    let first = *maps.first().ok_or_else(no_text)?;
    let texts: Option<Vec<(&StringArray, &StringArray)>> = maps
        .iter()
        .map(|map| {
            let keys = map.keys().as_string_opt::<i32>()?;
            let values = map.values().as_string_opt::<i32>()?;
            (keys.null_count() == 0).then_some((keys, values))
        })
        .collect();
    let texts = texts.ok_or_else(no_text)?;
    let mut lengths = Vec::with_capacity(rows);
    let (mut keys, mut values) = (
        Vec::with_capacity(runs.len()),
        Vec::with_capacity(runs.len()),
    );
    for run in runs {
        let (Some(map), Some((own_keys, own_values))) =
            (maps.get(run.batch), texts.get(run.batch).copied())
        else {
            return Err(no_text());
        };
        let offset = |row: usize| {
            let offset = map.offsets().get(row).copied().unwrap_or_default();
            usize::try_from(offset).unwrap_or_default()
        };
        let (from, to) = (offset(run.from), offset(run.to));
        let length = to.saturating_sub(from);
        keys.push(own_keys.slice(from, length));
        values.push(own_values.slice(from, length));
        lengths.extend((run.from..run.to).map(|row| offset(row + 1) - offset(row)));
    }
    let entries: [ArrayRef; 2] = [Arc::new(joined(&keys)?), Arc::new(joined(&values)?)];
    map_like(first, entries, lengths, None)
}

/// The texts of all parts, in room that is taken once.
fn joined(parts: &[StringArray]) -> Result<StringArray, ArrowError> {
    let texts = parts.iter().map(|part| part.len()).sum();
    let ends = |part: &StringArray| {
        Some((
            *part.value_offsets().first()?,
            *part.value_offsets().last()?,
        ))
    };
    let bytes = parts
        .iter()
        .filter_map(ends)
        .map(|(from, to)| usize::try_from(to - from).unwrap_or(0));
    let mut joined = StringBuilder::with_capacity(texts, bytes.sum());
    for part in parts {
        joined.append_array(part)?;
    }
    Ok(joined.finish())
}

fn no_text() -> ArrowError {
    ArrowError::SchemaError("attributes are no text".to_owned())
}

#[cfg(test)]
mod tests;
