//! Functions of range vectors over windows with native histograms.

use std::sync::Arc;

use crate::error::Position;
use crate::eval::{Element, Evaluator};
use crate::functions::{Sampled, Window, WindowFunction, seconds};
use crate::native::{HistogramSample, Incompatible, NativeHistogram, ResetHint, mean, total};

/// A window with at least one histogram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MixedWindow<'w> {
    pub(crate) floats: Window<'w>,
    pub(crate) histograms: &'w [HistogramSample],
    pub(crate) place: Place<'w>,
}

/// What messages speak of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'w> {
    /// Of the metric.
    pub(crate) name: &'w str,
    pub(crate) position: Position,
}

impl Evaluator<'_> {
    pub(crate) fn apply_to_histograms(
        &self,
        function: WindowFunction,
        window: &MixedWindow<'_>,
        params: &[f64],
    ) -> Option<Element> {
        let only_histograms = window.floats.samples.is_empty();
        let count = (window.floats.samples.len() + window.histograms.len()) as f64;
        match function {
            WindowFunction::Rate
            | WindowFunction::Increase
            | WindowFunction::Delta
            | WindowFunction::Sum
            | WindowFunction::Avg
                if !only_histograms =>
            {
                self.warn_mix(window);
                None
            }
            WindowFunction::Rate => self.histogram_rate(window, true, true),
            WindowFunction::Increase => self.histogram_rate(window, true, false),
            WindowFunction::Delta => self.histogram_rate(window, false, false),
            WindowFunction::Irate => self.last_histogram_change(window, true),
            WindowFunction::Idelta => self.last_histogram_change(window, false),
            WindowFunction::Sum | WindowFunction::Avg => self.histogram_total(function, window),
            WindowFunction::Count => Some(Element::Float(count)),
            WindowFunction::Present => Some(Element::Float(1.0)),
            WindowFunction::First => window.elements().next().map(|(_, element)| element),
            WindowFunction::Last => window.elements().last().map(|(_, element)| element),
            WindowFunction::TimeOfFirst => window
                .elements()
                .next()
                .map(|(time, _)| Element::Float(seconds(time))),
            WindowFunction::TimeOfLast => window
                .elements()
                .last()
                .map(|(time, _)| Element::Float(seconds(time))),
            WindowFunction::Changes => Some(Element::Float(
                window.count_steps(|(_, before), (_, after)| changed(before, after)),
            )),
            WindowFunction::Resets => {
                let starts = window.floats.starts;
                let resets = window.count_steps(|before, after| {
                    starts.is_reset(before.0, after.0) || is_reset(&before.1, &after.1)
                });
                Some(Element::Float(resets))
            }
            _ => {
                let value = function.apply(&window.floats, params)?;
                self.query.info(
                    &format!(
                        "ignored histograms in a range containing both floats and histograms for \
                         metric name {:?}",
                        window.place.name
                    ),
                    window.place.position,
                );
                Some(Element::Float(value))
            }
        }
    }

    pub(crate) fn warn_mix(&self, window: &MixedWindow<'_>) {
        self.query.warn(
            &format!(
                "encountered a mix of histograms and floats for metric name {:?}",
                window.place.name
            ),
            window.place.position,
        );
    }

    pub(crate) fn warn_schemas(&self, place: Place<'_>) {
        self.query.warn(
            &format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas \
                 for metric name {:?}",
                place.name
            ),
            place.position,
        );
    }

    /// Warns when of histograms that are added one says that its counter began anew and another that it did not.
    pub(crate) fn warn_contradiction(
        &self,
        histograms: &[Arc<NativeHistogram>],
        position: Position,
    ) {
        let says = |hint| {
            let mut all = histograms.iter();
            all.any(|histogram| histogram.reset_hint == hint)
        };
        if says(ResetHint::Reset) && says(ResetHint::NotReset) {
            self.contradiction("aggregation", position);
        }
    }

    pub(crate) fn contradiction(&self, operation: &str, position: Position) {
        self.query.warn(
            &format!("conflicting counter resets during histogram {operation}"),
            position,
        );
    }

    /// Warns when histograms are used as what they say they are not.
    pub(crate) fn warn_kind(
        &self,
        window: &MixedWindow<'_>,
        used: &[HistogramSample],
        counter: bool,
    ) {
        let gauge = |sample: &HistogramSample| sample.histogram.reset_hint == ResetHint::Gauge;
        let what = if counter && used.iter().any(gauge) {
            "counter"
        } else if !counter && !used.iter().all(gauge) {
            "gauge"
        } else {
            return;
        };
        self.query.warn(
            &format!(
                "this native histogram metric is not a {what}: {:?}",
                window.place.name
            ),
            window.place.position,
        );
    }

    /// `rate`, `increase` and `delta` of histograms; see the same for floats.
    fn histogram_rate(
        &self,
        window: &MixedWindow<'_>,
        counter: bool,
        per_second: bool,
    ) -> Option<Element> {
        let samples = window.histograms;
        let (first, last) = (samples.first()?, samples.last()?);
        let began = window.floats.began(counter, first.timestamp);
        if samples.len() < 2 && began.is_none() {
            return None;
        }
        let Ok((change, reconciled)) = window.change(counter) else {
            self.warn_schemas(window.place);
            return None;
        };
        let ends: Vec<HistogramSample> = if counter {
            samples.to_vec()
        } else {
            vec![first.clone(), last.clone()]
        };
        self.warn_kind(window, &ends, counter);
        if reconciled {
            self.reconciled("subtraction", window.place.position);
        }
        let start = first.histogram.count;
        let sampled = Sampled {
            first: first.timestamp,
            last: last.timestamp,
            count: samples.len(),
            began,
            zero: (counter && change.count > 0.0 && start >= 0.0).then(|| start / change.count),
        };
        let factor = window.floats.extrapolation(sampled, per_second);
        let change = match began {
            Some(_) => change.plus(&first.histogram).map(|(change, _)| change),
            None => Ok(change),
        };
        let Ok(mut change) = change else {
            self.warn_schemas(window.place);
            return None;
        };
        change.reset_hint = ResetHint::Gauge;
        Some(Element::Histogram(Arc::new(change.scaled(factor))))
    }

    /// `irate` and `idelta`: the change between the last two samples.
    fn last_histogram_change(&self, window: &MixedWindow<'_>, rate: bool) -> Option<Element> {
        let all: Vec<(i64, Element)> = window.elements().collect();
        let [.., before, last] = &*all else {
            return None;
        };
        let elapsed = seconds(last.0 - before.0);
        match (&before.1, &last.1) {
            (Element::Float(_), Element::Float(_)) => {
                let function = if rate {
                    WindowFunction::Irate
                } else {
                    WindowFunction::Idelta
                };
                function.apply(&window.floats, &[]).map(Element::Float)
            }
            (Element::Histogram(_), Element::Histogram(_)) => {
                let from = window.histograms.len().saturating_sub(2);
                let pair = window.histograms.get(from..)?;
                let Ok((change, reconciled)) = window.last_change(pair, rate) else {
                    self.warn_schemas(window.place);
                    return None;
                };
                self.warn_kind(window, pair, rate);
                if reconciled {
                    self.reconciled("subtraction", window.place.position);
                }
                let change = if rate {
                    change.divided(elapsed)
                } else {
                    change
                };
                Some(Element::Histogram(Arc::new(change)))
            }
            _ => {
                self.warn_mix(window);
                None
            }
        }
    }

    fn histogram_total(
        &self,
        function: WindowFunction,
        window: &MixedWindow<'_>,
    ) -> Option<Element> {
        let all: Vec<Arc<NativeHistogram>> = window
            .histograms
            .iter()
            .map(|sample| Arc::clone(&sample.histogram))
            .collect();
        let result = if function == WindowFunction::Avg {
            mean(&all)
        } else {
            total(&all)
        };
        match result {
            Ok(result) => {
                let (histogram, reconciled) = result?;
                self.warn_contradiction(&all, window.place.position);
                if reconciled {
                    self.reconciled("aggregation", window.place.position);
                }
                Some(Element::Histogram(Arc::new(histogram)))
            }
            Err(Incompatible) => {
                self.warn_schemas(window.place);
                None
            }
        }
    }

    pub(crate) fn reconciled(&self, operation: &str, position: Position) {
        self.query.info(
            &format!("mismatched custom buckets were reconciled during {operation}"),
            position,
        );
    }
}

