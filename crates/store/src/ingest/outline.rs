//! Metrics with number points as they stand on the wire, read no further than a known series needs.

use vervet_wire::DecodeError;
use vervet_wire::otlp::{MetricData, Number, NumberPoint, Temporality};
use vervet_wire::protobuf::Reader;

/// The fields of a `Metric` and of its `Gauge` or `Sum`.
const METRIC_NAME: u32 = 1;
const METRIC_DESCRIPTION: u32 = 2;
const METRIC_UNIT: u32 = 3;
const METRIC_GAUGE: u32 = 5;
const METRIC_SUM: u32 = 7;
const METRIC_OTHER_DATA: [u32; 3] = [9, 10, 11];
const DATA_POINTS: u32 = 1;
const SUM_TEMPORALITY: u32 = 2;
const SUM_MONOTONIC: u32 = 3;

/// A gauge or a sum.
#[derive(Debug, Default)]
pub(super) struct MetricOutline<'a> {
    pub(super) name: &'a [u8],
    pub(super) description: &'a [u8],
    pub(super) unit: &'a [u8],
    /// Its kind, without the points.
    pub(super) data: MetricData<'a>,
    points: &'a [u8],
}

impl<'a> MetricOutline<'a> {
    /// `None` for what has to be decoded in any case.
    ///
    /// # Errors
    /// It is malformed as far as it was read.
    pub(super) fn read(message: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut outline = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                METRIC_NAME => outline.name = field.bytes(number)?,
                METRIC_DESCRIPTION => outline.description = field.bytes(number)?,
                METRIC_UNIT => outline.unit = field.bytes(number)?,
                METRIC_GAUGE | METRIC_SUM => {
                    if !matches!(outline.data, MetricData::Empty) {
                        return Ok(None);
                    }
                    outline.points = field.bytes(number)?;
                    outline.data = match number {
                        METRIC_GAUGE => MetricData::Gauge(Vec::new()),
                        _ => match sum(outline.points)? {
                            Some(sum) => sum,
                            None => return Ok(None),
                        },
                    };
                }
                other if METRIC_OTHER_DATA.contains(&other) => return Ok(None),
                _ => {}
            }
        }
        Ok(match outline.data {
            MetricData::Empty => None,
            _ => Some(outline),
        })
    }

    /// Hands over every point as the message that it is.
    pub(super) fn for_each_point(
        &self,
        mut each: impl FnMut(&'a [u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let is_sum = matches!(self.data, MetricData::Sum { .. });
        let mut reader = Reader::new(self.points);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                DATA_POINTS => each(field.bytes(number)?)?,
                // A gauge is read as a sum is, and these have no meaning there.
                SUM_TEMPORALITY | SUM_MONOTONIC if !is_sum => {
                    field.varint(number)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a sum says of itself behind its points.
fn sum(data: &[u8]) -> Result<Option<MetricData<'static>>, DecodeError> {
    let (mut temporality, mut monotonic) = (Temporality::Unspecified, false);
    let mut reader = Reader::new(data);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            SUM_TEMPORALITY => {
                temporality = match field.varint(number)? {
                    0 => Temporality::Unspecified,
                    2 => Temporality::Cumulative,
                    _ => return Ok(None),
                }
            }
            SUM_MONOTONIC => monotonic = field.varint(number)? != 0,
            _ => {}
        }
    }
    Ok(Some(MetricData::Sum {
        points: Vec::new(),
        temporality,
        monotonic,
    }))
}

/// Time and value of a number point.
#[derive(Debug, Clone, Copy)]
pub(super) struct PointOutline {
    pub(super) time_unix_nano: u64,
    pub(super) value: Number,
    pub(super) flags: u32,
}

impl PointOutline {
    /// Reads a point and appends its attributes to `attributes` as they stand there.
    ///
    /// # Errors
    /// It is malformed as far as it was read; attributes are not.
    pub(super) fn read(message: &[u8], attributes: &mut Vec<u8>) -> Result<Self, DecodeError> {
        let mut point = Self {
            time_unix_nano: 0,
            value: Number::Double(0.0),
            flags: 0,
        };
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                2 => {
                    field.fixed64(number)?;
                }
                3 => point.time_unix_nano = field.fixed64(number)?,
                4 => point.value = Number::Double(f64::from_bits(field.fixed64(number)?)),
                6 => point.value = Number::Int(field.fixed64(number)?.cast_signed()),
                7 => {
                    field.bytes(number)?;
                    attributes.extend_from_slice(reader.raw());
                }
                8 => point.flags = u32::try_from(field.varint(number)?).unwrap_or(u32::MAX),
                _ => {}
            }
        }
        Ok(point)
    }

    pub(super) fn no_recorded_value(self) -> bool {
        self.flags & NumberPoint::NO_RECORDED_VALUE != 0
    }
}
