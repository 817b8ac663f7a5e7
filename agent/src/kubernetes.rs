//! What the node's pods are: their workloads, labels, images and wishes.
//!
//! In: the kubelet's `/pods`, polled, or the API server's pods of this node, listed and watched. Out: a
//! [`PodDirectory`], one a process, that every receiver and processor looks things up in. A lookup reads memory
//! under a lock that is held for microseconds; it never waits for the network, and a source that is down only
//! means that nothing new is learnt.
//!
//! Invariants: a pod is its uid, never its name; an answer that is no complete list of pods changes nothing; a
//! pod that is gone is remembered for a while, because its last lines are read after it; the token is read anew
//! for every request and is in no message; the server is trusted by the given authorities only.
//!
//! Limits: [`PODS_MAX`] pods, [`TOMBSTONES_MAX`] pods that are gone, [`ASKED_MAX`] unknown pods waited for,
//! [`BODY_BYTES_MAX`] an answer, [`EVENT_BYTES_MAX`] a watch event, [`VALUE_BYTES_MAX`] a label or annotation.

mod client;
mod directory;
mod document;
mod feed;
mod file;
mod image;
mod kubelet;
mod metrics;
mod pod;
mod policy;
mod shared;
mod source;
mod store;
mod watch;
mod workload;

#[cfg(test)]
mod double;

use std::collections::BTreeMap;

use crate::config::substitute::{Sources, SystemSources};
use crate::metrics::AgentMetrics;
use crate::processors::ProcessorConfig;
use crate::processors::k8sattributes::K8sAttributesConfig;

pub(crate) use client::{ClientSettings, SourceClient};
pub(crate) use directory::{DirectorySettings, Key};
pub use directory::{PodDirectory, Presence, SourceStatus};
pub(crate) use document::{Metadata, ObjectDocument};
#[cfg(test)]
pub(crate) use double::PodsDouble;
pub(crate) use feed::PodFeed;
pub use file::PodFileError;
use image::ImageName;
pub(crate) use metrics::KubernetesMetrics;
pub(crate) use pod::{Container, Pod, RESOURCE_ANNOTATION};
pub use policy::LogPolicy;
pub(crate) use source::{PodSource, Surroundings, api_server};
pub use source::{SourceConfig, SourceKind, StartError};
pub(crate) use watch::{ObjectFeed, Watch};

/// Pods known at one time. Nodes run a few hundred; more are ignored and reported.
const PODS_MAX: usize = 10_000;
/// Pods that are gone and remembered.
const TOMBSTONES_MAX: usize = 1_000;
/// Pods that were asked for and are not known.
const ASKED_MAX: usize = 4_096;
/// An answer of the kubelet or the API server, after decompression (bytes).
const BODY_BYTES_MAX: usize = 32 << 20;
/// One event of a watch (bytes). An object in etcd is at most 1.5 MiB.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// A label's or annotation's value as an attribute (bytes); the rest is cut off.
const VALUE_BYTES_MAX: usize = 1_024;

/// The directory that the configured processors ask for, and the task that fills it.
///
/// # Errors
/// The environment lacks what the settings leave out.
pub(crate) fn open(
    processors: &BTreeMap<String, ProcessorConfig>,
    metrics: &AgentMetrics,
) -> Result<(PodDirectory, Option<PodSource>), StartError> {
    // That the processors agree was checked when the configuration was read.
    let Ok(Some((config, annotations))) = K8sAttributesConfig::shared_source(processors) else {
        return Ok((PodDirectory::none(), None));
    };
    let surroundings = Surroundings {
        variable: &|name| SystemSources.variable(name),
        annotations,
        metrics: metrics.kubernetes().clone(),
    };
    PodSource::open(&config, surroundings)
}

#[cfg(test)]
pub(crate) mod tests;
