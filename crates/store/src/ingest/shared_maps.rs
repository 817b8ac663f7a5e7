//! The attributes of resources as a map column.

use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, StringBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use crate::tables::Table;

/// Rows of a resource's map that are made at a time.
const SHARED_BLOCK_ROWS: usize = 64;

/// The map of what all records of a resource share, for one row after the other, filled for many rows at once.
#[derive(Debug, Default)]
pub(super) struct SharedMaps {
    keys: StringBuilder,
    values: StringBuilder,
    lengths: Vec<usize>,
}

impl SharedMaps {
    /// Appends `rows` rows that have these entries.
    pub(super) fn append(
        &mut self,
        entries: &[(String, String)],
        rows: usize,
    ) -> Result<(), ArrowError> {
        self.lengths
            .extend(std::iter::repeat_n(entries.len(), rows));
        // Arrays of some rows are appended faster than texts.
        let block_rows = rows.min(SHARED_BLOCK_ROWS);
        let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
        for (key, value) in std::iter::repeat_n(entries, block_rows).flatten() {
            keys.append_value(key);
            values.append_value(value);
        }
        let (keys, values) = (keys.finish(), values.finish());
        let mut left = rows;
        while left > 0 && !entries.is_empty() {
            let taken = left.min(block_rows);
            let length = taken * entries.len();
            self.keys.append_array(&keys.slice(0, length))?;
            self.values.append_array(&values.slice(0, length))?;
            left -= taken;
        }
        Ok(())
    }

    /// The map column `name` of `table`.
    pub(super) fn finish(&mut self, table: Table, name: &str) -> Result<MapArray, ArrowError> {
        let schema = table.schema();
        let field = schema.field_with_name(name)?;
        let DataType::Map(entries, sorted) = field.data_type() else {
            return Err(ArrowError::SchemaError(format!("{name} is no map")));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(ArrowError::SchemaError(format!("{name} has no entries")));
        };
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        MapArray::try_new(
            Arc::clone(entries),
            OffsetBuffer::from_lengths(std::mem::take(&mut self.lengths)),
            StructArray::try_new(fields.clone(), columns, None)?,
            None,
            *sorted,
        )
    }
}
