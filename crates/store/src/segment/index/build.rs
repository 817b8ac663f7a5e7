//! Gathers the index while rows are written.

use std::ops::Range;

use arrow::array::{Array, AsArray, BinaryArray, MapArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, TimestampNanosecondType};
use xxhash_rust::xxh3::xxh3_64;

use super::blooms::BloomBuilder;
use super::cube::Cube;
use super::ribbons::RibbonBuilder;
use super::token::{self, KeyHash};
use super::{FilterKind, IndexHeader, IndexPlace};
use crate::tables::{Layout, PromotedKind, Table, column};

/// Tokens seen lately, which need not be added again.
const RECENT: usize = 1 << 12;
/// Rows whose maps are compared at once: those of a resource follow each other by hundreds, and are all the same.
const SAME_ROWS: usize = 64;

/// The index of one segment in the making.
pub(in crate::segment) struct IndexBuilder {
    /// Keys of the promoted text columns with their names.
    texts: Vec<(String, KeyHash)>,
    keys: Vec<(String, KeyHash)>,
    recent: Vec<u64>,
    filters: FilterBuilder,
    /// `None` when it became too large.
    cube: Option<Cube>,
    /// Where the last row was counted.
    counted: usize,
    rows: usize,
    /// Of the row groups before the current one.
    rows_before: usize,
}

enum FilterBuilder {
    Blooms(BloomBuilder),
    Ribbons(RibbonBuilder),
}

impl IndexBuilder {
    /// `None` for tables that have no index.
    pub(in crate::segment) fn new(layout: &Layout, filters: FilterKind) -> Option<Self> {
        let table = layout.table();
        if !matches!(table, Table::Logs | Table::Spans) {
            return None;
        }
        let columns = layout.promoted().columns().iter();
        let texts = columns
            .filter(|column| column.kind == PromotedKind::Text)
            .map(|column| (column.name.clone(), KeyHash::new(&column.key)))
            .collect();
        Some(Self {
            texts,
            keys: Vec::new(),
            recent: vec![0; RECENT],
            filters: match filters {
                FilterKind::Blooms => FilterBuilder::Blooms(BloomBuilder::default()),
                FilterKind::Ribbons => FilterBuilder::Ribbons(RibbonBuilder::default()),
            },
            cube: (table == Table::Logs).then(Cube::default),
            counted: 0,
            rows: 0,
            rows_before: 0,
        })
    }

