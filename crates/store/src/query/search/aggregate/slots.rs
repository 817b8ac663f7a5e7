//! Which group and time step each row belongs to.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::{Array, AsArray};

use super::wrong;
use crate::StoreError;
use crate::query::search::predicate::{Numbers, Source, presence};
use crate::query::search::rows::Rows;
use crate::query::search::text::TextColumn;

/// A table of this many entries stands in for a hash map.
pub(super) const DENSE_MAX: usize = 1 << 20;

/// Rows in groups that are split column by column.
pub(super) struct Slots {
    pub(super) of_row: Vec<u32>,
    /// The codes of each slot, one a column.
    pub(super) keys: Vec<Vec<u32>>,
    /// The values of each column by code.
    pub(super) texts: Vec<Vec<Box<str>>>,
    /// The time step of code 0, when steps are coded by their distance from it.
    pub(super) first_step: i64,
    /// The time steps by code, when they lie too far apart for that.
    pub(super) steps: Vec<i64>,
}

impl Slots {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            of_row: vec![0; rows],
            keys: vec![Vec::new()],
            texts: Vec::new(),
            first_step: 0,
            steps: Vec::new(),
        }
    }

    pub(super) fn step(&self, code: u32) -> i64 {
        match self.steps.get(index(code)) {
            Some(step) => *step,
            None => self.first_step + i64::from(code),
        }
    }

    /// Splits each slot by the codes of one more column, which are below `width`.
    pub(super) fn split(&mut self, codes: &[u32], width: usize) {
        const UNKNOWN: u32 = u32::MAX;
        let mut keys: Vec<Vec<u32>> = Vec::new();
        let old = std::mem::take(&mut self.keys);
        let mut new_slot = |slot: u32, code: u32| {
            let mut key = old.get(index(slot)).cloned().unwrap_or_default();
            key.push(code);
            keys.push(key);
            u32::try_from(keys.len() - 1).unwrap_or(UNKNOWN)
        };
        let size = old.len().saturating_mul(width.max(1));
        if size <= DENSE_MAX {
            let mut table = vec![UNKNOWN; size];
            for (slot, code) in self.of_row.iter_mut().zip(codes) {
                let Some(entry) = table.get_mut(index(*slot) * width + index(*code)) else {
                    continue;
                };
                if *entry == UNKNOWN {
                    *entry = new_slot(*slot, *code);
                }
                *slot = *entry;
            }
        } else {
            let mut table: HashMap<(u32, u32), u32> = HashMap::new();
            for (slot, code) in self.of_row.iter_mut().zip(codes) {
                let entry = table.entry((*slot, *code));
                *slot = *entry.or_insert_with(|| new_slot(*slot, *code));
            }
        }
        self.keys = keys;
    }
}

/// A code for the value of each row, and the values by code.
pub(super) fn codes(
    rows: &mut Rows<'_>,
    source: &Source,
) -> Result<(Vec<u32>, Vec<Box<str>>), StoreError> {
    match source {
        Source::Column(name) => {
            let array = rows.required(name)?;
            if let Some(texts) = TextColumn::new(array.as_ref()) {
                return Ok(match texts {
                    TextColumn::Dictionary(keys, values) => dictionary_codes(keys, values),
                    TextColumn::Plain(_) => {
                        coded(array.len(), |row| texts.get(row).map(Cow::Borrowed))
                    }
                });
            }
            if let Some(bytes) = array.as_binary_opt::<i32>() {
                let texts: Vec<Option<String>> =
                    bytes.iter().map(|value| value.map(hex::encode)).collect();
                return Ok(coded(array.len(), |row| {
                    texts.get(row)?.as_deref().map(Cow::Borrowed)
                }));
            }
            let numbers = Numbers::new(array.as_ref()).ok_or(wrong(rows))?;
            let texts: Vec<String> = (0..array.len()).map(|row| numbers.text(row)).collect();
            Ok(coded(array.len(), |row| {
                texts.get(row).map(|text| Cow::Borrowed(text.as_str()))
            }))
        }
        Source::Presence(name) => {
            let array = rows.required(name)?;
            Ok(coded(array.len(), |row| {
                Some(Cow::Borrowed(presence(array.is_valid(row))))
            }))
        }
        Source::Attribute(attribute) => {
            let values = attribute.texts(rows)?;
            Ok(coded(rows.len(), |row| values.get(row)))
        }
    }
}

fn dictionary_codes(
    keys: &arrow::array::Int32Array,
    values: &arrow::array::StringArray,
) -> (Vec<u32>, Vec<Box<str>>) {
    let mut texts: Vec<Box<str>> = values
        .iter()
        .map(|value| Box::from(value.unwrap_or_default()))
        .collect();
    let empty = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    texts.push(Box::default());
    let code = |key: Option<i32>| key.and_then(|key| u32::try_from(key).ok()).unwrap_or(empty);
    let codes = match keys.null_count() {
        0 => keys.values().iter().map(|key| code(Some(*key))).collect(),
        _ => keys.iter().map(code).collect(),
    };
    (codes, texts)
}

fn coded<'a>(
    rows: usize,
    value: impl Fn(usize) -> Option<Cow<'a, str>>,
) -> (Vec<u32>, Vec<Box<str>>) {
    let mut known: HashMap<Box<str>, u32> = HashMap::new();
    let mut texts: Vec<Box<str>> = Vec::new();
    let mut last = u32::MAX;
    let codes = (0..rows)
        .map(|row| {
            let text = value(row).unwrap_or_default();
            // Rows are sorted, so neighbours are often the same.
            if texts.get(index(last)).is_some_and(|same| **same == *text) {
                return last;
            }
            last = match known.get(&*text) {
                Some(code) => *code,
                None => {
                    let code = u32::try_from(texts.len()).unwrap_or(u32::MAX);
                    texts.push(Box::from(&*text));
                    known.insert(Box::from(text), code);
                    code
                }
            };
            last
        })
        .collect();
    (codes, texts)
}

/// The time step of each row. Neighbours mostly share one, which saves the division.
pub(super) fn steps(times: &[i64], start: i64, bucket: i64) -> Vec<i64> {
    let (mut step, mut first) = (0, start);
    let mut steps = Vec::with_capacity(times.len());
    for time in times {
        let since = time.wrapping_sub(first);
        if since < 0 || since >= bucket {
            step = time.saturating_sub(start).div_euclid(bucket);
            first = start.saturating_add(step.saturating_mul(bucket));
        }
        steps.push(step);
    }
    steps
}

pub(super) fn distinct(steps: &[i64]) -> Vec<i64> {
    let mut distinct = steps.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

pub(super) fn index(code: u32) -> usize {
    usize::try_from(code).unwrap_or(usize::MAX)
}
