//! Takes numbers and ids out of texts, which then repeat, makes integers of doubles, and puts all back.
//!
//! In: batches of `logs` in their layout. Out: the same rows as files have them, see [`packed`](crate::tables::packed),
//! and back. Every text comes back byte for byte,
//! every double bit for bit.
//!
//! Limits: texts of up to 2,048 bytes with up to 32 places, 4,096 templates a column and file, numbers of 15 digits. What
//! is beyond stays as it is.

mod doubles;
mod pack;
mod scan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use memchr::memchr;

use crate::tables::packed::{
    DIGITS_MAX, LENGTH_BASE, MARK, NUMBER, NUMBER_DIGITS_MAX, PREFIX, companion, from_number,
    number_companion,
};

pub(super) use self::pack::Packer;

/// The digits of each byte.
const HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// The digits of each number below 100.
const DECIMAL_PAIRS: [[u8; 2]; 100] = {
    const DIGITS: [u8; 10] = *b"0123456789";
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [DIGITS[number / 10], DIGITS[number % 10]];
        number += 1;
    }
    pairs
};

/// The rows of a batch as they came, without companions. A companion whose column was not read is left out.
///
/// # Errors
/// A value and its companion do not fit together, so the file is damaged.
pub fn unpack(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema_ref();
    let is_companion = |name: &str| name.starts_with(PREFIX);
    if !schema
        .fields()
        .iter()
        .any(|field| is_companion(field.name()))
    {
        return Ok(batch.clone());
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if is_companion(field.name()) {
            continue;
        }
        fields.push(Arc::clone(field));
        let numbers = batch.column_by_name(&number_companion(field.name()));
        columns.push(match batch.column_by_name(&companion(field.name())) {
            Some(packed) => unpack_column(column, packed, numbers)?,
            None => Arc::clone(column),
        });
    }
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    RecordBatch::try_new(Arc::new(schema), columns)
}

/// The values of one column as they came. Files from before there were numbers have none.
///
/// # Errors
/// As [`unpack`].
pub(crate) fn unpack_column(
    values: &ArrayRef,
    packed: &ArrayRef,
    numbers: Option<&ArrayRef>,
) -> Result<ArrayRef, ArrowError> {
    let are_there = |array: &&ArrayRef| array.null_count() < array.len();
    let numbers = numbers.filter(are_there);
    if !are_there(&packed) && numbers.is_none() {
        return Ok(Arc::clone(values));
    }
    let numbers = numbers.map(|numbers| numbers.as_primitive_opt().ok_or_else(damaged));
    let numbers = numbers.transpose()?;
    if *values.data_type() == DataType::Float64 {
        return Ok(Arc::new(doubles::unpack(values, packed, numbers)?));
    }
    let (Some(texts), Some(digits)) =
        (values.as_string_opt::<i32>(), packed.as_binary_opt::<i32>())
    else {
        return Err(damaged());
    };
    Ok(Arc::new(whole_texts(texts, digits, numbers)?))
}

/// The number of a row, if it has one.
pub(crate) fn number_of(numbers: Option<&Float64Array>, row: usize) -> Option<i64> {
    let numbers = numbers.filter(|numbers| row < numbers.len() && numbers.is_valid(row))?;
    Some(from_number(numbers.value(row)))
}

fn whole_texts(
    texts: &StringArray,
    digits: &BinaryArray,
    numbers: Option<&Float64Array>,
) -> Result<StringArray, ArrowError> {
    let bytes = texts.value_data().len() + 2 * digits.value_data().len();
    let mut whole = Vec::with_capacity(bytes);
    let mut offsets: Vec<i32> = Vec::with_capacity(texts.len() + 1);
    offsets.push(0);
    for row in 0..texts.len() {
        let text = match texts.is_null(row) {
            true => "",
            false => texts.value(row),
        };
        match digits.is_null(row) {
            true => whole.extend_from_slice(text.as_bytes()),
            false => {
                let packed = (digits.value(row), number_of(numbers, row));
                unpack_text(text.as_bytes(), packed, &mut whole).ok_or_else(damaged)?;
            }
        }
        offsets.push(i32::try_from(whole.len()).map_err(|_too_long| damaged())?);
    }
    let offsets = OffsetBuffer::new(offsets.into());
    StringArray::try_new(offsets, whole.into(), texts.nulls().cloned())
}

/// `None` when the digits are too few or too many, or the number is missing.
pub(crate) fn unpack_text(
    template: &[u8],
    (digits, number): (&[u8], Option<i64>),
    out: &mut Vec<u8>,
) -> Option<()> {
    let (mut rest, mut at) = (template, 0);
    while let Some(mark) = memchr(MARK as u8, rest) {
        out.extend_from_slice(rest.get(..mark)?);
        let length = usize::from(rest.get(mark + 1)?.checked_sub(LENGTH_BASE)?);
        match length {
            NUMBER => push_number(number?, out)?,
            1..=DIGITS_MAX => push_digits(digits, at, at + length, out)?,
            _ => return None,
        }
        at += length;
        rest = rest.get(mark + 2..)?;
    }
    out.extend_from_slice(rest);
    (at.div_ceil(2) == digits.len()).then_some(())
}

/// `None` for one that is never packed: negative, or of too many digits.
fn push_number(number: i64, out: &mut Vec<u8>) -> Option<()> {
    let pair = |number: u64| DECIMAL_PAIRS.get(usize::try_from(number).ok()?);
    let mut rest = u64::try_from(number).ok()?;
    if rest < 10 {
        out.push(pair(rest)?[1]);
        return Some(());
    }
    // Room for one digit more than there are, and zeros before the first one.
    let mut digits = [b'0'; NUMBER_DIGITS_MAX + 1];
    let mut pairs = digits.as_chunks_mut::<2>().0.iter_mut().rev();
    let mut length = 0;
    while rest > 0 {
        *pairs.next()? = *pair(rest % 100)?;
        length += if rest < 10 { 1 } else { 2 };
        rest /= 100;
    }
    if length > NUMBER_DIGITS_MAX {
        return None;
    }
    out.extend_from_slice(digits.get(digits.len() - length..)?);
    Some(())
}

/// Writes the digits from `at` to `end`, of which each byte has two.
fn push_digits(digits: &[u8], mut at: usize, end: usize, out: &mut Vec<u8>) -> Option<()> {
    let pair = |at: usize| HEX_PAIRS.get(usize::from(*digits.get(at / 2)?));
    if at % 2 == 1 && at < end {
        out.push(pair(at)?[1]);
        at += 1;
    }
    while at + 1 < end {
        out.extend_from_slice(pair(at)?);
        at += 2;
    }
    if at < end {
        out.push(pair(at)?[0]);
    }
    Some(())
}

fn damaged() -> ArrowError {
    ArrowError::ParseError("a packed value does not fit its companion".to_owned())
}
