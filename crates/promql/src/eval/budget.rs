//! What one query may use, what it has used, and what it has to tell its user.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use vervet_model::{Clock, Labels, UnixMillis, UnixNanos};

use crate::engine::EngineOptions;
use crate::error::{Position, QueryError};
use crate::eval::Track;
use crate::eval::memory::{Charge, entry_bytes, tracks_bytes};
use crate::features::Features;
use crate::queryable::{
    Queryable, QueryableError, Sample, SelectLimits, SelectRequest, Series, StartTime,
};
use crate::syntax::Selector;

const READING: &str = "the samples that a selector reads";

/// What is asked of whom.
#[derive(Clone, Copy)]
pub(crate) struct Run<'q> {
    pub(crate) storage: &'q dyn Queryable,
    pub(crate) query: &'q str,
    pub(crate) deadline: UnixNanos,
    /// How far an instant selector looks back (milliseconds).
    pub(crate) lookback: i64,
}

/// One query on its way: store, limits, counters and annotations.
pub(crate) struct Query<'q> {
    storage: &'q dyn Queryable,
    clock: &'q dyn Clock,
    options: &'q EngineOptions,
    deadline: UnixNanos,
    lookback: i64,
    samples_read: Cell<usize>,
    samples_held: Cell<usize>,
    pub(crate) memory: Charge,
    warnings: RefCell<Vec<String>>,
    infos: RefCell<Vec<String>>,
}

impl<'q> Query<'q> {
    pub(crate) fn new(
        run: Run<'q>,
        clock: &'q dyn Clock,
        options: &'q EngineOptions,
        memory: Charge,
    ) -> Self {
        Self {
            storage: run.storage,
            clock,
            options,
            deadline: run.deadline,
            lookback: run.lookback,
            samples_read: Cell::new(0),
            samples_held: Cell::new(0),
            memory,
            warnings: RefCell::default(),
            infos: RefCell::default(),
        }
    }

    pub(crate) fn features(&self) -> Features {
        self.options.features
    }

    /// How far an instant selector looks back (milliseconds).
    pub(crate) fn lookback(&self) -> i64 {
        self.lookback
    }

    /// The step of a subquery without one (milliseconds).
    pub(crate) fn subquery_step(&self) -> i64 {
        whole_millis(self.options.subquery_step_default).max(1)
    }

    /// Reads the series of a selector in a window, both ends inclusive, once.
    pub(crate) fn select(
        &self,
        selector: &Selector,
        start: i64,
        end: i64,
    ) -> Result<Vec<Track>, QueryError> {
        self.check_deadline()?;
        let before = self.memory.loose();
        let request = self.request(selector, start, end);
        let series = self.storage.select(&request);
        let series = series.map_err(|error| self.read_error(error))?;
        if series.len() > self.options.series_max {
            return Err(QueryError::TooManySeries {
                limit: self.options.series_max,
            });
        }
        let mut tracks = Vec::with_capacity(series.len());
        for series in series {
            self.samples_read
                .set(self.samples_read.get().saturating_add(series.samples.len()));
            self.charge(series.samples.len())?;
            tracks.push(Track::floats(series.labels, false, series.samples));
        }
        self.add_histograms(&request, &mut tracks)?;
        // Instead of what the store charged while it gathered.
        let read = before.saturating_add(tracks_bytes(&tracks));
        self.memory.settle(read, READING)?;
        Ok(tracks)
    }

