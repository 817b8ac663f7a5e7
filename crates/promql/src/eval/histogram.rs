//! `histogram_quantile` and `histogram_fraction`, over classic histograms (series with cumulative counts and an
//! upper bound in the label `le`) and over native ones.

use std::sync::Arc;

use vervet_model::{Labels, LabelsBuilder};

use crate::error::QueryError;
use crate::eval::group::{Numbering, Steps};
use crate::eval::labels::text;
use crate::eval::memory::{SAMPLE_BYTES, SPARE, TRACK_BYTES, walk_bytes};
use crate::eval::{Element, Evaluator, Track};
use crate::format::{format_message, format_open_metrics};
use crate::histogram::{Bucket, Buckets, Correction};
use crate::native::{HistogramSample, NativeHistogram, Quantile};
use crate::queryable::Sample;
use crate::syntax::Node;

const BUCKET_LABEL: &str = "le";
const BUCKETS: &str = "the buckets of histograms";

/// One histogram over time: classic buckets as series, each with its upper bound, or native, or both.
struct HistogramGroup {
    /// Without `le`.
    labels: Labels,
    bounds: Vec<f64>,
    members: Vec<Track>,
    native: Vec<HistogramSample>,
}

/// What is asked of a histogram; the numbers are per step.
enum Question {
    Quantile(Vec<f64>),
    Fraction(Vec<f64>, Vec<f64>),
}

