//! The five kinds of data points. Times are nanoseconds since the epoch, 0 meaning unset.

use std::borrow::Cow;

use crate::otlp::value::{KeyValue, keep, push_item, read_key_value, write_attributes};
use crate::protobuf::{DecodeError, Field, Reader, Writer};

/// Set in a point's flags when it carries no value: the series has ended.
const FLAG_NO_RECORDED_VALUE: u32 = 1;

/// The value of a number point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    /// The value as a sample; integers beyond 2^53 lose their lowest bits.
    #[expect(
        clippy::cast_precision_loss,
        reason = "samples are 64-bit floats, as in Prometheus"
    )]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// A point of a gauge or sum.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_unix_nano: u64,
    pub time_unix_nano: u64,
    pub value: Number,
    /// The point carries no value, as one that marks the end of its series.
    pub has_no_value: bool,
    pub flags: u32,
    /// Fields this view does not name, as they stand on the wire; exemplars among them.
    pub rest: Cow<'a, [u8]>,
}

impl Default for NumberPoint<'_> {
    fn default() -> Self {
        Self {
            attributes: Vec::new(),
            start_unix_nano: 0,
            time_unix_nano: 0,
            value: Number::Double(0.0),
            has_no_value: false,
            flags: 0,
            rest: Cow::default(),
        }
    }
}

impl<'a> NumberPoint<'a> {
    /// Reads a `NumberDataPoint` message.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        read_number_point(message)
    }
}

impl NumberPoint<'_> {
    /// The flags of a point that marks the end of its series.
    pub const NO_RECORDED_VALUE: u32 = FLAG_NO_RECORDED_VALUE;

    /// Whether the point only marks the end of its series.
    pub fn no_recorded_value(&self) -> bool {
        self.flags & FLAG_NO_RECORDED_VALUE != 0
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.raw(&self.rest);
        w.fixed64(2, self.start_unix_nano);
        w.fixed64(3, self.time_unix_nano);
        match self.value {
            _ if self.has_no_value => {}
            Number::Double(value) => w.fixed64_always(4, value.to_bits()),
            Number::Int(value) => w.fixed64_always(6, value.cast_unsigned()),
        }
        write_attributes(w, 7, &self.attributes);
        w.varint(8, u64::from(self.flags));
    }
}

/// A point of a histogram with explicit bounds: one more bucket count than bounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub bucket_counts: Vec<u64>,
    pub explicit_bounds: Vec<f64>,
    pub flags: u32,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Fields this view does not name, as they stand on the wire; exemplars among them.
    pub rest: Cow<'a, [u8]>,
}

impl HistogramPoint<'_> {
    /// Whether the point only marks the end of its series.
    pub fn no_recorded_value(&self) -> bool {
        self.flags & FLAG_NO_RECORDED_VALUE != 0
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.raw(&self.rest);
        w.fixed64(2, self.start_unix_nano);
        w.fixed64(3, self.time_unix_nano);
        w.fixed64(4, self.count);
        write_optional(w, 5, self.sum);
        w.packed_fixed64(6, self.bucket_counts.iter().copied());
        w.packed_fixed64(7, self.explicit_bounds.iter().map(|bound| bound.to_bits()));
        write_attributes(w, 9, &self.attributes);
        w.varint(10, u64::from(self.flags));
        write_optional(w, 11, self.min);
        write_optional(w, 12, self.max);
    }
}

/// One side of an exponential histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExponentialBuckets {
    pub offset: i32,
    pub bucket_counts: Vec<u64>,
}

/// A point of a base-2 exponential histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExponentialHistogramPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
    pub flags: u32,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub zero_threshold: f64,
    /// Fields this view does not name, as they stand on the wire; exemplars among them.
    pub rest: Cow<'a, [u8]>,
}

