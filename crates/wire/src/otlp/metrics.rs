//! `ExportMetricsServiceRequest`.

use std::borrow::Cow;

use super::value::{keep, text};
use super::{Resource, Scope, walk, write_group};
use crate::protobuf::{DecodeError, Reader, Writer};

mod points;

pub use points::{
    ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, Number, NumberPoint,
    SummaryPoint,
};
use points::{
    read_exponential_histogram_point, read_histogram_point, read_number_point, read_summary_point,
};

/// Whether points report the change since the last one or the total since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temporality {
    #[default]
    Unspecified,
    Delta,
    Cumulative,
}

impl Temporality {
    /// `None` for a number that is not in the protocol (yet).
    fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Unspecified,
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => return None,
        })
    }
}

/// One metric of a scope with all its points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metric<'a> {
    pub name: Cow<'a, str>,
    pub description: Cow<'a, str>,
    pub unit: Cow<'a, str>,
    pub data: MetricData<'a>,
    /// Fields this view does not name, as they stand on the wire: of the metric, of its data.
    pub rest: Cow<'a, [u8]>,
    pub data_rest: Cow<'a, [u8]>,
}

/// The points of a metric by kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum MetricData<'a> {
    #[default]
    Empty,
    Gauge(Vec<NumberPoint<'a>>),
    Sum {
        points: Vec<NumberPoint<'a>>,
        temporality: Temporality,
        monotonic: bool,
    },
    Histogram {
        points: Vec<HistogramPoint<'a>>,
        temporality: Temporality,
    },
    ExponentialHistogram {
        points: Vec<ExponentialHistogramPoint<'a>>,
        temporality: Temporality,
    },
    Summary(Vec<SummaryPoint<'a>>),
}

impl MetricData<'_> {
    /// How many data points the metric holds.
    pub fn points(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Gauge(points) | Self::Sum { points, .. } => points.len(),
            Self::Histogram { points, .. } => points.len(),
            Self::ExponentialHistogram { points, .. } => points.len(),
            Self::Summary(points) => points.len(),
        }
    }
}

/// Hands every metric of an `ExportMetricsServiceRequest` to `each`, in order.
///
/// # Errors
/// The request is malformed; metrics before the fault have been handed out.
pub fn for_each_metric<'a>(
    request: &'a [u8],
    mut each: impl FnMut(&Resource<'a>, &Scope<'a>, Metric<'a>),
) -> Result<(), DecodeError> {
    walk(request, |resource, scope, metric| {
        each(resource, scope, Metric::read(metric)?);
        Ok(())
    })
}

impl<'a> Metric<'a> {
    /// Reads a `Metric` message.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut metric = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                1 => metric.name = text(field.bytes(number)?),
                2 => metric.description = text(field.bytes(number)?),
                3 => metric.unit = text(field.bytes(number)?),
                5 | 7 | 9 | 10 | 11 => metric.read_data(number, field.bytes(number)?)?,
                _ => keep(&mut metric.rest, message, reader.raw()),
            }
        }
        Ok(metric)
    }

    fn read_data(&mut self, number: u32, message: &'a [u8]) -> Result<(), DecodeError> {
        let rest = &mut self.data_rest;
        *rest = Cow::default();
        self.data = match number {
            5 => MetricData::Gauge(read_data(message, rest, read_number_point)?.points),
            7 => {
                let data = read_data(message, rest, read_number_point)?;
                MetricData::Sum {
                    points: data.points,
                    temporality: data.temporality,
                    monotonic: data.monotonic,
                }
            }
            9 => {
                let data = read_data(message, rest, read_histogram_point)?;
                MetricData::Histogram {
                    points: data.points,
                    temporality: data.temporality,
                }
            }
            10 => {
                let data = read_data(message, rest, read_exponential_histogram_point)?;
                MetricData::ExponentialHistogram {
                    points: data.points,
                    temporality: data.temporality,
                }
            }
            _ => MetricData::Summary(read_data(message, rest, read_summary_point)?.points),
        };
        Ok(())
    }

    /// Writes the fields of a `Metric` message.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.raw(&self.rest);
        w.string(1, &self.name);
        w.string(2, &self.description);
        w.string(3, &self.unit);
        let rest = &self.data_rest;
        match &self.data {
            MetricData::Empty => {}
            MetricData::Gauge(points) => w.message(5, |w| {
                w.raw(rest);
                write_points(w, points, NumberPoint::write);
            }),
            MetricData::Sum {
                points,
                temporality,
                monotonic,
            } => w.message(7, |w| {
                w.raw(rest);
                write_points(w, points, NumberPoint::write);
                w.varint(2, *temporality as u64);
                w.varint(3, u64::from(*monotonic));
            }),
            MetricData::Histogram {
                points,
                temporality,
            } => w.message(9, |w| {
                w.raw(rest);
                write_points(w, points, HistogramPoint::write);
                w.varint(2, *temporality as u64);
            }),
            MetricData::ExponentialHistogram {
                points,
                temporality,
            } => w.message(10, |w| {
                w.raw(rest);
                write_points(w, points, ExponentialHistogramPoint::write);
                w.varint(2, *temporality as u64);
            }),
            MetricData::Summary(points) => w.message(11, |w| {
                w.raw(rest);
                write_points(w, points, SummaryPoint::write);
            }),
        }
    }
}

/// The fields that `Gauge`, `Sum`, `Histogram`, `ExponentialHistogram` and `Summary` number alike.
struct Data<P> {
    points: Vec<P>,
    temporality: Temporality,
    monotonic: bool,
}

fn read_data<'a, P>(
    message: &'a [u8],
    rest: &mut Cow<'a, [u8]>,
    read_point: impl Fn(&'a [u8]) -> Result<P, DecodeError>,
) -> Result<Data<P>, DecodeError> {
    let mut data = Data {
        points: Vec::new(),
        temporality: Temporality::Unspecified,
        monotonic: false,
    };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => data.points.push(read_point(field.bytes(number)?)?),
            2 => match Temporality::from_number(field.varint(number)?) {
                Some(temporality) => data.temporality = temporality,
                None => keep(rest, message, reader.raw()),
            },
            3 => data.monotonic = field.varint(number)? != 0,
            _ => keep(rest, message, reader.raw()),
        }
    }
    Ok(data)
}

/// Appends metrics to one resource and scope of a request.
#[derive(Debug)]
pub struct MetricsWriter<'w, 'o>(&'w mut Writer<'o>);

impl MetricsWriter<'_, '_> {
    pub fn push(&mut self, metric: &Metric<'_>) {
        self.0.message(2, |w| metric.write(w));
    }

    /// Appends metrics that are encoded already: fields of a `ScopeMetrics`.
    pub fn raw(&mut self, metrics: &[u8]) {
        self.0.raw(metrics);
    }
}

fn write_points<P>(w: &mut Writer<'_>, points: &[P], write: impl Fn(&P, &mut Writer<'_>)) {
    for point in points {
        w.message(1, |w| write(point, w));
    }
}

/// Appends one resource's metrics to the request in `out`.
pub fn write_resource_metrics(
    out: &mut Vec<u8>,
    resource: &Resource<'_>,
    scope: &Scope<'_>,
    fill: impl FnOnce(&mut MetricsWriter<'_, '_>),
) {
    write_group(out, resource, scope, |w| fill(&mut MetricsWriter(w)));
}
