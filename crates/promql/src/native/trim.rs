//! Histograms of those observations only that lie below, or above, a value.

use crate::native::{NativeHistogram, Span};

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Below,
    Above,
}

/// What stays of a bucket: a count, and the value that its observations are taken to have.
#[derive(Debug, Clone, Copy)]
struct Kept {
    count: f64,
    middle: f64,
}

const NOTHING: Kept = Kept {
    count: 0.0,
    middle: 0.0,
};

impl NativeHistogram {
    /// Leaves out the observations on the other side of a limit. A bucket that the limit cuts is divided by
    /// interpolation; the sum is estimated from the middles of what stays. A histogram that loses nothing stays
    /// as it is.
    pub(crate) fn trimmed(&self, limit: f64, keep: Keep) -> Self {
        let mut trimmed = self.clone();
        (trimmed.count, trimmed.sum) = (0.0, 0.0);
        let mut cut = false;
        let mut take = |count: &mut f64, kept: Kept| {
            cut |= *count != kept.count;
            *count = kept.count;
            trimmed.count += kept.count;
            trimmed.sum += kept.count * kept.middle;
        };
        for (index, count) in &mut trimmed.positive {
            let (lower, upper) = (self.bound(*index - 1), self.bound(*index));
            let span = Span {
                lower,
                upper,
                count: *count,
            };
            take(count, self.kept(span, limit, keep));
        }
        for (index, count) in &mut trimmed.negative {
            let (lower, upper) = (-self.bound(*index), -self.bound(*index - 1));
            let span = Span {
                lower,
                upper,
                count: *count,
            };
            take(count, self.kept(span, limit, keep));
        }
        if trimmed.zero_count > 0.0 {
            let span = Span {
                lower: -self.zero_threshold,
                upper: self.zero_threshold,
                count: self.zero_count,
            };
            let kept = self.kept(self.effective(span), limit, keep);
            take(&mut trimmed.zero_count, kept);
        }
        if cut {
            trimmed.compacted()
        } else {
            self.clone()
        }
    }

    fn kept(&self, span: Span, limit: f64, keep: Keep) -> Kept {
        let Span {
            lower,
            upper,
            count,
        } = span;
        let (all, none) = match keep {
            Keep::Below => (upper <= limit && lower < limit, lower >= limit),
            Keep::Above => (lower >= limit, upper <= limit),
        };
        let linear = self.has_custom_bounds() || (lower <= 0.0 && upper >= 0.0);
        if all {
            let middle = middle_of(lower, upper, linear);
            return Kept { count, middle };
        }
        if none || limit.is_nan() {
            return NOTHING;
        }
        if lower == f64::NEG_INFINITY || upper == f64::INFINITY {
            return kept_of_endless(span, limit, keep);
        }
        let below = self.share_below(span, limit);
        match keep {
            Keep::Below => Kept {
                count: count * below,
                middle: middle_of(lower, limit, linear),
            },
            Keep::Above => Kept {
                count: count * (1.0 - below),
                middle: middle_of(limit, upper, linear),
            },
        }
    }
}

/// The middle of a part of a bucket: geometric where buckets grow exponentially.
fn middle_of(lower: f64, upper: f64, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        // Observations in the lowest bucket are taken to be positive where they can be.
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        _ if linear => f64::midpoint(lower, upper),
        _ => (lower * upper).sqrt().copysign(upper),
    }
}

/// What stays of a bucket without an end that a limit cuts. Nothing is known of how its observations are spread.
fn kept_of_endless(span: Span, limit: f64, keep: Keep) -> Kept {
    let Span {
        lower,
        upper,
        count,
    } = span;
    if lower != f64::NEG_INFINITY {
        return match keep {
            Keep::Below => NOTHING,
            Keep::Above => Kept {
                count,
                middle: limit,
            },
        };
    }
    let from_zero = upper > 0.0 && upper.is_finite() && limit >= 0.0;
    match keep {
        // It is taken to begin at zero.
        Keep::Below if from_zero => Kept {
            count: count * limit / upper,
            middle: limit / 2.0,
        },
        Keep::Above if from_zero => Kept {
            count: count * (1.0 - limit / upper),
            middle: f64::midpoint(limit, upper),
        },
        Keep::Below if upper <= 0.0 => Kept {
            count,
            middle: limit,
        },
        _ => NOTHING,
    }
}
