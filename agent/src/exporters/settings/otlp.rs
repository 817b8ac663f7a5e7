//! Checks of what is said of an `otlp` or `otlphttp` exporter.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use vervet_wire::compress::{GZIP_LEVELS, ZSTD_LEVELS};
use vervet_wire::{LANES, receiver};

use super::super::credentials::bearer;
use super::{AuthSpec, BearerToken, Compression, OtlpExporterConfig, OtlpExporterSpec, TlsConfig};
use crate::config::secret::Secret;
use crate::config::units::HumanDuration;
use crate::config::{Mistakes, no_home};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const RETRY_INITIAL_DEFAULT: Duration = Duration::from_millis(500);
const RETRY_MAX_DEFAULT: Duration = Duration::from_secs(30);
/// What in a header's name says that its value is a secret.
const SECRET_NAMES: [&str; 6] = ["auth", "token", "key", "secret", "password", "cookie"];

impl OtlpExporterConfig {
    pub(super) fn new(spec: OtlpExporterSpec, over_http: bool) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let uri = mistakes.note(&["endpoint"], endpoint(&spec.endpoint, over_http));
        let auth = mistakes.note(&["auth"], auth(&spec.auth)).flatten();
        for (name, value) in &spec.headers {
            let setting = format!("headers.{name}");
            let checked = check_header(name, value, auth.is_some());
            mistakes.note(&[&setting, "auth"], checked);
        }
        let headers = spec.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let headers: Vec<(String, Secret)> = headers.collect();
        let has_secret = auth.is_some() || headers.iter().any(|(name, _)| is_secret(name));
        let is_readable = |uri: &Uri| uri.scheme_str() == Some("http") && !is_loopback(uri);
        mistakes.demand(
            !has_secret || spec.insecure || !uri.as_ref().is_some_and(is_readable),
            &["endpoint", "insecure", "auth", "headers"],
            format!(
                "a token to {} would be readable on the way; use https, or say `insecure: true` to send it all the same",
                spec.endpoint
            ),
        );
        let concurrency_max = spec.concurrency.max.unwrap_or_else(lanes);
        mistakes.demand(
            (1..=lanes()).contains(&concurrency_max),
            &["concurrency.max"],
            format!("concurrency.max must be 1 to {LANES}"),
        );
        let or = |given: Option<HumanDuration>, default| given.map_or(default, |given| given.0);
        let timeout = or(spec.timeout, TIMEOUT_DEFAULT);
        let retry_initial = or(spec.retry.initial, RETRY_INITIAL_DEFAULT);
        let retry_max = or(spec.retry.max, RETRY_MAX_DEFAULT);
        mistakes.demand(
            !timeout.is_zero(),
            &["timeout"],
            "timeout must be longer than zero",
        );
        mistakes.demand(
            !retry_initial.is_zero(),
            &["retry.initial"],
            "retry.initial must be longer than zero",
        );
        mistakes.demand(
            retry_max >= retry_initial,
            &["retry.max", "retry.initial"],
            "retry.max must not be shorter than retry.initial",
        );
        let level = check_level(spec.compression, spec.compression_level);
        mistakes.note(&["compression_level", "compression"], level);
        let tls = tls(&spec, uri.as_ref(), &mut mistakes);
        mistakes.or(Some(Self {
            tls,
            endpoint: spec.endpoint,
            compression: spec.compression,
            compression_level: spec.compression_level,
            auth,
            headers,
            timeout,
            retry_initial,
            retry_max,
            concurrency_max,
        }))
    }
}

fn endpoint(text: &str, over_http: bool) -> Result<Uri, String> {
    // The text may hold a password, which must not be repeated.
    if text
        .split('/')
        .nth(2)
        .is_some_and(|host| host.contains('@'))
    {
        return Err(
            "an endpoint holds no user and no password; use `auth` or `headers`".to_owned(),
        );
    }
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("endpoint `{text}`: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(format!(
            "endpoint `{text}` must be http://host:port or https://host:port"
        ));
    }
    check_authority(text, &uri)?;
    if uri.query().is_some() || (!over_http && uri.path().len() > 1) {
        return Err(format!("endpoint `{text}` must end after the port"));
    }
    if ["/v1/logs", "/v1/metrics", "/v1/traces"]
        .iter()
        .any(|end| uri.path().trim_end_matches('/').ends_with(end))
    {
        return Err(format!(
            "endpoint `{text}` is the base address; /v1/logs, /v1/metrics and /v1/traces are added"
        ));
    }
    Ok(uri)
}