impl MixedWindow<'_> {
    /// Whether a counter began anew between two histograms.
    fn is_reset(&self, before: &HistogramSample, after: &HistogramSample) -> bool {
        let starts = self.floats.starts;
        starts.is_reset(before.timestamp, after.timestamp)
            || after.histogram.is_reset_after(&before.histogram)
    }

    /// The change of histograms over the window, resets of a counter included.
    fn change(&self, counter: bool) -> Result<(NativeHistogram, bool), Incompatible> {
        let (Some(first), Some(last)) = (self.histograms.first(), self.histograms.last()) else {
            return Err(Incompatible);
        };
        let pairs = self.histograms.iter().zip(self.histograms.iter().skip(1));
        let mut lost = pairs
            .filter(|(before, after)| counter && self.is_reset(before, after))
            .map(|(before, _)| before)
            .peekable();
        // A counter that begins anew after the first sample has nothing to do with it, whatever its layout.
        let alone = lost
            .next_if(|before| before.timestamp == first.timestamp)
            .is_some();
        let counted = self
            .histograms
            .get(usize::from(alone)..)
            .unwrap_or_default();
        let (mut change, mut reconciled) = if alone {
            (NativeHistogram::clone(&last.histogram), false)
        } else {
            last.histogram.minus(&first.histogram)?
        };
        for before in lost {
            let (sum, also) = change.plus(&before.histogram)?;
            (change, reconciled) = (sum, reconciled || also);
        }
        let coarsest = counted.iter().map(|sample| sample.histogram.schema).min();
        if let Some(schema) = coarsest.filter(|_| counter && !change.has_custom_bounds()) {
            let empty = NativeHistogram {
                schema,
                zero_threshold: change.zero_threshold,
                ..NativeHistogram::default()
            };
            change = change.plus(&empty)?.0;
        }
        change.reset_hint = ResetHint::Gauge;
        Ok((change, reconciled))
    }

    fn last_change(
        &self,
        pair: &[HistogramSample],
        rate: bool,
    ) -> Result<(NativeHistogram, bool), Incompatible> {
        let [before, last] = pair else {
            return Err(Incompatible);
        };
        if rate && self.is_reset(before, last) {
            let mut change = NativeHistogram::clone(&last.histogram);
            change.reset_hint = ResetHint::Gauge;
            return Ok((change, false));
        }
        last.histogram.minus(&before.histogram)
    }

    /// Floats and histograms in the order of time.
    fn elements(&self) -> impl Iterator<Item = (i64, Element)> {
        let floats = self.floats.samples.iter();
        let floats = floats.map(|sample| (sample.timestamp, Element::Float(sample.value)));
        let histograms = self.histograms.iter().map(|sample| {
            (
                sample.timestamp,
                Element::Histogram(Arc::clone(&sample.histogram)),
            )
        });
        let mut all: Vec<(i64, Element)> = floats.chain(histograms).collect();
        all.sort_by_key(|(time, _)| *time);
        all.into_iter()
    }

    fn count_steps(&self, counts: impl Fn(&(i64, Element), &(i64, Element)) -> bool) -> f64 {
        let all: Vec<(i64, Element)> = self.elements().collect();
        let pairs = all.iter().zip(all.iter().skip(1));
        pairs
            .filter(|(before, after)| counts(before, after))
            .count() as f64
    }
}

fn changed(before: &Element, after: &Element) -> bool {
    match (before, after) {
        (Element::Float(before), Element::Float(after)) => {
            before != after && !(before.is_nan() && after.is_nan())
        }
        (Element::Histogram(before), Element::Histogram(after)) => !before.same_observations(after),
        _ => true,
    }
}

/// Whether `resets` counts a pair. A counter that becomes a gauge, or a gauge that becomes a counter, is one.
fn is_reset(before: &Element, after: &Element) -> bool {
    let gauge = |histogram: &NativeHistogram| histogram.reset_hint == ResetHint::Gauge;
    match (before, after) {
        (Element::Float(before), Element::Float(after)) => after < before,
        (Element::Histogram(before), Element::Histogram(after)) => {
            gauge(before) != gauge(after) || after.is_reset_after(before)
        }
        _ => true,
    }
}