impl Evaluator<'_> {
    pub(crate) fn eval_histogram_quantile(
        &self,
        phi: &Node,
        buckets: &Node,
    ) -> Result<Vec<Track>, QueryError> {
        let phis = self.eval_scalar(phi)?;
        self.warn_quantiles(&phis, phi.position);
        self.eval_question(buckets, &Question::Quantile(phis))
    }

    /// Several quantiles at once, told apart by a label that holds the quantile.
    pub(crate) fn eval_histogram_quantiles(&self, args: &[Node]) -> Result<Vec<Track>, QueryError> {
        let [buckets, label, phis @ ..] = args else {
            return Err(QueryError::Execution(
                "histogram_quantiles takes at least three arguments".to_owned(),
            ));
        };
        let label: Arc<str> = Arc::from(text(label)?);
        let mut results = Vec::new();
        for phi in phis {
            let shown = self
                .eval_scalar(phi)?
                .first()
                .map(|phi| Arc::<str>::from(format_open_metrics(*phi)));
            for mut track in self.eval_histogram_quantile(phi, buckets)? {
                if track.labels.get(&label).is_some() {
                    return Err(QueryError::Execution(format!(
                        "the label {label:?} of histogram_quantiles is there already"
                    )));
                }
                let mut labels = LabelsBuilder::from_labels(&track.labels);
                labels.set(Arc::clone(&label), shown.clone().unwrap_or_default());
                track.labels = labels.build();
                results.push(track);
            }
        }
        Ok(results)
    }

    pub(crate) fn eval_histogram_fraction(
        &self,
        lower: &Node,
        upper: &Node,
        buckets: &Node,
    ) -> Result<Vec<Track>, QueryError> {
        let (lowers, uppers) = (self.eval_scalar(lower)?, self.eval_scalar(upper)?);
        self.eval_question(buckets, &Question::Fraction(lowers, uppers))
    }

    /// Asks each histogram at each step.
    fn eval_question(&self, node: &Node, question: &Question) -> Result<Vec<Track>, QueryError> {
        let mut results = Vec::new();
        for group in self.histogram_groups(node)? {
            self.query.check_deadline()?;
            let memory = &self.query.memory;
            let members = group.members.len();
            let work = self.grid.len().saturating_mul(SAMPLE_BYTES);
            let _work = memory.hold(work.saturating_add(2 * walk_bytes(members)), BUCKETS)?;
            let mut samples = Vec::new();
            let (mut steps, mut present) = (Steps::new(&group.members), Vec::new());
            for (index, timestamp) in self.grid.times().enumerate() {
                steps.at(timestamp, &mut present);
                let at = group
                    .native
                    .binary_search_by_key(&timestamp, |sample| sample.timestamp);
                let native = at.ok().and_then(|at| group.native.get(at));
                let value = match (native, present.is_empty()) {
                    (None, true) => None,
                    (Some(native), true) => {
                        self.ask_native(question, index, &native.histogram, &group, node)
                    }
                    (None, false) => {
                        self.ask_classic(question, (index, timestamp), &present, &group, node)
                    }
                    (Some(_), false) => {
                        self.query.warn(
                            &format!(
                                "vector contains a mix of classic and native histograms{}",
                                for_metric(group.labels.metric_name())
                            ),
                            node.position,
                        );
                        None
                    }
                };
                samples.extend(value.map(|value| Sample { timestamp, value }));
            }
            if !samples.is_empty() {
                self.query.charge(samples.len())?;
                let track = Track::floats(group.labels, true, samples);
                memory.grow(track.bytes() + TRACK_BYTES, BUCKETS)?;
                results.push(track);
            }
        }
        Ok(results)
    }

    fn ask_classic(
        &self,
        question: &Question,
        (index, timestamp): (usize, i64),
        present: &[(usize, Element)],
        group: &HistogramGroup,
        node: &Node,
    ) -> Option<f64> {
        let bucket = |(member, element): &(usize, Element)| match element {
            Element::Float(count) => Some(Bucket {
                upper_bound: group.bounds.get(*member).copied().unwrap_or(f64::NAN),
                count: *count,
            }),
            Element::Histogram(_) => None,
        };
        let buckets = Buckets::new(present.iter().filter_map(bucket).collect());
        match question {
            Question::Quantile(phis) => {
                let (value, correction) = buckets.quantile(*phis.get(index)?);
                self.hint_correction(&group.labels, correction, timestamp, node);
                Some(value)
            }
            Question::Fraction(lowers, uppers) => {
                Some(buckets.fraction(*lowers.get(index)?, *uppers.get(index)?))
            }
        }
    }

    fn ask_native(
        &self,
        question: &Question,
        index: usize,
        histogram: &NativeHistogram,
        group: &HistogramGroup,
        node: &Node,
    ) -> Option<f64> {
        let nan_note = |function: &str, what: &str| {
            let name = for_metric(group.labels.metric_name());
            self.query.info(
                &format!("input to {function} has NaN observations, {what}{name}"),
                node.position,
            );
        };
        match question {
            Question::Quantile(phis) => Some(match histogram.quantile(*phis.get(index)?) {
                Quantile::Plain(value) => value,
                Quantile::Skewed(value) => {
                    nan_note("histogram_quantile", "result is skewed higher");
                    value
                }
                Quantile::AmongNan => {
                    nan_note("histogram_quantile", "result is NaN");
                    f64::NAN
                }
            }),
            Question::Fraction(lowers, uppers) => {
                if histogram.sum.is_nan() {
                    nan_note(
                        "histogram_fraction",
                        "which are excluded from all fractions",
                    );
                }
                Some(histogram.fraction(*lowers.get(index)?, *uppers.get(index)?))
            }
        }
    }

    fn histogram_groups(&self, node: &Node) -> Result<Vec<HistogramGroup>, QueryError> {
        let tracks = self.eval_vector(node)?;
        let memory = &self.query.memory;
        // The buckets move into lists of their histograms.
        let member = (size_of::<Track>() + size_of::<f64>()) * SPARE;
        memory.grow(tracks.len() * member, BUCKETS)?;
        let mut numbering = Numbering::new(memory)?;
        let mut groups: Vec<HistogramGroup> = Vec::new();
        for mut track in tracks {
            let native = std::mem::take(&mut track.histograms);
            let bound = self.upper_bound(&track, node);
            if native.is_empty() && bound.is_none() {
                continue;
            }
            // A native histogram may have any labels, `le` among them.
            let is_native = !native.is_empty();
            let labels = track
                .labels
                .filter(|name| is_native || name != BUCKET_LABEL);
            let number = numbering.number(labels.clone())?;
            if number == groups.len() {
                memory.grow(size_of::<HistogramGroup>() * SPARE, BUCKETS)?;
                groups.push(HistogramGroup {
                    labels,
                    bounds: Vec::new(),
                    members: Vec::new(),
                    native: Vec::new(),
                });
            }
            if let Some(group) = groups.get_mut(number) {
                memory.grow(native.len() * size_of::<HistogramSample>() * SPARE, BUCKETS)?;
                group.native.extend(native);
                if let Some(bound) = bound {
                    group.bounds.push(bound);
                    group.members.push(track);
                }
            }
        }
        Ok(groups)
    }

    /// The bound of a bucket series; `None`, with a warning, if there is none. Without floats it is no bucket
    /// series at all.
    fn upper_bound(&self, track: &Track, node: &Node) -> Option<f64> {
        if track.samples.is_empty() {
            return None;
        }
        let text = track.labels.get(BUCKET_LABEL).unwrap_or_default();
        let bound = text.parse().ok();
        if bound.is_none() {
            self.query.warn(
                &format!(
                    "bucket label \"le\" is missing or has a malformed value of {text:?}{}",
                    for_metric(track.labels.metric_name())
                ),
                node.position,
            );
        }
        bound
    }

    fn hint_correction(
        &self,
        labels: &Labels,
        correction: Option<Correction>,
        timestamp: i64,
        node: &Node,
    ) {
        let Some(correction) = correction else {
            return;
        };
        let name = labels.metric_name();
        self.query.info(
            &format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)\
                 {} at step {timestamp} ms, from bucket {} to bucket {}, with a max diff of {}",
                for_metric(name),
                format_message(correction.lowest_bound),
                format_message(correction.highest_bound),
                format_message(correction.largest_difference),
            ),
            node.position,
        );
    }
}

fn for_metric(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!(" for metric name {name:?}")
    }
}
