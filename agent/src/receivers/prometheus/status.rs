//! What is known of targets: for `vervet-agent status targets` and for `/api/v1/targets`, in Prometheus's shape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use vervet_model::UnixNanos;

use super::discovery::LabelMap;
use super::pass::LeftOutCounts;
use super::target::{Origin, Target};
use super::units::Span;
use crate::reloads;

/// Error texts are cut here (bytes).
const ERROR_BYTES_MAX: usize = 1_024;

/// The targets of all receivers. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScrapeTargets(Arc<Mutex<Pools>>);

/// By receiver and job.
type Pools = BTreeMap<(String, String), Arc<PoolStatus>>;

/// The targets of one job.
#[derive(Debug, Default)]
pub(crate) struct PoolStatus {
    /// By key.
    active: Mutex<BTreeMap<u128, Arc<TargetStatus>>>,
    dropped: Mutex<DroppedTargets>,
}

/// What relabelling has dropped.
#[derive(Debug, Default)]
pub(crate) struct DroppedTargets {
    pub(crate) origins: Vec<Origin>,
    /// Those that are not remembered included.
    pub(crate) count: usize,
}

/// One target that is scraped.
#[derive(Debug)]
pub(crate) struct TargetStatus {
    pub(crate) target: Arc<Target>,
    origin: Mutex<Origin>,
    last: Mutex<Option<LastScrape>>,
}

/// How the last scrape of a target went.
#[derive(Debug, Clone)]
pub(crate) struct LastScrape {
    pub(crate) at: UnixNanos,
    pub(crate) duration: Duration,
    /// Samples that the target exposed, as far as they were read.
    pub(crate) samples: u64,
    /// Series that are kept of the target.
    pub(crate) series: u64,
    pub(crate) left_out: LeftOutCounts,
    pub(crate) outcome: Result<(), String>,
}

/// The answer of `/api/v1/targets`, inside its envelope.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetsAnswer {
    pub(crate) active_targets: Vec<ActiveTarget>,
    pub(crate) dropped_targets: Vec<DroppedTarget>,
    pub(crate) dropped_target_counts: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActiveTarget {
    discovered_labels: LabelMap,
    labels: LabelMap,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    last_error: String,
    last_scrape: String,
    /// Seconds.
    last_scrape_duration: f64,
    /// Samples that the target exposed; this and the next two Prometheus does not tell.
    last_scrape_samples: u64,
    /// Series that are kept of the target.
    series: u64,
    /// Samples of the last scrape that were not taken, by reason.
    samples_left_out: BTreeMap<&'static str, u64>,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DroppedTarget {
    discovered_labels: LabelMap,
    scrape_pool: String,
}

/// Which targets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TargetState {
    Active,
    Dropped,
    #[default]
    Any,
}

impl ScrapeTargets {
    /// A place for the targets of a job.
    pub(crate) fn open(&self, receiver: &str, job: &str) -> Arc<PoolStatus> {
        let pool = Arc::new(PoolStatus::default());
        let key = (receiver.to_owned(), job.to_owned());
        self.0.lock().insert(key, Arc::clone(&pool));
        pool
    }

    /// The job is over; another of its name may have taken the place.
    pub(crate) fn close(&self, receiver: &str, job: &str, own: &Arc<PoolStatus>) {
        let key = (receiver.to_owned(), job.to_owned());
        let mut pools = self.0.lock();
        if pools.get(&key).is_some_and(|pool| Arc::ptr_eq(pool, own)) {
            pools.remove(&key);
        }
    }

    /// The targets of all jobs, or of one.
    pub(crate) fn answer(&self, state: TargetState, wanted_pool: Option<&str>) -> TargetsAnswer {
        let pools: Vec<(String, Arc<PoolStatus>)> = {
            let pools = self.0.lock();
            let pools = pools
                .iter()
                .map(|((_, job), pool)| (job.clone(), Arc::clone(pool)));
            pools.collect()
        };
        let mut answer = TargetsAnswer {
            active_targets: Vec::new(),
            dropped_targets: Vec::new(),
            dropped_target_counts: BTreeMap::new(),
        };
        for (job, pool) in pools {
            if wanted_pool.is_some_and(|wanted| wanted != job) {
                continue;
            }
            if state != TargetState::Dropped {
                let active: Vec<_> = pool.active.lock().values().cloned().collect();
                answer
                    .active_targets
                    .extend(active.iter().map(|target| target.shown(&job)));
            }
            if state != TargetState::Active {
                let dropped = pool.dropped.lock();
                *answer.dropped_target_counts.entry(job.clone()).or_default() += dropped.count;
                answer
                    .dropped_targets
                    .extend(dropped.origins.iter().map(|origin| DroppedTarget {
                        discovered_labels: origin.labels(),
                        scrape_pool: job.clone(),
                    }));
            }
        }
        let by_url =
            |target: &ActiveTarget| (target.scrape_pool.clone(), target.scrape_url.clone());
        answer.active_targets.sort_by_cached_key(by_url);
        answer
    }
}

impl PoolStatus {
    pub(crate) fn set(&self, active: BTreeMap<u128, Arc<TargetStatus>>, dropped: DroppedTargets) {
        *self.active.lock() = active;
        *self.dropped.lock() = dropped;
    }
}

impl TargetStatus {
    pub(crate) fn new(target: Arc<Target>, origin: Origin) -> Self {
        Self {
            target,
            origin: Mutex::new(origin),
            last: Mutex::default(),
        }
    }

    /// It was found again, maybe with other labels that make no difference.
    pub(crate) fn set_origin(&self, origin: Origin) {
        *self.origin.lock() = origin;
    }

    pub(crate) fn scraped(&self, mut last: LastScrape) {
        if let Err(error) = &mut last.outcome {
            let end = error.floor_char_boundary(ERROR_BYTES_MAX);
            error.truncate(end);
        }
        *self.last.lock() = Some(last);
    }

    fn shown(&self, job: &str) -> ActiveTarget {
        let last = self.last.lock().clone();
        let outcome = last.as_ref().map(|last| &last.outcome);
        // Prometheus writes the time that Go has for none.
        let never = || "0001-01-01T00:00:00Z".to_owned();
        ActiveTarget {
            discovered_labels: self.origin.lock().labels(),
            labels: self.target.labels.clone(),
            scrape_pool: job.to_owned(),
            scrape_url: self.target.url.to_string(),
            global_url: self.target.url.to_string(),
            last_error: match outcome {
                Some(Err(error)) => error.clone(),
                _ => String::new(),
            },
            last_scrape: last
                .as_ref()
                .map_or_else(never, |last| reloads::text(last.at)),
            last_scrape_duration: last
                .as_ref()
                .map_or(0.0, |last| last.duration.as_secs_f64()),
            last_scrape_samples: last.as_ref().map_or(0, |last| last.samples),
            series: last.as_ref().map_or(0, |last| last.series),
            samples_left_out: last.as_ref().map(left_out).unwrap_or_default(),
            health: match outcome {
                None => "unknown",
                Some(Ok(_)) => "up",
                Some(Err(_)) => "down",
            },
            scrape_interval: Span(self.target.interval).text(),
            scrape_timeout: Span(self.target.timeout).text(),
        }
    }
}

fn left_out(last: &LastScrape) -> BTreeMap<&'static str, u64> {
    let all = last.left_out.by_reason().into_iter();
    all.filter(|(_, count)| *count > 0).collect()
}
