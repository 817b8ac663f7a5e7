//! Sums, means, quantiles and regressions with the rounding of Prometheus.

/// A running sum with its compensation for lost low-order bits (Neumaier's variant of Kahan's summation).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KahanSum {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl KahanSum {
    pub(crate) fn add(self, value: f64) -> Self {
        let sum = self.sum + value;
        let compensation = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - sum) + value)
        } else {
            self.compensation + ((value - sum) + self.sum)
        };
        Self { sum, compensation }
    }

    pub(crate) fn scale(self, factor: f64) -> Self {
        Self {
            sum: self.sum * factor,
            compensation: self.compensation * factor,
        }
    }

    pub(crate) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// An arithmetic mean that changes to an incremental form once the plain sum would overflow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    count: f64,
    state: KahanSum,
    incremental: bool,
}

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let next = self.state.add(value);
            if self.count == 1.0 || !next.sum.is_infinite() {
                self.state = next;
                return;
            }
            self.incremental = true;
            self.state = KahanSum {
                sum: self.state.sum / (self.count - 1.0),
                compensation: self.state.compensation / (self.count - 1.0),
            };
        }
        if self.state.sum.is_infinite()
            && (value.is_finite()
                || (value.is_infinite() && (value > 0.0) == (self.state.sum > 0.0)))
        {
            return;
        }
        let share = (self.count - 1.0) / self.count;
        self.state = self.state.scale(share).add(value / self.count);
    }

    pub(crate) fn value(&self) -> f64 {
        if self.incremental {
            self.state.total()
        } else {
            self.state.sum / self.count + self.state.compensation / self.count
        }
    }
}

/// A running variance (Welford's method).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Variance {
    count: f64,
    mean: KahanSum,
    squares: KahanSum,
}

impl Variance {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.total();
        self.mean = self.mean.add(delta / self.count);
        self.squares = self.squares.add(delta * (value - self.mean.total()));
    }

    /// The population variance.
    pub(crate) fn value(&self) -> f64 {
        self.squares.total() / self.count
    }
}

/// The φ-quantile with linear interpolation; sorts the values, NaN lowest.
pub(crate) fn quantile(phi: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let rank = phi * (values.len() - 1) as f64;
    let floor = rank.floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "phi is within 0 and 1, so the rank is an index"
    )]
    let lower = floor as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - floor;
    match (values.get(lower), values.get(upper)) {
        (Some(low), Some(high)) => low * (1.0 - weight) + high * weight,
        _ => f64::NAN,
    }
}

/// Orders numbers with NaN before all others.
pub(crate) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The least-squares line through points (x, y): slope, and value at x = 0.
pub(crate) fn linear_regression(points: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [KahanSum::default(); 4];
    let (mut count, mut first_y, mut constant) = (0.0, f64::NAN, true);
    for (x, y) in points {
        if count == 0.0 {
            first_y = y;
        } else if y != first_y {
            constant = false;
        }
        count += 1.0;
        x_sum = x_sum.add(x);
        y_sum = y_sum.add(y);
        xy_sum = xy_sum.add(x * y);
        xx_sum = xx_sum.add(x * x);
    }
    if constant {
        return if first_y.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first_y)
        };
    }
    let (x, y) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x * y / count;
    let variance = xx_sum.total() - x * x / count;
    let slope = covariance / variance;
    (slope, y / count - slope * x / count)
}
