//! Turns an OTLP export request, or one of Prometheus remote write, into columns and samples.
//!
//! In: the uncompressed protobuf body of one request, untrusted. Out: one [`Decoded`]: a record batch of
//! logs or spans, or series with their samples. [`decode`] touches nothing else, so requests are decoded in
//! parallel, before they are acknowledged.
//!
//! What does not fit the limits of [`DecodeOptions`] is cut (counted in [`Decoded::adjusted`]) or refused
//! record by record (counted in [`Decoded::rejected`]); a malformed request is refused as a whole.

mod attributes;
mod histograms;
mod known_series;
pub(crate) mod labels;
pub(crate) mod logs;
mod look;
mod metrics;
mod names;
mod outline;
mod remote_write;
mod samples;
mod seen_keys;
mod shared_maps;
mod spans;
mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use arrow::array::RecordBatch;
use vervet_model::{Signal, UnixNanos};
use vervet_wire::DecodeError;
use vervet_wire::remote_write::Version;

use crate::catalog::MetricMetadata;
use labels::{LabelSets, SetPlace};

pub(crate) use known_series::{KnownSeries, SeriesKey};

/// Resource attributes that become labels of every metric series.
pub const PROMOTED_ATTRIBUTES: [&str; 6] = [
    "service.name",
    "deployment.environment.name",
    "host.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
];

/// The attribute that holds the time a record came with, when that time was out of range.
pub const ORIGINAL_TIME_ATTRIBUTE: &str = "vervet.original_time";

/// Limits and choices of [`decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Resource attributes that become labels of metric series.
    pub promote: Vec<String>,
    pub label_name_bytes_max: usize,
    pub label_value_bytes_max: usize,
    pub labels_per_series_max: usize,
    /// Further attributes of a record, a resource, an event or a link are dropped.
    pub attributes_max: usize,
    /// Longer attribute values are cut.
    pub attribute_value_bytes_max: usize,
    /// Longer log bodies are cut.
    pub body_bytes_max: usize,
    /// Records earlier than this are out of range.
    pub time_min: UnixNanos,
    /// Records later than the time of receipt by more than this are out of range.
    pub future_max: Duration,
    /// What one request may come to in memory. A small request can be far larger decoded, because every
    /// record repeats its resource. Records beyond are refused.
    pub decoded_bytes_max: usize,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        const ONE_YEAR_NANOS: i64 = 365 * 86_400 * 1_000_000_000;
        Self {
            promote: PROMOTED_ATTRIBUTES.map(str::to_owned).to_vec(),
            label_name_bytes_max: 1024,
            label_value_bytes_max: 4096,
            labels_per_series_max: 64,
            attributes_max: 128,
            attribute_value_bytes_max: 64 << 10,
            body_bytes_max: 1 << 20,
            time_min: UnixNanos(ONE_YEAR_NANOS),
            future_max: Duration::from_secs(86_400),
            decoded_bytes_max: 256 << 20,
        }
    }
}

/// Why records were refused; the values of the `reason` label.
pub mod reason {
    pub const DELTA_TEMPORALITY: &str = "delta_temporality";
    pub const EXPONENTIAL_HISTOGRAM: &str = "exponential_histogram";
    pub const INTERNAL: &str = "internal";
    /// A label without a name, twice in a series, or not UTF-8.
    pub const INVALID_LABEL: &str = "invalid_label";
    pub const INVALID_HISTOGRAM: &str = "invalid_histogram";
    pub const INVALID_METRIC_NAME: &str = "invalid_metric_name";
    pub const INVALID_SPAN_ID: &str = "invalid_span_id";
    pub const INVALID_TRACE_ID: &str = "invalid_trace_id";
    pub const LABEL_TOO_LONG: &str = "label_too_long";
    pub const NATIVE_HISTOGRAM: &str = "native_histogram";
    /// A body or an attribute nested deeper than [`vervet_wire::NESTING_MAX`].
    pub const NESTED_TOO_DEEPLY: &str = "nested_too_deeply";
    pub const REQUEST_TOO_LARGE: &str = "request_too_large";
    pub const SERIES_COLLISION: &str = "series_collision";
    pub const SERIES_LIMIT: &str = "series_limit";
    pub const TIMESTAMP_OUT_OF_RANGE: &str = "timestamp_out_of_range";
    /// A histogram with too many buckets, or a summary with too many quantiles.
    pub const TOO_MANY_BUCKETS: &str = "too_many_buckets";
    pub const TOO_MANY_LABELS: &str = "too_many_labels";
    /// More attributes, or items of an array, than [`vervet_wire::LIST_ITEMS_MAX`].
    pub const TOO_MANY_VALUES: &str = "too_many_values";
}

/// What was changed in records that were kept.
pub mod adjustment {
    pub const ATTRIBUTES_DROPPED: &str = "attributes_dropped";
    pub const ATTRIBUTE_TRUNCATED: &str = "attribute_truncated";
    pub const BODY_TRUNCATED: &str = "body_truncated";
    /// Exemplars are not kept; their samples are.
    pub const EXEMPLARS_DROPPED: &str = "exemplars_dropped";
    pub const TIMESTAMP_REPLACED: &str = "timestamp_replaced";
}

