//! Requests to targets and to servers that name them, by the settings of a job.
//!
//! Files with credentials are read for every request, files with certificates every [`LOOK_INTERVAL`]: both are rotated
//! under a running agent. A client is built once for all targets, or, with a `server_name`, once for each host: the name
//! stands in the place of the host then, and the host is where to find it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HOST, HeaderValue};
use reqwest::{
    Certificate, Client, ClientBuilder, Identity, NoProxy, Proxy, RequestBuilder, Url, redirect,
    tls,
};

use super::spec::TlsVersion;
use crate::config::secret::Secret;

/// Files with certificates are looked at again after this long.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Largest file with credentials or certificates (bytes).
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Redirects followed, as Prometheus does.
const REDIRECTS_MAX: usize = 10;
/// Connections of a job that no target has used for so long are closed.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How requests are made, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpConfig {
    pub(crate) auth: Auth,
    pub(crate) tls: TlsConfig,
    pub(crate) proxy: Option<Url>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) proxy_from_environment: bool,
    pub(crate) follow_redirects: bool,
    pub(crate) compression: bool,
}

/// What goes into the header `Authorization`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Auth {
    None,
    Basic { username: Text, password: Text },
    Scheme { scheme: String, credentials: Text },
}

/// A text of the configuration, or of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Text {
    Given(Secret),
    File(PathBuf),
}

/// Whom a server must be, and who asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TlsConfig {
    /// PEM; the system's authorities when absent.
    pub(crate) authorities: Option<Text>,
    /// PEM of the certificate chain and of its key.
    pub(crate) identity: Option<(Text, Text)>,
    pub(crate) server_name: Option<String>,
    pub(crate) insecure_skip_verify: bool,
    pub(crate) min_version: Option<TlsVersion>,
    pub(crate) max_version: Option<TlsVersion>,
}

/// Why a request could not be made. The next one may be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{} cannot be read: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the credentials hold characters that a header must not")]
    Credentials,
    #[error("the certificates of tls_config cannot be used: {0}")]
    Certificates(#[source] reqwest::Error),
    #[error("the certificates of tls_config hold no authority")]
    NoAuthorities,
    #[error("the client cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
}

/// Makes requests. Clones are not needed: it is shared.
pub(crate) struct HttpClient {
    config: HttpConfig,
    built: Mutex<Built>,
}

#[derive(Default)]
struct Built {
    /// What stood in the files: the clients' authorities, certificate and key.
    files: Vec<Vec<u8>>,
    looked_at: Option<Instant>,
    /// By host with a `server_name`, else one under an empty name.
    clients: HashMap<String, Client>,
}

impl HttpClient {
    pub(crate) fn new(config: HttpConfig) -> Self {
        crate::telemetry::install_tls_provider();
        Self {
            config,
            built: Mutex::default(),
        }
    }

