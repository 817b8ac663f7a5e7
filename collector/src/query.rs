//! Runs PromQL and LogQL over the store, off the async threads, a bounded number at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vervet_model::{Labels, Matcher, UnixMillis};
use vervet_promql::{
    Engine, EngineOptions, Features, Mark, QueryError, QueryOptions, QueryOutput, Queryable,
    QueryableError, Sample, SelectRequest, Series,
};
use vervet_store::{SampleLimits, SeriesSamples, Store, StoreError};

use crate::config::Limits;
use crate::logql::{self, MetricRequest};

/// Queries that wait; further ones are refused.
const WAITING_QUERIES_MAX: usize = 128;

/// All queries of metrics together may hold so many times the memory of one.
const QUERIES_MEMORY: usize = 2;

/// Evaluates queries. Cloning shares the engine and the limit.
#[derive(Clone)]
pub(crate) struct QueryService {
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// How long a query waits at most.
    patience: Duration,
    series_max: usize,
    features: Features,
}

impl QueryService {
    pub(crate) fn new(store: Store, limits: &Limits, features: Features) -> Self {
        let options = EngineOptions {
            timeout: limits.query_timeout,
            samples_max: limits.query_samples,
            memory_max: limits.query_memory_bytes,
            kept_bytes_max: limits.query_cache_bytes,
            memory_together_max: limits.query_memory_bytes.saturating_mul(QUERIES_MEMORY),
            series_max: limits.query_series,
            features,
            ..EngineOptions::default()
        };
        let permits = Arc::new(Semaphore::new(limits.queries));
        let waiting = Arc::new(Semaphore::new(WAITING_QUERIES_MAX));
        let patience = options.timeout;
        Self {
            store,
            engine: Arc::new(Engine::new(options)),
            permits,
            waiting,
            patience,
            series_max: limits.query_series,
            features,
        }
    }

    /// The parts of the language that are switched on.
    pub(crate) fn features(&self) -> Features {
        self.features
    }

    /// # Errors
    /// The query is invalid, too large or too slow, or the store fails.
    #[tracing::instrument(skip_all, fields(query = %query))]
    pub(crate) async fn promql_instant(
        &self,
        query: String,
        at: UnixMillis,
        options: QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        self.run(move |engine, storage| engine.instant_with(storage, &query, at, options))
            .await
    }

    /// # Errors
    /// The query is invalid, too large or too slow, or the store fails.
    #[tracing::instrument(skip_all, fields(query = %query))]
    pub(crate) async fn promql_range(
        &self,
        query: String,
        range: (UnixMillis, UnixMillis),
        step: Duration,
        options: QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        self.run(move |engine, storage| engine.range_with(storage, &query, range, step, options))
            .await
    }

    /// A LogQL metric query at one moment, as rules ask it.
    ///
    /// # Errors
    /// The query is invalid, too large or too slow, or the store fails.
    pub(crate) async fn logql_instant(
        &self,
        query: &str,
        at: UnixMillis,
    ) -> Result<QueryOutput, QueryError> {
        match logql::parse(query) {
            Ok(logql::Query::Metric(query)) => {
                self.logql_metric(
                    query,
                    MetricRequest {
                        start: at,
                        end: at,
                        step: None,
                    },
                )
                .await
            }
            Ok(logql::Query::Logs(_)) => Err(QueryError::Execution(
                "a log query has no value; count it".to_owned(),
            )),
            Err(error) => Err(QueryError::Execution(error.to_string())),
        }
    }

    /// # Errors
    /// The query is invalid, too large or too slow, or the store fails.
    #[tracing::instrument(skip_all, fields(promql = %query.promql))]
    pub(crate) async fn logql_metric(
        &self,
        query: logql::MetricQuery,
        request: MetricRequest,
    ) -> Result<QueryOutput, QueryError> {
        let _permit = self.permit().await?;
        logql::evaluate(&self.store, &self.engine, query, request).await
    }

    /// The label sets that fulfil one of the selectors, as [`Store::series`].
    ///
    /// # Errors
    /// There are too many, or too much is going on.
    pub(crate) async fn series(
        &self,
        selectors: Vec<Vec<Matcher>>,
        start: UnixMillis,
        end: UnixMillis,
    ) -> Result<Vec<Labels>, QueryError> {
        let list = move |store: &Store| store.series(&selectors, start.0, end.0);
        let (found, limit) = (self.list(list).await?, self.series_max);
        match found.len() > limit {
            true => Err(QueryError::TooManySeries { limit }),
            false => Ok(found),
        }
    }

