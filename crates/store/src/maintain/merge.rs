//! Merges sorted segments into one sorted stream of batches.
//!
//! Each input is read batch by batch; the one whose next row comes first gives its row. Equal rows come in
//! the order of the inputs, so that what was applied first stays first. Memory: for each input the pages it
//! decodes and one batch of about [`BATCH_BYTES`], and one batch that goes out.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::row::{OwnedRow, Row, RowConverter, Rows};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::pace::{Cancel, Pace};
use crate::catalog::DataFile;
use crate::segment::{SegmentError, row_converter, shred, sort_keys};
use crate::tables::{Layout, Table};

/// What one batch of an input takes, about.
const BATCH_BYTES: u64 = 1 << 20;
const BATCH_ROWS_MIN: u64 = 16;
const BATCH_ROWS_MAX: u64 = 8_192;
/// A batch goes out when it has this many rows or bytes.
const OUT_ROWS_MAX: usize = 8_192;
const OUT_BYTES_MAX: u64 = 8 << 20;

/// The rows of several segments of one table in order.
pub(super) struct Merge<'a> {
    layout: Layout,
    inputs: Vec<Input>,
    /// Inputs that have a row left, by that row and their position; the last one is next.
    order: Vec<usize>,
    out: Out,
    /// For a table whose rows are kept once only: the last row that went out.
    last: Option<OwnedRow>,
    pace: &'a mut Pace,
    cancel: &'a Cancel,
    failed: bool,
}

/// Rows picked for the batch that goes out next.
#[derive(Default)]
struct Out {
    batches: Vec<RecordBatch>,
    rows: Vec<(usize, usize)>,
    bytes: u64,
}

/// One segment while it is read.
struct Input {
    path: Arc<Path>,
    reader: ParquetRecordBatchReader,
    converter: RowConverter,
    layout: Layout,
    rows_expected: u64,
    rows_read: u64,
    bytes_on_disk: u64,
    batch: RecordBatch,
    keys: Rows,
    /// Memory of a row of `batch`, about.
    row_bytes: u64,
    /// The next row of `batch`.
    at: usize,
    /// Where `batch` stands among the batches of [`Out`], once a row of it was picked.
    slot: Option<usize>,
}

impl<'a> Merge<'a> {
    /// Opens the files, which are of one table and day. Rows come in `layout`, whatever a file has.
    ///
    /// # Errors
    /// [`SegmentError::Input`] names the file that cannot be read.
    pub(super) fn open(
        layout: &Layout,
        files: &[DataFile],
        pace: &'a mut Pace,
        cancel: &'a Cancel,
    ) -> Result<Self, SegmentError> {
        let inputs = files
            .iter()
            .map(|file| Input::open(layout, file))
            .collect::<Result<Vec<_>, _>>()?;
        let mut merge = Self {
            layout: layout.clone(),
            inputs,
            order: Vec::new(),
            out: Out::default(),
            last: None,
            pace,
            cancel,
            failed: false,
        };
        for index in 0..merge.inputs.len() {
            merge.advance(index)?;
        }
        Ok(merge)
    }

    /// Moves an input that is not in `order` to its next row and puts it in its place there.
    fn advance(&mut self, index: usize) -> Result<(), SegmentError> {
        let Some(input) = self.inputs.get_mut(index) else {
            return Ok(());
        };
        if input.at >= input.batch.num_rows() {
            let bytes = input.next_batch()?;
            if self.pace.spend(bytes, self.cancel) {
                return Err(SegmentError::Cancelled);
            }
        }
        let Some(key) = self.key(index) else {
            return Ok(());
        };
        // Sorted backwards, so that the next one is taken off the end. Mostly that is the same input again.
        let after_key = |other: &usize| self.key(*other).is_some_and(|other| other > key);
        let place = match self.order.last().is_none_or(after_key) {
            true => self.order.len(),
            false => self.order.partition_point(after_key),
        };
        self.order.insert(place, index);
        Ok(())
    }

    /// The next row of an input, with its position to tell equal ones apart.
    fn key(&self, index: usize) -> Option<(Row<'_>, usize)> {
        let input = self.inputs.get(index)?;
        let row = input.key()?;
        Some((row, index))
    }