    /// As [`Query::select`], but `map` turns each series into what is wanted of it as soon as it is read. The order of
    /// the results is that of the store.
    pub(crate) fn select_mapped(
        &self,
        selector: &Selector,
        (start, end): (i64, i64),
        map: &mut dyn FnMut(Track) -> Result<Option<Track>, QueryError>,
    ) -> Result<Vec<Track>, QueryError> {
        self.check_deadline()?;
        let request = self.request(selector, start, end);
        if !self.storage.select_histograms(&request)?.is_empty() {
            let tracks = self.select(selector, start, end)?.into_iter();
            let mapped = tracks.filter_map(|track| map(track).transpose());
            return mapped.collect();
        }
        let mut results: Vec<(usize, Track)> = Vec::new();
        let (mut found, mut failed) = (0_usize, None);
        // What was held, and what the results have taken since; the rest is the store's.
        let (before, mut own) = (self.memory.loose(), 0_usize);
        let mut each = |place: usize, part: Vec<Series>| {
            found = found.saturating_add(part.len());
            let store = self
                .memory
                .loose()
                .saturating_sub(before.saturating_add(own));
            let mapped = self.map_part(part, found, store, map);
            own = self
                .memory
                .loose()
                .saturating_sub(before.saturating_add(store));
            match mapped {
                Ok(tracks) => results.extend(
                    tracks
                        .into_iter()
                        .map(|(index, track)| (place + index, track)),
                ),
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        };
        let read = self.storage.select_in_parts(&request, &mut each);
        if let Some(error) = failed {
            return Err(error);
        }
        read.map_err(|error| self.read_error(error))?;
        self.memory.settle(before.saturating_add(own), READING)?;
        results.sort_by_key(|(place, _track)| *place);
        Ok(results.into_iter().map(|(_place, track)| track).collect())
    }

    /// Of each series what is wanted, with its place in the part; `found` are read so far, and the store has charged some bytes for them.
    fn map_part(
        &self,
        part: Vec<Series>,
        found: usize,
        charged: usize,
        map: &mut dyn FnMut(Track) -> Result<Option<Track>, QueryError>,
    ) -> Result<Vec<(usize, Track)>, QueryError> {
        if found > self.options.series_max {
            return Err(QueryError::TooManySeries {
                limit: self.options.series_max,
            });
        }
        self.check_deadline()?;
        let samples: usize = part.iter().map(|series| series.samples.capacity()).sum();
        let bytes = samples.saturating_mul(size_of::<Sample>());
        let _part = self.memory.hold(bytes.saturating_sub(charged), READING)?;
        let read: usize = part.iter().map(|series| series.samples.len()).sum();
        self.samples_read
            .set(self.samples_read.get().saturating_add(read));
        self.check_steps(self.samples_held.get().saturating_add(read))?;
        let mapped = part.into_iter().enumerate().filter_map(|(index, series)| {
            let mapped = map(Track::floats(series.labels, false, series.samples));
            mapped.map(|track| Some((index, track?))).transpose()
        });
        mapped.collect()
    }

    /// Reads when the counters of some series had begun, in the same window, in the order of the series.
    pub(crate) fn select_starts(
        &self,
        selector: &Selector,
        (start, end): (i64, i64),
        tracks: &[Track],
    ) -> Result<Vec<Vec<StartTime>>, QueryError> {
        self.check_deadline()?;
        let before = self.memory.loose();
        let found = self
            .storage
            .select_starts(&self.request(selector, start, end));
        let found = found.map_err(|error| self.read_error(error))?;
        let entries = entry_bytes::<Labels, Vec<StartTime>>() * found.len();
        let _known = self.memory.hold(entries, READING)?;
        let mut known: HashMap<Labels, Vec<StartTime>> = found
            .into_iter()
            .map(|series| (series.labels, series.starts))
            .collect();
        let starts: Vec<Vec<StartTime>> = tracks
            .iter()
            .map(|track| known.remove(&track.labels).unwrap_or_default())
            .collect();
        let held: usize = starts.iter().map(Vec::capacity).sum();
        let bytes = held * size_of::<StartTime>() + starts.len() * size_of::<Vec<StartTime>>();
        self.memory.settle(before.saturating_add(bytes), READING)?;
        Ok(starts)
    }

    fn request<'r>(&'r self, selector: &'r Selector, start: i64, end: i64) -> SelectRequest<'r> {
        SelectRequest {
            matchers: &selector.matchers,
            start: UnixMillis(start),
            end: UnixMillis(end),
            limits: SelectLimits {
                series_max: self.options.series_max,
                samples_max: self.samples_left(),
                deadline: self.deadline,
            },
            memory: &self.memory,
        }
    }

    /// A store that only knows a number of samples stops at that which the memory has room for.
    fn read_error(&self, error: QueryableError) -> QueryError {
        let by_memory = self.memory.left() / size_of::<Sample>();
        match error {
            QueryableError::TooManySamples { limit } if limit == by_memory => {
                self.memory.exhausted(READING).into()
            }
            QueryableError::TooManySamples { .. } => QueryError::TooManySamples {
                limit: self.options.samples_max,
            },
            other => other.into(),
        }
    }

    /// Samples that may still be read, by their number and by their memory.
    fn samples_left(&self) -> usize {
        let by_memory = self.memory.left() / size_of::<Sample>();
        let by_number = self
            .options
            .samples_max
            .saturating_sub(self.samples_held.get());
        by_number.min(by_memory)
    }

    /// Reads the native histograms of a selector, and joins them to the floats of the same series.
    fn add_histograms(
        &self,
        request: &SelectRequest<'_>,
        tracks: &mut Vec<Track>,
    ) -> Result<(), QueryError> {
        let histograms = self.storage.select_histograms(request)?;
        if histograms.is_empty() {
            return Ok(());
        }
        let entries = entry_bytes::<Labels, usize>() * (tracks.len() + histograms.len());
        let _known = self.memory.hold(entries, "series with histograms")?;
        let labels = tracks.iter().map(|track| track.labels.clone());
        let mut known: HashMap<Labels, usize> = labels
            .enumerate()
            .map(|(index, labels)| (labels, index))
            .collect();
        for series in histograms {
            self.samples_read
                .set(self.samples_read.get().saturating_add(series.samples.len()));
            self.charge(series.samples.len())?;
            let index = *known.entry(series.labels.clone()).or_insert_with(|| {
                tracks.push(Track::floats(series.labels, false, Vec::new()));
                tracks.len() - 1
            });
            if let Some(track) = tracks.get_mut(index) {
                track.histograms = series.samples;
            }
        }
        Ok(())
    }

    /// Counts samples that the query holds from now on.
    pub(crate) fn charge(&self, samples: usize) -> Result<(), QueryError> {
        let held = self.samples_held.get().saturating_add(samples);
        self.samples_held.set(held);
        self.check_steps(held)
    }

    pub(crate) fn check_steps(&self, samples: usize) -> Result<(), QueryError> {
        if samples > self.options.samples_max {
            return Err(QueryError::TooManySamples {
                limit: self.options.samples_max,
            });
        }
        Ok(())
    }

    pub(crate) fn check_deadline(&self) -> Result<(), QueryError> {
        if self.clock.now() > self.deadline {
            return Err(QueryError::Timeout);
        }
        Ok(())
    }

    pub(crate) fn samples_read(&self) -> usize {
        self.samples_read.get()
    }

    /// Adds a warning, unless it is there already.
    pub(crate) fn warn(&self, text: &str, position: Position) {
        note(
            &mut self.warnings.borrow_mut(),
            format!("PromQL warning: {text} ({position})"),
        );
    }

    /// Adds a hint, unless it is there already.
    pub(crate) fn info(&self, text: &str, position: Position) {
        note(
            &mut self.infos.borrow_mut(),
            format!("PromQL info: {text} ({position})"),
        );
    }

    /// The warnings, the hints, and what is held.
    pub(crate) fn into_parts(self) -> (Vec<String>, Vec<String>, Charge) {
        let (warnings, infos) = (self.warnings.into_inner(), self.infos.into_inner());
        (warnings, infos, self.memory)
    }
}

/// Notes of one kind, at most: some name a step, of which there are many.
const NOTES_MAX: usize = 100;

/// Adds a note that is not there yet, as long as there are not too many.
pub(crate) fn note(notes: &mut Vec<String>, text: String) {
    if notes.len() < NOTES_MAX && !notes.contains(&text) {
        notes.push(text);
    }
}

pub(crate) fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
