//! The times of a row group and of its pages, which rule out most of what is read.

use std::ops::Range;

use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use super::segment::Segment;
use crate::tables::column;

/// Nanoseconds, both inclusive.
pub(crate) type Span = (i64, i64);

pub(crate) fn overlap(a: Span, b: Span) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

/// The earliest and latest time in a row group.
pub(crate) fn of_group(segment: &Segment, group: usize) -> Option<Span> {
    let chunk = segment.chunk(group, column::TIME)?;
    let Some(Statistics::Int64(bounds)) = chunk.statistics() else {
        return None;
    };
    Some((*bounds.min_opt()?, *bounds.max_opt()?))
}

/// A page of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Rows within the row group.
    pub(crate) rows: Range<usize>,
    pub(crate) span: Span,
}

/// The pages of the time column, in their order; empty when the segment has no page index.
pub(crate) fn pages(segment: &Segment, group: usize) -> Vec<Page> {
    known_pages(segment, group).unwrap_or_default()
}

fn known_pages(segment: &Segment, group: usize) -> Option<Vec<Page>> {
    let metadata = segment.metadata().parquet();
    let row_group = segment.group(group)?;
    let leaf = segment.leaf(column::TIME)?;
    let ColumnIndexMetaData::INT64(bounds) = metadata.column_index()?.get(group)?.get(leaf)? else {
        return None;
    };
    let locations = metadata
        .offset_index()?
        .get(group)?
        .get(leaf)?
        .page_locations();
    let start = |page: usize| {
        let location = locations.get(page)?;
        usize::try_from(location.first_row_index).ok()
    };
    let total = usize::try_from(row_group.num_rows()).ok()?;
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
