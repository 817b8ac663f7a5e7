//! Gauges and sums whose series are known.

use std::borrow::Cow;

use vervet_wire::DecodeError;
use vervet_wire::otlp::{NumberPoint, Resource};
use vervet_wire::protobuf::Writer;

use super::{Decoder, STALE_NAN, kind};
use crate::ingest::known_series::{self, KnownSeries, Prefix};
use crate::ingest::outline::{MetricOutline, PointOutline};
use crate::ingest::samples::Family;
use crate::ingest::{DecodeOptions, SampleSeries};

/// The series that are known, and the hashes of what is being decoded.
pub(super) struct Known<'o> {
    series: &'o KnownSeries,
    /// Of the options, and of the resource that was entered last.
    prefix: Prefix,
    resource: Prefix,
    scratch: Vec<u8>,
}

impl<'o> Known<'o> {
    pub(super) fn new(series: &'o KnownSeries, options: &DecodeOptions) -> Self {
        Self {
            series,
            prefix: series.prefix(options),
            resource: Prefix::default(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn enter(&mut self, resource: &Resource<'_>) {
        let mut bytes = Vec::new();
        resource.write_attributes(&mut Writer::new(&mut bytes));
        self.resource = known_series::joined(&[&bytes], &mut self.scratch);
    }
}

impl<'a> Decoder<'_, 'a> {
    /// Adds the points of a gauge or sum, of which those of known series are not decoded further than necessary. `false`
    /// for other metrics.
    pub(super) fn push_outline(
        &mut self,
        scraped: bool,
        message: &'a [u8],
        known: &mut Known<'_>,
    ) -> Result<bool, DecodeError> {
        let Some(metric) = MetricOutline::read(message)? else {
            return Ok(false);
        };
        let Ok((kind, name_kind)) = kind(&metric.data) else {
            return Ok(false);
        };
        let (wire_name, unit) = (lossy(metric.name), lossy(metric.unit));
        let Ok(name) = self.family_name(scraped, &wire_name, &unit, name_kind) else {
            return Ok(false);
        };
        let (name, unit) = (&*name, &*unit);
        let family = Family { name, kind, unit };
        let resource = match scraped {
            true => &[],
            false => known.resource.as_slice(),
        };
        let shared = [
            known.prefix.as_slice(),
            resource,
            metric.name,
            metric.unit,
            kind.as_bytes(),
        ];
        let prefix = known_series::joined(&shared, &mut known.scratch);
        let slots = known.series.read();
        let before = self.out.records();
        metric.for_each_point(|message| {
            known.scratch.clear();
            known.scratch.extend_from_slice(&prefix);
            let point = PointOutline::read(message, &mut known.scratch)?;
            let key = known_series::key(&known.scratch);
            let result = if let Some(slot) = slots.get(&key) {
                self.push_known(scraped, *slot, point)
            } else {
                self.key = Some(key);
                self.push_number(scraped, family, &NumberPoint::read(message)?)
            };
            self.key = None;
            self.out.count(result);
            Ok(())
        })?;
        drop(slots);
        if self.out.records() > before {
            self.out.note_metadata(family, &lossy(metric.description));
        }
        Ok(true)
    }

    /// Adds the sample of a series that is known, whose labels were checked when it became known.
    fn push_known(
        &mut self,
        scraped: bool,
        slot: u32,
        point: PointOutline,
    ) -> Result<(), &'static str> {
        let time_ms = self.time_ms(point.time_unix_nano)?;
        self.note_time(scraped, time_ms);
        let value = if point.no_recorded_value() {
            STALE_NAN
        } else {
            point.value.as_f64()
        };
        self.out.push_of(SampleSeries::Known(slot), time_ms, value);
        Ok(())
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
