//! What is handed out: views that borrow from the piece of the body they stand in.

use std::borrow::Cow;

use vervet_model::number::format_open_metrics;
use vervet_wire::remote_write::Kind;

use crate::labels::{LabelSpan, TextSpan, unescaped};
use crate::number::parse_float;

/// Takes what a body consists of, in its order.
pub trait Sink {
    /// How many bytes at the beginning of `line` name a series that the sink knows, with the labels as they are written;
    /// 0 when none do. Such a sample comes without labels. More than a series' bytes must not be told.
    fn known_line(&mut self, line: &[u8]) -> usize {
        let _unknown = line;
        0
    }

    /// Whether `series` are the bytes that an earlier sample or histogram of protobuf had for its name.
    fn known_series(&mut self, series: &[u8]) -> bool {
        let _unknown = series;
        false
    }

    /// Something about the family of this name, before its samples.
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        let _ignored = (family, metadata);
    }

    /// # Errors
    /// The sample makes the body unusable; the text says why.
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), String>;

    /// # Errors
    /// The histogram makes the body unusable; the text says why.
    fn histogram(&mut self, histogram: &NativeHistogram<'_>) -> Result<(), String>;
}

/// What a body says of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata<'a> {
    Kind(Kind),
    Help(&'a str),
    Unit(&'a str),
}

/// One value of one series.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// What names the series, as it was written: the same bytes are the same series.
    pub series: &'a [u8],
    /// `None` when the sink knows the series.
    pub labels: Option<SeriesLabels<'a>>,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    /// Since when the series counts, where the format says it with the sample.
    pub start_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
}

/// The name and labels of a series.
#[derive(Debug, Clone, Copy)]
pub struct SeriesLabels<'a> {
    pub(crate) text: &'a str,
    pub(crate) name: TextSpan,
    pub(crate) labels: Labels<'a>,
    /// What the last `TYPE` said.
    pub(crate) kind: Kind,
}

impl<'a> SeriesLabels<'a> {
    /// The name of the metric; it may be empty.
    pub fn name(&self) -> Cow<'a, str> {
        self.labels.part(self.text, self.name)
    }

    /// Names and values as written, in that order; names may be empty or stand twice. Bounds and quantiles are written
    /// as OpenMetrics has them.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let number = match self.kind {
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
            _ => "",
        };
        self.labels.iter().map(move |(name, value)| {
            let read = match !number.is_empty() && name == number {
                true => parse_float(value.as_bytes()).ok(),
                false => None,
            };
            let value = read.map_or(value, |read| Cow::Owned(format_open_metrics(read)));
            (name, value)
        })
    }
}

/// Names and values.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    pub(crate) text: &'a str,
    pub(crate) spans: &'a [LabelSpan],
    /// Whether backslashes have a meaning.
    pub(crate) escaped: bool,
}

impl<'a> Labels<'a> {
    /// In the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let labels = *self;
        let spans = self.spans.iter();
        spans.map(move |span| {
            let name = labels.part(labels.text, span.name);
            (name, labels.part(labels.text, span.value))
        })
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    fn part(&self, text: &'a str, span: TextSpan) -> Cow<'a, str> {
        let part = text.get(span.range()).unwrap_or_default();
        match self.escaped {
            true => unescaped(part),
            false => Cow::Borrowed(part),
        }
    }
}

/// An example of what was counted.
#[derive(Debug, Clone, Copy)]
pub struct Exemplar<'a> {
    pub labels: Labels<'a>,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
}

/// A native histogram: exponential buckets, of which only those in spans are there.
#[derive(Debug, Clone, Copy)]
pub struct NativeHistogram<'a> {
    /// As of [`Sample`].
    pub series: &'a [u8],
    pub labels: Option<SeriesLabels<'a>>,
    pub timestamp_ms: Option<i64>,
    pub start_ms: Option<i64>,
    /// It may fall without having been reset.
    pub is_gauge: bool,
    /// -4 to 8: a power of two has 2^schema buckets. -53: the bounds are custom ones.
    pub schema: i32,
    pub count: Count,
    pub sum: f64,
    pub zero_threshold: f64,
    pub zero_count: Count,
    pub positive: Buckets<'a>,
    pub negative: Buckets<'a>,
    /// Those with a time.
    pub exemplars: &'a [Exemplar<'a>],
}

/// A count, of a kind for the whole histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Count {
    Integer(u64),
    Float(f64),
}

/// The buckets of one side. The spans hold as many buckets as there are counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Buckets<'a> {
    pub spans: &'a [Span],
    pub counts: Counts<'a>,
}

/// Buckets in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The index of the first bucket, or how many buckets are left out since the last span.
    pub offset: i32,
    pub length: u32,
}

/// The counts of buckets, each by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Counts<'a> {
    Integer(&'a [i64]),
    Float(&'a [f64]),
}

impl Counts<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(counts) => counts.len(),
            Self::Float(counts) => counts.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
