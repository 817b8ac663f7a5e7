//! Quantiles, fractions and spread of native histograms.

use crate::math::KahanSum;
use crate::native::{NativeHistogram, Span};

/// A quantile, and what observations of NaN did to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Quantile {
    Plain(f64),
    /// Too high, as NaN counts as higher than all else.
    Skewed(f64),
    /// It falls among the NaN observations.
    AmongNan,
}

impl NativeHistogram {
    /// The φ-quantile: interpolated exponentially in exponential buckets, linearly in custom and zero buckets.
    pub(crate) fn quantile(&self, phi: f64) -> Quantile {
        if phi < 0.0 {
            return Quantile::Plain(f64::NEG_INFINITY);
        }
        if phi > 1.0 {
            return Quantile::Plain(f64::INFINITY);
        }
        if self.count == 0.0 || phi.is_nan() {
            return Quantile::Plain(f64::NAN);
        }
        // Counting from the nearer end loses less to rounding, but NaN observations sit at the upper end.
        let from_below = self.sum.is_nan() || phi < 0.5;
        let rank = if from_below { phi } else { 1.0 - phi } * self.count;
        let mut spans = self.spans();
        if !from_below {
            spans.reverse();
        }
        let mut counted = 0.0;
        let mut found = None;
        for span in spans.iter().filter(|span| span.count != 0.0) {
            counted += span.count;
            found = Some(*span);
            if counted >= rank {
                break;
            }
        }
        if self.sum.is_nan() && counted.min(self.count) < rank {
            return Quantile::AmongNan;
        }
        let Some(span) = found else {
            return if self.sum.is_nan() {
                Quantile::AmongNan
            } else {
                Quantile::Plain(f64::NAN)
            };
        };
        let counted = counted.min(self.count);
        let within = if from_below {
            rank - (counted - span.count)
        } else {
            counted - rank
        };
        let value = self.interpolated(span, within / span.count);
        if self.sum.is_nan() {
            Quantile::Skewed(value)
        } else {
            Quantile::Plain(value)
        }
    }

    /// The value at a share of the way through a bucket.
    fn interpolated(&self, span: Span, share: f64) -> f64 {
        if self.has_custom_bounds() {
            if span.upper == f64::INFINITY {
                return span.lower;
            }
            if span.lower == f64::NEG_INFINITY && span.upper <= 0.0 {
                return span.upper;
            }
        }
        let Span { lower, upper, .. } = self.effective(span);
        if self.has_custom_bounds() || (lower <= 0.0 && upper >= 0.0) {
            return lower + (upper - lower) * share;
        }
        let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
        if lower > 0.0 {
            (log_lower + (log_upper - log_lower) * share).exp2()
        } else {
            -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2()
        }
    }

    /// A bucket with the bounds that interpolation uses: the zero bucket of a one-sided histogram and the
    /// lowest custom bucket begin (or end) at zero.
    pub(super) fn effective(&self, mut span: Span) -> Span {
        if self.has_custom_bounds() {
            if span.lower == f64::NEG_INFINITY && span.upper > 0.0 {
                span.lower = 0.0;
            }
        } else if span.lower <= 0.0 && span.upper >= 0.0 {
            if self.negative.is_empty() && !self.positive.is_empty() {
                span.lower = 0.0;
            } else if self.positive.is_empty() && !self.negative.is_empty() {
                span.upper = 0.0;
            }
        }
        span
    }

    /// The share of observations between two values; NaN observations lie nowhere.
    pub(crate) fn fraction(&self, lower: f64, upper: f64) -> f64 {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        (self.rank(upper) - self.rank(lower)) / self.count
    }

    /// How many observations lie below a value.
    fn rank(&self, value: f64) -> f64 {
        let mut below = 0.0;
        for span in self.spans() {
            let span = self.effective(span);
            if span.lower >= value {
                return below;
            }
            if span.upper > value {
                return below + span.count * self.share_below(span, value);
            }
            below += span.count;
        }
        if self.sum.is_nan() { below } else { self.count }
    }

    /// The share of a bucket that lies below a value inside it.
    pub(super) fn share_below(&self, span: Span, value: f64) -> f64 {
        let Span { lower, upper, .. } = span;
        if lower == f64::NEG_INFINITY {
            return 1.0;
        }
        if self.has_custom_bounds() || (lower <= 0.0 && upper >= 0.0) {
            return (value - lower) / (upper - lower);
        }
        let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
        let log_value = value.abs().log2();
        if value > 0.0 {
            (log_value - log_lower) / (log_upper - log_lower)
        } else {
            1.0 - (log_value - log_upper) / (log_lower - log_upper)
        }
    }

    /// The estimated variance: every observation is taken to lie in the middle of its bucket.
    pub(crate) fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let squares = self
            .spans()
            .into_iter()
            .filter(|span| span.count != 0.0)
            .fold(KahanSum::default(), |squares, span| {
                let distance = self.middle(span) - mean;
                squares.add(span.count * distance * distance)
            });
        squares.total() / self.count
    }

    fn middle(&self, span: Span) -> f64 {
        let Span { lower, upper, .. } = span;
        if self.has_custom_bounds() {
            (lower + upper) / 2.0
        } else if lower <= 0.0 && upper >= 0.0 {
            0.0
        } else {
            (lower * upper).sqrt().copysign(upper)
        }
    }
}
