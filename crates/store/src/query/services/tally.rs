//! Sums the groups of the engine up to one entry per service.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use vervet_model::UnixNanos;

use super::{
    BUCKET, CLASS, CLASS_ENTRY, CLASS_ROOT, COUNT, ERRORS, LATEST, P50, P99, ServiceStats,
    SparkPoint,
};
use crate::StoreError;
use crate::columns::Columns;
use crate::tables::{Table, column};

const NANOS_PER_MILLI: f64 = 1e6;

pub(super) struct Tally {
    buckets: usize,
    services: BTreeMap<(String, String), Service>,
}

#[derive(Default)]
struct Service {
    entries: Requests,
    roots: Requests,
    log_records: u64,
    log_errors: u64,
    last_seen: UnixNanos,
}

#[derive(Default)]
struct Requests {
    p50_ms: f64,
    p99_ms: f64,
    sparkline: Vec<SparkPoint>,
}

impl Requests {
    fn is_empty(&self) -> bool {
        self.sparkline.iter().all(|point| point.requests == 0)
    }
}

impl Service {
    /// The spans of a class that counts as requests.
    fn requests(&mut self, class: i64) -> Option<&mut Requests> {
        match class {
            CLASS_ENTRY => Some(&mut self.entries),
            CLASS_ROOT => Some(&mut self.roots),
            _ => None,
        }
    }
}

impl Tally {
    pub(super) fn new(buckets: usize) -> Self {
        Self {
            buckets,
            services: BTreeMap::new(),
        }
    }

    pub(super) fn add_totals(&mut self, batches: &[RecordBatch]) -> Result<(), StoreError> {
        self.each(batches, |service, columns, row| {
            service.last_seen = service
                .last_seen
                .max(UnixNanos(columns.nanos(LATEST)?.value(row)));
            if let Some(requests) = service.requests(columns.i64(CLASS)?.value(row)) {
                requests.p50_ms = columns.f64(P50)?.value(row) / NANOS_PER_MILLI;
                requests.p99_ms = columns.f64(P99)?.value(row) / NANOS_PER_MILLI;
            }
            Ok(())
        })
    }

    pub(super) fn add_buckets(&mut self, batches: &[RecordBatch]) -> Result<(), StoreError> {
        let buckets = self.buckets;
        self.each(batches, |service, columns, row| {
            let Some(requests) = service.requests(columns.i64(CLASS)?.value(row)) else {
                return Ok(());
            };
            requests.sparkline.resize(buckets, SparkPoint::default());
            let bucket = usize::try_from(columns.i64(BUCKET)?.value(row)).unwrap_or(usize::MAX);
            if let Some(point) = requests.sparkline.get_mut(bucket) {
                point.requests += unsigned(columns.i64(COUNT)?.value(row));
                point.errors += unsigned(columns.i64(ERRORS)?.value(row));
            }
            Ok(())
        })
    }

    pub(super) fn add_logs(&mut self, batches: &[RecordBatch]) -> Result<(), StoreError> {
        self.each(batches, |service, columns, row| {
            service.log_records += unsigned(columns.i64(COUNT)?.value(row));
            service.log_errors += unsigned(columns.i64(ERRORS)?.value(row));
            service.last_seen = service
                .last_seen
                .max(UnixNanos(columns.nanos(LATEST)?.value(row)));
            Ok(())
        })
    }

    /// Hands each row to `add` with the service it belongs to.
    fn each(
        &mut self,
        batches: &[RecordBatch],
        add: impl Fn(&mut Service, Columns<'_>, usize) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for batch in batches {
            let columns = Columns::new(Table::Spans.name(), batch);
            let names = columns.text(column::SERVICE_NAME)?;
            let environments = columns.text(column::ENVIRONMENT)?;
            for row in 0..batch.num_rows() {
                let key = (
                    names.value(row).to_owned(),
                    environments.value(row).to_owned(),
                );
                add(self.services.entry(key).or_default(), columns, row)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<ServiceStats> {
        let buckets = self.buckets;
        self.services
            .into_iter()
            .map(|((service_name, environment), service)| {
                let mut requests = if service.entries.is_empty() {
                    service.roots
                } else {
                    service.entries
                };
                requests.sparkline.resize(buckets, SparkPoint::default());
                let sum =
                    |field: fn(&SparkPoint) -> u64| requests.sparkline.iter().map(field).sum();
                ServiceStats {
                    service_name,
                    environment,
                    requests: sum(|point| point.requests),
                    errors: sum(|point| point.errors),
                    p50_ms: requests.p50_ms,
                    p99_ms: requests.p99_ms,
                    log_records: service.log_records,
                    log_errors: service.log_errors,
                    last_seen: service.last_seen,
                    sparkline: requests.sparkline,
                }
            })
            .collect()
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
