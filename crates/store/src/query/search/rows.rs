//! The rows of one unit, of which conditions leave fewer and fewer.

use std::ops::Range;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, filter_record_batch};
use arrow::error::ArrowError;
use memchr::memmem::Finder;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::errors::ParquetError;

use super::maps::Key;
use super::needs;
use super::page_index::rows_of;
use super::segment::{Segment, Texts};
use crate::StoreError;
use crate::tables::Table;
use crate::tables::packed::{companion, number_companion};

/// Byte strings that pages are searched for, at most; for more of them rows are compared.
pub(super) const PAGE_SEARCHES_MAX: usize = 4;
/// Shorter ones stand in pages by chance too often.
const PAGE_SEARCH_BYTES_MIN: usize = 8;

/// Where the rows lie.
#[derive(Clone, Copy)]
enum Place<'s> {
    Head(&'s RecordBatch),
    Group { segment: &'s Segment, group: usize },
}

/// Rows of a head batch or a row group. Columns are read when they are asked for, for the rows that are left
/// at that time, and kept.
pub(crate) struct Rows<'s> {
    table: Table,
    place: Place<'s>,
    /// Rows of the whole unit.
    total: usize,
    /// The rows left, `None` for all.
    left: Option<BooleanBuffer>,
    count: usize,
    columns: Vec<(String, Option<ArrayRef>)>,
    /// Columns without their digits, see [`Rows::templates`].
    templates: Vec<(String, ArrayRef)>,
}

impl<'s> Rows<'s> {
    pub(crate) fn of_head(table: Table, batch: &'s RecordBatch) -> Self {
        Self::new(table, Place::Head(batch), batch.num_rows())
    }

    pub(crate) fn of_group(table: Table, segment: &'s Segment, group: usize) -> Self {
        let total = segment.group(group).map_or(0, rows_of);
        Self::new(table, Place::Group { segment, group }, total)
    }

    fn new(table: Table, place: Place<'s>, total: usize) -> Self {
        Self {
            table,
            place,
            total,
            left: None,
            count: total,
            columns: Vec::new(),
            templates: Vec::new(),
        }
    }

    pub(crate) fn table(&self) -> Table {
        self.table
    }

