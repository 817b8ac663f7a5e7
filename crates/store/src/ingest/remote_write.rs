//! Series of Prometheus remote write into samples. Names and labels are final.
//!
//! Of a series that is known, the labels are hashed and not looked at further.

use vervet_model::{METRIC_NAME, UnixMillis, UnixNanos};
use vervet_wire::DecodeError;
use vervet_wire::remote_write::{Item, Kind, Metadata, Sample, Series, Version, for_each};

use super::known_series::{self, KnownSeries, Prefix, SeriesKey};
use super::labels::LabelBuffer;
use super::samples::{Family, Samples};
use super::{DecodeOptions, Decoded, SampleSeries, adjustment, reason};

/// Of a help text so much is looked at; less is kept (bytes).
const HELP_BYTES_READ: usize = 8 << 10;

/// Told apart from the keys of series that came by OTLP.
const PROTOCOL: &[u8] = b"remote write";

pub(super) fn decode(
    known: Option<&KnownSeries>,
    version: Version,
    body: &[u8],
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder {
        known: known.map(|series| Known::new(series, options)),
        out: Samples::new(options, received_at),
        labels: LabelBuffer::default(),
        scratch: Vec::new(),
    };
    for_each(version, body, |item| match item {
        Item::Series(series) => decoder.push(series),
        Item::Metadata(name, metadata) => decoder.note(name, metadata),
    })?;
    Ok(decoder.out.finish())
}

struct Decoder<'o> {
    known: Option<Known<'o>>,
    out: Samples<'o>,
    labels: LabelBuffer,
    scratch: Vec<u8>,
}

struct Known<'o> {
    series: &'o KnownSeries,
    prefix: Prefix,
}

impl<'o> Known<'o> {
    fn new(series: &'o KnownSeries, options: &DecodeOptions) -> Self {
        let prefix = series.prefix(options);
        let prefix = known_series::joined(&[&prefix, PROTOCOL], &mut Vec::new());
        Self { series, prefix }
    }

    /// The key of a series, and its slot if it is known.
    fn find(&self, series: &Series<'_>, scratch: &mut Vec<u8>) -> (SeriesKey, Option<u32>) {
        scratch.clear();
        scratch.extend_from_slice(&self.prefix);
        for (name, value) in &series.labels {
            known_series::append(name, scratch);
            known_series::append(value, scratch);
        }
        let key = known_series::key(scratch);
        let slot = self.series.read().get(&key).copied();
        (key, slot)
    }
}

