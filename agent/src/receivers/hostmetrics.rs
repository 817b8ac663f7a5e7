//! Reads the figures of the host.

use std::time::Duration;

use serde::Deserialize;

use crate::config::units::HumanDuration;
use crate::pipeline::ReceiverContext;

/// What the configuration says of one `hostmetrics` receiver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostmetricsSpec {
    /// Time between two readings. Default 15 s.
    #[serde(default = "default_interval")]
    pub interval: HumanDuration,
}

fn default_interval() -> HumanDuration {
    HumanDuration(Duration::from_secs(15))
}

/// The settings of a `hostmetrics` receiver, checked.
#[derive(Debug, Clone)]
pub struct HostmetricsConfig {
    pub(crate) interval: Duration,
}

impl TryFrom<HostmetricsSpec> for HostmetricsConfig {
    type Error = String;

    fn try_from(spec: HostmetricsSpec) -> Result<Self, String> {
        Ok(Self {
            interval: spec.interval.0,
        })
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
        self.context.shutdown.cancelled().await;
    }
}
