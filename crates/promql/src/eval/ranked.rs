//! Aggregations that pass some of their input through: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use crate::error::QueryError;
use crate::eval::aggregate::Group;
use crate::eval::group::Steps;
use crate::eval::memory::{TRACK_BYTES, walk_bytes};
use crate::eval::{Element, Evaluator, Track};
use crate::format::format_message;
use crate::syntax::{Aggregate, AggregateOp};

const RANKING: &str = "the series that are ranked";

impl Evaluator<'_> {
    /// Passes the k best (or first) elements of each group at each step. With one step the result is ordered
    /// by rank.
    pub(crate) fn eval_ranked(
        &self,
        aggregate: &Aggregate,
        params: &[f64],
        groups: Vec<Group>,
    ) -> Result<Vec<Track>, QueryError> {
        let counts = params
            .iter()
            .map(|param| whole_count(*param))
            .collect::<Result<Vec<_>, _>>()?;
        let mut results = Vec::new();
        for group in groups {
            self.query.check_deadline()?;
            let members = group.members.len();
            let memory = &self.query.memory;
            let _walk = memory.hold(walk_bytes(members), RANKING)?;
            memory.grow(members * TRACK_BYTES, RANKING)?;
            let emptied =
                |track: &Track| Track::floats(track.labels.clone(), track.drop_name, Vec::new());
            let mut kept: Vec<Track> = group.members.iter().map(emptied).collect();
            let mut order = Vec::new();
            let (mut steps, mut present) = (Steps::new(&group.members), Vec::new());
            for (timestamp, count) in self.grid.times().zip(&counts) {
                steps.at(timestamp, &mut present);
                order = self.choose(aggregate, *count, &present);
                let mut grown = 0;
                for (member, value) in &order {
                    if let Some(track) = kept.get_mut(*member) {
                        let before = track.lists_bytes();
                        track.push(timestamp, value.clone());
                        grown += track.lists_bytes() - before;
                    }
                }
                memory.grow(grown, RANKING)?;
            }
            let mut kept: Vec<Option<Track>> = kept.into_iter().map(Some).collect();
            let by_rank: Vec<usize> = if self.grid.len() == 1 {
                order.into_iter().map(|(member, _)| member).collect()
            } else {
                (0..kept.len()).collect()
            };
            for member in by_rank {
                if let Some(track) = kept.get_mut(member).and_then(Option::take)
                    && !track.is_empty()
                {
                    self.query.charge(track.len())?;
                    results.push(track);
                }
            }
        }
        Ok(results)
    }

    /// Passes a share of the series, chosen by the hash of their labels: of a ratio `r` the lowest hashes, of
    /// `-r` the highest, so that `r` and `r - 1` share nothing and leave nothing out.
    pub(crate) fn eval_limit_ratio(
        &self,
        aggregate: &Aggregate,
        ratios: &[f64],
        groups: Vec<Group>,
    ) -> Result<Vec<Track>, QueryError> {
        if ratios.iter().any(|ratio| ratio.is_nan()) {
            return Err(QueryError::Execution("Ratio value is NaN".to_owned()));
        }
        for ratio in ratios.iter().filter(|ratio| ratio.abs() > 1.0) {
            self.query.warn(
                &format!(
                    "ratio value should be between -1 and 1, got {}, capping to {}",
                    format_message(*ratio),
                    ratio.signum()
                ),
                aggregate
                    .param
                    .as_ref()
                    .map_or(aggregate.expr.position, |node| node.position),
            );
        }
        let mut tracks: Vec<Track> = groups.into_iter().flat_map(|group| group.members).collect();
        for track in &mut tracks {
            let place = track.labels.fingerprint() as f64 / u64::MAX as f64;
            track.retain_times(|time| match ratios.get(self.grid.index(time)) {
                Some(ratio) if *ratio >= 0.0 => place < *ratio || *ratio >= 1.0,
                Some(ratio) => place >= 1.0 + ratio,
                None => false,
            });
        }
        tracks.retain(|track| !track.is_empty());
        Ok(tracks)
    }

    /// The chosen (series index, value) pairs, best first. Histograms have no rank.
    fn choose(
        &self,
        aggregate: &Aggregate,
        count: usize,
        present: &[(usize, Element)],
    ) -> Vec<(usize, Element)> {
        if aggregate.op == AggregateOp::Limitk {
            return present.iter().take(count).cloned().collect();
        }
        let mut floats = Vec::with_capacity(present.len());
        for (member, element) in present {
            match element {
                Element::Float(value) => floats.push((*member, *value)),
                Element::Histogram(_) => self.ignored_histogram(aggregate),
            }
        }
        let best = best(aggregate.op, count, &floats);
        best.into_iter()
            .map(|(member, value)| (member, Element::Float(value)))
            .collect()
    }
}

