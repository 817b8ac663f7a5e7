//! The settings of an `otlp` exporter and its connection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Uri};
use vervet_journal::JournalError;
use vervet_wire::grpc::Client;

use crate::config::units::HumanDuration;
use crate::config::{Compression, OtlpExporterConfig, OtlpExporterSpec};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const RETRY_INITIAL_DEFAULT: Duration = Duration::from_millis(500);
const RETRY_MAX_DEFAULT: Duration = Duration::from_secs(30);
/// Where systems keep the authorities they trust.
const SYSTEM_CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// An exporter cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("endpoint {endpoint} cannot be used")]
    Endpoint {
        endpoint: String,
        #[source]
        source: tonic::transport::Error,
    },
    #[error("certificate authorities cannot be read from {}", path.display())]
    Authorities {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl TryFrom<OtlpExporterSpec> for OtlpExporterConfig {
    type Error = String;

    fn try_from(spec: OtlpExporterSpec) -> Result<Self, String> {
        let endpoint = spec.endpoint;
        let uri: Uri = endpoint
            .parse()
            .map_err(|error| format!("endpoint `{endpoint}`: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(format!(
                "endpoint `{endpoint}` must be http://host:port or https://host:port"
            ));
        }
        let or = |given: Option<HumanDuration>, default| given.map_or(default, |given| given.0);
        let timeout = or(spec.timeout, TIMEOUT_DEFAULT);
        let retry_initial = or(spec.retry.initial, RETRY_INITIAL_DEFAULT);
        let retry_max = or(spec.retry.max, RETRY_MAX_DEFAULT);
        if timeout.is_zero() || retry_initial.is_zero() || retry_max < retry_initial {
            return Err("timeout and retry.initial must be longer than zero, retry.max not shorter than retry.initial".to_owned());
        }
        Ok(Self {
            endpoint,
            compression: spec.compression,
            ca_file: spec.ca_file,
            timeout,
            retry_initial,
            retry_max,
            on_full: spec.queue.on_full,
        })
    }
}

/// A client that connects when it is first used, and again whenever the connection is lost.
pub(super) fn client(config: &OtlpExporterConfig) -> Result<Client, ConnectError> {
    let failed = |source| ConnectError::Endpoint {
        endpoint: config.endpoint.clone(),
        source,
    };
    let mut endpoint = Endpoint::from_shared(config.endpoint.clone())
        .map_err(failed)?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    if config.endpoint.starts_with("https://") {
        let tls = ClientTlsConfig::new().ca_certificates(authorities(config.ca_file.as_deref())?);
        endpoint = endpoint.tls_config(tls).map_err(failed)?;
    }
    let compression = match config.compression {
        Compression::Zstd => Some(CompressionEncoding::Zstd),
        Compression::Gzip => Some(CompressionEncoding::Gzip),
        Compression::None => None,
    };
    Ok(Client::new(endpoint.connect_lazy(), compression))
}

/// The authorities in the file given, or the system's.
fn authorities(ca_file: Option<&Path>) -> Result<Vec<Certificate>, ConnectError> {
    let system = || {
        SYSTEM_CA_FILES
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
    };
    let Some(path) = ca_file.or_else(system) else {
        tracing::warn!("no system certificate authorities found; give `ca_file`");
        return Ok(Vec::new());
    };
    let pem = std::fs::read(path).map_err(|source| ConnectError::Authorities {
        path: path.to_owned(),
        source,
    })?;
    Ok(vec![Certificate::from_pem(pem)])
}
