//! Conditions on texts whose digits are stored apart, asked of what is left of them.
//!
//! A row group has few such templates, so each is asked once: whether all its texts fulfil the condition, none, or that
//! depends on their digits. Digits are read only for rows of the last kind, and compared where they stand; texts are put
//! together only for regular expressions.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, BinaryArray, StringArray};
use arrow::buffer::{BooleanBuffer, MutableBuffer};
use arrow::datatypes::Int32Type;
use memchr::memmem::Finder;
use parquet::errors::ParquetError;

use super::rows::{PAGE_SEARCHES_MAX, Rows};
use super::text::TextTest;
use crate::StoreError;
use crate::segment::index::token::is_word_byte;
use crate::segment::unpack_text;
use crate::tables::packed::{DIGITS_MAX, LENGTH_BASE, MARK, companion};

/// Places of a template that a searched text may stand at; with more the texts are put together.
const PLACES_MAX: usize = 256;
/// Fewer bytes stand in most pages by chance.
const PATTERN_BYTES_MIN: usize = 4;

/// What a template tells of its texts.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    All(bool),
    /// Those whose digits are as one of these says.
    AnyOf(Vec<Digits>),
    /// They have to be put together.
    Each,
}

/// Some digits of a text, by their number, which must have these values.
type Digits = Vec<(usize, u8)>;

/// A byte of a template's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Byte(u8),
    /// Any hexadecimal digit; they are numbered.
    Digit(usize),
}

/// A template that was asked.
struct Asked {
    verdict: Verdict,
    /// Whether the template itself fulfils the condition, for texts that have no digits apart.
    itself: bool,
    /// Digits of each text.
    digits: usize,
}

/// Leaves the rows of pages whose digits may fulfil the condition, where the templates say that no other row does. So
/// rows of a row group without a match are never looked at.
pub(super) fn skip_pages(
    test: &TextTest,
    rows: &mut Rows<'_>,
    name: &str,
) -> Result<(), StoreError> {
    // Without that many digits there are no bytes to search pages for.
    if !test.needs_digits(2 * PATTERN_BYTES_MIN) || !rows.has_digits(name) {
        return Ok(());
    }
    let Some(values) = rows.dictionary(name)? else {
        return Ok(());
    };
    let mut templates = Templates::new(test, &values, true);
    let mut open = Vec::new();
    for key in 0..values.len() {
        match templates.ask(key).map(|asked| &asked.verdict) {
            Some(Verdict::All(true)) => return Ok(()),
            Some(Verdict::All(false)) | None => {}
            Some(_) => open.push(key),
        }
    }
    if open.is_empty() {
        return rows.keep(&BooleanBuffer::new_unset(rows.len()));
    }
    match templates.patterns(&open) {
        None => Ok(()),
        Some(patterns) => {
            let patterns: Vec<_> = patterns.iter().map(Finder::new).collect();
            rows.keep_pages_with(&companion(name), &patterns)
        }
    }
}

/// A bit for each row left; `None` when the column cannot be asked so.
pub(super) fn mask(
    test: &TextTest,
    rows: &mut Rows<'_>,
    name: &str,
) -> Result<Option<BooleanBuffer>, StoreError> {
    let Some(column) = rows.templates(name)? else {
        return Ok(None);
    };
    let dictionary = column.as_dictionary_opt::<Int32Type>();
    let values = dictionary.and_then(|dictionary| dictionary.values().as_string_opt::<i32>());
    let (Some(dictionary), Some(values)) = (dictionary, values) else {
        return Ok(None);
    };
    let is_packed = rows.has_digits(name);
    let mut templates = Templates::new(test, values, is_packed);
    let count = rows.len();
    let keys = dictionary.keys();
    let empty = test.holds("");
    let mut mask = MutableBuffer::from_len_zeroed(count.div_ceil(8));
    let mut open = Vec::new();
    let bytes = mask.as_slice_mut();
    for row in 0..count {
        let holds = match usize::try_from(keys.value(row)) {
            Ok(key) if keys.is_valid(row) => match templates.ask(key) {
                None => empty,
                Some(asked) => match asked.verdict {
                    Verdict::All(holds) => holds,
                    _ => {
                        open.push((row, key));
                        false
                    }
                },
            },
            _ => empty,
        };
        if let (true, Some(byte)) = (holds, bytes.get_mut(row / 8)) {
            *byte |= 1 << (row % 8);
        }
    }
    let mut keys_open: Vec<usize> = open.iter().map(|(_row, key)| *key).collect();
    keys_open.sort_unstable();
    keys_open.dedup();
    if let Some(patterns) = templates.patterns(&keys_open) {
        let patterns: Vec<_> = patterns.iter().map(Finder::new).collect();
        if let Some(in_pages) = rows.in_pages_with(&companion(name), &patterns)? {
            let numbers = rows.numbers();
            let is_possible = |row: usize| {
                let number = numbers.get(row).and_then(|row| usize::try_from(*row).ok());
                number.is_none_or(|number| in_pages.value(number))
            };
            open.retain(|(row, _key)| is_possible(*row));
        }
    }
    if !open.is_empty() {
        let which = open.iter().map(|(row, _key)| *row);
        let digits = rows.digits(name, which)?;
        let digits = digits.as_binary_opt::<i32>();
        let digits = digits.filter(|digits| digits.len() == open.len());
        let digits = digits.ok_or(StoreError::Columns {
            table: rows.table().name(),
        })?;
        templates
            .decide(&open, digits, bytes)
            .ok_or_else(|| rows.damaged(damaged()))?;
    }
    Ok(Some(BooleanBuffer::new(mask.into(), 0, count)))
}