impl ExponentialHistogramPoint<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.raw(&self.rest);
        write_attributes(w, 1, &self.attributes);
        w.fixed64(2, self.start_unix_nano);
        w.fixed64(3, self.time_unix_nano);
        w.fixed64(4, self.count);
        write_optional(w, 5, self.sum);
        w.sint32(6, self.scale);
        w.fixed64(7, self.zero_count);
        write_buckets(w, 8, &self.positive);
        write_buckets(w, 9, &self.negative);
        w.varint(10, u64::from(self.flags));
        write_optional(w, 12, self.min);
        write_optional(w, 13, self.max);
        w.fixed64(14, self.zero_threshold.to_bits());
    }
}

/// A point of a summary: `(quantile, value)` pairs computed by the client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SummaryPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: f64,
    pub quantiles: Vec<(f64, f64)>,
    pub flags: u32,
    /// Fields this view does not name, as they stand on the wire.
    pub rest: Cow<'a, [u8]>,
}

impl SummaryPoint<'_> {
    /// Whether the point only marks the end of its series.
    pub fn no_recorded_value(&self) -> bool {
        self.flags & FLAG_NO_RECORDED_VALUE != 0
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.raw(&self.rest);
        w.fixed64(2, self.start_unix_nano);
        w.fixed64(3, self.time_unix_nano);
        w.fixed64(4, self.count);
        w.fixed64(5, self.sum.to_bits());
        for (quantile, value) in &self.quantiles {
            w.message(6, |w| {
                w.fixed64(1, quantile.to_bits());
                w.fixed64(2, value.to_bits());
            });
        }
        write_attributes(w, 7, &self.attributes);
        w.varint(8, u64::from(self.flags));
    }
}

pub(super) fn read_number_point(message: &[u8]) -> Result<NumberPoint<'_>, DecodeError> {
    let mut point = NumberPoint {
        has_no_value: true,
        ..NumberPoint::default()
    };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            2 => point.start_unix_nano = field.fixed64(number)?,
            3 => point.time_unix_nano = field.fixed64(number)?,
            4 => {
                point.value = Number::Double(f64::from_bits(field.fixed64(number)?));
                point.has_no_value = false;
            }
            6 => {
                point.value = Number::Int(field.fixed64(number)?.cast_signed());
                point.has_no_value = false;
            }
            7 => push_item(&mut point.attributes, read_key_value(field.bytes(number)?)?)?,
            8 => point.flags = read_u32(field, number)?,
            _ => keep(&mut point.rest, message, reader.raw()),
        }
    }
    Ok(point)
}

pub(super) fn read_histogram_point(message: &[u8]) -> Result<HistogramPoint<'_>, DecodeError> {
    let mut point = HistogramPoint::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            2 => point.start_unix_nano = field.fixed64(number)?,
            3 => point.time_unix_nano = field.fixed64(number)?,
            4 => point.count = field.fixed64(number)?,
            5 => point.sum = Some(f64::from_bits(field.fixed64(number)?)),
            6 => read_fixed64_list(field, number, &mut point.bucket_counts, |bits| bits)?,
            7 => read_fixed64_list(field, number, &mut point.explicit_bounds, f64::from_bits)?,
            9 => push_item(&mut point.attributes, read_key_value(field.bytes(number)?)?)?,
            10 => point.flags = read_u32(field, number)?,
            11 => point.min = Some(f64::from_bits(field.fixed64(number)?)),
            12 => point.max = Some(f64::from_bits(field.fixed64(number)?)),
            _ => keep(&mut point.rest, message, reader.raw()),
        }
    }
    Ok(point)
}

