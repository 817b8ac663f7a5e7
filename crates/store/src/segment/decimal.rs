//! Values of samples as decimals, which take less room than doubles.
//!
//! Most values that are measured have few digits. Such a value is stored as an integer `mantissa` and a `divisor`:
//! the one division of doubles `mantissa / divisor` gives the value back to the bit, which is checked for each. Every
//! other value (NaN, infinities, -0.0, ratios) stays in the column `value`, which is null otherwise. One divisor serves a
//! run, the rows of one series in a batch, so that mantissas lie as close together as the values do.
//!
//! In: sorted rows of `samples`, packed or not. Out: the same rows packed, and values put together again.
//!
//! Limits: 12 digits behind the point, mantissas to 10^15. A divisor is a power of ten, or one by a power of two: bytes
//! that are counted in pages need not carry the zeros.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int64Array, Int64Builder, RecordBatch,
};
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;

use super::SegmentError;
use crate::tables::{Table, column};

/// The powers of ten to divide by.
pub(super) const POWERS: [f64; 13] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
];
/// Below 2^50, so that a product with a power of ten is off by less than a half and rounds to the right integer.
const MANTISSA_MAX: f64 = 1e15;
/// 1.5 * 2^52. Adding and subtracting it rounds a double below 2^51 to an integer.
const ROUNDING: f64 = 6_755_399_441_055_744.0;
/// Fewer trailing zero bits of all mantissas of a run are not worth a divisor of their own.
const SHIFT_BITS_MIN: u32 = 4;

/// The rows of a batch with packed values. Rows that were packed before are packed anew, since runs may have grown.
///
/// # Errors
/// [`SegmentError::Schema`] when the batch is not of `samples`.
pub(super) fn pack(batch: &RecordBatch) -> Result<RecordBatch, SegmentError> {
    let table = Table::Samples.name();
    let arrow = |source| SegmentError::Arrow { table, source };
    let values = sample_values(batch).map_err(arrow)?;
    let ids = batch
        .column_by_name(column::SERIES_ID)
        .and_then(|ids| ids.as_primitive_opt::<UInt64Type>())
        .ok_or(SegmentError::Schema { table })?;
    let mut packed = Packed::with_capacity(batch.num_rows());
    let mut rest: &[f64] = values.values();
    for run in ids.values().chunk_by(|one, next| one == next) {
        let Some((own, others)) = rest.split_at_checked(run.len()) else {
            break;
        };
        packed.push_run(own);
        rest = others;
    }
    let schema = Table::Samples.segment_schema();
    let keys = schema.index_of(column::VALUE).map_err(arrow)?;
    let columns = batch.columns().iter().take(keys).cloned();
    let columns: Vec<ArrayRef> = columns.chain(packed.finish()).collect();
    RecordBatch::try_new(schema, columns).map_err(arrow)
}

/// The values of a batch of samples, whatever form its segment has: files of earlier versions have no mantissas.
///
/// # Errors
/// There is a row without a value, so the file is damaged, or there is no such column.
#[expect(
    clippy::cast_precision_loss,
    reason = "mantissas are integers that a double holds"
)]
pub fn sample_values(batch: &RecordBatch) -> Result<Float64Array, ArrowError> {
    let values = doubles(batch, column::VALUE)
        .ok_or_else(|| ArrowError::SchemaError("samples have no values".to_owned()))?;
    let mantissas = batch
        .column_by_name(column::MANTISSA)
        .and_then(|array| array.as_primitive_opt::<Int64Type>());
    let mantissas = mantissas.filter(|mantissas| mantissas.null_count() < mantissas.len());
    let (Some(mantissas), Some(divisors)) = (mantissas, doubles(batch, column::DIVISOR)) else {
        return match values.null_count() {
            0 => Ok(values.clone()),
            _ => Err(no_value()),
        };
    };
    if mantissas.null_count() == 0 && divisors.null_count() == 0 {
        let pairs = mantissas.values().iter().zip(divisors.values());
        return Ok(Float64Array::from_iter_values(
            pairs.map(|(mantissa, divisor)| *mantissa as f64 / divisor),
        ));
    }
    let decimals = decimals(mantissas, divisors);
    let rows = decimals.zip(values.iter());
    let values: Option<Vec<f64>> = rows.map(|(decimal, value)| decimal.or(value)).collect();
    values.map(Float64Array::from).ok_or_else(no_value)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "mantissas are integers that a double holds"
)]
fn decimals<'a>(
    mantissas: &'a Int64Array,
    divisors: &'a Float64Array,
) -> impl Iterator<Item = Option<f64>> + 'a {
    let pairs = mantissas.iter().zip(divisors.iter());
    pairs.map(|(mantissa, divisor)| Some(mantissa? as f64 / divisor?))
}

