//! The times of a row group and of its pages, which rule out most of what is read.

use std::ops::Range;

use parquet::file::statistics::Statistics;

use super::segment::Segment;
use crate::tables::column;

/// In the unit of the table, both inclusive.
pub(crate) type Span = (i64, i64);

pub(crate) fn overlap(a: Span, b: Span) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

/// The earliest and latest time in a row group.
pub(crate) fn of_group(segment: &Segment, group: usize) -> Option<Span> {
    bounds(segment, group, column::TIME)
}

/// The least and the most of an integer column in a row group, as far as they are known.
pub(crate) fn bounds(segment: &Segment, group: usize, name: &str) -> Option<Span> {
    let chunk = segment.chunk(group, name)?;
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
