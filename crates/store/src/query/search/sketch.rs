//! Quantiles of numbers in bounded memory.
//!
//! Up to [`EXACT_MAX`] numbers are kept as they are. Beyond, they are counted in bins as wide as 1/128 of the
//! numbers in them, so that a quantile is off by 0.4 % at most.

const EXACT_MAX: usize = 256;
/// Bins of one sign; numbers further from the largest than 2^32 share the last bin.
const BINS_MAX: usize = 4096;
/// The bits of a float below its exponent and 7 bits of its mantissa.
const SHIFT: u32 = 45;

/// Memory of a sketch at most (bytes), about.
pub(crate) const SKETCH_BYTES_MAX: usize = 2 * BINS_MAX * 8;

#[derive(Debug, Clone, PartialEq)]
enum Kept {
    Exact(Vec<f64>),
    Binned {
        negative: Bins,
        zeros: u64,
        positive: Bins,
    },
}

/// Finite numbers: how many, their sum, bounds, and quantiles if they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberSummary {
    pub count: u64,
    pub sum: f64,
    /// Infinite while there is no number.
    pub min: f64,
    pub max: f64,
    kept: Option<Kept>,
}

impl NumberSummary {
    pub(crate) fn new(quantiles: bool) -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            kept: quantiles.then(|| Kept::Exact(Vec::new())),
        }
    }

    /// Numbers that are not finite are left out.
    pub(crate) fn add(&mut self, number: f64) {
        if !number.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += number;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        if let Some(kept) = &mut self.kept {
            kept.add(number);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if let (Some(kept), Some(other)) = (&mut self.kept, &other.kept) {
            kept.merge(other);
        }
    }

    /// `None` without a number.
    #[expect(clippy::cast_precision_loss, reason = "an average is a float")]
    pub fn average(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The number at rank `ceil(quantile * count)`, within 0.4 %, for a quantile from 0 to 1. `None` without
    /// a number, or when quantiles were not asked for.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let kept = self.kept.as_ref().filter(|_| self.count > 0)?;
        let rank = rank(quantile, self.count);
        let found = match kept {
            Kept::Exact(numbers) => {
                let mut sorted = numbers.clone();
                sorted.sort_by(f64::total_cmp);
                let index = usize::try_from(rank.saturating_sub(1)).ok()?;
                *sorted.get(index)?
            }
            Kept::Binned {
                negative,
                zeros,
                positive,
            } => {
                let below = negative.total();
                if rank <= below {
                    // The largest magnitude comes first.
                    -negative.at_rank(below - rank + 1)
                } else if rank <= below + zeros {
                    0.0
                } else {
                    positive.at_rank(rank - below - zeros)
                }
            }
        };
        Some(found.clamp(self.min, self.max))
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the rank of a quantile is within the count"
)]
fn rank(quantile: f64, count: u64) -> u64 {
    ((quantile.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count)
}

impl Kept {
    fn add(&mut self, number: f64) {
        match self {
            Self::Exact(numbers) if numbers.len() < EXACT_MAX => numbers.push(number),
            Self::Exact(_) => {
                self.bin();
                self.add(number);
            }
            Self::Binned {
                negative,
                zeros,
                positive,
            } => {
                if number > 0.0 {
                    positive.add(bin(number), 1);
                } else if number < 0.0 {
                    negative.add(bin(-number), 1);
                } else {
                    *zeros += 1;
                }
            }
        }
    }

    fn bin(&mut self) {
        let Self::Exact(numbers) = self else {
            return;
        };
        let numbers = std::mem::take(numbers);
        *self = Self::Binned {
            negative: Bins::default(),
            zeros: 0,
            positive: Bins::default(),
        };
        for number in numbers {
            self.add(number);
        }
    }

    fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact(numbers) => numbers.iter().for_each(|number| self.add(*number)),
            Self::Binned {
                negative: more_negative,
                zeros: more_zeros,
                positive: more_positive,
            } => {
                self.bin();
                if let Self::Binned {
                    negative,
                    zeros,
                    positive,
                } = self
                {
                    negative.merge(more_negative);
                    positive.merge(more_positive);
                    *zeros += more_zeros;
                }
            }
        }
    }
}