fn doubles<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a Float64Array> {
    batch
        .column_by_name(name)?
        .as_primitive_opt::<Float64Type>()
}

fn no_value() -> ArrowError {
    ArrowError::ParseError("a sample has no value".to_owned())
}

struct Packed {
    values: Float64Builder,
    mantissas: Int64Builder,
    divisors: Float64Builder,
}

impl Packed {
    fn with_capacity(rows: usize) -> Self {
        Self {
            values: Float64Builder::with_capacity(rows),
            mantissas: Int64Builder::with_capacity(rows),
            divisors: Float64Builder::with_capacity(rows),
        }
    }

    fn push_run(&mut self, run: &[f64]) {
        let Some(scale) = Scale::of(run) else {
            self.values.append_slice(run);
            self.mantissas.append_nulls(run.len());
            self.divisors.append_nulls(run.len());
            return;
        };
        for value in run {
            match scale.mantissa(*value) {
                Some(mantissa) => {
                    self.values.append_null();
                    self.mantissas.append_value(mantissa);
                    self.divisors.append_value(scale.divisor);
                }
                None => {
                    self.values.append_value(*value);
                    self.mantissas.append_null();
                    self.divisors.append_null();
                }
            }
        }
    }

    fn finish(mut self) -> [ArrayRef; 3] {
        [
            Arc::new(self.values.finish()),
            Arc::new(self.mantissas.finish()),
            Arc::new(self.divisors.finish()),
        ]
    }
}

/// How the values of a run become integers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    /// The power of ten that makes them integers.
    power: f64,
    /// The zero bits that all of these end with.
    shift: u32,
    /// `power / 2^shift`.
    divisor: f64,
}

impl Scale {
    /// The scale with the fewest digits that serves every decimal of the run. `None` when decimals are its minority.
    fn of(run: &[f64]) -> Option<Self> {
        let mut powers: &[f64] = &POWERS;
        let mut others = 0;
        for value in run {
            let fits = |power: &f64| integer(*value, *power).is_some();
            match powers.iter().position(fits) {
                Some(skipped) => powers = powers.get(skipped..)?,
                None => others += 1,
            }
            if others * 2 > run.len() {
                return None;
            }
        }
        let power = *powers.first()?;
        let integers = run.iter().filter_map(|value| integer(*value, power));
        let (mut bits, mut fitting) = (0, 0);
        for integer in integers {
            bits |= integer;
            fitting += 1;
        }
        // More digits may have made large values too large.
        if fitting * 2 < run.len() {
            return None;
        }
        let shift = match bits.trailing_zeros() {
            shift if bits != 0 && shift >= SHIFT_BITS_MIN => shift,
            _ => 0,
        };
        Some(Self {
            power,
            shift,
            divisor: power / 2_f64.powi(i32::try_from(shift).ok()?),
        })
    }

    fn mantissa(self, value: f64) -> Option<i64> {
        integer(value, self.power).map(|integer| integer >> self.shift)
    }
}

/// `value * power`, if that is an integer from which a division gives the value back to the bit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "an integer below 2^50, checked by the way back"
)]
pub(super) fn integer(value: f64, power: f64) -> Option<i64> {
    let scaled = value * power;
    // False for NaN, too.
    if scaled.abs() <= MANTISSA_MAX {
        let integer = ((scaled + ROUNDING) - ROUNDING) as i64;
        return (((integer as f64) / power).to_bits() == value.to_bits()).then_some(integer);
    }
    None
}
