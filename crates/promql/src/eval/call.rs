//! Function calls.

use vervet_model::Labels;

use crate::error::{Position, QueryError};
use crate::eval::memory::SAMPLE_BYTES;
use crate::eval::{Element, Evaluated, Evaluator, Track, floats_only, map_values};
use crate::functions::{DatePart, Function, HistogramStat};
use crate::math::nan_first;
use crate::native::{HistogramSample, NativeHistogram};
use crate::queryable::Sample;
use crate::syntax::{Expr, Node};

const STEPS: &str = "a number at every step";

impl Evaluator<'_> {
    pub(crate) fn eval_call(
        &self,
        function: Function,
        args: &[Node],
        position: Position,
    ) -> Result<Evaluated, QueryError> {
        let arg = |index: usize| {
            args.get(index).ok_or_else(|| QueryError::Parse {
                message: "an argument is missing".to_owned(),
                position: Some(position),
            })
        };
        let steps = self.grid.len();
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let vector = match function {
            Function::Pi => return Ok(Evaluated::Scalar(vec![std::f64::consts::PI; steps])),
            Function::Time => {
                return Ok(Evaluated::Scalar(self.grid.times().map(seconds).collect()));
            }
            Function::MaxOf | Function::MinOf => {
                let pairs = self
                    .eval_scalar(arg(0)?)?
                    .into_iter()
                    .zip(self.eval_scalar(arg(1)?)?);
                let larger = matches!(function, Function::MaxOf);
                let pick = |(a, b)| if larger { go_max(a, b) } else { go_min(a, b) };
                return Ok(Evaluated::Scalar(pairs.map(pick).collect()));
            }
            Function::Scalar => {
                let tracks = self.eval_vector(arg(0)?)?;
                return Ok(Evaluated::Scalar(self.only_values(&tracks)?));
            }
            Function::Vector => self.as_vector(&self.eval_scalar(arg(0)?)?)?,
            Function::Math(apply) => map_values(self.eval_vector(arg(0)?)?, apply),
            Function::Date(part) => self.eval_date(part, args.first())?,
            Function::Window(window) => self.eval_window_function(window, args)?,
            Function::Absent => self.eval_absent(arg(0)?)?,
            Function::AbsentOverTime => self.eval_absent_over_time(arg(0)?)?,
            Function::StartTimestamp => self.eval_start_timestamp(arg(0)?)?,
            Function::Timestamp => self.eval_timestamp(arg(0)?)?,
            Function::Clamp => self.eval_clamp(arg(0)?, Some(arg(1)?), Some(arg(2)?))?,
            Function::ClampMin => self.eval_clamp(arg(0)?, Some(arg(1)?), None)?,
            Function::ClampMax => self.eval_clamp(arg(0)?, None, Some(arg(1)?))?,
            Function::Round => self.eval_round(arg(0)?, args.get(1))?,
            Function::Sort { descending } => sorted(self.eval_vector(arg(0)?)?, descending),
            Function::SortByLabel { descending } => {
                self.eval_sort_by_label(arg(0)?, args.get(1..).unwrap_or_default(), descending)?
            }
            Function::Info => self.eval_info(arg(0)?, args.get(1))?,
            Function::LabelReplace => self.eval_label_replace(args)?,
            Function::LabelJoin => self.eval_label_join(args)?,
            Function::HistogramQuantile => self.eval_histogram_quantile(arg(0)?, arg(1)?)?,
            Function::HistogramStat(stat) => histogram_stats(self.eval_vector(arg(0)?)?, stat),
            Function::HistogramQuantiles => self.eval_histogram_quantiles(args)?,
            Function::HistogramFraction => {
                self.eval_histogram_fraction(arg(0)?, arg(1)?, arg(2)?)?
            }
        };
        Ok(Evaluated::Vector(vector))
    }

    /// The value of the only element at each step, NaN where there is none or more than one.
    fn only_values(&self, tracks: &[Track]) -> Result<Vec<f64>, QueryError> {
        let bytes = self.grid.len().saturating_mul(size_of::<(usize, f64)>());
        let _values = self.query.memory.hold(bytes, STEPS)?;
        let mut values = vec![(0_usize, f64::NAN); self.grid.len()];
        for sample in tracks.iter().flat_map(|track| &track.samples) {
            if let Some(slot) = values.get_mut(self.grid.index(sample.timestamp)) {
                *slot = (slot.0 + 1, sample.value);
            }
        }
        Ok(values
            .into_iter()
            .map(|(count, value)| if count == 1 { value } else { f64::NAN })
            .collect())
    }

    fn as_vector(&self, values: &[f64]) -> Result<Vec<Track>, QueryError> {
        self.query.memory.grow(values.len() * SAMPLE_BYTES, STEPS)?;
        let at = |(timestamp, value): (i64, &f64)| Sample {
            timestamp,
            value: *value,
        };
        let samples = self.grid.times().zip(values).map(at).collect();
        Ok(vec![Track::floats(Labels::empty(), false, samples)])
    }

    fn eval_date(&self, part: DatePart, arg: Option<&Node>) -> Result<Vec<Track>, QueryError> {
        let moments = match arg {
            Some(arg) => self.eval_vector(arg)?,
            None => {
                let bytes = self.grid.len().saturating_mul(size_of::<f64>());
                let _times = self.query.memory.hold(bytes, STEPS)?;
                let times: Vec<f64> = self
                    .grid
                    .times()
                    .map(|millis| millis.div_euclid(1000) as f64)
                    .collect();
                self.as_vector(&times)?
            }
        };
        Ok(map_values(moments, |seconds| part.of(seconds)))
    }

    /// Of a selector the time of its sample, of anything else the time of the step; in seconds.
    fn eval_timestamp(&self, arg: &Node) -> Result<Vec<Track>, QueryError> {
        let mut tracks = match arg.bare() {
            Expr::Vector(selector) => {
                self.eval_newest(selector, |time, _| Element::Float(time as f64 / 1000.0))?
            }
            _ => {
                let mut tracks = self.eval_vector(arg)?;
                for track in &mut tracks {
                    let mut times: Vec<i64> = track.times().collect();
                    times.sort_unstable();
                    let at = |timestamp| Sample {
                        timestamp,
                        value: timestamp as f64 / 1000.0,
                    };
                    track.samples = times.into_iter().map(at).collect();
                    track.histograms.clear();
                }
                tracks
            }
        };
        for track in &mut tracks {
            track.drop_name = true;
        }
        Ok(tracks)
    }

    fn eval_clamp(
        &self,
        arg: &Node,
        low: Option<&Node>,
        high: Option<&Node>,
    ) -> Result<Vec<Track>, QueryError> {
        let mut tracks = floats_only(self.eval_vector(arg)?);
        let steps = self.grid.len();
        let bytes = steps.saturating_mul(2 * size_of::<f64>());
        let _bounds = self.query.memory.hold(bytes, STEPS)?;
        let lows = low.map_or_else(
            || Ok(vec![f64::NEG_INFINITY; steps]),
            |node| self.eval_scalar(node),
        )?;
        let highs = high.map_or_else(
            || Ok(vec![f64::INFINITY; steps]),
            |node| self.eval_scalar(node),
        )?;
        let bounds_at = |timestamp: i64| {
            let index = self.grid.index(timestamp);
            let low = lows.get(index).copied().unwrap_or(f64::NAN);
            (low, highs.get(index).copied().unwrap_or(f64::NAN))
        };
        for track in &mut tracks {
            track.drop_name = true;
            track.samples.retain_mut(|sample| {
                let (low, high) = bounds_at(sample.timestamp);
                sample.value = go_max(low, go_min(high, sample.value));
                low <= high || low.is_nan() || high.is_nan()
            });
        }
        tracks.retain(|track| !track.is_empty());
        Ok(tracks)
    }

    fn eval_round(&self, arg: &Node, nearest: Option<&Node>) -> Result<Vec<Track>, QueryError> {
        let mut tracks = floats_only(self.eval_vector(arg)?);
        let bytes = self.grid.len().saturating_mul(size_of::<f64>());
        let _nearest = self.query.memory.hold(bytes, STEPS)?;
        let nearest = match nearest {
            Some(node) => self.eval_scalar(node)?,
            None => vec![1.0; self.grid.len()],
        };
        for track in &mut tracks {
            track.drop_name = true;
            for sample in &mut track.samples {
                let index = self.grid.index(sample.timestamp);
                // Inverting first rounds less: 1 / 0.1 is exact where 0.1 is not.
                let inverse = 1.0 / nearest.get(index).copied().unwrap_or(f64::NAN);
                sample.value = (sample.value * inverse + 0.5).floor() / inverse;
            }
        }
        Ok(tracks)
    }
}

