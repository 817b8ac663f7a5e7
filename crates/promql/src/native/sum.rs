//! Sums and means of native histograms, with compensation for lost low-order bits in every bucket.

use std::sync::Arc;

use crate::math::KahanSum;
use crate::native::{Incompatible, NativeHistogram, align, slot};

/// A running sum: the value, and what rounding took from it, in the same layout.
struct Running {
    value: NativeHistogram,
    lost: NativeHistogram,
    reconciled: bool,
}

impl Running {
    fn new(first: &NativeHistogram) -> Self {
        let lost = NativeHistogram {
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            custom_bounds: first.custom_bounds.clone(),
            ..NativeHistogram::default()
        };
        Self {
            value: first.clone(),
            lost,
            reconciled: false,
        }
    }

    fn add(&mut self, other: &NativeHistogram) -> Result<(), Incompatible> {
        let mut other = other.clone();
        self.reconciled |= align(&mut self.value, &mut other)?;
        if self.value.has_custom_bounds() {
            if self.lost.custom_bounds != self.value.custom_bounds {
                self.lost.adopt_bounds(&self.value.custom_bounds);
            }
        } else {
            self.lost.absorb_into_zero(self.value.zero_threshold);
            self.lost.coarsen(self.value.schema);
        }
        let (value, lost) = (&mut self.value, &mut self.lost);
        add_one(
            &mut value.zero_count,
            &mut lost.zero_count,
            other.zero_count,
        );
        add_one(&mut value.count, &mut lost.count, other.count);
        add_one(&mut value.sum, &mut lost.sum, other.sum);
        for (value, lost, other) in [
            (&mut value.positive, &mut lost.positive, &other.positive),
            (&mut value.negative, &mut lost.negative, &other.negative),
        ] {
            for (index, count) in other {
                add_one(slot(value, *index), slot(lost, *index), *count);
            }
        }
        value.reset_hint = value.reset_hint.joined(other.reset_hint);
        Ok(())
    }

    fn finish(mut self) -> NativeHistogram {
        self.value.add_aligned(&self.lost, 1.0);
        self.value.compacted()
    }
}

fn add_one(value: &mut f64, lost: &mut f64, addend: f64) {
    let sum = KahanSum {
        sum: *value,
        compensation: *lost,
    };
    let sum = sum.add(addend);
    (*value, *lost) = (sum.sum, sum.compensation);
}

/// The sum of histograms, and whether custom bounds had to be reconciled; `None` of none.
pub(crate) fn total(
    histograms: &[Arc<NativeHistogram>],
) -> Result<Option<(NativeHistogram, bool)>, Incompatible> {
    let Some((first, rest)) = histograms.split_first() else {
        return Ok(None);
    };
    let mut running = Running::new(first);
    for histogram in rest {
        running.add(histogram)?;
    }
    let reconciled = running.reconciled;
    Ok(Some((running.finish(), reconciled)))
}

/// The mean of histograms; as [`total`], but it does not overflow where the sum would.
pub(crate) fn mean(
    histograms: &[Arc<NativeHistogram>],
) -> Result<Option<(NativeHistogram, bool)>, Incompatible> {
    let Some((sum, reconciled)) = total(histograms)? else {
        return Ok(None);
    };
    let count = histograms.len() as f64;
    let counts = sum
        .positive
        .iter()
        .chain(&sum.negative)
        .map(|(_, count)| *count);
    let mut all = counts.chain([sum.count, sum.sum, sum.zero_count]);
    if !all.any(f64::is_infinite) {
        return Ok(Some((sum.divided(count), reconciled)));
    }
    let shares: Vec<_> = histograms
        .iter()
        .map(|histogram| Arc::new(NativeHistogram::clone(histogram).divided(count)))
        .collect();
    total(&shares)
}
