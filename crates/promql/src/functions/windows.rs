//! Functions of a range vector: one number from the samples of one series in one window.

use crate::functions::Starts;
use crate::math::{KahanSum, Mean, Variance, linear_regression, quantile};
use crate::queryable::Sample;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowFunction {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

/// The samples in (`end` - `range`, `end`], staleness markers left out. Times are milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'s> {
    pub(crate) samples: &'s [Sample],
    pub(crate) end: i64,
    pub(crate) range: i64,
    /// The time of evaluation, which `offset` and `@` move away from `end`.
    pub(crate) step: i64,
    /// Of all samples of the series, floats or histograms.
    pub(crate) starts: Starts<'s>,
}

impl WindowFunction {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "avg_over_time" => Self::Avg,
            "changes" => Self::Changes,
            "count_over_time" => Self::Count,
            "delta" => Self::Delta,
            "deriv" => Self::Deriv,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "first_over_time" => Self::First,
            "idelta" => Self::Idelta,
            "increase" => Self::Increase,
            "irate" => Self::Irate,
            "last_over_time" => Self::Last,
            "mad_over_time" => Self::Mad,
            "max_over_time" => Self::Max,
            "min_over_time" => Self::Min,
            "predict_linear" => Self::PredictLinear,
            "present_over_time" => Self::Present,
            "quantile_over_time" => Self::Quantile,
            "rate" => Self::Rate,
            "resets" => Self::Resets,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "sum_over_time" => Self::Sum,
            "ts_of_first_over_time" => Self::TimeOfFirst,
            "ts_of_last_over_time" => Self::TimeOfLast,
            "ts_of_max_over_time" => Self::TimeOfMax,
            "ts_of_min_over_time" => Self::TimeOfMin,
            _ => return None,
        })
    }

    /// Whether the result is still a value of the same metric.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// Whether the function asks when a counter began.
    pub(crate) fn asks_for_starts(self) -> bool {
        matches!(
            self,
            Self::Rate | Self::Increase | Self::Irate | Self::Resets
        )
    }

    /// Whether the function is meant for counters only.
    pub(crate) fn wants_counter(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }

    /// The value for a window; `params` are the scalar arguments in order. `None` when the window has too few
    /// samples.
    pub(crate) fn apply(self, window: &Window<'_>, params: &[f64]) -> Option<f64> {
        let samples = window.samples;
        let (first, last) = (samples.first()?, samples.last()?);
        let param = |index: usize| params.get(index).copied().unwrap_or(f64::NAN);
        let values = || samples.iter().map(|sample| sample.value);
        match self {
            Self::Rate => extrapolated(window, true, true),
            Self::Increase => extrapolated(window, true, false),
            Self::Delta => extrapolated(window, false, false),
            Self::Irate => last_change(window, true),
            Self::Idelta => last_change(window, false),
            Self::Deriv => regression(samples, first.timestamp).map(|(slope, _)| slope),
            Self::PredictLinear => regression(samples, window.step)
                .map(|(slope, intercept)| slope * param(0) + intercept),
            Self::DoubleExponentialSmoothing => smoothed(samples, param(0), param(1)),
            Self::Changes => Some(count_steps(samples, |before, after| {
                let (before, after) = (before.value, after.value);
                before != after && !(before.is_nan() && after.is_nan())
            })),
            Self::Resets => Some(count_steps(samples, |before, after| {
                window.is_reset(before, after)
            })),
            Self::Avg => {
                let mut mean = Mean::default();
                values().for_each(|value| mean.add(value));
                Some(mean.value())
            }
            Self::Sum => Some(values().fold(KahanSum::default(), KahanSum::add).total()),
            Self::Count => Some(samples.len() as f64),
            Self::Present => Some(1.0),
            Self::First => Some(first.value),
            Self::Last => Some(last.value),
            Self::Max => extreme(samples, |value, best| value > best).map(|sample| sample.value),
            Self::Min => extreme(samples, |value, best| value < best).map(|sample| sample.value),
            Self::TimeOfFirst => Some(seconds(first.timestamp)),
            Self::TimeOfLast => Some(seconds(last.timestamp)),
            Self::TimeOfMax => extreme(samples, |value, best| value >= best)
                .map(|sample| seconds(sample.timestamp)),
            Self::TimeOfMin => extreme(samples, |value, best| value <= best)
                .map(|sample| seconds(sample.timestamp)),
            Self::Stddev => Some(variance(samples).sqrt()),
            Self::Stdvar => Some(variance(samples)),
            Self::Quantile => Some(quantile(param(0), &mut values().collect::<Vec<_>>())),
            Self::Mad => {
                let mut all: Vec<f64> = values().collect();
                let median = quantile(0.5, &mut all);
                all.iter_mut()
                    .for_each(|value| *value = (*value - median).abs());
                Some(quantile(0.5, &mut all))
            }
        }
    }
}

