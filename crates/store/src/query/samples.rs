//! Samples and series for PromQL. These calls block: use a blocking thread.

mod parts;
mod segments;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vervet_model::{Clock as _, Labels, Matcher, SystemClock, UnixMillis, UnixNanos};

use crate::catalog::MetricMetadata;
use crate::head::View;
use crate::head::series::Selected;
use crate::query::search::segment::Segment;
use crate::query::search::stop::Stop;
use crate::tables::Table;
use crate::{Store, StoreError};
use parts::{Part, Plan};

/// What one call of [`Store::samples`] may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLimits {
    pub series_max: usize,
    pub samples_max: usize,
    /// After this moment the call is given up.
    pub deadline: UnixNanos,
}

impl SampleLimits {
    /// The time until the deadline.
    fn left(self) -> Duration {
        self.deadline.since(SystemClock.now())
    }
}

/// A label set with its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSamples {
    pub labels: Labels,
    /// Milliseconds and value, by time, each time once. Staleness markers keep their bits.
    pub samples: Vec<(i64, f64)>,
}

/// What a series takes while its samples are gathered: its place among those selected, its id, its list, its place in
/// the answer (bytes).
const SERIES_BYTES: usize = 120;

/// What a call sees.
#[derive(Clone, Copy)]
struct Cut<'v> {
    view: &'v View,
    segments: &'v [Segment],
    stop: &'v Stop,
}

/// The samples that a call has gathered, by the place of their series among those selected.
struct Gathered<'c> {
    /// Series ids with their places, sorted.
    ids: Vec<(u64, usize)>,
    series: Vec<Vec<(i64, f64)>>,
    window: (i64, i64),
    samples: usize,
    limits: SampleLimits,
    /// Whether so many more bytes may be held.
    charge: &'c mut dyn FnMut(usize) -> bool,
}

impl<'c> Gathered<'c> {
    fn new(
        selected: &[Selected],
        window: (i64, i64),
        limits: SampleLimits,
        charge: &'c mut dyn FnMut(usize) -> bool,
    ) -> Self {
        let ids = selected.iter().map(|series| series.id).zip(0..);
        let mut ids: Vec<(u64, usize)> = ids.collect();
        ids.sort_unstable();
        Self {
            ids,
            series: vec![Vec::new(); selected.len()],
            window,
            samples: 0,
            limits,
            charge,
        }
    }

    /// The place of a series, if it is wanted.
    fn place(&self, series: u64) -> Option<usize> {
        let at = self.ids.binary_search_by_key(&series, |(id, _place)| *id);
        self.ids.get(at.ok()?).map(|(_id, place)| *place)
    }

    /// Adds samples of a series, which lie in the window.
    fn extend(
        &mut self,
        place: usize,
        samples: impl Iterator<Item = (i64, f64)>,
    ) -> Result<(), StoreError> {
        let Some(list) = self.series.get_mut(place) else {
            return Ok(());
        };
        let (room, before) = (list.capacity(), list.len());
        list.extend(samples);
        let more = list.capacity() - room;
        if more > 0 && !(self.charge)(more * size_of::<(i64, f64)>()) {
            return Err(no_memory());
        }
        self.samples += list.len() - before;
        if self.samples > self.limits.samples_max {
            return Err(too_large("samples", self.limits.samples_max));
        }
        Ok(())
    }

    /// Adds the samples of the head; after those of the segments, which are older.
    fn add_head(&mut self, cut: Cut<'_>, selected: &[Selected]) -> Result<(), StoreError> {
        let (start, end) = self.window;
        for generation in &cut.view.generations {
            cut.stop.check()?;
            let head = generation.samples.read();
            for (place, series) in selected.iter().enumerate() {
                let Some(chunk) = head.get(series.slot) else {
                    continue;
                };
                let (first, last) = chunk.time_range();
                if last < start || first > end {
                    continue;
                }
                let within = |(time_ms, _): &(i64, f64)| (start..=end).contains(time_ms);
                self.extend(place, chunk.iter().filter(within))?;
            }
        }
        Ok(())
    }
}

/// Whoever charges knows the limit.
fn no_memory() -> StoreError {
    too_large("bytes of memory", 0)
}

fn too_large(what: &'static str, limit: usize) -> StoreError {
    StoreError::QueryTooLarge {
        what,
        limit: limit as u64,
    }
}

