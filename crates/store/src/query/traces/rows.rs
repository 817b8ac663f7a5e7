//! Batches of rows as spans.

use std::time::Duration;

use arrow::array::{Array, BinaryArray, RecordBatch};
use vervet_model::{SpanId, TraceId, UnixNanos};

use super::SpanRow;
use crate::StoreError;
use crate::columns::attributes::Attributes;
use crate::columns::{Columns, map_entries};
use crate::tables::{Layout, Table, column};

pub(super) fn spans(batch: &RecordBatch, layout: &Layout) -> Result<Vec<SpanRow>, StoreError> {
    let columns = Columns::new(Table::Spans.name(), batch);
    let attributes = Attributes::new(columns, layout)?;
    (0..batch.num_rows())
        .map(|row| span(columns, &attributes, row))
        .collect()
}

fn span(
    columns: Columns<'_>,
    attributes: &Attributes<'_>,
    row: usize,
) -> Result<SpanRow, StoreError> {
    let text = |name: &str| Ok::<_, StoreError>(columns.text(name)?.value(row).to_owned());
    let map = |name: &str| Ok::<_, StoreError>(map_entries(columns.map(name)?, row));
    let trace_id = TraceId::from_bytes(columns.binary(column::TRACE_ID)?.value(row));
    Ok(SpanRow {
        trace_id: trace_id.unwrap_or_default(),
        span_id: span_id(columns.binary(column::SPAN_ID)?, row).unwrap_or_default(),
        parent_span_id: span_id(columns.binary(column::PARENT_SPAN_ID)?, row),
        start: UnixNanos(columns.nanos(column::TIME)?.value(row)),
        duration: nanos(columns.i64(column::DURATION_NS)?.value(row)),
        service_name: text(column::SERVICE_NAME)?,
        environment: text(column::ENVIRONMENT)?,
        name: text(column::NAME)?,
        kind: text(column::KIND)?,
        status: text(column::STATUS)?,
        status_message: text(column::STATUS_MESSAGE)?,
        scope_name: text(column::SCOPE_NAME)?,
        attributes: attributes.owned(row),
        resource_attributes: map(column::RESOURCE_ATTRIBUTES)?,
        events: text(column::EVENTS)?,
        links: text(column::LINKS)?,
    })
}

pub(super) fn span_id(ids: &BinaryArray, row: usize) -> Option<SpanId> {
    ids.is_valid(row)
        .then(|| SpanId::from_bytes(ids.value(row)))
        .flatten()
}

pub(super) fn nanos(duration_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(duration_ns).unwrap_or(0))
}
