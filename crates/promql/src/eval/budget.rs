//! What one query may use, what it has used, and what it has to tell its user.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use vervet_model::{Clock, Labels, UnixMillis, UnixNanos};

use crate::engine::EngineOptions;
use crate::error::{Position, QueryError};
use crate::eval::Track;
use crate::queryable::{Queryable, SelectLimits, SelectRequest};
use crate::syntax::Selector;

/// One query on its way: store, limits, counters and annotations.
pub(crate) struct Query<'q> {
    storage: &'q dyn Queryable,
    clock: &'q dyn Clock,
    options: &'q EngineOptions,
    deadline: UnixNanos,
    samples_read: Cell<usize>,
    samples_held: Cell<usize>,
    warnings: RefCell<Vec<String>>,
    infos: RefCell<Vec<String>>,
}

impl<'q> Query<'q> {
    pub(crate) fn new(
        storage: &'q dyn Queryable,
        clock: &'q dyn Clock,
        options: &'q EngineOptions,
    ) -> Self {
        Self {
            storage,
            clock,
            options,
            deadline: clock.now().saturating_add(options.timeout),
            samples_read: Cell::new(0),
            samples_held: Cell::new(0),
            warnings: RefCell::default(),
            infos: RefCell::default(),
        }
    }

    /// How far an instant selector looks back (milliseconds).
    pub(crate) fn lookback(&self) -> i64 {
        whole_millis(self.options.lookback_delta)
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
        let request = SelectRequest {
            matchers: &selector.matchers,
            start: UnixMillis(start),
            end: UnixMillis(end),
            limits: SelectLimits {
                series_max: self.options.series_max,
                samples_max: self
                    .options
                    .samples_max
                    .saturating_sub(self.samples_held.get()),
                deadline: self.deadline,
            },
        };
        let series = self.storage.select(&request)?;
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
        Ok(tracks)
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
            &self.warnings,
            format!("PromQL warning: {text} ({position})"),
        );
    }

    /// Adds a hint, unless it is there already.
    pub(crate) fn info(&self, text: &str, position: Position) {
        note(&self.infos, format!("PromQL info: {text} ({position})"));
    }

    /// The warnings and hints.
    pub(crate) fn into_notes(self) -> (Vec<String>, Vec<String>) {
        (self.warnings.into_inner(), self.infos.into_inner())
    }
}

fn note(notes: &RefCell<Vec<String>>, text: String) {
    let mut notes = notes.borrow_mut();
    if !notes.contains(&text) {
        notes.push(text);
    }
}

pub(crate) fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
