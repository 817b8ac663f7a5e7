//! Doubles that are decimals of few digits as integers: the power of ten to divide by above, the digits below, see
//! [`packed`](crate::tables::packed).
//!
//! Runs of them share most of their high bytes, which doubles do not.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;

use super::super::decimal::{POWERS, integer};
use super::{damaged, number_of};
use crate::tables::packed::{MANTISSA_BITS, from_number, to_number};

const MANTISSA_MASK: i64 = (1 << MANTISSA_BITS) - 1;
/// The most digits behind the point that this part of the values needs are written for all that have fewer, too, so that
/// neighbours have the same power.
const COMMON_PART: usize = 10;

/// What is left of the values, and the numbers; `None` when fewer than half are decimals.
pub(super) fn pack(values: &Float64Array) -> Option<(Float64Array, Float64Array)> {
    let digits: Vec<Option<usize>> = values.iter().map(|value| digits_of(value?)).collect();
    let decimals = digits.iter().flatten().count();
    if decimals == 0 || decimals * 2 < values.len() - values.null_count() {
        return None;
    }
    let common = common_digits(&digits, decimals);
    let mut rest = Float64Builder::with_capacity(values.len());
    let mut packed = Float64Builder::with_capacity(values.len());
    for (value, digits) in values.iter().zip(digits) {
        let whole = value.zip(digits);
        let whole = whole.and_then(|(value, own)| {
            mantissa(value, own.max(common)).or_else(|| mantissa(value, own))
        });
        packed.append_option(whole.map(to_number));
        rest.append_option(value.filter(|_value| whole.is_none()));
    }
    Some((rest.finish(), packed.finish()))
}

/// The fewest digits behind the point that give the value back.
fn digits_of(value: f64) -> Option<usize> {
    (0..POWERS.len()).find(|digits| mantissa(value, *digits).is_some())
}

fn mantissa(value: f64, digits: usize) -> Option<i64> {
    let mantissa = integer(value, *POWERS.get(digits)?)?;
    let digits = i64::try_from(digits).ok()?;
    (0..=MANTISSA_MASK)
        .contains(&mantissa)
        .then_some(digits << MANTISSA_BITS | mantissa)
}

/// Enough for all but few.
fn common_digits(digits: &[Option<usize>], decimals: usize) -> usize {
    let mut counts = [0; POWERS.len()];
    for digits in digits.iter().flatten() {
        if let Some(count) = counts.get_mut(*digits) {
            *count += 1;
        }
    }
    let mut above = 0;
    let needed = (0..counts.len()).rev().find(|digits| {
        above += counts.get(*digits).copied().unwrap_or(0);
        above * COMMON_PART > decimals
    });
    needed.unwrap_or(0)
}

/// The values as they came, of numbers or of what files from before there were any have.
pub(super) fn unpack(
    rest: &ArrayRef,
    packed: &ArrayRef,
    numbers: Option<&Float64Array>,
) -> Result<Float64Array, ArrowError> {
    let (Some(rest), Some(packed)) = (
        rest.as_primitive_opt::<Float64Type>(),
        packed.as_primitive_opt::<Int64Type>(),
    ) else {
        return Err(damaged());
    };
    if let Some(numbers) = numbers
        && numbers.null_count() == 0
    {
        let values = numbers.values().iter();
        let values = values.map(|number| whole(from_number(*number)));
        return values
            .collect::<Option<Vec<f64>>>()
            .map(Float64Array::from)
            .ok_or_else(damaged);
    }
    let rows = 0..rest.len();
    rows.map(|row| {
        let older = || packed.is_valid(row).then(|| packed.value(row));
        match number_of(numbers, row).or_else(older) {
            Some(packed) => whole(packed).map(Some).ok_or_else(damaged),
            None => Ok(rest.is_valid(row).then(|| rest.value(row))),
        }
    })
    .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a double holds so many bits")]
fn whole(packed: i64) -> Option<f64> {
    let power = POWERS.get(usize::try_from(packed >> MANTISSA_BITS).ok()?)?;
    Some((packed & MANTISSA_MASK) as f64 / power)
}
