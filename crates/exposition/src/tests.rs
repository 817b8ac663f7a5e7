//! Bodies as texts of what is read from them.

use std::fmt::Write as _;

use crate::{
    Buckets, Count, Counts, Exemplar, Format, Labels, Limits, Metadata, NativeHistogram,
    ParseError, Parser, Sample, SeriesLabels, Sink,
};

mod negotiate;
mod openmetrics;
mod protobuf;
mod render;
mod round_trip;
mod text;

/// What was handed out, an entry a line.
#[derive(Debug, Default)]
struct Seen {
    entries: Vec<String>,
}

fn labels_text(labels: &Labels<'_>) -> String {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| format!("{name}={value:?}"));
    labels.collect::<Vec<_>>().join(",")
}

fn series_text(labels: Option<SeriesLabels<'_>>) -> String {
    let labels = labels.expect("this sink knows no series");
    let list = labels.iter();
    let list = list.map(|(name, value)| format!("{name}={value:?}"));
    let list = list.collect::<Vec<_>>().join(",");
    format!("{}{{{list}}}", labels.name())
}

fn exemplar_text(exemplar: &Exemplar<'_>) -> String {
    let mut text = format!(
        " # {{{}}} {}",
        labels_text(&exemplar.labels),
        exemplar.value
    );
    if let Some(time) = exemplar.timestamp_ms {
        let _infallible = write!(text, " @{time}");
    }
    text
}

fn times_text(timestamp_ms: Option<i64>, start_ms: Option<i64>) -> String {
    let mut text = String::new();
    if let Some(time) = timestamp_ms {
        let _infallible = write!(text, " @{time}");
    }
    if let Some(start) = start_ms {
        let _infallible = write!(text, " since {start}");
    }
    text
}

fn count_text(count: Count) -> String {
    match count {
        Count::Integer(count) => count.to_string(),
        Count::Float(count) => format!("{count:?}"),
    }
}

fn buckets_text(buckets: Buckets<'_>) -> String {
    let spans = buckets.spans.iter();
    let spans = spans.map(|span| format!("{}+{}", span.offset, span.length));
    let counts = match buckets.counts {
        Counts::Integer(counts) => format!("{counts:?}"),
        Counts::Float(counts) => format!("{counts:?}"),
    };
    format!("{}{counts}", spans.collect::<Vec<_>>().join(" "))
}

impl Sink for Seen {
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        self.entries.push(match metadata {
            Metadata::Kind(kind) => format!("type {family} {}", kind.as_str()),
            Metadata::Help(help) => format!("help {family} {help:?}"),
            Metadata::Unit(unit) => format!("unit {family} {unit:?}"),
        });
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        let mut text = format!("{} {}", series_text(sample.labels), sample.value);
        text.push_str(&times_text(sample.timestamp_ms, sample.start_ms));
        if let Some(exemplar) = &sample.exemplar {
            text.push_str(&exemplar_text(exemplar));
        }
        self.entries.push(text);
        Ok(())
    }

    fn histogram(&mut self, histogram: &NativeHistogram<'_>) -> Result<(), String> {
        let mut text = format!(
            "{} schema {} count {} sum {} zero {} {} positive {} negative {}{}",
            series_text(histogram.labels),
            histogram.schema,
            count_text(histogram.count),
            histogram.sum,
            histogram.zero_threshold,
            count_text(histogram.zero_count),
            buckets_text(histogram.positive),
            buckets_text(histogram.negative),
            times_text(histogram.timestamp_ms, histogram.start_ms),
        );
        if histogram.is_gauge {
            text.push_str(" gauge");
        }
        for exemplar in histogram.exemplars {
            text.push_str(&exemplar_text(exemplar));
        }
        self.entries.push(text);
        Ok(())
    }
}

/// Reads a body in pieces of this size.
fn parse_pieces(parser: Parser, body: &[u8], piece: usize) -> Result<Vec<String>, ParseError> {
    let (mut parser, mut seen) = (parser, Seen::default());
    for piece in body.chunks(piece) {
        parser.feed(piece, &mut seen)?;
    }
    parser.finish(&mut seen)?;
    Ok(seen.entries)
}

/// Reads a body, which comes to the same in pieces of any size.
fn parse(format: Format, body: &[u8]) -> Result<Vec<String>, ParseError> {
    let new = || Parser::new(format, Limits::default());
    let whole = parse_pieces(new(), body, body.len().max(1));
    for piece in [1, 2, 7] {
        assert_eq!(parse_pieces(new(), body, piece), whole, "pieces of {piece}");
    }
    whole
}

#[track_caller]
fn check(format: Format, body: &str, expected: &[&str]) {
    let seen = parse(format, body.as_bytes()).expect(body);
    assert_eq!(seen, expected, "{body}");
}

/// The error that a body ends with.
#[track_caller]
fn refused(format: Format, body: &str) -> String {
    let error = parse(format, body.as_bytes()).expect_err(body);
    error.to_string()
}
