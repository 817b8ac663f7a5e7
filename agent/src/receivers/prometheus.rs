//! Scrapes Prometheus targets.
//!
//! In: `scrape_configs` as Prometheus has them, what discoveries find, and the exposition text of each target, on its
//! interval. Out: batches of OTLP metrics in the scope [`PROMETHEUS_SCOPE`](vervet_wire::otlp::PROMETHEUS_SCOPE), whose
//! metric names and point attributes are the final Prometheus names and labels, with `up` and the other figures of the
//! scrape itself.
//!
//! Each target is scraped by a task of its own: one that hangs or answers garbage delays no other. It is first
//! scraped within a second, then at its own place within the interval, so that targets spread out. A scrape
//! counts as a whole: text that is malformed anywhere, or a limit that is exceeded, is a failed scrape. A series that was in
//! the last scrape and is not in this one gets a staleness marker, and so do all series of a scrape that fails and of a
//! target that is gone.
//!
//! Limits: a body of [`BODY_BYTES_MAX`] after decompression, a batch of about 4 MiB.

mod cache;
mod discovery;
mod encode;
mod fetch;
mod http;
mod job;
mod native;
mod pass;
mod pool;
mod scrape;
mod series;
mod spec;
mod status;
mod target;
mod trouble;
mod units;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::pipeline::ReceiverContext;
pub use job::PrometheusConfig;
pub(crate) use pass::LeftOutCounts;
use pool::Pool;
pub use spec::PrometheusSpec;
pub(crate) use status::{ScrapeTargets, TargetState, TargetsAnswer};

/// Largest body of a scrape (bytes after decompression).
const BODY_BYTES_MAX: usize = 64 << 20;

/// Scrapes Prometheus targets.
pub struct PrometheusReceiver {
    config: PrometheusConfig,
    context: ReceiverContext,
}

impl PrometheusReceiver {
    pub fn new(config: PrometheusConfig, context: ReceiverContext) -> Self {
        Self { config, context }
    }

    /// Runs until the shutdown token is cancelled or the pipeline is closed.
    pub async fn run(self) {
        tracing::debug!(jobs = self.config.jobs.len(), "prometheus receiver started");
        let context = Arc::new(self.context);
        let mut pools = JoinSet::new();
        for job in self.config.jobs {
            pools.spawn(Pool::new(job, Arc::clone(&context)).run());
        }
        while let Some(ended) = pools.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "scrape job failed");
            }
        }
        // Without jobs there is nothing to do but to wait.
        context.shutdown.cancelled().await;
    }
}

#[cfg(test)]
mod tests;
