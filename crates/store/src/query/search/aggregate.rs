//! Counts and sums of matching rows, by group and time.

mod counted;
mod slots;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::TimestampNanosecondType;
use parking_lot::Mutex;
use vervet_model::UnixNanos;

use self::slots::{DENSE_MAX, Slots, codes, distinct, index, steps};
use super::job::{Origin, Visit};
use super::predicate::{Numbers, Predicate, Source};
use super::rows::Rows;
use super::sketch::{NumberSummary, SKETCH_BYTES_MAX};
use super::text::TextColumn;
use super::times::Span;
use crate::StoreError;
use crate::query::filter::Field;
use crate::segment::index::cube::{Cube, Tally};
use crate::tables::{Layout, column};

/// Cells of one answer: groups times time steps.
pub const CELLS_MAX: usize = 1_000_000;

/// What is counted of the rows that fulfil a filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aggregate {
    /// One group for each combination of values; a value that is absent counts as empty.
    pub group_by: Vec<Field>,
    /// The time step, counted from the start of the request; one step without.
    pub bucket: Option<Duration>,
    /// Whether to add up the bytes of bodies (of logs).
    pub bytes: bool,
    /// Whether to note the latest time.
    pub latest: bool,
    pub numbers: Vec<NumberField>,
}

/// A numeric column or attribute that is summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberField {
    pub field: Field,
    pub quantiles: bool,
}

/// What was counted of one combination of values.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateGroup {
    /// In the order of [`Aggregate::group_by`].
    pub key: Vec<String>,
    /// By time; steps without a row are left out.
    pub cells: Vec<AggregateCell>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AggregateCell {
    /// Of the time step.
    pub start: UnixNanos,
    pub count: u64,
    /// Of the bodies; 0 unless asked for.
    pub bytes: u64,
    /// The earliest possible time unless asked for.
    pub latest: UnixNanos,
    /// In the order of [`Aggregate::numbers`].
    pub numbers: Vec<NumberSummary>,
}

pub(crate) struct Counter {
    start: i64,
    /// Nanoseconds.
    bucket: Option<i64>,
    groups: Vec<Source>,
    numbers: Vec<(Source, bool)>,
    bytes: bool,
    latest: bool,
    cells_max: usize,
    /// As many as threads have counted at once.
    partial: Mutex<Vec<Counts>>,
}

#[derive(Default)]
struct Counts {
    by_key: HashMap<Vec<Box<str>>, BTreeMap<i64, Cell>>,
    cells: usize,
}

struct Cell {
    count: u64,
    bytes: u64,
    latest: i64,
    numbers: Vec<NumberSummary>,
}

impl Counter {
    /// # Errors
    /// [`StoreError::Invalid`] when a field does not exist or the time step is zero.
    pub(crate) fn new(
        layout: &Layout,
        aggregate: &Aggregate,
        start: UnixNanos,
        memory_bytes: usize,
    ) -> Result<Self, StoreError> {
        let bucket = aggregate
            .bucket
            .map(|bucket| i64::try_from(bucket.as_nanos()).unwrap_or(i64::MAX));
        if bucket == Some(0) {
            return Err(StoreError::Invalid {
                reason: "the bucket of a count must be longer than zero".to_owned(),
            });
        }
        let groups = aggregate.group_by.iter();
        let numbers = aggregate.numbers.iter();
        let with_quantiles = aggregate.numbers.iter().filter(|number| number.quantiles);
        let cell_bytes = with_quantiles.count() * SKETCH_BYTES_MAX;
        let fit = memory_bytes.checked_div(cell_bytes);
        Ok(Self {
            start: start.0,
            bucket,
            groups: groups
                .map(|field| Source::new(layout, field))
                .collect::<Result<_, _>>()?,
            numbers: numbers
                .map(|number| Ok((Source::new(layout, &number.field)?, number.quantiles)))
                .collect::<Result<_, StoreError>>()?,
            bytes: aggregate.bytes,
            latest: aggregate.latest,
            cells_max: fit.map_or(CELLS_MAX, |fit| fit.min(CELLS_MAX)),
            partial: Mutex::default(),
        })
    }