/// Host and port, which [`Uri`] takes in any form.
fn check_authority(text: &str, uri: &Uri) -> Result<(), String> {
    let (host, authority) = (
        uri.host().unwrap_or_default(),
        uri.authority().map_or("", |authority| authority.as_str()),
    );
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.starts_with('[') && !host.chars().all(is_valid) {
        return Err(format!("endpoint `{text}`: `{host}` is no host name"));
    }
    let Some(port) = authority.strip_prefix(host).filter(|rest| !rest.is_empty()) else {
        return Ok(());
    };
    let port = port.trim_start_matches(':');
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => Err(format!(
            "endpoint `{text}`: `{port}` is no port from 1 to 65535"
        )),
    }
}

fn lanes() -> u32 {
    u32::try_from(LANES).unwrap_or(1)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<IpAddr, _> = host.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn auth(spec: &AuthSpec) -> Result<Option<BearerToken>, String> {
    match (&spec.bearer_token, &spec.bearer_token_file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err("auth: bearer_token and bearer_token_file exclude each other".to_owned())
        }
        (None, Some(path)) => Ok(Some(BearerToken::File(path.clone()))),
        (Some(token), None) if bearer(token.reveal()).is_some() => {
            Ok(Some(BearerToken::Text(token.clone())))
        }
        (Some(_), None) => {
            Err("auth.bearer_token is empty or holds spaces or control characters".to_owned())
        }
    }
}

fn check_header(name: &str, value: &Secret, has_auth: bool) -> Result<(), String> {
    let known: HeaderName = name
        .parse()
        .map_err(|_error| format!("headers: `{name}` is no header name"))?;
    let ours = [
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "host",
        "te",
        receiver::AGENT_ID_KEY,
        receiver::SEQUENCE_KEY,
    ];
    if ours.contains(&known.as_str()) || known.as_str().starts_with("grpc-") {
        return Err(format!("headers: `{name}` is set by the exporter"));
    }
    if has_auth && known == http::header::AUTHORIZATION {
        return Err("headers: `authorization` is set by `auth`".to_owned());
    }
    HeaderValue::try_from(value.reveal())
        .map(|_value| ())
        .map_err(|_error| format!("headers: the value of `{name}` is no header value"))
}

fn is_secret(header: &str) -> bool {
    SECRET_NAMES.iter().any(|part| header.contains(part))
}

fn check_level(compression: Compression, level: Option<i32>) -> Result<(), String> {
    let Some(level) = level else { return Ok(()) };
    let levels = match compression {
        Compression::Zstd => ZSTD_LEVELS,
        Compression::Gzip => GZIP_LEVELS,
        Compression::None => return Err("compression_level needs a compression".to_owned()),
    };
    if levels.contains(&level) {
        return Ok(());
    }
    let (first, last) = levels.into_inner();
    Err(format!("compression_level must be {first} to {last}"))
}

fn tls(spec: &OtlpExporterSpec, uri: Option<&Uri>, mistakes: &mut Mistakes) -> TlsConfig {
    let tls = TlsConfig {
        ca_file: spec.ca_file.clone(),
        cert_file: spec.cert_file.clone(),
        key_file: spec.key_file.clone(),
        server_name: spec.server_name.clone(),
    };
    let files = [
        ("ca_file", &tls.ca_file),
        ("cert_file", &tls.cert_file),
        ("key_file", &tls.key_file),
    ];
    for (name, path) in files {
        if let Some(path) = path {
            mistakes.note(&[name], no_home(&path.to_string_lossy()));
        }
    }
    mistakes.demand(
        tls.cert_file.is_some() == tls.key_file.is_some(),
        &["cert_file", "key_file"],
        "cert_file and key_file belong together",
    );
    let is_plain = uri.is_some_and(|uri| uri.scheme_str() == Some("http"));
    mistakes.demand(
        !is_plain || tls == TlsConfig::default(),
        &["endpoint"],
        format!(
            "ca_file, cert_file, key_file and server_name need an https endpoint, not `{}`",
            spec.endpoint
        ),
    );
    let is_name = |name: &String| {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        !name.is_empty() && name.chars().all(valid) && name.parse::<IpAddr>().is_err()
    };
    if let Some(name) = tls.server_name.as_ref().filter(|name| !is_name(name)) {
        let message = format!("server_name `{name}` is no host name");
        mistakes.demand(false, &["server_name"], message);
    }
    tls
}
