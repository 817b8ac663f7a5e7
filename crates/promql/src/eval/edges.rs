//! Selectors and functions with values at the edges of ranges: `anchored` and `smoothed`.
//!
//! In: the samples of a range and of one lookback before it (smoothed: and after it). An anchored range begins with
//! the last sample before it and ends with its last sample; a smoothed one has values that are interpolated between
//! the samples around each edge. Where one side has no sample, that of the other side stands in. Nothing is
//! extrapolated.

use std::sync::Arc;

use crate::error::{Position, QueryError};
use crate::eval::histogram_windows::{MixedWindow, Place};
use crate::eval::memory::{SAMPLE_BYTES, histogram_bytes};
use crate::eval::{Element, Evaluator, RangeSource, Track};
use crate::functions::{
    EdgedRange, Source, Starts, Timed, Window, WindowFunction, around, float_at, fraction, seconds,
};
use crate::native::{HistogramSample, Incompatible, NativeHistogram, ResetHint};
use crate::queryable::Sample;
use crate::syntax::{Edges, Selector};

const SMOOTHED: &str = "the values between samples";

impl RangeSource {
    fn edged(&self, end: i64) -> EdgedRange {
        EdgedRange {
            start: end.saturating_sub(self.range),
            end,
            smoothed: self.edges == Edges::Smoothed,
        }
    }

    /// The samples of a track in a range and around it.
    fn window_around<'t>(&self, track: &'t Track, end: i64, position: Position) -> MixedWindow<'t> {
        let length = self.before.saturating_add(self.range);
        let length = length.saturating_add(self.after);
        let (samples, histograms) = Self::window(track, end.saturating_add(self.after), length);
        MixedWindow {
            floats: Window {
                samples,
                end,
                range: self.range,
                step: end,
                starts: Starts::default(),
            },
            histograms,
            place: Place {
                name: track.labels.metric_name(),
                position,
            },
        }
    }
}

