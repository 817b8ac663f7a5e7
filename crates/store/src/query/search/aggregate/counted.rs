//! Takes the counts of a segment instead of its rows, where a request asks for no more than was counted.

use super::{Cell, Counter};
use crate::StoreError;
use crate::query::search::predicate::{Predicate, Source};
use crate::query::search::times::{Span, overlap};
use crate::segment::index::cube::{Cube, CubeGroup, DAY_NANOS, MINUTE_NANOS};
use crate::tables::column;

/// The columns by which segments are counted, in the order of the counts' keys.
const COUNTED: [&str; 3] = [column::SERVICE_NAME, column::ENVIRONMENT, column::LEVEL];

/// What was taken: cells by key and time step, and the times whose rows are still to be looked at.
#[derive(Default)]
struct Taken {
    cells: Vec<(Vec<Box<str>>, i64, Cell)>,
    left: Vec<Span>,
}

impl Counter {
    /// See [`Visit::take_counts`](crate::query::search::job::Visit::take_counts).
    pub(super) fn count_cube(
        &self,
        cube: &Cube,
        filter: &Predicate,
        whole: Span,
        wanted: Span,
    ) -> Result<Option<Vec<Span>>, StoreError> {
        let Some(columns) = self.counted_columns() else {
            return Ok(None);
        };
        let inside = wanted.0 <= whole.0 && whole.1 <= wanted.1;
        let at_once = inside && self.bucket.is_none();
        if self.latest && !at_once {
            return Ok(None);
        }
        let mut taken = Taken::default();
        for group in &cube.groups {
            let values: Vec<(&str, &str)> = COUNTED
                .into_iter()
                .zip(group.key.iter().map(|value| &**value))
                .collect();
            match filter.of_values(&values) {
                None => return Ok(None),
                Some(false) => continue,
                Some(true) => {}
            }
            let key: Vec<Box<str>> = columns
                .iter()
                .filter_map(|column| group.key.get(*column).cloned())
                .collect();
            if at_once {
                taken.cells.push((key, 0, self.whole_cell(group)));
            } else if self.take_minutes(group, &key, wanted, &mut taken).is_none() {
                return Ok(None);
            }
        }
        let mut counts = self.partial.lock().pop().unwrap_or_default();
        let mut cells = taken.cells.into_iter();
        let added =
            cells.try_for_each(|(key, step, cell)| counts.put(key, step, cell, self.cells_max));
        self.partial.lock().push(counts);
        added.map(|()| Some(taken.left))
    }

    /// All records of a group in one cell.
    fn whole_cell(&self, group: &CubeGroup) -> Cell {
        let mut cell = self.empty_cell();
        cell.latest = if self.latest { group.latest } else { i64::MIN };
        for minute in group.minutes.values() {
            cell.add(minute.first, self.bytes);
            cell.add(minute.rest, self.bytes);
        }
        cell
    }

    /// The records of a group minute by minute. `None` when a time step begins within one.
    fn take_minutes(
        &self,
        group: &CubeGroup,
        key: &[Box<str>],
        wanted: Span,
        taken: &mut Taken,
    ) -> Option<()> {
        let day = group.earliest - group.earliest.rem_euclid(DAY_NANOS);
        for (minute, counted) in &group.minutes {
            let start = day + i64::from(*minute) * MINUTE_NANOS;
            let parts = [
                ((start, start), counted.first),
                ((start + 1, start + MINUTE_NANOS - 1), counted.rest),
            ];
            for (span, tally) in parts {
                if tally.records == 0 || !overlap(span, wanted) {
                    continue;
                }
                let within = (span.0.max(wanted.0), span.1.min(wanted.1));
                if within == span {
                    let mut cell = self.empty_cell();
                    cell.add(tally, self.bytes);
                    taken.cells.push((key.to_vec(), self.one_step(span)?, cell));
                } else if !taken.left.contains(&within) {
                    taken.left.push(within);
                }
            }
        }
        Some(())
    }

    /// Where each column of the groups stands among [`COUNTED`]; `None` when more is asked for than was counted.
    pub(super) fn counted_columns(&self) -> Option<Vec<usize>> {
        if !self.numbers.is_empty() {
            return None;
        }
        let position = |source: &Source| match source {
            Source::Column(name) => COUNTED.iter().position(|counted| counted == name),
            _ => None,
        };
        self.groups.iter().map(position).collect()
    }

    /// The time step that holds all these times, if one does.
    fn one_step(&self, span: Span) -> Option<i64> {
        let Some(bucket) = self.bucket else {
            return Some(0);
        };
        let step = |time: i64| time.saturating_sub(self.start).div_euclid(bucket);
        (step(span.0) == step(span.1)).then(|| step(span.0))
    }
}
