//! The front door: one query in, one value out.

use std::sync::Arc;
use std::time::Duration;

use vervet_model::{Clock, Labels, SystemClock, UnixMillis};

use crate::error::QueryError;
use crate::eval::memory::SAMPLE_BYTES;
use crate::eval::{
    Charge, Evaluated, Evaluator, Grid, Pool, Query, RangeSource, Run, Track, merge_same_labels,
    note, whole_millis, without_metric,
};
use crate::features::Features;
use crate::kept::{Kept, KeptAnswer, KeptStats, Key, joined};
use crate::native::HistogramSeries;
use crate::queryable::{Queryable, Sample, Series};
use crate::stack::with_room;
use crate::syntax::{Bounds, Edges, Node, ValueType, parse_query};
use crate::value::{InstantSample, QueryOutput, Value};

/// Limits and defaults of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How far an instant selector looks back for a sample.
    pub lookback_delta: Duration,
    /// The step of a subquery that names none.
    pub subquery_step_default: Duration,
    /// Samples that one query may hold, read and computed together.
    pub samples_max: usize,
    /// Memory of one query (bytes), from what it reads to its answer.
    pub memory_max: usize,
    /// Memory of all queries of the engine together (bytes).
    pub memory_together_max: usize,
    /// Series that one selector may return.
    pub series_max: usize,
    /// Steps of one range query.
    pub steps_max: usize,
    /// Wall clock time of one query.
    pub timeout: Duration,
    /// Memory of the answers that are kept (bytes), beside that of queries; 0 to keep none.
    pub kept_bytes_max: usize,
    /// The experimental parts of the language that are understood.
    pub features: Features,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_delta: Duration::from_secs(300),
            subquery_step_default: Duration::from_secs(60),
            samples_max: 50_000_000,
            memory_max: 4 << 30,
            memory_together_max: 8 << 30,
            series_max: 1_000_000,
            steps_max: 11_000,
            timeout: Duration::from_secs(120),
            kept_bytes_max: 32 << 20,
            features: Features::default(),
        }
    }
}

/// Evaluates queries. Between them it knows how much memory they hold together, and answers that it kept; share one by
/// reference.
pub struct Engine {
    options: EngineOptions,
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
    kept: Kept,
}

