//! One scrape of a target, while its body is read.

use vervet_exposition::{Exemplar, Kind, Metadata, NativeHistogram, Sample, SeriesLabels, Sink};
use vervet_wire::otlp::{KeyValue, Value};
use vervet_wire::protobuf::Writer;

use super::cache::{About, LeftOut, SeriesCache, Shape, Way};
use super::encode::{Encoder, NumberValue, Request};
use super::native::Rows;
use super::series::{LabelList, SeriesError, SeriesRules};
use super::trouble::ScrapeError;

/// Samples that are further ahead of the scrape are left out, as Prometheus does.
const AHEAD_MILLIS_MAX: i64 = 600_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// How much there was in a scrape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) scraped: usize,
    /// Left after relabelling.
    pub(super) kept: usize,
    /// Series that were not in the scrape before.
    pub(super) added: usize,
    pub(super) left_out: LeftOutCounts,
}

/// Samples that were not taken, though the scrape was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LeftOutCounts {
    pub(crate) duplicate: u64,
    pub(crate) out_of_order: u64,
    /// Too far ahead, or not after 1970.
    pub(crate) out_of_bounds: u64,
    /// Of series beyond those that are kept of a target.
    pub(crate) series_limit: u64,
    /// Histograms that OTLP has no form for.
    pub(crate) no_form: u64,
}

impl LeftOutCounts {
    pub(crate) fn by_reason(self) -> [(&'static str, u64); 5] {
        [
            ("duplicate", self.duplicate),
            ("out_of_order", self.out_of_order),
            ("out_of_bounds", self.out_of_bounds),
            ("series_limit", self.series_limit),
            ("no_form", self.no_form),
        ]
    }
}

/// Which times samples get.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) scrape_ms: i64,
    /// The target's own times count.
    pub(super) honored: bool,
    /// Series with times of their own end by a marker, too.
    pub(super) tracked: bool,
}

