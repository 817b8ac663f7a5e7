//! `ratelimit`: bounds what each stream may send.
//!
//! A stream is what has the same values of some resource attributes. Each has a token bucket for records and one for
//! bytes; a record that finds too little in either is dropped. Buckets fill by the agent's clock. At most `streams_max`
//! streams are known: those that have been silent until their buckets were full are forgotten, and what finds no place
//! shares one bucket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use vervet_model::{Clock, UnixNanos};
use vervet_wire::otlp::{KeyValue, LogRecord, Metric, Resource, Span, Value, find};
use xxhash_rust::xxh3::Xxh3;

use super::{DropReason, Outcome, StepContext};
use crate::config::Mistakes;
use crate::config::units::{ByteSize, HumanDuration};

const STREAMS_DEFAULT: usize = 10_000;
const STREAMS_MAX: usize = 1_000_000;
const BURST_DEFAULT: Duration = Duration::from_secs(10);
/// Silent streams are looked for no more often than this.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// What a record costs besides its texts (bytes).
const RECORD_BYTES: usize = 32;
const BY_DEFAULT: [&str; 4] = [
    "service.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
];

/// What the configuration says of one `ratelimit` processor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatelimitSpec {
    /// Log records, spans or data points per second and stream.
    #[serde(default)]
    pub records_per_second: Option<f64>,
    /// Bytes of texts and attributes per second and stream; at least 1 KiB.
    #[serde(default)]
    pub bytes_per_second: Option<ByteSize>,
    /// How much may come at once: what the rates give in this time. Default 10 s, at least 1 s.
    #[serde(default)]
    pub burst: Option<HumanDuration>,
    /// The resource attributes that make a stream. Default: service, namespace, pod and container.
    #[serde(default)]
    pub by: Option<Vec<String>>,
    /// Streams known at a time. Default 10,000, at most 1,000,000.
    #[serde(default)]
    pub streams_max: Option<usize>,
}

/// The settings of a `ratelimit` processor, checked.
#[derive(Debug, Clone)]
pub struct RatelimitConfig {
    records: Option<f64>,
    bytes: Option<f64>,
    burst: Duration,
    by: Vec<String>,
    streams_max: usize,
}

impl TryFrom<RatelimitSpec> for RatelimitConfig {
    type Error = Mistakes;

    fn try_from(spec: RatelimitSpec) -> Result<Self, Mistakes> {
        const BYTES_MIN: u64 = 1 << 10;
        let mut mistakes = Mistakes::default();
        let records = spec.records_per_second;
        mistakes.demand(
            records.is_none_or(|rate| rate.is_finite() && rate > 0.0),
            &["records_per_second"],
            "records_per_second must be more than 0",
        );
        let bytes = spec.bytes_per_second.map(|size| size.0);
        mistakes.demand(
            bytes.is_none_or(|rate| rate >= BYTES_MIN),
            &["bytes_per_second"],
            "bytes_per_second must be at least 1KiB",
        );
        mistakes.demand(
            records.is_some() || bytes.is_some(),
            &["records_per_second", "bytes_per_second"],
            "say how much: `records_per_second`, `bytes_per_second` or both",
        );
        let burst = spec.burst.map_or(BURST_DEFAULT, |burst| burst.0);
        mistakes.demand(
            burst >= Duration::from_secs(1),
            &["burst"],
            "burst must be at least 1s",
        );
        let streams_max = spec.streams_max.unwrap_or(STREAMS_DEFAULT);
        mistakes.demand(
            (1..=STREAMS_MAX).contains(&streams_max),
            &["streams_max"],
            "streams_max must be between 1 and 1000000",
        );
        let default = || BY_DEFAULT.map(str::to_owned).to_vec();
        mistakes.or(Some(Self {
            records,
            bytes: bytes.map(as_f64),
            burst,
            by: spec.by.unwrap_or_else(default),
            streams_max,
        }))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "rates need no more than 53 bits"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}

impl RatelimitConfig {
    pub(super) fn compile(&self, context: &StepContext<'_>) -> RatelimitStep {
        RatelimitStep {
            config: self.clone(),
            clock: Arc::clone(context.clock),
            streams: Mutex::default(),
            too_many: DropReason::new(context.name, "records"),
            too_large: DropReason::new(context.name, "bytes"),
        }
    }
}

/// A `ratelimit` processor at work.
pub(super) struct RatelimitStep {
    config: RatelimitConfig,
    clock: Arc<dyn Clock>,
    streams: Mutex<Streams>,
    too_many: DropReason,
    too_large: DropReason,
}

impl std::fmt::Debug for RatelimitStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RatelimitStep")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Streams {
    buckets: HashMap<u64, Bucket>,
    /// For streams that found no place.
    shared: Option<Bucket>,
    swept: Option<UnixNanos>,
}

/// How much a stream may still send, as of a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    records: f64,
    bytes: f64,
    at: UnixNanos,
}