    /// Sorted by key.
    pub(crate) fn into_groups(self) -> Result<Vec<AggregateGroup>, StoreError> {
        let mut all = Counts::default();
        for counts in self.partial.into_inner() {
            all.merge(counts, self.cells_max)?;
        }
        let bucket = self.bucket.unwrap_or(0);
        let cell = |(index, cell): (i64, Cell)| AggregateCell {
            start: UnixNanos(self.start.saturating_add(index.saturating_mul(bucket))),
            count: cell.count,
            bytes: cell.bytes,
            latest: UnixNanos(cell.latest),
            numbers: cell.numbers,
        };
        let mut groups: Vec<AggregateGroup> = all
            .by_key
            .into_iter()
            .map(|(key, cells)| AggregateGroup {
                key: key.into_iter().map(String::from).collect(),
                cells: cells.into_iter().map(cell).collect(),
            })
            .collect();
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(groups)
    }

    /// The group and time step of each row.
    fn slots(&self, rows: &mut Rows<'_>) -> Result<Slots, StoreError> {
        let mut slots = Slots::new(rows.len());
        let mut texts = Vec::with_capacity(self.groups.len());
        for source in &self.groups {
            let (codes, values) = codes(rows, source)?;
            slots.split(&codes, values.len());
            texts.push(values);
        }
        slots.texts = texts;
        if let Some(bucket) = self.bucket {
            let times = rows.required(column::TIME)?;
            let steps = steps(times_of(rows, &times)?, self.start, bucket);
            let first = steps.iter().min().copied().unwrap_or(0);
            let last = steps.iter().max().copied().unwrap_or(0);
            let width = usize::try_from(last - first).unwrap_or(usize::MAX);
            let codes: Vec<u32> = if width < DENSE_MAX {
                let code = |step: &i64| u32::try_from(step - first).unwrap_or(u32::MAX);
                slots.first_step = first;
                steps.iter().map(code).collect()
            } else {
                slots.steps = distinct(&steps);
                let code = |step: &i64| slots.steps.binary_search(step).unwrap_or(0);
                steps
                    .iter()
                    .map(|step| u32::try_from(code(step)).unwrap_or(u32::MAX))
                    .collect()
            };
            slots.split(&codes, width.saturating_add(1).min(DENSE_MAX));
        }
        Ok(slots)
    }

    fn empty_cell(&self) -> Cell {
        let numbers = self.numbers.iter();
        Cell {
            count: 0,
            bytes: 0,
            latest: i64::MIN,
            numbers: numbers
                .map(|(_source, quantiles)| NumberSummary::new(*quantiles))
                .collect(),
        }
    }

    fn count(&self, rows: &mut Rows<'_>, slots: &Slots) -> Result<Vec<Cell>, StoreError> {
        let mut counts = vec![0_u64; slots.keys.len()];
        for slot in &slots.of_row {
            if let Some(count) = counts.get_mut(index(*slot)) {
                *count += 1;
            }
        }
        let mut cells: Vec<Cell> = counts
            .into_iter()
            .map(|count| Cell {
                count,
                ..self.empty_cell()
            })
            .collect();
        if self.bytes {
            let bodies = rows.required(column::BODY)?;
            let bodies = TextColumn::new(bodies.as_ref()).ok_or(wrong(rows))?;
            for (row, slot) in slots.of_row.iter().enumerate() {
                if let Some(cell) = cells.get_mut(index(*slot)) {
                    cell.bytes += bodies.get(row).map_or(0, str::len) as u64;
                }
            }
        }
        if self.latest {
            let times = rows.required(column::TIME)?;
            for (time, slot) in times_of(rows, &times)?.iter().zip(&slots.of_row) {
                if let Some(cell) = cells.get_mut(index(*slot)) {
                    cell.latest = cell.latest.max(*time);
                }
            }
        }
        for (number, (source, _quantiles)) in self.numbers.iter().enumerate() {
            each_number(rows, source, |row, value| {
                let slot = slots
                    .of_row
                    .get(row)
                    .map_or(usize::MAX, |slot| index(*slot));
                let cell = cells.get_mut(slot);
                if let Some(summary) = cell.and_then(|cell| cell.numbers.get_mut(number)) {
                    summary.add(value);
                }
            })?;
        }
        Ok(cells)
    }
}

