//! The samples of a request, each checked and pointing at its series.

use std::collections::{BTreeMap, HashMap};

use vervet_model::{Signal, UnixNanos, fingerprint};

use super::attributes::{Tally, in_range, truncated};
use super::known_series::SeriesKey;
use super::labels::LabelBuffer;
use super::{
    Content, DecodeOptions, Decoded, DecodedMetrics, DecodedSample, DecodedSeries, SampleSeries,
    reason,
};
use crate::catalog::MetricMetadata;
use crate::head::series::IdHashing;

/// Memory of a sample and of a series besides its texts.
const SAMPLE_BYTES: usize = 24;
const SERIES_BYTES: usize = 64;
const LABEL_BYTES: usize = 64;

/// Longest help text kept (bytes).
const HELP_BYTES_MAX: usize = 4096;

/// What the samples of a metric share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'m> {
    pub(super) name: &'m str,
    /// The Prometheus type: `counter`, `gauge`, `histogram`, `summary` or another of OpenMetrics'.
    pub(super) kind: &'static str,
    pub(super) unit: &'m str,
}

/// What is put together of one request.
pub(super) struct Samples<'o> {
    pub(super) options: &'o DecodeOptions,
    pub(super) received_at: UnixNanos,
    out: DecodedMetrics,
    series: HashMap<u64, u32, IdHashing>,
    hashed: Vec<u8>,
    metadata: BTreeMap<String, MetricMetadata>,
    rejected: Tally,
    adjusted: Tally,
    bytes: usize,
    records: u64,
}

impl<'o> Samples<'o> {
    pub(super) fn new(options: &'o DecodeOptions, received_at: UnixNanos) -> Self {
        Self {
            options,
            received_at,
            out: DecodedMetrics::default(),
            series: HashMap::default(),
            hashed: Vec::new(),
            metadata: BTreeMap::new(),
            rejected: Tally::default(),
            adjusted: Tally::default(),
            bytes: 0,
            records: 0,
        }
    }

    /// Points that were added.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Counts a point by what became of it.
    pub(super) fn count(&mut self, result: Result<(), &'static str>) {
        match result {
            Ok(()) => self.records += 1,
            Err(reason) => self.reject(reason, 1),
        }
    }

    pub(super) fn reject(&mut self, reason: &'static str, points: u64) {
        self.rejected.add(reason, points);
    }

    pub(super) fn adjust(&mut self, adjustment: &'static str, points: u64) {
        self.adjusted.add(adjustment, points);
    }

    /// That what is put together may still grow.
    pub(super) fn room(&self) -> Result<(), &'static str> {
        match self.bytes > self.options.decoded_bytes_max {
            true => Err(reason::REQUEST_TOO_LARGE),
            false => Ok(()),
        }
    }

    /// The time as samples have it, if a sample of it may be added.
    pub(super) fn time_ms(&self, time: UnixNanos) -> Result<i64, &'static str> {
        self.room()?;
        if !in_range(time, self.options, self.received_at) {
            return Err(reason::TIMESTAMP_OUT_OF_RANGE);
        }
        Ok(time.to_millis().0)
    }

    /// Puts labels, the name of the metric not among them, into order, when they keep to the limits.
    pub(super) fn check(&self, labels: &mut LabelBuffer) -> Result<(), &'static str> {
        labels.sort();
        if labels.len() >= self.options.labels_per_series_max {
            return Err(reason::TOO_MANY_LABELS);
        }
        let too_long = labels.iter().any(|(name, value)| {
            name.len() > self.options.label_name_bytes_max
                || value.len() > self.options.label_value_bytes_max
        });
        if too_long {
            return Err(reason::LABEL_TOO_LONG);
        }
        Ok(())
    }

    /// Adds a sample of the series with these labels, in order and the name among them, and remembers a series that is
    /// new to the request by `key`.
    pub(super) fn push(
        &mut self,
        labels: &LabelBuffer,
        family: Family<'_>,
        key: &mut Option<SeriesKey>,
        time_ms: i64,
        value: f64,
    ) {
        let series = self.series_of(labels, family, key);
        self.push_of(SampleSeries::Listed(series), time_ms, value);
    }

    /// The place of a series among those of the request.
    pub(super) fn series_of(
        &mut self,
        labels: &LabelBuffer,
        family: Family<'_>,
        key: &mut Option<SeriesKey>,
    ) -> u32 {
        let id = fingerprint(labels.iter(), &mut self.hashed);
        match self.series.get(&id) {
            Some(series) => *series,
            None => self.add_series(id, labels, family, key.take()),
        }
    }

    /// Adds a sample.
    pub(super) fn push_of(&mut self, series: SampleSeries, time_ms: i64, value: f64) {
        self.bytes += SAMPLE_BYTES;
        self.out.samples.push(DecodedSample {
            series,
            time_ms,
            value,
        });
    }

    fn add_series(
        &mut self,
        id: u64,
        labels: &LabelBuffer,
        family: Family<'_>,
        key: Option<SeriesKey>,
    ) -> u32 {
        // Samples are bounded by `decoded_bytes_max`, far below 2^32 series.
        let index = u32::try_from(self.out.series.len()).unwrap_or(u32::MAX);
        self.bytes += SERIES_BYTES + labels.len() * LABEL_BYTES + labels.text_bytes();
        let unit = truncated(family.unit, self.options.label_value_bytes_max).to_owned();
        self.bytes += unit.len();
        let labels = self.out.labels.push(labels);
        self.out.series.push(DecodedSeries {
            id,
            labels,
            kind: family.kind,
            unit,
            key,
        });
        self.series.insert(id, index);
        index
    }

    /// Whether it was noted what a metric is.
    pub(super) fn is_noted(&self, metric: &str) -> bool {
        self.metadata.contains_key(metric)
    }

    /// Notes what a metric is, when it is the first of its name in the request.
    pub(super) fn note_metadata(&mut self, family: Family<'_>, help: &str) {
        if !self.is_noted(family.name) {
            let metadata = MetricMetadata {
                metric: family.name.to_owned(),
                kind: family.kind.to_owned(),
                help: truncated(help, HELP_BYTES_MAX).to_owned(),
                unit: truncated(family.unit, self.options.label_value_bytes_max).to_owned(),
            };
            self.bytes += metadata.unit.len();
            self.bytes += DecodedMetrics::METADATA_BYTES + family.name.len() + metadata.help.len();
            self.metadata.insert(family.name.to_owned(), metadata);
        }
    }

    pub(super) fn finish(mut self) -> Decoded {
        self.out.metadata = self.metadata.into_values().collect();
        Decoded {
            signal: Signal::Metrics,
            records: self.records,
            rejected: self.rejected.into_vec(),
            adjusted: self.adjusted.into_vec(),
            received_at: self.received_at,
            content: Content::Metrics(self.out),
        }
    }
}
