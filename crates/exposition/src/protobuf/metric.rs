//! One `Metric` message: what it says, and the samples that become of it.

use vervet_model::number::format_open_metrics;
use vervet_wire::protobuf::Reader;
use vervet_wire::remote_write::Kind;

use super::exemplars::{ExemplarRoom, LabelRoom};
use super::native::{self, Native};
use super::{Family, Refused, double, timestamp_ms};
use crate::point::{Count, Labels, NativeHistogram, Sample, SeriesLabels, Sink};

mod field {
    pub(super) const LABEL: u32 = 1;
    pub(super) const GAUGE: u32 = 2;
    pub(super) const COUNTER: u32 = 3;
    pub(super) const SUMMARY: u32 = 4;
    pub(super) const UNTYPED: u32 = 5;
    pub(super) const TIMESTAMP_MS: u32 = 6;
    pub(super) const HISTOGRAM: u32 = 7;
}

/// Parts the name of a family in a series' key; no name contains it.
const KEY_SEPARATOR: u8 = 0xff;

/// A metric put together. The room it takes is kept for the next.
#[derive(Debug, Default)]
pub(super) struct Metric {
    /// The `LabelPair` fields as they stand in the message.
    raw_labels: Vec<u8>,
    timestamp_ms: Option<i64>,
    start_ms: Option<i64>,
    count: f64,
    sum: f64,
    /// Of a counter, gauge or untyped metric.
    value: f64,
    /// Bounds or quantiles with their values, and whether an exemplar belongs to them.
    parts: Vec<Part>,
    /// Of the counter and the parts, in their order.
    exemplars: ExemplarRoom,
    native: Native,
    key: Vec<u8>,
    labels: LabelRoom,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    number: f64,
    value: f64,
    has_exemplar: bool,
}

/// Which series of a metric.
#[derive(Debug, Clone, Copy)]
enum Series {
    Own,
    Count,
    Sum,
    Quantile(f64),
    Bucket(f64),
}

impl Series {
    fn suffix(self) -> &'static str {
        match self {
            Self::Own | Self::Quantile(_) => "",
            Self::Count => "_count",
            Self::Sum => "_sum",
            Self::Bucket(_) => "_bucket",
        }
    }

    /// Told apart from all others of the same metric.
    fn tag(self) -> (u8, u64) {
        match self {
            Self::Own => (0, 0),
            Self::Count => (1, 0),
            Self::Sum => (2, 0),
            Self::Quantile(quantile) => (3, quantile.to_bits()),
            Self::Bucket(bound) => (4, bound.to_bits()),
        }
    }
}

impl Metric {
    fn clear(&mut self) {
        self.raw_labels.clear();
        self.timestamp_ms = None;
        self.start_ms = None;
        (self.count, self.sum, self.value) = (0.0, 0.0, 0.0);
        self.parts.clear();
        self.exemplars.clear();
        self.native.clear();
    }

