//! Records in words, one line each, for people.

use std::borrow::Cow;
use std::fmt::Write as _;

use vervet_model::{Severity, Signal};
use vervet_wire::DecodeError;
use vervet_wire::otlp::{
    KeyValue, LogRecord, Metric, MetricData, Number, Resource, Span, for_each_log, for_each_metric,
    for_each_span,
};

use crate::explain::time_text;

/// Hands the text of every record of a request to `each`: the body of a log record; name, ids, duration and attributes
/// of a span; name, attributes and value of a data point. Line breaks and other control characters are escaped.
///
/// # Errors
/// The request is malformed; records before the fault have been handed out.
pub(super) fn for_each_text(
    signal: Signal,
    request: &[u8],
    mut each: impl FnMut(&str),
) -> Result<(), DecodeError> {
    match signal {
        Signal::Logs => for_each_log(request, |_, _, record| {
            each(&one_line(&record.body.to_text()));
        }),
        Signal::Traces => for_each_span(request, |_, _, span| each(&one_line(&span_text(&span)))),
        Signal::Metrics => for_each_metric(request, |_, _, metric| {
            point_texts(&metric, |text| each(&one_line(&text)));
        }),
    }
}

/// As [`for_each_text`], with all that is known of a record: the time and severity of a log record before its body, behind it
/// its attributes, ids and resource; behind spans and data points their resource. What is absent is left out.
///
/// # Errors
/// The request is malformed; records before the fault have been handed out.
pub(super) fn for_each_detail(
    signal: Signal,
    request: &[u8],
    mut each: impl FnMut(&str),
) -> Result<(), DecodeError> {
    match signal {
        Signal::Logs => for_each_log(request, |resource, _, record| {
            each(&one_line(&(log_detail(&record) + &of_resource(resource))));
        }),
        Signal::Traces => for_each_span(request, |resource, _, span| {
            each(&one_line(&(span_text(&span) + &of_resource(resource))));
        }),
        Signal::Metrics => for_each_metric(request, |resource, _, metric| {
            let resource = of_resource(resource);
            point_texts(&metric, |text| each(&one_line(&(text + &resource))));
        }),
    }
}

fn log_detail(record: &LogRecord<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if record.time_unix_nano > 0 {
        let _ = write!(text, "{} ", time_text(record.time_unix_nano));
    }
    let severity = Severity::from_number(record.severity_number);
    if severity != Severity::UNSPECIFIED {
        let _ = write!(text, "{} ", severity.level().to_uppercase());
    }
    text.push_str(&record.body.to_text());
    if !record.attributes.is_empty() {
        let _ = write!(text, " {}", attributes(&record.attributes));
    }
    for (name, id) in [("trace_id", record.trace_id), ("span_id", record.span_id)] {
        if !id.is_empty() {
            let _ = write!(text, " {name}={}", hex::encode(id));
        }
    }
    text
}

fn of_resource(resource: &Resource<'_>) -> String {
    match resource.attributes.is_empty() {
        true => String::new(),
        false => format!(" resource={}", attributes(&resource.attributes)),
    }
}

fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => line.push(c),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    Cow::Owned(line)
}

fn span_text(span: &Span<'_>) -> String {
    let nanos = span.end_unix_nano.saturating_sub(span.start_unix_nano);
    let duration = std::time::Duration::from_nanos(nanos);
    let (trace, id) = (hex::encode(span.trace_id), hex::encode(span.span_id));
    let attributes = attributes(&span.attributes);
    format!(
        "{} trace_id={trace} span_id={id} duration={duration:?} {attributes}",
        span.name
    )
}

fn point_texts(metric: &Metric<'_>, mut each: impl FnMut(String)) {
    let name = &metric.name;
    let mut put = |list: &[KeyValue<'_>], value: String| {
        each(format!("{name}{} {value}", attributes(list)));
    };
    match &metric.data {
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            for point in points {
                let value = match point.value {
                    Number::Int(value) => value.to_string(),
                    Number::Double(value) => value.to_string(),
                };
                put(&point.attributes, value);
            }
        }
        MetricData::Histogram { points, .. } => {
            for point in points {
                put(&point.attributes, summary(point.count, point.sum));
            }
        }
        MetricData::ExponentialHistogram { points, .. } => {
            for point in points {
                put(&point.attributes, summary(point.count, point.sum));
            }
        }
        MetricData::Summary(points) => {
            for point in points {
                put(&point.attributes, summary(point.count, Some(point.sum)));
            }
        }
        MetricData::Empty => {}
    }
}

fn summary(count: u64, sum: Option<f64>) -> String {
    match sum {
        Some(sum) => format!("count={count} sum={sum}"),
        None => format!("count={count}"),
    }
}

fn attributes(list: &[KeyValue<'_>]) -> String {
    let mut text = String::from("{");
    for (index, attribute) in list.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let value = attribute.value.to_text();
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{}={value:?}", attribute.key);
    }
    text.push('}');
    text
}
