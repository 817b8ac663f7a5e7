//! The parts of the Kubernetes API's documents that are used. Everything else in them is skipped.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A `PodList`: the answer of the kubelet's `/pods` and of listing pods.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PodList {
    /// Tells a list without pods from an answer that is something else.
    kind: Option<String>,
    #[serde(default)]
    metadata: Option<ListMeta>,
    items: Option<Vec<PodDocument>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// The document is JSON, but not the list that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no list of pods")]
pub(super) struct NoPodList;

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) pods: Vec<PodDocument>,
    /// Where a watch goes on.
    pub(super) version: Option<String>,
    /// The token of the next page.
    pub(super) next: Option<String>,
}

impl TryFrom<PodList> for Page {
    type Error = NoPodList;

    fn try_from(list: PodList) -> Result<Self, NoPodList> {
        if list.kind.as_deref() != Some("PodList") {
            return Err(NoPodList);
        }
        let metadata = list.metadata.unwrap_or_default();
        Ok(Self {
            // Go writes an empty list as null.
            pods: list.items.unwrap_or_default(),
            version: metadata.resource_version.filter(|text| !text.is_empty()),
            next: metadata.next.filter(|text| !text.is_empty()),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PodDocument {
    pub(super) metadata: Option<Metadata>,
    pub(super) spec: Option<PodSpec>,
    pub(super) status: Option<PodStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
    pub(super) owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct OwnerReference {
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) controller: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_name: Option<String>,
    pub(super) host_network: Option<bool>,
    pub(super) containers: Option<Vec<ContainerSpec>>,
    pub(super) init_containers: Option<Vec<ContainerSpec>>,
    pub(super) ephemeral_containers: Option<Vec<ContainerSpec>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ContainerSpec {
    pub(super) name: Option<String>,
    pub(super) image: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pub(super) pod_ips: Option<Vec<PodIp>>,
    pub(super) start_time: Option<String>,
    pub(super) container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) init_container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PodIp {
    pub(super) ip: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) name: Option<String>,
    /// `containerd://<id>`
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
    pub(super) restart_count: Option<i64>,
    pub(super) last_state: Option<ContainerState>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ContainerState {
    pub(super) terminated: Option<Terminated>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Terminated {
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
}

/// One event of a watch.
#[derive(Debug)]
pub(super) enum WatchEvent {
    /// `ADDED` or `MODIFIED`.
    Put(Box<PodDocument>),
    Deleted(Box<PodDocument>),
    /// Nothing but a newer version to go on from.
    Bookmark(Option<String>),
    /// The server gives up on the watch.
    Error(StatusDocument),
    /// A kind of event that is not known.
    Other,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct StatusDocument {
    pub(super) code: Option<u16>,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Deserialize)]
struct EventKind {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "object")]
    _object: IgnoredAny,
}

#[derive(Deserialize)]
struct EventObject<T> {
    object: T,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: Option<Metadata>,
}

impl WatchEvent {
    /// Reads one event. What its object is depends on its type, so that is looked at first.
    pub(super) fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        fn object<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, serde_json::Error> {
            serde_json::from_slice::<EventObject<T>>(line).map(|event| event.object)
        }
        let event: EventKind = serde_json::from_slice(line)?;
        Ok(match event.kind.as_str() {
            "ADDED" | "MODIFIED" => Self::Put(object(line)?),
            "DELETED" => Self::Deleted(object(line)?),
            "BOOKMARK" => {
                let bookmark: Bookmark = object(line)?;
                Self::Bookmark(bookmark.metadata.and_then(|meta| meta.resource_version))
            }
            "ERROR" => Self::Error(object(line)?),
            _ => Self::Other,
        })
    }
}

impl PodDocument {
    pub(super) fn version(&self) -> Option<&str> {
        self.metadata.as_ref()?.resource_version.as_deref()
    }
}
