//! Where the pages of a row group lie, and their times: read when the first of its rows are.
//!
//! A footer names these for all columns of all row groups, which is most of what there is to read of a large segment. A
//! request that looks for one row needs those of a few row groups.

use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;

use super::input::Input;
use super::times::Page;

/// The pages of one row group.
pub(super) struct PageIndex {
    /// By column chunk; empty when the segment does not tell.
    locations: Vec<Vec<PageLocation>>,
    times: Vec<Page>,
}

impl PageIndex {
    /// `time` is the chunk of the time column.
    pub(super) fn read(
        input: &Input,
        parquet: &ParquetMetaData,
        group: &RowGroupMetaData,
        time: Option<usize>,
    ) -> Result<Self, ParquetError> {
        let only = ParquetMetaData::new(parquet.file_metadata().clone(), vec![group.clone()]);
        let mut reader = ParquetMetaDataReader::new_with_metadata(only)
            .with_page_index_policy(PageIndexPolicy::Optional);
        reader.read_page_indexes(input)?;
        let read = reader.finish()?;
        let offsets = read.offset_index().and_then(|groups| groups.first());
        let locations: Vec<_> = offsets
            .into_iter()
            .flatten()
            .map(|index| index.page_locations().clone())
            .collect();
        let bounds = read.column_index().and_then(|groups| groups.first());
        let bounds = time.and_then(|time| bounds?.get(time));
        let times = time.and_then(|time| locations.get(time));
        let times = bounds
            .zip(times)
            .and_then(|(bounds, locations)| pages_of(bounds, locations, rows_of(group)));
        Ok(Self {
            times: times.unwrap_or_default(),
            locations,
        })
    }

    /// The pages of a column chunk.
    pub(super) fn locations(&self, leaf: usize) -> Option<&Vec<PageLocation>> {
        self.locations.get(leaf)
    }

    /// The pages of the time column, in their order; empty when the segment does not tell.
    pub(super) fn times(&self) -> &[Page] {
        &self.times
    }
}

/// Memory that the page indexes of a segment take once all are read (bytes), about.
pub(super) fn memory(parquet: &ParquetMetaData) -> usize {
    /// What a byte in the file comes to.
    const FACTOR: usize = 4;
    let of_chunk = |chunk: &ColumnChunkMetaData| {
        let length = chunk.offset_index_length().unwrap_or(0);
        usize::try_from(length).unwrap_or(0) * FACTOR + size_of::<Vec<PageLocation>>()
    };
    let chunks = parquet
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    chunks.map(of_chunk).sum()
}

pub(super) fn rows_of(group: &RowGroupMetaData) -> usize {
    usize::try_from(group.num_rows()).unwrap_or(0)
}

fn pages_of(
    bounds: &ColumnIndexMetaData,
    locations: &[PageLocation],
    total: usize,
) -> Option<Vec<Page>> {
    let ColumnIndexMetaData::INT64(bounds) = bounds else {
        return None;
    };
    let start = |page: usize| {
        let location = locations.get(page)?;
        usize::try_from(location.first_row_index).ok()
    };
    (0..locations.len())
        .map(|page| {
            let end = start(page + 1).unwrap_or(total);
            Some(Page {
                rows: start(page)?..end,
                span: (*bounds.min_value(page)?, *bounds.max_value(page)?),
            })
        })
        .collect()
}
