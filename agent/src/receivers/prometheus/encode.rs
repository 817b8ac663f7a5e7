//! From points to OTLP requests.
//!
//! Points of one metric that come one after the other stand in one `Metric`. Labels are copied as the cache holds them. A
//! request is closed when it has [`REQUEST_BYTES`].

use std::borrow::Cow;

use bytes::Bytes;
use vervet_exposition::Kind;
use vervet_wire::otlp::{
    KeyValue, NumberPoint, PROMETHEUS_SCOPE, Resource, Scope, Temporality, Value,
    write_resource_metrics,
};
use vervet_wire::protobuf::{Writer, varint_width};

use super::cache::{About, Names, Series, Shape};

/// A request is closed when it is this large (bytes).
const REQUEST_BYTES: usize = 4 << 20;
/// A metric is closed when its points are this large (bytes), and another of its name is begun.
const METRIC_BYTES: usize = 1 << 20;
/// Where the type of a metric stands that OTLP has no kind of data for, by the compatibility rules.
const TYPE_KEY: &str = "prometheus.type";

mod field {
    pub(super) const METRIC_NAME: u32 = 1;
    pub(super) const METRIC_DESCRIPTION: u32 = 2;
    pub(super) const METRIC_UNIT: u32 = 3;
    pub(super) const METRIC_GAUGE: u32 = 5;
    pub(super) const METRIC_SUM: u32 = 7;
    pub(super) const METRIC_EXPONENTIAL_HISTOGRAM: u32 = 10;
    pub(super) const METRIC_METADATA: u32 = 12;
    pub(super) const DATA_POINTS: u32 = 1;
    pub(super) const DATA_TEMPORALITY: u32 = 2;
    pub(super) const DATA_MONOTONIC: u32 = 3;
    pub(super) const POINT_START: u32 = 2;
    pub(super) const POINT_TIME: u32 = 3;
    pub(super) const POINT_DOUBLE: u32 = 4;
    pub(super) const POINT_FLAGS: u32 = 8;
    pub(super) const HISTOGRAM_FLAGS: u32 = 10;
}

/// A request and how many points it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) payload: Bytes,
    pub(super) points: u64,
}

/// What stands in a point beside its labels.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberValue {
    pub(super) start_unix_nano: u64,
    pub(super) time_unix_nano: u64,
    pub(super) value: f64,
}

/// What a scrape of a target comes to.
#[derive(Debug)]
pub(super) struct Encoder<'r> {
    resource: Resource<'r>,
    /// Whole metrics, as fields of a `ScopeMetrics`.
    metrics: Vec<u8>,
    /// Points of the metric that is being written, as fields of its data.
    points: Vec<u8>,
    open: Option<(u32, Shape)>,
    /// Points in `metrics` and `points`.
    held: u64,
    requests: Vec<Request>,
    requests_bytes: usize,
}

impl<'r> Encoder<'r> {
    pub(super) fn new(resource: &'r [(String, String)]) -> Self {
        let attributes = resource.iter();
        let attributes = attributes.map(|(key, value)| KeyValue::new(key.as_str(), value.as_str()));
        Self {
            resource: Resource {
                attributes: attributes.collect(),
            },
            metrics: Vec::new(),
            points: Vec::new(),
            open: None,
            held: 0,
            requests: Vec::new(),
            requests_bytes: 0,
        }
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.requests_bytes + self.metrics.capacity() + self.points.capacity()
    }

    /// Forgets all that was added.
    pub(super) fn clear(&mut self) {
        self.metrics.clear();
        self.points.clear();
        self.requests.clear();
        (self.open, self.held, self.requests_bytes) = (None, 0, 0);
    }

    /// Adds a point of a series; `more` are fields of it beside labels, times and value.
    pub(super) fn number(
        &mut self,
        series: &Series,
        names: &mut Names,
        value: NumberValue,
        more: &[u8],
    ) {
        self.point(series, names, more.len(), |w| {
            w.fixed64(field::POINT_START, value.start_unix_nano);
            w.fixed64(field::POINT_TIME, value.time_unix_nano);
            w.fixed64_always(field::POINT_DOUBLE, value.value.to_bits());
            w.raw(&series.labels);
            w.raw(more);
        });
    }

    /// Adds a marker: the series has ended.
    pub(super) fn marker(&mut self, series: &Series, names: &mut Names, time_unix_nano: u64) {
        let flags = match series.shape {
            Shape::Number => field::POINT_FLAGS,
            Shape::Histogram => field::HISTOGRAM_FLAGS,
        };
        self.point(series, names, 0, |w| {
            w.fixed64(field::POINT_TIME, time_unix_nano);
            w.raw(&series.labels);
            w.varint(flags, u64::from(NumberPoint::NO_RECORDED_VALUE));
        });
    }

