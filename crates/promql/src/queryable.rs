//! What the engine knows of storage: one trait that answers a selector with whole series.

use vervet_model::{Labels, Matcher, UnixMillis, UnixNanos};

use crate::error::MemoryError;
use crate::eval::Charge;
use crate::native::HistogramSeries;

/// The bit pattern that marks the end of a series ("staleness marker"). It is a NaN, so it can be told
/// from an ordinary NaN by its bits only.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the staleness marker.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    pub value: f64,
}

/// A label set with its samples, sorted by time, at most one per timestamp.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

/// Since when a counter had counted, as of a sample ("start timestamp").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTime {
    /// Of the sample: milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Milliseconds since the Unix epoch; zero is the same as no start.
    pub start: i64,
}

/// A label set with the starts of its samples, sorted by time, at most one per timestamp.
#[derive(Debug, Clone, PartialEq)]
pub struct StartSeries {
    pub labels: Labels,
    pub starts: Vec<StartTime>,
}

/// What one `select` may return. A store that would exceed it should stop early with the matching error;
/// the engine checks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectLimits {
    pub series_max: usize,
    pub samples_max: usize,
    /// After this moment the query is given up.
    pub deadline: UnixNanos,
}

/// One selector, with the window of time the whole query needs of it.
#[derive(Debug, Clone, Copy)]
pub struct SelectRequest<'a> {
    /// All must hold.
    pub matchers: &'a [Matcher],
    /// Inclusive.
    pub start: UnixMillis,
    /// Inclusive.
    pub end: UnixMillis,
    pub limits: SelectLimits,
    /// What the query holds. A store charges what it gathers while it does; when it has answered, the engine charges
    /// the answer instead.
    pub memory: &'a Charge,
}

/// A state of a store, for [`Queryable::changed_since`]. Later states have greater marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// A source of series. It is called from a blocking thread, once per selector of a query.
pub trait Queryable: Send + Sync {
    /// All series that match and have at least one sample in the window, each label set once, in any
    /// order. Staleness markers are samples and are returned as such.
    ///
    /// # Errors
    /// The store failed or a limit was hit; no partial result is returned.
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError>;

    /// As [`Queryable::select`], some series at a time, so that not all samples are held at once: `each` is called with
    /// them until it says no. The place of the first of them, which `each` is given too, tells their order. What the
    /// store charged for them stays charged until it has returned. By default all at once.
    ///
    /// # Errors
    /// As [`Queryable::select`]; some series may have been handed out.
    fn select_in_parts(
        &self,
        request: &SelectRequest<'_>,
        each: &mut dyn FnMut(usize, Vec<Series>) -> bool,
    ) -> Result<(), QueryableError> {
        each(0, self.select(request)?);
        Ok(())
    }

    /// As [`Queryable::select`], for native histograms. A series may have both, at different times. A store
    /// without native histograms need not implement it.
    ///
    /// # Errors
    /// As [`Queryable::select`].
    fn select_histograms(
        &self,
        _request: &SelectRequest<'_>,
    ) -> Result<Vec<HistogramSeries>, QueryableError> {
        Ok(Vec::new())
    }

    /// The starts of the samples and native histograms that these two return, as far as they are known. It is asked
    /// only with `use-start-timestamps`. A store without them need not implement it.
    ///
    /// # Errors
    /// As [`Queryable::select`].
    fn select_starts(
        &self,
        _request: &SelectRequest<'_>,
    ) -> Result<Vec<StartSeries>, QueryableError> {
        Ok(Vec::new())
    }

    /// The present state. `None` where nothing can be said of changes; then no answer is kept.
    fn mark(&self) -> Option<Mark> {
        None
    }

    /// The earliest time of a sample that came, changed or went after a mark, or any time before it; `i64::MAX`
    /// milliseconds when there was none. A change counts from the moment it is acknowledged, at the latest.
    fn changed_since(&self, _mark: Mark) -> UnixMillis {
        UnixMillis(i64::MIN)
    }
}

/// Why a store gave no series.
#[derive(Debug, thiserror::Error)]
pub enum QueryableError {
    /// Narrow the selector.
    #[error("the selector matches more than {limit} series")]
    TooManySeries { limit: usize },
    /// Narrow the selector or the time range.
    #[error("the selector reads more than {limit} samples")]
    TooManySamples { limit: usize },
    /// The memory of this query, or of all of them, is used up.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The deadline of the request passed.
    #[error("the store did not answer in time")]
    Timeout,
    /// The store itself failed; a retry may help.
    #[error("the store failed to answer")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}
