//! Where pods are learnt from: the settings, what the pod's surroundings add to them, and the task that asks.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use globset::GlobSet;
use rand::Rng;
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::client::{ClientSettings, SourceClient, SourceError};
use super::kubelet::Kubelet;
use super::metrics::KubernetesMetrics;
use super::watch::Watch;
use super::{DirectorySettings, PodDirectory, PodFeed};

const KUBELET_PORT: u16 = 10_250;
const PODS_PATH: &str = "/api/v1/pods";
/// Pauses after failures double from the first to the last.
const PAUSE_INITIAL: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const EXPIRE_INTERVAL: Duration = Duration::from_secs(10);

/// Who is asked for the node's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Nobody: there is only what paths and senders tell.
    #[default]
    None,
    /// The node's kubelet, by polling.
    Kubelet,
    /// The API server, by list and watch.
    Api,
}

/// The settings of a source, checked. What is absent comes from the environment when the agent starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    pub(crate) kind: SourceKind,
    pub(crate) endpoint: Option<Url>,
    pub(crate) server_name: Option<String>,
    pub(crate) node: Option<String>,
    pub(crate) token_file: PathBuf,
    pub(crate) ca_file: PathBuf,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) wait: Duration,
    pub(crate) tombstones: Duration,
}

/// Why a source cannot be started: its surroundings lack something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("`node` is not set, and neither is the environment variable NODE_NAME")]
    NoNode,
    #[error(
        "`endpoint` is not set, and neither are the environment variables KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT"
    )]
    NoEndpoint,
    #[error("`{0}` is no address of a server")]
    BadEndpoint(String),
    #[error("`server_name` needs an endpoint with an IP address, not `{0}`")]
    NoAddress(String),
}

/// What the source of one process needs besides its settings.
pub(crate) struct Surroundings<'a> {
    /// Environment variables.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Annotations that some processor wants.
    pub(crate) annotations: GlobSet,
    pub(crate) metrics: KubernetesMetrics,
}

/// The task that keeps a directory up to date.
pub(crate) struct PodSource {
    asker: Asker,
    feed: PodFeed,
}

enum Asker {
    Kubelet(Kubelet),
    Watch(Watch<PodFeed>),
}

impl SourceConfig {
    /// Whether a configured endpoint goes with the server's name. Does no I/O.
    ///
    /// # Errors
    /// The endpoint has no IP address, or the name is none.
    pub(crate) fn check_server_name(&self) -> Result<(), StartError> {
        // An address in the place of one that the environment is yet to tell.
        let unknown = || url("127.0.0.1", KUBELET_PORT);
        let endpoint = self.endpoint.clone().map_or_else(unknown, Ok)?;
        client_settings(self, endpoint).map(|_settings| ())
    }
}

impl PodSource {
    /// A directory and the task that fills it; without a source there is neither.
    ///
    /// # Errors
    /// The environment lacks what the settings leave out.
    pub(crate) fn open(
        config: &SourceConfig,
        surroundings: Surroundings<'_>,
    ) -> Result<(PodDirectory, Option<Self>), StartError> {
        let variable = surroundings.variable;
        let (name, endpoint) = match config.kind {
            SourceKind::None => return Ok((PodDirectory::none(), None)),
            SourceKind::Kubelet => ("kubelet", kubelet_endpoint(config, variable)?),
            SourceKind::Api => ("api", api_endpoint(config, variable)?),
        };
        let settings = client_settings(config, endpoint)?;
        let (directory, feed) = PodDirectory::new(DirectorySettings {
            source: name,
            endpoint: settings.endpoint.to_string(),
            wait: config.wait,
            tombstones: config.tombstones,
            annotations: surroundings.annotations,
            metrics: surroundings.metrics,
        });
        let client = SourceClient::new(settings);
        let asker = match config.kind {
            SourceKind::Api => Asker::Watch(Watch {
                client,
                feed: feed.clone(),
                path: PODS_PATH.to_owned(),
                selectors: vec![(
                    "fieldSelector",
                    format!("spec.nodeName={}", node(config, variable)?),
                )],
            }),
            _ => Asker::Kubelet(Kubelet {
                client,
                feed: feed.clone(),
                interval: config.interval,
            }),
        };
        Ok((directory, Some(Self { asker, feed })))
    }

