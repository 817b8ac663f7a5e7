//! The points of a metric, whatever their kind.

use vervet_wire::otlp::{
    ExponentialHistogramPoint, HistogramPoint, KeyValue, Metric, MetricData, Number, NumberPoint,
    SummaryPoint,
};

use super::expr::Point;

/// A data point of any kind.
pub(super) trait AnyPoint<'a> {
    fn attributes(&self) -> &[KeyValue<'a>];
    fn attributes_mut(&mut self) -> &mut Vec<KeyValue<'a>>;
    fn value(&self) -> Option<Number>;
    fn time_unix_nano(&self) -> u64;
}

macro_rules! any_point {
    ($($type:ident: $value:expr;)*) => {$(
        impl<'a> AnyPoint<'a> for $type<'a> {
            fn attributes(&self) -> &[KeyValue<'a>] {
                &self.attributes
            }

            fn attributes_mut(&mut self) -> &mut Vec<KeyValue<'a>> {
                &mut self.attributes
            }

            fn value(&self) -> Option<Number> {
                let value: fn(&Self) -> Option<Number> = $value;
                value(self)
            }

            fn time_unix_nano(&self) -> u64 {
                self.time_unix_nano
            }
        }
    )*};
}

any_point! {
    NumberPoint: |point| (!point.has_no_value).then_some(point.value);
    HistogramPoint: |_| None;
    ExponentialHistogramPoint: |_| None;
    SummaryPoint: |_| None;
}

/// What is the same for all points of a metric.
#[derive(Clone, Copy)]
pub(super) struct Head<'m> {
    name: &'m str,
    description: &'m str,
    unit: &'m str,
    kind: &'static str,
}

impl<'m> Head<'m> {
    pub(super) fn of(metric: &'m Metric<'_>) -> Self {
        Self {
            name: &metric.name,
            description: &metric.description,
            unit: &metric.unit,
            kind: kind_of(&metric.data),
        }
    }

    /// The metric without a point.
    pub(super) fn alone(self) -> Point<'m> {
        Point {
            name: self.name,
            description: self.description,
            unit: self.unit,
            kind: self.kind,
            attributes: &[],
            value: None,
            time_unix_nano: 0,
        }
    }

    pub(super) fn with<'t, 'a: 't>(self, point: &'t (dyn AnyPoint<'a> + 't)) -> Point<'t>
    where
        'm: 't,
    {
        Point {
            attributes: point.attributes(),
            value: point.value(),
            time_unix_nano: point.time_unix_nano(),
            ..self.alone()
        }
    }
}

fn kind_of(data: &MetricData<'_>) -> &'static str {
    match data {
        MetricData::Empty => "",
        MetricData::Gauge(_) => "gauge",
        MetricData::Sum { .. } => "sum",
        MetricData::Histogram { .. } => "histogram",
        MetricData::ExponentialHistogram { .. } => "exponential_histogram",
        MetricData::Summary(_) => "summary",
    }
}

/// Keeps the points for which `keep` says so.
pub(super) fn retain(metric: &mut Metric<'_>, mut keep: impl FnMut(Point<'_>) -> bool) {
    let head = Head {
        name: &metric.name,
        description: &metric.description,
        unit: &metric.unit,
        kind: kind_of(&metric.data),
    };
    match &mut metric.data {
        MetricData::Empty => {}
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            points.retain(|point| keep(head.with(point)));
        }
        MetricData::Histogram { points, .. } => points.retain(|point| keep(head.with(point))),
        MetricData::ExponentialHistogram { points, .. } => {
            points.retain(|point| keep(head.with(point)));
        }
        MetricData::Summary(points) => points.retain(|point| keep(head.with(point))),
    }
}

/// Shows every point to `each`, which may change its attributes.
pub(super) fn for_each<'a>(
    metric: &mut Metric<'a>,
    mut each: impl FnMut(Head<'_>, &mut dyn AnyPoint<'a>),
) {
    let head = Head {
        name: &metric.name,
        description: &metric.description,
        unit: &metric.unit,
        kind: kind_of(&metric.data),
    };
    match &mut metric.data {
        MetricData::Empty => {}
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            points.iter_mut().for_each(|point| each(head, point));
        }
        MetricData::Histogram { points, .. } => {
            points.iter_mut().for_each(|point| each(head, point));
        }
        MetricData::ExponentialHistogram { points, .. } => {
            points.iter_mut().for_each(|point| each(head, point));
        }
        MetricData::Summary(points) => points.iter_mut().for_each(|point| each(head, point)),
    }
}
