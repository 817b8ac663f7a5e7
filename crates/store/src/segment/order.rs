//! Checks that rows come in the order that a segment claims to have.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter};

use super::SegmentError;
use super::sort::{check_fixed_columns, row_converter, sort_keys};
use crate::tables::Table;

/// Follows the batches of one segment.
pub(super) struct OrderCheck {
    table: Table,
    converter: RowConverter,
    last: Option<OwnedRow>,
}

impl OrderCheck {
    pub(super) fn new(table: Table) -> Result<Self, SegmentError> {
        let converter = row_converter(table).map_err(|source| arrow_error(table, source))?;
        Ok(Self {
            table,
            converter,
            last: None,
        })
    }

    /// Hands `batch` on when its rows are in order and none comes before the last batch's.
    pub(super) fn pass(&mut self, batch: RecordBatch) -> Result<RecordBatch, SegmentError> {
        let table = self.table;
        check_fixed_columns(table, &batch)?;
        let rows = self
            .converter
            .convert_columns(&sort_keys(table, &batch))
            .map_err(|source| arrow_error(table, source))?;
        let first = rows.iter().next();
        let follows = match (&self.last, first) {
            (Some(last), Some(first)) => last.row() <= first,
            _ => true,
        };
        if !follows || !rows.iter().is_sorted() {
            return Err(SegmentError::Unsorted {
                table: table.name(),
            });
        }
        self.last = rows
            .iter()
            .next_back()
            .map(|row| row.owned())
            .or_else(|| self.last.take());
        Ok(batch)
    }
}

fn arrow_error(table: Table, source: ArrowError) -> SegmentError {
    SegmentError::Arrow {
        table: table.name(),
        source,
    }
}
