//! Prometheus remote write on the wire, versions 1.0 and 2.0.
//!
//! In: the uncompressed protobuf body of a `prometheus.WriteRequest` or an `io.prometheus.write.v2.Request`, untrusted.
//! Out: [`Item`]s that borrow from it, one at a time, in the order they were written.
//!
//! Limits: [`ITEMS_MAX`] symbols in a request, and as many labels and samples of one series. Symbols and one series are
//! kept at a time; [`weigh`] says what that takes before it is taken.

mod headers;
#[cfg(test)]
mod tests;
mod write;

use crate::protobuf::{DecodeError, Field, Reader};

pub use headers::{HeaderError, Version};
pub use write::{write_metadata, write_series};

/// Symbols of one request; labels and samples of one series.
pub const ITEMS_MAX: usize = 1 << 20;
/// What one of them takes while it is read (bytes).
const ITEM_BYTES: usize = 32;
/// A list that grows holds up to twice its items.
const LIST_SLACK: usize = 2;

/// The fields of the two requests.
mod field {
    pub(super) const V1_SERIES: u32 = 1;
    pub(super) const V1_METADATA: u32 = 3;
    pub(super) const V2_SYMBOLS: u32 = 4;
    pub(super) const V2_SERIES: u32 = 5;
    /// Of a series. The others have other numbers in the two versions.
    pub(super) const LABELS: u32 = 1;
    pub(super) const SAMPLES: u32 = 2;
    pub(super) const V1_EXEMPLARS: u32 = 3;
    pub(super) const V1_HISTOGRAMS: u32 = 4;
    pub(super) const V2_HISTOGRAMS: u32 = 3;
    pub(super) const V2_EXEMPLARS: u32 = 4;
    pub(super) const V2_METADATA: u32 = 5;
}

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    pub value: f64,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata<'a> {
    pub kind: Kind,
    pub help: &'a [u8],
    pub unit: &'a [u8],
}

/// The type of a metric, as both versions number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Kind {
    #[default]
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    GaugeHistogram = 4,
    Summary = 5,
    Info = 6,
    StateSet = 7,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::StateSet,
    ];

    fn number(self) -> u64 {
        u64::from(self as u8)
    }

    fn from_number(number: u64) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.number() == number).unwrap_or_default()
    }

    /// The word for it in Prometheus's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// One series with its samples. Texts are as they came, not checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series<'a> {
    /// Names and values, in the order of the request.
    pub labels: Vec<(&'a [u8], &'a [u8])>,
    pub samples: Vec<Sample>,
    /// Native histograms, which are counted only.
    pub histograms: u64,
    /// Exemplars, which are counted only.
    pub exemplars: u64,
    /// Of version 2.0 only.
    pub metadata: Option<Metadata<'a>>,
}

/// What a request consists of.
#[derive(Debug)]
pub enum Item<'r, 'a> {
    Series(&'r Series<'a>),
    /// Of version 1.0 only: what the metric of this name is.
    Metadata(&'a [u8], Metadata<'a>),
}

/// Calls `each` with every series, and with what version 1.0 says of metrics.
///
/// # Errors
/// The body is malformed, or a reference of version 2.0 points nowhere. What came before has been handed out.
pub fn for_each<'a>(
    version: Version,
    body: &'a [u8],
    mut each: impl FnMut(Item<'_, 'a>),
) -> Result<(), DecodeError> {
    let symbols = match version {
        Version::V1 => Vec::new(),
        Version::V2 => symbols(body)?,
    };
    let mut series = Series::default();
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.next_field()? {
        match (version, number) {
            (Version::V1, field::V1_SERIES) => {
                series.read_v1(field.bytes(number)?)?;
                each(Item::Series(&series));
            }
            (Version::V1, field::V1_METADATA) => {
                let (name, metadata) = metadata_v1(field.bytes(number)?)?;
                each(Item::Metadata(name, metadata));
            }
            (Version::V2, field::V2_SERIES) => {
                series.read_v2(field.bytes(number)?, &symbols)?;
                each(Item::Series(&series));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What reading a request takes beside its body (bytes).
///
/// # Errors
/// It holds more than [`ITEMS_MAX`] symbols, or a series with more labels and samples; or it is malformed as far as it was
/// read.
pub fn weigh(version: Version, body: &[u8]) -> Result<usize, DecodeError> {
    let (mut symbols, mut largest) = (0_usize, 0_usize);
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.next_field()? {
        match (version, number) {
            (Version::V2, field::V2_SYMBOLS) => symbols += 1,
            (Version::V1, field::V1_SERIES) | (Version::V2, field::V2_SERIES) => {
                largest = largest.max(series_items(version, field.bytes(number)?)?);
            }
            _ => {}
        }
        if symbols.max(largest) > ITEMS_MAX {
            return Err(DecodeError::TooManyItems { max: ITEMS_MAX });
        }
    }
    Ok((symbols + largest) * ITEM_BYTES * LIST_SLACK)
}

/// The labels and samples of a series, or more.
fn series_items(version: Version, message: &[u8]) -> Result<usize, DecodeError> {
    let mut items = 0;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        items += match field {
            // One byte and more a reference.
            Field::Bytes(packed) if version == Version::V2 && number == field::LABELS => {
                packed.len()
            }
            _ => 1,
        };
    }
    Ok(items)
}

/// The texts that a request of version 2.0 refers to.
fn symbols(body: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut symbols = Vec::new();
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.next_field()? {
        if number == field::V2_SYMBOLS {
            symbols.push(field.bytes(number)?);
        }
    }
    Ok(symbols)
}

fn symbol<'a>(symbols: &[&'a [u8]], reference: u64) -> Result<&'a [u8], DecodeError> {
    let found = usize::try_from(reference).ok();
    let found = found.and_then(|reference| symbols.get(reference));
    found.copied().ok_or(DecodeError::Symbol {
        reference,
        symbols: symbols.len(),
    })
}

