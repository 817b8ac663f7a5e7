//! Turns what files hold into batches of OTLP log records.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vervet_model::{Clock, Signal};
use vervet_wire::otlp::{LogRecord, LogRecordsWriter, Resource, Scope, write_resource_logs};

use super::file::TailedFile;
use super::identity::FileId;
use super::lines::{Lines, Record};
use super::{BATCH_AGE_MAX, BATCH_BYTES};
use crate::buffer::Amount;
use crate::formats::Parsed;
use crate::metrics::{AgentMetrics, FilelogCounts};
use crate::pipeline::{Batch, FileFate, FilePart, FilePosition, FileState, ReceiverContext, Rooms};
use crate::processors::{Chain, Drops};

/// The instrumentation scope of the records.
const SCOPE: &str = "vervet.filelog";

/// Positions that no record takes along are sent alone after this time.
const POSITIONS_AGE_MAX: Duration = Duration::from_secs(2);

/// The batch under way.
pub(super) struct Sink {
    counts: FilelogCounts,
    clock: Arc<dyn Clock>,
    chain: Chain,
    drops: Drops,
    metrics: Arc<AgentMetrics>,
    receiver: String,
    scope: Scope<'static>,
    rooms: Rooms,
    payload: Vec<u8>,
    batch_bytes: usize,
    records: u64,
    positions: HashMap<FileId, FilePosition>,
    /// What has become of files whose positions went before.
    news: HashMap<FileId, FileState>,
    /// Bytes of files that were handed on with what follows them in other files.
    carried: Vec<(FileId, usize)>,
    /// What each file gave to it, a turn or more each.
    parts: Vec<FilePart>,
    /// No record is observed before this (nanoseconds since the epoch).
    next_observed: u64,
    /// When the oldest record in it was read.
    since: Option<Instant>,
    /// When the batch before it went.
    sent_at: Instant,
    noted: Option<Instant>,
}

impl Sink {
    pub(super) fn new(counts: FilelogCounts, context: &ReceiverContext) -> Self {
        let scope = Scope {
            name: Cow::Borrowed(SCOPE),
            ..Scope::default()
        };
        Self {
            counts,
            clock: Arc::clone(&context.clock),
            chain: context.chains.logs.clone(),
            drops: Drops::default(),
            metrics: Arc::clone(&context.metrics),
            receiver: context.output.receiver().to_owned(),
            scope,
            rooms: context.output.rooms().clone(),
            payload: Vec::new(),
            batch_bytes: BATCH_BYTES.min(context.output.batch_bytes()),
            records: 0,
            positions: HashMap::new(),
            news: HashMap::new(),
            carried: Vec::new(),
            parts: Vec::new(),
            next_observed: 0,
            since: None,
            sent_at: Instant::now(),
            noted: None,
        }
    }

    /// What goes on from one sink, whose batch has been sent, to the next.
    pub(super) fn successor(&self, next: Self) -> Self {
        Self {
            next_observed: self.next_observed,
            news: self.news.clone(),
            ..next
        }
    }

