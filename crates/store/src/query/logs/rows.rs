//! Batches of rows as log records.

use arrow::array::{Array, RecordBatch};
use vervet_model::{Labels, LabelsBuilder, SpanId, TraceId, UnixNanos};

use super::LogRow;
use super::labels::{label_column, label_columns};
use super::names::named;
use crate::StoreError;
use crate::columns::attributes::Attributes;
use crate::columns::{Columns, map_entries};
use crate::tables::{Layout, Table, column};

pub(super) fn log_rows(batch: &RecordBatch, layout: &Layout) -> Result<Vec<LogRow>, StoreError> {
    let columns = Columns::new(Table::Logs.name(), batch);
    let (times, bodies) = (columns.nanos(column::TIME)?, columns.text(column::BODY)?);
    let attributes = Attributes::new(columns, layout)?;
    let names: Vec<_> = label_columns().map(|(label, _column)| label).collect();
    (0..batch.num_rows())
        .map(|row| {
            Ok(LogRow {
                time: UnixNanos(times.value(row)),
                labels: labels(columns, &names, row)?,
                body: bodies.value(row).to_owned(),
                metadata: metadata(columns, &attributes, row)?,
            })
        })
        .collect()
}

/// The label set of a row; empty values are no labels.
fn labels(columns: Columns<'_>, names: &[&str], row: usize) -> Result<Labels, StoreError> {
    let mut labels = LabelsBuilder::default();
    for name in names {
        if let Some(column) = label_column(name) {
            labels.set(*name, columns.text(column)?.value(row));
        }
    }
    Ok(labels.build())
}

/// Everything of a record that is neither label nor body, by name.
fn metadata(
    columns: Columns<'_>,
    attributes: &Attributes<'_>,
    row: usize,
) -> Result<Vec<(String, String)>, StoreError> {
    let resource = map_entries(columns.map(column::RESOURCE_ATTRIBUTES)?, row);
    let mut all = named(resource, attributes.owned(row));
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            all.insert(name.to_owned(), value);
        }
    };
    let observed = columns.nanos(column::OBSERVED_TIME)?.value(row);
    set(column::OBSERVED_TIME, observed.to_string());
    let severity = columns.i32(column::SEVERITY_NUMBER)?.value(row);
    set(column::SEVERITY_NUMBER, severity.to_string());
    set(
        column::SCOPE_NAME,
        columns.text(column::SCOPE_NAME)?.value(row).to_owned(),
    );
    let events = columns.text(column::EVENT_NAME)?;
    if events.is_valid(row) {
        set(column::EVENT_NAME, events.value(row).to_owned());
    }
    let (traces, spans) = (
        columns.binary(column::TRACE_ID)?,
        columns.binary(column::SPAN_ID)?,
    );
    if let Some(id) = traces
        .is_valid(row)
        .then(|| TraceId::from_bytes(traces.value(row)))
        .flatten()
    {
        set(column::TRACE_ID, id.to_string());
    }
    if let Some(id) = spans
        .is_valid(row)
        .then(|| SpanId::from_bytes(spans.value(row)))
        .flatten()
    {
        set(column::SPAN_ID, id.to_string());
    }
    Ok(all.into_iter().collect())
}
