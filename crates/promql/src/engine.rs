//! The front door: one query in, one value out.

use std::sync::Arc;
use std::time::Duration;

use vervet_model::{Clock, SystemClock, UnixMillis};

use crate::error::QueryError;
use crate::queryable::Queryable;
use crate::value::QueryOutput;

/// Limits and defaults of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How far an instant selector looks back for a sample.
    pub lookback_delta: Duration,
    /// The step of a subquery that names none.
    pub subquery_step_default: Duration,
    /// Samples that one query may hold, read and computed together.
    pub samples_max: usize,
    /// Series that one selector may return.
    pub series_max: usize,
    /// Steps of one range query.
    pub steps_max: usize,
    /// Wall clock time of one query.
    pub timeout: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_delta: Duration::from_secs(300),
            subquery_step_default: Duration::from_secs(60),
            samples_max: 50_000_000,
            series_max: 1_000_000,
            steps_max: 11_000,
            timeout: Duration::from_secs(120),
        }
    }
}

/// Evaluates queries. It holds no state between them; share one by reference.
pub struct Engine {
    pub(crate) options: EngineOptions,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        Self::with_clock(options, Arc::new(SystemClock))
    }

    /// An engine whose timeout follows the given clock.
    pub fn with_clock(options: EngineOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock }
    }

    /// Evaluates a query at one moment. It blocks: call it from a blocking thread.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn instant(
        &self,
        _storage: &dyn Queryable,
        _query: &str,
        _at: UnixMillis,
    ) -> Result<QueryOutput, QueryError> {
        Err(QueryError::Execution(
            "evaluation is not there yet".to_owned(),
        ))
    }

    /// Evaluates a query at `start`, `start + step`, ... up to `end` inclusive; the value is a matrix. It
    /// blocks: call it from a blocking thread.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn range(
        &self,
        _storage: &dyn Queryable,
        _query: &str,
        _start: UnixMillis,
        _end: UnixMillis,
        _step: Duration,
    ) -> Result<QueryOutput, QueryError> {
        Err(QueryError::Execution(
            "evaluation is not there yet".to_owned(),
        ))
    }
}
