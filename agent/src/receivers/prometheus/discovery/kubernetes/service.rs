//! The role `service`: a target for each port, at the service's name.

use super::documents::Service;
use super::feed::Targets;
use super::labels::{joined, set, set_namespace, set_object};
use crate::receivers::prometheus::discovery::{ADDRESS, Group, LabelMap};

impl Service {
    /// The labels that do not depend on a port.
    pub(super) fn labels(&self) -> LabelMap {
        let mut labels = LabelMap::new();
        set_namespace(&mut labels, &self.metadata);
        set_object(&mut labels, "service", &self.metadata);
        labels
    }
}

impl Targets for Service {
    fn group(&self) -> Group {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let host = format!("{name}.{namespace}.svc");
        let spec = &self.spec;
        let targets = spec.ports.iter().flatten().map(|port| {
            let mut target = LabelMap::from([(ADDRESS.to_owned(), joined(&host, port.port))]);
            set(&mut target, "service_port_name", port.name.clone());
            set(
                &mut target,
                "service_port_number",
                Some(port.port.to_string()),
            );
            set(&mut target, "service_port_protocol", port.protocol.clone());
            set(&mut target, "service_type", spec.kind.clone());
            match spec.kind.as_deref() {
                Some("ExternalName") => {
                    set(
                        &mut target,
                        "service_external_name",
                        spec.external_name.clone(),
                    );
                }
                _ => set(&mut target, "service_cluster_ip", spec.cluster_ip.clone()),
            }
            if spec.kind.as_deref() == Some("LoadBalancer") {
                set(
                    &mut target,
                    "service_loadbalancer_ip",
                    spec.load_balancer_ip.clone(),
                );
            }
            target
        });
        Group {
            labels: self.labels(),
            targets: targets.collect(),
        }
    }
}