    /// Takes rows of the current row group.
    pub(in crate::segment) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        self.count(batch);
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        if let Some(bodies) = text(column::BODY) {
            self.add_words(bodies);
        }
        if let Some(ids) = binary(batch, column::TRACE_ID) {
            for id in ids.iter().flatten() {
                self.put(token::id(id));
            }
        }
        for (name, key) in std::mem::take(&mut self.texts) {
            if let Some(values) = text(&name) {
                for value in values.iter().flatten() {
                    self.put(key.with_value(value));
                }
            }
            self.texts.push((name, key));
        }
        for (name, in_map) in [
            (
                column::ATTRIBUTES,
                KeyHash::in_own_map as fn(KeyHash) -> u64,
            ),
            (column::RESOURCE_ATTRIBUTES, KeyHash::in_resource_map),
        ] {
            let map = batch.column_by_name(name).and_then(|map| map.as_map_opt());
            if let Some(map) = map {
                self.add_map(map, in_map);
            }
        }
    }

    fn count(&mut self, batch: &RecordBatch) {
        let Some(cube) = &mut self.cube else {
            return;
        };
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let times = batch
            .column_by_name(column::TIME)
            .and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>());
        let columns = (
            text(column::SERVICE_NAME),
            text(column::ENVIRONMENT),
            text(column::LEVEL),
            text(column::BODY),
            times,
        );
        let (Some(services), Some(environments), Some(levels), Some(bodies), Some(times)) = columns
        else {
            self.cube = None;
            return;
        };
        for row in 0..batch.num_rows() {
            let key = [services, environments, levels].map(|texts| texts.value(row));
            let bytes = bodies.value_length(row);
            let bytes = usize::try_from(bytes).unwrap_or(0);
            self.counted = cube.add(self.counted, key, times.value(row), bytes);
        }
        if cube.is_too_large() {
            self.cube = None;
        }
    }

    fn add_words(&mut self, texts: &StringArray) {
        for text in texts.iter().flatten() {
            for word in token::words(text) {
                self.put(token::body_word(word));
            }
        }
    }

    fn add_map(&mut self, map: &MapArray, in_map: fn(KeyHash) -> u64) {
        let (Some(keys), Some(values)) = (
            map.keys().as_string_opt::<i32>(),
            map.values().as_string_opt::<i32>(),
        ) else {
            return;
        };
        // Rows that follow each other mostly have the same keys at the same places, those of a resource all values too.
        let mut at_place: Vec<(&str, KeyHash)> = Vec::new();
        let offsets = map.value_offsets();
        let rows = map.len();
        let mut row = 0;
        while row < rows {
            let end = rows.min(row + SAME_ROWS);
            let with_before = row.saturating_sub(1)..end;
            if row > 0 && repeat(offsets, with_before, [keys, values]) {
                row = end;
                continue;
            }
            for row in row..end {
                if row > 0 && repeat(offsets, row - 1..row + 1, [keys, values]) {
                    continue;
                }
                for (place, entry) in entries_of(offsets, row).enumerate() {
                    let key = self.key_at(&mut at_place, place, keys.value(entry), in_map);
                    let value = match values.is_valid(entry) {
                        true => values.value(entry),
                        false => "",
                    };
                    self.put(key.with_value(value));
                }
            }
            row = end;
        }
    }

    /// The hash of a key, which is put the first time it is at this place.
    fn key_at<'k>(
        &mut self,
        at_place: &mut Vec<(&'k str, KeyHash)>,
        place: usize,
        key: &'k str,
        in_map: fn(KeyHash) -> u64,
    ) -> KeyHash {
        if let Some((last, hash)) = at_place.get(place)
            && *last == key
        {
            return *hash;
        }
        let hash = self.key(key);
        self.put(in_map(hash));
        match at_place.get_mut(place) {
            Some(known) => *known = (key, hash),
            None => at_place.push((key, hash)),
        }
        hash
    }

    /// The hash of a key, of which there are few: they are looked for before they are hashed.
    fn key(&mut self, key: &str) -> KeyHash {
        const KEYS_MAX: usize = 64;
        if let Some(at) = self.keys.iter().position(|(known, _hash)| known == key) {
            let found = self.keys.get(at).map(|(_key, hash)| *hash);
            if let Some(before) = at.checked_sub(1) {
                self.keys.swap(before, at);
            }
            return found.unwrap_or_else(|| KeyHash::new(key));
        }
        let hash = KeyHash::new(key);
        if self.keys.len() < KEYS_MAX {
            self.keys.push((key.to_owned(), hash));
        }
        hash
    }

    fn put(&mut self, hash: u64) {
        let slot = usize::try_from(hash % RECENT as u64).unwrap_or(0);
        if let Some(recent) = self.recent.get_mut(slot) {
            if *recent == hash {
                return;
            }
            *recent = hash;
        }
        match &mut self.filters {
            FilterBuilder::Blooms(blooms) => blooms.put(hash),
            FilterBuilder::Ribbons(ribbons) => ribbons.put(hash),
        }
    }

    /// Whether the current row group should end, for it has very many tokens.
    pub(in crate::segment) fn is_full(&self) -> bool {
        match &self.filters {
            FilterBuilder::Blooms(_) => false,
            FilterBuilder::Ribbons(ribbons) => ribbons.is_full(),
        }
    }

    /// Ends the current row group.
    pub(in crate::segment) fn end_group(&mut self) {
        self.recent.fill(0);
        let rows = self.rows - self.rows_before;
        self.rows_before = self.rows;
        match &mut self.filters {
            FilterBuilder::Blooms(blooms) => blooms.end_group(),
            FilterBuilder::Ribbons(ribbons) => ribbons.end_group(rows),
        }
    }

    /// The blob, for a place in the file behind `data_bytes` of data.
    ///
    /// # Errors
    /// The counts could not be compressed.
    pub(in crate::segment) fn finish(
        self,
        data_bytes: u64,
    ) -> std::io::Result<(IndexPlace, Vec<u8>)> {
        let cube = self.cube.filter(|cube| cube.is_worth(self.rows));
        let cube = cube.map(|cube| cube.encode()).transpose()?;
        let cube = cube.unwrap_or_default();
        let (groups, filters, bytes) = match self.filters {
            FilterBuilder::Blooms(blooms) => blooms.finish(data_bytes),
            FilterBuilder::Ribbons(ribbons) => ribbons.finish(data_bytes),
        };
        let mut header = IndexHeader {
            place: IndexPlace {
                offset: data_bytes,
                length: 0,
            },
            groups,
            filters,
            cube_bytes: u32::try_from(cube.len()).unwrap_or(0),
            cube_checksum: xxh3_64(&cube),
        };
        header.place.length = header.length().unwrap_or(0);
        let blob = [header.to_bytes(), cube, bytes].concat();
        Ok((header.place, blob))
    }
}

