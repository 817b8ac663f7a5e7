//! Classic histograms at one moment: quantiles and fractions by linear interpolation within a bucket.

/// Relative difference of neighbouring counts that passes for a rounding error.
const SMALL_DELTA: f64 = 1e-12;

/// Observations up to and including an upper bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) upper_bound: f64,
    /// Cumulative.
    pub(crate) count: f64,
}

/// The buckets of one histogram, sorted by bound, each bound once.
#[derive(Debug, Clone)]
pub(crate) struct Buckets(Vec<Bucket>);

/// Counts that fell from one bucket to the next and were raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Correction {
    pub(crate) lowest_bound: f64,
    pub(crate) highest_bound: f64,
    pub(crate) largest_difference: f64,
}

impl Buckets {
    /// Sorts the buckets; the counts of equal bounds are added.
    pub(crate) fn new(mut buckets: Vec<Bucket>) -> Self {
        buckets.sort_by(|a, b| a.upper_bound.total_cmp(&b.upper_bound));
        let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            match merged.last_mut() {
                Some(last) if last.upper_bound == bucket.upper_bound => last.count += bucket.count,
                _ => merged.push(bucket),
            }
        }
        Self(merged)
    }

    /// The count of all observations; `None` without a bucket for +Inf.
    fn total(&self) -> Option<f64> {
        let last = self.0.last()?;
        (last.upper_bound == f64::INFINITY).then_some(last.count)
    }

    /// The φ-quantile, and whether counts had to be corrected for it. The lowest bucket reaches down to zero if
    /// its bound is positive; the highest has no width and answers with the bound below it.
    pub(crate) fn quantile(mut self, phi: f64) -> (f64, Option<Correction>) {
        if phi.is_nan() || self.total().is_none() {
            return (f64::NAN, None);
        }
        if phi < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if phi > 1.0 {
            return (f64::INFINITY, None);
        }
        let correction = self.make_monotonic();
        (self.interpolated(phi).unwrap_or(f64::NAN), correction)
    }

    fn interpolated(&self, phi: f64) -> Option<f64> {
        let [below @ .., highest] = &*self.0 else {
            return None;
        };
        let last_finite = below.last()?;
        if highest.count == 0.0 || highest.count.is_nan() {
            return None;
        }
        let rank = phi * highest.count;
        // A NaN count does not reach the rank either.
        let reaches = |bucket: &Bucket| bucket.count >= rank;
        let index = below.partition_point(|bucket| !reaches(bucket));
        let Some(bucket) = below.get(index) else {
            return Some(last_finite.upper_bound);
        };
        let Some(lower) = index.checked_sub(1).and_then(|index| below.get(index)) else {
            return Some(if bucket.upper_bound <= 0.0 {
                bucket.upper_bound
            } else {
                bucket.upper_bound * (rank / bucket.count)
            });
        };
        let width = bucket.upper_bound - lower.upper_bound;
        let share = (rank - lower.count) / (bucket.count - lower.count);
        Some(lower.upper_bound + width * share)
    }

    /// The share of observations between two values.
    pub(crate) fn fraction(&self, lower: f64, upper: f64) -> f64 {
        let Some(total) = self.total() else {
            return f64::NAN;
        };
        if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        let rank = |value| self.rank(value).map_or(total, |rank| rank.min(total));
        (rank(upper) - rank(lower)) / total
    }

    /// How many observations lie below a value; `None` beyond the highest bucket.
    fn rank(&self, value: f64) -> Option<f64> {
        let (mut below, mut lower_bound) = (0.0, f64::NEG_INFINITY);
        if self.0.first().is_some_and(|first| first.upper_bound > 0.0) {
            lower_bound = 0.0;
        }
        for bucket in &self.0 {
            if lower_bound >= value {
                return Some(below);
            }
            if bucket.upper_bound > value {
                if lower_bound == f64::NEG_INFINITY {
                    return Some(bucket.count);
                }
                let share = (value - lower_bound) / (bucket.upper_bound - lower_bound);
                return Some(below + (bucket.count - below) * share);
            }
            (below, lower_bound) = (bucket.count, bucket.upper_bound);
        }
        None
    }

    /// Makes the counts never fall from one bucket to the next. Differences that pass for rounding errors are
    /// corrected silently.
    fn make_monotonic(&mut self) -> Option<Correction> {
        let mut correction: Option<Correction> = None;
        let mut previous = self.0.first()?.count;
        for bucket in self.0.iter_mut().skip(1) {
            let count = bucket.count;
            if count == previous {
                continue;
            }
            if nearly_equal(previous, count) {
                bucket.count = previous;
            } else if count < previous {
                bucket.count = previous;
                let bound = bucket.upper_bound;
                let correction = correction.get_or_insert(Correction {
                    lowest_bound: bound,
                    highest_bound: bound,
                    largest_difference: 0.0,
                });
                correction.highest_bound = bound;
                correction.largest_difference = correction.largest_difference.max(previous - count);
            } else {
                previous = count;
            }
        }
        correction
    }
}

fn nearly_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}
