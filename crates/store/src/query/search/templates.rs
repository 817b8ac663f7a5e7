//! Conditions on texts whose digits are stored apart, asked of what is left of them.
//!
//! A row group has few such templates, so each is asked once: whether all its texts fulfil the condition, none, or that
//! depends on their digits. Digits are read only for rows of the last kind, and compared where they stand; texts are put
//! together only for regular expressions.

mod form;

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, StringArray};
use arrow::buffer::{BooleanBuffer, MutableBuffer};
use arrow::datatypes::Int32Type;
use memchr::memmem::Finder;
use parquet::errors::ParquetError;

use self::form::{Ends, Form, Verdict};
use super::rows::{PAGE_SEARCHES_MAX, Rows};
use super::text::TextTest;
use crate::StoreError;
use crate::segment::index::token::is_word_byte;
use crate::segment::{number_of, unpack_text};
use crate::tables::packed::{MARK, companion};

/// Fewer bytes stand in most pages by chance.
const PATTERN_BYTES_MIN: usize = 4;

/// A template that was asked.
struct Asked {
    verdict: Verdict,
    /// Whether the template itself fulfils the condition, for texts that have no digits apart.
    itself: bool,
    /// Digits of each text.
    digits: usize,
    /// Whether a number belongs in each text.
    has_number: bool,
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
        let (digits, numbers) = rows.digits(name, which, templates.need_numbers(&keys_open))?;
        let packed = Packed::new(&digits, numbers.as_ref(), open.len());
        let packed = packed.ok_or(StoreError::Columns {
            table: rows.table().name(),
        })?;
        templates
            .decide(&open, packed, bytes)
            .ok_or_else(|| rows.damaged(damaged()))?;
    }
    Ok(Some(BooleanBuffer::new(mask.into(), 0, count)))
}

fn damaged() -> ParquetError {
    ParquetError::General("a packed value does not fit its companion".to_owned())
}

/// What was taken out of the texts of some rows.
#[derive(Clone, Copy)]
struct Packed<'a> {
    digits: &'a BinaryArray,
    numbers: Option<&'a Float64Array>,
}

impl<'a> Packed<'a> {
    /// `None` when the columns are others.
    fn new(digits: &'a ArrayRef, numbers: Option<&'a ArrayRef>, rows: usize) -> Option<Self> {
        let digits = digits.as_binary_opt().filter(|digits| digits.len() == rows);
        let numbers = numbers.map(|numbers| numbers.as_primitive_opt());
        Some(Self {
            digits: digits?,
            numbers: match numbers {
                None => None,
                Some(numbers) => Some(numbers?),
            },
        })
    }
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
                let bytes = place.packed_run();
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

    /// Whether the numbers of texts of these templates are needed to decide.
    fn need_numbers(&self, keys: &[usize]) -> bool {
        let asked = keys.iter().filter_map(|key| self.asked.get(*key)?.as_ref());
        asked
            .filter(|asked| asked.has_number)
            .any(|asked| match &asked.verdict {
                Verdict::All(_) => false,
                Verdict::AnyOf(places) => places.iter().any(|place| place.number.is_some()),
                Verdict::Each => true,
            })
    }

    /// Sets the bits of those rows that fulfil the condition. `None` when digits and templates do not fit.
    fn decide(&self, open: &[(usize, usize)], packed: Packed<'_>, mask: &mut [u8]) -> Option<()> {
        let mut text = Vec::new();
        for (index, (row, key)) in open.iter().enumerate() {
            let asked = self.asked.get(*key)?.as_ref()?;
            let holds = if packed.digits.is_null(index) {
                asked.itself
            } else {
                let digits = packed.digits.value(index);
                let number = number_of(packed.numbers, index);
                match &asked.verdict {
                    Verdict::All(holds) => *holds,
                    Verdict::AnyOf(_) if digits.len() != asked.digits.div_ceil(2) => return None,
                    Verdict::AnyOf(places) => {
                        let mut holds = false;
                        for place in places {
                            holds |= place.fits(digits, number)?;
                        }
                        holds
                    }
                    Verdict::Each => {
                        let template = self.values.value(*key).as_bytes();
                        text.clear();
                        unpack_text(template, (digits, number), &mut text)?;
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

fn ask(test: &TextTest, template: &str, is_packed: bool) -> Asked {
    let itself = test.holds(template);
    let known = |verdict, has_number| Asked {
        verdict,
        itself,
        digits: 0,
        has_number,
    };
    if !is_packed || !template.contains(MARK) {
        return known(Verdict::All(itself), false);
    }
    let Some(form) = Form::new(template.as_bytes()) else {
        return known(Verdict::Each, true);
    };
    let verdict = match test {
        TextTest::Equals(text) => form.holds(text.as_bytes(), Ends::Whole),
        TextTest::Contains(finder) => form.holds(finder.needle(), Ends::Any),
        TextTest::Word(word, _finder) if word.bytes().all(is_word_byte) => {
            form.holds(word.as_bytes(), Ends::Word)
        }
        TextTest::Word(..) => Verdict::Each,
        TextTest::Regex { literals, .. } => {
            let is_possible =
                |text: &String| form.holds(text.as_bytes(), Ends::Any) != Verdict::All(false);
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
        digits: form.digits(),
        has_number: form.has_number(),
    }
}

#[cfg(test)]
mod tests;