    /// Whether the batch is large or old enough to be sent.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        // A line that has waited for more of a trace waits no longer, unless a batch has just gone.
        let since = self.since.map(|since| since.max(self.sent_at));
        let old = since.is_some_and(|since| now.duration_since(since) >= BATCH_AGE_MAX);
        old || self.payload.len() >= self.batch_bytes
    }

    /// All there is, if only positions.
    pub(super) fn take_all(&mut self) -> Option<Batch> {
        (self.since, self.noted) = (None, None);
        self.sent_at = Instant::now();
        self.drops
            .count(&self.metrics, &self.receiver, Signal::Logs);
        if self.records == 0 && self.positions.is_empty() {
            return None;
        }
        // What has a new position since is followed.
        let positions = std::mem::take(&mut self.positions);
        let mut news = std::mem::take(&mut self.news);
        news.retain(|id, _| !positions.contains_key(id));
        Some(Batch {
            signal: Signal::Logs,
            payload: std::mem::take(&mut self.payload).into(),
            records: std::mem::take(&mut self.records),
            positions: positions.into_values().collect(),
            news: news.into_iter().collect(),
            parts: std::mem::take(&mut self.parts),
        })
    }

    /// Whether positions wait that no record has taken along for [`POSITIONS_AGE_MAX`].
    pub(super) fn has_old_positions(&self, now: Instant) -> bool {
        let noted = self.noted.filter(|_| !self.positions.is_empty());
        noted.is_some_and(|noted| now.duration_since(noted) >= POSITIONS_AGE_MAX)
    }

    /// A file is to resume where it stands, although nothing was read of it.
    pub(super) fn note(&mut self, file: &TailedFile, now: Instant) {
        self.note_position(file.position(), now);
    }

    pub(super) fn note_position(&mut self, position: FilePosition, now: Instant) {
        let id = (position.device, position.inode);
        self.positions.insert(id, position);
        self.noted.get_or_insert(now);
    }

    /// Tells with the next batch what has become of a file. False while its position waits to go before that.
    pub(super) fn note_state(&mut self, id: FileId, state: FileState) -> bool {
        let is_free = !self.positions.contains_key(&id);
        if is_free {
            self.news.insert(id, state);
        }
        is_free
    }

    /// Takes the new whole lines of a file's buffer.
    pub(super) fn take_lines(&mut self, file: &mut TailedFile, now: Instant) {
        self.scan(file, false, now);
        self.take_ready(file);
    }

    /// Takes the whole lines that are left of a file. The pieces of a line stay where its rest will be.
    pub(super) fn take_whole(&mut self, file: &mut TailedFile) {
        if let Some(open) = &mut file.open {
            open.lines.close_whole();
        }
        self.take_ready(file);
    }

    /// Takes all that is left of a file that will not go on, a last line without line feed included.
    pub(super) fn take_rest(&mut self, file: &mut TailedFile, now: Instant) {
        self.scan(file, true, now);
        if let Some(open) = &mut file.open {
            open.lines.close_all();
        }
        self.take_ready(file);
    }

    fn scan(&self, file: &mut TailedFile, at_end: bool, now: Instant) {
        let Some(open) = &mut file.open else { return };
        let scanned = open.lines.scan(&open.buffer, at_end, now);
        self.counts.lines.inc_by(scanned.lines);
        self.counts.split_lines.inc_by(scanned.split);
        self.counts.blank_lines.inc_by(scanned.blank);
        self.counts
            .truncated(scanned.truncated, scanned.dropped_bytes);
    }

    /// Takes what is left of a file that may be at its end, a last line without line feed included. The pieces of a line
    /// wait for its rest, which may be in another file.
    pub(super) fn take_end(&mut self, file: &mut TailedFile, now: Instant) {
        self.scan(file, true, now);
        self.take_whole(file);
    }

    /// What was handed on of files since the last call, besides their own records.
    pub(super) fn take_carried(&mut self) -> Vec<(FileId, usize)> {
        std::mem::take(&mut self.carried)
    }

    /// Takes the records of a file that are complete. What it has lent goes with another one's.
    pub(super) fn take_ready(&mut self, file: &mut TailedFile) {
        if file.is_lent {
            return;
        }
        let Some(open) = &mut file.open else { return };
        let (records, end) = open.lines.ready();
        if records > 0 {
            let mut payload = std::mem::take(&mut self.payload);
            if payload.capacity() == 0 {
                payload = self.rooms.take(BATCH_BYTES + BATCH_BYTES / 2);
            }
            // A nanosecond later each, so that lines without a time keep their order.
            let now = u64::try_from(self.clock.now().0).unwrap_or(0);
            let first_observed = now.max(self.next_observed);
            self.next_observed = first_observed + records as u64;
            let (lines, buffer, mut handed) = (&mut open.lines, &open.buffer, 0);
            let mut oldest = Instant::now();
            let (before, mut kept, mut drops) = (payload.len(), 0, std::mem::take(&mut self.drops));
            write_resource_logs(&mut payload, &open.resource, &self.scope, |writer| {
                while let Some(record) = (handed < records).then(|| lines.pop()).flatten() {
                    let of = (&record, buffer.as_slice(), &open.resource);
                    let observed = first_observed + handed as u64;
                    kept += u64::from(self.write(lines, of, observed, writer, &mut drops));
                    handed += 1;
                    oldest = oldest.min(record.touched());
                }
            });
            if kept == 0 {
                payload.truncate(before);
            }
            self.drops = drops;
            for (stream, format) in open.lines.news() {
                let format = format.as_str();
                // A file that was closed meanwhile is looked at anew.
                if std::mem::replace(&mut file.format, format) != format {
                    tracing::info!(path = %file.path.display(), stream, format, "log format detected");
                }
            }
            if kept > 0 {
                let bytes = (payload.len() - before) as u64;
                self.note_part(
                    &file.fate,
                    Amount {
                        records: kept,
                        bytes,
                    },
                );
            }
            self.payload = payload;
            self.records += kept;
            self.since = Some(self.since.map_or(oldest, |since| since.min(oldest)));
        }
        if end > 0 {
            file.consume(end);
        }
        if records > 0 {
            self.positions.insert(file.id, file.position());
        }
        if let Some(on) = file.carried_on() {
            self.positions.insert(on.id, on.position);
            self.carried.push((on.id, on.bytes));
        }
    }

    fn note_part(&mut self, fate: &FileFate, amount: Amount) {
        match self.parts.last_mut().filter(|last| last.is_of(fate)) {
            Some(last) => last.add(amount),
            None => self.parts.push(FilePart::new(fate, amount)),
        }
    }

    /// Writes a record unless a processor drops it.
    fn write(
        &self,
        lines: &mut Lines,
        (record, buffer, resource): (&Record, &[u8], &Resource<'_>),
        observed_time_unix_nano: u64,
        writer: &mut LogRecordsWriter<'_, '_>,
        drops: &mut Drops,
    ) -> bool {
        let text = lines.text(record, buffer);
        self.counts.invalid_utf8.inc_by(u64::from(text.replaced));
        let parsed = lines.parse(record, &text.text, observed_time_unix_nano);
        if let Some(error) = parsed.parse_error() {
            self.counts.parse_error(error);
        }
        let mut written = false;
        with_record(parsed, observed_time_unix_nano, |mut record| {
            match self.chain.log(resource, &self.scope, &mut record) {
                Ok(()) => {
                    writer.push(&record);
                    written = true;
                }
                Err(reason) => drops.add(&reason, 1, text.text.len() as u64),
            }
        });
        written
    }
}

pub(super) fn with_record(
    parsed: Parsed<'_>,
    observed_time_unix_nano: u64,
    take: impl FnOnce(LogRecord<'_>),
) {
    take(LogRecord {
        time_unix_nano: parsed.time_unix_nano,
        observed_time_unix_nano,
        severity_number: parsed.severity.number(),
        severity_text: parsed.severity_text,
        body: parsed.body,
        attributes: parsed.attributes,
        trace_id: parsed.trace_id.as_ref().map_or(&[], |id| &id.0),
        span_id: parsed.span_id.as_ref().map_or(&[], |id| &id.0),
        ..LogRecord::default()
    });
}