/// Counts of positive numbers by bin; bin `first` is at index 0.
#[derive(Debug, Clone, Default, PartialEq)]
struct Bins {
    first: u32,
    counts: std::collections::VecDeque<u64>,
}

impl Bins {
    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn add(&mut self, bin: u32, count: u64) {
        if self.counts.is_empty() {
            self.first = bin;
        }
        while bin < self.first && self.counts.len() < BINS_MAX {
            self.counts.push_front(0);
            self.first -= 1;
        }
        let index = usize::try_from(bin.saturating_sub(self.first)).unwrap_or(usize::MAX);
        if index >= self.counts.len() {
            self.make_room(index);
        }
        let index = usize::try_from(bin.saturating_sub(self.first)).unwrap_or(usize::MAX);
        if let Some(counter) = self.counts.get_mut(index) {
            *counter += count;
        }
    }

    /// Makes index `last` valid, or the bin that stands there; the lowest bins are joined for it.
    fn make_room(&mut self, last: usize) {
        let too_many = (last + 1).saturating_sub(BINS_MAX);
        let mut joined = 0;
        for _ in 0..too_many {
            joined += self.counts.pop_front().unwrap_or(0);
        }
        self.first += u32::try_from(too_many).unwrap_or(u32::MAX);
        self.counts.resize(last + 1 - too_many, 0);
        if let Some(lowest) = self.counts.front_mut() {
            *lowest += joined;
        }
    }

    fn merge(&mut self, other: &Self) {
        for (bin, count) in (other.first..).zip(&other.counts) {
            if *count > 0 {
                self.add(bin, *count);
            }
        }
    }

    /// The middle of the bin that holds the number of this rank, counted from 1.
    fn at_rank(&self, rank: u64) -> f64 {
        let mut seen = 0;
        for (bin, count) in (self.first..).zip(&self.counts) {
            seen += count;
            if seen >= rank {
                return middle(bin);
            }
        }
        f64::INFINITY
    }
}

fn bin(number: f64) -> u32 {
    u32::try_from(number.to_bits() >> SHIFT).unwrap_or(u32::MAX)
}

fn middle(bin: u32) -> f64 {
    f64::from_bits((u64::from(bin) << SHIFT) | (1 << (SHIFT - 1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(numbers: &[f64], quantile: f64) -> f64 {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[usize::try_from(rank(quantile, sorted.len() as u64)).unwrap() - 1]
    }

    proptest! {
        #[test]
        fn quantiles_are_within_their_bound_however_numbers_are_merged(
            numbers in prop::collection::vec(-1e6..1e6_f64, 1..2000),
            parts in 1..5_usize,
            quantile in 0.0..=1.0_f64,
        ) {
            let mut whole = NumberSummary::new(true);
            for part in numbers.chunks(numbers.len().div_ceil(parts)) {
                let mut summary = NumberSummary::new(true);
                part.iter().for_each(|number| summary.add(*number));
                whole.merge(&summary);
            }
            let expect = exact(&numbers, quantile);
            let found = whole.quantile(quantile).unwrap();
            prop_assert!((found - expect).abs() <= expect.abs() * 0.004, "{} {}", found, expect);
            prop_assert_eq!(whole.count, numbers.len() as u64);
        }
    }

    #[test]
    fn numbers_of_every_size_fit_into_bounded_bins() {
        let mut summary = NumberSummary::new(true);
        for exponent in -300..300 {
            summary.add(10_f64.powi(exponent));
        }
        summary.add(f64::NAN);
        summary.add(f64::INFINITY);
        assert_eq!(summary.count, 600);
        let Some(Kept::Binned { positive, .. }) = &summary.kept else {
            panic!("{summary:?}");
        };
        assert!(positive.counts.len() <= BINS_MAX);
        let largest = summary.quantile(1.0).unwrap();
        assert!((largest / 1e299 - 1.0).abs() < 0.004, "{largest}");
        assert_eq!(NumberSummary::new(true).quantile(0.5), None);
        assert_eq!(NumberSummary::new(false).average(), None);
    }
}
