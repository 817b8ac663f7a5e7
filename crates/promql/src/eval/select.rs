//! Instant and range selectors, and subqueries.

use std::sync::Arc;

use crate::error::{Position, QueryError};
use crate::eval::memory::SAMPLE_BYTES;
use crate::eval::{Element, Evaluator, Grid, Track};
use crate::functions::seconds;
use crate::native::{HistogramSample, NativeHistogram, ResetHint};
use crate::queryable::{Sample, StartTime, is_stale};
use crate::syntax::{Edges, Expr, Node, Selector, Subquery, TimeShift};

const NEWEST: &str = "the newest samples at every step";

/// The raw samples behind a range vector, without staleness markers, for all steps of the grid.
#[derive(Debug)]
pub(crate) struct RangeSource {
    pub(crate) tracks: Vec<Track>,
    /// Milliseconds.
    pub(crate) range: i64,
    pub(crate) shift: TimeShift,
    pub(crate) edges: Edges,
    /// How far before and after each range there are samples too (milliseconds).
    pub(crate) before: i64,
    pub(crate) after: i64,
}

impl RangeSource {
    /// The part of a track in (end - range, end].
    pub(crate) fn window(track: &Track, end: i64, range: i64) -> (&[Sample], &[HistogramSample]) {
        let start = end.saturating_sub(range);
        let from = track
            .samples
            .partition_point(|sample| sample.timestamp <= start);
        let to = track
            .samples
            .partition_point(|sample| sample.timestamp <= end);
        let floats = track.samples.get(from..to).unwrap_or_default();
        (floats, histograms_within(&track.histograms, start, end))
    }
}

/// The histograms in (start, end].
pub(crate) fn histograms_within(
    histograms: &[HistogramSample],
    start: i64,
    end: i64,
) -> &[HistogramSample] {
    let from = histograms.partition_point(|sample| sample.timestamp <= start);
    let to = histograms.partition_point(|sample| sample.timestamp <= end);
    histograms.get(from..to).unwrap_or_default()
}

/// The first index from `next` on that is not `before`.
fn passed<T>(samples: &[T], mut next: usize, before: impl Fn(&T) -> bool) -> usize {
    while samples.get(next).is_some_and(&before) {
        next += 1;
    }
    next
}

/// The newer of the samples before two indices, if it is later than a time and no staleness marker.
fn newest(track: &Track, floats: usize, histograms: usize, after: i64) -> Option<(i64, Element)> {
    let float = floats
        .checked_sub(1)
        .and_then(|index| track.samples.get(index));
    let histogram = histograms
        .checked_sub(1)
        .and_then(|index| track.histograms.get(index));
    let float_time = float.map_or(i64::MIN, |sample| sample.timestamp);
    match histogram {
        Some(sample) if sample.timestamp > float_time => {
            let valid = sample.timestamp > after && !sample.histogram.is_stale();
            valid.then(|| {
                (
                    sample.timestamp,
                    Element::Histogram(Arc::clone(&sample.histogram)),
                )
            })
        }
        _ => {
            let sample = float?;
            let valid = sample.timestamp > after && !is_stale(sample.value);
            valid.then_some((sample.timestamp, Element::Float(sample.value)))
        }
    }
}

