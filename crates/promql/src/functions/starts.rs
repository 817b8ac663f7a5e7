//! What start timestamps say of a counter: whether it began anew, and when it was zero.

use crate::queryable::StartTime;

/// The starts of the samples of a series, sorted by time; empty where none are known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Starts<'s>(pub(crate) &'s [StartTime]);

impl Starts<'_> {
    /// Since when the counter had counted at a sample, in milliseconds.
    fn of(self, timestamp: i64) -> Option<i64> {
        let at = self
            .0
            .binary_search_by_key(&timestamp, |start| start.timestamp);
        let found = at.ok().and_then(|at| self.0.get(at))?;
        Some(found.start).filter(|start| *start != 0)
    }

    /// Whether the counter began anew between two samples.
    pub(crate) fn is_reset(self, before: i64, after: i64) -> bool {
        // A start at or after its own sample says nothing.
        let Some(start) = self.of(after).filter(|start| *start < after) else {
            return false;
        };
        if start != before {
            return start > before;
        }
        // It counts since the sample before. So does every sample of a series of deltas; in a series that does not
        // know when it began it is the first sample that has itself as its start.
        self.of(before).is_some_and(|start| start < before)
    }

    /// When the counter was zero, if that was inside a range before its first sample.
    pub(crate) fn zero_within(self, range_start: i64, first: i64) -> Option<i64> {
        let start = self.of(first)?;
        (start > range_start && start < first).then_some(start)
    }
}

/// Whether the start of a sample contradicts the sample before: it is earlier, and not the same start.
pub(crate) fn overlaps(starts: &[StartTime]) -> bool {
    let pairs = starts.iter().zip(starts.iter().skip(1));
    pairs.into_iter().any(|(before, after)| {
        after.start != 0 && after.start < before.timestamp && after.start != before.start
    })
}
