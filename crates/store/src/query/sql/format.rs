//! Rows as bytes: JSON lines, CSV with a header, or an Arrow IPC stream.
//!
//! Maps are JSON objects, also inside of CSV; binary is hexadecimal; times are RFC 3339 without a zone, in UTC.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch, StringArray};
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::StoreError;
use crate::columns::map_entries;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlFormat {
    JsonLines,
    Csv,
    Arrow,
}

/// Writes one answer.
pub struct SqlEncoder(Kind);

enum Kind {
    JsonLines,
    Csv { with_header: bool },
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl SqlEncoder {
    /// # Errors
    /// The columns have no form in that format.
    pub fn new(format: SqlFormat, schema: &SchemaRef) -> Result<Self, StoreError> {
        Ok(Self(match format {
            SqlFormat::JsonLines => Kind::JsonLines,
            SqlFormat::Csv => Kind::Csv { with_header: true },
            SqlFormat::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), schema).map_err(unwritable)?;
                Kind::Arrow(Box::new(writer))
            }
        }))
    }

    /// The bytes of some rows.
    ///
    /// # Errors
    /// A column has no form in the format.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, StoreError> {
        match &mut self.0 {
            Kind::JsonLines => json_lines(batch).map_err(unwritable),
            Kind::Csv { with_header } => {
                csv_lines(batch, std::mem::take(with_header)).map_err(unwritable)
            }
            Kind::Arrow(writer) => {
                writer.write(batch).map_err(unwritable)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// The bytes after the last row. `schema` is that of the answer.
    ///
    /// # Errors
    /// As [`SqlEncoder::rows`].
    pub fn finish(&mut self, schema: &SchemaRef) -> Result<Vec<u8>, StoreError> {
        match &mut self.0 {
            Kind::JsonLines => Ok(Vec::new()),
            Kind::Csv { with_header } => {
                if !std::mem::take(with_header) {
                    return Ok(Vec::new());
                }
                let none = RecordBatch::new_empty(Arc::clone(schema));
                csv_lines(&none, true).map_err(unwritable)
            }
            Kind::Arrow(writer) => {
                writer.finish().map_err(unwritable)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn unwritable(error: ArrowError) -> StoreError {
    StoreError::Invalid {
        reason: format!("the answer has no such form: {error}"),
    }
}

fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(&mut bytes);
    writer.write(batch)?;
    writer.finish()?;
    Ok(bytes)
}

fn csv_lines(batch: &RecordBatch, with_header: bool) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    let mut writer = csv::WriterBuilder::new()
        .with_header(with_header)
        .build(&mut bytes);
    writer.write(&flat(batch)?)?;
    drop(writer);
    Ok(bytes)
}

/// The same rows with nested columns as text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let column = match column.data_type() {
            DataType::Map(..) if column.as_map_opt().is_some_and(is_text_map) => {
                map_texts(column.as_map())
            }
            data_type if data_type.is_nested() => texts(column)?,
            _ => Arc::clone(column),
        };
        let data_type = column.data_type().clone();
        fields.push(Field::new(field.name(), data_type, true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn is_text_map(map: &MapArray) -> bool {
    matches!(
        (map.keys().data_type(), map.values().data_type()),
        (DataType::Utf8, DataType::Utf8)
    )
}

fn map_texts(map: &MapArray) -> ArrayRef {
    let text = |row: usize| {
        let object: serde_json::Map<String, serde_json::Value> = map_entries(map, row)
            .into_iter()
            .map(|(key, value)| (key, value.into()))
            .collect();
        serde_json::Value::Object(object).to_string()
    };
    let rows = (0..map.len()).map(|row| map.is_valid(row).then(|| text(row)));
    Arc::new(rows.collect::<StringArray>())
}

fn texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let rows = (0..column.len()).map(|row| {
        column
            .is_valid(row)
            .then(|| formatter.value(row).to_string())
    });
    Ok(Arc::new(rows.collect::<StringArray>()))
}
