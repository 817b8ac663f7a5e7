//! Puts rows into the order of their table and parts them by day.

mod ranks;

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use arrow::row::{Row, RowConverter, SortField};

use super::SegmentError;
use crate::tables::{Table, column};

/// The rows of `batch` in the order of [`Table::sort_columns`]; equal rows keep their order.
///
/// # Errors
/// [`SegmentError::Schema`] when the batch is not of this table.
pub fn sort_batch(table: Table, batch: &RecordBatch) -> Result<RecordBatch, SegmentError> {
    let arrow = |source| SegmentError::Arrow {
        table: table.name(),
        source,
    };
    check_fixed_columns(table, batch)?;
    match sorted_indices(table, &sort_keys(table, batch)).map_err(arrow)? {
        None => Ok(batch.clone()),
        Some(indices) => take_record_batch(batch, &indices).map_err(arrow),
    }
}

/// The rows of these sort columns in order; `None` when they are already.
pub(super) fn sorted_indices(
    table: Table,
    keys: &[ArrayRef],
) -> Result<Option<UInt32Array>, ArrowError> {
    if let Some(mut order) = ranks::ranked_rows(keys) {
        if order.is_sorted() {
            return Ok(None);
        }
        order.sort_unstable();
        return Ok(Some(order.into_iter().map(|(_ranks, row)| row).collect()));
    }
    let rows = row_converter(table)?.convert_columns(keys)?;
    let mut order: Vec<(Row<'_>, u32)> = rows.iter().zip(0..).collect();
    if order.is_sorted() {
        return Ok(None);
    }
    order.sort_unstable();
    Ok(Some(order.into_iter().map(|(_row, index)| index).collect()))
}

/// Compares rows byte by byte in the order of the table.
pub(crate) fn row_converter(table: Table) -> Result<RowConverter, ArrowError> {
    let schema = table.schema();
    let fields = table
        .sort_columns()
        .iter()
        .filter_map(|name| schema.field_with_name(name).ok())
        .map(|field| SortField::new(field.data_type().clone()))
        .collect();
    RowConverter::new(fields)
}

pub(crate) fn sort_keys(table: Table, batch: &RecordBatch) -> Vec<ArrayRef> {
    table
        .sort_columns()
        .iter()
        .filter_map(|name| batch.column_by_name(name).cloned())
        .collect()
}

/// Parts a batch by its `day` column, days ascending, rows in their order. A batch of one day, the
/// usual case, is not copied.
///
/// # Errors
/// [`SegmentError::Schema`] when the batch is not of this table.
pub fn split_by_day(
    table: Table,
    batch: &RecordBatch,
) -> Result<Vec<(i32, RecordBatch)>, SegmentError> {
    let days = day_column(table, batch)?;
    if let [first, rest @ ..] = &days.values()[..]
        && rest.iter().all(|day| day == first)
    {
        return Ok(vec![(*first, batch.clone())]);
    }
    let distinct: BTreeSet<i32> = days.values().iter().copied().collect();
    distinct
        .into_iter()
        .map(|day| {
            let of_day: BooleanArray = days.values().iter().map(|d| Some(*d == day)).collect();
            let part =
                filter_record_batch(batch, &of_day).map_err(|source| SegmentError::Arrow {
                    table: table.name(),
                    source,
                })?;
            Ok((day, part))
        })
        .collect()
}

/// The `day` column of a batch of `table`.
pub(super) fn day_column(table: Table, batch: &RecordBatch) -> Result<&Int32Array, SegmentError> {
    check_fixed_columns(table, batch)?;
    batch
        .column_by_name(column::DAY)
        .and_then(|days| days.as_primitive_opt::<Int32Type>())
        .filter(|days| days.null_count() == 0)
        .ok_or(SegmentError::Schema {
            table: table.name(),
        })
}

/// The first columns must have names and types of the table's; metadata of the top-level fields may be
/// missing, and promoted columns may follow.
pub(super) fn check_fixed_columns(table: Table, batch: &RecordBatch) -> Result<(), SegmentError> {
    let expected = table.schema();
    let given = batch.schema_ref();
    let same = expected.fields().len() <= given.fields().len()
        && expected
            .fields()
            .iter()
            .zip(given.fields())
            .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
    if same {
        Ok(())
    } else {
        Err(SegmentError::Schema {
            table: table.name(),
        })
    }
}
