//! Where targets are: what each kind of discovery finds, kept in one table a job.
//!
//! In: fixed lists, files, HTTP servers, name servers, the Kubernetes API. Out: [`Group`]s by source. What cannot be asked
//! changes nothing: targets stay until an answer says that they are gone.

pub(crate) mod dns;
pub(crate) mod file;
pub(crate) mod http;
pub(crate) mod kubernetes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The label that says where a target is.
pub(crate) const ADDRESS: &str = "__address__";
/// Complaints of one discovery in the agent's log are this far apart.
const LOG_INTERVAL: Duration = Duration::from_secs(300);

/// Labels by name.
pub(crate) type LabelMap = BTreeMap<String, String>;

/// Targets with labels in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) labels: LabelMap,
    pub(crate) targets: Vec<LabelMap>,
}

/// One entry of a `*_sd_configs` or all of `static_configs`, checked.
#[derive(Debug, Clone)]
pub(crate) enum Discovery {
    Static(Vec<Group>),
    File(file::FileDiscovery),
    Http(Box<http::HttpDiscovery>),
    Dns(dns::DnsDiscovery),
    Kubernetes(kubernetes::KubernetesDiscovery),
}

impl Discovery {
    /// Tells what it finds, until the shutdown token is cancelled.
    pub(crate) async fn run(self, groups: GroupSender, shutdown: CancellationToken) {
        let groups = Arc::new(groups);
        let finding = async {
            match self {
                Self::Static(found) => groups.put(String::new(), found),
                Self::File(files) => files.run(&groups).await,
                Self::Http(server) => server.run(&groups).await,
                Self::Dns(names) => names.run(&groups).await,
                Self::Kubernetes(cluster) => cluster.run(groups).await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = finding => {}
        }
    }
}

/// Groups by discovery and source.
type Sources = BTreeMap<(usize, String), Arc<Vec<Group>>>;

/// What all discoveries of a job have found.
#[derive(Debug, Default)]
pub(crate) struct GroupTable {
    groups: Mutex<Sources>,
    changed: Notify,
}

impl GroupTable {
    pub(crate) fn all(&self) -> Vec<Arc<Vec<Group>>> {
        self.groups.lock().values().cloned().collect()
    }

    /// Resolves when something has changed since the last time.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// One discovery's end of the table.
pub(crate) struct GroupSender {
    table: Arc<GroupTable>,
    discovery: usize,
    logged: Mutex<Option<Instant>>,
}

impl GroupSender {
    pub(crate) fn new(table: Arc<GroupTable>, discovery: usize) -> Self {
        Self {
            table,
            discovery,
            logged: Mutex::default(),
        }
    }

    /// All groups of one source.
    pub(crate) fn put(&self, source: String, found: Vec<Group>) {
        let mut groups = self.table.groups.lock();
        let is_other = put(&mut groups, (self.discovery, source), found);
        drop(groups);
        if is_other {
            self.table.changed.notify_one();
        }
    }

    pub(crate) fn remove(&self, source: &str) {
        self.put(source.to_owned(), Vec::new());
    }

    /// It could not be asked; what is known stays.
    pub(crate) fn failed(&self, kind: &'static str, source: &str, error: &dyn std::fmt::Display) {
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() > LOG_INTERVAL) {
            *logged = Some(Instant::now());
            tracing::warn!(kind, source, %error, "targets cannot be discovered, those known stay");
        }
    }

    pub(crate) fn succeeded(&self) {
        *self.logged.lock() = None;
    }
}

/// True when something is other than it was. Without targets there is nothing to know.
fn put(groups: &mut Sources, key: (usize, String), mut found: Vec<Group>) -> bool {
    found.retain(|group| !group.targets.is_empty());
    if found.is_empty() {
        return groups.remove(&key).is_some();
    }
    let is_other = groups.get(&key).is_none_or(|old| **old != found);
    if is_other {
        groups.insert(key, Arc::new(found));
    }
    is_other
}

/// One item of the lists that files and HTTP servers hold.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupDocument {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: Option<LabelMap>,
}

impl From<GroupDocument> for Group {
    fn from(document: GroupDocument) -> Self {
        let target = |address: String| LabelMap::from([(ADDRESS.to_owned(), address)]);
        Self {
            labels: document.labels.unwrap_or_default(),
            targets: document.targets.into_iter().map(target).collect(),
        }
    }
}