    /// The newest sample of each series that fulfils one of the selectors, as [`Engine::newest`].
    ///
    /// # Errors
    /// There are too many, too much is going on, or the store fails.
    pub(crate) async fn newest(
        &self,
        selectors: Vec<Vec<Matcher>>,
        at: UnixMillis,
    ) -> Result<Vec<(Labels, Sample)>, QueryError> {
        self.run(move |engine, storage| engine.newest(storage, &selectors, at))
            .await
    }

    /// What is known of all series, off the async threads: there may be a million.
    ///
    /// # Errors
    /// Too much is going on.
    pub(crate) async fn list<T: Send + 'static>(
        &self,
        list: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        let store = self.store.clone();
        self.off_the_async_threads(move || Ok(list(&store))).await
    }

    async fn run<T, F>(&self, evaluate: F) -> Result<T, QueryError>
    where
        T: Send + 'static,
        F: FnOnce(&Engine, &dyn Queryable) -> Result<T, QueryError> + Send + 'static,
    {
        let (engine, storage) = (Arc::clone(&self.engine), StoredSeries(self.store.clone()));
        self.off_the_async_threads(move || evaluate(&engine, &storage))
            .await
    }

    /// Does what blocks, when there is a place for it.
    async fn off_the_async_threads<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let permit = self.permit().await?;
        let run = move || {
            // A caller that hangs up does not free the place of a query that still runs.
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(run)
            .await
            .map_err(|error| QueryError::Execution(error.to_string()))?
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _in_the_queue = self
            .waiting
            .try_acquire()
            .map_err(|_full| QueryError::Busy)?;
        let permit = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(self.patience, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(QueryError::Busy),
        }
    }
}

const GATHERED: &str = "the samples that a selector gathers";

/// The store as the engine sees it.
struct StoredSeries(Store);

impl Queryable for StoredSeries {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let window = (request.start.0, request.end.0);
        let found = charged(request, |limits, charge| {
            self.0
                .samples_charged(request.matchers, window, limits, charge)
        })?;
        Ok(found.into_iter().map(series).collect())
    }

    fn select_in_parts(
        &self,
        request: &SelectRequest<'_>,
        each: &mut dyn FnMut(usize, Vec<Series>) -> bool,
    ) -> Result<(), QueryableError> {
        let window = (request.start.0, request.end.0);
        let mut each =
            |place, part: Vec<SeriesSamples>| each(place, part.into_iter().map(series).collect());
        charged(request, |limits, charge| {
            self.0
                .samples_in_parts(request.matchers, window, limits, charge, &mut each)
        })
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark(self.0.samples_mark()))
    }

    fn changed_since(&self, mark: Mark) -> UnixMillis {
        UnixMillis(self.0.samples_changed_since(mark.0))
    }
}

/// Reads for a request: within its limits, and charging its query what is told to the second argument of `read`.
fn charged<T>(
    request: &SelectRequest<'_>,
    read: impl FnOnce(SampleLimits, &mut dyn FnMut(usize) -> bool) -> Result<T, StoreError>,
) -> Result<T, QueryableError> {
    let limits = SampleLimits {
        series_max: request.limits.series_max,
        samples_max: request.limits.samples_max,
        deadline: request.limits.deadline,
    };
    let mut refused = None;
    let mut charge = |bytes: usize| {
        let charged = request.memory.grow(bytes, GATHERED);
        charged.map_err(|error| refused = Some(error)).is_ok()
    };
    let found = read(limits, &mut charge);
    match refused {
        Some(refused) => Err(refused.into()),
        None => found.map_err(|error| refusal(error, limits)),
    }
}

fn refusal(error: StoreError, limits: SampleLimits) -> QueryableError {
    match error {
        StoreError::Timeout { .. } => QueryableError::Timeout,
        StoreError::QueryTooLarge { what: "series", .. } => QueryableError::TooManySeries {
            limit: limits.series_max,
        },
        StoreError::QueryTooLarge {
            what: "samples", ..
        } => QueryableError::TooManySamples {
            limit: limits.samples_max,
        },
        other => QueryableError::Store(Box::new(other)),
    }
}

fn series(found: SeriesSamples) -> Series {
    let samples = found.samples.into_iter();
    Series {
        labels: found.labels,
        samples: samples
            .map(|(timestamp, value)| Sample { timestamp, value })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
