//! Conditions on text columns, a whole column at a time.

use arrow::array::{Array, AsArray, Int32Array, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int32Type;
use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use vervet_model::matcher::REGEX_SIZE_BYTES_MAX;

use super::literal;
use crate::StoreError;
use crate::query::filter::Test;
use crate::segment::index::token::is_word_byte;

/// A condition on a text, ready to be asked.
pub(crate) enum TextTest {
    Equals(String),
    Contains(Finder<'static>),
    Word(String, Finder<'static>),
    Regex {
        regex: Regex,
        /// Texts that every match holds.
        literals: Vec<String>,
        /// The longest of them.
        literal: Option<Finder<'static>>,
    },
}

/// A text column: as it is, or indexes into a dictionary. A null is the empty text.
#[derive(Clone, Copy)]
pub(crate) enum TextColumn<'a> {
    Plain(&'a StringArray),
    Dictionary(&'a Int32Array, &'a StringArray),
}

impl TextTest {
    /// `None` for a condition that is none on texts.
    pub(crate) fn new(test: &Test) -> Result<Option<Self>, StoreError> {
        Ok(Some(match test {
            Test::Equals(text) => Self::Equals(text.clone()),
            Test::Contains(text) => Self::Contains(Finder::new(text).into_owned()),
            Test::HasToken(word) => Self::Word(word.clone(), Finder::new(word).into_owned()),
            Test::Regex(pattern) => {
                let literals = literal::required(pattern);
                let longest = literals.iter().max_by_key(|literal| literal.len());
                Self::Regex {
                    regex: compile(pattern)?,
                    literal: longest.map(|literal| Finder::new(literal).into_owned()),
                    literals,
                }
            }
            Test::Compare(..) | Test::OneOf(_) | Test::Exists => return Ok(None),
        }))
    }

    /// Whether all texts that fulfil it hold so many hexadecimal digits in a row.
    pub(crate) fn needs_digits(&self, count: usize) -> bool {
        let has_run = |text: &[u8]| {
            let mut runs = text.split(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            runs.any(|run| run.len() >= count)
        };
        match self {
            Self::Equals(text) | Self::Word(text, _) => has_run(text.as_bytes()),
            Self::Contains(finder) => has_run(finder.needle()),
            Self::Regex { .. } => false,
        }
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equals(expected) => text == expected,
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::Word(word, finder) => holds_word(text.as_bytes(), word.len(), finder),
            Self::Regex { regex, literal, .. } => {
                let possible = |finder: &Finder<'_>| finder.find(text.as_bytes()).is_some();
                literal.as_ref().is_none_or(possible) && regex.is_match(text)
            }
        }
    }

    /// A text that every text which passes holds, if one is known.
    fn needle(&self) -> Option<&Finder<'static>> {
        match self {
            Self::Equals(_) => None,
            Self::Contains(finder) | Self::Word(_, finder) => Some(finder),
            Self::Regex { literal, .. } => literal.as_ref(),
        }
        .filter(|finder| !finder.needle().is_empty())
    }

    pub(crate) fn mask(&self, column: TextColumn<'_>) -> BooleanBuffer {
        match column {
            TextColumn::Plain(texts) => self.mask_plain(texts),
            TextColumn::Dictionary(keys, values) => {
                let holds: Vec<bool> = values
                    .iter()
                    .map(|value| self.holds(value.unwrap_or_default()))
                    .collect();
                let empty = self.holds("");
                let of_key = |key: Option<i32>| {
                    let known = key.and_then(|key| holds.get(usize::try_from(key).ok()?));
                    known.copied().unwrap_or(empty)
                };
                match keys.null_count() {
                    0 => keys.values().iter().map(|key| of_key(Some(*key))).collect(),
                    _ => keys.iter().map(of_key).collect(),
                }
            }
        }
    }

    fn mask_plain(&self, texts: &StringArray) -> BooleanBuffer {
        if texts.null_count() == 0
            && let Some(finder) = self.needle()
        {
            return self.mask_by_needle(texts, finder);
        }
        let holds = |row| {
            let text = if texts.is_null(row) {
                ""
            } else {
                texts.value(row)
            };
            self.holds(text)
        };
        BooleanBuffer::collect_bool(texts.len(), holds)
    }

    /// Looks for the needle in the text of all rows at once, and asks only the rows that hold it.
    fn mask_by_needle(&self, texts: &StringArray, finder: &Finder<'_>) -> BooleanBuffer {
        let mut mask = vec![false; texts.len()];
        let offsets = texts.value_offsets();
        let bytes = texts.value_data();
        let end = offset(offsets, texts.len());
        let (mut row, mut at) = (0, offset(offsets, 0));
        while let Some(rest) = bytes.get(at..end) {
            let Some(found) = finder.find(rest) else {
                break;
            };
            let found = at + found;
            row = row_of(offsets, row, found);
            let row_end = offset(offsets, row + 1);
            if found + finder.needle().len() > row_end {
                // It spans two rows. The next one may start right behind its first byte.
                at = found + 1;
                continue;
            }
            let certain = matches!(self, Self::Contains(_));
            if let Some(bit) = mask.get_mut(row) {
                *bit = certain || self.holds(texts.value(row));
            }
            at = row_end;
        }
        mask.into_iter().collect()
    }
}

impl<'a> TextColumn<'a> {
    /// `None` when the array is no text.
    pub(crate) fn new(array: &'a dyn Array) -> Option<Self> {
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Some(Self::Plain(texts));
        }
        let dictionary = array.as_dictionary_opt::<Int32Type>()?;
        let values = dictionary.values().as_string_opt::<i32>()?;
        Some(Self::Dictionary(dictionary.keys(), values))
    }

    /// `None` when there is no value.
    pub(crate) fn get(self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Dictionary(keys, values) => {
                let key = keys.is_valid(row).then(|| keys.value(row))?;
                let key = usize::try_from(key).ok()?;
                (key < values.len() && values.is_valid(key)).then(|| values.value(key))
            }
        }
    }
}

fn offset(offsets: &[i32], index: usize) -> usize {
    let offset = offsets.get(index).copied().unwrap_or(0);
    usize::try_from(offset).unwrap_or(0)
}

/// The row that holds byte `at`, which is not before `row`. Looks close by first.
fn row_of(offsets: &[i32], row: usize, at: usize) -> usize {
    let mut step = 1;
    while row + step < offsets.len() && offset(offsets, row + step) <= at {
        step *= 2;
    }
    let last = (row + step).min(offsets.len());
    let window = offsets.get(row..last).unwrap_or_default();
    let not_after = |offset: &i32| usize::try_from(*offset).is_ok_and(|offset| offset <= at);
    row + window.partition_point(not_after).saturating_sub(1)
}

fn holds_word(text: &[u8], length: usize, finder: &Finder<'_>) -> bool {
    let ends_word = |byte: Option<&u8>| byte.is_none_or(|byte| !is_word_byte(*byte));
    finder.find_iter(text).any(|at| {
        ends_word(at.checked_sub(1).and_then(|before| text.get(before)))
            && ends_word(text.get(at + length))
    })
}

fn compile(pattern: &str) -> Result<Regex, StoreError> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_BYTES_MAX)
        .build()
        .map_err(|error| StoreError::Invalid {
            reason: format!("invalid regular expression {pattern:?}: {error}"),
        })
}
