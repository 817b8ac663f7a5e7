//! The role `pod`: a target for each port of each container, or one without a port for a container that names none.

use super::documents::{Container, ContainerPort, Pod};
use super::feed::Targets;
use super::labels::{joined, set, set_namespace, set_object};
use crate::receivers::prometheus::discovery::{ADDRESS, Group, LabelMap};

impl Pod {
    /// The labels that do not depend on a container.
    pub(super) fn labels(&self) -> LabelMap {
        let mut labels = LabelMap::new();
        let status = &self.status;
        set(&mut labels, "pod_ip", status.pod_ip.clone());
        set(&mut labels, "pod_ready", Some(self.ready()));
        set(&mut labels, "pod_phase", status.phase.clone());
        set(&mut labels, "pod_node_name", self.spec.node_name.clone());
        set(&mut labels, "pod_host_ip", status.host_ip.clone());
        set(&mut labels, "pod_uid", self.metadata.uid.clone());
        set_object(&mut labels, "pod", &self.metadata);
        let owners = self.metadata.owner_references.iter().flatten();
        let controller = owners
            .into_iter()
            .find(|owner| owner.controller == Some(true));
        if let Some(controller) = controller {
            set(&mut labels, "pod_controller_kind", controller.kind.clone());
            set(&mut labels, "pod_controller_name", controller.name.clone());
        }
        labels
    }

    fn ready(&self) -> String {
        let mut conditions = self.status.conditions.iter().flatten();
        let ready = conditions.find(|condition| condition.kind.as_deref() == Some("Ready"));
        let status = ready.and_then(|condition| condition.status.as_deref());
        status.map_or_else(|| "unknown".to_owned(), str::to_lowercase)
    }

    pub(super) fn ip(&self) -> Option<&str> {
        self.status.pod_ip.as_deref().filter(|ip| !ip.is_empty())
    }

    /// All containers, and whether each is one of those that run first.
    pub(super) fn containers(&self) -> impl Iterator<Item = (&Container, bool)> {
        let containers = self
            .spec
            .containers
            .iter()
            .flatten()
            .map(|container| (container, false));
        let first = self
            .spec
            .init_containers
            .iter()
            .flatten()
            .map(|container| (container, true));
        containers.chain(first)
    }

    fn container_id(&self, name: &str, is_init: bool) -> Option<String> {
        let statuses = match is_init {
            true => &self.status.init_container_statuses,
            false => &self.status.container_statuses,
        };
        let mut statuses = statuses.iter().flatten();
        let own = statuses.find(|status| status.name.as_deref() == Some(name));
        own.and_then(|status| status.container_id.clone())
    }
}

/// The labels of a container, and of one of its ports.
pub(super) fn set_container(
    labels: &mut LabelMap,
    (container, is_init): (&Container, bool),
    port: Option<&ContainerPort>,
) {
    set(labels, "pod_container_name", Some(container.name.as_str()));
    set(labels, "pod_container_image", container.image.clone());
    set(labels, "pod_container_init", Some(is_init.to_string()));
    if let Some(port) = port {
        set(labels, "pod_container_port_name", port.name.clone());
        set(
            labels,
            "pod_container_port_number",
            Some(port.container_port.to_string()),
        );
        set(labels, "pod_container_port_protocol", port.protocol.clone());
    }
}

impl Targets for Pod {
    fn group(&self) -> Group {
        // A pod that is starting, or was evicted, has none.
        let Some(ip) = self.ip() else {
            return Group::default();
        };
        let mut labels = self.labels();
        set_namespace(&mut labels, &self.metadata);
        let mut targets = Vec::new();
        for (container, is_init) in self.containers() {
            let mut add = |address: String, port: Option<&ContainerPort>| {
                let mut target = LabelMap::from([(ADDRESS.to_owned(), address)]);
                set_container(&mut target, (container, is_init), port);
                let id = self.container_id(&container.name, is_init);
                set(&mut target, "pod_container_id", id);
                targets.push(target);
            };
            match container.ports.as_deref() {
                None | Some([]) => add(ip.to_owned(), None),
                Some(ports) => {
                    for port in ports {
                        add(joined(ip, port.container_port), Some(port));
                    }
                }
            }
        }
        Group { labels, targets }
    }
}
