//! The times of a row group and of its pages, which rule out most of what is read.

use std::ops::Range;

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
