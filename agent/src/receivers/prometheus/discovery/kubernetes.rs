//! `kubernetes_sd_configs`: pods, nodes, services and endpoint slices as targets, by list and watch at the API server.
//!
//! Labels are those of Prometheus's documentation. Objects of a role come from one watch a namespace; endpoint slices take
//! services and pods beside them, each with a watch of its own. What the API server cannot be asked for stays as it was.
//!
//! Limits: [`OBJECTS_MAX`] objects a watch.

mod documents;
mod feed;
mod labels;
mod node;
mod pod;
mod service;
mod slice;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;

use super::GroupSender;
use crate::buffer::blocking;
use crate::config::substitute::{Sources, SystemSources};
use crate::kubernetes::{ClientSettings, SourceClient, StartError, Watch, api_server};
use crate::receivers::prometheus::spec::{KubernetesSdSpec, Role, SelectorSpec, TlsSpec};
use documents::{EndpointSlice, Kind, Node, Pod, Service};
use feed::{Direct, Feed, Sink};
use slice::Slices;

/// Objects of one watch, at most.
const OBJECTS_MAX: usize = 100_000;
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Time for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What the environment lacks is looked for again after this long.
const START_PAUSE: Duration = Duration::from_secs(60);

/// One entry of `kubernetes_sd_configs`, checked.
#[derive(Debug, Clone)]
pub(crate) struct KubernetesDiscovery {
    role: Role,
    endpoint: Option<Url>,
    namespaces: Vec<String>,
    own_namespace: bool,
    selectors: Vec<SelectorSpec>,
    token_file: PathBuf,
    ca_file: PathBuf,
}

/// What keeps a discovery from asking.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{ACCOUNT}/namespace cannot be read: {0}")]
    Namespace(#[source] std::io::Error),
}

impl TryFrom<KubernetesSdSpec> for KubernetesDiscovery {
    /// The key a mistake is about, and the mistake.
    type Error = (&'static str, String);

    fn try_from(spec: KubernetesSdSpec) -> Result<Self, Self::Error> {
        let endpoint = match &spec.api_server {
            None => None,
            Some(text) => Some(https(text).map_err(|message| ("api_server", message))?),
        };
        let authorization = spec.authorization.unwrap_or_default();
        let tls = spec.tls_config.unwrap_or_default();
        if authorization.credentials.is_some() || authorization.kind.is_some() {
            let message = "authorization takes only credentials_file here, with a bearer token";
            return Err(("authorization", message.to_owned()));
        }
        if !only_authorities(&tls) {
            return Err((
                "tls_config",
                "tls_config takes only ca_file here".to_owned(),
            ));
        }
        for (at, selector) in spec.selectors.iter().enumerate() {
            let before = spec.selectors.iter().take(at);
            if before.into_iter().any(|other| other.role == selector.role) {
                let message = format!("there are two selectors for {}", selector.role.as_str());
                return Err(("selectors", message));
            }
            let allowed = match spec.role {
                Role::EndpointSlice => matches!(
                    selector.role,
                    Role::EndpointSlice | Role::Service | Role::Pod
                ),
                role => selector.role == role,
            };
            if !allowed {
                let message = format!(
                    "role {} takes no selector for {}",
                    spec.role.as_str(),
                    selector.role.as_str()
                );
                return Err(("selectors", message));
            }
        }
        let account = |name: &str| PathBuf::from(format!("{ACCOUNT}/{name}"));
        Ok(Self {
            role: spec.role,
            endpoint,
            namespaces: spec.namespaces.names,
            own_namespace: spec.namespaces.own_namespace,
            selectors: spec.selectors,
            token_file: authorization
                .credentials_file
                .unwrap_or_else(|| account("token")),
            ca_file: tls.ca_file.unwrap_or_else(|| account("ca.crt")),
        })
    }
}

fn https(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| url.scheme() == "https" && url.has_host());
    url.ok_or_else(|| format!("`{text}` is no https address: a token goes nowhere else"))
}

