//! Arrow types by their DuckLake names.

use arrow::datatypes::{DataType, TimeUnit};

/// The DuckLake name of a type that a stored table uses, `None` for any other.
pub(super) fn ducklake_type(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt64 => "uint64",
        DataType::Float64 => "float64",
        DataType::Boolean => "boolean",
        DataType::Utf8 => "varchar",
        DataType::Binary => "blob",
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns",
        DataType::Timestamp(TimeUnit::Millisecond, None) => "timestamp_ms",
        DataType::Map(..) => "map",
        _ => return None,
    })
}
