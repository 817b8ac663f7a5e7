//! The sections that say where targets are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::http::{AuthorizationSpec, BasicAuthSpec, HttpSpec, TlsSpec};
use crate::receivers::prometheus::units::Span;

/// A fixed list of targets with labels.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticSpec {
    #[serde(default)]
    pub(crate) targets: Vec<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// `{files: [/etc/targets/*.yaml]}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSdSpec {
    pub(crate) files: Vec<String>,
    /// Default 5m. Files that change are read at once.
    #[serde(default)]
    pub(crate) refresh_interval: Option<Span>,
}

/// `{url: http://inventory/targets}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSdSpec {
    pub(crate) url: String,
    /// Default 1m.
    #[serde(default)]
    pub(crate) refresh_interval: Option<Span>,
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
    #[serde(default)]
    pub(crate) follow_redirects: Option<bool>,
    /// Only `false` is possible: requests are HTTP/1.1.
    #[serde(default)]
    pub(crate) enable_http2: Option<bool>,
}

/// `{names: [_metrics._tcp.shop.internal]}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsSdSpec {
    pub(crate) names: Vec<String>,
    #[serde(default, rename = "type")]
    pub(crate) kind: DnsType,
    /// Needed for addresses, which have none.
    #[serde(default)]
    pub(crate) port: Option<u16>,
    /// Default 30s.
    #[serde(default)]
    pub(crate) refresh_interval: Option<Span>,
}

/// Which records are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum DnsType {
    #[default]
    Srv,
    A,
    Aaaa,
}

/// `{role: pod, selectors: [{role: pod, field: spec.nodeName=n1}]}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KubernetesSdSpec {
    pub(crate) role: Role,
    /// Default: what the pod's environment says.
    #[serde(default)]
    pub(crate) api_server: Option<String>,
    #[serde(default)]
    pub(crate) namespaces: NamespacesSpec,
    #[serde(default)]
    pub(crate) selectors: Vec<SelectorSpec>,
    /// `credentials_file` only; default: that of the pod's service account.
    #[serde(default)]
    pub(crate) authorization: Option<AuthorizationSpec>,
    /// `ca_file` only; default: that of the pod's service account.
    #[serde(default)]
    pub(crate) tls_config: Option<TlsSpec>,
}

/// What becomes targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Pod,
    Node,
    Service,
    EndpointSlice,
}

/// `namespaces: {names: [shop]}`; all when nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamespacesSpec {
    /// That of the pod the agent runs in, too.
    #[serde(default)]
    pub(crate) own_namespace: bool,
    #[serde(default)]
    pub(crate) names: Vec<String>,
}

/// `{role: pod, label: app=web, field: spec.nodeName=n1}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectorSpec {
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) label: Option<String>,
    #[serde(default)]
    pub(crate) field: Option<String>,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Service => "service",
            Self::EndpointSlice => "endpointslice",
        }
    }
}

impl DnsType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Srv => "SRV",
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }
}

impl HttpSdSpec {
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
            enable_compression: None,
        }
    }
}
