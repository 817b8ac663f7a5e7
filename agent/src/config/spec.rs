//! The configuration as it is written.

use serde::Deserialize;

use super::units::ByteSize;
use crate::receivers::filelog::FilelogSpec;
use crate::receivers::hostmetrics::HostmetricsSpec;
use crate::receivers::prometheus::PrometheusSpec;

/// One receiver, by its `type`.
#[derive(Debug, Clone, PartialEq)]
pub enum ReceiverSpec {
    Filelog(FilelogSpec),
    Hostmetrics(HostmetricsSpec),
    Prometheus(PrometheusSpec),
    Otlp(OtlpReceiverSpec),
}

/// `limits: {memory: auto, disk: 4GiB}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    #[serde(default)]
    pub memory: Option<MemoryLimit>,
    #[serde(default)]
    pub disk: Option<ByteSize>,
}

/// A size, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    Auto,
    Bytes(ByteSize),
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Self::Auto);
        }
        ByteSize::parse(&text).map(Self::Bytes).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "\"{text}\" is neither auto nor a size such as 64MiB"
            ))
        })
    }
}

/// Who may use a listener. There is no way to configure authentication yet, so one off loopback needs
/// `auth: disabled` in so many words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    Disabled,
}

/// `{type: otlp, grpc: 127.0.0.1:4317, http: 127.0.0.1:4318}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpReceiverSpec {
    #[serde(default)]
    pub grpc: Option<String>,
    #[serde(default)]
    pub http: Option<String>,
    /// Largest request body, before and after decompression. Default 16 MiB, at most 63 MiB.
    #[serde(default)]
    pub body_max: Option<ByteSize>,
    /// Connections of each listener. Default 1,024, at most 65,536 and a quarter of the process's descriptors.
    #[serde(default)]
    pub connections_max: Option<usize>,
    #[serde(default)]
    pub auth: Option<Auth>,
}

/// `{from: [pods, otlp], to: [main]}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    pub from: Vec<String>,
    #[serde(default)]
    pub via: Vec<String>,
    pub to: Vec<String>,
}

/// `admin: {listen: 127.0.0.1:7421}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSpec {
    #[serde(default)]
    pub listen: Option<String>,
    #[serde(default)]
    pub auth: Option<Auth>,
}

/// `telemetry: {traces: {endpoint: http://127.0.0.1:4318}}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySpec {
    #[serde(default)]
    pub traces: Option<TracesSpec>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesSpec {
    /// Base address of an OTLP/HTTP endpoint; `/v1/traces` is added.
    pub endpoint: String,
}
