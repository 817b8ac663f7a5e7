//! The role `node`: a target for each kubelet.

use super::documents::Node;
use super::feed::Targets;
use super::labels::{joined, sanitized, set, set_object};
use crate::receivers::prometheus::discovery::{ADDRESS, Group, LabelMap};

/// Which address of a node is taken, the first that there is.
const ADDRESS_TYPES: [&str; 6] = [
    "InternalIP",
    "InternalDNS",
    "ExternalIP",
    "ExternalDNS",
    "LegacyHostIP",
    "Hostname",
];

impl Targets for Node {
    fn group(&self) -> Group {
        let mut labels = LabelMap::new();
        set(
            &mut labels,
            "node_provider_id",
            self.spec.provider_id.clone(),
        );
        set_object(&mut labels, "node", &self.metadata);
        let addresses = self.status.addresses.as_deref().unwrap_or_default();
        let first = |kind: &str| {
            let mut addresses = addresses.iter();
            addresses
                .find(|address| address.kind == kind)
                .map(|address| address.address.as_str())
        };
        let Some(host) = ADDRESS_TYPES.into_iter().find_map(first) else {
            return Group::default();
        };
        let endpoints = self.status.daemon_endpoints.as_ref();
        let kubelet = endpoints.and_then(|endpoints| endpoints.kubelet_endpoint.as_ref());
        let port = kubelet.map_or(0, |endpoint| endpoint.port);
        let mut target = LabelMap::from([(ADDRESS.to_owned(), joined(host, port))]);
        if let Some(name) = &self.metadata.name {
            target.insert("instance".to_owned(), name.clone());
        }
        for address in addresses {
            let name = format!("node_address_{}", sanitized(&address.kind));
            set(&mut target, &name, first(&address.kind));
        }
        Group {
            labels,
            targets: vec![target],
        }
    }
}