impl<'a> Series<'a> {
    fn clear(&mut self) {
        self.labels.clear();
        self.samples.clear();
        self.histograms = 0;
        self.exemplars = 0;
        self.metadata = None;
    }

    fn read_v1(&mut self, message: &'a [u8]) -> Result<(), DecodeError> {
        self.clear();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                field::LABELS => self.labels.push(label_v1(field.bytes(number)?)?),
                field::SAMPLES => self.samples.push(sample(field.bytes(number)?)?),
                field::V1_EXEMPLARS => self.exemplars += 1,
                field::V1_HISTOGRAMS => self.histograms += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_v2(&mut self, message: &'a [u8], symbols: &[&'a [u8]]) -> Result<(), DecodeError> {
        self.clear();
        let mut name = None;
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match (number, field) {
                (field::LABELS, Field::Bytes(packed)) => {
                    let mut references = Reader::new(packed);
                    while !references.is_empty() {
                        let text = symbol(symbols, references.varint()?)?;
                        self.push_reference(&mut name, text);
                    }
                }
                (field::LABELS, field) => {
                    let text = symbol(symbols, field.varint(number)?)?;
                    self.push_reference(&mut name, text);
                }
                (field::SAMPLES, field) => self.samples.push(sample(field.bytes(number)?)?),
                (field::V2_HISTOGRAMS, _) => self.histograms += 1,
                (field::V2_EXEMPLARS, _) => self.exemplars += 1,
                (field::V2_METADATA, field) => {
                    self.metadata = Some(metadata_v2(field.bytes(number)?, symbols)?);
                }
                _ => {}
            }
        }
        match name {
            Some(_without_a_value) => Err(DecodeError::OddLabels),
            None => Ok(()),
        }
    }

    /// References are names and values in turn.
    fn push_reference(&mut self, name: &mut Option<&'a [u8]>, text: &'a [u8]) {
        match name.take() {
            Some(name) => self.labels.push((name, text)),
            None => *name = Some(text),
        }
    }
}

fn label_v1(message: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut label: (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => label.0 = field.bytes(number)?,
            2 => label.1 = field.bytes(number)?,
            _ => {}
        }
    }
    Ok(label)
}

fn sample(message: &[u8]) -> Result<Sample, DecodeError> {
    let mut sample = Sample::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => sample.value = f64::from_bits(field.fixed64(number)?),
            2 => sample.time_ms = field.varint(number)?.cast_signed(),
            _ => {}
        }
    }
    Ok(sample)
}

fn metadata_v1(message: &[u8]) -> Result<(&[u8], Metadata<'_>), DecodeError> {
    let mut name: &[u8] = &[];
    let mut metadata = Metadata::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => metadata.kind = Kind::from_number(field.varint(number)?),
            2 => name = field.bytes(number)?,
            4 => metadata.help = field.bytes(number)?,
            5 => metadata.unit = field.bytes(number)?,
            _ => {}
        }
    }
    Ok((name, metadata))
}

fn metadata_v2<'a>(message: &'a [u8], symbols: &[&'a [u8]]) -> Result<Metadata<'a>, DecodeError> {
    let mut metadata = Metadata::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => metadata.kind = Kind::from_number(field.varint(number)?),
            3 => metadata.help = symbol(symbols, field.varint(number)?)?,
            4 => metadata.unit = symbol(symbols, field.varint(number)?)?,
            _ => {}
        }
    }
    Ok(metadata)
}
