//! HTTPS requests to the kubelet or the API server, with a token, to a server that the given authorities vouch for.
//!
//! Both files are read anew for every request: tokens are rotated hourly, authorities now and then. Redirects are
//! not followed and no proxy is asked: the token goes to the configured address or nowhere.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use tokio::io::AsyncReadExt;

use super::BODY_BYTES_MAX;
use super::document::NoList;

/// Largest file with a token or authorities (bytes).
const FILE_BYTES_MAX: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause that the server can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Where and how the source is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// `https://host:port`
    pub(crate) endpoint: Url,
    /// The address behind the endpoint's host name, where it is not found by asking for the name.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) token_file: PathBuf,
    pub(crate) ca_file: PathBuf,
    /// Time for one answer.
    pub(crate) timeout: Duration,
}

/// Why the source could not be asked. Nothing that is known is lost; ask again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("{} cannot be read", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no token", .0.display())]
    Token(PathBuf),
    #[error("{} holds no certificates", .0.display())]
    Authorities(PathBuf),
    #[error("the client cannot be set up")]
    Client(#[source] reqwest::Error),
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the server answered {status}")]
    Status {
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// The version to go on from is too old: list everything again.
    #[error("the version to go on from has expired")]
    Expired,
    #[error("the answer is over {0} bytes")]
    TooLarge(usize),
    #[error("the answer cannot be read")]
    Malformed(#[source] serde_json::Error),
    #[error(transparent)]
    NoList(#[from] NoList),
    #[error("the server names more than {0} of them")]
    TooMany(usize),
    #[error("the server's list goes on after {0} pages")]
    TooManyPages(usize),
    #[error("the server ended the watch: {0}")]
    Ended(String),
}

impl SourceError {
    /// The value of the label `outcome`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Token(_) | Self::Authorities(_) => "file",
            Self::Client(_) | Self::Request(_) => "request",
            Self::Timeout(_) => "timeout",
            Self::Status { .. } | Self::Ended(_) => "status",
            Self::Expired => "expired",
            Self::TooLarge(_) | Self::TooMany(_) | Self::TooManyPages(_) => "too_large",
            Self::Malformed(_) | Self::NoList(_) => "malformed",
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Sends the requests of one source.
pub(crate) struct SourceClient {
    settings: ClientSettings,
    /// The client, and the authorities it was built with.
    built: Option<(Vec<u8>, Client)>,
}

impl SourceClient {
    pub(crate) fn new(settings: ClientSettings) -> Self {
        Self {
            settings,
            built: None,
        }
    }

    /// Asks for a document, within the timeout and the limit of size.
    pub(super) async fn document(
        &mut self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Bytes, SourceError> {
        let timeout = self.settings.timeout;
        let asking = async {
            let response = self.send(path, query).await?;
            body(response).await
        };
        let answer = tokio::time::timeout(timeout, asking).await;
        answer.unwrap_or(Err(SourceError::Timeout(timeout)))
    }

    /// Asks and hands over the answer, whose body is still to come. The timeout is for its head.
    pub(super) async fn stream(
        &mut self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Response, SourceError> {
        let timeout = self.settings.timeout;
        let answer = tokio::time::timeout(timeout, self.send(path, query)).await;
        answer.unwrap_or(Err(SourceError::Timeout(timeout)))
    }

    async fn send(&mut self, path: &str, query: &[(&str, &str)]) -> Result<Response, SourceError> {
        let token = self.token().await?;
        let mut url = self.settings.endpoint.clone();
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let client = self.client().await?;
        let request = client
            .get(url)
            .header(AUTHORIZATION, token)
            .header(ACCEPT, "application/json");
        let response = request
            .send()
            .await
            .map_err(|error| SourceError::Request(error.without_url()))?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::GONE => Err(SourceError::Expired),
            status => Err(SourceError::Status {
                status,
                retry_after: retry_after(&response),
            }),
        }
    }

    async fn token(&self) -> Result<HeaderValue, SourceError> {
        let path = &self.settings.token_file;
        let bytes = read_file(path).await?;
        let token = bytes.trim_ascii();
        let header = [b"Bearer ", token].concat();
        let mut header = HeaderValue::from_bytes(&header)
            .ok()
            .filter(|_| !token.is_empty())
            .ok_or_else(|| SourceError::Token(path.clone()))?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// The client for the authorities there are now.
    async fn client(&mut self) -> Result<Client, SourceError> {
        let path = &self.settings.ca_file;
        let authorities = read_file(path).await?;
        if let Some((built_with, client)) = &self.built
            && *built_with == authorities
        {
            return Ok(client.clone());
        }
        let unusable = || SourceError::Authorities(path.clone());
        let certificates =
            Certificate::from_pem_bundle(&authorities).map_err(|_malformed| unusable())?;
        if certificates.is_empty() {
            return Err(unusable());
        }
        let mut builder = Client::builder()
            .tls_certs_only(certificates)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT.min(self.settings.timeout))
            .user_agent(concat!("vervet-agent/", env!("CARGO_PKG_VERSION")));
        if let (Some(address), Some(host)) =
            (self.settings.address, self.settings.endpoint.host_str())
        {
            builder = builder.resolve(host, address);
        }
        let client = builder.build().map_err(SourceError::Client)?;
        self.built = Some((authorities, client.clone()));
        Ok(client)
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |source| SourceError::File {
        path: path.to_owned(),
        source,
    };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    let mut file = file.take(FILE_BYTES_MAX as u64 + 1);
    file.read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("it is over {FILE_BYTES_MAX} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, message)));
    }
    Ok(bytes)
}

async fn body(mut response: Response) -> Result<Bytes, SourceError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = next_chunk(&mut response).await? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(SourceError::TooLarge(BODY_BYTES_MAX));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(super) async fn next_chunk(response: &mut Response) -> Result<Option<Bytes>, SourceError> {
    let chunk = response.chunk().await;
    chunk.map_err(|error| SourceError::Request(error.without_url()))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
