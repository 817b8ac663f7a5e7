//! Answers of range queries that are kept, for dashboards that ask the same again a little later.
//!
//! In: an answer, and the store's [`Mark`] from before it was read. Out: the part of it that still holds. A value at a step
//! depends on samples up to that step only, unless the query says otherwise; so all steps hold that are earlier than the
//! earliest sample that came, changed or went since ([`Queryable::changed_since`](crate::Queryable::changed_since)).
//! Nothing is assumed of how late samples come.
//!
//! Limits: [`EngineOptions::kept_bytes_max`](crate::EngineOptions) for all answers, one in [`ANSWERS_MIN`] of it for one.
//! The answer that was not used for longest makes room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use vervet_model::Labels;

use crate::eval::memory::labels_bytes;
use crate::eval::{Grid, Run};
use crate::queryable::{Mark, Sample, Series};
use crate::value::{QueryOutput, Value};

/// A larger part of the room is not worth one answer.
const ANSWERS_MIN: usize = 8;
/// What an answer takes besides its series.
const ENTRY_BYTES: usize = 256;
/// An answer is used for so many percent of the steps asked for, at least: less is read again with the rest.
const WORTH_PERCENT: usize = 25;

/// How answers that are kept do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptStats {
    pub bytes: u64,
    /// Steps of queries that were answered from here, and that were evaluated, since the start. Only of queries that
    /// may be kept.
    pub steps_kept: u64,
    pub steps_evaluated: u64,
}

/// Answers whose steps coincide.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    query: String,
    step: i64,
    lookback: i64,
    /// Where the steps lie between multiples of `step`.
    phase: i64,
}

impl Key {
    pub(crate) fn new(run: Run<'_>, grid: Grid) -> Self {
        Self {
            query: run.query.to_owned(),
            step: grid.step,
            lookback: run.lookback,
            phase: grid.start.rem_euclid(grid.step),
        }
    }
}

/// The answer to a range query.
#[derive(Debug)]
pub(crate) struct KeptAnswer {
    pub(crate) grid: Grid,
    /// From before it was read.
    pub(crate) mark: Mark,
    /// Sorted by labels.
    pub(crate) series: Vec<Series>,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl KeptAnswer {
    /// The steps among those asked for that this answers, when all before `changed` hold; `None` when too few do.
    pub(crate) fn covers(&self, asked: Grid, changed: i64) -> Option<Grid> {
        let holds = Grid {
            start: asked.start.max(self.grid.start),
            end: asked.end.min(self.grid.end).min(changed.saturating_sub(1)),
            step: asked.step,
        };
        let worth = asked.len().saturating_mul(WORTH_PERCENT).div_ceil(100);
        if holds.len() == 0 || holds.len() < worth {
            return None;
        }
        // The last step at or before the end.
        let last = (holds.end - holds.start) / holds.step;
        let end = holds.start + last * holds.step;
        Some(Grid { end, ..holds })
    }

    /// The series on some of its steps.
    pub(crate) fn part(&self, steps: Grid) -> Vec<Series> {
        let within = self.series.iter().map(|series| Series {
            labels: series.labels.clone(),
            samples: within(&series.samples, steps).to_vec(),
        });
        within.filter(|series| !series.samples.is_empty()).collect()
    }

    /// What [`KeptAnswer::part`] takes (bytes).
    pub(crate) fn part_bytes(&self, steps: Grid) -> usize {
        let parts = self.series.iter();
        let bytes = parts.map(|series| series_bytes(within(&series.samples, steps)));
        bytes.sum()
    }
}

/// What an answer takes (bytes).
fn answer_bytes(series: &[Series], notes: [&[String]; 2]) -> usize {
    let texts = |labels: &Labels| -> usize {
        let texts = labels.iter().flat_map(|label| [&label.name, &label.value]);
        texts.map(|text| text.len()).sum()
    };
    let series = series.iter().map(|Series { labels, samples }| {
        labels_bytes(labels) + texts(labels) + series_bytes(samples)
    });
    let notes = notes.into_iter().flatten().map(String::capacity);
    ENTRY_BYTES + series.sum::<usize>() + notes.sum::<usize>()
}

fn series_bytes(samples: &[Sample]) -> usize {
    size_of::<Series>() + size_of_val(samples)
}

fn within(samples: &[Sample], steps: Grid) -> &[Sample] {
    let from = samples.partition_point(|sample| sample.timestamp < steps.start);
    let to = samples.partition_point(|sample| sample.timestamp <= steps.end);
    samples.get(from..to).unwrap_or_default()
}

/// The series of answers to the steps of one grid, one after the other; sorted by labels.
pub(crate) fn joined(answers: impl IntoIterator<Item = Vec<Series>>) -> Vec<Series> {
    let mut joined = BTreeMap::<Labels, Vec<Sample>>::new();
    for series in answers.into_iter().flatten() {
        let samples = joined.entry(series.labels).or_default();
        match samples.is_empty() {
            true => *samples = series.samples,
            false => samples.extend(series.samples),
        }
    }
    let series = joined.into_iter();
    series
        .map(|(labels, samples)| Series { labels, samples })
        .collect()
}

/// The answers that are kept.
#[derive(Debug)]
pub(crate) struct Kept {
    bytes_max: usize,
    entries: Mutex<Entries>,
    steps_kept: AtomicU64,
    steps_evaluated: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    bytes: usize,
    /// Counts uses, to tell which entry was not used for longest.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    answer: Arc<KeptAnswer>,
    bytes: usize,
    used: u64,
}

impl Kept {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            entries: Mutex::default(),
            steps_kept: AtomicU64::new(0),
            steps_evaluated: AtomicU64::new(0),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<KeptAnswer>> {
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let clock = entries.clock;
        let entry = entries.by_key.get_mut(key)?;
        entry.used = clock;
        Some(Arc::clone(&entry.answer))
    }