    /// Rows that are left.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The numbers of the rows that are left, within the unit.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let all = || BooleanBuffer::new_set(self.total);
        let left = self.left.clone().unwrap_or_else(all);
        left.set_indices_u32().collect()
    }

    /// Leaves only these rows of the unit. Comes before any column is read.
    pub(crate) fn restrict(&mut self, ranges: &[Range<usize>]) {
        let mut left = BooleanBufferBuilder::new(self.total);
        for range in ranges {
            left.append_n(range.start.saturating_sub(left.len()), false);
            left.append_n(range.end.min(self.total).saturating_sub(left.len()), true);
        }
        left.append_n(self.total.saturating_sub(left.len()), false);
        let left = left.finish();
        self.count = left.count_set_bits();
        self.left = Some(left);
        self.columns.clear();
        self.templates.clear();
    }

    /// Keeps those of the rows left whose bit is set.
    pub(crate) fn keep(&mut self, mask: &BooleanBuffer) -> Result<(), StoreError> {
        let kept = mask.count_set_bits();
        if kept == self.count {
            return Ok(());
        }
        self.left = Some(match &self.left {
            None => mask.clone(),
            Some(left) => self.of_unit(
                left.set_indices()
                    .zip(mask)
                    .filter_map(|(row, keep)| keep.then_some(row)),
            ),
        });
        self.count = kept;
        if kept == 0 {
            self.columns.clear();
            self.templates.clear();
            return Ok(());
        }
        let mask = BooleanArray::new(mask.clone(), None);
        let columns = self
            .columns
            .iter_mut()
            .filter_map(|(_name, column)| column.as_mut());
        let templates = self.templates.iter_mut().map(|(_name, column)| column);
        for array in columns.chain(templates) {
            *array = filter(array, &mask).map_err(|source| arrow_error(self.table, source))?;
        }
        Ok(())
    }

    /// A bit for each row of the unit.
    fn of_unit(&self, rows: impl Iterator<Item = usize>) -> BooleanBuffer {
        let mut bits = BooleanBufferBuilder::new(self.total);
        bits.append_n(self.total, false);
        for row in rows {
            bits.set_bit(row, true);
        }
        bits.finish()
    }

    /// Leaves the rows of pages that hold one of `values`, where that is known sooner than from the rows.
    pub(crate) fn skip_pages_without(
        &mut self,
        name: &str,
        values: &[Vec<u8>],
    ) -> Result<(), StoreError> {
        let Place::Group { segment, group } = self.place else {
            return Ok(());
        };
        if values
            .iter()
            .any(|value| value.len() < PAGE_SEARCH_BYTES_MIN)
            || self.columns.iter().any(|(known, _)| known == name)
        {
            return Ok(());
        }
        let possible = values
            .iter()
            .filter(|id| needs::group_may_hold_id(segment, group, id));
        let searched: Vec<_> = possible.map(Finder::new).collect();
        self.keep_pages_with(name, &searched)
    }

    /// Leaves the rows in whose pages of a column one of the byte strings stands, where that is known sooner than from
    /// the rows.
    pub(crate) fn keep_pages_with(
        &mut self,
        name: &str,
        searched: &[Finder<'_>],
    ) -> Result<(), StoreError> {
        let Some(in_pages) = self.in_pages_with(name, searched)? else {
            return Ok(());
        };
        if self.columns.is_empty() && self.templates.is_empty() {
            let left = match &self.left {
                None => in_pages,
                Some(left) => left & &in_pages,
            };
            self.count = left.count_set_bits();
            self.left = Some(left);
            return Ok(());
        }
        let mask = match &self.left {
            None => in_pages,
            Some(left) => left.set_indices().map(|row| in_pages.value(row)).collect(),
        };
        self.keep(&mask)
    }

    /// The rows of the unit in whose pages of a column one of the byte strings stands; `None` when that is not known
    /// sooner than from the rows. Pages without a row that is left do not count.
    pub(crate) fn in_pages_with(
        &self,
        name: &str,
        searched: &[Finder<'_>],
    ) -> Result<Option<BooleanBuffer>, StoreError> {
        let Place::Group { segment, group } = self.place else {
            return Ok(None);
        };
        if searched.len() > PAGE_SEARCHES_MAX {
            return Ok(None);
        }
        let is_wanted = |rows: &Range<usize>| match &self.left {
            _ if searched.is_empty() => false,
            None => true,
            Some(left) => left.slice(rows.start, rows.len()).has_true(),
        };
        let holding = segment.pages_with(group, name, searched, is_wanted)?;
        Ok(holding.map(|pages| {
            let mut bits = BooleanBufferBuilder::new(self.total);
            for rows in pages {
                bits.append_n(rows.start.saturating_sub(bits.len()), false);
                bits.append_n(rows.end.saturating_sub(bits.len()), true);
            }
            bits.append_n(self.total.saturating_sub(bits.len()), false);
            bits.finish()
        }))
    }

    /// Whether the rows can have this column.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self.place {
            Place::Head(batch) => batch.column_by_name(name).is_some(),
            Place::Group { segment, .. } => segment.has(name),
        }
    }

    /// One column of the rows left; `None` when these rows do not have it.
    pub(crate) fn column(&mut self, name: &str) -> Result<Option<ArrayRef>, StoreError> {
        if let Some((_name, column)) = self.columns.iter().find(|(known, _)| known == name) {
            return Ok(column.clone());
        }
        let column = self.read(name)?;
        self.columns.push((name.to_owned(), column.clone()));
        Ok(column)
    }

    /// A column that every file of the table has.
    pub(crate) fn required(&mut self, name: &str) -> Result<ArrayRef, StoreError> {
        let table = self.table.name();
        self.column(name)?.ok_or(StoreError::Columns { table })
    }

    /// A text column of the rows left as indexes into a dictionary of texts, from which digits may be missing. `None`
    /// when these rows do not have it so, or the whole texts were read before.
    pub(crate) fn templates(&mut self, name: &str) -> Result<Option<ArrayRef>, StoreError> {
        let named = |(known, _): &&(String, ArrayRef)| known == name;
        if let Some((_name, column)) = self.templates.iter().find(named) {
            return Ok(Some(ArrayRef::clone(column)));
        }
        let Place::Group { segment, group } = self.place else {
            return Ok(None);
        };
        let is_read = self.columns.iter().any(|(known, _)| known == name);
        if is_read || !segment.is_dictionary(group, name) {
            return Ok(None);
        }
        let selection = self.left.as_ref().map(selection);
        let batch = segment.read_packed(group, Some(&[name]), selection, Texts::AllDictionary)?;
        let Some(column) = batch.column_by_name(name) else {
            return Ok(None);
        };
        self.templates
            .push((name.to_owned(), ArrayRef::clone(column)));
        Ok(Some(ArrayRef::clone(column)))
    }

    /// The texts in the dictionary of a text column, from which digits may be missing; `None` when they are not all of
    /// the column, or it was read before.
    pub(crate) fn dictionary(&self, name: &str) -> Result<Option<StringArray>, StoreError> {
        let Place::Group { segment, group } = self.place else {
            return Ok(None);
        };
        let is_read = self.columns.iter().any(|(known, _)| known == name)
            || self.templates.iter().any(|(known, _)| known == name);
        match is_read {
            true => Ok(None),
            false => segment.dictionary(group, name),
        }
    }

    /// Whether a column may have its digits apart.
    pub(crate) fn has_digits(&self, name: &str) -> bool {
        self.has(&companion(name))
    }

    /// The digits of a column, for some of the rows left, by their number among these, and the numbers, where the column has
    /// any and they are asked for.
    pub(crate) fn digits(
        &self,
        name: &str,
        which: impl Iterator<Item = usize>,
        with_numbers: bool,
    ) -> Result<(ArrayRef, Option<ArrayRef>), StoreError> {
        let Place::Group { segment, group } = self.place else {
            return Err(StoreError::Columns {
                table: self.table.name(),
            });
        };
        let chosen = match &self.left {
            None => self.of_unit(which),
            Some(left) => {
                let (mut which, mut left) = (which, left.set_indices().enumerate());
                self.of_unit(std::iter::from_fn(|| {
                    let wanted = which.next()?;
                    left.find_map(|(number, row)| (number == wanted).then_some(row))
                }))
            }
        };
        let (digits, numbers) = (companion(name), number_companion(name));
        let names = [digits.as_str(), numbers.as_str()];
        let names = names.get(..=usize::from(with_numbers));
        let chosen = Some(selection(&chosen));
        let batch = segment.read_packed(group, names, chosen, Texts::Plain)?;
        let digits = batch.column_by_name(&digits).cloned();
        let digits = digits.ok_or(StoreError::Columns {
            table: self.table.name(),
        })?;
        Ok((digits, batch.column_by_name(&numbers).cloned()))
    }

    /// That what was read of these rows cannot be.
    pub(crate) fn damaged(&self, source: ParquetError) -> StoreError {
        match self.place {
            Place::Head(_) => StoreError::Columns {
                table: self.table.name(),
            },
            Place::Group { segment, .. } => StoreError::Read {
                path: segment.path().to_owned(),
                source,
            },
        }
    }

    fn read(&self, name: &str) -> Result<Option<ArrayRef>, StoreError> {
        if !self.has(name) {
            return Ok(None);
        }
        match self.place {
            Place::Head(batch) => {
                let Some(column) = batch.column_by_name(name) else {
                    return Ok(None);
                };
                let Some(left) = &self.left else {
                    return Ok(Some(ArrayRef::clone(column)));
                };
                filter(column, &BooleanArray::new(left.clone(), None))
                    .map(Some)
                    .map_err(|source| arrow_error(self.table, source))
            }
            Place::Group { segment, group } => {
                let selection = self.left.as_ref().map(selection);
                let batch = segment.read(group, Some(&[name]), selection, Texts::Dictionary)?;
                Ok(batch.column_by_name(name).cloned())
            }
        }
    }

    /// All columns of the rows left, in the form of the table.
    pub(crate) fn whole(&self) -> Result<RecordBatch, StoreError> {
        match self.place {
            Place::Head(batch) => match &self.left {
                None => Ok(batch.clone()),
                Some(left) => filter_record_batch(batch, &BooleanArray::new(left.clone(), None))
                    .map_err(|source| arrow_error(self.table, source)),
            },
            Place::Group { segment, group } => {
                let selection = self.left.as_ref().map(selection);
                segment.read(group, None, selection, Texts::Plain)
            }
        }
    }

    /// Some columns of the rows left, in the form of the table.
    pub(crate) fn some(&self, names: &[&str]) -> Result<RecordBatch, StoreError> {
        match self.place {
            Place::Head(_) => self.whole(),
            Place::Group { segment, group } => {
                let selection = self.left.as_ref().map(selection);
                segment.read(group, Some(names), selection, Texts::Plain)
            }
        }
    }

    /// Whether a map of these rows may hold a key.
    pub(crate) fn map_may_hold(&self, map: &str, key: &Key) -> bool {
        match self.place {
            Place::Head(_) => true,
            Place::Group { segment, group } => needs::map_may_hold(segment, group, map, key),
        }
    }
}

fn selection(left: &BooleanBuffer) -> RowSelection {
    selection_of(left.set_slices().map(|(start, end)| start..end))
}

/// The rows of ranges that follow each other.
pub(crate) fn selection_of(ranges: impl Iterator<Item = Range<usize>>) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for rows in ranges {
        if rows.start > at {
            selectors.push(RowSelector::skip(rows.start - at));
        }
        selectors.push(RowSelector::select(rows.len()));
        at = rows.end;
    }
    selectors.into()
}

fn arrow_error(table: Table, source: ArrowError) -> StoreError {
    StoreError::Segment(crate::segment::SegmentError::Arrow {
        table: table.name(),
        source,
    })
}
