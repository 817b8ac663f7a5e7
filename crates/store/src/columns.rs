//! Typed access to the columns of a record batch.

pub(crate) mod attributes;

use arrow::array::PrimitiveArray;
use arrow::array::{
    Array, AsArray, BinaryArray, Int64Array, MapArray, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType,
    UInt64Type,
};

use crate::StoreError;

/// Reads columns of a batch; a column that is absent or of another type is an error naming `table`.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) table: &'static str,
    pub(crate) batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(table: &'static str, batch: &'a RecordBatch) -> Self {
        Self { table, batch }
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a StringArray, StoreError> {
        self.column(name)?.as_string_opt().ok_or(self.error())
    }

    pub(crate) fn binary(self, name: &str) -> Result<&'a BinaryArray, StoreError> {
        self.column(name)?.as_binary_opt().ok_or(self.error())
    }

    pub(crate) fn map(self, name: &str) -> Result<&'a MapArray, StoreError> {
        self.column(name)?.as_map_opt().ok_or(self.error())
    }

    pub(crate) fn i32(self, name: &str) -> Result<&'a PrimitiveArray<Int32Type>, StoreError> {
        self.primitive(name)
    }

    pub(crate) fn i64(self, name: &str) -> Result<&'a Int64Array, StoreError> {
        self.primitive::<Int64Type>(name)
    }

    pub(crate) fn u64(self, name: &str) -> Result<&'a UInt64Array, StoreError> {
        self.primitive::<UInt64Type>(name)
    }

    pub(crate) fn nanos(
        self,
        name: &str,
    ) -> Result<&'a PrimitiveArray<TimestampNanosecondType>, StoreError> {
        self.primitive(name)
    }

    pub(crate) fn millis(
        self,
        name: &str,
    ) -> Result<&'a PrimitiveArray<TimestampMillisecondType>, StoreError> {
        self.primitive(name)
    }

    fn primitive<T: ArrowPrimitiveType>(
        self,
        name: &str,
    ) -> Result<&'a PrimitiveArray<T>, StoreError> {
        self.column(name)?
            .as_primitive_opt::<T>()
            .ok_or(self.error())
    }

    fn column(self, name: &str) -> Result<&'a dyn Array, StoreError> {
        let column = self.batch.column_by_name(name).ok_or(self.error())?;
        Ok(column.as_ref())
    }

    fn error(self) -> StoreError {
        StoreError::Columns { table: self.table }
    }
}

/// The entries of one row of a map column, in stored order. Empty for anything but text to text.
pub(crate) fn map_entries(map: &MapArray, row: usize) -> Vec<(String, String)> {
    let entries = map.value(row);
    let (Some(keys), Some(values)) = (
        entries.column(0).as_string_opt::<i32>(),
        entries.column(1).as_string_opt::<i32>(),
    ) else {
        return Vec::new();
    };
    keys.iter()
        .zip(values)
        .map(|(key, value)| {
            (
                key.unwrap_or_default().to_owned(),
                value.unwrap_or_default().to_owned(),
            )
        })
        .collect()
}