impl Store {
    /// The series that match and have a sample in the window (both ends inclusive), in no order. Of samples
    /// of one series with the same time, the first applied is given.
    ///
    /// # Errors
    /// [`StoreError::QueryTooLarge`] and [`StoreError::Timeout`] for the limits; no partial result.
    pub fn samples(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, StoreError> {
        self.samples_charged(matchers, (start_ms, end_ms), limits, &mut |_bytes| true)
    }

    /// As [`Store::samples`]. `charge` is told of memory before and while it is taken, in bytes; when it says no, the
    /// call ends with [`StoreError::QueryTooLarge`].
    ///
    /// # Errors
    /// As [`Store::samples`].
    pub fn samples_charged(
        &self,
        matchers: &[Matcher],
        (start_ms, end_ms): (i64, i64),
        limits: SampleLimits,
        charge: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<SeriesSamples>, StoreError> {
        let view = self.0.cut();
        let selected = self.0.series.read().select(matchers);
        if selected.is_empty() {
            return Ok(Vec::new());
        }
        let window = (start_ms, end_ms);
        let stop = Arc::new(Stop::after(limits.left()));
        let segments = self.open_segments(&view, window, &stop)?;
        let cut = Cut {
            view: &view,
            segments: &segments,
            stop: &stop,
        };
        let found = self.gather(cut, &selected, window, limits, charge)?;
        if found.len() > limits.series_max {
            return Err(too_large("series", limits.series_max));
        }
        Ok(found)
    }

    /// As [`Store::samples`], some series at a time: `each` is called with the place of the first of them among all that
    /// match and with the series, in no order, until it says no. Parts are read ahead on as many threads as there are
    /// cores, four at most. `charge` is told what they take together before they are read; it is to be given back when
    /// the call has returned.
    ///
    /// # Errors
    /// As [`Store::samples`]; what came before has been handed out. The samples are not counted.
    pub fn samples_in_parts(
        &self,
        matchers: &[Matcher],
        window: (i64, i64),
        limits: SampleLimits,
        charge: &mut dyn FnMut(usize) -> bool,
        each: &mut dyn FnMut(usize, Vec<SeriesSamples>) -> bool,
    ) -> Result<(), StoreError> {
        let view = self.0.cut();
        let mut selected = self.0.series.read().select(matchers);
        if selected.is_empty() {
            return Ok(());
        }
        let stop = Arc::new(Stop::after(limits.left()));
        let segments = self.open_segments(&view, window, &stop)?;
        let cut = Cut {
            view: &view,
            segments: &segments,
            stop: &stop,
        };
        let mut found_series = 0;
        let mut hand_out = |(place, found): Part| {
            found_series += found.len();
            match found_series > limits.series_max {
                true => Err(too_large("series", limits.series_max)),
                false => Ok(found.is_empty() || each(place, found)),
            }
        };
        let plan = Plan::new(selected.len(), window);
        if plan.parts == 1 {
            let found = self.gather(cut, &selected, window, limits, charge)?;
            return hand_out((0, found)).map(|_wants_more| ());
        }
        if !charge(selected.len() * SERIES_BYTES + plan.bytes()) {
            return Err(no_memory());
        }
        // As segments are sorted.
        selected.sort_by_cached_key(|series| {
            let metric: Box<str> = series.labels.metric_name().into();
            (metric, series.id)
        });
        parts::read(plan, &selected, &mut hand_out, &|some| {
            let mut bytes = 0;
            let mut charge = |more| {
                bytes += more;
                some.len() == 1 || bytes <= parts::PART_BYTES
            };
            self.gather(cut, some, window, limits, &mut charge)
        })
    }

    /// The segments that may have samples in the window.
    fn open_segments(
        &self,
        view: &View,
        (start_ms, end_ms): (i64, i64),
        stop: &Arc<Stop>,
    ) -> Result<Vec<Segment>, StoreError> {
        let overlapping = view.snapshot.table(Table::Samples).filter(|file| {
            file.time_range.is_none_or(|(first, last)| {
                first.to_millis().0 <= end_ms && last.to_millis().0 >= start_ms
            })
        });
        let searcher = &self.0.searcher;
        overlapping
            .map(|file| {
                let opened = searcher.open(file, stop);
                opened.inspect_err(|error| searcher.damage().note(&file.path, error))
            })
            .collect()
    }

    /// All samples of some series.
    fn gather(
        &self,
        cut: Cut<'_>,
        selected: &[Selected],
        window: (i64, i64),
        limits: SampleLimits,
        charge: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<SeriesSamples>, StoreError> {
        if !charge(selected.len() * SERIES_BYTES) {
            return Err(no_memory());
        }
        let mut gathered = Gathered::new(selected, window, limits, charge);
        let metrics: BTreeSet<&str> = selected
            .iter()
            .map(|series| series.labels.metric_name())
            .collect();
        for segment in cut.segments {
            cut.stop.check()?;
            let read = segments::read(segment, &metrics, &mut gathered);
            read.inspect_err(|error| self.0.searcher.damage().note(segment.path(), error))?;
        }
        gathered.add_head(cut, selected)?;
        let found = selected.iter().zip(gathered.series);
        let found = found.filter(|(_series, samples)| !samples.is_empty());
        let found = found.map(|(series, mut samples)| {
            samples.sort_by_key(|(time_ms, _value)| *time_ms);
            samples.dedup_by_key(|(time_ms, _value)| *time_ms);
            let labels = series.labels.clone();
            SeriesSamples { labels, samples }
        });
        Ok(found.collect())
    }

    /// The label sets that fulfil one of the selectors (all when there is none) and were seen on a day
    /// between `start_ms` and `end_ms`, sorted.
    pub fn series(&self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) -> Vec<Labels> {
        let day = |time_ms| UnixMillis(time_ms).to_nanos().day();
        let days = (day(start_ms), day(end_ms));
        let index = self.0.series.read();
        let found: BTreeSet<Labels> = if selectors.is_empty() {
            index.select_seen(&[], days).into_iter().collect()
        } else {
            selectors
                .iter()
                .flat_map(|matchers| index.select_seen(matchers, days))
                .collect()
        };
        found.into_iter().collect()
    }

    /// The names of the labels of [`Store::series`], sorted.
    pub fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Vec<String> {
        let series = self.series(selectors, start_ms, end_ms);
        let names: BTreeSet<&str> = series
            .iter()
            .flat_map(|labels| labels.iter().map(|label| &*label.name))
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The values of one label of [`Store::series`], sorted.
    pub fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Vec<String> {
        let series = self.series(selectors, start_ms, end_ms);
        let values: BTreeSet<&str> = series
            .iter()
            .filter_map(|labels| labels.get(name))
            .collect();
        values.into_iter().map(str::to_owned).collect()
    }

    /// The type, help and unit of every metric known, sorted by metric.
    pub fn metric_metadata(&self) -> Vec<MetricMetadata> {
        self.0.metadata.read().values().cloned().collect()
    }
}
