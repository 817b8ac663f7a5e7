//! The parts of the API's objects that targets and their labels are made of. Everything else in them is skipped.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::kubernetes::{Metadata, ObjectDocument};
use crate::receivers::prometheus::spec::Role;

/// What is watched.
pub(super) trait Kind: ObjectDocument + DeserializeOwned + Send + 'static {
    const ROLE: Role;
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pod {
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: PodSpec,
    #[serde(default)]
    pub(super) status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_name: Option<String>,
    pub(super) containers: Option<Vec<Container>>,
    pub(super) init_containers: Option<Vec<Container>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Container {
    #[serde(default)]
    pub(super) name: String,
    pub(super) image: Option<String>,
    pub(super) ports: Option<Vec<ContainerPort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerPort {
    pub(super) container_port: u16,
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    #[serde(rename = "hostIP")]
    pub(super) host_ip: Option<String>,
    pub(super) conditions: Option<Vec<Condition>>,
    pub(super) container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ContainerStatus {
    pub(super) name: Option<String>,
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Node {
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: NodeSpec,
    #[serde(default)]
    pub(super) status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct NodeSpec {
    #[serde(rename = "providerID")]
    pub(super) provider_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeStatus {
    pub(super) addresses: Option<Vec<NodeAddress>>,
    pub(super) daemon_endpoints: Option<DaemonEndpoints>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct NodeAddress {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) address: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DaemonEndpoints {
    pub(super) kubelet_endpoint: Option<DaemonEndpoint>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct DaemonEndpoint {
    #[serde(rename = "Port", default)]
    pub(super) port: u16,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Service {
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: ServiceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    pub(super) external_name: Option<String>,
    #[serde(rename = "loadBalancerIP")]
    pub(super) load_balancer_ip: Option<String>,
    pub(super) ports: Option<Vec<ServicePort>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ServicePort {
    #[serde(default)]
    pub(super) port: u16,
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointSlice {
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) address_type: Option<String>,
    pub(super) endpoints: Option<Vec<Endpoint>>,
    pub(super) ports: Option<Vec<EndpointPort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    pub(super) addresses: Option<Vec<String>>,
    #[serde(default)]
    pub(super) conditions: EndpointConditions,
    pub(super) hostname: Option<String>,
    pub(super) node_name: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) target_ref: Option<TargetRef>,
    pub(super) deprecated_topology: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct EndpointConditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct TargetRef {
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointPort {
    pub(super) port: Option<u16>,
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) app_protocol: Option<String>,
}

macro_rules! kinds {
    ($($document:ident, $list:literal, $role:ident;)*) => {$(
        impl ObjectDocument for $document {
            const LIST_KIND: &'static str = $list;

            fn metadata(&self) -> Option<&Metadata> {
                Some(&self.metadata)
            }
        }

        impl Kind for $document {
            const ROLE: Role = Role::$role;
        }
    )*};
}

kinds! {
    Pod, "PodList", Pod;
    Node, "NodeList", Node;
    Service, "ServiceList", Service;
    EndpointSlice, "EndpointSliceList", EndpointSlice;
}
