//! `ExportMetricsServiceRequest`.

use std::borrow::Cow;

use super::value::text;
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
    fn from_number(number: u64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

/// One metric of a scope with all its points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metric<'a> {
    pub name: Cow<'a, str>,
    pub description: Cow<'a, str>,
    pub unit: Cow<'a, str>,
    pub data: MetricData<'a>,
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
        each(resource, scope, read_metric(metric)?);
        Ok(())
    })
}

fn read_metric(message: &[u8]) -> Result<Metric<'_>, DecodeError> {
    let mut metric = Metric::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => metric.name = text(field.bytes(number)?),
            2 => metric.description = text(field.bytes(number)?),
            3 => metric.unit = text(field.bytes(number)?),
            5 => {
                metric.data =
                    MetricData::Gauge(read_data(field.bytes(number)?, read_number_point)?.points)
            }
            7 => {
                let Data {
                    points,
                    temporality,
                    monotonic,
                } = read_data(field.bytes(number)?, read_number_point)?;
                metric.data = MetricData::Sum {
                    points,
                    temporality,
                    monotonic,
                };
            }
            9 => {
                let Data {
                    points,
                    temporality,
                    ..
                } = read_data(field.bytes(number)?, read_histogram_point)?;
                metric.data = MetricData::Histogram {
                    points,
                    temporality,
                };
            }
            10 => {
                let Data {
                    points,
                    temporality,
                    ..
                } = read_data(field.bytes(number)?, read_exponential_histogram_point)?;
                metric.data = MetricData::ExponentialHistogram {
                    points,
                    temporality,
                };
            }
            11 => {
                metric.data =
                    MetricData::Summary(read_data(field.bytes(number)?, read_summary_point)?.points)
            }
            _ => {}
        }
    }
    Ok(metric)
}

/// The fields that `Gauge`, `Sum`, `Histogram`, `ExponentialHistogram` and `Summary` number alike.
struct Data<P> {
    points: Vec<P>,
    temporality: Temporality,
    monotonic: bool,
}

fn read_data<'a, P>(
    message: &'a [u8],
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
            2 => data.temporality = Temporality::from_number(field.varint(number)?),
            3 => data.monotonic = field.varint(number)? != 0,
            _ => {}
        }
    }
    Ok(data)
}

/// Appends metrics to one resource and scope of a request.
#[derive(Debug)]
pub struct MetricsWriter<'w, 'o>(&'w mut Writer<'o>);

impl MetricsWriter<'_, '_> {
    pub fn push(&mut self, metric: &Metric<'_>) {
        self.0.message(2, |w| {
            w.string(1, &metric.name);
            w.string(2, &metric.description);
            w.string(3, &metric.unit);
            match &metric.data {
                MetricData::Empty => {}
                MetricData::Gauge(points) => {
                    w.message(5, |w| write_points(w, points, NumberPoint::write))
                }
                MetricData::Sum {
                    points,
                    temporality,
                    monotonic,
                } => w.message(7, |w| {
                    write_points(w, points, NumberPoint::write);
                    w.varint(2, *temporality as u64);
                    w.varint(3, u64::from(*monotonic));
                }),
                MetricData::Histogram {
                    points,
                    temporality,
                } => w.message(9, |w| {
                    write_points(w, points, HistogramPoint::write);
                    w.varint(2, *temporality as u64);
                }),
                MetricData::ExponentialHistogram {
                    points,
                    temporality,
                } => w.message(10, |w| {
                    write_points(w, points, ExponentialHistogramPoint::write);
                    w.varint(2, *temporality as u64);
                }),
                MetricData::Summary(points) => {
                    w.message(11, |w| write_points(w, points, SummaryPoint::write))
                }
            }
        });
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