pub(super) struct Pass<'a> {
    rules: SeriesRules<'a>,
    times: Times,
    cache: &'a mut SeriesCache,
    encoder: Encoder<'a>,
    pub(super) counts: Counts,
    /// Where the parser was told that it need not read labels.
    known: Option<u32>,
    /// Why a sample made the body unusable.
    refused: Option<SeriesError>,
    scratch: Vec<u8>,
    rows: Rows,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        rules: SeriesRules<'a>,
        times: Times,
        cache: &'a mut SeriesCache,
        resource: &'a [(String, String)],
    ) -> Self {
        Self {
            rules,
            times,
            cache,
            encoder: Encoder::new(resource),
            counts: Counts::default(),
            known: None,
            refused: None,
            scratch: Vec::new(),
            rows: Rows::default(),
        }
    }

    /// What is held of the scrape (bytes).
    pub(super) fn bytes(&self) -> usize {
        self.encoder.bytes()
    }

    /// What a sample was refused for, if that ended the parse.
    pub(super) fn refused(&mut self) -> Option<SeriesError> {
        self.refused.take()
    }

    /// The body has been read. Adds markers for series that are gone.
    ///
    /// # Errors
    /// There were too many samples: the scrape has failed.
    pub(super) fn commit(&mut self) -> Result<(), ScrapeError> {
        let (samples, limit) = (self.counts.kept, self.rules.limits.samples);
        if samples > limit {
            return Err(ScrapeError::SampleLimit { samples, limit });
        }
        let (encoder, time) = (&mut self.encoder, nanos(self.times.scrape_ms));
        self.cache.commit(self.times.scrape_ms, |series, names| {
            encoder.marker(series, names, time);
        });
        self.next(true);
        Ok(())
    }

    /// Takes back what was added, and adds markers for all series there were.
    pub(super) fn fail(&mut self) {
        self.encoder.clear();
        let (encoder, time) = (&mut self.encoder, nanos(self.times.scrape_ms));
        self.cache.fail(self.times.scrape_ms, |series, names| {
            encoder.marker(series, names, time);
        });
        self.next(false);
    }

    fn next(&mut self, was_good: bool) {
        self.encoder.end_series(&mut self.cache.names);
        self.cache.next(was_good);
    }

    /// Adds what there is to say about the scrape itself, and returns all of it.
    pub(super) fn finish(mut self, up: bool, seconds: f64) -> Vec<Request> {
        let values = [
            f64::from(u8::from(up)),
            seconds,
            figure(self.counts.scraped),
            figure(self.counts.kept),
            figure(self.counts.added),
        ];
        self.figures(values.map(Some));
        self.encoder.finish()
    }

    /// Adds markers for that instead: nothing will be said any more.
    pub(super) fn finish_for_good(mut self) -> Vec<Request> {
        self.figures([None; 5]);
        self.encoder.finish()
    }

    fn figures(&mut self, values: [Option<f64>; 5]) {
        let mut labels = Vec::new();
        for (name, value) in self.rules.labels {
            Shape::Number.write_label(name, value, &mut labels);
        }
        let time = nanos(self.times.scrape_ms);
        for ((name, help), value) in FIGURES.into_iter().zip(values) {
            let about = About {
                name,
                kind: Kind::Gauge,
                help,
                unit: "",
                counts: false,
            };
            self.encoder.figure(&about, &labels, time, value);
        }
    }

    /// The line of a sample, known or not, and where it leads. `None` when it is cut off.
    fn way(
        &mut self,
        bytes: &[u8],
        labels: Option<SeriesLabels<'_>>,
        shape: Shape,
    ) -> Result<Option<Way>, String> {
        let known = match (labels, self.known.take()) {
            (None, known) => known,
            (Some(_), _) => self.cache.line(bytes),
        };
        if let Some(line) = known {
            return Ok(Some(self.cache.see(line)));
        }
        let Some(labels) = labels else {
            return Ok(None);
        };
        self.add(bytes, &labels, shape)
    }

    fn add(
        &mut self,
        bytes: &[u8],
        labels: &SeriesLabels<'_>,
        shape: Shape,
    ) -> Result<Option<Way>, String> {
        let own: LabelList<'_> = labels.iter().collect();
        let kept = match self.rules.series(labels.name(), own) {
            Ok(kept) => kept,
            Err(error) => {
                let text = error.to_string();
                self.refused = Some(error);
                return Err(text);
            }
        };
        let is_cut = self.cache.seen() >= self.rules.limits.series;
        let is_over = self.counts.kept >= self.rules.limits.samples;
        let way = match kept {
            None if is_cut => return Ok(Some(Way::Dropped)),
            None => Way::Dropped,
            Some(_) if is_cut => {
                self.counts.left_out.series_limit += 1;
                return Ok(None);
            }
            Some(_) if is_over => {
                // The scrape has failed; what is to be told is by how much.
                self.counts.kept += 1;
                return Ok(None);
            }
            Some((name, labels)) => {
                self.scratch.clear();
                for (name, value) in &labels {
                    shape.write_label(name, value, &mut self.scratch);
                }
                self.counts.added += 1;
                Way::Series(self.cache.intern(&name, &self.scratch, shape))
            }
        };
        let line = self.cache.add_line(bytes, way);
        Ok(Some(self.cache.see(line)))
    }

    /// The time of a sample of a series, if it is to be kept.
    fn time(&mut self, series: u32, own_ms: Option<i64>) -> Option<u64> {
        self.counts.kept += 1;
        if self.counts.kept > self.rules.limits.samples {
            return None;
        }
        let own_ms = own_ms.filter(|_| self.times.honored);
        let time_ms = own_ms.unwrap_or(self.times.scrape_ms);
        let left_out = &mut self.counts.left_out;
        let is_ahead = time_ms > self.times.scrape_ms.saturating_add(AHEAD_MILLIS_MAX);
        if is_ahead || time_ms <= 0 {
            left_out.out_of_bounds += 1;
            return None;
        }
        let tracked = own_ms.is_none() || self.times.tracked;
        match self
            .cache
            .sample(series, time_ms, own_ms.is_some(), tracked)
        {
            Ok(()) => return Some(nanos(time_ms)),
            Err(LeftOut::Repeated) => {}
            Err(LeftOut::Duplicate) => left_out.duplicate += 1,
            Err(LeftOut::OutOfOrder) => left_out.out_of_order += 1,
        }
        None
    }
}

