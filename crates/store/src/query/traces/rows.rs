//! Batches of spans as spans and trace summaries.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use vervet_model::{SpanId, TraceId, UnixNanos};

use super::{MATCHED_SPANS_MAX, ServiceSpans, SpanBrief, SpanRow, TraceSummary};
use crate::StoreError;
use crate::columns::attributes::Attributes;
use crate::columns::{Columns, map_entries};
use crate::tables::{Layout, Table, column};

/// The columns that summaries are made of, besides [`MATCHED`].
pub(super) const SUMMARY_COLUMNS: [&str; 8] = [
    column::TIME,
    column::DURATION_NS,
    column::TRACE_ID,
    column::SPAN_ID,
    column::PARENT_SPAN_ID,
    column::SERVICE_NAME,
    column::NAME,
    column::STATUS,
];

/// Whether the span itself fulfils the query.
pub(super) const MATCHED: &str = "matched";

const STATUS_ERROR: &str = "error";

pub(super) fn trace_ids(batches: &[RecordBatch]) -> Result<Vec<TraceId>, StoreError> {
    let mut ids = Vec::new();
    for batch in batches {
        let column = Columns::new(Table::Spans.name(), batch).binary(column::TRACE_ID)?;
        ids.extend(column.iter().flatten().filter_map(TraceId::from_bytes));
    }
    Ok(ids)
}

pub(super) fn spans(batches: &[RecordBatch], layout: &Layout) -> Result<Vec<SpanRow>, StoreError> {
    let mut spans = Vec::new();
    for batch in batches {
        let columns = Columns::new(Table::Spans.name(), batch);
        let attributes = Attributes::new(columns, layout)?;
        for row in 0..batch.num_rows() {
            spans.push(span(columns, &attributes, row)?);
        }
    }
    Ok(spans)
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

fn span_id(ids: &BinaryArray, row: usize) -> Option<SpanId> {
    ids.is_valid(row)
        .then(|| SpanId::from_bytes(ids.value(row)))
        .flatten()
}

fn nanos(duration_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(duration_ns).unwrap_or(0))
}

/// One summary per trace, newest first.
pub(super) fn summaries(batches: &[RecordBatch]) -> Result<Vec<TraceSummary>, StoreError> {
    let mut traces: HashMap<TraceId, Vec<Brief>> = HashMap::new();
    for batch in batches {
        let columns = Columns::new(Table::Spans.name(), batch);
        let matched = batch
            .column_by_name(MATCHED)
            .and_then(|column| column.as_boolean_opt())
            .ok_or(StoreError::Columns {
                table: Table::Spans.name(),
            })?;
        let ids = columns.binary(column::TRACE_ID)?;
        for row in 0..batch.num_rows() {
            let Some(trace_id) = TraceId::from_bytes(ids.value(row)) else {
                continue;
            };
            traces.entry(trace_id).or_default().push(Brief {
                span: brief(columns, row)?,
                is_root: span_id(columns.binary(column::PARENT_SPAN_ID)?, row).is_none(),
                matched: matched.is_valid(row) && matched.value(row),
            });
        }
    }
    let mut summaries: Vec<_> = traces
        .into_iter()
        .filter_map(|(trace_id, spans)| summary(trace_id, spans))
        .collect();
    summaries.sort_by_key(|trace| (std::cmp::Reverse(trace.start), trace.trace_id));
    Ok(summaries)
}

struct Brief {
    span: SpanBrief,
    is_root: bool,
    matched: bool,
}

fn brief(columns: Columns<'_>, row: usize) -> Result<SpanBrief, StoreError> {
    Ok(SpanBrief {
        span_id: span_id(columns.binary(column::SPAN_ID)?, row).unwrap_or_default(),
        service_name: columns.text(column::SERVICE_NAME)?.value(row).to_owned(),
        name: columns.text(column::NAME)?.value(row).to_owned(),
        start: UnixNanos(columns.nanos(column::TIME)?.value(row)),
        duration: nanos(columns.i64(column::DURATION_NS)?.value(row)),
        status: columns.text(column::STATUS)?.value(row).to_owned(),
    })
}

/// `None` for a trace without spans, which there is none of.
fn summary(trace_id: TraceId, mut spans: Vec<Brief>) -> Option<TraceSummary> {
    spans.sort_by_key(|brief| brief.span.start);
    let start = spans.first()?.span.start;
    let end = spans
        .iter()
        .map(|brief| brief.span.start.saturating_add(brief.span.duration))
        .max()?;
    let root = spans.iter().find(|brief| brief.is_root).or(spans.first())?;
    let mut services: BTreeMap<String, ServiceSpans> = BTreeMap::new();
    for Brief { span, .. } in &spans {
        let service = services.entry(span.service_name.clone()).or_default();
        service.spans += 1;
        service.errors += u64::from(span.status == STATUS_ERROR);
    }
    Some(TraceSummary {
        trace_id,
        root_service_name: root.span.service_name.clone(),
        root_name: root.span.name.clone(),
        start,
        duration: end.since(start),
        span_count: spans.len() as u64,
        error_count: services.values().map(|service| service.errors).sum(),
        services,
        matched: spans
            .iter()
            .filter(|brief| brief.matched)
            .take(MATCHED_SPANS_MAX)
            .map(|brief| brief.span.clone())
            .collect(),
    })
}
