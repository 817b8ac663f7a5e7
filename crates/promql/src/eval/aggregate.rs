//! Aggregations that give one value per group: sums, means, extremes, spreads, quantiles.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use vervet_model::{Labels, LabelsBuilder};

use crate::error::QueryError;
use crate::eval::group::{Numbering, key_labels};
use crate::eval::histogram_windows::Place;
use crate::eval::labels::is_of_metric;
use crate::eval::memory::{Charge, SAMPLE_BYTES, SPARE, TRACK_BYTES, entry_bytes, text_bytes};
use crate::eval::{Evaluator, Track};
use crate::format::format_plain;
use crate::math::{KahanSum, Mean, Variance, quantile};
use crate::native::{HistogramSample, Incompatible, NativeHistogram, mean, total};
use crate::queryable::Sample;
use crate::syntax::{Aggregate, AggregateOp, Expr, Node};

const AGGREGATING: &str = "the groups of an aggregation";
const COUNTING: &str = "the values that are counted";

/// Series that are aggregated together, in the order of the input.
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    pub(crate) members: Vec<Track>,
}

impl Evaluator<'_> {
    pub(crate) fn eval_aggregate(&self, aggregate: &Aggregate) -> Result<Vec<Track>, QueryError> {
        let param = |evaluator: &Self| match &aggregate.param {
            Some(node) => evaluator.eval_scalar(node),
            None => Ok(Vec::new()),
        };
        let groups = self.eval_groups(aggregate)?;
        match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                self.eval_ranked(aggregate, &param(self)?, groups)
            }
            AggregateOp::LimitRatio => self.eval_limit_ratio(aggregate, &param(self)?, groups),
            AggregateOp::Quantile => {
                let phis = param(self)?;
                if let Some(node) = &aggregate.param {
                    self.warn_quantiles(&phis, node.position);
                }
                self.eval_quantile(aggregate, &phis, groups)
            }
            AggregateOp::CountValues => {
                self.eval_count_values(aggregate.param.as_ref(), aggregate, groups)
            }
            op => self.eval_folded(op, aggregate, groups),
        }
    }

    fn eval_groups(&self, aggregate: &Aggregate) -> Result<Vec<Group>, QueryError> {
        let tracks = self.eval_vector(&aggregate.expr)?;
        let memory = &self.query.memory;
        // The members move into lists of their groups.
        memory.grow(tracks.len() * size_of::<Track>() * SPARE, AGGREGATING)?;
        let mut numbering = Numbering::new(memory)?;
        let mut groups: Vec<Group> = Vec::new();
        for track in tracks {
            let key = key_labels(&track.labels, !aggregate.without, &aggregate.labels);
            let number = numbering.number(key.clone())?;
            match groups.get_mut(number) {
                Some(group) => group.members.push(track),
                None => {
                    memory.grow(size_of::<Group>() * SPARE, AGGREGATING)?;
                    groups.push(Group {
                        labels: key,
                        drop_name: track.drop_name,
                        members: vec![track],
                    });
                }
            }
        }
        Ok(groups)
    }

    fn eval_folded(
        &self,
        op: AggregateOp,
        aggregate: &Aggregate,
        groups: Vec<Group>,
    ) -> Result<Vec<Track>, QueryError> {
        let mut results = Vec::with_capacity(groups.len());
        let mut folds: Vec<Option<Fold>> = Vec::new();
        let per_step = size_of::<Option<Fold>>() + SAMPLE_BYTES;
        let memory = &self.query.memory;
        let _folds = memory.hold(self.grid.len().saturating_mul(per_step), AGGREGATING)?;
        for group in groups {
            self.query.check_deadline()?;
            folds.clear();
            folds.resize(self.grid.len(), None);
            for sample in group.members.iter().flat_map(|track| &track.samples) {
                if let Some(fold) = folds.get_mut(self.grid.index(sample.timestamp)) {
                    fold.get_or_insert_with(|| Fold::new(op)).add(sample.value);
                }
            }
            let histograms = self.fold_histograms(op, aggregate, &group, &mut folds);
            let samples = self.at_steps(folds.iter().map(|fold| fold.as_ref().map(Fold::value)));
            self.query.charge(samples.len() + histograms.len())?;
            let mut track = group.into_track(samples);
            track.histograms = histograms;
            memory.grow(track.bytes(), AGGREGATING)?;
            if !track.is_empty() {
                results.push(track);
            }
        }
        Ok(results)
    }

    /// Takes the histograms of a group into account: they are counted, or summed where no floats are, or left
    /// out with a hint.
    fn fold_histograms(
        &self,
        op: AggregateOp,
        aggregate: &Aggregate,
        group: &Group,
        folds: &mut [Option<Fold>],
    ) -> Vec<HistogramSample> {
        let mut per_step: BTreeMap<i64, Vec<Arc<NativeHistogram>>> = BTreeMap::new();
        for sample in group.members.iter().flat_map(|track| &track.histograms) {
            match op {
                AggregateOp::Count | AggregateOp::Group => {
                    if let Some(fold) = folds.get_mut(self.grid.index(sample.timestamp)) {
                        fold.get_or_insert_with(|| Fold::new(op)).add(0.0);
                    }
                }
                AggregateOp::Sum | AggregateOp::Avg => {
                    let at_step = per_step.entry(sample.timestamp).or_default();
                    at_step.push(Arc::clone(&sample.histogram));
                }
                _ => self.ignored_histogram(aggregate),
            }
        }
        let mut results = Vec::with_capacity(per_step.len());
        for (timestamp, histograms) in per_step {
            let fold = folds.get_mut(self.grid.index(timestamp));
            if fold.is_some_and(|fold| fold.take().is_some()) {
                self.query.warn(
                    "encountered a mix of histograms and floats for aggregation",
                    aggregate.expr.position,
                );
                continue;
            }
            let mean_wanted = op == AggregateOp::Avg;
            match if mean_wanted {
                mean(&histograms)
            } else {
                total(&histograms)
            } {
                Ok(Some((histogram, reconciled))) => {
                    self.warn_contradiction(&histograms, aggregate.expr.position);
                    if reconciled {
                        self.reconciled("aggregation", aggregate.expr.position);
                    }
                    results.push(HistogramSample {
                        timestamp,
                        histogram: Arc::new(histogram),
                    });
                }
                Ok(None) => {}
                Err(Incompatible) => self.warn_schemas(Place {
                    name: group.metric_of_histograms(),
                    position: aggregate.expr.position,
                }),
            }
        }
        results
    }

    /// Tells the user that histograms take no part in an aggregation.
    pub(crate) fn ignored_histogram(&self, aggregate: &Aggregate) {
        self.query.info(
            &format!("ignored histogram in {} aggregation", aggregate.op.as_str()),
            aggregate.expr.position,
        );
    }

    fn eval_quantile(
        &self,
        aggregate: &Aggregate,
        phis: &[f64],
        groups: Vec<Group>,
    ) -> Result<Vec<Track>, QueryError> {
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            self.query.check_deadline()?;
            if group
                .members
                .iter()
                .any(|track| !track.histograms.is_empty())
            {
                self.ignored_histogram(aggregate);
            }
            let memory = &self.query.memory;
            let samples: usize = group.members.iter().map(|track| track.samples.len()).sum();
            let per_step = size_of::<Vec<f64>>() + SAMPLE_BYTES;
            let bytes = self.grid.len().saturating_mul(per_step);
            let bytes = bytes.saturating_add(samples * size_of::<f64>() * SPARE);
            let _values = memory.hold(bytes, AGGREGATING)?;
            let mut values: Vec<Vec<f64>> = vec![Vec::new(); self.grid.len()];
            for sample in group.members.iter().flat_map(|track| &track.samples) {
                if let Some(at_step) = values.get_mut(self.grid.index(sample.timestamp)) {
                    at_step.push(sample.value);
                }
            }
            let of_step = |(at_step, phi): (&mut Vec<f64>, &f64)| {
                (!at_step.is_empty()).then(|| quantile(*phi, at_step))
            };
            let samples = self.at_steps(values.iter_mut().zip(phis).map(of_step));
            self.query.charge(samples.len())?;
            if !samples.is_empty() {
                let track = group.into_track(samples);
                memory.grow(track.bytes(), AGGREGATING)?;
                results.push(track);
            }
        }
        Ok(results)
    }

    fn eval_count_values(
        &self,
        label: Option<&Node>,
        aggregate: &Aggregate,
        groups: Vec<Group>,
    ) -> Result<Vec<Track>, QueryError> {
        let Some(Expr::Text(label)) = label.map(Node::bare) else {
            return Err(QueryError::Execution(
                "count_values needs a label name".to_owned(),
            ));
        };
        if label.is_empty() {
            return Err(QueryError::Execution(format!(
                "invalid label name {label:?}"
            )));
        }
        let mut results = Vec::new();
        for group in groups {
            self.query.check_deadline()?;
            self.count_values(label, aggregate, &group, &mut results)?;
        }
        merge_same_labels(results, &self.query.memory)
    }

    fn count_values(
        &self,
        label: &str,
        aggregate: &Aggregate,
        group: &Group,
        results: &mut Vec<Track>,
    ) -> Result<(), QueryError> {
        let memory = &self.query.memory;
        let per_step = size_of::<HashMap<usize, f64>>() + SAMPLE_BYTES;
        let mut held = memory.hold(self.grid.len().saturating_mul(per_step), COUNTING)?;
        let mut numbering = Numbering::new(memory)?;
        let mut counts: Vec<HashMap<usize, f64>> = vec![HashMap::new(); self.grid.len()];
        let values = group.members.iter().flat_map(|track| {
            let floats = track.samples.iter();
            let floats = floats.map(|sample| (sample.timestamp, format_plain(sample.value)));
            let histograms = track.histograms.iter();
            floats.chain(histograms.map(|sample| (sample.timestamp, sample.histogram.to_string())))
        });
        for (timestamp, text) in values {
            let known = numbering.len();
            let number = numbering.number(Labels::from_pairs([("", &text)]))?;
            if numbering.len() > known {
                // The text stays: it becomes a label.
                memory.keep(2 * text_bytes(&text), COUNTING)?;
            }
            if let Some(at_step) = counts.get_mut(self.grid.index(timestamp)) {
                let full = at_step.len() == at_step.capacity();
                *at_step.entry(number).or_default() += 1.0;
                if full {
                    held.grow(at_step.capacity() * entry_bytes::<usize, f64>(), COUNTING)?;
                }
            }
        }
        let name: Arc<str> = Arc::from(label);
        for (number, value) in numbering.labels.iter().enumerate() {
            self.query.check_deadline()?;
            let samples = self.at_steps(counts.iter().map(|at_step| at_step.get(&number).copied()));
            self.query.charge(samples.len())?;
            let mut labels = LabelsBuilder::from_labels(&group.labels);
            let value = value.iter().next().map(|label| Arc::clone(&label.value));
            labels.set(Arc::clone(&name), value.unwrap_or_default());
            let keeps_name = aggregate.labels.iter().any(|name| is_of_metric(name));
            let drop_name = group.drop_name && !is_of_metric(label) && keeps_name;
            let track = Track::floats(labels.build(), drop_name, samples);
            memory.grow(track.bytes() + TRACK_BYTES, COUNTING)?;
            results.push(track);
        }
        Ok(())
    }

    /// The samples of the steps that have a value.
    fn at_steps(&self, values: impl Iterator<Item = Option<f64>>) -> Vec<Sample> {
        self.grid
            .times()
            .zip(values)
            .filter_map(|(timestamp, value)| value.map(|value| Sample { timestamp, value }))
            .collect()
    }
}