    /// Keeps the directory up to date until the shutdown token is cancelled.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Self { asker, feed } = self;
        let asking = async {
            match asker {
                Asker::Kubelet(kubelet) => kubelet.run().await,
                Asker::Watch(watch) => watch.run().await,
            }
        };
        let expiring = async {
            loop {
                tokio::time::sleep(EXPIRE_INTERVAL).await;
                feed.expire(Instant::now());
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = asking => {}
            () = expiring => {}
        }
    }
}

fn node(
    config: &SourceConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, StartError> {
    let node = config.node.clone().or_else(|| variable("NODE_NAME"));
    node.filter(|node| !node.is_empty())
        .ok_or(StartError::NoNode)
}

fn kubelet_endpoint(
    config: &SourceConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Url, StartError> {
    if let Some(endpoint) = &config.endpoint {
        return Ok(endpoint.clone());
    }
    let host = variable("NODE_IP").filter(|ip| !ip.is_empty());
    url(host.as_deref().unwrap_or("127.0.0.1"), KUBELET_PORT)
}

fn api_endpoint(
    config: &SourceConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Url, StartError> {
    match &config.endpoint {
        Some(endpoint) => Ok(endpoint.clone()),
        None => api_server(variable),
    }
}

/// The API server that a pod's environment names.
///
/// # Errors
/// It names none.
pub(crate) fn api_server(variable: &dyn Fn(&str) -> Option<String>) -> Result<Url, StartError> {
    let host = variable("KUBERNETES_SERVICE_HOST").ok_or(StartError::NoEndpoint)?;
    let port = variable("KUBERNETES_SERVICE_PORT").ok_or(StartError::NoEndpoint)?;
    let port = port.parse().map_err(|_| StartError::BadEndpoint(port))?;
    url(&host, port)
}

fn url(host: &str, port: u16) -> Result<Url, StartError> {
    let text = match host.parse() {
        Ok(IpAddr::V6(ip)) => format!("https://[{ip}]:{port}"),
        _ => format!("https://{host}:{port}"),
    };
    Url::parse(&text).map_err(|_| StartError::BadEndpoint(text))
}

/// With a server name, that is whom the certificate must be for, and the endpoint's address is where to find it.
fn client_settings(config: &SourceConfig, mut endpoint: Url) -> Result<ClientSettings, StartError> {
    let mut address = None;
    if let Some(name) = &config.server_name {
        let no_address = || StartError::NoAddress(endpoint.to_string());
        let host = endpoint.host_str().unwrap_or_default();
        let ip = host.trim_matches(['[', ']']);
        let ip: IpAddr = ip.parse().map_err(|_| no_address())?;
        let port = endpoint.port_or_known_default().ok_or_else(no_address)?;
        address = Some(SocketAddr::new(ip, port));
        let bad_name = |_| StartError::BadEndpoint(name.clone());
        endpoint.set_host(Some(name)).map_err(bad_name)?;
    }
    Ok(ClientSettings {
        endpoint,
        address,
        token_file: config.token_file.clone(),
        ca_file: config.ca_file.clone(),
        timeout: config.timeout,
    })
}

/// Reads an answer off the runtime's threads: it may be megabytes.
pub(super) async fn parse<T>(body: Bytes) -> Result<T, SourceError>
where
    T: DeserializeOwned + Send + 'static,
{
    let parsed = tokio::task::spawn_blocking(move || serde_json::from_slice(&body)).await;
    match parsed {
        Ok(parsed) => parsed.map_err(SourceError::Malformed),
        Err(error) => Err(SourceError::Ended(error.to_string())),
    }
}

/// Pauses that double, each drawn from the upper half of its range, so that the agents of a cluster do not come
/// back at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// The pause before the next attempt, at least what was asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let full = PAUSE_INITIAL
            .saturating_mul(1_u32.checked_shl(self.0).unwrap_or(u32::MAX))
            .min(PAUSE_MAX);
        self.0 = self.0.saturating_add(1);
        let pause = full.mul_f64(rand::rng().random_range(0.5..=1.0));
        pause.max(asked.unwrap_or_default())
    }

    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }
}

impl fmt::Debug for PodSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodSource").finish_non_exhaustive()
    }
}
