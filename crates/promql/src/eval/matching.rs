//! Operators between two vectors: elements find each other by the labels of `on` or `ignoring`.
//!
//! The match group of every series is numbered once; each step then works on numbers only.

use std::collections::HashMap;
use std::sync::Arc;

use vervet_model::{Labels, LabelsBuilder};

use crate::error::QueryError;
use crate::eval::group::{Numbering, Steps, key_labels};
use crate::eval::labels::without_metric;
use crate::eval::memory::{
    Charge, FIRST_SAMPLE_BYTES, Held, SAMPLE_BYTES, SPARE, TRACK_BYTES, entry_bytes, walk_bytes,
};
use crate::eval::{Element, Evaluator, Track};
use crate::syntax::{Binary, BinaryOp, Cardinality, Matching};

const MATCHING: &str = "the series that an operator matches";

/// The numbers of the match groups of some series.
fn group_numbers(
    tracks: &[Track],
    matching: &Matching,
    numbering: &mut Numbering<'_>,
) -> Result<Vec<usize>, QueryError> {
    tracks
        .iter()
        .map(|track| numbering.number(key_labels(&track.labels, matching.on, &matching.labels)))
        .collect()
}

impl Evaluator<'_> {
    /// `and`, `or`, `unless`.
    pub(crate) fn eval_set(
        &self,
        binary: &Binary,
        lhs: Vec<Track>,
        rhs: Vec<Track>,
    ) -> Result<Vec<Track>, QueryError> {
        let memory = &self.query.memory;
        let both = lhs.len().saturating_add(rhs.len());
        let mut held = memory.hold(both * size_of::<usize>() * SPARE, MATCHING)?;
        let mut numbering = Numbering::new(memory)?;
        let lhs_groups = group_numbers(&lhs, &binary.matching, &mut numbering)?;
        let rhs_groups = group_numbers(&rhs, &binary.matching, &mut numbering)?;
        held.grow(numbering.len() * size_of::<Vec<bool>>(), MATCHING)?;
        match binary.op {
            // Of `or` the right side is filtered by the left, of the others the left by the right.
            BinaryOp::Or => {
                let seen = self.groups_per_step(&lhs, &lhs_groups, numbering.len(), &mut held)?;
                held.grow(both * size_of::<Track>(), MATCHING)?;
                let mut all = lhs;
                all.extend(self.filter_by(rhs, &rhs_groups, &seen, false)?);
                Ok(all)
            }
            op => {
                let seen = self.groups_per_step(&rhs, &rhs_groups, numbering.len(), &mut held)?;
                self.filter_by(lhs, &lhs_groups, &seen, op == BinaryOp::And)
            }
        }
    }

    /// Keeps the samples whose match group was seen at their step (`wanted`), or was not.
    fn filter_by(
        &self,
        mut tracks: Vec<Track>,
        groups: &[usize],
        seen: &[Vec<bool>],
        wanted: bool,
    ) -> Result<Vec<Track>, QueryError> {
        self.query.check_deadline()?;
        for (track, group) in tracks.iter_mut().zip(groups) {
            let steps = seen.get(*group).map(Vec::as_slice).unwrap_or_default();
            track.retain_times(|time| {
                steps.get(self.grid.index(time)).copied().unwrap_or(false) == wanted
            });
        }
        tracks.retain(|track| !track.is_empty());
        Ok(tracks)
    }

    /// For each match group, at which steps one of its series has a sample.
    fn groups_per_step(
        &self,
        tracks: &[Track],
        groups: &[usize],
        count: usize,
        held: &mut Held<'_>,
    ) -> Result<Vec<Vec<bool>>, QueryError> {
        let mut seen = vec![Vec::new(); count];
        for (track, group) in tracks.iter().zip(groups) {
            let Some(steps) = seen.get_mut(*group) else {
                continue;
            };
            if steps.is_empty() {
                held.grow(self.grid.len(), MATCHING)?;
                steps.resize(self.grid.len(), false);
            }
            for time in track.times() {
                if let Some(step) = steps.get_mut(self.grid.index(time)) {
                    *step = true;
                }
            }
        }
        Ok(seen)
    }

    /// Arithmetic and comparison operators.
    pub(crate) fn eval_matched(
        &self,
        binary: &Binary,
        lhs: Vec<Track>,
        rhs: Vec<Track>,
    ) -> Result<Vec<Track>, QueryError> {
        // From here on `many` is the side that may have several elements in a group, `one` the other.
        let swapped = binary.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let memory = &self.query.memory;
        let both = many.len().saturating_add(one.len());
        let tables = both * size_of::<usize>() * SPARE + walk_bytes(both);
        let mut held = memory.hold(tables, MATCHING)?;
        let mut numbering = Numbering::new(memory)?;
        let many_groups = group_numbers(&many, &binary.matching, &mut numbering)?;
        let one_groups = group_numbers(&one, &binary.matching, &mut numbering)?;
        held.grow(numbering.len() * size_of::<GroupState>(), MATCHING)?;
        let mut join = Join {
            evaluator: self,
            binary,
            swapped,
            many: &many,
            one: &one,
            many_groups,
            one_groups,
            groups: vec![GroupState::default(); numbering.len()],
            group_labels: &numbering.labels,
            results: Results::new(memory)?,
        };
        let (mut many_steps, mut one_steps) = (Steps::new(&many), Steps::new(&one));
        let (mut many_present, mut one_present) = (Vec::new(), Vec::new());
        for time in self.grid.times() {
            self.query.check_deadline()?;
            many_steps.at(time, &mut many_present);
            one_steps.at(time, &mut one_present);
            let added = join.step(time, &many_present, &one_present)?;
            self.query.charge(added)?;
            memory.grow(added * SAMPLE_BYTES, MATCHING)?;
        }
        Ok(join.results.tracks)
    }
}

