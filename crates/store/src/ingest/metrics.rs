//! Data points into samples, by OpenTelemetry's rules for Prometheus.
//!
//! Metrics of the scope [`PROMETHEUS_SCOPE`] were scraped: their names and point attributes are final.

mod known;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use vervet_model::{METRIC_NAME, Signal, UnixNanos, fingerprint};
use vervet_wire::DecodeError;
use vervet_wire::otlp::{
    KeyValue, Metric, MetricData, NumberPoint, PROMETHEUS_SCOPE, Resource, Temporality,
    for_each_message,
};

use super::attributes::{Tally, in_range, same_resource, truncated, wire_time};
use super::known_series::{KnownSeries, SeriesKey};
use super::labels::LabelBuffer;
use super::names::{NameKind, label_name, metric_name};
use super::target::Target;
use super::{
    Content, DecodeOptions, Decoded, DecodedMetrics, DecodedSample, DecodedSeries, SampleSeries,
    reason,
};
use crate::catalog::MetricMetadata;
use crate::head::series::IdHashing;
use known::Known;

/// The value that marks the end of a series: a NaN told from others by its bits.
pub(super) const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Memory of a sample and of a series besides its texts.
const SAMPLE_BYTES: usize = 24;
const SERIES_BYTES: usize = 64;
const LABEL_BYTES: usize = 64;

/// A point may have some more attributes than labels, when they are empty or become the same label. With more of them
/// than this times the labels allowed, nobody looks which.
const ATTRIBUTES_PER_LABEL_MAX: usize = 4;

/// Longest help text kept (bytes).
const HELP_BYTES_MAX: usize = 4096;

pub(super) fn decode(
    known: Option<&KnownSeries>,
    body: &[u8],
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder {
        options,
        received_at,
        known: known.map(|series| Known::new(series, options)),
        key: None,
        target: None,
        out: DecodedMetrics::default(),
        series: HashMap::default(),
        point_labels: LabelBuffer::default(),
        sample_labels: LabelBuffer::default(),
        hashed: Vec::new(),
        metadata: BTreeMap::new(),
        rejected: Tally::default(),
        bytes: 0,
        records: 0,
    };
    for_each_message(body, |resource, scope, message| {
        let scraped = scope.name == PROMETHEUS_SCOPE;
        if !scraped {
            decoder.enter(resource);
        }
        decoder.push_message(scraped, message)
    })?;
    Ok(decoder.finish())
}

pub(super) struct Decoder<'o, 'a> {
    pub(super) options: &'o DecodeOptions,
    received_at: UnixNanos,
    known: Option<Known<'o>>,
    /// What the series of the next sample is to be remembered by.
    key: Option<SeriesKey>,
    target: Option<(Resource<'a>, Target)>,
    out: DecodedMetrics,
    series: HashMap<u64, u32, IdHashing>,
    /// The labels of the point that is looked at, and those of one of its samples.
    point_labels: LabelBuffer,
    sample_labels: LabelBuffer,
    hashed: Vec<u8>,
    metadata: BTreeMap<String, MetricMetadata>,
    rejected: Tally,
    bytes: usize,
    records: u64,
}

/// What the samples of a metric share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'m> {
    pub(super) name: &'m str,
    /// The Prometheus type: `counter`, `gauge`, `histogram` or `summary`.
    pub(super) kind: &'static str,
    pub(super) unit: &'m str,
}

/// A point that passed: its time. Its labels, without a name, are in the decoder.
pub(super) struct Point {
    pub(super) time_ms: i64,
}

