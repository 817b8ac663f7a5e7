//! Packs the columns of one file.
//!
//! Texts that differ in their places only are of one template. A place stays in the text until it has had more than
//! [`VALUES_MAX`] values, so versions, status codes and constant numbers, of which a dictionary makes next to nothing,
//! are never taken out.
//!
//! One place of a template that varies may be its number: the first of decimal numbers that differ in length. Numbers have a column
//! of their own, so that neither their digits nor their lengths stand among digits and templates.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Float64Builder, RecordBatch, StringArray,
    StringBuilder, new_null_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64;

use super::{doubles, scan};
use crate::head::series::IdHashing;
use crate::tables::Layout;
use crate::tables::packed::{
    LENGTH_BASE, MARK, NUMBER, NUMBER_DIGITS_MAX, packed_columns, to_number,
};

/// Templates of a column that are told apart; texts of others stay as they are.
const TEMPLATES_MAX: usize = 4_096;
/// Values of a place that stay in the text.
const VALUES_MAX: usize = 16;
/// Texts that one template comes to by the values that stay in it, at most.
const VARIANTS_MAX: usize = 256;

/// What was seen of the texts of one file.
pub(in crate::segment) struct Packer {
    schema: SchemaRef,
    columns: Vec<(usize, Kind)>,
}

enum Kind {
    Text(Templates),
    Double,
}

impl Packer {
    /// `None` for a table without packed columns.
    pub(in crate::segment) fn new(layout: &Layout) -> Option<Self> {
        let schema = layout.schema();
        let columns: Vec<_> = packed_columns(layout)
            .filter_map(|name| {
                let (index, field) = schema.column_with_name(name)?;
                let kind = match field.data_type() {
                    DataType::Float64 => Kind::Double,
                    _ => Kind::Text(Templates::default()),
                };
                Some((index, kind))
            })
            .collect();
        (!columns.is_empty()).then(|| Self {
            schema: layout.file_schema(),
            columns,
        })
    }

    /// The rows of a batch as files have them.
    ///
    /// # Errors
    /// The batch is not in the layout.
    pub(in crate::segment) fn pack(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<RecordBatch, ArrowError> {
        let mut columns = batch.columns().to_vec();
        let (mut companions, mut numbers) = (Vec::new(), Vec::new());
        for (index, kind) in &mut self.columns {
            let values = columns
                .get_mut(*index)
                .ok_or_else(|| ArrowError::SchemaError("a column is missing".to_owned()))?;
            let packed = kind.pack(values);
            let packed = packed.unwrap_or_else(|| kind.none(values));
            *values = packed.rest;
            companions.push(packed.companion);
            numbers.push(packed.numbers);
        }
        columns.extend(companions);
        columns.extend(numbers);
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// What a column is stored as.
struct Packed {
    /// What is left of the values.
    rest: ArrayRef,
    companion: ArrayRef,
    numbers: ArrayRef,
}

impl Kind {
    /// `None` when all values stay.
    fn pack(&mut self, values: &ArrayRef) -> Option<Packed> {
        match self {
            Self::Text(templates) => templates.pack(values.as_string_opt()?),
            Self::Double => {
                let (rest, numbers) = doubles::pack(values.as_primitive_opt()?)?;
                Some(Packed {
                    rest: Arc::new(rest),
                    companion: new_null_array(&DataType::Int64, values.len()),
                    numbers: Arc::new(numbers),
                })
            }
        }
    }

    /// Values that all stay.
    fn none(&self, values: &ArrayRef) -> Packed {
        let companion = match self {
            Self::Text(_) => DataType::Binary,
            Self::Double => DataType::Int64,
        };
        Packed {
            rest: Arc::clone(values),
            companion: new_null_array(&companion, values.len()),
            numbers: new_null_array(&DataType::Float64, values.len()),
        }
    }
}

/// The templates of one column.
#[derive(Default)]
struct Templates {
    /// By the hash of the text without its places.
    known: HashMap<u64, Vec<Place>, IdHashing>,
    number: Option<i64>,
    // Kept for their memory.
    found: Vec<Range<usize>>,
    skeleton: Vec<u8>,
    text: String,
    digits: Vec<u8>,
}

/// What was seen at a place of a template.
#[derive(Default)]
struct Place {
    varies: bool,
    is_number: bool,
    /// Hashes of its values, until it varies.
    values: Vec<u64>,
    lengths: Lengths,
}

/// Of the values of a place, until it varies.
#[derive(Clone, Copy)]
struct Lengths {
    least: usize,
    most: usize,
    /// Whether all values are numbers as [`number`] has them.
    are_numbers: bool,
}

impl Default for Lengths {
    fn default() -> Self {
        Self {
            least: usize::MAX,
            most: 0,
            are_numbers: true,
        }
    }
}

impl Templates {
    /// `None` when no text is packed.
    fn pack(&mut self, texts: &StringArray) -> Option<Packed> {
        let mut packed = StringBuilder::with_capacity(texts.len(), texts.value_data().len() / 2);
        let mut digits = BinaryBuilder::with_capacity(texts.len(), texts.len() * 8);
        let mut numbers = Float64Builder::with_capacity(texts.len());
        let mut any = false;
        for text in texts {
            self.number = None;
            match text {
                None => {
                    packed.append_null();
                    digits.append_null();
                }
                Some(text) if self.pack_text(text) => {
                    any = true;
                    packed.append_value(&self.text);
                    digits.append_value(&self.digits);
                }
                Some(text) => {
                    packed.append_value(text);
                    digits.append_null();
                }
            }
            numbers.append_option(self.number.map(to_number));
        }
        any.then(|| Packed {
            rest: Arc::new(packed.finish()),
            companion: Arc::new(digits.finish()),
            numbers: Arc::new(numbers.finish()),
        })
    }

    /// Puts one text into `text`, `digits` and `number`. `false` when it stays as it is.
    fn pack_text(&mut self, text: &str) -> bool {
        if !scan::places(text, &mut self.found) {
            return false;
        }
        self.skeleton.clear();
        let mut at = 0;
        for place in &self.found {
            let before = text.as_bytes().get(at..place.start);
            self.skeleton.extend_from_slice(before.unwrap_or_default());
            self.skeleton.push(MARK as u8);
            at = place.end;
        }
        let rest = text.as_bytes().get(at..);
        self.skeleton.extend_from_slice(rest.unwrap_or_default());
        let room = self.known.len() < TEMPLATES_MAX;
        let template = match self.known.entry(xxh3_64(&self.skeleton)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) if room => {
                free.insert(self.found.iter().map(|_place| Place::default()).collect())
            }
            Entry::Vacant(_) => return false,
        };
        if !learn(template, text, &self.found) {
            return false;
        }
        self.text.clear();
        self.digits.clear();
        self.number = write(
            text,
            template,
            &self.found,
            &mut self.text,
            &mut self.digits,
        );
        true
    }
}

/// Notes the values of a text. Returns whether a place of it varies.
fn learn(template: &mut [Place], text: &str, found: &[Range<usize>]) -> bool {
    if template.len() != found.len() {
        // Another template with the same hash.
        return false;
    }
    let mut grown = false;
    let mut has_number = template.iter().any(|place| place.is_number);
    for (place, range) in template.iter_mut().zip(found) {
        if place.varies {
            continue;
        }
        let value = text.as_bytes().get(range.clone()).unwrap_or_default();
        let hash = xxh3_64(value);
        if !place.values.contains(&hash) {
            place.values.push(hash);
            place.lengths.add(value);
            grown = true;
            if place.values.len() > VALUES_MAX {
                place.take_out(&mut has_number);
            }
        }
    }
    while grown && variants(template) > VARIANTS_MAX {
        match template.iter_mut().max_by_key(|place| place.values.len()) {
            Some(place) => place.take_out(&mut has_number),
            None => break,
        }
    }
    template.iter().any(|place| place.varies)
}

impl Place {
    fn take_out(&mut self, has_number: &mut bool) {
        self.varies = true;
        self.values = Vec::new();
        self.is_number =
            !*has_number && self.lengths.are_numbers && self.lengths.least < self.lengths.most;
        *has_number |= self.is_number;
    }
}

impl Lengths {
    fn add(&mut self, value: &[u8]) {
        self.least = self.least.min(value.len());
        self.most = self.most.max(value.len());
        self.are_numbers = self.are_numbers && number(value).is_some();
    }
}

/// A decimal number that its digits give back, so without zeros before it.
fn number(digits: &[u8]) -> Option<i64> {
    if digits.len() > NUMBER_DIGITS_MAX || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number * 10 + i64::from(digit))
    })
}

