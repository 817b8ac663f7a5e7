//! Evaluation: one pass over the tree, each expression giving its values at all steps of the grid at once.
//!
//! A selector reads the store once for the whole grid. Label sets are computed once per series (or per group,
//! or per matched pair), never per step. A subquery is an evaluation on a grid of its own.
//!
//! Functions that drop the metric name only mark the series (`drop_name`); the name is taken away at the end,
//! so that `label_replace` can still read it (Prometheus's delayed name removal).

mod aggregate;
mod binary;
mod budget;
mod call;
mod edges;
mod group;
mod histogram;
mod histogram_windows;
mod info;
mod labels;
mod matching;
pub(crate) mod memory;
mod ranked;
mod select;
mod windows;

use std::sync::Arc;

use vervet_model::Labels;

pub(crate) use aggregate::merge_same_labels;
pub(crate) use budget::{Query, Run, note, whole_millis};
pub(crate) use labels::without_metric;
pub use memory::Charge;
pub(crate) use memory::Pool;
pub(crate) use select::RangeSource;

use crate::error::QueryError;
use crate::eval::memory::SAMPLE_BYTES;
use crate::native::{HistogramSample, NativeHistogram};
use crate::queryable::{Sample, is_stale};
use crate::syntax::{Expr, Node, ValueType};

/// The steps of an evaluation (milliseconds): `start`, `start + step`, ... up to `end` inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
}

impl Grid {
    pub(crate) fn instant(at: i64) -> Self {
        Self {
            start: at,
            end: at,
            step: 1,
        }
    }

    pub(crate) fn len(self) -> usize {
        if self.end < self.start {
            return 0;
        }
        let steps = self.end.saturating_sub(self.start) / self.step.max(1);
        usize::try_from(steps.saturating_add(1)).unwrap_or(usize::MAX)
    }

    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        let Self { start, step, .. } = self;
        (0_i64..)
            .map(move |index| start + index * step)
            .take(self.len())
    }

    /// The index of a time that lies on the grid.
    pub(crate) fn index(self, time: i64) -> usize {
        usize::try_from((time - self.start) / self.step.max(1)).unwrap_or(usize::MAX)
    }
}

/// One series of an intermediate result; its samples lie on steps of the grid (of a range selector: anywhere).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Track {
    pub(crate) labels: Labels,
    /// The metric name is to be removed at the end.
    pub(crate) drop_name: bool,
    pub(crate) samples: Vec<Sample>,
    /// At other times than `samples`.
    pub(crate) histograms: Vec<HistogramSample>,
}

/// A value at one step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Element {
    Float(f64),
    Histogram(Arc<NativeHistogram>),
}

