//! Telemetry from a seed: the same seed gives the same bytes, on every machine and in every release.
//!
//! Times are fixed, not read from a clock, so that sizes on disk can be compared between runs.

pub mod lines;
pub mod logs;
mod random;
pub mod samples;
pub mod spans;

pub use random::Random;

use vervet_wire::otlp::{KeyValue, Resource};

/// Where generated time begins: 2026-01-15 12:00:00 UTC.
pub const START_UNIX_NANO: u64 = 1_768_478_400_000_000_000;

/// The services that write logs and spans.
pub const SERVICES: [&str; 8] = [
    "checkout",
    "catalog",
    "cart",
    "payment",
    "search",
    "recommendation",
    "shipping",
    "storefront",
];

/// Pods of each service.
const PODS_PER_SERVICE: usize = 3;

/// One running copy of a service.
#[derive(Debug, Clone)]
pub struct Pod {
    pub service: &'static str,
    pub name: String,
    pub node: String,
    pub pid: u64,
}

/// All pods; those of one service stand together.
fn pods(random: &mut Random) -> Vec<Pod> {
    let each = |service| std::iter::repeat_n(service, PODS_PER_SERVICE);
    let mut pod = |service| Pod {
        service,
        name: format!(
            "{service}-{:08x}-{:05x}",
            random.below(1 << 32),
            random.below(1 << 20)
        ),
        node: format!("worker-{}", random.below(6)),
        pid: 1 + random.below(40),
    };
    SERVICES.into_iter().flat_map(each).map(&mut pod).collect()
}

/// What an agent or SDK says of a pod.
fn resource(pod: &Pod) -> Resource<'_> {
    Resource {
        attributes: vec![
            KeyValue::new("service.name", pod.service),
            KeyValue::new("service.version", "2026.1.3"),
            KeyValue::new("deployment.environment.name", "production"),
            KeyValue::new("k8s.namespace.name", "shop"),
            KeyValue::new("k8s.pod.name", pod.name.as_str()),
            KeyValue::new("host.name", pod.node.as_str()),
        ],
    }
}