fn damaged() -> ParquetError {
    ParquetError::General("a packed value does not fit its companion".to_owned())
}

struct Templates<'t> {
    test: &'t TextTest,
    values: &'t StringArray,
    /// Whether the column has digits apart.
    is_packed: bool,
    asked: Vec<Option<Asked>>,
}

impl<'t> Templates<'t> {
    fn new(test: &'t TextTest, values: &'t StringArray, is_packed: bool) -> Self {
        Self {
            test,
            values,
            is_packed,
            asked: values.iter().map(|_value| None).collect(),
        }
    }

    /// `None` for a null.
    fn ask(&mut self, key: usize) -> Option<&Asked> {
        let known = self.asked.get_mut(key)?;
        if self.values.is_null(key) {
            return None;
        }
        let (test, template) = (self.test, self.values.value(key));
        let is_packed = self.is_packed;
        Some(known.get_or_insert_with(|| ask(test, template, is_packed)))
    }

    /// Bytes of which the packed digits of any row of these templates that fulfils the condition hold one; `None` when that
    /// tells little.
    fn patterns(&self, keys: &[usize]) -> Option<BTreeSet<Vec<u8>>> {
        let mut patterns = BTreeSet::new();
        for key in keys {
            let asked = self.asked.get(*key)?.as_ref()?;
            let Verdict::AnyOf(places) = &asked.verdict else {
                return None;
            };
            if asked.itself {
                return None;
            }
            for place in places {
                let bytes = packed_run(place);
                if bytes.len() < PATTERN_BYTES_MIN {
                    return None;
                }
                patterns.insert(bytes);
                if patterns.len() > PAGE_SEARCHES_MAX {
                    return None;
                }
            }
        }
        (!patterns.is_empty()).then_some(patterns)
    }

    /// Sets the bits of those rows that fulfil the condition. `None` when digits and templates do not fit.
    fn decide(&self, open: &[(usize, usize)], digits: &BinaryArray, mask: &mut [u8]) -> Option<()> {
        let mut text = Vec::new();
        for (index, (row, key)) in open.iter().enumerate() {
            let asked = self.asked.get(*key)?.as_ref()?;
            let holds = if digits.is_null(index) {
                asked.itself
            } else {
                let digits = digits.value(index);
                match &asked.verdict {
                    Verdict::All(holds) => *holds,
                    Verdict::AnyOf(_) if digits.len() != asked.digits.div_ceil(2) => return None,
                    Verdict::AnyOf(places) => places.iter().any(|place| fits(place, digits)),
                    Verdict::Each => {
                        text.clear();
                        unpack_text(self.values.value(*key).as_bytes(), digits, &mut text)?;
                        self.test.holds(std::str::from_utf8(&text).ok()?)
                    }
                }
            };
            if holds {
                *mask.get_mut(row / 8)? |= 1 << (row % 8);
            }
        }
        Some(())
    }
}

/// The bytes that the first digits of these, as far as they follow each other, fill.
fn packed_run(digits: &Digits) -> Vec<u8> {
    let first = digits.first().map_or(0, |(at, _value)| *at);
    let run = digits.iter().zip(first..);
    let run = run.take_while(|((at, _value), next)| at == next);
    let values: Vec<u8> = run.map(|((_at, value), _next)| *value).collect();
    let pairs = values.get(first % 2..).unwrap_or_default();
    pairs
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, value| byte << 4 | value))
        .collect()
}

