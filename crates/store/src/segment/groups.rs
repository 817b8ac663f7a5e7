//! Cuts the rows of a segment into row groups, and gathers the index of each as it passes.

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};

use super::ROW_GROUP_ROWS_MAX;
use super::checksum::HashedFile;
use super::index::{INDEX_KEY, IndexBuilder};
use super::packed::Packer;
use super::properties::Effort;
use crate::tables::Layout;

/// Rows in a row group of a table with an index: the unit that a token bloom skips.
const INDEXED_GROUP_ROWS_MAX: usize = 65_536;
/// Memory of the rows in a row group (bytes), which a reader may have to hold at once.
const GROUP_BYTES_MAX: usize = 128 << 20;

pub(super) struct GroupWriter<'f> {
    writer: ArrowWriter<&'f mut HashedFile>,
    /// `None` for tables without one.
    index: Option<IndexBuilder>,
    /// `None` for tables without packed texts.
    packer: Option<Packer>,
    rows_max: usize,
    /// In the current row group.
    rows: usize,
    bytes: usize,
}

impl<'f> GroupWriter<'f> {
    /// `first_rows` are those of the first batch. Beyond one row group they are mostly all, and are parted evenly: the
    /// blooms of all row groups have the same size.
    pub(super) fn new(
        writer: ArrowWriter<&'f mut HashedFile>,
        layout: &Layout,
        effort: Effort,
        first_rows: usize,
    ) -> Self {
        let index = IndexBuilder::new(layout, effort.filters());
        let rows_max = match &index {
            Some(_) => even_part(first_rows, INDEXED_GROUP_ROWS_MAX),
            None => ROW_GROUP_ROWS_MAX,
        };
        Self {
            writer,
            index,
            packer: Packer::new(layout),
            rows_max,
            rows: 0,
            bytes: 0,
        }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let mut at = 0;
        let row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
        while at < batch.num_rows() {
            let room = GROUP_BYTES_MAX.saturating_sub(self.bytes) / row_bytes.max(1);
            let room = room.min(self.rows_max.saturating_sub(self.rows)).max(1);
            let rows = room.min(batch.num_rows() - at);
            let part = batch.slice(at, rows);
            if let Some(index) = &mut self.index {
                index.add(&part);
            }
            match &mut self.packer {
                Some(packer) => self.writer.write(&packer.pack(&part)?)?,
                None => self.writer.write(&part)?,
            }
            self.rows += rows;
            self.bytes += rows * row_bytes;
            at += rows;
            let is_full = self.index.as_ref().is_some_and(IndexBuilder::is_full);
            if self.rows >= self.rows_max || self.bytes >= GROUP_BYTES_MAX || is_full {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        self.writer.flush()?;
        if let Some(index) = &mut self.index {
            index.end_group();
        }
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Writes the index and the footer.
    pub(super) fn finish(mut self) -> Result<ParquetMetaData, ParquetError> {
        if self.rows > 0 {
            self.end_group()?;
        }
        if let Some(index) = self.index.take() {
            let (place, blob) = index.finish(self.writer.bytes_written() as u64)?;
            self.writer.write_all(&blob)?;
            let place = KeyValue::new(INDEX_KEY.to_owned(), place.to_value());
            self.writer.append_key_value_metadata(place);
        }
        self.writer.finish()
    }
}

/// The rows of each of the fewest equal parts of at most `most`; that many for fewer rows.
fn even_part(rows: usize, most: usize) -> usize {
    match rows.div_ceil(most) {
        0 | 1 => most,
        parts => rows.div_ceil(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_parted_evenly() {
        let check = |rows: usize, expect: usize| assert_eq!(even_part(rows, 100), expect, "{rows}");
        check(0, 100);
        check(100, 100);
        check(101, 51);
        check(350, 88);
    }
}