/// What one match group has seen at the current step.
#[derive(Debug, Clone, Default)]
struct GroupState {
    /// The element of the "one" side: series index and value.
    one: Option<(usize, Element)>,
    matched: bool,
}

struct Join<'t> {
    evaluator: &'t Evaluator<'t>,
    binary: &'t Binary,
    swapped: bool,
    many: &'t [Track],
    one: &'t [Track],
    many_groups: Vec<usize>,
    one_groups: Vec<usize>,
    groups: Vec<GroupState>,
    group_labels: &'t [Labels],
    results: Results<'t>,
}

impl Join<'_> {
    /// Matches the elements of one step and returns how many results that gave.
    fn step(
        &mut self,
        time: i64,
        many: &[(usize, Element)],
        one: &[(usize, Element)],
    ) -> Result<usize, QueryError> {
        let matching = &self.binary.matching;
        let (fill_many, fill_one) = if self.swapped {
            (matching.fill_right, matching.fill_left)
        } else {
            (matching.fill_left, matching.fill_right)
        };
        if (many.is_empty() && fill_many.is_none()) || (one.is_empty() && fill_one.is_none()) {
            return Ok(0);
        }
        self.groups.fill(GroupState::default());
        for element in one {
            self.enter_one(element.clone())?;
        }
        let mut added = 0;
        for (index, value) in many {
            let Some(group) = self.many_groups.get(*index).copied() else {
                continue;
            };
            let partner = self.groups.get(group).and_then(|state| state.one.clone());
            let (one_index, one_value) = match (partner, fill_one) {
                (Some((index, value)), _) => (Some(index), value),
                (None, Some(fill)) => (None, Element::Float(fill)),
                (None, None) => continue,
            };
            added += usize::from(self.combine(
                time,
                group,
                (Some(*index), value.clone()),
                (one_index, one_value),
            )?);
        }
        if let Some(fill) = fill_many {
            for (index, value) in one {
                let Some(group) = self.one_groups.get(*index).copied() else {
                    continue;
                };
                let has_many = many
                    .iter()
                    .any(|(many, _)| self.many_groups.get(*many) == Some(&group));
                if !has_many {
                    added += usize::from(self.combine(
                        time,
                        group,
                        (None, Element::Float(fill)),
                        (Some(*index), value.clone()),
                    )?);
                }
            }
        }
        Ok(added)
    }

    fn enter_one(&mut self, (index, value): (usize, Element)) -> Result<(), QueryError> {
        let Some(group) = self.one_groups.get(index).copied() else {
            return Ok(());
        };
        let Some(state) = self.groups.get_mut(group) else {
            return Ok(());
        };
        let Some((other, _)) = state.one.replace((index, value)) else {
            return Ok(());
        };
        let labels = |index: usize| {
            self.one
                .get(index)
                .map_or_else(String::new, |track| track.labels.to_string())
        };
        let group_labels = self
            .group_labels
            .get(group)
            .map_or_else(String::new, Labels::to_string);
        Err(QueryError::Execution(format!(
            "found duplicate series for the match group {group_labels} on the {} hand-side of the \
             operation: [{}, {}];many-to-many matching not allowed: matching labels must be \
             unique on one side",
            if self.swapped { "left" } else { "right" },
            labels(other),
            labels(index),
        )))
    }

    /// Adds the result of one pair, of which one side may be a fill value without a series.
    fn combine(
        &mut self,
        time: i64,
        group: usize,
        many: (Option<usize>, Element),
        one: (Option<usize>, Element),
    ) -> Result<bool, QueryError> {
        let (lhs, rhs) = if self.swapped {
            (one.1, many.1)
        } else {
            (many.1, one.1)
        };
        let outcome = self.evaluator.apply_elements(self.binary, &lhs, &rhs);
        let return_bool = self.binary.return_bool;
        let Some(value) = outcome.and_then(|outcome| outcome.element(lhs, return_bool)) else {
            return Ok(false);
        };
        if self.binary.matching.cardinality == Cardinality::OneToOne
            && let Some(state) = self.groups.get_mut(group)
            && std::mem::replace(&mut state.matched, true)
        {
            return Err(QueryError::Execution(
                "multiple matches for labels: many-to-one matching must be explicit \
                 (group_left/group_right)"
                    .to_owned(),
            ));
        }
        let result = match self.results.of_pair.get(&(many.0, one.0, group)) {
            Some(result) => *result,
            None => {
                let (labels, drop_name) = self.result_labels(group, many.0, one.0);
                self.results
                    .add((many.0, one.0, group), labels, drop_name)?
            }
        };
        self.results.push(result, time, value)?;
        Ok(true)
    }

    /// The labels of a result, and whether its metric name is to be dropped at the end.
    fn result_labels(
        &self,
        group: usize,
        many: Option<usize>,
        one: Option<usize>,
    ) -> (Labels, bool) {
        let many = many.and_then(|index| self.many.get(index));
        let one = one.and_then(|index| self.one.get(index));
        let matching = &self.binary.matching;
        let empty = Labels::empty();
        let base = many.map_or_else(
            || self.group_labels.get(group).unwrap_or(&empty),
            |track| &track.labels,
        );
        let mut labels = base.clone();
        let arithmetic = self.binary.op.is_arithmetic();
        if arithmetic {
            labels = without_metric(&labels);
        }
        if matching.cardinality == Cardinality::OneToOne {
            labels = labels
                .filter(|name| matching.on == matching.labels.iter().any(|label| label == name));
        }
        let mut labels = LabelsBuilder::from_labels(&labels);
        for name in &matching.include {
            let label =
                one.and_then(|track| track.labels.iter().find(|label| *label.name == **name));
            match label {
                Some(label) => labels.set(Arc::clone(&label.name), Arc::clone(&label.value)),
                None => labels.remove(name),
            };
        }
        let drop_name = self.binary.return_bool || many.is_some_and(|track| track.drop_name);
        (labels.build(), drop_name && !arithmetic)
    }
}

