//! `io.prometheus.client.MetricFamily` messages, each with its length before it.
//!
//! Fields are read straight from the message, which is walked twice: what is said of the family may stand behind its
//! metrics. A summary or classic histogram becomes the samples that the text format has for it.

mod exemplars;
mod metric;
mod native;

use std::ops::Range;

use vervet_wire::protobuf::{DecodeError, Field, Reader, seconds_and_nanos};
use vervet_wire::remote_write::Kind;

use crate::error::ParseError;
use crate::openmetrics::ends_with_unit;
use crate::point::{Metadata, Sink};
use metric::Metric;

/// Labels of a series; buckets of a side, spans and exemplars of a native histogram.
const ITEMS_MAX: usize = 1 << 16;
/// Bytes of a length.
const LENGTH_BYTES_MAX: usize = 10;

mod field {
    pub(super) const FAMILY_NAME: u32 = 1;
    pub(super) const FAMILY_HELP: u32 = 2;
    pub(super) const FAMILY_TYPE: u32 = 3;
    pub(super) const FAMILY_METRIC: u32 = 4;
    pub(super) const FAMILY_UNIT: u32 = 5;
}

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Text(String),
}

/// Reads messages; it keeps the room that one of them took for the next.
#[derive(Debug)]
pub(crate) struct Messages {
    pub(crate) classic_of_native: bool,
    pub(crate) native: bool,
    /// Messages read so far.
    pub(crate) read: u64,
    metric: Metric,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            classic_of_native: false,
            native: true,
            read: 0,
            metric: Metric::default(),
        }
    }
}

/// What the metrics of a message share.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Family<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
}

impl Messages {
    /// Where the first message stands; `None` when its length is not all there.
    pub(crate) fn frame(
        &self,
        bytes: &[u8],
        max: usize,
    ) -> Result<Option<Range<usize>>, ParseError> {
        let head = bytes.get(..LENGTH_BYTES_MAX).unwrap_or(bytes);
        let last = head.iter().position(|byte| byte & 0x80 == 0);
        if last.is_none() && head.len() < LENGTH_BYTES_MAX {
            return Ok(None);
        }
        let length = Reader::new(head).varint();
        let length = length.map_err(|error| self.refused(&Refused::Decode(error)))?;
        match usize::try_from(length) {
            Ok(length) if length <= max => {
                let start = last.map_or(0, |last| last + 1);
                Ok(Some(start..start + length))
            }
            _ => Err(ParseError::MessageTooLong {
                message: self.read + 1,
                max,
            }),
        }
    }

    /// Reads the messages that are whole, and returns what follows them.
    pub(crate) fn take<'b, S: Sink>(
        &mut self,
        mut bytes: &'b [u8],
        max: usize,
        sink: &mut S,
    ) -> Result<&'b [u8], ParseError> {
        while let Some(frame) = self.frame(bytes, max)? {
            let rest = bytes.get(frame.end..);
            let (Some(message), Some(rest)) = (bytes.get(frame), rest) else {
                break;
            };
            let read = self.family(message, sink);
            read.map_err(|refused| self.refused(&refused))?;
            self.read += 1;
            bytes = rest;
        }
        Ok(bytes)
    }

    fn refused(&self, refused: &Refused) -> ParseError {
        ParseError::Message {
            message: self.read + 1,
            reason: refused.to_string(),
        }
    }

    fn family<S: Sink>(&mut self, message: &[u8], sink: &mut S) -> Result<(), Refused> {
        let mut family = Family::default();
        let (mut help, mut unit): (&[u8], &[u8]) = (&[], &[]);
        let (mut name, mut kind, mut metrics): (&[u8], u64, u64) = (&[], 0, 0);
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.next_field()? {
            match number {
                field::FAMILY_NAME => name = value.bytes(number)?,
                field::FAMILY_HELP => help = value.bytes(number)?,
                field::FAMILY_TYPE => kind = value.varint(number)?,
                field::FAMILY_METRIC => metrics += 1,
                field::FAMILY_UNIT => unit = value.bytes(number)?,
                _ => {}
            }
        }
        if metrics == 0 {
            return Ok(());
        }
        family.name = text(name, "metric name")?;
        if family.name.is_empty() {
            return Err(Refused::Text("invalid metric name: ".to_owned()));
        }
        let help = text(help, "help")?;
        family.kind = family_kind(family.name, kind)?;
        let unit = checked_unit(family, text(unit, "unit")?)?;
        sink.metadata(family.name, Metadata::Kind(family.kind));
        sink.metadata(family.name, Metadata::Help(help));
        sink.metadata(family.name, Metadata::Unit(unit));
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.next_field()? {
            if number == field::FAMILY_METRIC {
                let message = value.bytes(number)?;
                self.metric.read(family, message)?;
                let (native, classic) = (self.native, self.classic_of_native);
                self.metric.hand_out(family, native, classic, sink)?;
            }
        }
        Ok(())
    }
}

fn family_kind(name: &str, number: u64) -> Result<Kind, Refused> {
    Ok(match number {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::Summary,
        3 => Kind::Unknown,
        4 => Kind::Histogram,
        5 => Kind::GaugeHistogram,
        other => {
            let message = format!("unknown metric type for metric {name:?}: {other}");
            return Err(Refused::Text(message));
        }
    })
}

/// A unit is the end of the name, of a counter's before `_total`.
fn checked_unit<'a>(family: Family<'_>, unit: &'a str) -> Result<&'a str, Refused> {
    let name = match family.kind {
        Kind::Counter => family.name.strip_suffix("_total"),
        _ => None,
    };
    let name = name.unwrap_or(family.name);
    if unit.is_empty() || ends_with_unit(name, unit) {
        return Ok(unit);
    }
    let message = format!("unit {unit:?} not a suffix of metric {:?}", family.name);
    Err(Refused::Text(message))
}

fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Refused> {
    std::str::from_utf8(bytes).map_err(|_no_text| {
        let bytes = crate::error::Cited(bytes);
        Refused::Text(format!("invalid {what}: {bytes}"))
    })
}

fn double(field: Field<'_>, number: u32) -> Result<f64, DecodeError> {
    field.fixed64(number).map(f64::from_bits)
}

/// A `google.protobuf.Timestamp` as milliseconds.
fn timestamp_ms(message: &[u8]) -> Result<i64, DecodeError> {
    let (seconds, nanos) = seconds_and_nanos(message)?;
    let millis = seconds.saturating_mul(1_000);
    Ok(millis.saturating_add(nanos / 1_000_000))
}

fn too_many(what: &str) -> Refused {
    Refused::Text(format!("more than {ITEMS_MAX} {what}"))
}