    /// Picks rows until a batch is full. `None` when there are none left.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, SegmentError> {
        while let Some(index) = self.order.pop() {
            self.pick(index);
            self.advance(index)?;
            if self.out.rows.len() >= OUT_ROWS_MAX || self.out.bytes >= OUT_BYTES_MAX {
                break;
            }
        }
        self.emit()
    }

    fn pick(&mut self, index: usize) {
        let once = self.layout.table() == Table::Series;
        let Some(input) = self.inputs.get_mut(index) else {
            return;
        };
        let repeated = once
            && match (&self.last, input.key()) {
                (Some(last), Some(key)) => last.row() == key,
                _ => false,
            };
        if !repeated {
            if once {
                self.last = input.key().map(|key| key.owned());
            }
            let slot = *input.slot.get_or_insert_with(|| {
                self.out.batches.push(input.batch.clone());
                self.out.batches.len() - 1
            });
            self.out.rows.push((slot, input.at));
            self.out.bytes += input.row_bytes;
        }
        input.at += 1;
    }

    fn emit(&mut self) -> Result<Option<RecordBatch>, SegmentError> {
        if self.out.rows.is_empty() {
            return Ok(None);
        }
        let out = std::mem::take(&mut self.out);
        for input in &mut self.inputs {
            input.slot = None;
        }
        let batches: Vec<&RecordBatch> = out.batches.iter().collect();
        interleave_record_batch(&batches, &out.rows)
            .map(Some)
            .map_err(|source| SegmentError::Arrow {
                table: self.layout.table().name(),
                source,
            })
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<RecordBatch, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_batch().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Input {
    fn open(layout: &Layout, file: &DataFile) -> Result<Self, SegmentError> {
        let failed = |source| input_error(&file.path, source);
        let converter = row_converter(layout.table()).map_err(|error| failed(error.into()))?;
        let opened = File::open(&file.path).map_err(|error| failed(error.into()))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(failed)?;
        let batch_rows = batch_rows(builder.metadata());
        let reader = builder
            .with_batch_size(batch_rows)
            .build()
            .map_err(failed)?;
        let keys = converter.empty_rows(0, 0);
        Ok(Self {
            path: Arc::clone(&file.path),
            reader,
            converter,
            layout: layout.clone(),
            rows_expected: file.rows,
            rows_read: 0,
            bytes_on_disk: file.bytes,
            batch: RecordBatch::new_empty(layout.schema()),
            keys,
            row_bytes: 0,
            at: 0,
            slot: None,
        })
    }

    /// Reads the next batch that has rows; at the end the batch is empty. Returns the bytes on disk that
    /// were read for it, about.
    fn next_batch(&mut self) -> Result<u64, SegmentError> {
        self.at = 0;
        self.slot = None;
        self.batch = RecordBatch::new_empty(self.layout.schema());
        self.keys = self.converter.empty_rows(0, 0);
        loop {
            let Some(batch) = self.reader.next() else {
                return self.check_end();
            };
            let batch = batch.map_err(|error| input_error(&self.path, error.into()))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = shred(&batch, &self.layout)
                .map_err(|error| input_error(&self.path, ParquetError::External(error.into())))?;
            let rows = batch.num_rows() as u64;
            self.rows_read += rows;
            self.keys = self
                .converter
                .convert_columns(&sort_keys(self.layout.table(), &batch))
                .map_err(|error| input_error(&self.path, error.into()))?;
            self.row_bytes = batch.get_array_memory_size() as u64 / rows;
            self.batch = batch;
            return Ok(self.bytes_on_disk.saturating_mul(rows) / self.rows_expected.max(1));
        }
    }

    /// A file that holds other rows than it was committed with is damaged.
    fn check_end(&self) -> Result<u64, SegmentError> {
        if self.rows_read == self.rows_expected {
            return Ok(0);
        }
        let reason = format!(
            "it holds {} rows, the catalog says {}",
            self.rows_read, self.rows_expected
        );
        Err(input_error(&self.path, ParquetError::General(reason)))
    }

    fn key(&self) -> Option<Row<'_>> {
        (self.at < self.keys.num_rows()).then(|| self.keys.row(self.at))
    }
}

/// Rows that take about [`BATCH_BYTES`].
pub(super) fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let (mut rows, mut bytes) = (0_u64, 0_u64);
    for group in metadata.row_groups() {
        rows += group.num_rows().unsigned_abs();
        bytes += group.total_byte_size().unsigned_abs();
    }
    let row_bytes = (bytes / rows.max(1)).max(1);
    let rows = (BATCH_BYTES / row_bytes).clamp(BATCH_ROWS_MIN, BATCH_ROWS_MAX);
    usize::try_from(rows).unwrap_or(1)
}

pub(super) fn input_error(path: &Path, source: ParquetError) -> SegmentError {
    SegmentError::Input {
        path: path.to_owned(),
        source,
    }
}