/// The entries of a row of a map.
fn entries_of(offsets: &[i32], row: usize) -> Range<usize> {
    let offset = |row: usize| {
        let offset = offsets.get(row).copied().unwrap_or_default();
        usize::try_from(offset).unwrap_or_default()
    };
    offset(row)..offset(row + 1)
}

/// Whether all of some rows of a map have the same entries.
fn repeat(offsets: &[i32], rows: Range<usize>, texts: [&StringArray; 2]) -> bool {
    let entries = entries_of(offsets, rows.start);
    let period = entries.len();
    let of_rows = offsets.get(rows.start..=rows.end).unwrap_or_default();
    let mut lengths = of_rows.windows(2).map(|bounds| match bounds {
        [from, to] => usize::try_from(to - from).ok(),
        _ => None,
    });
    if !lengths.all(|length| length == Some(period)) {
        return false;
    }
    let entries = entries.start..entries.start + period * rows.len();
    texts
        .into_iter()
        .all(|texts| repeats(texts, entries.clone(), period))
}

/// Whether texts are those that stand `period` places before them.
fn repeats(texts: &StringArray, run: Range<usize>, period: usize) -> bool {
    if texts.null_count() > 0 {
        return false;
    }
    let bytes = || -> Option<bool> {
        let offsets = texts.value_offsets().get(run.start..=run.end)?;
        let place = |offset: &i32| usize::try_from(*offset).ok();
        let (from, to) = (place(offsets.first()?)?, place(offsets.last()?)?);
        let after = place(offsets.get(period)?)?;
        let apart = offsets.get(period)? - offsets.first()?;
        // All texts of a run lie side by side: one comparison, and their lengths.
        let mut pairs = offsets.iter().zip(offsets.get(period..)?);
        let data = texts.value_data();
        let (first, second) = (data.get(from..to - (after - from))?, data.get(after..to)?);
        Some(pairs.all(|(offset, later)| later - offset == apart) && first == second)
    };
    bytes().unwrap_or(false)
}

fn binary<'b>(batch: &'b RecordBatch, name: &str) -> Option<&'b BinaryArray> {
    let column = batch.column_by_name(name)?;
    match column.data_type() {
        DataType::Binary => column.as_binary_opt::<i32>(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_same_text_by_text() {
        let texts: StringArray = ["x", "ab", "c", "ab", "c", "a", "bc", "ab", "d"]
            .map(Some)
            .to_vec()
            .into();
        assert!(repeats(&texts, 1..5, 2));
        assert!(repeats(&texts, 1..3, 2), "nothing before them");
        assert!(repeats(&texts, 4..4, 0));
        assert!(!repeats(&texts, 3..7, 2), "other lengths");
        assert!(!repeats(&texts, 1..9, 2), "the last ones");
        let other: StringArray = ["ab", "c", "ab", "d"].map(Some).to_vec().into();
        assert!(!repeats(&other, 0..4, 2), "another text");
        let sliced = texts.slice(1, 4);
        assert!(repeats(&sliced, 0..4, 2));
        let null: StringArray = vec![Some("a"), None, Some("a"), None].into();
        assert!(!repeats(&null, 0..4, 2), "nulls are not looked at");
        let same: StringArray = ["a", "b", "a", "b", "a", "b", "a"]
            .map(Some)
            .to_vec()
            .into();
        let check = |offsets: &[i32], rows: Range<usize>, expect: bool| {
            assert_eq!(
                repeat(offsets, rows.clone(), [&same, &same]),
                expect,
                "{offsets:?} {rows:?}"
            );
        };
        check(&[0, 2, 4, 6], 0..3, true);
        check(&[0, 2, 4, 6], 1..3, true);
        check(&[0, 2, 4, 5, 7], 0..4, false);
        check(&[0, 2, 4, 5, 7], 0..2, true);
        check(&[1, 3, 5, 5, 5], 2..4, true);
        check(&[0, 1, 2, 3], 0..3, false);
    }
}