impl Visit for Counter {
    fn visit(&self, _origin: Origin, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        let slots = self.slots(rows)?;
        let cells = self.count(rows, &slots)?;
        let mut counts = self.partial.lock().pop().unwrap_or_default();
        let added = counts.add(&slots, cells, self.bucket.is_some(), self.cells_max);
        self.partial.lock().push(counts);
        added
    }

    fn takes_counts(&self) -> bool {
        self.counted_columns().is_some()
    }

    fn take_counts(
        &self,
        cube: &Cube,
        filter: &Predicate,
        whole: Span,
        wanted: Span,
    ) -> Result<Option<Vec<Span>>, StoreError> {
        self.count_cube(cube, filter, whole, wanted)
    }
}

impl Counts {
    fn add(
        &mut self,
        slots: &Slots,
        cells: Vec<Cell>,
        in_steps: bool,
        cells_max: usize,
    ) -> Result<(), StoreError> {
        for (key, cell) in slots.keys.iter().zip(cells) {
            let codes = key.iter().zip(&slots.texts);
            let texts: Vec<Box<str>> = codes
                .map(|(code, values)| values.get(index(*code)).cloned().unwrap_or_default())
                .collect();
            let step = match key.last() {
                Some(code) if in_steps => slots.step(*code),
                _ => 0,
            };
            self.put(texts, step, cell, cells_max)?;
        }
        Ok(())
    }

    fn put(
        &mut self,
        key: Vec<Box<str>>,
        step: i64,
        cell: Cell,
        cells_max: usize,
    ) -> Result<(), StoreError> {
        let cells = self.by_key.entry(key).or_default();
        match cells.get_mut(&step) {
            Some(known) => known.merge(&cell),
            None => {
                cells.insert(step, cell);
                self.cells += 1;
            }
        }
        if self.cells > cells_max {
            return Err(StoreError::QueryTooLarge {
                what: "groups and time steps",
                limit: cells_max as u64,
            });
        }
        Ok(())
    }

    fn merge(&mut self, other: Self, cells_max: usize) -> Result<(), StoreError> {
        if self.by_key.is_empty() {
            *self = other;
            return Ok(());
        }
        for (key, cells) in other.by_key {
            for (step, cell) in cells {
                self.put(key.clone(), step, cell, cells_max)?;
            }
        }
        Ok(())
    }
}

impl Cell {
    fn add(&mut self, tally: Tally, bytes: bool) {
        self.count += tally.records;
        self.bytes += if bytes { tally.bytes } else { 0 };
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.latest = self.latest.max(other.latest);
        for (own, other) in self.numbers.iter_mut().zip(&other.numbers) {
            own.merge(other);
        }
    }
}

fn each_number(
    rows: &mut Rows<'_>,
    source: &Source,
    mut add: impl FnMut(usize, f64),
) -> Result<(), StoreError> {
    match source {
        Source::Column(name) => {
            let array = rows.required(name)?;
            if let Some(numbers) = Numbers::new(array.as_ref()) {
                numbers.each(add);
                return Ok(());
            }
            let texts = TextColumn::new(array.as_ref()).ok_or(wrong(rows))?;
            for row in 0..array.len() {
                if let Some(value) = texts.get(row).and_then(|text| text.parse().ok()) {
                    add(row, value);
                }
            }
        }
        Source::Presence(_) => {}
        Source::Attribute(attribute) => attribute.numbers(rows, add)?,
    }
    Ok(())
}

fn times_of<'a>(rows: &Rows<'_>, times: &'a ArrayRef) -> Result<&'a [i64], StoreError> {
    let times = times.as_primitive_opt::<TimestampNanosecondType>();
    Ok(times.ok_or(wrong(rows))?.values())
}

fn wrong(rows: &Rows<'_>) -> StoreError {
    StoreError::Columns {
        table: rows.table().name(),
    }
}
