//! How requests are made.

use std::path::PathBuf;

use reqwest::Url;

use super::Notes;
use crate::config::secret::Secret;
use crate::receivers::prometheus::http::{Auth, HttpConfig, Text, TlsConfig};
use crate::receivers::prometheus::spec::{AuthorizationSpec, BasicAuthSpec, HttpSpec, TlsSpec};

pub(super) fn check(spec: &HttpSpec, notes: &mut Notes<'_>) -> Option<HttpConfig> {
    let auth = match (&spec.basic_auth, &spec.authorization) {
        (None, None) => Some(Auth::None),
        (Some(basic), None) => basic_auth(basic, notes),
        (None, Some(other)) => authorization(other, notes),
        (Some(_), Some(_)) => {
            let message = "there is both basic_auth and authorization";
            notes.demand(false, &["authorization", "basic_auth"], message);
            None
        }
    };
    let tls = match &spec.tls_config {
        None => Some(TlsConfig::default()),
        Some(tls) => self::tls(tls, notes),
    };
    let proxy = proxy(spec, notes);
    notes.demand(
        spec.enable_http2 != Some(true),
        &["enable_http2"],
        "requests are HTTP/1.1, enable_http2 can only be false",
    );
    Some(HttpConfig {
        auth: auth?,
        tls: tls?,
        proxy: proxy?,
        no_proxy: spec.no_proxy.clone(),
        proxy_from_environment: spec.proxy_from_environment,
        follow_redirects: spec.follow_redirects.unwrap_or(true),
        compression: spec.enable_compression.unwrap_or(true),
    })
}

fn proxy(spec: &HttpSpec, notes: &mut Notes<'_>) -> Option<Option<Url>> {
    notes.demand(
        spec.proxy_url.is_none() || !spec.proxy_from_environment,
        &["proxy_from_environment", "proxy_url"],
        "there is both proxy_url and proxy_from_environment",
    );
    notes.demand(
        spec.proxy_url.is_some() || spec.no_proxy.is_none(),
        &["no_proxy"],
        "no_proxy needs proxy_url",
    );
    let Some(text) = spec.proxy_url.as_deref().filter(|url| !url.is_empty()) else {
        return Some(None);
    };
    let url = Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| "proxy_url is no http or https address".to_owned());
    notes.note("proxy_url", url).map(Some)
}

/// A text that may stand here or in a file, but not in both.
fn one_of(
    text: Option<Secret>,
    file: Option<&PathBuf>,
    names: &str,
) -> Result<Option<Text>, String> {
    match (text, file) {
        (Some(_), Some(_)) => Err(format!("of {names} there may be one")),
        (Some(text), None) => Ok(Some(Text::Given(text))),
        (None, Some(file)) => Ok(Some(Text::File(file.clone()))),
        (None, None) => Ok(None),
    }
}

fn basic_auth(spec: &BasicAuthSpec, notes: &mut Notes<'_>) -> Option<Auth> {
    let username = spec.username.as_ref().map(Secret::new);
    let username = one_of(
        username,
        spec.username_file.as_ref(),
        "username and username_file",
    );
    let password = one_of(
        spec.password.clone(),
        spec.password_file.as_ref(),
        "password and password_file",
    );
    let username = notes.note("basic_auth", username);
    let password = notes.note("basic_auth", password);
    let empty = || Text::Given(Secret::new(""));
    Some(Auth::Basic {
        username: username?.unwrap_or_else(empty),
        password: password?.unwrap_or_else(empty),
    })
}

fn authorization(spec: &AuthorizationSpec, notes: &mut Notes<'_>) -> Option<Auth> {
    let scheme = spec.kind.as_deref().unwrap_or("Bearer").trim();
    let is_basic = scheme.eq_ignore_ascii_case("basic");
    let message = "authorization cannot be of type Basic: write basic_auth";
    notes.demand(!is_basic, &["authorization.type"], message);
    let credentials = one_of(
        spec.credentials.clone(),
        spec.credentials_file.as_ref(),
        "credentials and credentials_file",
    );
    let credentials = notes.note("authorization", credentials)?;
    Some(match credentials {
        Some(credentials) => Auth::Scheme {
            scheme: scheme.to_owned(),
            credentials,
        },
        None => Auth::None,
    })
}

fn tls(spec: &TlsSpec, notes: &mut Notes<'_>) -> Option<TlsConfig> {
    let inline = |text: &Option<String>| text.as_ref().map(Secret::new);
    let authorities = one_of(inline(&spec.ca), spec.ca_file.as_ref(), "ca and ca_file");
    let cert = one_of(
        inline(&spec.cert),
        spec.cert_file.as_ref(),
        "cert and cert_file",
    );
    let key = one_of(spec.key.clone(), spec.key_file.as_ref(), "key and key_file");
    let authorities = notes.note("tls_config", authorities);
    let (cert, key) = (
        notes.note("tls_config", cert),
        notes.note("tls_config", key),
    );
    let identity = match (cert?, key?) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            let message = "tls_config needs a certificate and its key, or neither";
            notes.demand(false, &["tls_config"], message);
            None
        }
    };
    if let Some(name) = &spec.server_name {
        let url = Url::parse(&format!("https://{name}/")).ok();
        let is_name = url.is_some_and(|url| url.domain() == Some(name.to_lowercase().as_str()));
        let message = format!("server_name `{name}` is no name of a host");
        notes.demand(is_name, &["tls_config.server_name"], message);
    }
    Some(TlsConfig {
        authorities: authorities?,
        identity,
        server_name: spec.server_name.clone(),
        insecure_skip_verify: spec.insecure_skip_verify,
        min_version: spec.min_version,
        max_version: spec.max_version,
    })
}
