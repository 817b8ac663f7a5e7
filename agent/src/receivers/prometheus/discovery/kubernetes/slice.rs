//! The role `endpointslice`: a target for each address and port, with the labels of the service and of the pod behind it, and
//! one for each further port of such a pod.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::documents::{Endpoint, EndpointPort, EndpointSlice, Pod, Service};
use super::feed::Sink;
use super::labels::{joined, sanitized, set, set_namespace, set_object};
use super::pod::set_container;
use crate::receivers::prometheus::discovery::{ADDRESS, Group, GroupSender, LabelMap};

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Slices, and what stands behind them.
pub(super) struct Slices {
    groups: Arc<GroupSender>,
    known: Mutex<Known>,
}

/// Objects by `namespace/name`.
#[derive(Default)]
struct Known {
    slices: BTreeMap<String, EndpointSlice>,
    services: BTreeMap<String, Service>,
    pods: BTreeMap<String, Pod>,
    /// Lists that are still to come: until then labels would be missing.
    awaited: usize,
}

impl Slices {
    /// Tells nothing before `lists` lists have come.
    pub(super) fn new(groups: Arc<GroupSender>, lists: usize) -> Self {
        let known = Known {
            awaited: lists,
            ..Known::default()
        };
        Self {
            groups,
            known: Mutex::new(known),
        }
    }

    fn listed(&self) {
        let mut known = self.known.lock();
        known.awaited = known.awaited.saturating_sub(1);
        let keys: Vec<String> = known.slices.keys().cloned().collect();
        self.tell(&known, &keys);
    }

    /// Tells of these slices.
    fn tell(&self, known: &Known, keys: &[String]) {
        if known.awaited > 0 {
            return;
        }
        for key in keys {
            match known.slices.get(key) {
                Some(slice) => self.groups.put(key.clone(), vec![known.group(slice)]),
                None => self.groups.remove(key),
            }
        }
    }

    /// Tells of all slices in the namespaces of these objects.
    fn tell_around(&self, known: &Known, keys: &[String]) {
        let namespace = |key: &String| {
            key.split_once('/')
                .map(|(namespace, _)| namespace.to_owned())
        };
        let namespaces: BTreeSet<Option<String>> = keys.iter().map(namespace).collect();
        let around = known
            .slices
            .keys()
            .filter(|key| namespaces.contains(&namespace(key)));
        let around: Vec<String> = around.cloned().collect();
        self.tell(known, &around);
    }
}

impl Sink<EndpointSlice> for Slices {
    fn put(&self, objects: Vec<(String, EndpointSlice)>) {
        let mut known = self.known.lock();
        let keys: Vec<String> = objects.iter().map(|(key, _)| key.clone()).collect();
        known.slices.extend(objects);
        self.tell(&known, &keys);
    }

    fn remove(&self, keys: &[String]) {
        let mut known = self.known.lock();
        known.slices.retain(|key, _| !keys.contains(key));
        self.tell(&known, keys);
    }

    fn listed(&self) {
        Self::listed(self);
    }
}

impl Sink<Service> for Slices {
    fn put(&self, objects: Vec<(String, Service)>) {
        let mut known = self.known.lock();
        let keys: Vec<String> = objects.iter().map(|(key, _)| key.clone()).collect();
        known.services.extend(objects);
        self.tell_around(&known, &keys);
    }

    fn remove(&self, keys: &[String]) {
        let mut known = self.known.lock();
        known.services.retain(|key, _| !keys.contains(key));
        self.tell_around(&known, keys);
    }

    fn listed(&self) {
        Self::listed(self);
    }
}

impl Sink<Pod> for Slices {
    fn put(&self, objects: Vec<(String, Pod)>) {
        let mut known = self.known.lock();
        let keys: Vec<String> = objects.iter().map(|(key, _)| key.clone()).collect();
        known.pods.extend(objects);
        self.tell_around(&known, &keys);
    }

    fn remove(&self, keys: &[String]) {
        let mut known = self.known.lock();
        known.pods.retain(|key, _| !keys.contains(key));
        self.tell_around(&known, keys);
    }

    fn listed(&self) {
        Self::listed(self);
    }
}