impl Evaluator<'_> {
    /// How far outside a range samples are read, before and after it (milliseconds).
    pub(crate) fn reach(&self, edges: Edges) -> (i64, i64) {
        let lookback = self.query.lookback();
        match edges {
            Edges::Sampled => (0, 0),
            Edges::Anchored => (lookback, 0),
            Edges::Smoothed => (lookback, lookback),
        }
    }

    /// The values of a smoothed selector: at each step that between the samples before and after it.
    pub(crate) fn eval_smoothed(
        &self,
        selector: &Selector,
        position: Position,
    ) -> Result<Vec<Track>, QueryError> {
        let source = self.select_range(selector, 0)?;
        let memory = &self.query.memory;
        let floats = self.grid.len().saturating_mul(SAMPLE_BYTES);
        let mut results = Vec::with_capacity(source.tracks.len());
        for track in &source.tracks {
            self.query.check_deadline()?;
            let mut work = memory.hold(floats, SMOOTHED)?;
            let mut smoothed = Track::floats(track.labels.clone(), track.drop_name, Vec::new());
            for step in self.grid.times() {
                let time = selector.shift.reference(step);
                let window = source.window_around(track, time, position);
                let Some(element) = self.smoothed_at(&window, time) else {
                    continue;
                };
                if let Element::Histogram(histogram) = &element {
                    let last = smoothed.histograms.last();
                    if last.is_none_or(|last| !Arc::ptr_eq(&last.histogram, histogram)) {
                        work.grow(histogram_bytes(histogram), SMOOTHED)?;
                    }
                }
                smoothed.push(step, element);
            }
            drop(work);
            self.query.charge(smoothed.len())?;
            memory.grow(smoothed.bytes() + size_of::<Track>(), SMOOTHED)?;
            if !smoothed.is_empty() {
                results.push(smoothed);
            }
        }
        Ok(results)
    }

    fn smoothed_at(&self, window: &MixedWindow<'_>, time: i64) -> Option<Element> {
        let (floats, histograms) = (window.floats.samples, window.histograms);
        if !floats.is_empty() && !histograms.is_empty() {
            self.warn_mix(window);
            return None;
        }
        if let Some(source) = around(floats, time) {
            return Some(Element::Float(float_at(source, time, false)));
        }
        let source = around(histograms, time)?;
        let gauge = |sample: &HistogramSample| sample.histogram.reset_hint == ResetHint::Gauge;
        let counter = match source {
            Source::One(sample) => !gauge(sample),
            Source::Between(before, after) => !gauge(before) && !gauge(after),
        };
        match self.histogram_at(source, time, counter, window.place.position) {
            Ok(histogram) => Some(Element::Histogram(histogram)),
            Err(Incompatible) => {
                self.warn_schemas(window.place);
                None
            }
        }
    }

    /// A function over a range with edges; the window has the samples around the range too.
    pub(crate) fn apply_with_edges(
        &self,
        function: WindowFunction,
        source: &RangeSource,
        window: &MixedWindow<'_>,
    ) -> Option<Element> {
        let (counter, per_second) = match function {
            WindowFunction::Rate => (true, true),
            WindowFunction::Increase => (true, false),
            WindowFunction::Delta => (false, false),
            _ => return self.apply_anchored(function, source, window),
        };
        let range = source.edged(window.floats.end);
        let length = if per_second {
            seconds(source.range)
        } else {
            1.0
        };
        match (window.floats.samples, window.histograms) {
            (floats, []) => {
                let change = range.float_change(floats, counter)?;
                Some(Element::Float(change / length))
            }
            ([], _) => {
                let change = self.histogram_change(range, window, counter)?;
                Some(Element::Histogram(Arc::new(change.divided(length))))
            }
            _ => {
                self.warn_mix(window);
                None
            }
        }
    }

    /// A function that compares neighbours: over the last sample before the range, of either kind, and those in it.
    fn apply_anchored(
        &self,
        function: WindowFunction,
        source: &RangeSource,
        window: &MixedWindow<'_>,
    ) -> Option<Element> {
        let start = source.edged(window.floats.end).start;
        let (floats, floats_before) = anchored(window.floats.samples, start);
        let (histograms, histograms_before) = anchored(window.histograms, start);
        if floats.len() <= floats_before.len() && histograms.len() <= histograms_before.len() {
            return None;
        }
        let last_float = floats_before.last().map(Timed::time);
        let last_histogram = histograms_before.last().map(Timed::time);
        let mut within = *window;
        within.floats.samples = floats;
        within.histograms = histograms;
        if last_float >= last_histogram {
            within.histograms = histograms
                .get(histograms_before.len()..)
                .unwrap_or_default();
        } else {
            within.floats.samples = floats.get(floats_before.len()..).unwrap_or_default();
        }
        if within.histograms.is_empty() {
            return function.apply(&within.floats, &[]).map(Element::Float);
        }
        self.apply_to_histograms(function, &within, &[])
    }

    /// The change of histograms over a range, with the resets of a counter.
    fn histogram_change(
        &self,
        range: EdgedRange,
        window: &MixedWindow<'_>,
        counter: bool,
    ) -> Option<NativeHistogram> {
        let bounding = range.bounding(window.histograms);
        let (first, rest) = bounding.split_first()?;
        let custom = first.histogram.has_custom_bounds();
        let mixed = rest
            .iter()
            .any(|sample| sample.histogram.has_custom_bounds() != custom);
        let change = if mixed {
            Err(Incompatible)
        } else {
            if counter {
                self.warn_kind(window, bounding, true);
            }
            self.change_within(range, bounding, window, counter)
        };
        if change.is_err() {
            self.warn_schemas(window.place);
        }
        change.ok()
    }

    fn change_within(
        &self,
        range: EdgedRange,
        bounding: &[HistogramSample],
        window: &MixedWindow<'_>,
        counter: bool,
    ) -> Result<NativeHistogram, Incompatible> {
        let position = window.place.position;
        let left = range.left(bounding).ok_or(Incompatible)?;
        let left = self.histogram_at(left, range.start, counter, position)?;
        let right = range.right(bounding).ok_or(Incompatible)?;
        let right = self.histogram_at(right, range.end, counter, position)?;
        if !counter {
            let edges = [(range.start, &left), (range.end, &right)];
            let edges = edges.map(|(timestamp, histogram)| HistogramSample {
                timestamp,
                histogram: Arc::clone(histogram),
            });
            self.warn_kind(window, &edges, false);
        }
        let mut change = self.subtracted(&right, &left, position)?;
        if counter {
            for histogram in range.lost_by_resets(bounding, &left, &right) {
                change = self.added(&change, histogram, position)?;
            }
        }
        change.reset_hint = ResetHint::Gauge;
        Ok(change)
    }

    /// The histogram at a time. A counter that was reset between two samples grows from zero.
    fn histogram_at(
        &self,
        source: Source<'_, HistogramSample>,
        time: i64,
        counter: bool,
        position: Position,
    ) -> Result<Arc<NativeHistogram>, Incompatible> {
        let (before, after) = match source {
            Source::One(sample) => return Ok(Arc::clone(&sample.histogram)),
            Source::Between(before, after) => (before, after),
        };
        let fraction = fraction(before, after, time);
        let (from, to) = (&before.histogram, &after.histogram);
        if from.has_custom_bounds() != to.has_custom_bounds() {
            return Err(Incompatible);
        }
        if counter && to.is_reset_after(from) {
            return Ok(Arc::new(NativeHistogram::clone(to).scaled(fraction)));
        }
        let change = self.subtracted(to, from, position)?.scaled(fraction);
        let mut between = self.added(&change, from, position)?;
        between.reset_hint = to.reset_hint.joined(from.reset_hint);
        Ok(Arc::new(between))
    }

    fn subtracted(
        &self,
        from: &NativeHistogram,
        what: &NativeHistogram,
        position: Position,
    ) -> Result<NativeHistogram, Incompatible> {
        let (difference, reconciled) = from.minus(what)?;
        if reconciled {
            self.reconciled("subtraction", position);
        }
        Ok(difference)
    }

    fn added(
        &self,
        to: &NativeHistogram,
        what: &NativeHistogram,
        position: Position,
    ) -> Result<NativeHistogram, Incompatible> {
        let (sum, reconciled) = to.plus(what)?;
        if reconciled {
            self.reconciled("addition", position);
        }
        Ok(sum)
    }

    /// What an instant query for a range with edges shows of a track: the values at the edges, and the samples
    /// between them.
    pub(crate) fn with_edges(
        &self,
        source: &RangeSource,
        track: &Track,
        end: i64,
        position: Position,
    ) -> (Vec<Sample>, Vec<HistogramSample>) {
        let range = source.edged(end);
        let window = source.window_around(track, end, position);
        let (floats, histograms) = (window.floats.samples, window.histograms);
        if !floats.is_empty() && !histograms.is_empty() {
            self.warn_mix(&window);
            return (Vec::new(), Vec::new());
        }
        let floats = edged(range, floats, |source, timestamp| {
            let value = float_at(source, timestamp, false);
            Some(Sample { timestamp, value })
        });
        let histograms = edged(range, histograms, |source, timestamp| {
            let histogram = self.histogram_at(source, timestamp, false, position).ok()?;
            Some(HistogramSample {
                timestamp,
                histogram,
            })
        });
        (floats, histograms)
    }
}

/// The samples inside a range, between what is at its edges.
fn edged<T: Timed + Clone>(
    range: EdgedRange,
    samples: &[T],
    at: impl Fn(Source<'_, T>, i64) -> Option<T>,
) -> Vec<T> {
    let bounding = range.bounding(samples);
    let edge = |source: Option<Source<'_, T>>, time| source.and_then(|source| at(source, time));
    let left = edge(range.left(bounding), range.start);
    let right = edge(range.right(bounding), range.end);
    let inside = range.inside(bounding).iter().cloned();
    left.into_iter().chain(inside).chain(right).collect()
}

/// From the last sample at or before a start on, and the part of that before the start.
fn anchored<T: Timed>(samples: &[T], start: i64) -> (&[T], &[T]) {
    let inside = samples.partition_point(|sample| sample.time() <= start);
    let from = inside.saturating_sub(1);
    let all = samples.get(from..).unwrap_or_default();
    (all, samples.get(from..inside).unwrap_or_default())
}
