//! How requests are made: `basic_auth`, `authorization`, `tls_config` and proxies.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::secret::Secret;

/// What all that asks over HTTP has in common. Its keys stand beside the others of a section.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HttpSpec {
    pub(crate) basic_auth: Option<BasicAuthSpec>,
    pub(crate) authorization: Option<AuthorizationSpec>,
    pub(crate) tls_config: Option<TlsSpec>,
    pub(crate) proxy_url: Option<String>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) proxy_from_environment: bool,
    pub(crate) enable_http2: Option<bool>,
    pub(crate) follow_redirects: Option<bool>,
    pub(crate) enable_compression: Option<bool>,
}

/// `basic_auth: {username: prometheus, password_file: /run/password}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicAuthSpec {
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) username_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) password: Option<Secret>,
    /// Files are read again for every request.
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
}

/// `authorization: {credentials_file: /run/token}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationSpec {
    /// Default `Bearer`.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) credentials: Option<Secret>,
    #[serde(default)]
    pub(crate) credentials_file: Option<PathBuf>,
}

/// `tls_config: {ca_file: /etc/ca.pem, server_name: metrics.internal}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSpec {
    #[serde(default)]
    pub(crate) ca: Option<String>,
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) cert: Option<String>,
    #[serde(default)]
    pub(crate) cert_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) key: Option<Secret>,
    #[serde(default)]
    pub(crate) key_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) server_name: Option<String>,
    #[serde(default)]
    pub(crate) insecure_skip_verify: bool,
    #[serde(default)]
    pub(crate) min_version: Option<TlsVersion>,
    #[serde(default)]
    pub(crate) max_version: Option<TlsVersion>,
}

/// A version of TLS that can be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum TlsVersion {
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}