impl Evaluator<'_> {
    /// At each step the newest sample within the lookback, unless it marks the series as stale.
    pub(crate) fn eval_selector(
        &self,
        selector: &Selector,
        position: Position,
    ) -> Result<Vec<Track>, QueryError> {
        if selector.edges == Edges::Smoothed {
            return self.eval_smoothed(selector, position);
        }
        self.eval_newest(selector, |_, element| element)
    }

    /// At each step something of the newest sample: its time and value are given.
    pub(crate) fn eval_newest(
        &self,
        selector: &Selector,
        pick: impl Fn(i64, Element) -> Element,
    ) -> Result<Vec<Track>, QueryError> {
        let lookback = self.query.lookback();
        let memory = &self.query.memory;
        let work = self.grid.len().saturating_mul(SAMPLE_BYTES);
        let _work = memory.hold(work, NEWEST)?;
        self.map_window(selector, (lookback, 0), &mut |track| {
            self.query.check_deadline()?;
            let mut picked = Track::floats(track.labels.clone(), track.drop_name, Vec::new());
            let (mut floats, mut histograms) = (0, 0);
            for step in self.grid.times() {
                let reference = selector.shift.reference(step);
                let after = reference.saturating_sub(lookback);
                floats = passed(&track.samples, floats, |sample| {
                    sample.timestamp <= reference
                });
                histograms = passed(&track.histograms, histograms, |sample| {
                    sample.timestamp <= reference
                });
                if let Some((time, element)) = newest(&track, floats, histograms, after) {
                    picked.push(step, pick(time, element));
                }
            }
            self.query.charge(picked.len())?;
            memory.grow(picked.bytes(), NEWEST)?;
            Ok((!picked.is_empty()).then_some(picked))
        })
    }

    /// As [`Evaluator::select_window`], each series turned into what is wanted of it as soon as it is read.
    pub(crate) fn map_window(
        &self,
        selector: &Selector,
        (back, ahead): (i64, i64),
        map: &mut dyn FnMut(Track) -> Result<Option<Track>, QueryError>,
    ) -> Result<Vec<Track>, QueryError> {
        if self.grid.len() == 0 {
            return Ok(Vec::new());
        }
        let window = self.read_window(selector, back, ahead);
        self.query.select_mapped(selector, window, map)
    }

    /// Reads what a selector needs over the whole grid when each step looks back and ahead so far.
    fn select_window(
        &self,
        selector: &Selector,
        back: i64,
        ahead: i64,
    ) -> Result<Vec<Track>, QueryError> {
        if self.grid.len() == 0 {
            return Ok(Vec::new());
        }
        let (start, end) = self.read_window(selector, back, ahead);
        self.query.select(selector, start, end)
    }

    /// The window that a selector reads (milliseconds), both ends inclusive.
    fn read_window(&self, selector: &Selector, back: i64, ahead: i64) -> (i64, i64) {
        let first = selector.shift.reference(self.grid.start);
        let last = selector.shift.reference(self.grid.end);
        let start = first.saturating_sub(back).saturating_add(1);
        (start, last.saturating_add(ahead))
    }

    /// When the counters behind a range selector had begun, as far as that is wanted and known; in the order of the
    /// series.
    pub(crate) fn select_starts(
        &self,
        node: &Node,
        source: &RangeSource,
    ) -> Result<Vec<Vec<StartTime>>, QueryError> {
        match node.bare() {
            Expr::Matrix { selector, range }
                if self.query.features().start_timestamps && !source.tracks.is_empty() =>
            {
                let back = source.before.saturating_add(*range);
                let window = self.read_window(selector, back, source.after);
                self.query.select_starts(selector, window, &source.tracks)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// At each step when the counter had begun, as of the newest sample (seconds; zero where it is not known). Of
    /// what is no selector nothing is known.
    pub(crate) fn eval_start_timestamp(&self, node: &Node) -> Result<Vec<Track>, QueryError> {
        let Expr::Vector(selector) = node.bare() else {
            return Ok(Vec::new());
        };
        let mut tracks = self.eval_newest(selector, |time, _| Element::Float(time as f64))?;
        let window = self.read_window(selector, self.query.lookback(), 0);
        let starts = self.query.select_starts(selector, window, &tracks)?;
        for (track, starts) in tracks.iter_mut().zip(&starts) {
            track.drop_name = true;
            for sample in &mut track.samples {
                // The value is the time of a sample.
                let at = starts.partition_point(|start| (start.timestamp as f64) < sample.value);
                let found = starts.get(at);
                let found = found.filter(|start| start.timestamp as f64 == sample.value);
                sample.value = found.map_or(0.0, |found| seconds(found.start));
            }
        }
        Ok(tracks)
    }

    /// The samples behind a range selector, or with a range of zero behind a smoothed instant selector.
    pub(crate) fn select_range(
        &self,
        selector: &Selector,
        range: i64,
    ) -> Result<RangeSource, QueryError> {
        let (before, after) = self.reach(selector.edges);
        let back = before.saturating_add(range);
        let mut tracks = self.select_window(selector, back, after)?;
        tracks.iter_mut().for_each(Track::drop_stale);
        Ok(RangeSource {
            tracks,
            range,
            shift: selector.shift,
            edges: selector.edges,
            before,
            after,
        })
    }

    /// The samples behind an expression whose type is known to be a range vector.
    pub(crate) fn eval_range_source(&self, node: &Node) -> Result<RangeSource, QueryError> {
        let memory = &self.query.memory;
        let before = memory.loose();
        let source = self.range_source(node)?;
        memory.settle(before.saturating_add(source.bytes()), "a range vector")?;
        Ok(source)
    }

    fn range_source(&self, node: &Node) -> Result<RangeSource, QueryError> {
        match node.bare() {
            Expr::Matrix { selector, range } => self.select_range(selector, *range),
            Expr::Subquery(subquery) => self.eval_subquery(subquery),
            _ => Err(QueryError::Parse {
                message: format!(
                    "expected a range vector, got {}",
                    node.value_type().as_str()
                ),
                position: Some(node.position),
            }),
        }
    }

    fn eval_subquery(&self, subquery: &Subquery) -> Result<RangeSource, QueryError> {
        let step = subquery.step.unwrap_or_else(|| self.query.subquery_step());
        let first = subquery.shift.reference(self.grid.start);
        let after = first.saturating_sub(subquery.range);
        let grid = Grid {
            // The first multiple of the step after the window's open start.
            start: after
                .div_euclid(step)
                .saturating_add(1)
                .saturating_mul(step),
            end: subquery.shift.reference(self.grid.end),
            step,
        };
        let mut tracks = Evaluator::new(self.query, grid)?.eval_vector(&subquery.expr)?;
        // A subquery may repeat or skip samples, so what they say of their predecessor is void.
        for sample in tracks.iter_mut().flat_map(|track| &mut track.histograms) {
            if matches!(
                sample.histogram.reset_hint,
                ResetHint::Reset | ResetHint::NotReset
            ) {
                let mut histogram = NativeHistogram::clone(&sample.histogram);
                histogram.reset_hint = ResetHint::Unknown;
                sample.histogram = Arc::new(histogram);
            }
        }
        Ok(RangeSource {
            tracks,
            range: subquery.range,
            shift: subquery.shift,
            edges: Edges::Sampled,
            before: 0,
            after: 0,
        })
    }
}
