//! Certificates and keys from files. They are read when the exporter starts, and looked at by `validate`.

use std::path::{Path, PathBuf};

use super::sender::OpenError;
use super::settings::TlsConfig;

/// Where systems keep the authorities they trust.
const SYSTEM_CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const CERTIFICATE_MARK: &str = "-----BEGIN CERTIFICATE-----";
const KEY_MARKS: [&str; 3] = [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
];

/// What a client needs, as PEM.
pub(super) struct TlsFiles {
    /// The authorities trusted; `None` when the system has none and none were given.
    pub(super) authorities: Option<Vec<u8>>,
    /// The client's certificate chain and key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Whether the file that a setting (`ca_file`, `cert_file`, `key_file`) names can be used. Blocks.
///
/// # Errors
/// It cannot be read or is not what it should be.
pub(crate) fn check(setting: &str, path: &Path) -> Result<(), OpenError> {
    let read = match setting {
        "key_file" => pem(path, "private key", &KEY_MARKS),
        _ => pem(path, "certificate", &[CERTIFICATE_MARK]),
    };
    read.map(|_bytes| ())
}

/// Reads what the configuration names. Blocks.
///
/// # Errors
/// A file cannot be read or is not what it should be.
pub(super) fn read(config: &TlsConfig) -> Result<TlsFiles, OpenError> {
    let identity = match (&config.cert_file, &config.key_file) {
        (Some(cert), Some(key)) => Some((
            pem(cert, "certificate", &[CERTIFICATE_MARK])?,
            pem(key, "private key", &KEY_MARKS)?,
        )),
        _ => None,
    };
    Ok(TlsFiles {
        authorities: authorities(config.ca_file.as_deref())?,
        identity,
    })
}

/// The authorities in the file given, or the system's.
fn authorities(ca_file: Option<&Path>) -> Result<Option<Vec<u8>>, OpenError> {
    let system = || {
        SYSTEM_CA_FILES
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
    };
    let Some(path) = ca_file.or_else(system) else {
        tracing::warn!("no system certificate authorities found; give `ca_file`");
        return Ok(None);
    };
    pem(path, "certificate", &[CERTIFICATE_MARK]).map(Some)
}

fn pem(path: &Path, expected: &'static str, marks: &[&str]) -> Result<Vec<u8>, OpenError> {
    let bytes = std::fs::read(path).map_err(|source| OpenError::File {
        path: PathBuf::from(path),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    if !marks.iter().any(|mark| text.contains(mark)) {
        return Err(OpenError::NotPem {
            path: PathBuf::from(path),
            expected,
        });
    }
    Ok(bytes)
}
