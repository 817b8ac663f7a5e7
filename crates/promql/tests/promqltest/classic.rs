//! Classic histograms converted to native ones with custom buckets, for `load_with_nhcb`.

use std::collections::BTreeMap;
use std::sync::Arc;

use vervet_model::{Labels, LabelsBuilder, METRIC_NAME};
use vervet_promql::{CUSTOM_SCHEMA, HistogramSample, NativeHistogram, Sample, is_stale};

/// The parts of one histogram at one time.
#[derive(Debug, Default)]
struct Parts {
    /// Upper bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
}

#[derive(Debug, Default)]
pub(crate) struct Classic {
    parts: BTreeMap<Labels, BTreeMap<i64, Parts>>,
}

impl Classic {
    /// Takes in a series if its name is that of a part of a histogram.
    pub(crate) fn add(&mut self, labels: &Labels, samples: &[Sample]) {
        let name = labels.metric_name();
        let Some((base, part)) = name.rsplit_once('_') else {
            return;
        };
        let bound = labels.get("le").and_then(|bound| bound.parse::<f64>().ok());
        if !matches!(part, "bucket" | "sum" | "count") || (part == "bucket" && bound.is_none()) {
            return;
        }
        let mut builder = LabelsBuilder::from_labels(labels);
        builder.set(METRIC_NAME, base).remove("le");
        let times = self.parts.entry(builder.build()).or_default();
        for sample in samples.iter().filter(|sample| !is_stale(sample.value)) {
            let parts = times.entry(sample.timestamp).or_default();
            match (part, bound) {
                ("sum", _) => parts.sum = Some(sample.value),
                ("count", _) => parts.count = Some(sample.value),
                (_, Some(bound)) => parts.buckets.push((bound, sample.value)),
                _ => {}
            }
        }
    }

    pub(crate) fn converted(self) -> Vec<(Labels, Vec<HistogramSample>)> {
        let convert = |(timestamp, parts): (i64, Parts)| {
            let histogram = Arc::new(parts.histogram()?);
            Some(HistogramSample {
                timestamp,
                histogram,
            })
        };
        let series = |(labels, times): (Labels, BTreeMap<i64, Parts>)| {
            (
                labels,
                times.into_iter().filter_map(convert).collect::<Vec<_>>(),
            )
        };
        let all = self.parts.into_iter().map(series);
        all.filter(|(_, histograms)| !histograms.is_empty())
            .collect()
    }
}

impl Parts {
    /// The histogram, unless it has no buckets or its counts fall.
    fn histogram(mut self) -> Option<NativeHistogram> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by_key(|bucket| bucket.0);
        let highest = self.buckets.last()?;
        let count = self.count.unwrap_or(highest.1);
        if highest.0.is_finite() {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut histogram = NativeHistogram {
            schema: CUSTOM_SCHEMA,
            count,
            sum: self.sum.unwrap_or(0.0),
            ..NativeHistogram::default()
        };
        let mut below = 0.0;
        for (index, (bound, cumulative)) in (0..).zip(&self.buckets) {
            if *cumulative < below {
                return None;
            }
            histogram.positive.push((index, cumulative - below));
            below = *cumulative;
            if bound.is_finite() {
                histogram.custom_bounds.push(*bound);
            }
        }
        Some(histogram.compacted())
    }
}
