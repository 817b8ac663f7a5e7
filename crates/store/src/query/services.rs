//! What each service does: requests, errors, latency and logs.

mod tally;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn::{approx_percentile_cont, count, max, sum};
use datafusion::logical_expr::{Expr, cast, col, lit, when};
use vervet_model::{Severity, UnixNanos};

use self::tally::Tally;
use super::filters::{bucket_index, time_between};
use super::session::Access;
use crate::store::Inner;
use crate::tables::{Table, column};
use crate::{Store, StoreError};

/// Points of a sparkline at most.
const BUCKETS_MAX: usize = 1000;

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

/// What kind of span a row is: an entry of its service, the root of a trace, or neither.
const CLASS: &str = "class";
const CLASS_ENTRY: i64 = 2;
const CLASS_ROOT: i64 = 1;
const CLASS_OTHER: i64 = 0;

const BUCKET: &str = "bucket";
const COUNT: &str = "records";
const ERRORS: &str = "errors";
const LATEST: &str = "latest";
const P50: &str = "p50";
const P99: &str = "p99";

impl Store {
    /// All services seen from `start` (inclusive) to `end` (exclusive), by name and environment.
    ///
    /// # Errors
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when there is no time, no bucket or more than
    /// a thousand buckets.
    pub async fn service_stats(
        &self,
        start: UnixNanos,
        end: UnixNanos,
        buckets: usize,
    ) -> Result<Vec<ServiceStats>, StoreError> {
        if start >= end || !(1..=BUCKETS_MAX).contains(&buckets) {
            return Err(StoreError::Invalid {
                reason: format!("service statistics need time and 1 to {BUCKETS_MAX} buckets"),
            });
        }
        let inner = Arc::clone(&self.0);
        let query = ServiceQuery {
            start,
            end,
            buckets,
        };
        self.0
            .run(async move { inner.service_stats(query).await })
            .await
    }
}

#[derive(Clone, Copy)]
struct ServiceQuery {
    start: UnixNanos,
    end: UnixNanos,
    buckets: usize,
}

impl ServiceQuery {
    /// The length of a bucket, rounded up so that the last one ends at or after the end.
    fn bucket_nanos(self) -> i64 {
        let buckets = i64::try_from(self.buckets).unwrap_or(1);
        let length = self.end.0.saturating_sub(self.start.0);
        (length / buckets + i64::from(length % buckets != 0)).max(1)
    }
}

impl Inner {
    async fn service_stats(&self, query: ServiceQuery) -> Result<Vec<ServiceStats>, StoreError> {
        let access = Access {
            time: Some((query.start, query.end)),
            ..Access::default()
        };
        let session = self.session(access)?;
        let view = self.cut();
        let within = time_between(query.start, query.end);
        let spans = self
            .table(&session, &view, Table::Spans, access)?
            .filter(within.clone())
            .map_err(|error| self.engine_error(error))?;
        let logs = self
            .table(&session, &view, Table::Logs, access)?
            .filter(within)
            .map_err(|error| self.engine_error(error))?;
        let mut tally = Tally::new(query.buckets);
        let totals = spans
            .clone()
            .aggregate(by_service(Some(class())), span_totals());
        let totals = totals.map_err(|error| self.engine_error(error))?;
        tally.add_totals(&self.collect(totals).await?)?;
        let mut groups = by_service(Some(class()));
        groups.push(bucket_index(query.start, query.bucket_nanos()).alias(BUCKET));
        let buckets = spans.aggregate(groups, counts(col(column::STATUS).eq(lit("error"))));
        let buckets = buckets.map_err(|error| self.engine_error(error))?;
        tally.add_buckets(&self.collect(buckets).await?)?;
        let is_error = col(column::SEVERITY_NUMBER).gt_eq(lit(Severity::ERROR.number()));
        let mut aggregates = counts(is_error);
        aggregates.push(max(col(column::TIME)).alias(LATEST));
        let logs = logs.aggregate(by_service(None), aggregates);
        let logs = logs.map_err(|error| self.engine_error(error))?;
        tally.add_logs(&self.collect(logs).await?)?;
        Ok(tally.finish())
    }
}

fn by_service(class: Option<Expr>) -> Vec<Expr> {
    let mut groups = vec![col(column::SERVICE_NAME), col(column::ENVIRONMENT)];
    groups.extend(class);
    groups
}

fn class() -> Expr {
    let kinds = vec![lit("server"), lit("consumer")];
    let is_entry = col(column::KIND).in_list(kinds, false);
    let is_root = col(column::PARENT_SPAN_ID).is_null();
    when(is_entry, lit(CLASS_ENTRY))
        .when(is_root, lit(CLASS_ROOT))
        .otherwise(lit(CLASS_OTHER))
        .unwrap_or_else(|_both_are_integers| lit(CLASS_OTHER))
        .alias(CLASS)
}

fn counts(is_error: Expr) -> Vec<Expr> {
    vec![
        count(lit(1_i64)).alias(COUNT),
        sum(cast(is_error, DataType::Int64)).alias(ERRORS),
    ]
}

fn span_totals() -> Vec<Expr> {
    let duration = || cast(col(column::DURATION_NS), DataType::Float64).sort(true, false);
    vec![
        max(col(column::TIME)).alias(LATEST),
        approx_percentile_cont(duration(), lit(0.5), None).alias(P50),
        approx_percentile_cont(duration(), lit(0.99), None).alias(P99),
    ]
}
