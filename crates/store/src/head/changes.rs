//! Since when samples of which times have changed, for whoever keeps what it computed of them.
//!
//! In: of each change the earliest time that it touched. Out: the earliest time touched since a mark. Only changes that are
//! not followed by one of an earlier time are remembered, so that there is one for each [`SPAN_MS`] of data, not for
//! each request.
//!
//! Limit: [`CHANGES_MAX`] changes. Of marks from before them nothing is known any more.

use std::collections::VecDeque;

/// Times are remembered as the beginning of such a span.
const SPAN_MS: i64 = 10_000;
/// A day of samples that come in order.
const CHANGES_MAX: usize = 8_640;

#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The number of the next change.
    next: u64,
    /// The first number of which all is known.
    known_from: u64,
    /// Numbers and times, both rising.
    recent: VecDeque<(u64, i64)>,
}

impl Changes {
    /// Changes that are noted from now on have this number or a higher one.
    pub(crate) fn mark(&self) -> u64 {
        self.next
    }

    /// Notes a change of samples from `time_ms` on.
    pub(crate) fn note(&mut self, time_ms: i64) {
        let time_ms = time_ms
            .div_euclid(SPAN_MS)
            .checked_mul(SPAN_MS)
            .unwrap_or(i64::MIN);
        while self.recent.back().is_some_and(|(_, last)| *last >= time_ms) {
            self.recent.pop_back();
        }
        self.recent.push_back((self.next, time_ms));
        self.next += 1;
        if self.recent.len() > CHANGES_MAX
            && let Some((forgotten, _time)) = self.recent.pop_front()
        {
            self.known_from = forgotten + 1;
        }
    }

    /// The earliest time of a change since a mark, or one before it; `i64::MAX` when there was none.
    pub(crate) fn since(&self, mark: u64) -> i64 {
        if mark < self.known_from {
            return i64::MIN;
        }
        let at = self.recent.partition_point(|(number, _)| *number < mark);
        self.recent.get(at).map_or(i64::MAX, |(_, time)| *time)
    }
}

#[cfg(test)]
mod tests;