/// A pair of series by index (`None` for a fill value), and its match group.
type Pair = (Option<usize>, Option<usize>, usize);

/// The results so far. Pairs of different steps may share a result when their labels come out the same.
#[derive(Debug)]
struct Results<'c> {
    memory: &'c Charge,
    tracks: Vec<Track>,
    numbering: Numbering<'c>,
    of_pair: HashMap<Pair, usize>,
    /// Of `of_pair`.
    held: Held<'c>,
}

impl<'c> Results<'c> {
    fn new(memory: &'c Charge) -> Result<Self, QueryError> {
        Ok(Self {
            memory,
            tracks: Vec::new(),
            numbering: Numbering::new(memory)?,
            of_pair: HashMap::new(),
            held: memory.hold(0, MATCHING)?,
        })
    }

    fn add(&mut self, pair: Pair, labels: Labels, drop_name: bool) -> Result<usize, QueryError> {
        self.held.grow(entry_bytes::<Pair, usize>(), MATCHING)?;
        let number = self.numbering.number(labels.clone())?;
        if number == self.tracks.len() {
            self.memory
                .grow(TRACK_BYTES + FIRST_SAMPLE_BYTES, MATCHING)?;
            self.tracks
                .push(Track::floats(labels, drop_name, Vec::new()));
        }
        self.of_pair.insert(pair, number);
        Ok(number)
    }

    fn push(&mut self, result: usize, time: i64, value: Element) -> Result<(), QueryError> {
        let Some(track) = self.tracks.get_mut(result) else {
            return Ok(());
        };
        let float = track
            .samples
            .last()
            .is_some_and(|last| last.timestamp == time);
        let histogram = track
            .histograms
            .last()
            .is_some_and(|last| last.timestamp == time);
        if float || histogram {
            return Err(QueryError::Execution(
                "multiple matches for labels: grouping labels must ensure unique matches"
                    .to_owned(),
            ));
        }
        track.push(time, value);
        Ok(())
    }
}