/// The parameter as a count of elements; below one there are none.
fn whole_count(param: f64) -> Result<usize, QueryError> {
    if param.is_nan() {
        return Err(QueryError::Execution("Parameter value is NaN".to_owned()));
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "the bound itself is a power of two and exact"
    )]
    let limit = i64::MAX as f64;
    if param >= limit {
        return Err(QueryError::Execution(format!(
            "Scalar value {param} overflows int64"
        )));
    }
    if param <= -limit {
        return Err(QueryError::Execution(format!(
            "Scalar value {param} underflows int64"
        )));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "negative values are cut to zero and the rest is within 64 bits"
    )]
    let count = param.max(0.0) as usize;
    Ok(count)
}

/// The highest (lowest) values, best first.
fn best(op: AggregateOp, count: usize, present: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let beats = |a: f64, b: f64| match op {
        AggregateOp::Topk => a > b,
        _ => a < b,
    };
    let mut heap = Worst {
        heap: Vec::new(),
        beats,
    };
    for element in present {
        if heap.heap.len() < count {
            heap.push(*element);
        } else if heap
            .heap
            .first()
            .is_some_and(|worst| heap.better(element.1, worst.1))
        {
            heap.replace_first(*element);
        }
    }
    let Worst { mut heap, beats } = heap;
    heap.sort_by(|a, b| rank(a.1, b.1, beats));
    heap
}

fn rank(a: f64, b: f64, beats: impl Fn(f64, f64) -> bool) -> std::cmp::Ordering {
    if a.is_nan() || b.is_nan() {
        a.is_nan().cmp(&b.is_nan())
    } else if beats(a, b) {
        std::cmp::Ordering::Less
    } else if beats(b, a) {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Equal
    }
}

/// A binary heap with the worst element in front. Which of several equal elements survives follows from the
/// layout of the heap, so this one moves elements exactly as Prometheus's does.
struct Worst<F> {
    heap: Vec<(usize, f64)>,
    beats: F,
}

impl<F: Fn(f64, f64) -> bool> Worst<F> {
    /// Whether `a` is better than `b`; any number is better than NaN.
    fn better(&self, a: f64, b: f64) -> bool {
        (self.beats)(a, b) || (b.is_nan() && !a.is_nan())
    }

    /// Whether the element at `a` belongs nearer to the front than the one at `b`.
    fn worse_at(&self, a: usize, b: usize) -> bool {
        match (self.heap.get(a), self.heap.get(b)) {
            (Some(a), Some(b)) => a.1.is_nan() || (self.beats)(b.1, a.1),
            _ => false,
        }
    }

    fn push(&mut self, element: (usize, f64)) {
        self.heap.push(element);
        let mut index = self.heap.len() - 1;
        while index > 0 {
            let parent = (index - 1) / 2;
            if !self.worse_at(index, parent) {
                return;
            }
            self.heap.swap(index, parent);
            index = parent;
        }
    }

    fn replace_first(&mut self, element: (usize, f64)) {
        if let Some(first) = self.heap.first_mut() {
            *first = element;
        }
        let mut index = 0;
        loop {
            let (left, right) = (2 * index + 1, 2 * index + 2);
            if left >= self.heap.len() {
                return;
            }
            let child = if self.worse_at(right, left) {
                right
            } else {
                left
            };
            if !self.worse_at(child, index) {
                return;
            }
            self.heap.swap(index, child);
            index = child;
        }
    }
}
