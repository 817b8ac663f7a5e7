//! Sort keys as numbers: far cheaper to compare than rows of bytes.
//!
//! Texts are numbered in their order, of which a batch has few: services, span names, metrics. Integers and times
//! keep their order as unsigned numbers.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    DataType, Int64Type, TimeUnit, TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
};

/// Sort columns of a table at most.
const COLUMNS_MAX: usize = 3;

/// Keys of one row in the order of the table; columns that a table lacks are the same in all rows.
pub(super) type Ranks = [u64; COLUMNS_MAX];

/// The keys of every row with its number, or `None` for columns that have no such form.
pub(super) fn ranked_rows(columns: &[ArrayRef]) -> Option<Vec<(Ranks, u32)>> {
    let rows = columns.first()?.len();
    if columns.len() > COLUMNS_MAX {
        return None;
    }
    let mut ranked: Vec<(Ranks, u32)> = (0..u32::try_from(rows).ok()?)
        .map(|row| (Ranks::default(), row))
        .collect();
    for (place, column) in columns.iter().enumerate() {
        let ranks = column_ranks(column)?;
        for ((row, _number), rank) in ranked.iter_mut().zip(ranks) {
            if let Some(slot) = row.get_mut(place) {
                *slot = rank;
            }
        }
    }
    Some(ranked)
}

fn column_ranks(column: &ArrayRef) -> Option<Vec<u64>> {
    if column.null_count() > 0 {
        return None;
    }
    let signed = |values: &[i64]| -> Vec<u64> {
        let ranks = values.iter().map(|value| value.cast_unsigned() ^ (1 << 63));
        ranks.collect()
    };
    Some(match column.data_type() {
        DataType::Utf8 => text_ranks(column.as_string_opt::<i32>()?),
        DataType::UInt64 => column.as_primitive_opt::<UInt64Type>()?.values().to_vec(),
        DataType::Int64 => signed(column.as_primitive_opt::<Int64Type>()?.values()),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => signed(
            column
                .as_primitive_opt::<TimestampNanosecondType>()?
                .values(),
        ),
        DataType::Timestamp(TimeUnit::Millisecond, _) => signed(
            column
                .as_primitive_opt::<TimestampMillisecondType>()?
                .values(),
        ),
        _ => return None,
    })
}

/// The place of every text among the different ones in order.
fn text_ranks(texts: &StringArray) -> Vec<u64> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut distinct: Vec<&str> = Vec::new();
    let mut last: Option<(&str, usize)> = None;
    let mut of_rows: Vec<usize> = Vec::with_capacity(texts.len());
    for text in texts.iter().flatten() {
        let number = match last {
            Some((known, number)) if known == text => number,
            _ => *numbers.entry(text).or_insert_with(|| {
                distinct.push(text);
                distinct.len() - 1
            }),
        };
        last = Some((text, number));
        of_rows.push(number);
    }
    let mut order: Vec<usize> = (0..distinct.len()).collect();
    order.sort_unstable_by_key(|number| distinct.get(*number));
    let mut ranks = vec![0_u64; distinct.len()];
    for (rank, number) in (0_u64..).zip(order) {
        if let Some(slot) = ranks.get_mut(number) {
            *slot = rank;
        }
    }
    let rank_of = |number: usize| ranks.get(number).copied().unwrap_or_default();
    of_rows.into_iter().map(rank_of).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{TimestampNanosecondArray, UInt64Array};
    use arrow::row::{RowConverter, SortField};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_the_values(
            rows in prop::collection::vec(("[a-c\u{0}\u{e4}]{0,3}", any::<u64>(), any::<i64>()), 1..80),
        ) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0))),
                Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.1 % 3))),
                Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.2))),
            ];
            let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
            let converter = RowConverter::new(fields.collect()).unwrap();
            let bytes = converter.convert_columns(&columns).unwrap();
            let mut expected: Vec<_> = bytes.iter().zip(0_u32..).collect();
            expected.sort_unstable();
            let mut ranked = ranked_rows(&columns).unwrap();
            ranked.sort_unstable();
            let ranked: Vec<u32> = ranked.into_iter().map(|row| row.1).collect();
            let expected: Vec<u32> = expected.into_iter().map(|row| row.1).collect();
            prop_assert_eq!(ranked, expected);
        }
    }

    #[test]
    fn columns_with_nulls_have_no_ranks() {
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![Some(1), None]));
        assert_eq!(ranked_rows(&[column]), None);
    }
}