impl<'a> Decoder<'_, 'a> {
    fn push_message(&mut self, scraped: bool, message: &'a [u8]) -> Result<(), DecodeError> {
        if let Some(known) = self.known.take() {
            let mut known = known;
            let pushed = self.push_outline(scraped, message, &mut known);
            self.known = Some(known);
            if pushed? {
                return Ok(());
            }
        }
        self.push(scraped, &Metric::read(message)?);
        Ok(())
    }

    fn push(&mut self, scraped: bool, metric: &Metric<'a>) {
        let points = metric.data.points() as u64;
        let (kind, name_kind) = match kind(&metric.data) {
            Ok(kind) => kind,
            Err(reason) => return self.rejected.add(reason, points),
        };
        let name = match self.family_name(scraped, &metric.name, &metric.unit, name_kind) {
            Ok(name) => name,
            Err(reason) => return self.rejected.add(reason, points),
        };
        let family = Family {
            name: &name,
            kind,
            unit: &metric.unit,
        };
        let before = self.records;
        self.push_points(scraped, family, &metric.data);
        if self.records > before {
            self.note_metadata(family, &metric.description);
        }
    }

    /// The Prometheus name of a metric, if it may have it.
    fn family_name(
        &self,
        scraped: bool,
        name: &str,
        unit: &str,
        kind: NameKind,
    ) -> Result<String, &'static str> {
        let name = if scraped {
            name.to_owned()
        } else {
            metric_name(name, unit, kind)
        };
        if name.is_empty() {
            return Err(reason::INVALID_METRIC_NAME);
        }
        if name.len() > self.options.label_value_bytes_max {
            return Err(reason::LABEL_TOO_LONG);
        }
        Ok(name)
    }

    fn push_points(&mut self, scraped: bool, family: Family<'_>, data: &MetricData<'a>) {
        match data {
            MetricData::Empty | MetricData::ExponentialHistogram { .. } => {}
            MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
                for point in points {
                    let result = self.push_number(scraped, family, point);
                    self.count(result);
                }
            }
            MetricData::Histogram { points, .. } => {
                for point in points {
                    let result = self.push_histogram(scraped, family, point);
                    self.count(result);
                }
            }
            MetricData::Summary(points) => {
                for point in points {
                    let result = self.push_summary(scraped, family, point);
                    self.count(result);
                }
            }
        }
    }

    fn count(&mut self, result: Result<(), &'static str>) {
        match result {
            Ok(()) => self.records += 1,
            Err(reason) => self.rejected.add(reason, 1),
        }
    }

    fn push_number(
        &mut self,
        scraped: bool,
        family: Family<'_>,
        point: &NumberPoint<'_>,
    ) -> Result<(), &'static str> {
        let value = if point.no_recorded_value() {
            STALE_NAN
        } else {
            point.value.as_f64()
        };
        let point = self.point(scraped, &point.attributes, point.time_unix_nano)?;
        self.sample(family, family.name, &point, None, value);
        Ok(())
    }

    /// The time of a point, if it may be added.
    fn time_ms(&self, time_unix_nano: u64) -> Result<i64, &'static str> {
        if self.bytes > self.options.decoded_bytes_max {
            return Err(reason::REQUEST_TOO_LARGE);
        }
        let time = wire_time(time_unix_nano).unwrap_or(self.received_at);
        if !in_range(time, self.options, self.received_at) {
            return Err(reason::TIMESTAMP_OUT_OF_RANGE);
        }
        Ok(time.to_millis().0)
    }

    fn note_time(&mut self, scraped: bool, time_ms: i64) {
        if let Some((_resource, target)) = self.target.as_mut().filter(|_target| !scraped) {
            target.latest_ms = Some(target.latest_ms.map_or(time_ms, |t| t.max(time_ms)));
        }
    }

    /// Checks a point's time and labels.
    pub(super) fn point(
        &mut self,
        scraped: bool,
        attributes: &[KeyValue<'_>],
        time_unix_nano: u64,
    ) -> Result<Point, &'static str> {
        let time_ms = self.time_ms(time_unix_nano)?;
        let attributes_max = self.options.labels_per_series_max;
        if attributes.len() > attributes_max.saturating_mul(ATTRIBUTES_PER_LABEL_MAX) {
            return Err(reason::TOO_MANY_LABELS);
        }
        if scraped {
            verbatim(&mut self.point_labels, attributes);
        } else {
            translated(&mut self.point_labels, self.target.as_ref(), attributes);
        }
        self.check()?;
        self.note_time(scraped, time_ms);
        Ok(Point { time_ms })
    }

    /// Adds one sample of a point, with one more label if given.
    pub(super) fn sample(
        &mut self,
        family: Family<'_>,
        name: &str,
        point: &Point,
        extra: Option<(&str, &str)>,
        value: f64,
    ) {
        let labels = &mut self.sample_labels;
        labels.copy(&self.point_labels);
        labels.set(METRIC_NAME, name);
        if let Some((name, value)) = extra {
            labels.set(name, value);
        }
        labels.sort();
        let id = fingerprint(labels.iter(), &mut self.hashed);
        let series = match self.series.get(&id) {
            Some(series) => *series,
            None => self.add_series(id, family),
        };
        self.bytes += SAMPLE_BYTES;
        self.out.samples.push(DecodedSample {
            series: SampleSeries::Listed(series),
            time_ms: point.time_ms,
            value,
        });
    }

    fn add_series(&mut self, id: u64, family: Family<'_>) -> u32 {
        let labels = &self.sample_labels;
        // Samples are bounded by `decoded_bytes_max`, far below 2^32 series.
        let index = u32::try_from(self.out.series.len()).unwrap_or(u32::MAX);
        self.bytes += SERIES_BYTES + labels.len() * LABEL_BYTES + labels.text_bytes();
        let labels = self.out.labels.push(labels);
        self.out.series.push(DecodedSeries {
            id,
            labels,
            kind: family.kind,
            unit: family.unit.to_owned(),
            key: self.key.take(),
        });
        self.series.insert(id, index);
        index
    }

    /// Puts the labels of a point into order, when they keep to the limits.
    fn check(&mut self) -> Result<(), &'static str> {
        self.point_labels.sort();
        let labels = &self.point_labels;
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

    /// Reads the resource when it is not that of the metric before.
    fn enter(&mut self, resource: &Resource<'a>) {
        let same = |(known, _target): &(Resource<'a>, Target)| same_resource(known, resource);
        if self.target.as_ref().is_some_and(same) {
            return;
        }
        self.push_target_info();
        if let Some(known) = &mut self.known {
            known.enter(resource);
        }
        let target = Target::new(resource, self.options);
        self.target = Some((resource.clone(), target));
    }

    /// Adds the `target_info` sample of the resource that was read last. It is no data point of the request
    /// and not counted as one.
    fn push_target_info(&mut self) {
        let Some((_resource, target)) = self.target.take() else {
            return;
        };
        let family = Family {
            name: "target_info",
            kind: "gauge",
            unit: "",
        };
        let Some(time_ms) = target.latest_ms else {
            return;
        };
        if target.info_labels(&mut self.point_labels) && self.check().is_ok() {
            let point = Point { time_ms };
            self.sample(family, family.name, &point, None, 1.0);
            self.note_metadata(family, "Target metadata");
        }
    }

    fn note_metadata(&mut self, family: Family<'_>, help: &str) {
        if !self.metadata.contains_key(family.name) {
            let metadata = MetricMetadata {
                metric: family.name.to_owned(),
                kind: family.kind.to_owned(),
                help: truncated(help, HELP_BYTES_MAX).to_owned(),
                unit: family.unit.to_owned(),
            };
            self.metadata.insert(family.name.to_owned(), metadata);
        }
    }

    fn finish(mut self) -> Decoded {
        self.push_target_info();
        self.out.metadata = self.metadata.into_values().collect();
        Decoded {
            signal: Signal::Metrics,
            records: self.records,
            rejected: self.rejected.into_vec(),
            adjusted: Vec::new(),
            received_at: self.received_at,
            content: Content::Metrics(self.out),
        }
    }
}

