//! Histograms and summaries as the several series Prometheus keeps for each.

use vervet_wire::otlp::{HistogramPoint, SummaryPoint};

use super::metrics::{Decoder, STALE_NAN};
use super::reason;
use super::samples::Family;

/// Explicit bounds of one histogram point. Each becomes a series; points with more are refused.
pub(super) const BUCKETS_MAX: usize = 1_000;
/// Quantiles of one summary point. Each becomes a series; points with more are refused.
pub(super) const QUANTILES_MAX: usize = 1_000;

impl Decoder<'_, '_> {
    /// `_bucket` with cumulative counts per upper bound `le`, `_count`, and `_sum` if there is one.
    pub(super) fn push_histogram(
        &mut self,
        scraped: bool,
        family: Family<'_>,
        point: &HistogramPoint<'_>,
    ) -> Result<(), &'static str> {
        let bounds = &point.explicit_bounds;
        let counts = &point.bucket_counts;
        if bounds.len() > BUCKETS_MAX {
            return Err(reason::TOO_MANY_BUCKETS);
        }
        let paired = counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty());
        if !paired || bounds.windows(2).any(|pair| pair.first() >= pair.last()) {
            return Err(reason::INVALID_HISTOGRAM);
        }
        let stale = point.no_recorded_value();
        let count = if stale { STALE_NAN } else { float(point.count) };
        let sum = if stale { Some(STALE_NAN) } else { point.sum };
        let checked = self.point(scraped, &point.attributes, point.time_unix_nano)?;
        let bucket = format!("{}_bucket", family.name);
        let mut cumulative = 0_u64;
        for (bound, count) in bounds.iter().zip(counts) {
            cumulative = cumulative.saturating_add(*count);
            let value = if stale { STALE_NAN } else { float(cumulative) };
            if bound.is_finite() {
                let le = bound.to_string();
                self.sample(family, &bucket, &checked, Some(("le", &le)), value);
            }
        }
        self.sample(family, &bucket, &checked, Some(("le", "+Inf")), count);
        self.sample(
            family,
            &format!("{}_count", family.name),
            &checked,
            None,
            count,
        );
        if let Some(sum) = sum {
            self.sample(family, &format!("{}_sum", family.name), &checked, None, sum);
        }
        Ok(())
    }

    /// One series per `quantile`, `_count` and `_sum`.
    pub(super) fn push_summary(
        &mut self,
        scraped: bool,
        family: Family<'_>,
        point: &SummaryPoint<'_>,
    ) -> Result<(), &'static str> {
        if point.quantiles.len() > QUANTILES_MAX {
            return Err(reason::TOO_MANY_BUCKETS);
        }
        let stale = point.no_recorded_value();
        let or_stale = |value| if stale { STALE_NAN } else { value };
        let checked = self.point(scraped, &point.attributes, point.time_unix_nano)?;
        for (quantile, value) in &point.quantiles {
            let quantile = quantile.to_string();
            let extra = Some(("quantile", &*quantile));
            self.sample(family, family.name, &checked, extra, or_stale(*value));
        }
        let count = or_stale(float(point.count));
        self.sample(
            family,
            &format!("{}_count", family.name),
            &checked,
            None,
            count,
        );
        let sum = or_stale(point.sum);
        self.sample(family, &format!("{}_sum", family.name), &checked, None, sum);
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "samples are 64-bit floats, as in Prometheus"
)]
fn float(count: u64) -> f64 {
    count as f64
}
