//! The columns of each table in order, with their types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::column;

/// Hands out column ids in the order of the columns.
#[derive(Default)]
struct Columns {
    fields: Vec<Field>,
    last_id: i64,
}

impl Columns {
    fn required(self, name: &str, data_type: DataType) -> Self {
        self.push(name, data_type, false)
    }

    fn nullable(self, name: &str, data_type: DataType) -> Self {
        self.push(name, data_type, true)
    }

    /// A map from text to text. The names of its parts are those of the Parquet specification.
    fn map(mut self, name: &str) -> Self {
        let id = self.next_id();
        let key = with_id(Field::new("key", DataType::Utf8, false), self.next_id());
        let value = with_id(Field::new("value", DataType::Utf8, true), self.next_id());
        let entries = Field::new(
            "key_value",
            DataType::Struct(Fields::from(vec![key, value])),
            false,
        );
        let field = Field::new(name, DataType::Map(Arc::new(entries), false), false);
        self.fields.push(with_id(field, id));
        self
    }

    fn texts(self, names: &[&str]) -> Self {
        names
            .iter()
            .fold(self, |columns, name| columns.required(name, DataType::Utf8))
    }

    fn push(mut self, name: &str, data_type: DataType, nullable: bool) -> Self {
        let id = self.next_id();
        self.fields
            .push(with_id(Field::new(name, data_type, nullable), id));
        self
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }
}

pub(super) fn with_id(field: Field, id: i64) -> Field {
    field.with_metadata(HashMap::from([(
        PARQUET_FIELD_ID_META_KEY.to_owned(),
        id.to_string(),
    )]))
}

fn timestamp_ns() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, None)
}

pub(super) fn logs() -> Vec<Field> {
    Columns::default()
        .required(column::DAY, DataType::Int32)
        .required(column::TIME, timestamp_ns())
        .required(column::OBSERVED_TIME, timestamp_ns())
        .required(column::SEVERITY_NUMBER, DataType::Int32)
        .texts(&[
            column::LEVEL,
            column::SERVICE_NAME,
            column::ENVIRONMENT,
            column::HOST_NAME,
            column::K8S_NAMESPACE_NAME,
            column::K8S_POD_NAME,
            column::K8S_CONTAINER_NAME,
        ])
        .required(column::STREAM_ID, DataType::UInt64)
        .nullable(column::TRACE_ID, DataType::Binary)
        .nullable(column::SPAN_ID, DataType::Binary)
        .nullable(column::EVENT_NAME, DataType::Utf8)
        .texts(&[column::SCOPE_NAME, column::BODY])
        .map(column::ATTRIBUTES)
        .map(column::RESOURCE_ATTRIBUTES)
        .fields
}

pub(super) fn spans() -> Vec<Field> {
    Columns::default()
        .required(column::DAY, DataType::Int32)
        .required(column::TIME, timestamp_ns())
        .required(column::DURATION_NS, DataType::Int64)
        .required(column::TRACE_ID, DataType::Binary)
        .required(column::SPAN_ID, DataType::Binary)
        .nullable(column::PARENT_SPAN_ID, DataType::Binary)
        .texts(&[
            column::SERVICE_NAME,
            column::ENVIRONMENT,
            column::NAME,
            column::KIND,
            column::STATUS,
            column::STATUS_MESSAGE,
            column::SCOPE_NAME,
        ])
        .map(column::ATTRIBUTES)
        .map(column::RESOURCE_ATTRIBUTES)
        .texts(&[column::EVENTS, column::LINKS])
        .fields
}

pub(super) fn samples() -> Vec<Field> {
    sample_keys()
        .required(column::VALUE, DataType::Float64)
        .fields
}

/// Samples as segments have them: a value is either a decimal, `mantissa / divisor`, or in `value` as it is.
pub(super) fn packed_samples() -> Vec<Field> {
    sample_keys()
        .nullable(column::VALUE, DataType::Float64)
        .nullable(column::MANTISSA, DataType::Int64)
        .nullable(column::DIVISOR, DataType::Float64)
        .fields
}

fn sample_keys() -> Columns {
    Columns::default()
        .required(column::DAY, DataType::Int32)
        .required(column::METRIC, DataType::Utf8)
        .required(column::SERIES_ID, DataType::UInt64)
        .required(
            column::TIME,
            DataType::Timestamp(TimeUnit::Millisecond, None),
        )
}

pub(super) fn series() -> Vec<Field> {
    Columns::default()
        .required(column::DAY, DataType::Int32)
        .required(column::METRIC, DataType::Utf8)
        .required(column::SERIES_ID, DataType::UInt64)
        .map(column::LABELS)
        .texts(&[column::TYPE, column::UNIT])
        .fields
}
