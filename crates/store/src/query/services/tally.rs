//! Sums groups of spans and log records up to one entry per service.

use std::collections::BTreeMap;

use vervet_model::UnixNanos;

use super::{ServiceStats, SparkPoint};
use crate::query::search::aggregate::AggregateGroup;
use crate::query::search::predicate::presence;
use crate::query::search::sketch::NumberSummary;

const NANOS_PER_MILLI: f64 = 1e6;

pub(super) struct Tally {
    buckets: usize,
    services: BTreeMap<(String, String), Service>,
}

struct Service {
    entries: Requests,
    roots: Requests,
    log_records: u64,
    log_errors: u64,
    last_seen: UnixNanos,
}

struct Requests {
    durations: NumberSummary,
    sparkline: Vec<SparkPoint>,
}

impl Requests {
    fn new(buckets: usize) -> Self {
        Self {
            durations: NumberSummary::new(true),
            sparkline: vec![SparkPoint::default(); buckets],
        }
    }

    fn is_empty(&self) -> bool {
        self.sparkline.iter().all(|point| point.requests == 0)
    }
}

impl Service {
    fn new(buckets: usize) -> Self {
        Self {
            entries: Requests::new(buckets),
            roots: Requests::new(buckets),
            log_records: 0,
            log_errors: 0,
            last_seen: UnixNanos(0),
        }
    }

    /// What spans of a kind count for: entries of the service, else roots of traces, else nothing.
    fn requests(&mut self, kind: &str, has_parent: &str) -> Option<&mut Requests> {
        if matches!(kind, "server" | "consumer") {
            Some(&mut self.entries)
        } else if has_parent == presence(false) {
            Some(&mut self.roots)
        } else {
            None
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

    fn service(&mut self, name: &str, environment: &str) -> &mut Service {
        let buckets = self.buckets;
        self.services
            .entry((name.to_owned(), environment.to_owned()))
            .or_insert_with(|| Service::new(buckets))
    }

    pub(super) fn add_totals(&mut self, group: &AggregateGroup) {
        let [name, environment, kind, has_parent] = group.key.as_slice() else {
            return;
        };
        let service = self.service(name, environment);
        for cell in &group.cells {
            service.last_seen = service.last_seen.max(cell.latest);
            if let Some(requests) = service.requests(kind, has_parent) {
                for durations in &cell.numbers {
                    requests.durations.merge(durations);
                }
            }
        }
    }

    pub(super) fn add_steps(
        &mut self,
        group: &AggregateGroup,
        bucket_of: impl Fn(UnixNanos) -> usize,
    ) {
        let [name, environment, kind, has_parent, status] = group.key.as_slice() else {
            return;
        };
        let service = self.service(name, environment);
        let Some(requests) = service.requests(kind, has_parent) else {
            return;
        };
        for cell in &group.cells {
            if let Some(point) = requests.sparkline.get_mut(bucket_of(cell.start)) {
                point.requests += cell.count;
                point.errors += if status == "error" { cell.count } else { 0 };
            }
        }
    }

    pub(super) fn add_logs(&mut self, group: &AggregateGroup) {
        let [name, environment, level] = group.key.as_slice() else {
            return;
        };
        let is_error = matches!(level.as_str(), "error" | "fatal");
        let service = self.service(name, environment);
        for cell in &group.cells {
            service.log_records += cell.count;
            service.log_errors += if is_error { cell.count } else { 0 };
            service.last_seen = service.last_seen.max(cell.latest);
        }
    }

    pub(super) fn finish(self) -> Vec<ServiceStats> {
        self.services
            .into_iter()
            .map(|((service_name, environment), service)| {
                let requests = match service.entries.is_empty() {
                    true => service.roots,
                    false => service.entries,
                };
                let sum =
                    |field: fn(&SparkPoint) -> u64| requests.sparkline.iter().map(field).sum();
                let millis = |quantile| {
                    let nanos = requests.durations.quantile(quantile);
                    nanos.map_or(0.0, |nanos| nanos / NANOS_PER_MILLI)
                };
                ServiceStats {
                    service_name,
                    environment,
                    requests: sum(|point| point.requests),
                    errors: sum(|point| point.errors),
                    p50_ms: millis(0.5),
                    p99_ms: millis(0.99),
                    log_records: service.log_records,
                    log_errors: service.log_errors,
                    last_seen: service.last_seen,
                    sparkline: requests.sparkline,
                }
            })
            .collect()
    }
}
