//! What each service does: requests, errors, latency and logs.

mod tally;

use std::sync::Arc;
use std::time::Duration;

use vervet_model::UnixNanos;

use self::tally::Tally;
use super::filter::{Field, Filter};
use super::search::Answer;
use super::search::aggregate::{Aggregate, NumberField};
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
    /// Of their duration, within 0.4 %; 0 without requests.
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
    /// Any [`StoreError`] of a query; [`StoreError::Invalid`] when there is no time, no bucket or more than
    /// a thousand buckets.
    pub async fn service_stats(
        &self,
        start: UnixNanos,
        end: UnixNanos,
        buckets: usize,
    ) -> Result<Answer<Vec<ServiceStats>>, StoreError> {
        if start >= end || !(1..=BUCKETS_MAX).contains(&buckets) {
            return Err(StoreError::Invalid {
                reason: format!("service statistics need time and 1 to {BUCKETS_MAX} buckets"),
            });
        }
        let query = ServiceQuery {
            start,
            end,
            buckets,
        };
        self.0.service_stats(query).await
    }
}

#[derive(Clone, Copy)]
struct ServiceQuery {
    start: UnixNanos,
    end: UnixNanos,
    buckets: usize,
}

impl ServiceQuery {
    /// The number of the bucket that starts then.
    fn bucket_of(self, start: UnixNanos) -> usize {
        let since = start.0.saturating_sub(self.start.0);
        usize::try_from(since / self.bucket_nanos()).unwrap_or(usize::MAX)
    }

    /// The length of a bucket, rounded up so that the last one ends at or after the end.
    fn bucket_nanos(self) -> i64 {
        let buckets = i64::try_from(self.buckets).unwrap_or(1);
        let length = self.end.0.saturating_sub(self.start.0);
        (length / buckets + i64::from(length % buckets != 0)).max(1)
    }
}

impl Inner {
    async fn service_stats(
        &self,
        query: ServiceQuery,
    ) -> Result<Answer<Vec<ServiceStats>>, StoreError> {
        let span = (query.start, query.end);
        let everything = Filter::everything();
        let view = self.cut();
        let counted = async |table, aggregate: Aggregate| {
            let view = Arc::clone(&view);
            self.aggregate_over(view, table, &everything, span, &aggregate)
                .await
        };
        let (totals, buckets, logs) = tokio::try_join!(
            counted(Table::Spans, totals()),
            counted(Table::Spans, steps(query)),
            counted(Table::Logs, records()),
        )?;
        let mut tally = Tally::new(query.buckets);
        let mut complete = Answer {
            found: (),
            warnings: Vec::new(),
        };
        for group in &totals.found {
            tally.add_totals(group);
        }
        for group in &buckets.found {
            tally.add_steps(group, |start| query.bucket_of(start));
        }
        for group in &logs.found {
            tally.add_logs(group);
        }
        for part in [totals, buckets, logs] {
            complete = complete.and_warnings_of(part);
        }
        Ok(complete.map(|()| tally.finish()))
    }
}

/// Service, environment, kind, and whether there is a parent: the first four of each group of spans.
fn by_class() -> Vec<Field> {
    vec![
        Field::column(column::SERVICE_NAME),
        Field::column(column::ENVIRONMENT),
        Field::column(column::KIND),
        Field::Presence(column::PARENT_SPAN_ID.to_owned()),
    ]
}

fn totals() -> Aggregate {
    Aggregate {
        group_by: by_class(),
        latest: true,
        numbers: vec![NumberField {
            field: Field::column(column::DURATION_NS),
            quantiles: true,
        }],
        ..Aggregate::default()
    }
}

fn steps(query: ServiceQuery) -> Aggregate {
    let mut group_by = by_class();
    group_by.push(Field::column(column::STATUS));
    Aggregate {
        group_by,
        bucket: Some(Duration::from_nanos(query.bucket_nanos().unsigned_abs())),
        ..Aggregate::default()
    }
}

fn records() -> Aggregate {
    Aggregate {
        group_by: vec![
            Field::column(column::SERVICE_NAME),
            Field::column(column::ENVIRONMENT),
            Field::column(column::LEVEL),
        ],
        latest: true,
        ..Aggregate::default()
    }
}