/// The Prometheus type of a metric, or why its points are refused.
fn kind(data: &MetricData<'_>) -> Result<(&'static str, NameKind), &'static str> {
    match data {
        MetricData::Sum {
            temporality: Temporality::Delta,
            ..
        }
        | MetricData::Histogram {
            temporality: Temporality::Delta,
            ..
        } => Err(reason::DELTA_TEMPORALITY),
        MetricData::ExponentialHistogram { .. } => Err(reason::EXPONENTIAL_HISTOGRAM),
        MetricData::Sum {
            monotonic: true, ..
        } => Ok(("counter", NameKind::MonotonicSum)),
        // A sum that also falls is a gauge to Prometheus, but never a ratio.
        MetricData::Sum { .. } => Ok(("gauge", NameKind::Other)),
        MetricData::Gauge(_) | MetricData::Empty => Ok(("gauge", NameKind::Gauge)),
        MetricData::Histogram { .. } => Ok(("histogram", NameKind::Other)),
        MetricData::Summary(_) => Ok(("summary", NameKind::Other)),
    }
}

/// The labels of a scraped point, whose names are final.
fn verbatim(labels: &mut LabelBuffer, attributes: &[KeyValue<'_>]) {
    labels.clear();
    for attribute in attributes {
        labels.set(&attribute.key, &attribute.value.to_text());
    }
}

/// The labels of a point: promoted resource attributes, its own, then `job` and `instance`. Attributes
/// whose names become the same label are joined by `;` in the order of their names.
fn translated(
    labels: &mut LabelBuffer,
    target: Option<&(Resource<'_>, Target)>,
    attributes: &[KeyValue<'_>],
) {
    labels.clear();
    let Some((_resource, target)) = target else {
        return;
    };
    for (name, value) in &target.promoted {
        labels.set(name, value);
    }
    let mut sorted: Vec<&KeyValue<'_>> = attributes.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut own: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(sorted.len());
    for attribute in sorted {
        let (name, value) = (label_name(&attribute.key), attribute.value.to_text());
        match own.iter_mut().find(|(known, _value)| *known == name) {
            Some((_name, joined)) => {
                let joined = joined.to_mut();
                joined.push(';');
                joined.push_str(&value);
            }
            None => own.push((name, value)),
        }
    }
    for (name, value) in own {
        labels.set(&name, &value);
    }
    target.identify(labels);
}