/// Whether nothing but the authorities is said.
fn only_authorities(tls: &TlsSpec) -> bool {
    let bare = TlsSpec {
        ca_file: tls.ca_file.clone(),
        ..TlsSpec::default()
    };
    *tls == bare
}

impl KubernetesDiscovery {
    /// Watches for ever.
    pub(super) async fn run(self, groups: Arc<GroupSender>) {
        let (endpoint, namespaces) = loop {
            match self.surroundings().await {
                Ok(found) => break found,
                Err(error) => groups.failed("kubernetes", self.role.as_str(), &error),
            }
            tokio::time::sleep(START_PAUSE).await;
        };
        let lists = namespaces.len();
        let mut watches = Watches {
            config: &self,
            endpoint,
            namespaces,
            groups: Arc::clone(&groups),
            tasks: JoinSet::new(),
        };
        match self.role {
            Role::Pod => watches.start::<Pod>(Arc::new(Direct::new(groups))),
            Role::Node => watches.start::<Node>(Arc::new(Direct::new(groups))),
            Role::Service => watches.start::<Service>(Arc::new(Direct::new(groups))),
            Role::EndpointSlice => {
                let slices = Arc::new(Slices::new(groups, 3 * lists));
                watches.start::<Service>(slices.clone());
                watches.start::<Pod>(slices.clone());
                watches.start::<EndpointSlice>(slices);
            }
        }
        while watches.tasks.join_next().await.is_some() {}
    }

    /// The API server, and the namespaces that are watched; `None` stands for all.
    async fn surroundings(&self) -> Result<(Url, Vec<Option<String>>), Failure> {
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => api_server(&|name| SystemSources.variable(name))?,
        };
        let mut namespaces: Vec<String> = self.namespaces.clone();
        if self.own_namespace {
            let read = blocking(|| std::fs::read_to_string(format!("{ACCOUNT}/namespace"))).await;
            namespaces.push(read.map_err(Failure::Namespace)?.trim().to_owned());
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        let is_everywhere = namespaces.is_empty() || self.role == Role::Node;
        Ok(match is_everywhere {
            true => (endpoint, vec![None]),
            false => (endpoint, namespaces.into_iter().map(Some).collect()),
        })
    }

    fn selectors_of(&self, role: Role) -> Vec<(&'static str, String)> {
        let own = self
            .selectors
            .iter()
            .filter(|selector| selector.role == role);
        let texts = own.flat_map(|selector| {
            let label = selector.label.clone().map(|text| ("labelSelector", text));
            let field = selector.field.clone().map(|text| ("fieldSelector", text));
            label.into_iter().chain(field)
        });
        texts.collect()
    }
}

/// The watches of one discovery.
struct Watches<'c> {
    config: &'c KubernetesDiscovery,
    endpoint: Url,
    namespaces: Vec<Option<String>>,
    groups: Arc<GroupSender>,
    tasks: JoinSet<()>,
}

impl Watches<'_> {
    fn start<D: Kind>(&mut self, sink: Arc<dyn Sink<D>>) {
        for namespace in &self.namespaces {
            let client = SourceClient::new(ClientSettings {
                endpoint: self.endpoint.clone(),
                address: None,
                token_file: self.config.token_file.clone(),
                ca_file: self.config.ca_file.clone(),
                timeout: TIMEOUT,
            });
            let watch = Watch {
                client,
                feed: Feed::new(Arc::clone(&sink), Arc::clone(&self.groups)),
                path: path(D::ROLE, namespace.as_deref()),
                selectors: self.config.selectors_of(D::ROLE),
            };
            self.tasks.spawn(watch.run());
        }
    }
}

/// The path of a collection.
fn path(role: Role, namespace: Option<&str>) -> String {
    let (api, collection) = match role {
        Role::Pod => ("/api/v1", "pods"),
        Role::Node => ("/api/v1", "nodes"),
        Role::Service => ("/api/v1", "services"),
        Role::EndpointSlice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
    };
    match namespace {
        Some(namespace) => format!("{api}/namespaces/{namespace}/{collection}"),
        None => format!("{api}/{collection}"),
    }
}

#[cfg(test)]
mod tests;
