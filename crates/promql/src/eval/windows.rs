//! Functions of range vectors, step by step.

use std::collections::HashSet;

use vervet_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use crate::error::{Position, QueryError};
use crate::eval::histogram_windows::{MixedWindow, Place};
use crate::eval::labels::METRIC_TYPE;
use crate::eval::memory::SAMPLE_BYTES;
use crate::eval::select::{RangeSource, histograms_within};
use crate::eval::{Element, Evaluator, Track};
use crate::format::format_message;
use crate::functions::{Starts, Window, WindowFunction, overlaps};
use crate::queryable::Sample;
use crate::syntax::{Edges, Expr, Node, Selector, ValueType};

/// A step may visit very many samples, so the deadline is looked at within a series too.
const STEPS_PER_DEADLINE_CHECK: usize = 64;
/// Endings of metric names that make a counter likely.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

const WINDOWS: &str = "the values of a range function";
const ABSENT: &str = "the steps without a value";

impl Evaluator<'_> {
    pub(crate) fn eval_window_function(
        &self,
        function: WindowFunction,
        args: &[Node],
    ) -> Result<Vec<Track>, QueryError> {
        let (ranges, scalars): (Vec<&Node>, Vec<&Node>) = args
            .iter()
            .partition(|arg| arg.value_type() == ValueType::Matrix);
        let Some(range_node) = ranges.first() else {
            return Err(QueryError::Execution(
                "a range vector is missing".to_owned(),
            ));
        };
        let params = scalars
            .iter()
            .map(|node| self.eval_scalar(node))
            .collect::<Result<Vec<_>, _>>()?;
        self.check_params(function, &params, &scalars)?;
        if let Expr::Matrix { selector, range } = range_node.bare()
            && selector.edges == Edges::Sampled
            && !(function.asks_for_starts() && self.query.features().start_timestamps)
        {
            let place = (range_node.position, *range);
            return self.eval_window_of_selector(function, selector, place, &params);
        }
        let source = self.eval_range_source(range_node)?;
        let starts = if function.asks_for_starts() {
            self.select_starts(range_node, &source)?
        } else {
            Vec::new()
        };
        let memory = &self.query.memory;
        let work = self.grid.len().saturating_mul(SAMPLE_BYTES);
        let _work = memory.hold(work, WINDOWS)?;
        let list = source.tracks.len() * size_of::<Track>();
        memory.grow(list, WINDOWS)?;
        let mut results = Vec::with_capacity(source.tracks.len());
        for (index, track) in source.tracks.iter().enumerate() {
            let starts = starts.get(index).map(Vec::as_slice).unwrap_or_default();
            let track = (track, Starts(starts));
            let position = range_node.position;
            results.extend(self.windows_of(function, &source, track, &params, position)?);
        }
        Ok(results)
    }

    /// As above of a selector alone, whose samples are not all held at once.
    fn eval_window_of_selector(
        &self,
        function: WindowFunction,
        selector: &Selector,
        (position, range): (Position, i64),
        params: &[Vec<f64>],
    ) -> Result<Vec<Track>, QueryError> {
        let memory = &self.query.memory;
        let work = self.grid.len().saturating_mul(SAMPLE_BYTES);
        let _work = memory.hold(work, WINDOWS)?;
        let source = RangeSource {
            tracks: Vec::new(),
            range,
            shift: selector.shift,
            edges: selector.edges,
            before: 0,
            after: 0,
        };
        self.map_window(selector, (range, 0), &mut |mut track| {
            track.drop_stale();
            let track = (&track, Starts(&[]));
            let result = self.windows_of(function, &source, track, params, position)?;
            if result.is_some() {
                memory.grow(size_of::<Track>(), WINDOWS)?;
            }
            Ok(result)
        })
    }

    /// The values of a function of one series, charged; `None` when there are none.
    fn windows_of(
        &self,
        function: WindowFunction,
        source: &RangeSource,
        (track, starts): (&Track, Starts<'_>),
        params: &[Vec<f64>],
        position: Position,
    ) -> Result<Option<Track>, QueryError> {
        self.query.check_deadline()?;
        let place = Place {
            name: track.labels.metric_name(),
            position,
        };
        if function.wants_counter() && overlaps(starts.0) {
            self.warn_overlap(place);
        }
        let result = self.apply_to_track(function, source, (track, starts), params, place)?;
        if result.is_empty() {
            return Ok(None);
        }
        if function.wants_counter() && !result.samples.is_empty() {
            self.hint_counter(&track.labels, position);
        }
        self.query.charge(result.len())?;
        self.query.memory.grow(result.bytes(), WINDOWS)?;
        Ok(Some(result))
    }

    fn apply_to_track(
        &self,
        function: WindowFunction,
        source: &RangeSource,
        (track, starts): (&Track, Starts<'_>),
        params: &[Vec<f64>],
        place: Place<'_>,
    ) -> Result<Track, QueryError> {
        let mut at_step = vec![f64::NAN; params.len()];
        let (mut from, mut to) = (0, 0);
        let drop_name = track.drop_name || !function.keeps_name();
        let mut result = Track::floats(track.labels.clone(), drop_name, Vec::new());
        for (index, step) in self.grid.times().enumerate() {
            if index % STEPS_PER_DEADLINE_CHECK == 0 {
                self.query.check_deadline()?;
            }
            let end = source.shift.reference(step);
            let start = end.saturating_sub(source.range);
            let start = start.saturating_sub(source.before);
            let last = end.saturating_add(source.after);
            let reached = |at: usize, time: i64| {
                track
                    .samples
                    .get(at)
                    .is_some_and(|sample| sample.timestamp <= time)
            };
            while reached(to, last) {
                to += 1;
            }
            while reached(from, start) {
                from += 1;
            }
            for (slot, values) in at_step.iter_mut().zip(params) {
                *slot = values.get(index).copied().unwrap_or(f64::NAN);
            }
            let window = Window {
                samples: track.samples.get(from..to).unwrap_or_default(),
                end,
                range: source.range,
                step,
                starts,
            };
            let mixed = MixedWindow {
                floats: window,
                histograms: histograms_within(&track.histograms, start, last),
                place,
            };
            let element = if source.edges != Edges::Sampled {
                self.apply_with_edges(function, source, &mixed)
            } else if mixed.histograms.is_empty() {
                function.apply(&window, &at_step).map(Element::Float)
            } else {
                self.apply_to_histograms(function, &mixed, &at_step)
            };
            if let Some(element) = element {
                result.push(step, element);
            }
        }
        Ok(result)
    }

    fn check_params(
        &self,
        function: WindowFunction,
        params: &[Vec<f64>],
        nodes: &[&Node],
    ) -> Result<(), QueryError> {
        match function {
            WindowFunction::Quantile => {
                if let (Some(values), Some(node)) = (params.first(), nodes.first()) {
                    self.warn_quantiles(values, node.position);
                }
            }
            WindowFunction::DoubleExponentialSmoothing => {
                for (values, name) in params.iter().zip(["smoothing", "trend"]) {
                    let outside = |value: &&f64| !(**value > 0.0 && **value < 1.0);
                    if let Some(value) = values.iter().find(outside) {
                        return Err(QueryError::Execution(format!(
                            "invalid {name} factor: expected a value between 0 and 1, got {value}"
                        )));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Warns of quantiles outside 0 to 1.
    pub(crate) fn warn_quantiles(&self, values: &[f64], position: Position) {
        for value in values.iter().filter(|value| !(0.0..=1.0).contains(*value)) {
            let shown = format_message(*value);
            self.query.warn(
                &format!("quantile value should be between 0 and 1, got {shown}"),
                position,
            );
        }
    }

    fn warn_overlap(&self, place: Place<'_>) {
        self.query.warn(
            &format!(
                "start timestamp overlaps with the sample before for metric name {:?}",
                place.name
            ),
            place.position,
        );
    }

    fn hint_counter(&self, labels: &Labels, position: Position) {
        let name = labels.metric_name();
        if name.is_empty() {
            return;
        }
        let metric_type = labels.get(METRIC_TYPE).unwrap_or_default();
        let by_type = self.query.features().type_and_unit_labels;
        if by_type && !matches!(metric_type, "counter" | "histogram") {
            self.query.info(
                &format!(
                    "metric might not be a counter, __type__ label is not set to \"counter\" or \
                     \"histogram\", got {metric_type:?}: {name:?}"
                ),
                position,
            );
        }
        let likely = COUNTER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
        if !by_type && !likely {
            self.query.info(
                &format!(
                    "metric might not be a counter, name does not end in \
                     _total/_sum/_count/_bucket: {name:?}"
                ),
                position,
            );
        }
    }

    /// 1 at the steps where no series of a range vector has a sample.
    pub(crate) fn eval_absent_over_time(&self, arg: &Node) -> Result<Vec<Track>, QueryError> {
        let source = self.eval_range_source(arg)?;
        let _present = self.query.memory.hold(self.grid.len(), ABSENT)?;
        let mut present = vec![false; self.grid.len()];
        for track in &source.tracks {
            self.query.check_deadline()?;
            for (slot, step) in present.iter_mut().zip(self.grid.times()) {
                let end = source.shift.reference(step);
                let (floats, histograms) = RangeSource::window(track, end, source.range);
                *slot |= !floats.is_empty() || !histograms.is_empty();
            }
        }
        self.absent_track(arg, &present)
    }

    /// 1 at the steps where an instant vector is empty.
    pub(crate) fn eval_absent(&self, arg: &Node) -> Result<Vec<Track>, QueryError> {
        let _present = self.query.memory.hold(self.grid.len(), ABSENT)?;
        let mut present = vec![false; self.grid.len()];
        for track in self.eval_vector(arg)? {
            for time in track.times() {
                if let Some(slot) = present.get_mut(self.grid.index(time)) {
                    *slot = true;
                }
            }
        }
        self.absent_track(arg, &present)
    }

    fn absent_track(&self, arg: &Node, present: &[bool]) -> Result<Vec<Track>, QueryError> {
        let missing = present.iter().filter(|present| !**present).count();
        self.query.memory.grow(missing * SAMPLE_BYTES, ABSENT)?;
        let samples: Vec<Sample> = self
            .grid
            .times()
            .zip(present)
            .filter(|(_, present)| !**present)
            .map(|(timestamp, _)| Sample {
                timestamp,
                value: 1.0,
            })
            .collect();
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Track::floats(absent_labels(arg), false, samples)])
    }
}

/// The labels that an absent series would surely have: those of a selector with exactly one condition, an
/// equality.
fn absent_labels(arg: &Node) -> Labels {
    let matchers: &[Matcher] = match arg.bare() {
        Expr::Vector(selector) | Expr::Matrix { selector, .. } => &selector.matchers,
        _ => &[],
    };
    let mut labels = LabelsBuilder::default();
    let mut seen = HashSet::new();
    for matcher in matchers
        .iter()
        .filter(|matcher| matcher.name != METRIC_NAME)
    {
        if matcher.op == MatchOp::Equal && seen.insert(&matcher.name) {
            labels.set(&*matcher.name, &*matcher.value);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}
