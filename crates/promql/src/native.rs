//! Native histograms: sparse buckets whose bounds follow from a schema, or from a list of custom bounds.
//!
//! Counts are floats and may be negative (after a subtraction). Two histograms meet in the coarser layout of
//! both: the lower resolution, the wider zero bucket, the custom bounds that both have.

mod stats;
mod sum;
mod text;
mod trim;

use std::sync::Arc;

use vervet_model::Labels;

use crate::queryable::is_stale;

pub(crate) use stats::Quantile;
pub(crate) use sum::{mean, total};
pub(crate) use trim::Keep;

/// The schema of histograms with custom bounds.
pub const CUSTOM_SCHEMA: i32 = -53;

/// What a histogram says of the one before it in its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    /// It is no counter at all.
    Gauge,
}

impl ResetHint {
    /// Whether two histograms of a sum contradict one another.
    pub(crate) fn contradicts(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Reset, Self::NotReset) | (Self::NotReset, Self::Reset)
        )
    }

    /// What is known of a sum of two histograms.
    pub(crate) fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Gauge, _) | (_, Self::Gauge) => Self::Gauge,
            (one, two) if one == two => one,
            _ => Self::Unknown,
        }
    }
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NativeHistogram {
    /// -4 to 8: bucket `i` ends at 2^(i / 2^schema); [`CUSTOM_SCHEMA`]: bucket `i` ends at `custom_bounds[i]`.
    pub schema: i32,
    /// Observations from minus to plus this are in the zero bucket.
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    /// Bucket index and count, sorted by index, each index once.
    pub positive: Vec<(i32, f64)>,
    /// As `positive`, with mirrored bounds.
    pub negative: Vec<(i32, f64)>,
    /// Upper bounds, ascending, without +Inf.
    pub custom_bounds: Vec<f64>,
    pub reset_hint: ResetHint,
}

/// A histogram of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// A histogram whose sum is the staleness marker ends the series.
    pub histogram: Arc<NativeHistogram>,
}

/// A label set with its histograms, sorted by time, at most one per timestamp.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSeries {
    pub labels: Labels,
    pub samples: Vec<HistogramSample>,
}

/// One histogram has custom bounds and the other has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one histogram has custom bounds and the other has not")]
pub struct Incompatible;

/// A bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

impl NativeHistogram {
    pub fn has_custom_bounds(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    pub(crate) fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }

    /// The upper bound of a positive bucket.
    fn bound(&self, index: i32) -> f64 {
        if !self.has_custom_bounds() {
            return (f64::from(index) * (-f64::from(self.schema)).exp2()).exp2();
        }
        match usize::try_from(index) {
            Ok(index) => self
                .custom_bounds
                .get(index)
                .copied()
                .unwrap_or(f64::INFINITY),
            Err(_negative) => f64::NEG_INFINITY,
        }
    }

