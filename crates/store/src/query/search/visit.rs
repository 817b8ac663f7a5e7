//! What a request does with rows, as the threads see it.

use super::Predicate;
use super::rows::Rows;
use super::times::Span;
use crate::StoreError;
use crate::segment::index::cube::Cube;

/// Where a unit's rows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    Head { batch: usize },
    Group { file: usize, group: usize },
}

/// What a request does with the rows that fulfil its conditions. Called by several threads at once.
pub(crate) trait Visit: Send + Sync + 'static {
    /// The times that rows must have to matter still. May become narrower, never wider.
    fn span(&self) -> Span {
        (i64::MIN, i64::MAX)
    }

    /// In which order units are best looked at.
    fn order(&self) -> UnitOrder {
        UnitOrder::Any
    }

    fn visit(&self, origin: Origin, rows: &mut Rows<'_>) -> Result<(), StoreError>;

    /// Whether the counts of a segment may be taken instead of its rows.
    fn takes_counts(&self) -> bool {
        false
    }

    /// Takes from a segment's counts what it can of the times of `wanted`. `whole` are the times of the segment.
    /// The times whose rows are still to be looked at; `None` when that are all.
    fn take_counts(
        &self,
        _cube: &Cube,
        _filter: &Predicate,
        _whole: Span,
        _wanted: Span,
    ) -> Result<Option<Vec<Span>>, StoreError> {
        Ok(None)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitOrder {
    Any,
    NewestFirst,
    OldestFirst,
}

impl UnitOrder {
    pub(crate) fn priority(self, span: Option<Span>) -> i64 {
        match (self, span) {
            (Self::Any, _) => 0,
            (_, None) => i64::MAX,
            (Self::NewestFirst, Some((_, last))) => last,
            (Self::OldestFirst, Some((first, _))) => first.saturating_neg(),
        }
    }
}

/// Chosen rows of a unit, by number.
pub(crate) type Picked = (Origin, Vec<u32>);