pub(crate) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// `rate`, `increase` and `delta`: the change over the window, extended to the window's ends when the first
/// and last samples lie near enough to them (within 1.1 of the mean distance between samples; otherwise by
/// half of it), but for counters never to before the moment when the counter was zero. Where it is known that this
/// moment lies in the window, the change begins there.
fn extrapolated(window: &Window<'_>, counter: bool, per_second: bool) -> Option<f64> {
    let (first, last) = (window.samples.first()?, window.samples.last()?);
    let began = window.began(counter, first.timestamp);
    if window.samples.len() < 2 && began.is_none() {
        return None;
    }
    let mut change = last.value - first.value;
    if counter {
        let pairs = window.samples.iter().zip(window.samples.iter().skip(1));
        change += pairs
            .filter(|(before, after)| window.is_reset(**before, **after))
            .fold(0.0, |resets, (before, _)| resets + before.value);
    }
    let sampled = Sampled {
        first: first.timestamp,
        last: last.timestamp,
        count: window.samples.len(),
        began,
        zero: (counter && change > 0.0 && first.value >= 0.0).then(|| first.value / change),
    };
    if began.is_some() {
        change += first.value;
    }
    Some(change * window.extrapolation(sampled, per_second))
}

/// What of a window is covered by samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampled {
    /// Milliseconds.
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) count: usize,
    /// When a counter is known to have been zero, in the window and before the first sample (milliseconds).
    pub(crate) began: Option<i64>,
    /// How long before the first sample a counter was zero, as a multiple of the sampled time.
    pub(crate) zero: Option<f64>,
}

impl Window<'_> {
    /// Whether a counter began anew between two samples.
    fn is_reset(&self, before: Sample, after: Sample) -> bool {
        after.value < before.value || self.starts.is_reset(before.timestamp, after.timestamp)
    }

    /// When a counter is known to have been zero, in the window and before its first sample (milliseconds).
    pub(crate) fn began(&self, counter: bool, first: i64) -> Option<i64> {
        let start = self.end.saturating_sub(self.range);
        self.starts
            .zero_within(start, first)
            .filter(|_zero| counter)
    }

    /// The factor that extends a change between the first and last sample to the window.
    pub(crate) fn extrapolation(&self, sampled: Sampled, per_second: bool) -> f64 {
        let mut covered = seconds(sampled.last - sampled.first);
        let mean_distance = match sampled.count {
            0 | 1 => 0.0,
            count => covered / (count - 1) as f64,
        };
        let threshold = mean_distance * 1.1;
        let bounded = |distance: f64| {
            if distance >= threshold {
                mean_distance / 2.0
            } else {
                distance
            }
        };
        let mut to_start = bounded(seconds(sampled.first - (self.end - self.range)));
        let to_end = bounded(seconds(self.end - sampled.last));
        if let Some(zero) = sampled.zero {
            to_start = to_start.min(covered * zero);
        }
        if let Some(began) = sampled.began {
            (covered, to_start) = (seconds(sampled.last - began), 0.0);
        }
        let factor = (covered + to_start + to_end) / covered;
        if per_second {
            factor / seconds(self.range)
        } else {
            factor
        }
    }
}

/// `irate` and `idelta`: the change between the last two samples.
fn last_change(window: &Window<'_>, rate: bool) -> Option<f64> {
    let [.., before, last] = window.samples else {
        return None;
    };
    let elapsed = last.timestamp - before.timestamp;
    if elapsed == 0 {
        return None;
    }
    if !rate {
        return Some(last.value - before.value);
    }
    let change = if window.is_reset(*before, *last) {
        last.value
    } else {
        last.value - before.value
    };
    Some(change / seconds(elapsed))
}

fn regression(samples: &[Sample], zero: i64) -> Option<(f64, f64)> {
    if samples.len() < 2 {
        return None;
    }
    Some(linear_regression(samples.iter().map(|sample| {
        (seconds(sample.timestamp - zero), sample.value)
    })))
}

/// Holt's double exponential smoothing with a smoothing and a trend factor.
fn smoothed(samples: &[Sample], smoothing: f64, trend_factor: f64) -> Option<f64> {
    let [first, second, ..] = samples else {
        return None;
    };
    let (mut level, mut trend) = (first.value, second.value - first.value);
    let mut previous = None;
    for sample in samples.iter().skip(1) {
        if let Some(before) = previous {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        previous = Some(level);
        level = smoothing * sample.value + (1.0 - smoothing) * (level + trend);
    }
    Some(level)
}

fn count_steps(samples: &[Sample], counts: impl Fn(Sample, Sample) -> bool) -> f64 {
    samples
        .iter()
        .zip(samples.iter().skip(1))
        .filter(|(before, after)| counts(**before, **after))
        .count() as f64
}

/// The sample whose value `beats` all before it; NaN is beaten by any number.
fn extreme(samples: &[Sample], beats: impl Fn(f64, f64) -> bool) -> Option<Sample> {
    samples.iter().copied().reduce(|best, sample| {
        if beats(sample.value, best.value) || best.value.is_nan() {
            sample
        } else {
            best
        }
    })
}

fn variance(samples: &[Sample]) -> f64 {
    let mut variance = Variance::default();
    samples.iter().for_each(|sample| variance.add(sample.value));
    variance.value()
}
