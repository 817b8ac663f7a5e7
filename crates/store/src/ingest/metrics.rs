//! Data points into samples, by OpenTelemetry's rules for Prometheus.
//!
//! Metrics of the scope [`PROMETHEUS_SCOPE`] were scraped: their names and point attributes are final.

mod known;

use std::borrow::Cow;

use vervet_model::{METRIC_NAME, UnixNanos};
use vervet_wire::DecodeError;
use vervet_wire::otlp::{
    KeyValue, Metric, MetricData, NumberPoint, PROMETHEUS_SCOPE, Resource, Temporality,
    for_each_message,
};

use super::attributes::{same_resource, wire_time};
use super::known_series::{KnownSeries, SeriesKey};
use super::labels::LabelBuffer;
use super::names::{NameKind, label_name, metric_name};
use super::samples::{Family, Samples};
use super::target::Target;
use super::{DecodeOptions, Decoded, reason};
use known::Known;

/// The value that marks the end of a series: a NaN told from others by its bits.
pub(super) const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A point may have some more attributes than labels, when they are empty or become the same label. With more of them
/// than this times the labels allowed, nobody looks which.
const ATTRIBUTES_PER_LABEL_MAX: usize = 4;

pub(super) fn decode(
    known: Option<&KnownSeries>,
    body: &[u8],
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder {
        known: known.map(|series| Known::new(series, options)),
        key: None,
        target: None,
        out: Samples::new(options, received_at),
        point_labels: LabelBuffer::default(),
        sample_labels: LabelBuffer::default(),
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
    known: Option<Known<'o>>,
    /// What the series of the next sample is to be remembered by.
    key: Option<SeriesKey>,
    target: Option<(Resource<'a>, Target)>,
    out: Samples<'o>,
    /// The labels of the point that is looked at, and those of one of its samples.
    point_labels: LabelBuffer,
    sample_labels: LabelBuffer,
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
            Err(reason) => return self.out.reject(reason, points),
        };
        let name = match self.family_name(scraped, &metric.name, &metric.unit, name_kind) {
            Ok(name) => name,
            Err(reason) => return self.out.reject(reason, points),
        };
        let family = Family {
            name: &name,
            kind,
            unit: &metric.unit,
        };
        let before = self.out.records();
        self.push_points(scraped, family, &metric.data);
        if self.out.records() > before {
            self.out.note_metadata(family, &metric.description);
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
        if name.len() > self.out.options.label_value_bytes_max {
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
                    self.out.count(result);
                }
            }
            MetricData::Histogram { points, .. } => {
                for point in points {
                    let result = self.push_histogram(scraped, family, point);
                    self.out.count(result);
                }
            }
            MetricData::Summary(points) => {
                for point in points {
                    let result = self.push_summary(scraped, family, point);
                    self.out.count(result);
                }
            }
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
        let time = wire_time(time_unix_nano).unwrap_or(self.out.received_at);
        self.out.time_ms(time)
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
        let attributes_max = self.out.options.labels_per_series_max;
        if attributes.len() > attributes_max.saturating_mul(ATTRIBUTES_PER_LABEL_MAX) {
            return Err(reason::TOO_MANY_LABELS);
        }
        if scraped {
            verbatim(&mut self.point_labels, attributes);
        } else {
            translated(&mut self.point_labels, self.target.as_ref(), attributes);
        }
        self.out.check(&mut self.point_labels)?;
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
        self.out
            .push(labels, family, &mut self.key, point.time_ms, value);
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
        let target = Target::new(resource, self.out.options);
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
        let has_labels = target.info_labels(&mut self.point_labels);
        if has_labels && self.out.check(&mut self.point_labels).is_ok() {
            let point = Point { time_ms };
            self.sample(family, family.name, &point, None, 1.0);
            self.out.note_metadata(family, "Target metadata");
        }
    }

    fn finish(mut self) -> Decoded {
        self.push_target_info();
        self.out.finish()
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
