//! Scrapes Prometheus targets.
//!
//! In: the exposition text of each target, on its interval. Out: batches of OTLP metrics in the scope
//! [`PROMETHEUS_SCOPE`](vervet_wire::otlp::PROMETHEUS_SCOPE), whose metric names and point attributes are
//! the final Prometheus names and labels, with `up` and the figures of the scrape itself.
//!
//! Each target is scraped by a task of its own: one that hangs or answers garbage delays no other. It is first
//! scraped within a second, then at its own place within the interval, so that targets spread out. A scrape
//! counts as a whole: text that is malformed anywhere is a failed scrape. A series that was in the last
//! scrape and is not in this one gets a staleness marker.
//!
//! Limits: a body of [`BODY_BYTES_MAX`] after decompression, a batch of about 4 MiB.

mod encode;
mod exposition;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;

use crate::config::Mistakes;
use crate::config::units::HumanDuration;
use crate::pipeline::ReceiverContext;
use target::Target;

/// Largest body of a scrape (bytes after decompression).
const BODY_BYTES_MAX: usize = 64 << 20;
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// What the configuration says of one `prometheus` receiver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSpec {
    pub scrape_configs: Vec<ScrapeSpec>,
}

/// One entry of `scrape_configs`, in Prometheus's words.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeSpec {
    pub job_name: String,
    /// Default 1m.
    #[serde(default)]
    pub scrape_interval: Option<HumanDuration>,
    /// Default 10s, at most the interval.
    #[serde(default)]
    pub scrape_timeout: Option<HumanDuration>,
    #[serde(default)]
    pub metrics_path: Option<String>,
    #[serde(default)]
    pub scheme: Option<String>,
    /// Whether labels of the target win over those of the configuration; by default they are renamed
    /// to `exported_<name>`.
    #[serde(default)]
    pub honor_labels: bool,
    #[serde(default)]
    pub static_configs: Vec<StaticSpec>,
}

/// A fixed list of targets with labels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticSpec {
    pub targets: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The settings of a `prometheus` receiver, checked.
#[derive(Debug, Clone)]
pub struct PrometheusConfig {
    targets: Vec<TargetConfig>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TargetConfig {
    url: reqwest::Url,
    interval: Duration,
    timeout: Duration,
    honor_labels: bool,
    /// What is added to every series: `job`, `instance` and the configured labels.
    labels: BTreeMap<String, String>,
}

impl TryFrom<PrometheusSpec> for PrometheusConfig {
    type Error = Mistakes;

    fn try_from(spec: PrometheusSpec) -> Result<Self, Mistakes> {
        let (mut targets, mut mistakes) = (Vec::new(), Mistakes::default());
        for (at, job) in spec.scrape_configs.iter().enumerate() {
            let mut demand = |holds: bool, keys: &[&str], message: String| {
                let keys = keys.iter().map(|key| format!("scrape_configs.{at}.{key}"));
                let keys: Vec<String> = keys.collect();
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                mistakes.demand(holds, &keys, format!("job {}: {message}", job.job_name));
            };
            add_targets(job, &mut targets, &mut demand);
        }
        mistakes.or(Some(Self { targets }))
    }
}

/// Adds the targets of one job; what is demanded of it and does not hold is told with the keys it is about.
fn add_targets(
    job: &ScrapeSpec,
    targets: &mut Vec<TargetConfig>,
    demand: &mut impl FnMut(bool, &[&str], String),
) {
    let interval = job
        .scrape_interval
        .map_or(INTERVAL_DEFAULT, |interval| interval.0);
    let timeout = job
        .scrape_timeout
        .map_or(TIMEOUT_DEFAULT.min(interval), |timeout| timeout.0);
    let is_zero = interval.is_zero() || job.scrape_timeout.is_some_and(|time| time.0.is_zero());
    demand(
        !is_zero,
        &["scrape_interval", "scrape_timeout"],
        "scrape_interval and scrape_timeout must be longer than 0".to_owned(),
    );
    demand(
        is_zero || timeout <= interval,
        &["scrape_timeout", "scrape_interval"],
        "scrape_timeout is longer than scrape_interval".to_owned(),
    );
    let scheme = job.scheme.as_deref().unwrap_or("http");
    let is_scheme = matches!(scheme, "http" | "https");
    demand(
        is_scheme,
        &["scheme"],
        format!("scheme is `{scheme}`, not http or https"),
    );
    let path = job.metrics_path.as_deref().unwrap_or("/metrics");
    let is_usable = is_scheme && path.starts_with('/');
    demand(
        path.starts_with('/'),
        &["metrics_path"],
        format!("metrics_path `{path}` does not begin with /"),
    );
    for group in &job.static_configs {
        for address in &group.targets {
            let url = match is_usable {
                true => reqwest::Url::parse(&format!("{scheme}://{address}{path}")),
                false => reqwest::Url::parse(&format!("http://{address}/")),
            };
            let url = match url {
                Ok(url) => url,
                Err(error) => {
                    let message = format!("target `{address}` is no address: {error}");
                    demand(false, &["static_configs"], message);
                    continue;
                }
            };
            let mut labels = group.labels.clone();
            labels.retain(|_, value| !value.is_empty());
            labels
                .entry("job".to_owned())
                .or_insert_with(|| job.job_name.clone());
            labels
                .entry("instance".to_owned())
                .or_insert_with(|| address.clone());
            let honor_labels = job.honor_labels;
            targets.push(TargetConfig {
                url,
                interval,
                timeout,
                honor_labels,
                labels,
            });
        }
    }
}

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
        tracing::debug!(
            targets = self.config.targets.len(),
            "prometheus receiver started"
        );
        let client = crate::http::client(|builder| {
            builder
                .no_proxy()
                .user_agent(concat!("vervet-agent/", env!("CARGO_PKG_VERSION")))
        });
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "prometheus receiver failed");
                return;
            }
        };
        let context = Arc::new(self.context);
        let mut scrapers = JoinSet::new();
        for target in self.config.targets {
            scrapers.spawn(Target::new(target, client.clone(), Arc::clone(&context)).run());
        }
        while let Some(ended) = scrapers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "scraper failed");
            }
        }
        // Without targets there is nothing to do but to wait.
        context.shutdown.cancelled().await;
    }
}

#[cfg(test)]
mod tests;
