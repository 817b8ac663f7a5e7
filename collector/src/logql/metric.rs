//! Metric queries: the store counts, the PromQL engine does the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vervet_model::{METRIC_NAME, UnixMillis};
use vervet_promql::{
    Engine, QueryError, QueryOutput, Queryable, QueryableError, STALE_NAN, Sample, SelectRequest,
    Series,
};
use vervet_store::{Direction, GroupBy, LogCountSeries, LogQuery, Store};

use super::{MetricQuery, RangeAggregation, RangeFunction, stand_in};

/// The most buckets that one aggregation may be counted in.
const BUCKETS_MAX: u128 = 100_000;

/// The moments at which a metric query is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricRequest {
    pub(crate) start: UnixMillis,
    pub(crate) end: UnixMillis,
    /// `None` evaluates once, at `end`.
    pub(crate) step: Option<Duration>,
}

/// Counts every range aggregation in the store and evaluates the expression around them.
///
/// # Errors
/// A count exceeds its limits or the store fails ([`QueryError::Execution`]), or the expression is invalid.
pub(crate) async fn evaluate(
    store: &Store,
    engine: &Arc<Engine>,
    query: MetricQuery,
    request: MetricRequest,
) -> Result<QueryOutput, QueryError> {
    let mut counted = Counted::default();
    for (index, aggregation) in query.aggregations.iter().enumerate() {
        counted
            .0
            .insert(stand_in(index), count(store, aggregation, request).await?);
    }
    let engine = Arc::clone(engine);
    let run = move || match request.step {
        None => engine.instant(&counted, &query.promql, request.end),
        Some(step) => engine.range(&counted, &query.promql, request.start, request.end, step),
    };
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|error| QueryError::Execution(error.to_string()))?
}

/// The value of one aggregation at each step: over the window `(t - range, t]`.
async fn count(
    store: &Store,
    aggregation: &RangeAggregation,
    request: MetricRequest,
) -> Result<Vec<Series>, QueryError> {
    let range = aggregation.range;
    let step = request.step.unwrap_or(range);
    let first = if request.step.is_some() {
        request.start
    } else {
        request.end
    };
    let bucket =
        Duration::from_millis(greatest_common_divisor(millis(step), millis(range)).unsigned_abs());
    // Windows are open at their start: one nanosecond later, they are the half-open ones the store counts.
    let one = Duration::from_nanos(1);
    let start = first.to_nanos().saturating_sub(range).saturating_add(one);
    let end = request.end.to_nanos().saturating_add(one);
    if end.since(start).as_nanos() / bucket.as_nanos().max(1) > BUCKETS_MAX {
        return Err(QueryError::Execution(format!(
            "counting in buckets of {bucket:?} takes more than {BUCKETS_MAX} of them; use a larger step"
        )));
    }
    let log_query = LogQuery {
        matchers: aggregation.selector.matchers.clone(),
        filters: aggregation.selector.filters.clone(),
        metadata: aggregation.selector.metadata.clone(),
        trace_id: None,
        start,
        end,
        limit: 0,
        direction: Direction::OldestFirst,
    };
    let counts = store.log_counts(&log_query, &GroupBy::All, bucket).await;
    let counts = counts.map_err(|error| QueryError::Execution(error.to_string()))?;
    let windows = Windows {
        first,
        end: request.end,
        step,
        range,
    };
    Ok(counts
        .into_iter()
        .map(|counted| windows.series(aggregation.function, counted))
        .collect())
}

/// The evaluation moments of one aggregation.
struct Windows {
    first: UnixMillis,
    end: UnixMillis,
    step: Duration,
    range: Duration,
}

impl Windows {
    fn series(&self, function: RangeFunction, counted: LogCountSeries) -> Series {
        let mut sorted: BTreeMap<i64, u64> = BTreeMap::new();
        for bucket in &counted.buckets {
            let value = match function {
                RangeFunction::CountOverTime | RangeFunction::Rate => bucket.count,
                RangeFunction::BytesOverTime | RangeFunction::BytesRate => bucket.bytes,
            };
            *sorted.entry(bucket.start.0).or_default() += value;
        }
        let mut samples = Vec::new();
        let mut at = self.first;
        let mut live = false;
        while at <= self.end {
            let window_end = at.to_nanos().0;
            let window_start = at.to_nanos().saturating_sub(self.range).0;
            let total: u64 = sorted
                .range(window_start + 1..=window_end)
                .map(|(_, value)| *value)
                .sum();
            if total > 0 {
                samples.push(Sample {
                    timestamp: at.0,
                    value: self.value(function, total),
                });
            } else if live {
                // An empty window has no value; without a marker the engine would look back to the last one.
                samples.push(Sample {
                    timestamp: at.0,
                    value: STALE_NAN,
                });
            }
            live = total > 0;
            at = UnixMillis(at.0 + millis(self.step).max(1));
        }
        Series {
            labels: counted.labels,
            samples,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "samples are 64-bit floats, as in Prometheus"
    )]
    fn value(&self, function: RangeFunction, total: u64) -> f64 {
        match function {
            RangeFunction::CountOverTime | RangeFunction::BytesOverTime => total as f64,
            RangeFunction::Rate | RangeFunction::BytesRate => {
                total as f64 / self.range.as_secs_f64()
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Counted aggregations by the metric name that stands in for them.
#[derive(Default)]
struct Counted(BTreeMap<String, Vec<Series>>);

impl Queryable for Counted {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let name = request
            .matchers
            .iter()
            .find(|matcher| matcher.name == METRIC_NAME);
        Ok(name
            .and_then(|matcher| self.0.get(&matcher.value))
            .cloned()
            .unwrap_or_default())
    }
}