    /// Adds a point of a series, of which `fill` writes all fields.
    pub(super) fn point(
        &mut self,
        series: &Series,
        names: &mut Names,
        more_bytes: usize,
        fill: impl FnOnce(&mut Writer<'_>),
    ) {
        let metric = (series.name, series.shape);
        if self.open != Some(metric) || self.points.len() >= METRIC_BYTES {
            self.close_metric(names);
            self.open = Some(metric);
        }
        // Times and value.
        let expected = series.labels.len() + more_bytes + 18;
        let width = varint_width(expected as u64);
        Writer::new(&mut self.points).message_of(field::DATA_POINTS, width, fill);
        self.held += 1;
    }

    fn close_metric(&mut self, names: &mut Names) {
        let Some((name, shape)) = self.open.take() else {
            return;
        };
        write_metric(&mut self.metrics, &names.about(name), shape, &self.points);
        self.points.clear();
        if self.metrics.len() >= REQUEST_BYTES {
            self.close_request();
        }
    }

    /// Adds a metric of one point with these labels, which are fields of it.
    pub(super) fn figure(
        &mut self,
        about: &About<'_>,
        labels: &[u8],
        time: u64,
        value: Option<f64>,
    ) {
        let mut point = Vec::with_capacity(labels.len() + 24);
        Writer::new(&mut point).message(field::DATA_POINTS, |w| {
            w.fixed64(field::POINT_TIME, time);
            if let Some(value) = value {
                w.fixed64_always(field::POINT_DOUBLE, value.to_bits());
            }
            w.raw(labels);
            if value.is_none() {
                w.varint(
                    field::POINT_FLAGS,
                    u64::from(NumberPoint::NO_RECORDED_VALUE),
                );
            }
        });
        write_metric(&mut self.metrics, about, Shape::Number, &point);
        self.held += 1;
    }

    /// Writes what is open into a metric; figures may follow.
    pub(super) fn end_series(&mut self, names: &mut Names) {
        self.close_metric(names);
    }

    /// The requests that hold all that was added.
    pub(super) fn finish(mut self) -> Vec<Request> {
        self.close_request();
        self.requests
    }

    fn close_request(&mut self) {
        if self.held == 0 {
            return;
        }
        let scope = Scope {
            name: Cow::Borrowed(PROMETHEUS_SCOPE),
            ..Scope::default()
        };
        let mut payload = Vec::with_capacity(self.metrics.len() + 256);
        write_resource_metrics(&mut payload, &self.resource, &scope, |writer| {
            writer.raw(&self.metrics);
        });
        self.metrics.clear();
        self.requests_bytes += payload.len();
        self.requests.push(Request {
            payload: payload.into(),
            points: std::mem::take(&mut self.held),
        });
    }
}

/// Appends a metric with these points as a field of a `ScopeMetrics`.
fn write_metric(out: &mut Vec<u8>, about: &About<'_>, shape: Shape, points: &[u8]) {
    let width = varint_width(points.len() as u64 + 128);
    Writer::new(out).message_of(2, width, |w| {
        w.string(field::METRIC_NAME, about.name);
        w.string(field::METRIC_DESCRIPTION, about.help);
        w.string(field::METRIC_UNIT, about.unit);
        let width = varint_width(points.len() as u64 + 4);
        let data = match (shape, about.counts) {
            (Shape::Histogram, _) => field::METRIC_EXPONENTIAL_HISTOGRAM,
            (Shape::Number, true) => field::METRIC_SUM,
            (Shape::Number, false) => field::METRIC_GAUGE,
        };
        w.message_of(data, width, |w| {
            w.raw(points);
            if data != field::METRIC_GAUGE {
                w.varint(field::DATA_TEMPORALITY, Temporality::Cumulative as u64);
            }
            if data == field::METRIC_SUM {
                w.varint(field::DATA_MONOTONIC, 1);
            }
        });
        if let (Shape::Number, Some(kind)) = (shape, told(about.kind)) {
            let metadata = KeyValue::new(TYPE_KEY, Value::from(kind));
            w.message(field::METRIC_METADATA, |w| metadata.write(w));
        }
    });
}

/// The type of a metric, unless its data says it.
fn told(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Unknown | Kind::Counter | Kind::Gauge => return None,
        Kind::Histogram => "histogram",
        Kind::GaugeHistogram => "gaugehistogram",
        Kind::Summary => "summary",
        Kind::Info => "info",
        Kind::StateSet => "stateset",
    })
}