impl Track {
    /// A series of floats only.
    pub(crate) fn floats(labels: Labels, drop_name: bool, samples: Vec<Sample>) -> Self {
        Self {
            labels,
            drop_name,
            samples,
            histograms: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    /// The times of all samples; floats first.
    pub(crate) fn times(&self) -> impl Iterator<Item = i64> {
        let floats = self.samples.iter().map(|sample| sample.timestamp);
        floats.chain(self.histograms.iter().map(|sample| sample.timestamp))
    }

    pub(crate) fn push(&mut self, timestamp: i64, element: Element) {
        match element {
            Element::Float(value) => self.samples.push(Sample { timestamp, value }),
            Element::Histogram(histogram) => self.histograms.push(HistogramSample {
                timestamp,
                histogram,
            }),
        }
    }

    /// Takes the staleness markers out.
    pub(crate) fn drop_stale(&mut self) {
        self.samples.retain(|sample| !is_stale(sample.value));
        self.histograms
            .retain(|sample| !sample.histogram.is_stale());
    }

    /// Keeps the samples at the times that `keep` accepts.
    pub(crate) fn retain_times(&mut self, mut keep: impl FnMut(i64) -> bool) {
        self.samples.retain(|sample| keep(sample.timestamp));
        self.histograms.retain(|sample| keep(sample.timestamp));
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Evaluated {
    /// One number per step.
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Track>),
}

/// Evaluates expressions on one grid.
#[derive(Clone, Copy)]
pub(crate) struct Evaluator<'q> {
    pub(crate) query: &'q Query<'q>,
    pub(crate) grid: Grid,
}

impl<'q> Evaluator<'q> {
    /// # Errors
    /// The grid alone would exceed the sample budget.
    pub(crate) fn new(query: &'q Query<'q>, grid: Grid) -> Result<Self, QueryError> {
        query.check_steps(grid.len())?;
        Ok(Self { query, grid })
    }

    pub(crate) fn eval(&self, node: &Node) -> Result<Evaluated, QueryError> {
        self.query.check_deadline()?;
        let memory = &self.query.memory;
        let before = memory.loose();
        if node.value_type() == ValueType::Scalar {
            let bytes = self.grid.len().saturating_mul(size_of::<f64>());
            memory.grow(bytes, "a number at every step")?;
        }
        let value = self.eval_expression(node)?;
        memory.settle(
            before.saturating_add(value.bytes()),
            "an intermediate result",
        )?;
        Ok(value)
    }

    fn eval_expression(&self, node: &Node) -> Result<Evaluated, QueryError> {
        match &node.expr {
            Expr::Number(value) => Ok(Evaluated::Scalar(vec![*value; self.grid.len()])),
            Expr::Text(text) => Ok(Evaluated::Text(text.clone())),
            Expr::Vector(selector) => {
                let tracks = self.eval_selector(selector, node.position);
                tracks.map(Evaluated::Vector)
            }
            Expr::Matrix { .. } | Expr::Subquery(_) => Err(QueryError::Execution(
                "a range vector has no value at a step".to_owned(),
            )),
            Expr::Call { function, args } => self.eval_call(*function, args, node.position),
            Expr::Aggregate(aggregate) => self.eval_aggregate(aggregate).map(Evaluated::Vector),
            Expr::Binary(binary) => self.eval_binary(binary),
            Expr::Negate(inner) => self.eval_negate(inner),
            Expr::StepInvariant(inner) => self.eval_invariant(inner),
        }
    }

    /// The value of an expression whose type is known to be an instant vector.
    pub(crate) fn eval_vector(&self, node: &Node) -> Result<Vec<Track>, QueryError> {
        match self.eval(node)? {
            Evaluated::Vector(tracks) => Ok(tracks),
            _ => Err(wrong_type("instant vector", node)),
        }
    }

    /// The value of an expression whose type is known to be a scalar: one number per step.
    pub(crate) fn eval_scalar(&self, node: &Node) -> Result<Vec<f64>, QueryError> {
        match self.eval(node)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(wrong_type("scalar", node)),
        }
    }

    fn eval_negate(&self, inner: &Node) -> Result<Evaluated, QueryError> {
        Ok(match self.eval(inner)? {
            Evaluated::Scalar(values) => {
                Evaluated::Scalar(values.into_iter().map(|value| -value).collect())
            }
            Evaluated::Vector(mut tracks) => {
                for track in &mut tracks {
                    track.drop_name = true;
                    for sample in &mut track.samples {
                        sample.value = -sample.value;
                    }
                    for sample in &mut track.histograms {
                        let negated = NativeHistogram::clone(&sample.histogram).scaled(-1.0);
                        sample.histogram = Arc::new(negated);
                    }
                }
                Evaluated::Vector(tracks)
            }
            Evaluated::Text(_) => return Err(wrong_type("scalar or instant vector", inner)),
        })
    }

    /// Evaluates at the first step only and repeats the value at every step.
    fn eval_invariant(&self, inner: &Node) -> Result<Evaluated, QueryError> {
        let steps = self.grid.len();
        if steps <= 1 {
            return self.eval(inner);
        }
        let once = Self {
            query: self.query,
            grid: Grid::instant(self.grid.start),
        };
        Ok(match once.eval(inner)? {
            Evaluated::Scalar(values) => {
                let value = values.first().copied().unwrap_or(f64::NAN);
                Evaluated::Scalar(vec![value; steps])
            }
            Evaluated::Vector(mut tracks) => {
                for track in &mut tracks {
                    self.query.charge(steps)?;
                    let bytes = steps.saturating_mul(SAMPLE_BYTES);
                    self.query.memory.grow(bytes, "a value at every step")?;
                    if let Some(value) = track.samples.first().map(|sample| sample.value) {
                        let at = |timestamp| Sample { timestamp, value };
                        track.samples = self.grid.times().map(at).collect();
                    }
                    if let Some(sample) = track.histograms.first().cloned() {
                        let at = |timestamp| HistogramSample {
                            timestamp,
                            histogram: Arc::clone(&sample.histogram),
                        };
                        track.histograms = self.grid.times().map(at).collect();
                    }
                }
                Evaluated::Vector(tracks)
            }
            text @ Evaluated::Text(_) => text,
        })
    }
}

/// Applies a function to every float; the result is no longer a value of the metric. Histograms are left out.
pub(crate) fn map_values(tracks: Vec<Track>, map: impl Fn(f64) -> f64) -> Vec<Track> {
    let mut tracks = floats_only(tracks);
    for track in &mut tracks {
        track.drop_name = true;
        for sample in &mut track.samples {
            sample.value = map(sample.value);
        }
    }
    tracks
}

/// Leaves histograms out.
pub(crate) fn floats_only(mut tracks: Vec<Track>) -> Vec<Track> {
    for track in &mut tracks {
        track.histograms.clear();
    }
    tracks.retain(|track| !track.is_empty());
    tracks
}

fn wrong_type(expected: &str, node: &Node) -> QueryError {
    QueryError::Parse {
        message: format!(
            "expected type {expected}, got {}",
            node.value_type().as_str()
        ),
        position: Some(node.position),
    }
}