pub(super) fn read_exponential_histogram_point(
    message: &[u8],
) -> Result<ExponentialHistogramPoint<'_>, DecodeError> {
    let mut point = ExponentialHistogramPoint::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => push_item(&mut point.attributes, read_key_value(field.bytes(number)?)?)?,
            2 => point.start_unix_nano = field.fixed64(number)?,
            3 => point.time_unix_nano = field.fixed64(number)?,
            4 => point.count = field.fixed64(number)?,
            5 => point.sum = Some(f64::from_bits(field.fixed64(number)?)),
            6 => point.scale = read_sint32(field, number)?,
            7 => point.zero_count = field.fixed64(number)?,
            8 | 9 => {
                let buckets = read_buckets(field.bytes(number)?)?;
                if buckets == ExponentialBuckets::default() {
                    // Present, though it says nothing.
                    keep(&mut point.rest, message, reader.raw());
                } else if number == 8 {
                    point.positive = buckets;
                } else {
                    point.negative = buckets;
                }
            }
            10 => point.flags = read_u32(field, number)?,
            12 => point.min = Some(f64::from_bits(field.fixed64(number)?)),
            13 => point.max = Some(f64::from_bits(field.fixed64(number)?)),
            14 => point.zero_threshold = f64::from_bits(field.fixed64(number)?),
            _ => keep(&mut point.rest, message, reader.raw()),
        }
    }
    Ok(point)
}

fn read_buckets(message: &[u8]) -> Result<ExponentialBuckets, DecodeError> {
    let mut buckets = ExponentialBuckets::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match (number, field) {
            (1, _) => buckets.offset = read_sint32(field, number)?,
            (2, Field::Varint(count)) => buckets.bucket_counts.push(count),
            (2, _) => {
                let mut packed = Reader::new(field.bytes(number)?);
                while !packed.is_empty() {
                    buckets.bucket_counts.push(packed.varint()?);
                }
            }
            _ => {}
        }
    }
    Ok(buckets)
}

pub(super) fn read_summary_point(message: &[u8]) -> Result<SummaryPoint<'_>, DecodeError> {
    let mut point = SummaryPoint::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            2 => point.start_unix_nano = field.fixed64(number)?,
            3 => point.time_unix_nano = field.fixed64(number)?,
            4 => point.count = field.fixed64(number)?,
            5 => point.sum = f64::from_bits(field.fixed64(number)?),
            6 => point.quantiles.push(read_quantile(field.bytes(number)?)?),
            7 => push_item(&mut point.attributes, read_key_value(field.bytes(number)?)?)?,
            8 => point.flags = read_u32(field, number)?,
            _ => keep(&mut point.rest, message, reader.raw()),
        }
    }
    Ok(point)
}

fn read_quantile(message: &[u8]) -> Result<(f64, f64), DecodeError> {
    let mut pair = (0.0, 0.0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => pair.0 = f64::from_bits(field.fixed64(number)?),
            2 => pair.1 = f64::from_bits(field.fixed64(number)?),
            _ => {}
        }
    }
    Ok(pair)
}

fn read_u32(field: Field<'_>, number: u32) -> Result<u32, DecodeError> {
    Ok(u32::try_from(field.varint(number)?).unwrap_or(u32::MAX))
}

fn read_sint32(field: Field<'_>, number: u32) -> Result<i32, DecodeError> {
    let zigzag =
        u32::try_from(field.varint(number)?).map_err(|_too_large| DecodeError::VarintTooLong)?;
    Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

/// A repeated 64-bit field: packed, as proto3 writes it, or one by one, as it must also be read.
fn read_fixed64_list<T>(
    field: Field<'_>,
    number: u32,
    list: &mut Vec<T>,
    convert: impl Fn(u64) -> T,
) -> Result<(), DecodeError> {
    if let Field::Fixed64(bits) = field {
        list.push(convert(bits));
        return Ok(());
    }
    let packed = field.bytes(number)?;
    list.reserve(packed.len() / 8);
    let mut reader = Reader::new(packed);
    while !reader.is_empty() {
        list.push(convert(reader.fixed64()?));
    }
    Ok(())
}

fn write_optional(w: &mut Writer<'_>, field: u32, value: Option<f64>) {
    if let Some(value) = value {
        w.fixed64_always(field, value.to_bits());
    }
}

fn write_buckets(w: &mut Writer<'_>, field: u32, buckets: &ExponentialBuckets) {
    if *buckets == ExponentialBuckets::default() {
        return;
    }
    w.message(field, |w| {
        w.sint32(1, buckets.offset);
        w.packed_varint(2, &buckets.bucket_counts);
    });
}
