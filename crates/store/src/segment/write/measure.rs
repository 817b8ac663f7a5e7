//! Exact statistics of the columns that the catalog keeps, taken from the rows as they pass.
//!
//! Not from the Parquet footer, where bounds of long values are cut.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    ArrowNumericType, DataType, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
};
use parquet::file::metadata::ParquetMetaData;
use vervet_model::{UnixMillis, UnixNanos};

use crate::catalog::{ColumnStats, StatValue};
use crate::tables::packed::is_packed;
use crate::tables::{Layout, PromotedKind, column_id};

/// Lowest and highest value of one array.
type Bounds = Option<(StatValue, StatValue)>;

pub(super) struct Measure {
    rows: usize,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    stats: ColumnStats,
    /// A value had no place among the bounds, so there are none: a file is never skipped on a guess.
    unbounded: bool,
}

impl Measure {
    pub(super) fn new(layout: &Layout) -> Self {
        let schema = layout.schema();
        let fixed = layout.table().stats_columns().iter().filter_map(|name| {
            let column_id = column_id(schema.field_with_name(name).ok()?)?;
            Some(Column {
                name: (*name).to_owned(),
                stats: empty_stats(column_id),
                unbounded: false,
            })
        });
        // What stands in the column of a packed double is not its value; other readers would take its bounds for that.
        let promoted = layout.promoted().columns().iter();
        let measured = promoted.filter(|column| {
            column.kind != PromotedKind::Double || !is_packed(layout.table(), column.kind)
        });
        let promoted = measured.map(|column| Column {
            name: column.name.clone(),
            stats: empty_stats(column.column_id),
            // The texts of an attribute spread over every file; their bounds would cost more than they save.
            unbounded: matches!(column.kind, PromotedKind::Text | PromotedKind::Boolean),
        });
        let columns = fixed.chain(promoted).collect();
        Self { rows: 0, columns }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows as u64
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for column in &mut self.columns {
            if let Some(array) = batch.column_by_name(&column.name) {
                column.add(array);
            }
        }
    }

    /// Adds the compressed sizes from the file's metadata.
    pub(super) fn finish(self, metadata: &ParquetMetaData) -> Vec<ColumnStats> {
        let mut sizes: HashMap<String, u64> = HashMap::new();
        for chunk in metadata
            .row_groups()
            .iter()
            .flat_map(|group| group.columns())
        {
            let bytes = u64::try_from(chunk.compressed_size()).unwrap_or(0);
            *sizes.entry(chunk.column_path().string()).or_default() += bytes;
        }
        self.columns
            .into_iter()
            .map(|column| ColumnStats {
                bytes: sizes.get(&column.name).copied().unwrap_or(0),
                min: column.stats.min.filter(|_| !column.unbounded),
                max: column.stats.max.filter(|_| !column.unbounded),
                ..column.stats
            })
            .collect()
    }
}

fn empty_stats(column_id: i64) -> ColumnStats {
    ColumnStats {
        column_id,
        bytes: 0,
        values: 0,
        nulls: 0,
        min: None,
        max: None,
    }
}

impl Column {
    fn add(&mut self, array: &ArrayRef) {
        let values = array.len() - array.null_count();
        self.stats.nulls += array.null_count() as u64;
        self.stats.values += values as u64;
        if self.unbounded {
            return;
        }
        let Some((low, high)) = bounds(array) else {
            self.unbounded |= values > 0;
            return;
        };
        let stats = &mut self.stats;
        stats.min = Some(match stats.min.take() {
            Some(min) if min.compare(&low).is_some_and(|order| order.is_le()) => min,
            _ => low,
        });
        stats.max = Some(match stats.max.take() {
            Some(max) if max.compare(&high).is_some_and(|order| order.is_ge()) => max,
            _ => high,
        });
    }
}

pub(crate) fn bounds(array: &ArrayRef) -> Bounds {
    match array.data_type() {
        DataType::Int32 => primitive::<Int32Type>(array, |v| Some(StatValue::Int(i64::from(v)))),
        DataType::Int64 => primitive::<Int64Type>(array, |v| Some(StatValue::Int(v))),
        DataType::Float64 => doubles(array),
        DataType::UInt64 => primitive::<UInt64Type>(array, |v| Some(StatValue::UInt(v))),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            primitive::<TimestampNanosecondType>(array, |v| Some(StatValue::Time(UnixNanos(v))))
        }
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            primitive::<TimestampMillisecondType>(array, |v| {
                let nanos = UnixMillis(v).to_nanos();
                (nanos.to_millis() == UnixMillis(v)).then_some(StatValue::Time(nanos))
            })
        }
        DataType::Utf8 => {
            let texts = array.as_string_opt::<i32>()?;
            let text = |value: &str| StatValue::Text(value.to_owned());
            Some((text(min_string(texts)?), text(max_string(texts)?)))
        }
        _ => None,
    }
}

fn primitive<T: ArrowPrimitiveType + ArrowNumericType>(
    array: &ArrayRef,
    value: impl Fn(T::Native) -> Option<StatValue>,
) -> Bounds {
    let array = array.as_primitive_opt::<T>()?;
    Some((value(min(array)?)?, value(max(array)?)?))
}

/// None where a value is NaN, which is above all numbers for some readers and outside of any order for others.
fn doubles(array: &ArrayRef) -> Bounds {
    let array = array.as_primitive_opt::<Float64Type>()?;
    let values = || array.iter().flatten();
    if values().any(f64::is_nan) {
        return None;
    }
    let low = values().reduce(f64::min)?;
    let high = values().reduce(f64::max)?;
    Some((StatValue::Double(low), StatValue::Double(high)))
}