    /// Keeps the answer to all steps of a grid, unless it is too large or has what is not kept.
    pub(crate) fn insert(&self, key: Key, grid: Grid, mark: Mark, output: &QueryOutput) {
        let Value::Matrix(series) = &output.value else {
            return;
        };
        let notes = [output.warnings.as_slice(), output.infos.as_slice()];
        let bytes = answer_bytes(series, notes) + key.query.len();
        if !output.histograms.is_empty() || bytes > self.bytes_max / ANSWERS_MIN {
            return;
        }
        let answer = KeptAnswer {
            grid,
            mark,
            series: series.clone(),
            warnings: output.warnings.clone(),
            infos: output.infos.clone(),
        };
        let mut entries = self.entries.lock();
        let entry = Entry {
            answer: Arc::new(answer),
            bytes,
            used: entries.clock,
        };
        entries.bytes += bytes;
        if let Some(replaced) = entries.by_key.insert(key, entry) {
            entries.bytes -= replaced.bytes;
        }
        while entries.bytes > self.bytes_max && entries.make_room() {}
    }

    pub(crate) fn count(&self, kept: usize, evaluated: usize) {
        let add = |counter: &AtomicU64, steps: usize| {
            counter.fetch_add(steps as u64, Ordering::Relaxed);
        };
        add(&self.steps_kept, kept);
        add(&self.steps_evaluated, evaluated);
    }

    pub(crate) fn stats(&self) -> KeptStats {
        KeptStats {
            bytes: self.entries.lock().bytes as u64,
            steps_kept: self.steps_kept.load(Ordering::Relaxed),
            steps_evaluated: self.steps_evaluated.load(Ordering::Relaxed),
        }
    }
}

impl Entries {
    /// Whether there was an answer to remove.
    fn make_room(&mut self) -> bool {
        let oldest = self.by_key.iter().min_by_key(|(_key, entry)| entry.used);
        let Some(key) = oldest.map(|(key, _entry)| key.clone()) else {
            return false;
        };
        let removed = self.by_key.remove(&key);
        self.bytes -= removed.map_or(0, |removed| removed.bytes);
        true
    }
}
