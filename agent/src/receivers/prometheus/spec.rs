//! `scrape_configs` as they are written: Prometheus's keys, with Prometheus's meaning and defaults.

mod discovery;
mod http;

use std::collections::BTreeMap;

use serde::Deserialize;
use vervet_exposition::Protocol;
use vervet_relabel::RuleSpec;

use super::units::{Size, Span};
pub(crate) use discovery::{
    DnsSdSpec, DnsType, FileSdSpec, HttpSdSpec, KubernetesSdSpec, Role, SelectorSpec, StaticSpec,
};
pub(crate) use http::{AuthorizationSpec, BasicAuthSpec, HttpSpec, TlsSpec, TlsVersion};

/// What the configuration says of one `prometheus` receiver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSpec {
    pub(crate) scrape_configs: Vec<ScrapeSpec>,
    /// Series of one target that are kept; those beyond are left out and counted. Default 200,000.
    #[serde(default)]
    pub(crate) max_series_per_target: Option<usize>,
}

/// One entry of `scrape_configs`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScrapeSpec {
    pub(crate) job_name: String,
    /// Default 1m.
    #[serde(default)]
    pub(crate) scrape_interval: Option<Span>,
    /// Default 10s, at most the interval.
    #[serde(default)]
    pub(crate) scrape_timeout: Option<Span>,
    /// Default `/metrics`.
    #[serde(default)]
    pub(crate) metrics_path: Option<String>,
    #[serde(default)]
    pub(crate) scheme: Option<Scheme>,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the target win over those of the configuration; by default they are renamed
    /// to `exported_<name>`.
    #[serde(default)]
    pub(crate) honor_labels: bool,
    /// Default true.
    #[serde(default)]
    pub(crate) honor_timestamps: Option<bool>,
    #[serde(default)]
    pub(crate) track_timestamps_staleness: bool,
    #[serde(default)]
    pub(crate) basic_auth: Option<BasicAuthSpec>,
    #[serde(default)]
    pub(crate) authorization: Option<AuthorizationSpec>,
    #[serde(default)]
    pub(crate) tls_config: Option<TlsSpec>,
    #[serde(default)]
    pub(crate) proxy_url: Option<String>,
    #[serde(default)]
    pub(crate) no_proxy: Option<String>,
    #[serde(default)]
    pub(crate) proxy_from_environment: bool,
    /// Default true.
    #[serde(default)]
    pub(crate) follow_redirects: Option<bool>,
    /// Only `false` is possible: requests are HTTP/1.1.
    #[serde(default)]
    pub(crate) enable_http2: Option<bool>,
    /// Default true.
    #[serde(default)]
    pub(crate) enable_compression: Option<bool>,
    /// Formats asked for, the preferred one first.
    #[serde(default)]
    pub(crate) scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// What a body without a usable content type is taken for.
    #[serde(default)]
    pub(crate) fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Native histograms are asked for, and taken of histograms that have both forms.
    #[serde(default)]
    pub(crate) scrape_native_histograms: bool,
    /// Of those, the classic buckets are taken, too.
    #[serde(default)]
    pub(crate) always_scrape_classic_histograms: bool,
    #[serde(default)]
    pub(crate) body_size_limit: Option<Size>,
    /// Of this and the other limits 0 is none.
    #[serde(default)]
    pub(crate) sample_limit: u64,
    #[serde(default)]
    pub(crate) label_limit: u64,
    #[serde(default)]
    pub(crate) label_name_length_limit: u64,
    #[serde(default)]
    pub(crate) label_value_length_limit: u64,
    #[serde(default)]
    pub(crate) target_limit: u64,
    #[serde(default)]
    pub(crate) keep_dropped_targets: u64,
    #[serde(default)]
    pub(crate) static_configs: Vec<StaticSpec>,
    #[serde(default)]
    pub(crate) file_sd_configs: Vec<FileSdSpec>,
    #[serde(default)]
    pub(crate) http_sd_configs: Vec<HttpSdSpec>,
    #[serde(default)]
    pub(crate) dns_sd_configs: Vec<DnsSdSpec>,
    #[serde(default)]
    pub(crate) kubernetes_sd_configs: Vec<KubernetesSdSpec>,
    #[serde(default)]
    pub(crate) relabel_configs: Vec<RuleSpec>,
    #[serde(default)]
    pub(crate) metric_relabel_configs: Vec<RuleSpec>,
}

/// How targets are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// An exposition format, by the name that Prometheus's configuration has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum ScrapeProtocol {
    PrometheusProto,
    #[serde(rename = "PrometheusText1.0.0")]
    PrometheusText1_0_0,
    #[serde(rename = "PrometheusText0.0.4")]
    PrometheusText0_0_4,
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetricsText1_0_0,
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetricsText0_0_1,
}

impl From<ScrapeProtocol> for Protocol {
    fn from(protocol: ScrapeProtocol) -> Self {
        match protocol {
            ScrapeProtocol::PrometheusProto => Self::Protobuf,
            ScrapeProtocol::PrometheusText1_0_0 => Self::Text1_0_0,
            ScrapeProtocol::PrometheusText0_0_4 => Self::Text0_0_4,
            ScrapeProtocol::OpenMetricsText1_0_0 => Self::OpenMetrics1_0_0,
            ScrapeProtocol::OpenMetricsText0_0_1 => Self::OpenMetrics0_0_1,
        }
    }
}

impl ScrapeSpec {
    /// The part that says how requests are made.
    pub(crate) fn http(&self) -> HttpSpec {
        HttpSpec {
            basic_auth: self.basic_auth.clone(),
            authorization: self.authorization.clone(),
            tls_config: self.tls_config.clone(),
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            enable_http2: self.enable_http2,
            follow_redirects: self.follow_redirects,
            enable_compression: self.enable_compression,
        }
    }
}
