//! Where the pages of a row group lie, and their times: read when the first of its rows are.
//!
//! A footer names these for all columns of all row groups, which is most of what there is to read of a large segment. A
//! request that looks for one row needs those of a few row groups.
//! Rows are sorted, so many pages hold one value of a column, which their bounds tell.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;

use super::constant::constant_pages;
use super::input::Input;
use super::times::Page;

/// The pages of one row group.
pub(super) struct PageIndex {
    /// By column chunk; empty when the segment does not tell.
    locations: Vec<Vec<PageLocation>>,
    /// By column chunk, likewise.
    bounds: Vec<ColumnIndexMetaData>,
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
        let bounds = bounds.cloned().unwrap_or_default();
        let of_times = time.and_then(|time| bounds.get(time).zip(locations.get(time)));
        let times =
            of_times.and_then(|(bounds, locations)| pages_of(bounds, locations, rows_of(group)));
        Ok(Self {
            times: times.unwrap_or_default(),
            locations,
            bounds,
        })
    }

    /// The chosen rows of a column chunk of `total` rows, if the bounds of its pages tell their values.
    pub(super) fn constant(
        &self,
        leaf: usize,
        data_type: &DataType,
        total: usize,
        selection: Option<&RowSelection>,
    ) -> Option<ArrayRef> {
        let bounds = self.bounds.get(leaf)?;
        if matches!(bounds, ColumnIndexMetaData::NONE) {
            return None;
        }
        constant_pages(bounds, data_type, &self.chosen(leaf, total, selection)?)
    }

    /// The pages of a column chunk of `total` rows that hold chosen rows, with how many of these. `None` when the
    /// segment does not tell where its pages begin.
    fn chosen(
        &self,
        leaf: usize,
        total: usize,
        selection: Option<&RowSelection>,
    ) -> Option<Vec<ChosenPage>> {
        let locations = self.locations(leaf)?;
        let starts = locations.iter().skip(1).map(|next| next.first_row_index);
        let starts = starts.map(|start| usize::try_from(start).unwrap_or(total));
        let mut ends = starts.chain(std::iter::once(total)).enumerate();
        let mut chosen: Vec<ChosenPage> = Vec::new();
        let (mut page, mut end) = ends.next()?;
        for range in ranges(selection, total) {
            let mut at = range.start;
            while at < range.end {
                while end <= at {
                    (page, end) = ends.next()?;
                }
                let rows = range.end.min(end) - at;
                match chosen.last_mut() {
                    Some(last) if last.page == page => last.rows += rows,
                    _ => chosen.push(ChosenPage { page, rows }),
                }
                at += rows;
            }
        }
        Some(chosen)
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

/// A page with chosen rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChosenPage {
    pub(super) page: usize,
    /// How many of its rows are chosen.
    pub(super) rows: usize,
}

/// The chosen rows among `total`.
fn ranges(
    selection: Option<&RowSelection>,
    total: usize,
) -> impl Iterator<Item = Range<usize>> + '_ {
    let whole = selection.is_none().then_some(0..total);
    let selectors = selection.into_iter().flat_map(RowSelection::iter);
    let chosen = selectors.scan(0, |at, selector| {
        let start = *at;
        *at += selector.row_count;
        Some((!selector.skip).then_some(start..*at))
    });
    whole.into_iter().chain(chosen.flatten())
}

/// Memory that the page indexes of a segment take once all are read (bytes), about.
pub(super) fn memory(parquet: &ParquetMetaData) -> usize {
    /// What a byte in the file comes to.
    const FACTOR: usize = 4;
    let of_chunk = |chunk: &ColumnChunkMetaData| {
        let lengths = [chunk.offset_index_length(), chunk.column_index_length()];
        let length: i32 = lengths.into_iter().flatten().sum();
        let places = size_of::<Vec<PageLocation>>() + size_of::<ColumnIndexMetaData>();
        usize::try_from(length).unwrap_or(0) * FACTOR + places
    };
    let chunks = parquet
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    chunks.map(of_chunk).sum()
}

pub(crate) fn rows_of(group: &RowGroupMetaData) -> usize {
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

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::RowSelector;

    use super::*;

    fn index(starts: &[i64]) -> PageIndex {
        let location = |start: &i64| PageLocation {
            offset: 0,
            compressed_page_size: 0,
            first_row_index: *start,
        };
        PageIndex {
            locations: vec![starts.iter().map(location).collect()],
            bounds: Vec::new(),
            times: Vec::new(),
        }
    }

    #[test]
    fn chosen_rows_are_counted_by_page() {
        let check = |selection: Option<Vec<RowSelector>>, expect: &[(usize, usize)]| {
            let selection = selection.map(RowSelection::from);
            let chosen = index(&[0, 10, 20]).chosen(0, 25, selection.as_ref());
            let chosen = chosen.unwrap();
            let pages: Vec<_> = chosen.iter().map(|page| (page.page, page.rows)).collect();
            assert_eq!(pages, expect, "{selection:?}");
        };
        let (select, skip) = (RowSelector::select, RowSelector::skip);
        check(None, &[(0, 10), (1, 10), (2, 5)]);
        check(
            Some(vec![skip(3), select(2), skip(1), select(1), skip(18)]),
            &[(0, 3)],
        );
        check(
            Some(vec![skip(9), select(2), skip(8), select(6)]),
            &[(0, 1), (1, 2), (2, 5)],
        );
        check(Some(vec![skip(10), select(10), skip(5)]), &[(1, 10)]);
        check(Some(vec![skip(25)]), &[]);
        assert_eq!(index(&[]).chosen(1, 25, None), None);
    }
}