fn variants(template: &[Place]) -> usize {
    template.iter().fold(1, |variants: usize, place| {
        variants.saturating_mul(place.values.len().max(1))
    })
}

/// Writes a text without the places that vary, and their digits, two a byte. Returns the number.
fn write(
    text: &str,
    template: &[Place],
    found: &[Range<usize>],
    out: &mut String,
    digits: &mut Vec<u8>,
) -> Option<i64> {
    let (mut at, mut half, mut number) = (0, None, None);
    for (place, range) in template
        .iter()
        .zip(found)
        .filter(|(place, _range)| place.varies)
    {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push(MARK);
        at = range.end;
        let value = text.as_bytes().get(range.clone()).unwrap_or_default();
        if place.is_number {
            number = self::number(value);
        }
        let length = match place.is_number && number.is_some() {
            true => NUMBER,
            false => value.len(),
        };
        out.push(char::from(
            LENGTH_BASE + u8::try_from(length).unwrap_or_default(),
        ));
        half = push_digits(value.get(..length).unwrap_or_default(), half, digits);
    }
    digits.extend(half);
    out.push_str(text.get(at..).unwrap_or_default());
    number
}

/// Adds hexadecimal digits, two a byte, the first one behind a digit that waits for it. Returns the one that waits then, in the upper
/// half of its byte.
fn push_digits(mut value: &[u8], half: Option<u8>, digits: &mut Vec<u8>) -> Option<u8> {
    // Letters have a bit that decimal digits have not, and begin with 1.
    let digit = |byte: u8| (byte & 15) + 9 * (byte >> 6);
    if let (Some(high), [first, rest @ ..]) = (half, value) {
        digits.push(high | digit(*first));
        value = rest;
    } else if half.is_some() {
        return half;
    }
    let (pairs, last) = value.as_chunks::<2>();
    digits.extend(
        pairs
            .iter()
            .map(|[high, low]| digit(*high) << 4 | digit(*low)),
    );
    last.first().map(|high| digit(*high) << 4)
}
