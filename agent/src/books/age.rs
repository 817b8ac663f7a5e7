//! When what is held was appended: the age of the oldest record an exporter has not settled.
//!
//! In: marks that say how many records, of all signals, had been appended at a time. Out: the time of any of them, as
//! that of the last mark before it. So an age is never too low, and too high by a mark's distance: a second while it
//! runs, a segment of the disk buffer for what was there at the start. At most [`MARKS_MAX`] marks; beyond it
//! every other one goes.

use std::collections::VecDeque;

use vervet_model::UnixNanos;

const MARKS_MAX: usize = 4_096;
const MARK_INTERVAL_NANOS: i64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Ages(VecDeque<Mark>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// Records appended before.
    records: u64,
    at: UnixNanos,
}

impl Ages {
    /// `records` had been appended in all at `at`; calls come in order.
    pub(super) fn mark(&mut self, records: u64, at: UnixNanos) {
        let is_near = |last: &Mark| {
            records <= last.records || at.0.saturating_sub(last.at.0) < MARK_INTERVAL_NANOS
        };
        if self.0.back().is_some_and(is_near) {
            return;
        }
        if self.0.len() >= MARKS_MAX {
            let mut odd = false;
            self.0.retain(|_| {
                odd = !odd;
                odd
            });
        }
        self.0.push_back(Mark { records, at });
    }

    /// When the record after `records` others was appended; `None` when that is not known.
    pub(super) fn appended_at(&self, records: u64) -> Option<UnixNanos> {
        let after = self.0.partition_point(|mark| mark.records <= records);
        self.0.get(after.checked_sub(1)?).map(|mark| mark.at)
    }

    /// Nobody needs what is before `records` any more.
    pub(super) fn forget_before(&mut self, records: u64) {
        let after = self.0.partition_point(|mark| mark.records <= records);
        self.0.drain(..after.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> UnixNanos {
        UnixNanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_record_is_as_old_as_the_mark_before_it() {
        let mut ages = Ages::default();
        ages.mark(10, seconds(100));
        ages.mark(15, UnixNanos(100_500_000_000));
        ages.mark(20, seconds(101));
        assert_eq!(ages.appended_at(9), None);
        assert_eq!(ages.appended_at(10), Some(seconds(100)));
        assert_eq!(ages.appended_at(19), Some(seconds(100)));
        assert_eq!(ages.appended_at(20), Some(seconds(101)));
        assert_eq!(ages.appended_at(9_999), Some(seconds(101)));
        ages.forget_before(19);
        assert_eq!(ages.appended_at(19), Some(seconds(100)));
        ages.forget_before(20);
        assert_eq!((ages.appended_at(19), ages.0.len()), (None, 1));
    }

    #[test]
    fn marks_are_bounded_and_never_make_a_record_younger() {
        let mut ages = Ages::default();
        for number in 0..20_000_i64 {
            ages.mark(number.unsigned_abs(), seconds(number));
        }
        assert!(ages.0.len() <= MARKS_MAX);
        for number in 0..20_000_i64 {
            let at = ages.appended_at(number.unsigned_abs()).expect("known");
            assert!(at <= seconds(number), "record {number} from {at:?}");
        }
    }
}