impl Sink for Pass<'_> {
    fn known_line(&mut self, line: &[u8]) -> usize {
        let expected = self.cache.expected(line);
        self.known = expected.map(|(id, _length)| id);
        expected.map_or(0, |(_id, length)| length)
    }

    fn known_series(&mut self, series: &[u8]) -> bool {
        self.known = self.cache.line(series);
        self.known.is_some()
    }

    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        self.cache.tell(family, metadata, self.rules.limits.series);
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        self.counts.scraped += 1;
        let way = self.way(sample.series, sample.labels, Shape::Number)?;
        let Some(Way::Series(id)) = way else {
            return Ok(());
        };
        let Some(time_unix_nano) = self.time(id, sample.timestamp_ms) else {
            return Ok(());
        };
        self.scratch.clear();
        if let Some(exemplar) = &sample.exemplar {
            write_exemplar(&mut self.scratch, 5, exemplar, time_unix_nano);
        }
        let value = NumberValue {
            start_unix_nano: sample.start_ms.map_or(0, nanos),
            time_unix_nano,
            value: sample.value,
        };
        if let (Some(series), names) = self.cache.point_of(id) {
            self.encoder.number(series, names, value, &self.scratch);
        }
        Ok(())
    }

    fn histogram(&mut self, histogram: &NativeHistogram<'_>) -> Result<(), String> {
        self.counts.scraped += 1;
        let way = self.way(histogram.series, histogram.labels, Shape::Histogram)?;
        let Some(Way::Series(id)) = way else {
            return Ok(());
        };
        let Some(time_unix_nano) = self.time(id, histogram.timestamp_ms) else {
            return Ok(());
        };
        if self.rows.fill(histogram).is_none() {
            self.counts.left_out.no_form += 1;
            return Ok(());
        }
        self.scratch.clear();
        for exemplar in histogram.exemplars {
            write_exemplar(&mut self.scratch, 11, exemplar, time_unix_nano);
        }
        let start = histogram.start_ms.map_or(0, nanos);
        let rows = &self.rows;
        let (Some(series), names) = self.cache.point_of(id) else {
            return Ok(());
        };
        let exemplars = &self.scratch;
        self.encoder
            .point(series, names, 256 + exemplars.len(), |w| {
                w.raw(&series.labels);
                rows.write(w, histogram, start, time_unix_nano);
                w.raw(exemplars);
            });
        Ok(())
    }
}

/// What is said of every scrape, with its help.
const FIGURES: [(&str, &str); 5] = [
    ("up", "Whether the target could be scraped"),
    ("scrape_duration_seconds", "Time the scrape took"),
    ("scrape_samples_scraped", "Samples the target exposed"),
    (
        "scrape_samples_post_metric_relabeling",
        "Samples left after metric relabelling",
    ),
    (
        "scrape_series_added",
        "Series that were not in the scrape before",
    ),
];

fn figure(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Times before 1970 are none.
fn nanos(millis: i64) -> u64 {
    u64::try_from(millis)
        .unwrap_or(0)
        .saturating_mul(NANOS_PER_MILLI)
}

/// Appends an exemplar as a field of a point.
fn write_exemplar(out: &mut Vec<u8>, number: u32, exemplar: &Exemplar<'_>, time_unix_nano: u64) {
    let time = exemplar.timestamp_ms.map_or(time_unix_nano, nanos);
    Writer::new(out).message(number, |w| {
        w.fixed64(2, time);
        w.fixed64_always(3, exemplar.value.to_bits());
        for (name, value) in exemplar.labels.iter() {
            match (&*name, id(&value)) {
                ("span_id", Some(id)) if id.len() == 8 => w.bytes(4, &id),
                ("trace_id", Some(id)) if id.len() == 16 => w.bytes(5, &id),
                _ => {
                    let label = KeyValue::new(name, Value::from(value));
                    w.message(7, |w| label.write(w));
                }
            }
        }
    });
}

/// The bytes of an id that is written as hexadecimal digits.
fn id(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok()
}
