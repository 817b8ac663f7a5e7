//! The native part of a `Histogram` message.

use vervet_wire::protobuf::{Field, Reader};

use super::exemplars::ExemplarRoom;
use super::{ITEMS_MAX, Refused, double, too_many};
use crate::point::{Buckets, Count, Counts, NativeHistogram, Span};

mod field {
    pub(super) const COUNT: u32 = 1;
    pub(super) const COUNT_FLOAT: u32 = 4;
    pub(super) const SCHEMA: u32 = 5;
    pub(super) const ZERO_THRESHOLD: u32 = 6;
    pub(super) const ZERO_COUNT: u32 = 7;
    pub(super) const ZERO_COUNT_FLOAT: u32 = 8;
    pub(super) const NEGATIVE_SPAN: u32 = 9;
    pub(super) const NEGATIVE_DELTA: u32 = 10;
    pub(super) const NEGATIVE_COUNT: u32 = 11;
    pub(super) const POSITIVE_SPAN: u32 = 12;
    pub(super) const POSITIVE_DELTA: u32 = 13;
    pub(super) const POSITIVE_COUNT: u32 = 14;
    pub(super) const EXEMPLAR: u32 = 16;
}

/// A native histogram put together.
#[derive(Debug, Default)]
pub(super) struct Native {
    schema: i32,
    count: u64,
    count_float: f64,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    negative: Side,
    positive: Side,
    exemplars: ExemplarRoom,
}

#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    /// Counts by themselves, from deltas.
    integers: Vec<i64>,
    floats: Vec<f64>,
}

impl Native {
    pub(super) fn clear(&mut self) {
        (self.schema, self.count, self.zero_count) = (0, 0, 0);
        self.count_float = 0.0;
        self.zero_threshold = 0.0;
        self.zero_count_float = 0.0;
        self.negative.clear();
        self.positive.clear();
        self.exemplars.clear();
    }

    pub(super) fn read(&mut self, number: u32, value: Field<'_>) -> Result<(), Refused> {
        match number {
            field::COUNT => self.count = value.varint(number)?,
            field::COUNT_FLOAT => self.count_float = double(value, number)?,
            field::SCHEMA => {
                let schema = zigzag(value.varint(number)?);
                self.schema = i32::try_from(schema)
                    .map_err(|_out| Refused::Text(format!("invalid schema {schema}")))?;
            }
            field::ZERO_THRESHOLD => self.zero_threshold = double(value, number)?,
            field::ZERO_COUNT => self.zero_count = value.varint(number)?,
            field::ZERO_COUNT_FLOAT => self.zero_count_float = double(value, number)?,
            field::NEGATIVE_SPAN => self.negative.push_span(value.bytes(number)?)?,
            field::NEGATIVE_DELTA => self.negative.push_deltas(number, value)?,
            field::NEGATIVE_COUNT => self.negative.push_counts(number, value)?,
            field::POSITIVE_SPAN => self.positive.push_span(value.bytes(number)?)?,
            field::POSITIVE_DELTA => self.positive.push_deltas(number, value)?,
            field::POSITIVE_COUNT => self.positive.push_counts(number, value)?,
            field::EXEMPLAR => self.exemplars.read(value.bytes(number)?)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether there is a native part. One without observations says so by an empty span.
    pub(super) fn is_native(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
            || self.zero_count_float > 0.0
    }

    fn is_float(&self) -> bool {
        self.count_float > 0.0 || self.zero_count_float > 0.0
    }

    pub(super) fn schema(&self) -> i32 {
        self.schema
    }

    pub(super) fn zero_threshold(&self) -> f64 {
        self.zero_threshold
    }

    pub(super) fn exemplars(&self) -> &ExemplarRoom {
        &self.exemplars
    }

    pub(super) fn count(&self) -> Count {
        match self.is_float() {
            true => Count::Float(self.count_float),
            false => Count::Integer(self.count),
        }
    }

    pub(super) fn zero_count(&self) -> Count {
        match self.is_float() {
            true => Count::Float(self.zero_count_float),
            false => Count::Integer(self.zero_count),
        }
    }

    pub(super) fn positive(&self) -> Buckets<'_> {
        self.positive.buckets(self.is_float())
    }

    pub(super) fn negative(&self) -> Buckets<'_> {
        self.negative.buckets(self.is_float())
    }
}

impl Side {
    fn clear(&mut self) {
        self.spans.clear();
        self.integers.clear();
        self.floats.clear();
    }

