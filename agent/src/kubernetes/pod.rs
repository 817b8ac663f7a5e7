//! One pod, as far as telemetry is concerned.

use std::collections::BTreeMap;
use std::net::IpAddr;

use globset::GlobSet;

use super::document::{ContainerSpec, ContainerStatus, PodDocument, PodStatus};
use super::policy::Wishes;
use super::workload::Workload;
use super::{ImageName, LogPolicy, VALUE_BYTES_MAX};

/// Annotations with this before their key are resource attributes.
pub(crate) const RESOURCE_ANNOTATION: &str = "resource.opentelemetry.io/";
/// On a static pod and its mirror: the uid that the kubelet names its log folder after.
const STATIC_UID: [&str; 2] = ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"];
/// Attributes that annotations of one pod may become.
const ANNOTATIONS_MAX: usize = 64;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    /// The uid in the path of its logs, where it is another.
    pub(crate) static_uid: Option<String>,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) node: Option<String>,
    /// RFC 3339.
    pub(crate) start_time: Option<String>,
    /// The first is the one that is shown.
    pub(crate) ips: Vec<IpAddr>,
    /// Its addresses are its own and in use: not the node's, not given back.
    pub(crate) owns_ips: bool,
    pub(crate) workload: Workload,
    pub(crate) labels: BTreeMap<String, String>,
    /// Those that somebody asked for, and resource attributes.
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) containers: Vec<Container>,
    pub(crate) wishes: Wishes,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: ImageName,
    /// Not an init or ephemeral container.
    pub(crate) is_main: bool,
    /// Ids without the runtime's name, and the number of restarts before each.
    pub(crate) runs: Vec<(i64, String)>,
}

impl Pod {
    /// `None` when it lacks what makes a pod: uid, name and namespace. Annotations are kept when `keep` names them.
    pub(super) fn from_document(document: PodDocument, keep: &GlobSet) -> Option<Self> {
        let metadata = document.metadata?;
        let workload = Workload::of(&metadata);
        let mut annotations = metadata.annotations.unwrap_or_default();
        let static_uid = STATIC_UID
            .iter()
            .find_map(|key| annotations.get(*key).cloned());
        let wishes = Wishes::of(&annotations);
        annotations.retain(|key, _| is_resource(key) || keep.is_match(key));
        // Where there are too many, attributes go before those that a pattern happens to match.
        let (resource, chosen): (Vec<_>, Vec<_>) = annotations
            .into_iter()
            .partition(|(key, _)| is_resource(key));
        let annotations = resource.into_iter().chain(chosen).take(ANNOTATIONS_MAX);
        let spec = document.spec.unwrap_or_default();
        let status = document.status.unwrap_or_default();
        let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let ips = ips(&status);
        let init = (spec.init_containers, status.init_container_statuses, false);
        let main = (spec.containers, status.container_statuses, true);
        let ephemeral = (
            spec.ephemeral_containers,
            status.ephemeral_container_statuses,
            false,
        );
        let containers = [main, init, ephemeral]
            .into_iter()
            .flat_map(|(specs, statuses, is_main)| containers(specs, statuses, is_main));
        Some(Self {
            uid: metadata.uid.filter(|uid| !uid.is_empty())?,
            static_uid,
            namespace: metadata.namespace?,
            name: metadata.name?,
            node: spec.node_name,
            start_time: status.start_time,
            ips,
            owns_ips: !is_over && spec.host_network != Some(true),
            workload,
            labels: bounded(metadata.labels.unwrap_or_default()),
            annotations: bounded(annotations.collect()),
            containers: containers.collect(),
            wishes,
        })
    }

    pub(crate) fn container(&self, name: &str) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }

    /// By an id with or without the runtime's name before it.
    pub(crate) fn container_of_id(&self, id: &str) -> Option<&Container> {
        let id = bare_id(id);
        self.containers
            .iter()
            .find(|container| container.runs.iter().any(|(_, known)| known == id))
    }

    /// The only container there is beside init and ephemeral ones.
    pub(crate) fn only_container(&self) -> Option<&Container> {
        let mut main = self.containers.iter().filter(|container| container.is_main);
        main.next().filter(|_| main.next().is_none())
    }

    pub(crate) fn policy(&self, container: &str) -> LogPolicy {
        self.wishes.policy(container)
    }

    /// Every id of every container's known runs.
    pub(super) fn container_ids(&self) -> impl Iterator<Item = &str> {
        self.containers
            .iter()
            .flat_map(|container| container.runs.iter().map(|(_, id)| id.as_str()))
    }
}

impl Container {
    /// The id of the run that came after so many restarts; the newest when that is not said.
    pub(crate) fn id(&self, restarts: Option<i64>) -> Option<&str> {
        let run = match restarts {
            Some(restarts) => self.runs.iter().find(|(known, _)| *known == restarts),
            None => self.runs.first(),
        };
        run.map(|(_, id)| id.as_str())
    }
}

fn is_resource(key: &str) -> bool {
    key.starts_with(RESOURCE_ANNOTATION)
}

fn ips(status: &PodStatus) -> Vec<IpAddr> {
    let all = status.pod_ips.iter().flatten();
    let texts = status
        .pod_ip
        .iter()
        .chain(all.filter_map(|ip| ip.ip.as_ref()));
    let mut ips: Vec<IpAddr> = Vec::new();
    for ip in texts.filter_map(|text| parse_ip(text)) {
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    ips
}

/// An address in any of its spellings; an IPv4 address within IPv6 is the former.
pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

fn containers(
    specs: Option<Vec<ContainerSpec>>,
    statuses: Option<Vec<ContainerStatus>>,
    is_main: bool,
) -> impl Iterator<Item = Container> {
    let statuses = statuses.unwrap_or_default();
    specs.into_iter().flatten().filter_map(move |spec| {
        let name = spec.name?;
        let status = statuses
            .iter()
            .find(|status| status.name.as_deref() == Some(name.as_str()));
        Some(Container {
            image: ImageName::parse(spec.image.as_deref().unwrap_or_default()),
            runs: status.map(runs).unwrap_or_default(),
            name,
            is_main,
        })
    })
}

/// The present run and the one before it, which is all that the status tells.
fn runs(status: &ContainerStatus) -> Vec<(i64, String)> {
    let restarts = status.restart_count.unwrap_or(0);
    let last = status.last_state.as_ref();
    let before = last
        .and_then(|state| state.terminated.as_ref()?.container_id.as_deref())
        .map(|id| (restarts.saturating_sub(1), id));
    let now = status.container_id.as_deref().map(|id| (restarts, id));
    // While a container waits to be started again its present run is the one that ended.
    let before = before.filter(|(_, id)| now.is_none_or(|(_, present)| present != *id));
    now.into_iter()
        .chain(before)
        .map(|(restarts, id)| (restarts, bare_id(id).to_owned()))
        .filter(|(_, id)| !id.is_empty())
        .collect()
}

/// A container's id without the runtime's name.
pub(super) fn bare_id(id: &str) -> &str {
    id.rsplit_once("://").map_or(id, |(_runtime, id)| id)
}

fn bounded(mut values: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for value in values.values_mut() {
        if value.len() > VALUE_BYTES_MAX {
            value.truncate(value.floor_char_boundary(VALUE_BYTES_MAX));
            value.shrink_to_fit();
        }
    }
    values
}
