//! `histogram_quantile` and `histogram_fraction` over classic histograms: series with cumulative counts and
//! an upper bound in the label `le`.

use vervet_model::{LabelsBuilder, METRIC_NAME};

use crate::error::QueryError;
use crate::eval::group::{Numbering, Steps};
use crate::eval::labels::text;
use crate::eval::{Evaluator, Track};
use crate::format::format_message;
use crate::histogram::{Bucket, Buckets, Correction};
use crate::queryable::Sample;
use crate::syntax::Node;

const BUCKET_LABEL: &str = "le";

/// The buckets of one histogram as series, each with its upper bound.
struct BucketGroup {
    /// Without `le`.
    track: Track,
    bounds: Vec<f64>,
    members: Vec<Track>,
}

impl Evaluator<'_> {
    pub(crate) fn eval_histogram_quantile(
        &self,
        phi: &Node,
        buckets: &Node,
    ) -> Result<Vec<Track>, QueryError> {
        let phis = self.eval_scalar(phi)?;
        self.warn_quantiles(&phis, phi.position);
        self.eval_buckets(buckets, |buckets, index| {
            let (value, correction) = buckets.quantile(phis.get(index).copied()?);
            Some((value, correction))
        })
    }

    /// Several quantiles at once, told apart by a label that holds the quantile.
    pub(crate) fn eval_histogram_quantiles(&self, args: &[Node]) -> Result<Vec<Track>, QueryError> {
        let [buckets, label, phis @ ..] = args else {
            return Err(QueryError::Execution(
                "histogram_quantiles takes at least three arguments".to_owned(),
            ));
        };
        let label = text(label)?;
        let mut results = Vec::new();
        for phi in phis {
            let shown = self
                .eval_scalar(phi)?
                .first()
                .map(|phi| format_message(*phi));
            for mut track in self.eval_histogram_quantile(phi, buckets)? {
                if track.labels.get(label).is_some() {
                    return Err(QueryError::Execution(format!(
                        "the label {label:?} of histogram_quantiles is there already"
                    )));
                }
                let mut labels = LabelsBuilder::from_labels(&track.labels);
                labels.set(label, shown.clone().unwrap_or_default());
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
        self.eval_buckets(buckets, |buckets, index| {
            let value = buckets.fraction(*lowers.get(index)?, *uppers.get(index)?);
            Some((value, None))
        })
    }

    /// Applies a function to the buckets of each histogram at each step.
    fn eval_buckets(
        &self,
        node: &Node,
        apply: impl Fn(Buckets, usize) -> Option<(f64, Option<Correction>)>,
    ) -> Result<Vec<Track>, QueryError> {
        let mut results = Vec::new();
        for group in self.bucket_groups(node)? {
            self.query.check_deadline()?;
            let mut samples = Vec::new();
            let (mut steps, mut present) = (Steps::new(&group.members), Vec::new());
            for (index, timestamp) in self.grid.times().enumerate() {
                steps.at(timestamp, &mut present);
                if present.is_empty() {
                    continue;
                }
                let bucket = |(member, count): &(usize, f64)| Bucket {
                    upper_bound: group.bounds.get(*member).copied().unwrap_or(f64::NAN),
                    count: *count,
                };
                let buckets = Buckets::new(present.iter().map(bucket).collect());
                if let Some((value, correction)) = apply(buckets, index) {
                    samples.push(Sample { timestamp, value });
                    self.hint_correction(&group.track, correction, timestamp, node);
                }
            }
            if !samples.is_empty() {
                self.query.charge(samples.len())?;
                results.push(Track {
                    samples,
                    ..group.track
                });
            }
        }
        Ok(results)
    }

    fn bucket_groups(&self, node: &Node) -> Result<Vec<BucketGroup>, QueryError> {
        let mut numbering = Numbering::default();
        let mut groups: Vec<BucketGroup> = Vec::new();
        for track in self.eval_vector(node)? {
            let bound_text = track.labels.get(BUCKET_LABEL).unwrap_or_default();
            let Some(bound) = parse_bound(bound_text) else {
                let name = track.labels.metric_name();
                self.query.warn(
                    &format!(
                        "bucket label \"le\" is missing or has a malformed value of \
                         {bound_text:?}{}",
                        for_metric(name)
                    ),
                    node.position,
                );
                continue;
            };
            let labels = track.labels.filter(|name| name != BUCKET_LABEL);
            match groups.get_mut(numbering.number(labels.clone())) {
                Some(group) => {
                    group.bounds.push(bound);
                    group.members.push(track);
                }
                None => groups.push(BucketGroup {
                    track: Track {
                        labels,
                        drop_name: true,
                        samples: Vec::new(),
                    },
                    bounds: vec![bound],
                    members: vec![track],
                }),
            }
        }
        Ok(groups)
    }

    fn hint_correction(
        &self,
        track: &Track,
        correction: Option<Correction>,
        timestamp: i64,
        node: &Node,
    ) {
        let Some(correction) = correction else {
            return;
        };
        let mut anonymous = LabelsBuilder::from_labels(&track.labels);
        anonymous.remove(METRIC_NAME);
        let name = track.labels.metric_name();
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

/// The number in a bucket label, `+Inf` included.
fn parse_bound(text: &str) -> Option<f64> {
    text.parse().ok()
}
