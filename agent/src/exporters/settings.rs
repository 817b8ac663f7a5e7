//! What can be said of an exporter in the configuration, and what that amounts to.
//!
//! Checks here do no I/O. Tokens and header values are [`Secret`]s.

mod spec;

pub use spec::{
    AuthSpec, Compression, DeadLetterSpec, DebugExporterSpec, FileExporterSpec, FileFormat,
    OtlpExporterSpec, QueuePolicy, Verbosity,
};

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use vervet_wire::compress::{self, GZIP_LEVELS, ZSTD_LEVELS};
use vervet_wire::{LANES, receiver};

use super::credentials::bearer;
use crate::config::secret::Secret;
use crate::config::units::HumanDuration;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const RETRY_INITIAL_DEFAULT: Duration = Duration::from_millis(500);
const RETRY_MAX_DEFAULT: Duration = Duration::from_secs(30);
const ROTATE_BYTES_DEFAULT: u64 = 64 << 20;
const ROTATE_BYTES_MIN: u64 = 64 << 10;
const ROTATE_FILES_DEFAULT: u32 = 5;
const ROTATE_FILES_MAX: u32 = 1_000;
const RECORDS_PER_SECOND_DEFAULT: u32 = 50;
const DEAD_LETTER_BYTES_DEFAULT: u64 = 64 << 20;
/// Less would not hold one batch and its neighbour.
const DEAD_LETTER_BYTES_MIN: u64 = 1 << 20;
/// What in a header's name says that its value is a secret.
const SECRET_NAMES: [&str; 6] = ["auth", "token", "key", "secret", "password", "cookie"];

/// The settings of one exporter.
#[derive(Debug, Clone, PartialEq)]
pub struct ExporterConfig {
    pub kind: ExporterKind,
    pub on_full: QueuePolicy,
}

/// What is particular to each kind.
#[derive(Debug, Clone, PartialEq)]
pub enum ExporterKind {
    /// OTLP/gRPC.
    Otlp(OtlpExporterConfig),
    /// OTLP/HTTP.
    OtlpHttp(OtlpExporterConfig),
    File(FileExporterConfig),
    Debug(DebugExporterConfig),
}

#[derive(Debug, Clone, PartialEq)]
pub struct OtlpExporterConfig {
    /// `http://host:port` or `https://host:port`; for OTLP/HTTP a path may follow.
    pub endpoint: String,
    pub compression: Compression,
    /// `None` is the quickest sensible one.
    pub compression_level: Option<i32>,
    pub tls: TlsConfig,
    pub auth: Option<BearerToken>,
    pub headers: Vec<(String, Secret)>,
    /// Time for one request.
    pub timeout: Duration,
    /// Longest first pause and longest pause at all between attempts.
    pub retry_initial: Duration,
    pub retry_max: Duration,
    /// Most requests under way at once.
    pub concurrency_max: u32,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct TlsConfig {
    pub ca_file: Option<PathBuf>,
    /// Both or neither.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub server_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum BearerToken {
    Text(Secret),
    /// Read again when it changes.
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
pub struct FileExporterConfig {
    pub path: PathBuf,
    pub format: FileFormat,
    /// Size at which the next file is begun.
    pub rotate_bytes: u64,
    /// Files kept, the current one included.
    pub files_max: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DebugExporterConfig {
    pub verbosity: Verbosity,
    pub records_per_second: u32,
}

/// What is kept of refused requests: bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterConfig {
    pub disk_bytes: u64,
}

impl From<Compression> for compress::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Zstd => Self::Zstd,
            Compression::Gzip => Self::Gzip,
            Compression::None => Self::None,
        }
    }
}

impl Default for DeadLetterConfig {
    fn default() -> Self {
        Self {
            disk_bytes: DEAD_LETTER_BYTES_DEFAULT,
        }
    }
}

impl TryFrom<DeadLetterSpec> for DeadLetterConfig {
    type Error = String;

    fn try_from(spec: DeadLetterSpec) -> Result<Self, String> {
        let disk_bytes = spec.disk.map_or(DEAD_LETTER_BYTES_DEFAULT, |size| size.0);
        if disk_bytes < DEAD_LETTER_BYTES_MIN {
            return Err("disk must be at least 1MiB".to_owned());
        }
        Ok(Self { disk_bytes })
    }
}

impl ExporterConfig {
    /// An exporter of OTLP, over gRPC or over HTTP.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub fn otlp(spec: OtlpExporterSpec, over_http: bool) -> Result<Self, String> {
        let on_full = spec.queue.on_full;
        let config = OtlpExporterConfig::new(spec, over_http)?;
        let kind = match over_http {
            true => ExporterKind::OtlpHttp(config),
            false => ExporterKind::Otlp(config),
        };
        Ok(Self { kind, on_full })
    }
}

