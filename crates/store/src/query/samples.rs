//! Samples and series for PromQL. These calls block: use a blocking thread.

use vervet_model::{Labels, Matcher, UnixNanos};

use crate::catalog::MetricMetadata;
use crate::{Store, StoreError};

/// What one call of [`Store::samples`] may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLimits {
    pub series_max: usize,
    pub samples_max: usize,
    /// After this moment the call is given up.
    pub deadline: UnixNanos,
}

/// A label set with its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSamples {
    pub labels: Labels,
    /// Milliseconds and value, by time, each time once. Staleness markers keep their bits.
    pub samples: Vec<(i64, f64)>,
}

impl Store {
    /// The series that match and have a sample in the window (both ends inclusive), in no order.
    ///
    /// # Errors
    /// [`StoreError::QueryTooLarge`] and [`StoreError::Timeout`] for the limits; no partial result.
    pub fn samples(
        &self,
        _matchers: &[Matcher],
        _start_ms: i64,
        _end_ms: i64,
        _limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, StoreError> {
        Ok(Vec::new())
    }

    /// The label sets that fulfil one of the selectors (all when there is none) and were seen on a day
    /// between `start_ms` and `end_ms`, sorted.
    pub fn series(&self, _selectors: &[Vec<Matcher>], _start_ms: i64, _end_ms: i64) -> Vec<Labels> {
        Vec::new()
    }

    /// The names of the labels of [`Store::series`], sorted.
    pub fn label_names(
        &self,
        _selectors: &[Vec<Matcher>],
        _start_ms: i64,
        _end_ms: i64,
    ) -> Vec<String> {
        Vec::new()
    }

    /// The values of one label of [`Store::series`], sorted.
    pub fn label_values(
        &self,
        _name: &str,
        _selectors: &[Vec<Matcher>],
        _start_ms: i64,
        _end_ms: i64,
    ) -> Vec<String> {
        Vec::new()
    }

    /// The type, help and unit of every metric known, sorted by metric.
    pub fn metric_metadata(&self) -> Vec<MetricMetadata> {
        Vec::new()
    }
}
