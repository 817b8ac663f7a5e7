//! Decides, at a flush, which attributes get a column of their own.
//!
//! Keys of the configuration get one as soon as their type is known. Others get one when they were in enough of
//! the rows of two flushes in a row, so that one odd minute does not change the tables. All keys that are due at
//! a flush are added together, in one commit with the rows. The set of a table is bounded and only grows.
//!
//! Limits: 4,096 rows of a flush are looked at, spread evenly; a flush of less than 1,000 rows says nothing about
//! usage; 4,096 keys of a table are followed.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;

use crate::StoreError;
use crate::columns::{Columns, map_entries};
use crate::tables::{Layout, PromotedKind, Table, column, may_be_promoted};

const SAMPLE_ROWS_MAX: usize = 4_096;
const USAGE_ROWS_MIN: usize = 1_000;
const KEYS_MAX: usize = 4_096;
/// Flushes in a row that a key must be used in.
const FLUSHES_MIN: u32 = 2;
/// A column has a type when so many of a hundred values are of it; the others stay in the map.
const TYPED_PERCENT_MIN: u64 = 95;

/// Which attributes get columns of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoteConfig {
    /// Attributes of log records that always get one.
    pub logs: Vec<PromoteKey>,
    /// The same of spans.
    pub spans: Vec<PromoteKey>,
    /// Promoted columns of a table at most, those of the configuration included.
    pub columns_max: usize,
    /// Attributes that so many of a hundred rows have get one too; none do at 0.
    pub usage_percent: u8,
}

/// An attribute of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoteKey {
    pub key: String,
    /// Taken from the first values seen when absent.
    pub kind: Option<PromotedKind>,
}

impl Default for PromoteConfig {
    fn default() -> Self {
        Self {
            logs: Vec::new(),
            spans: Vec::new(),
            columns_max: 64,
            usage_percent: 10,
        }
    }
}

impl PromoteConfig {
    fn keys(&self, table: Table) -> &[PromoteKey] {
        match table {
            Table::Logs => &self.logs,
            Table::Spans => &self.spans,
            Table::Samples | Table::Series => &[],
        }
    }
}

/// What is known of the keys of one table that have no column.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    keys: HashMap<String, KeyUsage>,
}

#[derive(Debug, Default, Clone)]
struct KeyUsage {
    /// Flushes in a row that the key was used in.
    flushes: u32,
    /// Rows of the last sample that have it.
    rows: u64,
    /// Values of all flushes in a row, and how many of them are of which type.
    values: u64,
    integers: u64,
    doubles: u64,
    booleans: u64,
}

impl KeyUsage {
    fn count(&mut self, value: &str) {
        let fits = |kind: PromotedKind| u64::from(kind.exact(value).is_some());
        self.rows += 1;
        self.values += 1;
        self.integers += fits(PromotedKind::Integer);
        self.doubles += fits(PromotedKind::Double);
        self.booleans += fits(PromotedKind::Boolean);
    }

    fn kind(&self) -> PromotedKind {
        let typed = [
            (self.integers, PromotedKind::Integer),
            (self.doubles, PromotedKind::Double),
            (self.booleans, PromotedKind::Boolean),
        ];
        let mostly = |count: u64| count * 100 >= self.values * TYPED_PERCENT_MIN;
        typed
            .into_iter()
            .find(|(count, _kind)| mostly(*count))
            .map_or(PromotedKind::Text, |(_count, kind)| kind)
    }
}

impl Usage {
    /// The layout that the rows of this flush are written in.
    pub(crate) fn plan(
        &mut self,
        layout: &Layout,
        batches: &[RecordBatch],
        config: &PromoteConfig,
    ) -> Result<Layout, StoreError> {
        let table = layout.table();
        let free = config
            .columns_max
            .saturating_sub(layout.promoted().columns().len());
        if free == 0 || !matches!(table, Table::Logs | Table::Spans) {
            return Ok(layout.clone());
        }
        let rows = self.sample(layout, batches)?;
        let mut due = self.configured(layout, config.keys(table));
        let used = self.used(rows, config.usage_percent);
        let configured: HashSet<String> = due.iter().map(|(key, _kind)| key.clone()).collect();
        due.extend(
            used.into_iter()
                .filter(|(key, _kind)| !configured.contains(key)),
        );
        due.truncate(free);
        if due.is_empty() {
            return Ok(layout.clone());
        }
        for (key, _kind) in &due {
            self.keys.remove(key);
        }
        tracing::info!(
            table = table.name(),
            columns = due.len(),
            "attributes get columns of their own"
        );
        Ok(Layout::new(table, layout.promoted().with(due)))
    }

    /// Looks at some rows. Returns how many.
    fn sample(&mut self, layout: &Layout, batches: &[RecordBatch]) -> Result<usize, StoreError> {
        if self.keys.len() >= KEYS_MAX {
            self.keys.retain(|_key, usage| usage.flushes > 0);
        }
        for usage in self.keys.values_mut() {
            usage.rows = 0;
        }
        let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let step = total.div_ceil(SAMPLE_ROWS_MAX).max(1);
        let mut sampled = 0;
        for batch in batches {
            let map = Columns::new(layout.table().name(), batch).map(column::ATTRIBUTES)?;
            for row in (0..batch.num_rows()).step_by(step) {
                sampled += 1;
                let mut entries = map_entries(map, row);
                // Only the first value of a key can move.
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.dedup_by(|later, first| later.0 == first.0);
                for (key, value) in entries {
                    self.count(layout, key, &value);
                }
            }
        }
        Ok(sampled)
    }

    fn count(&mut self, layout: &Layout, key: String, value: &str) {
        if let Some(usage) = self.keys.get_mut(&key) {
            usage.count(value);
            return;
        }
        let follow = self.keys.len() < KEYS_MAX
            && layout.promoted().find(&key).is_none()
            && may_be_promoted(&key);
        if follow {
            self.keys.entry(key).or_default().count(value);
        }
    }

    /// Keys of the configuration that have no column yet and whose type is known.
    fn configured(&self, layout: &Layout, keys: &[PromoteKey]) -> Vec<(String, PromotedKind)> {
        let missing = keys
            .iter()
            .filter(|wanted| layout.promoted().find(&wanted.key).is_none());
        missing
            .filter_map(|wanted| {
                let seen = self.keys.get(&wanted.key).map(KeyUsage::kind);
                Some((wanted.key.clone(), wanted.kind.or(seen)?))
            })
            .collect()
    }

    /// Keys that have been used often enough, most used first. The others start again.
    fn used(&mut self, rows: usize, usage_percent: u8) -> Vec<(String, PromotedKind)> {
        if rows < USAGE_ROWS_MIN {
            return Vec::new();
        }
        let rows_min = (rows as u64 * u64::from(usage_percent)).div_ceil(100);
        self.keys
            .retain(|_key, usage| usage.rows >= rows_min.max(1));
        if usage_percent == 0 {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (key, usage) in &mut self.keys {
            usage.flushes += 1;
            if usage.flushes >= FLUSHES_MIN {
                due.push((usage.rows, key.clone(), usage.kind()));
            }
        }
        due.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        due.into_iter()
            .map(|(_rows, key, kind)| (key, kind))
            .collect()
    }
}
