//! `host.name` where the configuration does not give it: that of the machine.
//!
//! In a pod the machine's name is the pod's. There it is the node's, if the environment tells it, and none otherwise.

use serde::Deserialize;

use super::AgentConfig;
use super::substitute::Sources;

const HOST_NAME: &str = "host.name";
/// What is set in every pod.
const IN_POD: &str = "KUBERNETES_SERVICE_HOST";
const NODE_NAME: &str = "NODE_NAME";

/// What the agent may find out about where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detected {
    /// `host.name`.
    Host,
}

impl AgentConfig {
    /// With the machine's name as `host.name`, unless the configuration gives one or `resource_detection` does not name `host`.
    pub(super) fn with_host_name(mut self, sources: &dyn Sources) -> Self {
        let is_given = self.resource.iter().any(|(key, _)| key == HOST_NAME);
        if is_given || !self.resource_detection.contains(&Detected::Host) {
            return self;
        }
        let name = match sources.variable(IN_POD) {
            Some(_) => sources.variable(NODE_NAME),
            None => Some(machine_name()),
        };
        let name = name.filter(|name| !name.is_empty());
        self.resource
            .extend(name.map(|name| (HOST_NAME.to_owned(), name)));
        self
    }
}

fn machine_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}