/// Whether packed digits have these values.
fn fits(expected: &Digits, digits: &[u8]) -> bool {
    expected.iter().all(|(at, value)| {
        let pair = digits.get(at / 2).copied();
        pair.is_some_and(|pair| *value == if at % 2 == 0 { pair >> 4 } else { pair & 15 })
    })
}

fn ask(test: &TextTest, template: &str, is_packed: bool) -> Asked {
    let itself = test.holds(template);
    let known = |verdict| Asked {
        verdict,
        itself,
        digits: 0,
    };
    if !is_packed || !template.contains(MARK) {
        return known(Verdict::All(itself));
    }
    let Some(cells) = cells(template.as_bytes()) else {
        return known(Verdict::Each);
    };
    let verdict = match test {
        TextTest::Equals(text) => literal(&cells, text.as_bytes(), Ends::Whole),
        TextTest::Contains(finder) => literal(&cells, finder.needle(), Ends::Any),
        TextTest::Word(word, _finder) if word.bytes().all(is_word_byte) => {
            literal(&cells, word.as_bytes(), Ends::Word)
        }
        TextTest::Word(..) => Verdict::Each,
        TextTest::Regex { literals, .. } => {
            let is_possible =
                |text: &String| literal(&cells, text.as_bytes(), Ends::Any) != Verdict::All(false);
            match literals.iter().all(is_possible) {
                true => Verdict::Each,
                false => Verdict::All(false),
            }
        }
    };
    Asked {
        // Of rows without digits apart nothing was read so far, not even that they have none.
        verdict: match verdict {
            Verdict::All(holds) if holds != itself => Verdict::Each,
            verdict => verdict,
        },
        itself,
        digits: cells
            .iter()
            .filter(|cell| matches!(cell, Cell::Digit(_)))
            .count(),
    }
}

/// The texts of a template, byte by byte. `None` when it is no template.
fn cells(template: &[u8]) -> Option<Vec<Cell>> {
    let mut cells = Vec::with_capacity(template.len());
    let mut digits = 0;
    let mut bytes = template.iter();
    while let Some(byte) = bytes.next() {
        if *byte != MARK as u8 {
            cells.push(Cell::Byte(*byte));
            continue;
        }
        let length = usize::from(bytes.next()?.checked_sub(LENGTH_BASE)?);
        if !(1..=DIGITS_MAX).contains(&length) {
            return None;
        }
        cells.extend((digits..digits + length).map(Cell::Digit));
        digits += length;
    }
    Some(cells)
}

/// What has to be around a searched text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Any,
    Word,
    /// Nothing.
    Whole,
}

/// Whether texts hold `needle`.
fn literal(cells: &[Cell], needle: &[u8], ends: Ends) -> Verdict {
    if needle.is_empty() {
        return Verdict::Each;
    }
    let in_word = |at: Option<usize>| match at.and_then(|at| cells.get(at)) {
        None => false,
        Some(Cell::Byte(byte)) => is_word_byte(*byte),
        Some(Cell::Digit(_)) => true,
    };
    let mut places = Vec::new();
    for (start, window) in cells.windows(needle.len()).enumerate() {
        let end = start + needle.len();
        let is_alone = match ends {
            Ends::Any => true,
            Ends::Word => !in_word(start.checked_sub(1)) && !in_word(Some(end)),
            Ends::Whole => window.len() == cells.len(),
        };
        let Some(digits) = place(window, needle).filter(|_digits| is_alone) else {
            continue;
        };
        if digits.is_empty() {
            return Verdict::All(true);
        }
        if places.len() == PLACES_MAX {
            return Verdict::Each;
        }
        places.push(digits);
    }
    match places.is_empty() {
        true => Verdict::All(false),
        false => Verdict::AnyOf(places),
    }
}

/// The digits with which the cells are `needle`.
fn place(cells: &[Cell], needle: &[u8]) -> Option<Digits> {
    let could_be = |(cell, byte): (&Cell, &u8)| match cell {
        Cell::Byte(known) => known == byte,
        Cell::Digit(_) => nibble(*byte).is_some(),
    };
    if !cells.iter().zip(needle).all(could_be) {
        return None;
    }
    let digits = cells
        .iter()
        .zip(needle)
        .filter_map(|(cell, byte)| match cell {
            Cell::Byte(_) => None,
            Cell::Digit(at) => Some((*at, nibble(*byte)?)),
        });
    Some(digits.collect())
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
