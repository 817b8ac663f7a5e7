use arrow::array::{Int32Array, StringArray, TimestampMillisecondArray, UInt64Array};
use proptest::prelude::*;

use super::*;

/// Rows of series, each with its values.
fn batch(series: &[Vec<f64>]) -> RecordBatch {
    let rows: usize = series.iter().map(Vec::len).sum();
    let ids = (0..)
        .zip(series)
        .flat_map(|(id, values)| vec![id; values.len()]);
    let times = series.iter().flat_map(|values| 0_i64..values.len() as i64);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![0; rows])),
        Arc::new(StringArray::from(vec!["m"; rows])),
        Arc::new(UInt64Array::from_iter_values(ids)),
        Arc::new(TimestampMillisecondArray::from_iter_values(times)),
        Arc::new(Float64Array::from_iter_values(
            series.iter().flatten().copied(),
        )),
    ];
    RecordBatch::try_new(Table::Samples.schema(), columns).unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Packs one series; its mantissas and divisors. The values must come back.
fn packed(values: &[f64]) -> Vec<Option<(i64, f64)>> {
    let packed = pack(&batch(&[values.to_vec()])).unwrap();
    let found = sample_values(&packed).unwrap();
    assert_eq!(bits(found.values()), bits(values));
    let mantissas = packed.column_by_name(column::MANTISSA).unwrap();
    let divisors = doubles(&packed, column::DIVISOR).unwrap();
    let pairs = mantissas.as_primitive::<Int64Type>().iter().zip(divisors);
    pairs
        .map(|(mantissa, divisor)| Some((mantissa?, divisor?)))
        .collect()
}

#[test]
fn a_run_shares_the_divisor_of_its_longest_decimal() {
    assert_eq!(
        packed(&[1.0, 2.5, -3.25]),
        [Some((100, 100.0)), Some((250, 100.0)), Some((-325, 100.0))]
    );
    assert_eq!(packed(&[7.0, 9.0]), [Some((7, 1.0)), Some((9, 1.0))]);
    assert_eq!(
        packed(&[0.1, 1e-9]),
        [Some((100_000_000, 1e9)), Some((1, 1e9))]
    );
}

#[test]
fn pages_of_bytes_lose_their_zeros() {
    assert_eq!(
        packed(&[8192.0, 0.0, 12288.0]),
        [
            Some((2, 1.0 / 4096.0)),
            Some((0, 1.0 / 4096.0)),
            Some((3, 1.0 / 4096.0))
        ]
    );
    assert_eq!(packed(&[0.0, 0.0]), [Some((0, 1.0)); 2]);
}

#[test]
fn what_is_no_decimal_stays_a_double() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    assert_eq!(
        packed(&[1.0, stale, -0.0, 2.0, 3.0]),
        [Some((1, 1.0)), None, None, Some((2, 1.0)), Some((3, 1.0))]
    );
    for value in [f64::NAN, f64::INFINITY, 1.0 / 3.0, 5e-324, f64::MAX, 1e16] {
        assert_eq!(packed(&[value, value, 1.0]), [None; 3], "{value}");
    }
    // Scaled by the second value the first is too large.
    assert_eq!(
        packed(&[1e14, 0.001, 0.002]),
        [None, Some((1, 1e3)), Some((2, 1e3))]
    );
}

#[test]
fn a_row_without_a_value_is_an_error() {
    let columns: Vec<ArrayRef> = batch(&[vec![1.0, f64::NAN]])
        .columns()
        .iter()
        .take(4)
        .cloned()
        .chain([
            Arc::new(Float64Array::from(vec![None, None])) as ArrayRef,
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(Float64Array::from(vec![Some(1.0), None])),
        ])
        .collect();
    let damaged = RecordBatch::try_new(Table::Samples.segment_schema(), columns).unwrap();
    assert!(sample_values(&damaged).is_err());
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (any::<i32>(), 0..15_i32).prop_map(|(n, digits)| f64::from(n) / 10_f64.powi(digits)),
        (any::<i64>(), 0..15_i32).prop_map(|(n, digits)| n as f64 / 10_f64.powi(digits)),
        any::<u32>().prop_map(|pages| f64::from(pages) * 4096.0),
        (-5..5_i8).prop_map(f64::from),
        Just(f64::from_bits(0x7ff0_0000_0000_0002)),
        Just(-0.0),
    ]
}

proptest! {
    #[test]
    fn values_come_back_to_the_bit(series in prop::collection::vec(prop::collection::vec(value(), 1..40), 1..6)) {
        let all: Vec<f64> = series.concat();
        let once = pack(&batch(&series)).unwrap();
        prop_assert_eq!(bits(sample_values(&once).unwrap().values()), bits(&all));
        let again = pack(&once).unwrap();
        prop_assert_eq!(&again, &once);
        // A part of the rows, as a reader has them.
        let part = once.slice(all.len() / 3, all.len() / 2);
        let expect = &all[all.len() / 3..][..all.len() / 2];
        prop_assert_eq!(bits(sample_values(&part).unwrap().values()), bits(expect));
    }

    #[test]
    fn decimals_of_up_to_fifteen_digits_are_packed(n in -999_999_999_999_999_i64..=999_999_999_999_999, digits in 0..=12_usize) {
        let value = n as f64 / POWERS[digits];
        prop_assert!(n == 0 || integer(value, POWERS[digits]) == Some(n));
    }
}
