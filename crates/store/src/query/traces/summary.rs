//! Sums up the spans of found traces.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use vervet_model::{TraceId, UnixNanos};

use super::rows::{nanos, span_id};
use super::{MATCHED_SPANS_MAX, ServiceSpans, SpanBrief, TraceSummary};
use crate::StoreError;
use crate::columns::Columns;
use crate::query::search::Predicate;
use crate::query::search::job::{Origin, Visit};
use crate::query::search::rows::Rows;
use crate::tables::{Table, column};

/// The columns that summaries are made of.
const COLUMNS: [&str; 8] = [
    column::TIME,
    column::DURATION_NS,
    column::TRACE_ID,
    column::SPAN_ID,
    column::PARENT_SPAN_ID,
    column::SERVICE_NAME,
    column::NAME,
    column::STATUS,
];

const STATUS_ERROR: &str = "error";

/// Gathers the spans of chosen traces.
pub(super) struct Briefs {
    /// Whether a span itself fulfils the query.
    matched: Predicate,
    /// The time of the query, the end exclusive.
    span: (UnixNanos, UnixNanos),
    spans_max: usize,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    traces: HashMap<TraceId, Vec<Brief>>,
    spans: usize,
}

struct Brief {
    span: SpanBrief,
    is_root: bool,
    matched: bool,
}

impl Briefs {
    pub(super) fn new(matched: Predicate, span: (UnixNanos, UnixNanos), spans_max: usize) -> Self {
        Self {
            matched,
            span,
            spans_max,
            gathered: Mutex::default(),
        }
    }

    /// One summary per trace, newest first.
    pub(super) fn into_summaries(self) -> Vec<TraceSummary> {
        let traces = self.gathered.into_inner().traces;
        let mut summaries: Vec<_> = traces
            .into_iter()
            .filter_map(|(trace_id, spans)| summary(trace_id, spans))
            .collect();
        summaries.sort_by_key(|trace| (std::cmp::Reverse(trace.start), trace.trace_id));
        summaries
    }
}

impl Visit for Briefs {
    fn visit(&self, _origin: Origin, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        let batch = rows.some(&COLUMNS)?;
        let matched = self.matched.mask(rows)?;
        let columns = Columns::new(Table::Spans.name(), &batch);
        let ids = columns.binary(column::TRACE_ID)?;
        let parents = columns.binary(column::PARENT_SPAN_ID)?;
        let mut found = Vec::with_capacity(batch.num_rows());
        for (row, matched) in matched.iter().enumerate() {
            let Some(trace_id) = TraceId::from_bytes(ids.value(row)) else {
                continue;
            };
            let span = brief(columns, row)?;
            let brief = Brief {
                is_root: span_id(parents, row).is_none(),
                matched: matched && (self.span.0..self.span.1).contains(&span.start),
                span,
            };
            found.push((trace_id, brief));
        }
        let mut gathered = self.gathered.lock();
        found.truncate(self.spans_max.saturating_sub(gathered.spans));
        gathered.spans += found.len();
        for (trace_id, brief) in found {
            gathered.traces.entry(trace_id).or_default().push(brief);
        }
        Ok(())
    }
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
