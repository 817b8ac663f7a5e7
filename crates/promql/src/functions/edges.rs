//! Ranges with values at their edges, and what lies around a time.

use crate::native::{HistogramSample, NativeHistogram};
use crate::queryable::Sample;

/// A range (milliseconds) after `start` and up to `end` whose edges have values: those of samples outside it, or
/// (smoothed) values between two samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdgedRange {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) smoothed: bool,
}

/// Something at a time.
pub(crate) trait Timed {
    fn time(&self) -> i64;
}

impl Timed for Sample {
    fn time(&self) -> i64 {
        self.timestamp
    }
}

impl Timed for HistogramSample {
    fn time(&self) -> i64 {
        self.timestamp
    }
}

/// Where a value at a time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'s, T> {
    One(&'s T),
    Between(&'s T, &'s T),
}

impl EdgedRange {
    /// The samples from that which gives the value at the start to that which gives the value at the end; none
    /// where there is nothing to measure.
    pub(crate) fn bounding<'s, T: Timed>(&self, samples: &'s [T]) -> &'s [T] {
        let after_start = samples.partition_point(|sample| sample.time() <= self.start);
        let before_end = samples.partition_point(|sample| sample.time() < self.end);
        let to = if self.smoothed {
            samples.len().min(before_end + 1)
        } else {
            samples.len()
        };
        let bounding = samples.get(after_start.saturating_sub(1)..to);
        match bounding.unwrap_or_default() {
            [.., last] if last.time() <= self.start => &[],
            [first, ..] if self.smoothed && first.time() > self.end => &[],
            bounding => bounding,
        }
    }

    /// Where the value at the start comes from.
    pub(crate) fn left<'s, T: Timed>(&self, bounding: &'s [T]) -> Option<Source<'s, T>> {
        match bounding {
            [first, second, ..] if self.smoothed && first.time() < self.start => {
                Some(Source::Between(first, second))
            }
            bounding => bounding.first().map(Source::One),
        }
    }

    /// Where the value at the end comes from.
    pub(crate) fn right<'s, T: Timed>(&self, bounding: &'s [T]) -> Option<Source<'s, T>> {
        match bounding {
            [.., before, last] if self.smoothed && last.time() > self.end => {
                Some(Source::Between(before, last))
            }
            bounding => bounding.last().map(Source::One),
        }
    }

    /// What lies truly inside.
    pub(crate) fn inside<'s, T: Timed>(&self, bounding: &'s [T]) -> &'s [T] {
        let from = bounding.partition_point(|sample| sample.time() <= self.start);
        let to = bounding.partition_point(|sample| sample.time() < self.end);
        bounding.get(from..to).unwrap_or_default()
    }

    /// The change of floats over the range, with the resets of a counter.
    pub(crate) fn float_change(&self, samples: &[Sample], counter: bool) -> Option<f64> {
        let bounding = self.bounding(samples);
        let left = float_at(self.left(bounding)?, self.start, counter);
        let right = float_at(self.right(bounding)?, self.end, counter);
        let mut change = right - left;
        if counter {
            let mut previous = left;
            let inside = self.inside(bounding).iter().map(|sample| sample.value);
            for value in inside.chain([right]) {
                if value < previous {
                    change += previous;
                }
                previous = value;
            }
        }
        Some(change)
    }

    /// The values from which a counter of histograms has fallen, between its values at the start and at the end.
    pub(crate) fn lost_by_resets<'h>(
        &self,
        bounding: &'h [HistogramSample],
        left: &'h NativeHistogram,
        right: &'h NativeHistogram,
    ) -> Vec<&'h NativeHistogram> {
        let (mut previous, mut skip) = (left, 1);
        if let Some(Source::Between(before, after)) = self.left(bounding)
            && after.histogram.is_reset_after(&before.histogram)
        {
            // The value at the start lies after this reset, so it counts no more.
            (previous, skip) = (&*after.histogram, 2);
        }
        let Some((_, inside)) = bounding.get(skip..).and_then(<[_]>::split_last) else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        for histogram in inside
            .iter()
            .map(|sample| &*sample.histogram)
            .chain([right])
        {
            if histogram.is_reset_after(previous) {
                lost.push(previous);
            }
            previous = histogram;
        }
        lost
    }
}

/// The value at a time. A counter that was reset between two samples grows from zero.
pub(crate) fn float_at(source: Source<'_, Sample>, time: i64, counter: bool) -> f64 {
    match source {
        Source::One(sample) => sample.value,
        Source::Between(before, after) => {
            let reset = counter && after.value < before.value;
            let from = if reset { 0.0 } else { before.value };
            from + (after.value - from) * fraction(before, after, time)
        }
    }
}

/// How far a time is from one sample to the next.
pub(crate) fn fraction<T: Timed>(before: &T, after: &T, time: i64) -> f64 {
    (time - before.time()) as f64 / (after.time() - before.time()) as f64
}

/// Where the value at a time comes from: the sample at that time, those around it, or the last before it.
pub(crate) fn around<T: Timed>(samples: &[T], time: i64) -> Option<Source<'_, T>> {
    let next = samples.partition_point(|sample| sample.time() < time);
    let before = next.checked_sub(1).and_then(|index| samples.get(index));
    match (before, samples.get(next)) {
        (_, Some(exact)) if exact.time() == time => Some(Source::One(exact)),
        (Some(before), Some(after)) => Some(Source::Between(before, after)),
        (Some(before), None) => Some(Source::One(before)),
        (None, _) => None,
    }
}
