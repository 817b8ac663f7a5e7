//! The parts of the Kubernetes API's documents that are used. Everything else in them is skipped.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// What a list holds and a watch tells of.
pub(crate) trait ObjectDocument {
    /// The `kind` of lists of them.
    const LIST_KIND: &'static str;

    fn metadata(&self) -> Option<&Metadata>;
}

/// The answer of listing objects: a `PodList`, for example, which is also that of the kubelet's `/pods`.
#[derive(Debug, Deserialize)]
pub(super) struct List<D> {
    /// Tells a list without objects from an answer that is something else.
    kind: Option<String>,
    #[serde(default)]
    metadata: Option<ListMeta>,
    items: Option<Vec<D>>,
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
#[error("the answer is no {0}")]
pub(crate) struct NoList(pub(super) &'static str);

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page<D> {
    pub(super) objects: Vec<D>,
    /// Where a watch goes on.
    pub(super) version: Option<String>,
    /// The token of the next page.
    pub(super) next: Option<String>,
}

impl<D: ObjectDocument> TryFrom<List<D>> for Page<D> {
    type Error = NoList;

    fn try_from(list: List<D>) -> Result<Self, NoList> {
        if list.kind.as_deref() != Some(D::LIST_KIND) {
            return Err(NoList(D::LIST_KIND));
        }
        let metadata = list.metadata.unwrap_or_default();
        Ok(Self {
            // Go writes an empty list as null.
            objects: list.items.unwrap_or_default(),
            version: metadata.resource_version.filter(|text| !text.is_empty()),
            next: metadata.next.filter(|text| !text.is_empty()),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct PodDocument {
    pub(super) metadata: Option<Metadata>,
    pub(super) spec: Option<PodSpec>,
    pub(super) status: Option<PodStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<String>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct OwnerReference {
    pub(crate) kind: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) controller: Option<bool>,
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
pub(super) enum WatchEvent<D> {
    /// `ADDED` or `MODIFIED`.
    Put(Box<D>),
    Deleted(Box<D>),
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

impl<D: ObjectDocument + DeserializeOwned> WatchEvent<D> {
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

impl ObjectDocument for PodDocument {
    const LIST_KIND: &'static str = "PodList";

    fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }
}

/// The version at which an object became what it is.
pub(super) fn version(object: &impl ObjectDocument) -> Option<&str> {
    object.metadata()?.resource_version.as_deref()
}