impl Group {
    /// The name of a metric with histograms.
    fn metric_of_histograms(&self) -> &str {
        let mut members = self.members.iter().rev();
        let found = members.find(|track| !track.histograms.is_empty());
        found.map_or("", |track| track.labels.metric_name())
    }

    fn into_track(self, samples: Vec<Sample>) -> Track {
        Track::floats(self.labels, self.drop_name, samples)
    }
}

/// Joins series with the same labels: their samples must lie at different times.
///
/// # Errors
/// Two samples of the same label set fall on the same time.
pub(crate) fn merge_same_labels(
    tracks: Vec<Track>,
    memory: &Charge,
) -> Result<Vec<Track>, QueryError> {
    let _merged = memory.hold(
        tracks.len() * size_of::<Track>(),
        "series with the same labels",
    )?;
    let mut numbering = Numbering::new(memory)?;
    let mut merged: Vec<Track> = Vec::with_capacity(tracks.len());
    let mut touched = Vec::new();
    for track in tracks {
        let number = numbering.number(track.labels.clone())?;
        match merged.get_mut(number) {
            Some(existing) => {
                existing.samples.extend(track.samples);
                existing.histograms.extend(track.histograms);
                touched.push(number);
            }
            None => merged.push(track),
        }
    }
    for number in touched {
        let Some(track) = merged.get_mut(number) else {
            continue;
        };
        track.samples.sort_by_key(|sample| sample.timestamp);
        track.histograms.sort_by_key(|sample| sample.timestamp);
        let mut times = HashSet::with_capacity(track.len());
        if !track.times().all(|time| times.insert(time)) {
            return Err(QueryError::Execution(
                "vector cannot contain metrics with the same labelset".to_owned(),
            ));
        }
    }
    Ok(merged)
}