impl RatelimitStep {
    pub(super) fn log(&self, resource: &Resource<'_>, record: &LogRecord<'_>) -> Outcome {
        let bytes = || size_of(&record.body) + size_of_all(&record.attributes);
        self.take(resource, 1, bytes)
    }

    pub(super) fn span(&self, resource: &Resource<'_>, span: &Span<'_>) -> Outcome {
        let bytes = || {
            let events = span
                .events
                .iter()
                .map(|e| e.name.len() + size_of_all(&e.attributes));
            let links = span
                .links
                .iter()
                .map(|l| RECORD_BYTES + size_of_all(&l.attributes));
            let own = span.name.len() + span.status_message.len() + size_of_all(&span.attributes);
            own + events.sum::<usize>() + links.sum::<usize>()
        };
        self.take(resource, 1, bytes)
    }

    /// A metric passes with all its points or not at all.
    pub(super) fn metric(&self, resource: &Resource<'_>, metric: &Metric<'_>) -> Outcome {
        let points = metric.data.points();
        self.take(resource, points, || {
            metric.name.len() + points * RECORD_BYTES
        })
    }

    fn take(
        &self,
        resource: &Resource<'_>,
        records: usize,
        bytes: impl FnOnce() -> usize,
    ) -> Outcome {
        let bytes = self.config.bytes.map_or(0, |_| bytes() + RECORD_BYTES);
        let (records, bytes) = (as_f64(records as u64), as_f64(bytes as u64));
        let stream = self.stream_of(resource);
        let now = self.clock.now();
        let mut streams = self.streams.lock();
        let bucket = streams.bucket(stream, now, &self.config);
        bucket.fill(now, &self.config);
        if self.config.records.is_some() && !has(bucket.records, records, self.full().records) {
            return Err(self.too_many.clone());
        }
        if self.config.bytes.is_some() && !has(bucket.bytes, bytes, self.full().bytes) {
            return Err(self.too_large.clone());
        }
        bucket.records -= records;
        bucket.bytes -= bytes;
        Ok(false)
    }

    fn full(&self) -> Bucket {
        Bucket::full(UnixNanos(0), &self.config)
    }

    fn stream_of(&self, resource: &Resource<'_>) -> u64 {
        let mut hash = Xxh3::new();
        for key in &self.config.by {
            match find(&resource.attributes, key) {
                Some(Value::String(text)) => hash.update(text.as_bytes()),
                Some(value) => hash.update(value.to_text().as_bytes()),
                None => {}
            }
            hash.update(&[0xff]);
        }
        hash.digest()
    }
}

/// Whether a bucket has enough. What is larger than the whole bucket passes when it is full and leaves a debt.
fn has(held: f64, wanted: f64, full: f64) -> bool {
    held >= wanted.min(full)
}

impl Bucket {
    fn full(at: UnixNanos, config: &RatelimitConfig) -> Self {
        let seconds = config.burst.as_secs_f64();
        Self {
            // Less than one record at a time would never let one pass.
            records: config.records.map_or(0.0, |rate| (rate * seconds).max(1.0)),
            bytes: config.bytes.map_or(0.0, |rate| rate * seconds),
            at,
        }
    }

    fn fill(&mut self, now: UnixNanos, config: &RatelimitConfig) {
        let seconds = now.since(self.at).as_secs_f64();
        let full = Self::full(now, config);
        self.records = (self.records + config.records.unwrap_or(0.0) * seconds).min(full.records);
        self.bytes = (self.bytes + config.bytes.unwrap_or(0.0) * seconds).min(full.bytes);
        // A clock that was set back gives nothing until it has caught up with itself.
        self.at = now;
    }

    fn is_full(&self, now: UnixNanos, config: &RatelimitConfig) -> bool {
        let mut bucket = *self;
        bucket.fill(now, config);
        let full = Self::full(now, config);
        bucket.records >= full.records && bucket.bytes >= full.bytes
    }
}

impl Streams {
    fn bucket(&mut self, stream: u64, now: UnixNanos, config: &RatelimitConfig) -> &mut Bucket {
        if !self.buckets.contains_key(&stream) && self.buckets.len() >= config.streams_max {
            let due = self.swept.is_none_or(|at| now.since(at) >= SWEEP_INTERVAL);
            if due {
                self.swept = Some(now);
                self.buckets
                    .retain(|_, bucket| !bucket.is_full(now, config));
            }
            if self.buckets.len() >= config.streams_max {
                return self.shared.get_or_insert_with(|| Bucket::full(now, config));
            }
        }
        let entry = self.buckets.entry(stream);
        entry.or_insert_with(|| Bucket::full(now, config))
    }
}

fn size_of_all(attributes: &[KeyValue<'_>]) -> usize {
    let size = |attribute: &KeyValue<'_>| attribute.key.len() + size_of(&attribute.value);
    attributes.iter().map(size).sum()
}

fn size_of(value: &Value<'_>) -> usize {
    match value {
        Value::Empty => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Double(_) => 8,
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => items.iter().map(size_of).sum(),
        Value::Map(entries) => size_of_all(entries),
    }
}

#[cfg(test)]
mod tests;