/// Orders by value where there is one step; of several steps the order means nothing. NaN comes last.
fn sorted(tracks: Vec<Track>, descending: bool) -> Vec<Track> {
    let mut tracks = floats_only(tracks);
    if tracks.iter().any(|track| track.samples.len() != 1) {
        return tracks;
    }
    let value = |track: &Track| {
        track
            .samples
            .first()
            .map_or(f64::NAN, |sample| sample.value)
    };
    tracks.sort_by(|a, b| {
        let (a, b) = (value(a), value(b));
        match (a.is_nan(), b.is_nan()) {
            (false, false) if descending => nan_first(b, a),
            (false, false) => nan_first(a, b),
            (a_nan, b_nan) => a_nan.cmp(&b_nan),
        }
    });
    tracks
}

/// A number of each native histogram; floats are left out.
fn histogram_stats(mut tracks: Vec<Track>, stat: HistogramStat) -> Vec<Track> {
    let number = |histogram: &NativeHistogram| match stat {
        HistogramStat::Avg => histogram.sum / histogram.count,
        HistogramStat::Count => histogram.count,
        HistogramStat::Stddev => histogram.variance().sqrt(),
        HistogramStat::Stdvar => histogram.variance(),
        HistogramStat::Sum => histogram.sum,
    };
    for track in &mut tracks {
        track.drop_name = true;
        let of = |sample: HistogramSample| Sample {
            timestamp: sample.timestamp,
            value: number(&sample.histogram),
        };
        track.samples = track.histograms.drain(..).map(of).collect();
    }
    tracks.retain(|track| !track.is_empty());
    tracks
}

/// The larger number; NaN if either is, unless the other is infinite: nothing is larger.
fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The smaller number; NaN if either is, unless the other is infinite: nothing is smaller.
fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}