    /// A request for `url`, with credentials.
    ///
    /// # Errors
    /// A file cannot be read, or what it holds cannot be used.
    pub(crate) async fn get(&self, mut url: Url) -> Result<RequestBuilder, HttpError> {
        let host = match &self.config.tls.server_name {
            Some(_) if url.scheme() == "https" => url.host_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let client = self.client(&host).await?;
        let authority = authority(&url);
        if !host.is_empty() {
            // That it is the name of a host was checked with the configuration.
            let _unchanged = url.set_host(self.config.tls.server_name.as_deref());
        }
        let mut request = client.get(url);
        if let (false, Ok(authority)) = (host.is_empty(), HeaderValue::from_str(&authority)) {
            request = request.header(HOST, authority);
        }
        match &self.config.auth {
            Auth::None => Ok(request),
            Auth::Basic { username, password } => {
                let (username, password) = (text(username).await?, text(password).await?);
                Ok(request.basic_auth(username, Some(password)))
            }
            Auth::Scheme {
                scheme,
                credentials,
            } => {
                let credentials = text(credentials).await?;
                let value = format!("{scheme} {credentials}");
                let mut value =
                    HeaderValue::try_from(value).map_err(|_invalid| HttpError::Credentials)?;
                value.set_sensitive(true);
                Ok(request.header(AUTHORIZATION, value))
            }
        }
    }

    async fn client(&self, host: &str) -> Result<Client, HttpError> {
        let is_due = {
            let built = self.built.lock();
            let is_fresh =
                |at: Instant| at.elapsed() < LOOK_INTERVAL || !self.config.tls.has_files();
            built.looked_at.is_none_or(|at| !is_fresh(at))
        };
        if is_due {
            let files = self.config.tls.files().await?;
            let mut built = self.built.lock();
            if built.files != files {
                built.clients.clear();
                built.files = files;
            }
            built.looked_at = Some(Instant::now());
        }
        let mut built = self.built.lock();
        if let Some(client) = built.clients.get(host) {
            return Ok(client.clone());
        }
        let client = self.build(host, &built.files)?;
        built.clients.insert(host.to_owned(), client.clone());
        Ok(client)
    }

    fn build(&self, host: &str, files: &[Vec<u8>]) -> Result<Client, HttpError> {
        let config = &self.config;
        let mut files = files.iter();
        let authorities = match config.tls.authorities {
            Some(_) => Some(certificates(files.next())?),
            None => None,
        };
        let identity = match config.tls.identity {
            Some(_) => Some(identity(files.next(), files.next())?),
            None => None,
        };
        let proxy = match &config.proxy {
            Some(url) => Some(Proxy::all(url.clone()).map_err(HttpError::Client)?),
            None => None,
        };
        let no_proxy = config.no_proxy.as_deref().and_then(NoProxy::from_string);
        let configured = |builder: ClientBuilder| {
            let mut builder = builder
                .user_agent(concat!("vervet-agent/", env!("CARGO_PKG_VERSION")))
                .referer(false)
                .pool_idle_timeout(IDLE_MAX)
                .gzip(config.compression)
                .redirect(match config.follow_redirects {
                    true => redirect::Policy::limited(REDIRECTS_MAX),
                    false => redirect::Policy::none(),
                });
            builder = match (&proxy, config.proxy_from_environment) {
                (Some(proxy), _) => builder.proxy(proxy.clone().no_proxy(no_proxy.clone())),
                (None, true) => builder,
                (None, false) => builder.no_proxy(),
            };
            builder = builder.tls_danger_accept_invalid_certs(config.tls.insecure_skip_verify);
            if let Some(authorities) = &authorities {
                builder = builder.tls_certs_only(authorities.clone());
            }
            if let Some(identity) = &identity {
                builder = builder.identity(identity.clone());
            }
            if let Some(version) = config.tls.min_version {
                builder = builder.tls_version_min(version.into());
            }
            if let Some(version) = config.tls.max_version {
                builder = builder.tls_version_max(version.into());
            }
            if !host.is_empty() {
                builder = builder.dns_resolver(Arc::new(Behind {
                    host: host.trim_matches(['[', ']']).to_owned(),
                }));
            }
            builder
        };
        crate::http::client(configured).map_err(HttpError::Client)
    }
}

impl TlsConfig {
    fn texts(&self) -> impl Iterator<Item = &Text> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        self.authorities.iter().chain(identity)
    }

    fn has_files(&self) -> bool {
        self.texts().any(|text| matches!(text, Text::File(_)))
    }

    /// The authorities, the certificate and the key, as far as there are any.
    async fn files(&self) -> Result<Vec<Vec<u8>>, HttpError> {
        let mut files = Vec::new();
        for text in self.texts() {
            files.push(match text {
                Text::Given(text) => text.reveal().as_bytes().to_vec(),
                Text::File(path) => read_file(path).await?,
            });
        }
        Ok(files)
    }
}

impl From<TlsVersion> for tls::Version {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::Tls12 => Self::TLS_1_2,
            TlsVersion::Tls13 => Self::TLS_1_3,
        }
    }
}

/// Every name is found where one host is.
struct Behind {
    host: String,
}

impl Resolve for Behind {
    fn resolve(&self, _name: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn certificates(pem: Option<&Vec<u8>>) -> Result<Vec<Certificate>, HttpError> {
    let pem = pem.map(Vec::as_slice).unwrap_or_default();
    let found = Certificate::from_pem_bundle(pem).map_err(HttpError::Certificates)?;
    match found.is_empty() {
        true => Err(HttpError::NoAuthorities),
        false => Ok(found),
    }
}

fn identity(cert: Option<&Vec<u8>>, key: Option<&Vec<u8>>) -> Result<Identity, HttpError> {
    let parts = [cert, key].into_iter().flatten();
    let pem: Vec<&[u8]> = parts.map(Vec::as_slice).collect();
    Identity::from_pem(&pem.join(b"\n".as_slice())).map_err(HttpError::Certificates)
}

async fn text(text: &Text) -> Result<String, HttpError> {
    match text {
        Text::Given(text) => Ok(text.reveal().to_owned()),
        Text::File(path) => {
            let bytes = read_file(path).await?;
            let text = String::from_utf8(bytes).map_err(|_invalid| HttpError::Credentials)?;
            Ok(text.trim().to_owned())
        }
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, HttpError> {
    let failed = |source| HttpError::File {
        path: path.to_owned(),
        source,
    };
    let metadata = tokio::fs::metadata(path).await.map_err(failed)?;
    if metadata.len() > FILE_BYTES_MAX {
        let message = format!("it is over {FILE_BYTES_MAX} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, message)));
    }
    tokio::fs::read(path).await.map_err(failed)
}
