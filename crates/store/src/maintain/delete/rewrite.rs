//! Writes a file again without some of its rows.
//!
//! The file is read twice: once the columns that decide, then, only when there is a match, the rows that stay.
//! Memory: a bit a row, a batch, and a row group in encoded form.

use std::fs::File;

use arrow::array::BooleanArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;

use super::super::merge::{batch_rows, input_error};
use super::super::pace::{Cancel, Pace};
use super::condition::Prepared;
use crate::catalog::DataFile;
use crate::segment::{SegmentError, SegmentFolder, WrittenFile, unpack, write_sorted};
use crate::tables::Layout;
use crate::tables::packed::with_companions;

/// What a condition means for a file.
pub(super) enum Outcome {
    /// No row is meant.
    Untouched,
    /// Every row is.
    All { rows: u64 },
    /// Some are; `rest` holds the others.
    Some { rows: u64, rest: WrittenFile },
}

/// Looks for rows of `file` that are meant and writes the others to a new file in its place in the order.
///
/// # Errors
/// [`SegmentError::Input`] when `file` cannot be read; any other of the writer.
pub(super) fn without(
    folder: SegmentFolder<'_>,
    layout: &Layout,
    file: &DataFile,
    condition: &Prepared<'_>,
    pace: &mut Pace,
    cancel: &Cancel,
) -> Result<Outcome, SegmentError> {
    let names = condition.columns(layout);
    let mut stays: Vec<BooleanArray> = Vec::new();
    for batch in open(file, |builder| {
        let schema = builder.parquet_schema();
        let read = with_companions(names.iter().map(String::as_str));
        let mask = ProjectionMask::columns(schema, read.iter().map(String::as_str));
        builder.with_projection(mask)
    })? {
        let batch = batch.map_err(|error| input_error(&file.path, error.into()))?;
        let batch = unpack(&batch).map_err(|error| input_error(&file.path, error.into()))?;
        let kept = condition
            .stays(&batch, layout)
            .map_err(|error| input_error(&file.path, ParquetError::External(error.into())))?;
        stays.push(kept);
        if cancel.is_cancelled() {
            return Err(SegmentError::Cancelled);
        }
    }
    let rows: u64 = stays.iter().map(|stays| stays.len() as u64).sum();
    let kept: u64 = stays.iter().map(|stays| stays.true_count() as u64).sum();
    if rows != file.rows {
        let reason = format!("it holds {rows} rows, the catalog says {}", file.rows);
        return Err(input_error(&file.path, ParquetError::General(reason)));
    }
    match rows - kept {
        0 => Ok(Outcome::Untouched),
        rows if kept == 0 => Ok(Outcome::All { rows }),
        rows => {
            let selection = RowSelection::from_filters(&stays);
            drop(stays);
            let reader = open(file, |builder| builder.with_row_selection(selection))?;
            let batches = reader.map(|batch| {
                let batch = batch.map_err(|error| input_error(&file.path, error.into()))?;
                let bytes = file.bytes.saturating_mul(batch.num_rows() as u64) / kept.max(1);
                match pace.spend(bytes, cancel) {
                    true => Err(SegmentError::Cancelled),
                    false => Ok(batch),
                }
            });
            let mut rest = write_sorted(folder, layout, file.day, batches)?;
            rest.order = Some(file.order);
            rest.class = file.class.to_string();
            Ok(Outcome::Some { rows, rest })
        }
    }
}

type Builder = ParquetRecordBatchReaderBuilder<File>;

fn open(
    file: &DataFile,
    choose: impl FnOnce(Builder) -> Builder,
) -> Result<ParquetRecordBatchReader, SegmentError> {
    let failed = |source| input_error(&file.path, source);
    let opened = File::open(&file.path).map_err(|error| failed(error.into()))?;
    let builder = Builder::try_new(opened).map_err(failed)?;
    let rows = batch_rows(builder.metadata());
    choose(builder.with_batch_size(rows))
        .build()
        .map_err(failed)
}