impl Decoder<'_> {
    fn push(&mut self, series: &Series<'_>) {
        self.out.reject(reason::NATIVE_HISTOGRAM, series.histograms);
        self.out
            .adjust(adjustment::EXEMPLARS_DROPPED, series.exemplars);
        if series.samples.is_empty() {
            return;
        }
        if let Err(reason) = self.check(series) {
            return self.out.reject(reason, series.samples.len() as u64);
        }
        let known = self.known.as_ref();
        let found = known.map(|known| known.find(series, &mut self.scratch));
        let place = match found {
            Some((_key, Some(slot))) => Ok(SampleSeries::Known(slot)),
            _ => self.listed(series, found.map(|(key, _unknown)| key)),
        };
        match place {
            Ok(place) => {
                for sample in &series.samples {
                    let pushed = self.push_sample(place, *sample);
                    self.out.count(pushed);
                }
            }
            Err(reason) => self.out.reject(reason, series.samples.len() as u64),
        }
        if let Some(metadata) = series.metadata {
            self.note(family_name(series, metadata.kind), metadata);
        }
    }

    /// Checks what references can make large before it is copied anywhere: the number of the labels and their lengths.
    fn check(&self, series: &Series<'_>) -> Result<(), &'static str> {
        let options = self.out.options;
        if series.labels.len() > options.labels_per_series_max {
            return Err(reason::TOO_MANY_LABELS);
        }
        let too_long = series.labels.iter().any(|(name, value)| {
            name.len() > options.label_name_bytes_max || value.len() > options.label_value_bytes_max
        });
        match too_long {
            true => Err(reason::LABEL_TOO_LONG),
            false => Ok(()),
        }
    }

    /// The place of a series that is not known yet.
    fn listed(
        &mut self,
        series: &Series<'_>,
        mut key: Option<SeriesKey>,
    ) -> Result<SampleSeries, &'static str> {
        self.out.room()?;
        self.labels.clear();
        for (place, (label, value)) in series.labels.iter().enumerate() {
            let before = series.labels.get(..place).unwrap_or_default();
            if label.is_empty() || before.iter().any(|(known, _)| known == label) {
                return Err(reason::INVALID_LABEL);
            }
            let label = std::str::from_utf8(label).map_err(|_| reason::INVALID_LABEL)?;
            let value = std::str::from_utf8(value).map_err(|_| reason::INVALID_LABEL)?;
            self.labels.set(label, value);
        }
        self.labels.sort();
        let named = self.labels.iter().find(|(label, _)| *label == METRIC_NAME);
        let (_, name) = named.ok_or(reason::INVALID_METRIC_NAME)?;
        let metadata = series.metadata.unwrap_or_default();
        let family = Family {
            name,
            kind: metadata.kind.as_str(),
            unit: self.unit(metadata.unit),
        };
        let place = self.out.series_of(&self.labels, family, &mut key);
        Ok(SampleSeries::Listed(place))
    }

    fn push_sample(&mut self, place: SampleSeries, sample: Sample) -> Result<(), &'static str> {
        let time = UnixMillis(sample.time_ms).to_nanos();
        let time_ms = self.out.time_ms(time)?;
        self.out.push_of(place, time_ms, sample.value);
        Ok(())
    }

    /// A unit: one that is no text, or longer than a label may be, is none.
    fn unit<'u>(&self, unit: &'u [u8]) -> &'u str {
        let fits = unit.len() <= self.out.options.label_value_bytes_max;
        let unit = if fits { unit } else { &[] };
        std::str::from_utf8(unit).unwrap_or_default()
    }

    /// Notes what a metric is, as far as the request says anything of it.
    fn note(&mut self, name: &[u8], metadata: Metadata<'_>) {
        let fits = !name.is_empty() && name.len() <= self.out.options.label_value_bytes_max;
        if metadata == Metadata::default() || !fits || self.out.room().is_err() {
            return;
        }
        let Ok(name) = std::str::from_utf8(name) else {
            return;
        };
        if self.out.is_noted(name) {
            return;
        }
        let family = Family {
            name,
            kind: metadata.kind.as_str(),
            unit: self.unit(metadata.unit),
        };
        let help = metadata
            .help
            .get(..HELP_BYTES_READ)
            .unwrap_or(metadata.help);
        self.out
            .note_metadata(family, &String::from_utf8_lossy(help));
    }
}

/// The name that a metric's type is known by, empty for none: version 2.0 says it of each of its series.
fn family_name<'a>(series: &Series<'a>, kind: Kind) -> &'a [u8] {
    let label = |wanted: &str| {
        let mut labels = series.labels.iter();
        let found = labels.find(|(name, _)| *name == wanted.as_bytes());
        found.map(|(_, value)| *value)
    };
    let name = label(METRIC_NAME).unwrap_or_default();
    let suffixes: &[&[u8]] = match kind {
        Kind::Histogram | Kind::GaugeHistogram => &[b"_bucket", b"_sum", b"_count"],
        // A quantile has the name of its summary.
        Kind::Summary if label("quantile").is_none() => &[b"_sum", b"_count"],
        _ => &[],
    };
    let mut stripped = suffixes
        .iter()
        .filter_map(|suffix| name.strip_suffix(*suffix));
    stripped.next().unwrap_or(name)
}

#[cfg(test)]
mod tests;