    /// All buckets from the lowest to the highest; empty ones may be left out.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let below = self.negative.iter().rev().map(|(index, count)| Span {
            lower: -self.bound(*index),
            upper: -self.bound(index - 1),
            count: *count,
        });
        let zero = Span {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            count: self.zero_count,
        };
        let above = self.positive.iter().map(|(index, count)| Span {
            lower: self.bound(index - 1),
            upper: self.bound(*index),
            count: *count,
        });
        let zero = Some(zero).filter(|zero| zero.count != 0.0);
        below.chain(zero).chain(above).collect()
    }

    /// Multiplies every count and the sum.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        self.zero_count *= factor;
        self.count *= factor;
        self.sum *= factor;
        for (_, count) in self.positive.iter_mut().chain(&mut self.negative) {
            *count *= factor;
        }
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
        self.compacted()
    }

    /// Divides every count and the sum; division by zero leaves no buckets.
    pub(crate) fn divided(mut self, divisor: f64) -> Self {
        self.zero_count /= divisor;
        self.count /= divisor;
        self.sum /= divisor;
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        for (_, count) in self.positive.iter_mut().chain(&mut self.negative) {
            *count /= divisor;
        }
        if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
        self.compacted()
    }

    /// Leaves out empty buckets.
    #[must_use]
    pub fn compacted(mut self) -> Self {
        self.positive.retain(|(_, count)| *count != 0.0);
        self.negative.retain(|(_, count)| *count != 0.0);
        self
    }

    /// Adds another histogram; the flag says whether custom bounds had to be reconciled.
    ///
    /// # Errors
    /// Only one of the two has custom bounds.
    pub fn plus(&self, other: &Self) -> Result<(Self, bool), Incompatible> {
        let (mut a, mut b) = (self.clone(), other.clone());
        let reconciled = align(&mut a, &mut b)?;
        a.reset_hint = self.reset_hint.joined(other.reset_hint);
        a.add_aligned(&b, 1.0);
        Ok((a.compacted(), reconciled))
    }

    /// Subtracts another histogram; the result is a gauge.
    ///
    /// # Errors
    /// Only one of the two has custom bounds.
    pub fn minus(&self, other: &Self) -> Result<(Self, bool), Incompatible> {
        let (mut a, mut b) = (self.clone(), other.clone());
        let reconciled = align(&mut a, &mut b)?;
        a.reset_hint = ResetHint::Gauge;
        a.add_aligned(&b, -1.0);
        Ok((a.compacted(), reconciled))
    }

    fn add_aligned(&mut self, other: &Self, factor: f64) {
        self.zero_count += factor * other.zero_count;
        self.count += factor * other.count;
        self.sum += factor * other.sum;
        for (into, from) in [
            (&mut self.positive, &other.positive),
            (&mut self.negative, &other.negative),
        ] {
            for (index, count) in from {
                *slot(into, *index) += factor * count;
            }
        }
    }

    /// Whether two histograms hold the same, whatever they say of their predecessors.
    pub(crate) fn same_observations(&self, other: &Self) -> bool {
        let plain = |histogram: &Self| {
            let mut plain = histogram.clone().compacted();
            plain.reset_hint = ResetHint::Unknown;
            plain
        };
        plain(self) == plain(other)
    }

    /// Whether the counter began anew between an earlier histogram and this one.
    pub(crate) fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            // A gauge that is used as a counter is treated as one.
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count
            || self.has_custom_bounds() != previous.has_custom_bounds()
            || self.zero_threshold < previous.zero_threshold
            || self.schema > previous.schema
        {
            return true;
        }
        let (mut now, mut before) = (self.clone(), previous.clone());
        if align(&mut now, &mut before).is_err() || now.zero_threshold != self.zero_threshold {
            return true;
        }
        let fell = |now: &[(i32, f64)], before: &[(i32, f64)]| {
            before.iter().any(|(index, count)| {
                let found = now.binary_search_by_key(index, |(index, _)| *index);
                let current = found
                    .ok()
                    .and_then(|at| now.get(at))
                    .map_or(0.0, |(_, count)| *count);
                current < *count
            })
        };
        now.zero_count < before.zero_count
            || fell(&now.positive, &before.positive)
            || fell(&now.negative, &before.negative)
    }

    /// Joins buckets until the schema is reached, which must not be finer than the present one.
    fn coarsen(&mut self, schema: i32) {
        let steps = self.schema - schema;
        if steps <= 0 || self.has_custom_bounds() {
            return;
        }
        self.schema = schema;
        for buckets in [&mut self.positive, &mut self.negative] {
            remap(buckets, |index| ((index - 1) >> steps.min(31)) + 1);
        }
    }

    /// Widens the zero bucket to at least a threshold; a populated bucket goes into it whole or not at all.
    fn widen_zero(&mut self, threshold: f64) {
        let mut threshold = threshold;
        while let Some(upper) = self.upper_across(threshold) {
            threshold = upper;
        }
        self.absorb_into_zero(threshold);
    }

    /// The highest bound of the populated buckets that a threshold cuts through.
    fn upper_across(&self, threshold: f64) -> Option<f64> {
        let cut = |(index, count): &&(i32, f64)| {
            *count != 0.0 && self.bound(index - 1) < threshold && self.bound(*index) > threshold
        };
        let both = self.positive.iter().chain(&self.negative);
        both.filter(cut)
            .map(|(index, _)| self.bound(*index))
            .reduce(f64::max)
    }

    fn absorb_into_zero(&mut self, threshold: f64) {
        let within: Vec<i32> = self
            .positive
            .iter()
            .chain(&self.negative)
            .map(|(index, _)| *index)
            .filter(|index| self.bound(index - 1) < threshold)
            .collect();
        let mut absorbed = 0.0;
        for buckets in [&mut self.positive, &mut self.negative] {
            buckets.retain(|(index, count)| {
                let inside = within.contains(index);
                if inside {
                    absorbed += count;
                }
                !inside
            });
        }
        self.zero_count += absorbed;
        self.zero_threshold = threshold;
    }

    /// Moves the counts to fewer custom bounds, all of which are bounds of this histogram.
    fn adopt_bounds(&mut self, bounds: &[f64]) {
        let old = std::mem::replace(&mut self.custom_bounds, bounds.to_vec());
        remap(&mut self.positive, |index| {
            let upper = usize::try_from(index).ok().and_then(|index| old.get(index));
            let upper = upper.copied().unwrap_or(f64::INFINITY);
            let at = bounds.partition_point(|bound| *bound < upper);
            i32::try_from(at).unwrap_or(i32::MAX)
        });
    }
}

/// Brings two histograms into one layout; the flag says whether their custom bounds differed.
fn align(a: &mut NativeHistogram, b: &mut NativeHistogram) -> Result<bool, Incompatible> {
    if a.has_custom_bounds() != b.has_custom_bounds() {
        return Err(Incompatible);
    }
    if a.has_custom_bounds() {
        if a.custom_bounds == b.custom_bounds {
            return Ok(false);
        }
        let common: Vec<f64> = a
            .custom_bounds
            .iter()
            .copied()
            .filter(|bound| b.custom_bounds.contains(bound))
            .collect();
        a.adopt_bounds(&common);
        b.adopt_bounds(&common);
        return Ok(true);
    }
    while a.zero_threshold != b.zero_threshold {
        if a.zero_threshold < b.zero_threshold {
            a.widen_zero(b.zero_threshold);
        } else if a.zero_threshold > b.zero_threshold {
            b.widen_zero(a.zero_threshold);
        } else {
            break;
        }
    }
    let schema = a.schema.min(b.schema);
    a.coarsen(schema);
    b.coarsen(schema);
    Ok(false)
}

/// The count of a bucket, made if it is not there.
fn slot(buckets: &mut Vec<(i32, f64)>, index: i32) -> &mut f64 {
    let at = match buckets.binary_search_by_key(&index, |(index, _)| *index) {
        Ok(at) => at,
        Err(at) => {
            buckets.insert(at, (index, 0.0));
            at
        }
    };
    &mut buckets[at].1
}

/// Gives every bucket a new index; counts of equal ones are added. The order must not change.
fn remap(buckets: &mut Vec<(i32, f64)>, map: impl Fn(i32) -> i32) {
    let mut mapped: Vec<(i32, f64)> = Vec::with_capacity(buckets.len());
    for (index, count) in buckets.drain(..) {
        let index = map(index);
        match mapped.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => mapped.push((index, count)),
        }
    }
    *buckets = mapped;
}