/// What one query may have otherwise than the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// In place of the engine's, if it is shorter.
    pub timeout: Option<Duration>,
    /// In place of the engine's.
    pub lookback_delta: Option<Duration>,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        Self::with_clock(options, Arc::new(SystemClock))
    }

    /// An engine whose timeout follows the given clock.
    pub fn with_clock(options: EngineOptions, clock: Arc<dyn Clock>) -> Self {
        let pool = Arc::new(Pool::new(options.memory_together_max));
        let kept = Kept::new(options.kept_bytes_max);
        Self {
            options,
            clock,
            pool,
            kept,
        }
    }

    /// A charge of nothing, for what is read or made around a query. It is held to the same limits.
    pub fn charge(&self) -> Charge {
        Charge::new(&self.pool, self.options.memory_max)
    }

    /// What all queries hold together now (bytes).
    pub fn memory_used(&self) -> usize {
        self.pool.used()
    }

    /// How the answers that are kept do.
    pub fn kept(&self) -> KeptStats {
        self.kept.stats()
    }

    /// Evaluates a query at one moment. It blocks: call it from a blocking thread.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn instant(
        &self,
        storage: &dyn Queryable,
        query: &str,
        at: UnixMillis,
    ) -> Result<QueryOutput, QueryError> {
        self.instant_with(storage, query, at, QueryOptions::default())
    }

    /// As [`Engine::instant`], with options.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn instant_with(
        &self,
        storage: &dyn Queryable,
        query: &str,
        at: UnixMillis,
        options: QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let run = self.run(storage, query, options);
        with_room(query, || self.evaluate_instant(run, at))
    }

    fn evaluate_instant(
        &self,
        run: Run<'_>,
        UnixMillis(time): UnixMillis,
    ) -> Result<QueryOutput, QueryError> {
        let bounds = Bounds {
            start: time,
            end: time,
            step: 0,
        };
        let node = parse_query(run.query, bounds, self.options.features)?;
        let state = self.state(run, self.charge());
        let evaluator = Evaluator::new(&state, Grid::instant(time))?;
        let (value, histograms) = if node.value_type() == ValueType::Matrix {
            let (series, histograms) = range_value(&evaluator, &node, time)?;
            (Value::Matrix(series), histograms)
        } else {
            instant_value(&evaluator, &node, time)?
        };
        Ok(output(value, histograms, state))
    }

    /// Evaluates a query at `start`, `start + step`, ... up to `end` inclusive; the value is a matrix. It
    /// blocks: call it from a blocking thread.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn range(
        &self,
        storage: &dyn Queryable,
        query: &str,
        start: UnixMillis,
        end: UnixMillis,
        step: Duration,
    ) -> Result<QueryOutput, QueryError> {
        self.range_with(storage, query, (start, end), step, QueryOptions::default())
    }

    /// As [`Engine::range`], with options; both ends of the range are inclusive.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn range_with(
        &self,
        storage: &dyn Queryable,
        query: &str,
        (start, end): (UnixMillis, UnixMillis),
        step: Duration,
        options: QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let grid = self.range_grid(start, end, step)?;
        let run = self.run(storage, query, options);
        with_room(query, || self.evaluate_range(run, grid))
    }

    fn evaluate_range(&self, run: Run<'_>, grid: Grid) -> Result<QueryOutput, QueryError> {
        let storage = run.storage;
        // Comes before everything that is read, and before it is asked what has changed since.
        let Some(mark) = storage.mark().filter(|_| self.options.kept_bytes_max > 0) else {
            let (output, _may_be_kept) = self.evaluate_steps(run, grid, self.charge())?;
            return Ok(output);
        };
        let key = Key::new(run, grid);
        let known = self.kept.get(&key).and_then(|answer| {
            let UnixMillis(changed) = storage.changed_since(answer.mark);
            let steps = answer.covers(grid, changed)?;
            Some((answer, steps))
        });
        let (output, may_be_kept) = match known {
            Some((answer, steps)) => (self.complete(run, grid, &answer, steps)?, true),
            None => self.evaluate_steps(run, grid, self.charge())?,
        };
        if may_be_kept {
            self.kept.insert(key, grid, mark, &output);
        }
        Ok(output)
    }

    /// The answer at all steps of `grid`, of which that at `steps` is known.
    fn complete(
        &self,
        run: Run<'_>,
        grid: Grid,
        answer: &KeptAnswer,
        steps: Grid,
    ) -> Result<QueryOutput, QueryError> {
        let mut memory = self.charge();
        memory.keep(answer.part_bytes(steps), "the known part of the answer")?;
        let (mut warnings, mut infos) = (answer.warnings.clone(), answer.infos.clone());
        self.kept.count(steps.len(), 0);
        let before = Grid {
            end: steps.start.saturating_sub(grid.step),
            ..grid
        };
        let after = Grid {
            start: steps.end.saturating_add(grid.step),
            ..grid
        };
        let (mut answers, mut samples_read) = (Vec::new(), 0);
        for rest in [Some(before), None, Some(after)] {
            let Some(rest) = rest else {
                answers.push(answer.part(steps));
                continue;
            };
            if rest.len() == 0 {
                continue;
            }
            let (output, _may_be_kept) = self.evaluate_steps(run, rest, memory)?;
            memory = output.memory;
            if let Value::Matrix(series) = output.value {
                answers.push(series);
            }
            output
                .warnings
                .into_iter()
                .for_each(|text| note(&mut warnings, text));
            output
                .infos
                .into_iter()
                .for_each(|text| note(&mut infos, text));
            samples_read += output.samples_read;
        }
        Ok(QueryOutput {
            value: Value::Matrix(joined(answers)),
            histograms: Vec::new(),
            warnings,
            infos,
            samples_read,
            memory,
        })
    }

    /// Evaluates at all steps. Whether the answer may be kept is returned beside it.
    fn evaluate_steps(
        &self,
        run: Run<'_>,
        grid: Grid,
        memory: Charge,
    ) -> Result<(QueryOutput, bool), QueryError> {
        let bounds = Bounds {
            start: grid.start,
            end: grid.end,
            step: grid.step,
        };
        let node = parse_query(run.query, bounds, self.options.features)?;
        let value_type = node.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::InvalidParameter(format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                value_type.as_str()
            )));
        }
        // `range()` is the length of the grid.
        let knows_range = self.options.features.duration_expressions && run.query.contains("range");
        let may_be_kept = node.looks_back_only() && !knows_range;
        if may_be_kept {
            self.kept.count(0, grid.len());
        }
        let state = self.state(run, memory);
        let tracks = match Evaluator::new(&state, grid)?.eval(&node)? {
            Evaluated::Scalar(values) => {
                state.memory.grow(grid.len() * SAMPLE_BYTES, "the answer")?;
                let at = |(timestamp, value)| Sample { timestamp, value };
                let samples = grid.times().zip(values).map(at).collect();
                vec![Track::floats(Labels::empty(), false, samples)]
            }
            Evaluated::Vector(tracks) => finished(tracks, &state)?,
            Evaluated::Text(_) => Vec::new(),
        };
        let (series, histograms) = sorted_series(tracks);
        let output = output(Value::Matrix(series), histograms, state);
        Ok((output, may_be_kept))
    }

    pub(crate) fn state<'q>(&'q self, run: Run<'q>, memory: Charge) -> Query<'q> {
        Query::new(run, &*self.clock, &self.options, memory)
    }

    pub(crate) fn run<'q>(
        &self,
        storage: &'q dyn Queryable,
        query: &'q str,
        options: QueryOptions,
    ) -> Run<'q> {
        let timeout = options.timeout.unwrap_or(self.options.timeout);
        let timeout = timeout.min(self.options.timeout);
        let lookback = options
            .lookback_delta
            .unwrap_or(self.options.lookback_delta);
        Run {
            storage,
            query,
            deadline: self.clock.now().saturating_add(timeout),
            lookback: whole_millis(lookback),
        }
    }

    fn range_grid(
        &self,
        start: UnixMillis,
        end: UnixMillis,
        step: Duration,
    ) -> Result<Grid, QueryError> {
        let invalid = |text: String| Err(QueryError::InvalidParameter(text));
        let step = whole_millis(step);
        if step <= 0 {
            return invalid(
                "zero or negative query resolution step widths are not accepted. Try a positive \
                 integer"
                    .to_owned(),
            );
        }
        if end < start {
            return invalid("end timestamp must not be before start time".to_owned());
        }
        let grid = Grid {
            start: start.0,
            end: end.0,
            step,
        };
        if grid.len() > self.options.steps_max {
            return invalid(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query \
                 resolution (?step=XX)",
                self.options.steps_max
            ));
        }
        Ok(grid)
    }
}