impl Known {
    fn group(&self, slice: &EndpointSlice) -> Group {
        let mut labels = LabelMap::new();
        let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
        set(
            &mut labels,
            "endpointslice_address_type",
            slice.address_type.clone(),
        );
        set_object(&mut labels, "endpointslice", &slice.metadata);
        let own = slice.metadata.labels.as_ref();
        if let Some(name) = own.and_then(|labels| labels.get(SERVICE_NAME)) {
            let service = self.services.get(&format!("{namespace}/{name}"));
            labels.extend(service.map(Service::labels).unwrap_or_default());
        }
        set_namespace(&mut labels, &slice.metadata);
        let mut targets = Vec::new();
        // The pods behind the slice, with the ports that have a target already.
        let mut seen: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for endpoint in slice.endpoints.iter().flatten() {
            for port in slice.ports.iter().flatten() {
                for address in endpoint.addresses.iter().flatten() {
                    let mut target = target(address, endpoint, port);
                    if let Some((key, pod)) = self.pod(endpoint, namespace) {
                        target.extend(pod.labels());
                        set_matching_container(&mut target, pod, port);
                        seen.entry(key).or_default().extend(port.port);
                    }
                    targets.push(target);
                }
            }
        }
        for (key, ports) in seen {
            if let Some(pod) = self.pods.get(&key) {
                targets.extend(further_targets(pod, &ports));
            }
        }
        Group { labels, targets }
    }

    /// The pod behind an endpoint.
    fn pod(&self, endpoint: &Endpoint, namespace: &str) -> Option<(String, &Pod)> {
        let target = endpoint.target_ref.as_ref()?;
        if target.kind.as_deref() != Some("Pod") {
            return None;
        }
        let namespace = target.namespace.as_deref().unwrap_or(namespace);
        let key = format!("{namespace}/{}", target.name.as_deref()?);
        let pod = self.pods.get(&key)?;
        Some((key, pod))
    }
}

fn target(address: &str, endpoint: &Endpoint, port: &EndpointPort) -> LabelMap {
    let address = match port.port {
        Some(port) => joined(address, port),
        None => address.to_owned(),
    };
    let mut labels = LabelMap::from([(ADDRESS.to_owned(), address)]);
    let mut set = |name: &str, value: Option<String>| {
        set(&mut labels, &format!("endpointslice_{name}"), value)
    };
    set("port", port.port.map(|port| port.to_string()));
    set("port_name", port.name.clone());
    set("port_protocol", port.protocol.clone());
    set("port_app_protocol", port.app_protocol.clone());
    let conditions = &endpoint.conditions;
    for (name, holds) in [
        ("ready", conditions.ready),
        ("serving", conditions.serving),
        ("terminating", conditions.terminating),
    ] {
        set(
            &format!("endpoint_conditions_{name}"),
            holds.map(|holds| holds.to_string()),
        );
    }
    set("endpoint_hostname", endpoint.hostname.clone());
    set("endpoint_node_name", endpoint.node_name.clone());
    set("endpoint_zone", endpoint.zone.clone());
    if let Some(target) = &endpoint.target_ref {
        set("address_target_kind", target.kind.clone());
        set("address_target_name", target.name.clone());
    }
    for (name, value) in endpoint.deprecated_topology.iter().flatten() {
        let name = sanitized(name);
        set(&format!("endpoint_topology_{name}"), Some(value.clone()));
        set(
            &format!("endpoint_topology_present_{name}"),
            Some("true".to_owned()),
        );
    }
    labels
}

/// The container whose port the endpoint's is.
fn set_matching_container(labels: &mut LabelMap, pod: &Pod, port: &EndpointPort) {
    for (container, is_init) in pod.containers() {
        let mut ports = container.ports.iter().flatten();
        let own = ports.find(|own| Some(own.container_port) == port.port);
        if own.is_some() {
            set_container(labels, (container, is_init), own);
        }
    }
}

/// Targets for the ports of a pod that no endpoint leads to.
fn further_targets(pod: &Pod, seen: &[u16]) -> Vec<LabelMap> {
    let Some(ip) = pod.ip() else {
        return Vec::new();
    };
    let mut targets = Vec::new();
    for (container, is_init) in pod.containers() {
        let ports = container.ports.iter().flatten();
        for port in ports.filter(|port| !seen.contains(&port.container_port)) {
            let address = joined(ip, port.container_port);
            let mut target = LabelMap::from([(ADDRESS.to_owned(), address)]);
            set_container(&mut target, (container, is_init), Some(port));
            target.extend(pod.labels());
            targets.push(target);
        }
    }
    targets
}