impl TryFrom<FileExporterSpec> for ExporterConfig {
    type Error = String;

    fn try_from(spec: FileExporterSpec) -> Result<Self, String> {
        let rotate_bytes = spec.rotate.size.map_or(ROTATE_BYTES_DEFAULT, |size| size.0);
        let files_max = spec.rotate.files.unwrap_or(ROTATE_FILES_DEFAULT);
        if spec.path.file_name().is_none() {
            return Err(format!("path `{}` names no file", spec.path.display()));
        }
        if rotate_bytes < ROTATE_BYTES_MIN {
            return Err("rotate.size must be at least 64KiB".to_owned());
        }
        if !(1..=ROTATE_FILES_MAX).contains(&files_max) {
            return Err(format!("rotate.files must be 1 to {ROTATE_FILES_MAX}"));
        }
        Ok(Self {
            kind: ExporterKind::File(FileExporterConfig {
                path: spec.path,
                format: spec.format,
                rotate_bytes,
                files_max,
            }),
            on_full: spec.queue.on_full,
        })
    }
}

impl TryFrom<DebugExporterSpec> for ExporterConfig {
    type Error = String;

    fn try_from(spec: DebugExporterSpec) -> Result<Self, String> {
        let records_per_second = spec
            .records_per_second
            .unwrap_or(RECORDS_PER_SECOND_DEFAULT);
        if records_per_second == 0 {
            return Err("records_per_second must be at least 1".to_owned());
        }
        Ok(Self {
            kind: ExporterKind::Debug(DebugExporterConfig {
                verbosity: spec.verbosity,
                records_per_second,
            }),
            on_full: spec.queue.on_full,
        })
    }
}

impl OtlpExporterConfig {
    fn new(spec: OtlpExporterSpec, over_http: bool) -> Result<Self, String> {
        let uri = endpoint(&spec.endpoint, over_http)?;
        let auth = auth(&spec.auth)?;
        let headers = spec.headers.iter().map(|(name, value)| {
            check_header(name, value, auth.is_some())?;
            Ok((name.to_ascii_lowercase(), value.clone()))
        });
        let headers: Vec<(String, Secret)> = headers.collect::<Result<_, String>>()?;
        let has_secret = auth.is_some() || headers.iter().any(|(name, _)| is_secret(name));
        if has_secret && uri.scheme_str() == Some("http") && !is_loopback(&uri) && !spec.insecure {
            return Err(format!(
                "a token to {} would be readable on the way; use https, or say `insecure: true` to send it all the same",
                spec.endpoint
            ));
        }
        let concurrency_max = spec.concurrency.max.unwrap_or_else(lanes);
        if !(1..=lanes()).contains(&concurrency_max) {
            return Err(format!("concurrency.max must be 1 to {LANES}"));
        }
        let or = |given: Option<HumanDuration>, default| given.map_or(default, |given| given.0);
        let timeout = or(spec.timeout, TIMEOUT_DEFAULT);
        let retry_initial = or(spec.retry.initial, RETRY_INITIAL_DEFAULT);
        let retry_max = or(spec.retry.max, RETRY_MAX_DEFAULT);
        if timeout.is_zero() || retry_initial.is_zero() || retry_max < retry_initial {
            return Err("timeout and retry.initial must be longer than zero, retry.max not shorter than retry.initial".to_owned());
        }
        check_level(spec.compression, spec.compression_level)?;
        Ok(Self {
            tls: tls(&spec, &uri)?,
            endpoint: spec.endpoint,
            compression: spec.compression,
            compression_level: spec.compression_level,
            auth,
            headers,
            timeout,
            retry_initial,
            retry_max,
            concurrency_max,
        })
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

fn tls(spec: &OtlpExporterSpec, uri: &Uri) -> Result<TlsConfig, String> {
    let tls = TlsConfig {
        ca_file: spec.ca_file.clone(),
        cert_file: spec.cert_file.clone(),
        key_file: spec.key_file.clone(),
        server_name: spec.server_name.clone(),
    };
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        return Err("cert_file and key_file belong together".to_owned());
    }
    if uri.scheme_str() == Some("http") && tls != TlsConfig::default() {
        return Err(format!(
            "ca_file, cert_file, key_file and server_name need an https endpoint, not `{}`",
            spec.endpoint
        ));
    }
    let is_name = |name: &String| {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        !name.is_empty() && name.chars().all(valid) && name.parse::<IpAddr>().is_err()
    };
    if let Some(name) = tls.server_name.as_ref().filter(|name| !is_name(name)) {
        return Err(format!("server_name `{name}` is no host name"));
    }
    Ok(tls)
}

#[cfg(test)]
mod tests;
