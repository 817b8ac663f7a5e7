//! Columns of which a row group's statistics tell every value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, StringArray, TimestampNanosecondArray,
    new_null_array,
};
use arrow::datatypes::{DataType, Int32Type, TimeUnit};
use parquet::data_type::ByteArray;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::{Statistics, ValueStatistics};

/// `rows` values of a column chunk that has the same value, or none, in all rows; else `None`.
pub(super) fn constant(
    chunk: &ColumnChunkMetaData,
    data_type: &DataType,
    rows: usize,
) -> Option<ArrayRef> {
    let statistics = chunk.statistics()?;
    let nulls = statistics.null_count_opt()?;
    if u64::try_from(chunk.num_values()) == Ok(nulls) {
        return Some(new_null_array(data_type, rows));
    }
    if nulls > 0 || statistics.is_min_max_deprecated() {
        return None;
    }
    Some(match (statistics, data_type) {
        (Statistics::ByteArray(bounds), DataType::Utf8) => {
            let text = only_text(bounds)?;
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                text, rows,
            )))
        }
        (Statistics::ByteArray(bounds), DataType::Dictionary(..)) => {
            let values = StringArray::from_iter_values([only_text(bounds)?]);
            let keys = Int32Array::from_value(0, rows);
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).ok()?)
        }
        (Statistics::Int32(bounds), DataType::Int32) => {
            Arc::new(Int32Array::from_value(*only(bounds)?, rows))
        }
        (Statistics::Int64(bounds), DataType::Int64) => {
            Arc::new(Int64Array::from_value(*only(bounds)?, rows))
        }
        (Statistics::Int64(bounds), DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            Arc::new(TimestampNanosecondArray::from_value(*only(bounds)?, rows))
        }
        _ => return None,
    })
}

/// The one value between the bounds.
fn only<T: PartialEq>(bounds: &ValueStatistics<T>) -> Option<&T> {
    let exact = bounds.min_is_exact() && bounds.max_is_exact();
    let min = bounds.min_opt().filter(|_min| exact)?;
    (Some(min) == bounds.max_opt()).then_some(min)
}

fn only_text(bounds: &ValueStatistics<ByteArray>) -> Option<&str> {
    std::str::from_utf8(only(bounds)?.data()).ok()
}
