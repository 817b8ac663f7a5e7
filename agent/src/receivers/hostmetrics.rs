//! Reads the figures of the host.
//!
//! In: files of `/proc`, and the sizes of mounted file systems. Out: one batch of OTLP metrics per interval,
//! the first at once, by OpenTelemetry's names and units. Totals are cumulative since the host's start.
//!
//! Left out: pseudo and network file systems (a dead server would hang the reading), loop and RAM
//! disks, and the host's ends of container networks, whose names change with every pod. What cannot be read
//! is left out of the batch and counted in a log line, once.

mod metrics;
mod proc;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};
use vervet_model::Signal;
use vervet_wire::otlp::{KeyValue, Metric, Resource, Scope, write_resource_metrics};

use crate::config::Mistakes;
use crate::config::units::HumanDuration;
use crate::pipeline::{Batch, ReceiverContext};
use metrics::Reader;

/// The instrumentation scope of the metrics.
const SCOPE: &str = "vervet.hostmetrics";
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// What the configuration says of one `hostmetrics` receiver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostmetricsSpec {
    /// Time between two readings. Default 15 s, at least 1 s.
    #[serde(default = "default_interval")]
    pub interval: HumanDuration,
    /// Where the host's `/proc` is mounted. Default `/proc`.
    #[serde(default)]
    pub proc_path: Option<PathBuf>,
}

fn default_interval() -> HumanDuration {
    HumanDuration(Duration::from_secs(15))
}

/// The settings of a `hostmetrics` receiver, checked.
#[derive(Debug, Clone)]
pub struct HostmetricsConfig {
    pub(crate) interval: Duration,
    proc_path: PathBuf,
}

impl TryFrom<HostmetricsSpec> for HostmetricsConfig {
    type Error = Mistakes;

    fn try_from(spec: HostmetricsSpec) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        mistakes.demand(
            spec.interval.0 >= INTERVAL_MIN,
            &["interval"],
            "interval must be at least 1s",
        );
        let proc_path = spec.proc_path.unwrap_or_else(|| PathBuf::from("/proc"));
        mistakes.or(Some(Self {
            interval: spec.interval.0,
            proc_path,
        }))
    }
}

/// Reads the figures of the host.
pub struct HostmetricsReceiver {
    config: HostmetricsConfig,
    context: ReceiverContext,
}

impl HostmetricsReceiver {
    pub fn new(config: HostmetricsConfig, context: ReceiverContext) -> Self {
        Self { config, context }
    }

    /// Runs until the shutdown token is cancelled or the pipeline is closed.
    pub async fn run(self) {
        tracing::debug!(interval = ?self.config.interval, "hostmetrics receiver started");
        let shutdown = self.context.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.read_forever() => {}
        }
    }

    async fn read_forever(self) {
        let mut ticks = interval(self.config.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut reader = Reader::new(self.config.proc_path);
        let context = Arc::new(self.context);
        loop {
            ticks.tick().await;
            let reading_context = Arc::clone(&context);
            // The size of a file system may come from a slow disk.
            let reading = tokio::task::spawn_blocking(move || {
                let batch = read(&mut reader, &reading_context);
                (reader, batch)
            });
            let Ok((reader_back, batch)) = reading.await else {
                return;
            };
            reader = reader_back;
            let Some(batch) = context.process(batch) else {
                continue;
            };
            if batch.records > 0 && context.output.send(batch).await.is_err() {
                return;
            }
        }
    }
}

fn read(reader: &mut Reader, context: &ReceiverContext) -> Batch {
    let now = u64::try_from(context.clock.now().0).unwrap_or(0);
    let metrics = reader.read(now);
    encode(&metrics, &context.resource)
}

fn encode(metrics: &[Metric<'_>], resource: &[(String, String)]) -> Batch {
    let attributes = resource
        .iter()
        .map(|(key, value)| KeyValue::new(key.as_str(), value.as_str()));
    let resource = Resource {
        attributes: attributes.collect(),
    };
    let scope = Scope {
        name: SCOPE.into(),
        ..Scope::default()
    };
    let mut payload = Vec::new();
    write_resource_metrics(&mut payload, &resource, &scope, |writer| {
        metrics.iter().for_each(|metric| writer.push(metric));
    });
    let records = metrics
        .iter()
        .map(|metric| metric.data.points() as u64)
        .sum();
    Batch {
        signal: Signal::Metrics,
        payload: payload.into(),
        records,
        positions: Vec::new(),
        news: Vec::new(),
        parts: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