    fn buckets(&self, is_float: bool) -> Buckets<'_> {
        Buckets {
            spans: &self.spans,
            counts: match is_float {
                true => Counts::Float(&self.floats),
                false => Counts::Integer(&self.integers),
            },
        }
    }

    fn push_span(&mut self, message: &[u8]) -> Result<(), Refused> {
        if self.spans.len() >= ITEMS_MAX {
            return Err(too_many("spans"));
        }
        let mut span = Span::default();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            let out_of_range = |_out| Refused::Text("invalid span".to_owned());
            match number {
                1 => {
                    span.offset =
                        i32::try_from(zigzag(field.varint(number)?)).map_err(out_of_range)?;
                }
                2 => span.length = u32::try_from(field.varint(number)?).map_err(out_of_range)?,
                _ => {}
            }
        }
        self.spans.push(span);
        Ok(())
    }

    fn push_deltas(&mut self, number: u32, field: Field<'_>) -> Result<(), Refused> {
        let Field::Bytes(packed) = field else {
            return self.push_delta(field.varint(number)?);
        };
        let mut reader = Reader::new(packed);
        while !reader.is_empty() {
            self.push_delta(reader.varint()?)?;
        }
        Ok(())
    }

    fn push_delta(&mut self, wire: u64) -> Result<(), Refused> {
        if self.integers.len() >= ITEMS_MAX {
            return Err(too_many("buckets"));
        }
        let before = self.integers.last().copied().unwrap_or(0);
        let count = before.wrapping_add(zigzag(wire));
        self.integers.push(count);
        Ok(())
    }

    fn push_counts(&mut self, number: u32, field: Field<'_>) -> Result<(), Refused> {
        let mut push = |bits: u64| match self.floats.len() >= ITEMS_MAX {
            true => Err(too_many("buckets")),
            false => {
                self.floats.push(f64::from_bits(bits));
                Ok(())
            }
        };
        let Field::Bytes(packed) = field else {
            return push(field.fixed64(number)?);
        };
        let mut reader = Reader::new(packed);
        while !reader.is_empty() {
            push(reader.fixed64()?)?;
        }
        Ok(())
    }
}

/// Whether a histogram is what Prometheus would store.
pub(super) fn check(histogram: &NativeHistogram<'_>) -> Result<(), Refused> {
    let mut observed = match histogram.zero_count {
        Count::Integer(count) => i128::from(count),
        Count::Float(_) => 0,
    };
    for buckets in [histogram.positive, histogram.negative] {
        check_spans(buckets)?;
        match buckets.counts {
            Counts::Integer(counts) => {
                check_counts(counts.iter().map(|count| *count < 0))?;
                observed += counts.iter().map(|count| i128::from(*count)).sum::<i128>();
            }
            Counts::Float(counts) => check_counts(counts.iter().map(|count| *count < 0.0))?,
        }
    }
    let Count::Integer(count) = histogram.count else {
        return Ok(());
    };
    // Observations that are no numbers are in no bucket.
    let fits = match histogram.sum.is_nan() {
        true => observed <= i128::from(count),
        false => observed == i128::from(count),
    };
    if fits {
        return Ok(());
    }
    Err(Refused::Text(format!(
        "{observed} observations found in buckets, but the Count field is {count}"
    )))
}

fn check_spans(buckets: Buckets<'_>) -> Result<(), Refused> {
    let lengths = buckets.spans.iter().map(|span| u64::from(span.length));
    let (needed, have) = (lengths.sum::<u64>(), buckets.counts.len());
    if needed != have as u64 {
        let message = format!("spans need {needed} buckets, have {have} buckets");
        return Err(Refused::Text(message));
    }
    let mut later = buckets.spans.iter().enumerate().skip(1);
    match later.find(|(_at, span)| span.offset < 0) {
        Some((at, span)) => {
            let offset = span.offset;
            let message = format!("span number {} with offset {offset}", at + 1);
            Err(Refused::Text(message))
        }
        None => Ok(()),
    }
}

fn check_counts(negative: impl Iterator<Item = bool>) -> Result<(), Refused> {
    match negative.enumerate().find(|(_at, negative)| *negative) {
        Some((at, _)) => {
            let message = format!("bucket number {} has a negative count", at + 1);
            Err(Refused::Text(message))
        }
        None => Ok(()),
    }
}

fn zigzag(wire: u64) -> i64 {
    (wire >> 1).cast_signed() ^ -(wire & 1).cast_signed()
}