    pub(super) fn read(&mut self, family: Family<'_>, message: &[u8]) -> Result<(), Refused> {
        self.clear();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.next_field()? {
            match (number, family.kind) {
                (field::LABEL, _) => self.raw_labels.extend_from_slice(reader.raw()),
                (field::TIMESTAMP_MS, _) => {
                    let millis = value.varint(number)?.cast_signed();
                    self.timestamp_ms = (millis != 0).then_some(millis);
                }
                (field::GAUGE, Kind::Gauge) | (field::UNTYPED, Kind::Unknown) => {
                    self.read_number(value.bytes(number)?, false)?;
                }
                (field::COUNTER, Kind::Counter) => self.read_number(value.bytes(number)?, true)?,
                (field::SUMMARY, Kind::Summary) => self.read_summary(value.bytes(number)?)?,
                (field::HISTOGRAM, Kind::Histogram | Kind::GaugeHistogram) => {
                    self.read_histogram(value.bytes(number)?)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_number(&mut self, message: &[u8], counts: bool) -> Result<(), Refused> {
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                1 => self.value = double(field, number)?,
                2 if counts => self.exemplars.read(field.bytes(number)?)?,
                3 if counts => self.start_ms = Some(timestamp_ms(field.bytes(number)?)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_summary(&mut self, message: &[u8]) -> Result<(), Refused> {
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                1 => self.count = float(field.varint(number)?),
                2 => self.sum = double(field, number)?,
                3 => self.read_part(field.bytes(number)?, false)?,
                4 => self.start_ms = Some(timestamp_ms(field.bytes(number)?)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_histogram(&mut self, message: &[u8]) -> Result<(), Refused> {
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                2 => self.sum = double(field, number)?,
                3 => self.read_part(field.bytes(number)?, true)?,
                15 => self.start_ms = Some(timestamp_ms(field.bytes(number)?)?),
                _ => self.native.read(number, field)?,
            }
        }
        self.count = match self.native.count() {
            Count::Integer(count) => float(count),
            Count::Float(count) => count,
        };
        Ok(())
    }

    /// A `Quantile`, or a `Bucket`, whose numbers stand in another order.
    fn read_part(&mut self, message: &[u8], is_bucket: bool) -> Result<(), Refused> {
        if self.parts.len() >= super::ITEMS_MAX {
            return Err(super::too_many("buckets"));
        }
        let mut part = Part {
            number: 0.0,
            value: 0.0,
            has_exemplar: false,
        };
        let (mut whole, mut float_count) = (0, 0.0);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match (number, is_bucket) {
                (1, false) | (2, true) => part.number = double(field, number)?,
                (2, false) => part.value = double(field, number)?,
                (1, true) => whole = field.varint(number)?,
                (4, true) => float_count = double(field, number)?,
                (3, true) => {
                    self.exemplars.read(field.bytes(number)?)?;
                    part.has_exemplar = true;
                }
                _ => {}
            }
        }
        if is_bucket {
            part.value = if float_count == 0.0 {
                float(whole)
            } else {
                float_count
            };
        }
        self.parts.push(part);
        Ok(())
    }

    /// Hands out what the metric consists of.
    pub(super) fn hand_out<S: Sink>(
        &mut self,
        family: Family<'_>,
        native: bool,
        classic_of_native: bool,
        sink: &mut S,
    ) -> Result<(), Refused> {
        match family.kind {
            Kind::Summary => {
                self.sample(family, Series::Count, self.count, None, sink)?;
                self.sample(family, Series::Sum, self.sum, None, sink)?;
                for at in 0..self.parts.len() {
                    if let Some(part) = self.parts.get(at).copied() {
                        let series = Series::Quantile(part.number);
                        self.sample(family, series, part.value, None, sink)?;
                    }
                }
                Ok(())
            }
            Kind::Histogram | Kind::GaugeHistogram => {
                let is_native = native && self.native.is_native();
                if is_native {
                    self.hand_out_native(family, sink)?;
                }
                let has_classic = !is_native || (classic_of_native && !self.parts.is_empty());
                match has_classic {
                    true => self.hand_out_classic(family, sink),
                    false => Ok(()),
                }
            }
            _ => self.sample(family, Series::Own, self.value, Some(0), sink),
        }
    }

    fn hand_out_classic<S: Sink>(
        &mut self,
        family: Family<'_>,
        sink: &mut S,
    ) -> Result<(), Refused> {
        self.sample(family, Series::Count, self.count, None, sink)?;
        self.sample(family, Series::Sum, self.sum, None, sink)?;
        let mut exemplar = 0;
        for at in 0..self.parts.len() {
            let Some(part) = self.parts.get(at).copied() else {
                break;
            };
            let own = part.has_exemplar.then_some(exemplar);
            exemplar += usize::from(part.has_exemplar);
            let series = Series::Bucket(part.number);
            self.sample(family, series, part.value, own, sink)?;
            if part.number == f64::INFINITY {
                return Ok(());
            }
        }
        let rest = Series::Bucket(f64::INFINITY);
        self.sample(family, rest, self.count, None, sink)
    }

    /// Hands out one sample, with the exemplar of this place.
    fn sample<S: Sink>(
        &mut self,
        family: Family<'_>,
        series: Series,
        value: f64,
        exemplar: Option<usize>,
        sink: &mut S,
    ) -> Result<(), Refused> {
        let is_known = self.is_known(family, series, sink)?;
        let exemplar = exemplar.and_then(|at| self.exemplars.iter().nth(at));
        let sample = Sample {
            series: &self.key,
            labels: (!is_known).then(|| self.series_labels(family)),
            value,
            timestamp_ms: self.timestamp_ms,
            start_ms: self.start_ms,
            exemplar,
        };
        sink.sample(&sample).map_err(Refused::Text)
    }

    fn hand_out_native<S: Sink>(
        &mut self,
        family: Family<'_>,
        sink: &mut S,
    ) -> Result<(), Refused> {
        let is_known = self.is_known(family, Series::Own, sink)?;
        let own = self.native.exemplars();
        let exemplars: Vec<_> = match own.iter().next() {
            Some(_) => own.iter().collect(),
            None => self.exemplars.iter().collect(),
        };
        let timed = exemplars.into_iter();
        let timed: Vec<_> = timed.filter(|one| one.timestamp_ms.is_some()).collect();
        let histogram = NativeHistogram {
            series: &self.key,
            labels: (!is_known).then(|| self.series_labels(family)),
            timestamp_ms: self.timestamp_ms,
            start_ms: self.start_ms,
            is_gauge: family.kind == Kind::GaugeHistogram,
            schema: self.native.schema(),
            count: self.native.count(),
            sum: self.sum,
            zero_threshold: self.native.zero_threshold(),
            zero_count: self.native.zero_count(),
            positive: self.native.positive(),
            negative: self.native.negative(),
            exemplars: &timed,
        };
        native::check(&histogram)?;
        sink.histogram(&histogram).map_err(Refused::Text)
    }

    /// Writes the key of a series and, unless the sink knows it, its labels.
    fn is_known<S: Sink>(
        &mut self,
        family: Family<'_>,
        series: Series,
        sink: &mut S,
    ) -> Result<bool, Refused> {
        let (tag, number) = series.tag();
        self.key.clear();
        self.key.extend_from_slice(family.name.as_bytes());
        self.key.extend_from_slice(&[KEY_SEPARATOR, tag]);
        self.key.extend_from_slice(&number.to_le_bytes());
        self.key.extend_from_slice(&self.raw_labels);
        if sink.known_series(&self.key) {
            return Ok(true);
        }
        self.labels.clear();
        self.labels.push(family.name);
        self.labels.push(series.suffix());
        let mut reader = Reader::new(&self.raw_labels);
        while let Some((number, field)) = reader.next_field()? {
            self.labels.read_label(field.bytes(number)?)?;
        }
        match series {
            Series::Quantile(number) => {
                let number = format_open_metrics(number);
                self.labels.push_label("quantile", &number)?;
            }
            Series::Bucket(number) => self.labels.push_label("le", &format_open_metrics(number))?,
            Series::Own | Series::Count | Series::Sum => {}
        }
        Ok(false)
    }

    fn series_labels(&self, family: Family<'_>) -> SeriesLabels<'_> {
        let first = self.labels.spans.first();
        let name_end = first.map_or(self.labels.text.len(), |label| label.name.range().start);
        SeriesLabels {
            text: &self.labels.text,
            name: crate::labels::TextSpan::new(0, name_end),
            labels: Labels {
                text: &self.labels.text,
                spans: &self.labels.spans,
                escaped: false,
            },
            kind: family.kind,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "samples are 64-bit floats, as in Prometheus"
)]
fn float(count: u64) -> f64 {
    count as f64
}
