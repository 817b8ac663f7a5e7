//! Metric queries: the store counts, the PromQL engine does the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vervet_model::{Clock as _, Label, METRIC_NAME, SystemClock, UnixMillis};
use vervet_promql::{
    Engine, QueryError, QueryOutput, Queryable, QueryableError, STALE_NAN, Sample, SelectRequest,
    Series,
};
use vervet_store::{Direction, LogCount, LogCountSeries, LogMeasure, LogQuery, Store};

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
    let mut counted = BTreeMap::new();
    let memory = engine.charge();
    let mut warnings = Vec::new();
    for (index, aggregation) in query.aggregations.iter().enumerate() {
        let (windows, missing) = count(store, aggregation, request).await?;
        memory.grow(windows.bytes(), "the lines that are counted")?;
        counted.insert(stand_in(index), windows);
        warnings.extend(missing);
    }
    let engine = Arc::clone(engine);
    let run = move || {
        let counted = Counted(counted);
        let _held_meanwhile = memory;
        match request.step {
            None => engine.instant(&counted, &query.promql, request.end),
            Some(step) => engine.range(&counted, &query.promql, request.start, request.end, step),
        }
    };
    let output = tokio::task::spawn_blocking(run)
        .await
        .map_err(|error| QueryError::Execution(error.to_string()))?;
    output.map(|mut output| {
        output.warnings.extend(warnings);
        output
    })
}

/// Counts one aggregation in buckets from which every window `(t - range, t]` can be summed up.
async fn count(
    store: &Store,
    aggregation: &RangeAggregation,
    request: MetricRequest,
) -> Result<(Windows, Vec<String>), QueryError> {
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
    let measure = match aggregation.function {
        RangeFunction::CountOverTime | RangeFunction::Rate => LogMeasure::Records,
        RangeFunction::BytesOverTime | RangeFunction::BytesRate => LogMeasure::Bytes,
    };
    let counts = store.log_counts(&log_query, &aggregation.group_by, bucket, measure);
    let counts = counts
        .await
        .map_err(|error| QueryError::Execution(error.to_string()))?;
    let windows = Windows {
        function: aggregation.function,
        counts: counts.found,
        first,
        end: request.end,
        step,
        range,
    };
    Ok((windows, counts.warnings))
}

/// The counts of one aggregation and the moments at which it is evaluated.
struct Windows {
    function: RangeFunction,
    counts: Vec<LogCountSeries>,
    first: UnixMillis,
    end: UnixMillis,
    step: Duration,
    range: Duration,
}

impl Windows {
    /// What the counts take.
    fn bytes(&self) -> usize {
        let of_series = |counted: &LogCountSeries| {
            counted.buckets.capacity() * size_of::<LogCount>()
                + counted.labels.len() * size_of::<Label>()
                + size_of::<LogCountSeries>()
        };
        self.counts.iter().map(of_series).sum()
    }

    /// The value of the aggregation at each moment. Takes as long as there are buckets and moments.
    fn series(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let mut all = Vec::with_capacity(self.counts.len());
        for counted in &self.counts {
            if SystemClock.now() > request.limits.deadline {
                return Err(QueryableError::Timeout);
            }
            let series = self.one_series(counted);
            let bytes = series.samples.capacity() * size_of::<Sample>() + size_of::<Series>();
            request.memory.grow(bytes, "the windows of counted lines")?;
            all.push(series);
        }
        Ok(all)
    }

    fn one_series(&self, counted: &LogCountSeries) -> Series {
        let sums = RunningSums::new(self.function, counted);
        let step = millis(self.step).max(1);
        let mut samples = Vec::new();
        let mut next = Some(self.first);
        let mut live = false;
        while let Some(at) = next.filter(|at| *at <= self.end) {
            let end = at.to_nanos();
            let total = sums.through(end.0) - sums.through(end.saturating_sub(self.range).0);
            let value = if total > 0 {
                self.value(total)
            } else {
                STALE_NAN
            };
            // An empty window has no value; without a marker the engine would look back to the last one.
            if total > 0 || live {
                samples.push(Sample {
                    timestamp: at.0,
                    value,
                });
            }
            live = total > 0;
            next = at.0.checked_add(step).map(UnixMillis);
        }
        Series {
            labels: counted.labels.clone(),
            samples,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "samples are 64-bit floats, as in Prometheus"
    )]
    fn value(&self, total: u64) -> f64 {
        match self.function {
            RangeFunction::CountOverTime | RangeFunction::BytesOverTime => total as f64,
            RangeFunction::Rate | RangeFunction::BytesRate => {
                total as f64 / self.range.as_secs_f64()
            }
        }
    }
}

/// What was counted up to the end of each bucket, by time.
struct RunningSums(Vec<(i64, u64)>);

impl RunningSums {
    fn new(function: RangeFunction, counted: &LogCountSeries) -> Self {
        let mut sum = 0_u64;
        let buckets = counted.buckets.iter().map(|bucket| {
            sum += match function {
                RangeFunction::CountOverTime | RangeFunction::Rate => bucket.count,
                RangeFunction::BytesOverTime | RangeFunction::BytesRate => bucket.bytes,
            };
            (bucket.start.0, sum)
        });
        Self(buckets.collect())
    }

    /// The sum of all buckets that start at or before a time.
    fn through(&self, time: i64) -> u64 {
        let after = self.0.partition_point(|(start, _)| *start <= time);
        after
            .checked_sub(1)
            .and_then(|last| self.0.get(last))
            .map_or(0, |(_, sum)| *sum)
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
struct Counted(BTreeMap<String, Windows>);

impl Queryable for Counted {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let name = request
            .matchers
            .iter()
            .find(|matcher| matcher.name == METRIC_NAME);
        match name.and_then(|matcher| self.0.get(&matcher.value)) {
            Some(windows) => windows.series(request),
            None => Ok(Vec::new()),
        }
    }
}