/// One request, ready to be applied.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub signal: Signal,
    /// Log records, spans or data points that are in here.
    pub records: u64,
    /// Records that are not, by reason (see [`reason`]).
    pub rejected: Vec<(&'static str, u64)>,
    /// Records that were changed to fit, by what was done (see [`adjustment`]).
    pub adjusted: Vec<(&'static str, u64)>,
    pub received_at: UnixNanos,
    pub(crate) content: Content,
}

impl Decoded {
    /// How many records were refused.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().map(|(_reason, count)| count).sum()
    }

    /// About what this takes in memory (bytes).
    pub fn memory_bytes(&self) -> usize {
        match &self.content {
            Content::Logs(batch) | Content::Spans(batch) => batch.get_array_memory_size(),
            Content::Metrics(metrics) => metrics.memory_bytes(),
        }
    }

    /// The log records or spans as columns; `None` for metrics.
    pub fn batch(&self) -> Option<&RecordBatch> {
        match &self.content {
            Content::Logs(batch) | Content::Spans(batch) => Some(batch),
            Content::Metrics(_) => None,
        }
    }

    /// The type, help and unit of each metric; empty for logs and spans.
    pub fn metric_metadata(&self) -> &[MetricMetadata] {
        match &self.content {
            Content::Metrics(metrics) => &metrics.metadata,
            Content::Logs(_) | Content::Spans(_) => &[],
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Logs(RecordBatch),
    Spans(RecordBatch),
    Metrics(DecodedMetrics),
}

/// The samples of a request, each pointing at its series.
#[derive(Debug, Clone, Default)]
pub(crate) struct DecodedMetrics {
    pub(crate) series: Vec<DecodedSeries>,
    pub(crate) labels: LabelSets,
    pub(crate) samples: Vec<DecodedSample>,
    pub(crate) metadata: Vec<MetricMetadata>,
}

impl DecodedMetrics {
    /// Memory of a metric's metadata, which are short texts.
    pub(super) const METADATA_BYTES: usize = 512;

    fn memory_bytes(&self) -> usize {
        self.samples.capacity() * size_of::<DecodedSample>()
            + self.series.capacity() * size_of::<DecodedSeries>()
            + self
                .series
                .iter()
                .map(|series| series.unit.len())
                .sum::<usize>()
            + self.labels.memory_bytes()
            + self.metadata.len() * Self::METADATA_BYTES
    }
}

#[derive(Debug, Clone)]
pub(crate) struct DecodedSeries {
    pub(crate) id: u64,
    /// Among the labels of the request.
    pub(crate) labels: SetPlace,
    pub(crate) kind: &'static str,
    pub(crate) unit: String,
    /// What to remember it by.
    pub(crate) key: Option<SeriesKey>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct DecodedSample {
    pub(crate) series: SampleSeries,
    pub(crate) time_ms: i64,
    pub(crate) value: f64,
}

/// Which series a sample is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SampleSeries {
    /// Index into the series of the request.
    Listed(u32),
    /// Slot of a series that is known.
    Known(u32),
}

/// Why a record alone is refused that cannot be read. What is wrong with the message itself is wrong with the request.
pub(crate) fn refusal_of(error: DecodeError) -> Result<&'static str, DecodeError> {
    match error {
        DecodeError::TooDeep => Ok(reason::NESTED_TOO_DEEPLY),
        DecodeError::TooMany { .. } => Ok(reason::TOO_MANY_VALUES),
        other => Err(other),
    }
}

/// How a request is written. The numbers stand in journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Otlp(Signal),
    RemoteWrite(Version),
}

impl Format {
    const ALL: [Self; 5] = [
        Self::Otlp(Signal::Logs),
        Self::Otlp(Signal::Metrics),
        Self::Otlp(Signal::Traces),
        Self::RemoteWrite(Version::V1),
        Self::RemoteWrite(Version::V2),
    ];

    /// What is in a request.
    pub fn signal(self) -> Signal {
        match self {
            Self::Otlp(signal) => signal,
            Self::RemoteWrite(_) => Signal::Metrics,
        }
    }

    /// Its number: that of the signal, or one that no signal has.
    pub fn to_u8(self) -> u8 {
        match self {
            Self::Otlp(signal) => signal as u8,
            Self::RemoteWrite(Version::V1) => 16,
            Self::RemoteWrite(Version::V2) => 17,
        }
    }

    /// The format of that number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.to_u8() == number)
    }
}

impl From<Signal> for Format {
    fn from(signal: Signal) -> Self {
        Self::Otlp(signal)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Otlp(signal) => write!(f, "OTLP {signal}"),
            Self::RemoteWrite(Version::V1) => f.write_str("remote write 1.0"),
            Self::RemoteWrite(Version::V2) => f.write_str("remote write 2.0"),
        }
    }
}

/// Decodes one request. Pure: call it from any thread.
///
/// # Errors
/// The request is malformed and nothing of it can be used.
pub fn decode(
    format: impl Into<Format>,
    body: &[u8],
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> Result<Decoded, DecodeError> {
    decode_with(None, format.into(), body, options, received_at)
}

/// As [`decode`]; the series in `known` are those of the store that the request is applied to.
pub(crate) fn decode_with(
    known: Option<&KnownSeries>,
    format: Format,
    body: &[u8],
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> Result<Decoded, DecodeError> {
    match format {
        Format::Otlp(Signal::Logs) => logs::decode(body, options, received_at),
        Format::Otlp(Signal::Traces) => spans::decode(body, options, received_at),
        Format::Otlp(Signal::Metrics) => metrics::decode(known, body, options, received_at),
        Format::RemoteWrite(version) => {
            remote_write::decode(known, version, body, options, received_at)
        }
    }
}
