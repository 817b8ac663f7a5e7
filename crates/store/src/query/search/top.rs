//! The first rows in time, newest or oldest, and the showing of chosen rows.

use std::collections::BinaryHeap;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampNanosecondType;
use parking_lot::Mutex;

use super::job::{Origin, Picked, UnitOrder, Visit};
use super::rows::Rows;
use super::times::Span;
use crate::StoreError;
use crate::query::logs::Direction;
use crate::tables::column;

/// A row's place in the order: time first (negated when newest come first), then where it lies.
pub(crate) type Place = (i64, Origin, u32);

/// Finds the `limit` first rows. Equal times are ordered by where the rows lie, so that the same cut gives
/// the same rows.
pub(crate) struct Top {
    limit: usize,
    direction: Direction,
    /// The worst on top.
    best: Mutex<BinaryHeap<Place>>,
}

impl Top {
    pub(crate) fn new(limit: usize, direction: Direction) -> Self {
        Self {
            limit,
            direction,
            best: Mutex::default(),
        }
    }

    /// In order.
    pub(crate) fn into_places(self) -> Vec<Place> {
        self.best.into_inner().into_sorted_vec()
    }

    fn rank(&self, time: i64) -> i64 {
        match self.direction {
            Direction::NewestFirst => !time,
            Direction::OldestFirst => time,
        }
    }
}

/// The chosen rows by unit.
pub(crate) fn by_unit(places: &[Place]) -> Vec<Picked> {
    let mut by_unit = std::collections::BTreeMap::<Origin, Vec<u32>>::new();
    for (_rank, origin, row) in places {
        by_unit.entry(*origin).or_default().push(*row);
    }
    by_unit
        .into_iter()
        .map(|(origin, mut rows)| {
            rows.sort_unstable();
            (origin, rows)
        })
        .collect()
}

impl Visit for Top {
    fn span(&self) -> Span {
        let best = self.best.lock();
        let worst = match best.peek() {
            Some((rank, ..)) if best.len() >= self.limit => *rank,
            _ => return (i64::MIN, i64::MAX),
        };
        match self.direction {
            Direction::NewestFirst => (!worst, i64::MAX),
            Direction::OldestFirst => (i64::MIN, worst),
        }
    }

    fn order(&self) -> UnitOrder {
        match self.direction {
            Direction::NewestFirst => UnitOrder::NewestFirst,
            Direction::OldestFirst => UnitOrder::OldestFirst,
        }
    }

    fn visit(&self, origin: Origin, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        let times = rows.required(column::TIME)?;
        let times =
            times
                .as_primitive_opt::<TimestampNanosecondType>()
                .ok_or(StoreError::Columns {
                    table: rows.table().name(),
                })?;
        let mut places: Vec<Place> = times
            .values()
            .iter()
            .zip(rows.numbers())
            .map(|(time, row)| (self.rank(*time), origin, row))
            .collect();
        if places.len() > self.limit {
            if let Some(last) = self.limit.checked_sub(1) {
                places.select_nth_unstable(last);
            }
            places.truncate(self.limit);
        }
        let mut best = self.best.lock();
        for place in places {
            if best.len() < self.limit {
                best.push(place);
            } else if let Some(mut worst) = best.peek_mut()
                && place < *worst
            {
                *worst = place;
            }
        }
        Ok(())
    }
}

/// Collects whole rows, as long as they fit the memory of a query.
pub(crate) struct Collect {
    rows_max: usize,
    bytes_max: usize,
    collected: Mutex<Collected>,
}

#[derive(Default)]
struct Collected {
    batches: Vec<(Origin, Vec<u32>, RecordBatch)>,
    rows: usize,
    bytes: usize,
}

impl Collect {
    pub(crate) fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self {
            rows_max,
            bytes_max,
            collected: Mutex::default(),
        }
    }

    /// Batches with the numbers of their rows, by unit.
    pub(crate) fn into_batches(self) -> Vec<(Origin, Vec<u32>, RecordBatch)> {
        let mut batches = self.collected.into_inner().batches;
        batches.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        batches
    }
}

impl Visit for Collect {
    fn visit(&self, origin: Origin, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        let batch = rows.whole()?;
        let mut collected = self.collected.lock();
        collected.rows += batch.num_rows();
        collected.bytes += batch.get_array_memory_size();
        if collected.rows > self.rows_max {
            return Err(StoreError::QueryTooLarge {
                what: "rows",
                limit: self.rows_max as u64,
            });
        }
        if collected.bytes > self.bytes_max {
            return Err(StoreError::QueryTooLarge {
                what: "bytes of memory",
                limit: self.bytes_max as u64,
            });
        }
        collected.batches.push((origin, rows.numbers(), batch));
        Ok(())
    }
}
