//! Stores generated logs and spans, and notes what to look for among them.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use vervet_benches::generate::START_UNIX_NANO;
use vervet_benches::generate::logs::Logs;
use vervet_benches::generate::spans::{SPANS_PER_TRACE, Spans};
use vervet_model::{Signal, TraceId, UnixNanos};
use vervet_store::{DecodeOptions, Store, decode};
use vervet_wire::otlp::{Value, for_each_log, for_each_span};

use super::Settings;
use super::report::{peak_mib, tell};

const SEED: u64 = 11;
const REQUEST_RECORDS: usize = 1_000;
/// A flush after so many requests of each kind, so that the head stays small.
const FLUSH_REQUESTS: usize = 400;
const HOUR_NANOS: u64 = 3_600_000_000_000;
/// What the generator itself lets pass between two records, on average.
const MEAN_STEP_NANOS: u64 = 286_000;
/// What was looked for is kept beside the store.
const NEEDLES_FILE: &str = "needles.txt";

/// From the middle of what was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needles {
    pub(crate) log: TraceId,
    pub(crate) span: TraceId,
    /// A word that one record has.
    pub(crate) word: String,
}

impl Needles {
    /// `None` when the folder was not filled before.
    pub(crate) fn load(dir: &Path) -> anyhow::Result<Option<Self>> {
        let Ok(text) = std::fs::read_to_string(dir.join(NEEDLES_FILE)) else {
            return Ok(None);
        };
        let mut words = text.split_whitespace();
        let mut next = || words.next().context("the folder was not filled to the end");
        let id = |text: &str| TraceId::from_hex(text).context("no trace id");
        Ok(Some(Self {
            log: id(next()?)?,
            span: id(next()?)?,
            word: words.next().unwrap_or_default().to_owned(),
        }))
    }

    pub(crate) fn save(&self, dir: &Path) -> anyhow::Result<()> {
        let text = format!("{} {} {}\n", self.log, self.span, self.word);
        Ok(std::fs::write(dir.join(NEEDLES_FILE), text)?)
    }
}

pub(crate) fn fill(store: &mut Store, settings: Settings) -> anyhow::Result<Needles> {
    let (records, spans) = (settings.records, settings.spans);
    let pace =
        (settings.hours * HOUR_NANOS / records.max(1) as u64).saturating_sub(MEAN_STEP_NANOS);
    let mut logs = Logs::spread(SEED, pace);
    let mut traces = Spans::new(SEED);
    let mut filler = Filler::new(store)?;
    let mut needles = Needles::default();
    let started = Instant::now();
    for at in (0..records.max(spans)).step_by(REQUEST_RECORDS) {
        if at < records {
            let body = logs.request(REQUEST_RECORDS);
            if in_the_middle(at, records) {
                note_log(&body, &mut needles)?;
            }
            filler.store(Signal::Logs, &body)?;
        }
        if at < spans {
            let body = traces.request(REQUEST_RECORDS / SPANS_PER_TRACE);
            if in_the_middle(at, spans) {
                note_span(&body, &mut needles)?;
            }
            filler.store(Signal::Traces, &body)?;
        }
        if (at / REQUEST_RECORDS + 1).is_multiple_of(FLUSH_REQUESTS) {
            filler.store.flush()?;
        }
    }
    filler.store.flush()?;
    tell(&format!(
        "stored in {:.1} s, memory at most {:.0} MiB",
        started.elapsed().as_secs_f64(),
        peak_mib()
    ));
    Ok(needles)
}

/// Whether a request from record `at` on holds the middle one of all.
fn in_the_middle(at: usize, all: usize) -> bool {
    (at..at + REQUEST_RECORDS).contains(&(all / 2))
}

/// Applies requests.
struct Filler<'s> {
    store: &'s mut Store,
    options: DecodeOptions,
    received_at: UnixNanos,
    sequence: u64,
}

impl<'s> Filler<'s> {
    fn new(store: &'s mut Store) -> anyhow::Result<Self> {
        const DAY_NANOS: i64 = 86_400_000_000_000;
        Ok(Self {
            store,
            options: DecodeOptions::default(),
            received_at: UnixNanos(i64::try_from(START_UNIX_NANO)?.saturating_add(DAY_NANOS)),
            sequence: 0,
        })
    }

    fn store(&mut self, signal: Signal, body: &[u8]) -> anyhow::Result<()> {
        self.sequence += 1;
        let decoded = decode(signal, body, &self.options, self.received_at)?;
        self.store.apply(self.sequence, decoded, None);
        Ok(())
    }
}

/// The trace id of the first record of a request around the middle, and a word of it that no other record has.
fn note_log(body: &[u8], needles: &mut Needles) -> anyhow::Result<()> {
    for_each_log(body, |_, _, record| {
        let Value::String(text) = &record.body else {
            return;
        };
        let rare = text.split_whitespace().find(|word| is_rare(word));
        if let (true, Some(word)) = (needles.word.is_empty(), rare) {
            needles.word = word.to_owned();
            needles.log = TraceId::from_bytes(record.trace_id).unwrap_or_default();
        }
    })?;
    Ok(())
}

/// Whether a word is one of the random numbers that the generator writes.
fn is_rare(word: &str) -> bool {
    const DIGITS: usize = 10;
    word.len() == DIGITS
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && word.bytes().any(|byte| byte.is_ascii_digit())
}

fn note_span(body: &[u8], needles: &mut Needles) -> anyhow::Result<()> {
    for_each_span(body, |_, _, span| {
        if needles.span == TraceId::default() {
            needles.span = TraceId::from_bytes(span.trace_id).unwrap_or_default();
        }
    })?;
    Ok(())
}