fn output(value: Value, histograms: Vec<HistogramSeries>, state: Query<'_>) -> QueryOutput {
    let samples_read = state.samples_read();
    let (warnings, infos, memory) = state.into_parts();
    QueryOutput {
        value,
        histograms,
        warnings,
        infos,
        samples_read,
        memory,
    }
}

/// The value of an instant query for a range selector or subquery: the samples themselves.
fn range_value(
    evaluator: &Evaluator<'_>,
    node: &Node,
    time: i64,
) -> Result<(Vec<Series>, Vec<HistogramSeries>), QueryError> {
    let mut source = evaluator.eval_range_source(node)?;
    let end = source.shift.reference(time);
    let mut tracks = std::mem::take(&mut source.tracks);
    for track in &mut tracks {
        let (floats, histograms) = match source.edges {
            Edges::Sampled => {
                let (floats, histograms) = RangeSource::window(track, end, source.range);
                (floats.to_vec(), histograms.to_vec())
            }
            Edges::Anchored | Edges::Smoothed => {
                evaluator.with_edges(&source, track, end, node.position)
            }
        };
        (track.samples, track.histograms) = (floats, histograms);
    }
    tracks.retain(|track| !track.is_empty());
    Ok(sorted_series(finished(tracks, evaluator.query)?))
}

fn instant_value(
    evaluator: &Evaluator<'_>,
    node: &Node,
    timestamp: i64,
) -> Result<(Value, Vec<HistogramSeries>), QueryError> {
    let mut histograms = Vec::new();
    let value = match evaluator.eval(node)? {
        Evaluated::Scalar(values) => Value::Scalar(Sample {
            timestamp,
            value: values.first().copied().unwrap_or(f64::NAN),
        }),
        Evaluated::Text(value) => Value::String { timestamp, value },
        Evaluated::Vector(tracks) => {
            let mut vector = Vec::with_capacity(tracks.len());
            for track in finished(tracks, evaluator.query)? {
                match track.samples.first() {
                    Some(sample) => vector.push(InstantSample {
                        labels: track.labels,
                        sample: *sample,
                    }),
                    None => histograms.push(HistogramSeries {
                        labels: track.labels,
                        samples: track.histograms,
                    }),
                }
            }
            Value::Vector(vector)
        }
    };
    Ok((value, histograms))
}

/// Takes away the names (types, units) of metrics that functions have dropped, and joins what is then one series.
fn finished(mut tracks: Vec<Track>, query: &Query<'_>) -> Result<Vec<Track>, QueryError> {
    for track in tracks.iter_mut().filter(|track| track.drop_name) {
        track.labels = without_metric(&track.labels);
        track.drop_name = false;
    }
    merge_same_labels(tracks, &query.memory)
}

/// Floats and histograms as series, sorted by labels.
fn sorted_series(mut tracks: Vec<Track>) -> (Vec<Series>, Vec<HistogramSeries>) {
    tracks.sort_by(|a, b| a.labels.cmp(&b.labels));
    let (mut floats, mut histograms) = (Vec::with_capacity(tracks.len()), Vec::new());
    for track in tracks {
        if !track.histograms.is_empty() {
            histograms.push(HistogramSeries {
                labels: track.labels.clone(),
                samples: track.histograms,
            });
        }
        if !track.samples.is_empty() {
            floats.push(Series {
                labels: track.labels,
                samples: track.samples,
            });
        }
    }
    (floats, histograms)
}