/// The state of one aggregation over the values of one group at one step.
#[derive(Debug, Clone, Copy)]
enum Fold {
    Sum(KahanSum),
    Avg(Mean),
    Count(f64),
    Group,
    Min(f64),
    Max(f64),
    Stddev(Variance),
    Stdvar(Variance),
}

impl Fold {
    fn new(op: AggregateOp) -> Self {
        match op {
            AggregateOp::Sum => Self::Sum(KahanSum::default()),
            AggregateOp::Avg => Self::Avg(Mean::default()),
            AggregateOp::Count => Self::Count(0.0),
            AggregateOp::Min => Self::Min(f64::NAN),
            AggregateOp::Max => Self::Max(f64::NAN),
            AggregateOp::Stddev => Self::Stddev(Variance::default()),
            AggregateOp::Stdvar => Self::Stdvar(Variance::default()),
            AggregateOp::Group
            | AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio
            | AggregateOp::Quantile
            | AggregateOp::CountValues => Self::Group,
        }
    }

    fn add(&mut self, value: f64) {
        match self {
            Self::Sum(sum) => *sum = sum.add(value),
            Self::Avg(mean) => mean.add(value),
            Self::Count(count) => *count += 1.0,
            Self::Group => {}
            Self::Min(least) if value < *least || least.is_nan() => *least = value,
            Self::Max(most) if value > *most || most.is_nan() => *most = value,
            Self::Min(_) | Self::Max(_) => {}
            Self::Stddev(variance) | Self::Stdvar(variance) => variance.add(value),
        }
    }

    fn value(&self) -> f64 {
        match self {
            Self::Sum(sum) => sum.total(),
            Self::Avg(mean) => mean.value(),
            Self::Count(value) | Self::Min(value) | Self::Max(value) => *value,
            Self::Group => 1.0,
            Self::Stddev(variance) => variance.value().sqrt(),
            Self::Stdvar(variance) => variance.value(),
        }
    }
}
