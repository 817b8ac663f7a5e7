//! The configuration file.

pub mod units;

use serde::Deserialize;

use crate::receivers::filelog::FilelogSpec;
use crate::receivers::hostmetrics::HostmetricsSpec;
use crate::receivers::prometheus::PrometheusSpec;

/// One receiver, by its `type`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ReceiverSpec {
    Filelog(FilelogSpec),
    Hostmetrics(HostmetricsSpec),
    Prometheus(PrometheusSpec),
}
