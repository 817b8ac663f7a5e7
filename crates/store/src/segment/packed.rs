//! Takes numbers and ids out of texts, which then repeat, and puts them back.
//!
//! In: batches of `logs` in their layout. Out: the same rows as files have them, see [`packed`](crate::tables::packed),
//! and back. Every text comes back byte for byte.
//!
//! Limits: texts of up to 2,048 bytes with up to 32 places, 4,096 templates a column and file. What is beyond stays as
//! it is.

mod pack;
mod scan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use crate::tables::packed::{DIGITS_MAX, LENGTH_BASE, MARK, PREFIX, companion};

pub(super) use self::pack::Packer;

const HEX_DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// The rows of a batch as they came, without companions. A companion whose column was not read is left out.
///
/// # Errors
/// A text and its companion do not fit together, so the file is damaged.
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
        columns.push(match batch.column_by_name(&companion(field.name())) {
            Some(digits) => unpack_texts(column, digits)?,
            None => Arc::clone(column),
        });
    }
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    RecordBatch::try_new(Arc::new(schema), columns)
}

/// The texts of one column as they came.
///
/// # Errors
/// As [`unpack`].
pub(crate) fn unpack_texts(texts: &ArrayRef, digits: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if digits.null_count() == digits.len() {
        return Ok(Arc::clone(texts));
    }
    let (Some(texts), Some(digits)) = (texts.as_string_opt::<i32>(), digits.as_binary_opt::<i32>())
    else {
        return Err(damaged());
    };
    Ok(Arc::new(whole_texts(texts, digits)?))
}

fn whole_texts(texts: &StringArray, digits: &BinaryArray) -> Result<StringArray, ArrowError> {
    let bytes = texts.value_data().len() + 2 * digits.value_data().len();
    let mut whole = StringBuilder::with_capacity(texts.len(), bytes);
    let mut scratch = String::new();
    for row in 0..texts.len() {
        if texts.is_null(row) {
            whole.append_null();
        } else if digits.is_null(row) {
            whole.append_value(texts.value(row));
        } else {
            scratch.clear();
            unpack_text(texts.value(row), digits.value(row), &mut scratch).ok_or_else(damaged)?;
            whole.append_value(&scratch);
        }
    }
    Ok(whole.finish())
}

/// `None` when the digits are too few or too many.
fn unpack_text(template: &str, digits: &[u8], out: &mut String) -> Option<()> {
    let mut parts = template.split(MARK);
    out.push_str(parts.next()?);
    let mut at = 0;
    for part in parts {
        let (length, rest) = part.split_at_checked(1)?;
        let length = length.as_bytes().first()?.checked_sub(LENGTH_BASE)?;
        let end = at + usize::from(length);
        if !(1..=DIGITS_MAX).contains(&usize::from(length)) {
            return None;
        }
        for place in at..end {
            let pair = *digits.get(place / 2)?;
            let digit = if place % 2 == 0 { pair >> 4 } else { pair & 15 };
            out.push(*HEX_DIGITS.get(usize::from(digit))?);
        }
        at = end;
        out.push_str(rest);
    }
    (at.div_ceil(2) == digits.len()).then_some(())
}

fn damaged() -> ArrowError {
    ArrowError::ParseError("a packed text does not fit its digits".to_owned())
}
