//! Which series belong together: by some labels, or without some.

use std::collections::HashMap;
use std::sync::Arc;

use vervet_model::Labels;

use crate::error::QueryError;
use crate::eval::labels::is_of_metric;
use crate::eval::memory::{Charge, Held, entry_bytes, labels_bytes};
use crate::eval::{Element, Track};

/// A label set that is numbered, without its labels.
const NUMBER_BYTES: usize = entry_bytes::<Labels, usize>() + 2 * size_of::<Labels>();
const WHAT: &str = "the groups that series belong to";

/// The part of a label set that decides, with the name, type and unit of the metric only where they are listed.
pub(crate) fn key_labels(labels: &Labels, only_listed: bool, listed: &[String]) -> Labels {
    if only_listed {
        if listed.is_empty() {
            return Labels::empty();
        }
        labels.filter(|name| listed.iter().any(|label| label == name))
    } else {
        labels.filter(|name| !is_of_metric(name) && !listed.iter().any(|label| label == name))
    }
}

/// Numbers label sets from 0 in the order of their first appearance. It charges what it takes, while it is there.
#[derive(Debug)]
pub(crate) struct Numbering<'c> {
    numbers: HashMap<Labels, usize>,
    pub(crate) labels: Vec<Labels>,
    held: Held<'c>,
}

impl<'c> Numbering<'c> {
    pub(crate) fn new(memory: &'c Charge) -> Result<Self, QueryError> {
        Ok(Self {
            numbers: HashMap::new(),
            labels: Vec::new(),
            held: memory.hold(0, WHAT)?,
        })
    }

    /// # Errors
    /// There is no memory for one more.
    pub(crate) fn number(&mut self, labels: Labels) -> Result<usize, QueryError> {
        let next = self.labels.len();
        let number = *self.numbers.entry(labels.clone()).or_insert(next);
        if number == next {
            self.held.grow(NUMBER_BYTES + labels_bytes(&labels), WHAT)?;
            self.labels.push(labels);
        }
        Ok(number)
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }
}

/// Walks many series in step: each step asks every series for its value at that time.
pub(crate) struct Steps<'t> {
    tracks: &'t [Track],
    next: Vec<(usize, usize)>,
}

impl<'t> Steps<'t> {
    pub(crate) fn new(tracks: &'t [Track]) -> Self {
        Self {
            tracks,
            next: vec![(0, 0); tracks.len()],
        }
    }

    /// Collects (series index, value) of the series with a sample at a time. Times must not go backwards.
    pub(crate) fn at(&mut self, time: i64, present: &mut Vec<(usize, Element)>) {
        present.clear();
        for (index, (track, (float, histogram))) in
            self.tracks.iter().zip(&mut self.next).enumerate()
        {
            while track
                .samples
                .get(*float)
                .is_some_and(|sample| sample.timestamp < time)
            {
                *float += 1;
            }
            while track
                .histograms
                .get(*histogram)
                .is_some_and(|sample| sample.timestamp < time)
            {
                *histogram += 1;
            }
            let sample = track
                .samples
                .get(*float)
                .filter(|sample| sample.timestamp == time);
            if let Some(sample) = sample {
                present.push((index, Element::Float(sample.value)));
            } else if let Some(sample) = track.histograms.get(*histogram)
                && sample.timestamp == time
            {
                present.push((index, Element::Histogram(Arc::clone(&sample.histogram))));
            }
        }
    }
}
