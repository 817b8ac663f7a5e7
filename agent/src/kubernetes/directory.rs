//! The handle that everybody looks pods up with.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use globset::GlobSet;
use serde::Serialize;

use super::feed::PodFeed;
use super::metrics::KubernetesMetrics;
use super::pod::{Pod, parse_ip};
use super::policy::LogPolicy;
use super::shared::Shared;

/// The pods of this node. Clones share it; the default knows none and waits for none.
#[derive(Clone, Default)]
pub struct PodDirectory(Option<Arc<Shared>>);

/// Whether a pod's metadata is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Known,
    /// It may come soon: what a new pod writes is better read a little later.
    Pending,
    /// It was waited for long enough, or nothing will come.
    GaveUp,
}

/// What a pod is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Uid(&'a str),
    /// With or without the runtime's name before it.
    Container(&'a str),
    Ip(IpAddr),
}

/// Why a resource got nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// It has no attribute that names a pod.
    NoPodKey,
    /// The source answers and names no such pod.
    UnknownPod,
    /// The pod was waited for in vain.
    TimedOut,
    /// The source does not answer.
    SourceDown,
}

/// How the source of pods is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// `kubelet` or `api`.
    pub source: &'static str,
    /// Where it is asked.
    pub endpoint: String,
    /// The last request was answered with what was asked for.
    pub up: bool,
    /// Since the last answer; absent before the first.
    pub since_success_seconds: Option<u64>,
    pub last_error: Option<String>,
    pub since_error_seconds: Option<u64>,
    pub pods: usize,
    pub tombstones: usize,
    /// Counts changes of pods' metadata.
    pub generation: u64,
}

/// What a directory is made with.
#[derive(Clone)]
pub(crate) struct DirectorySettings {
    pub(crate) source: &'static str,
    pub(crate) endpoint: String,
    /// How long an unknown pod is waited for.
    pub(crate) wait: Duration,
    /// How long a pod that is gone is remembered.
    pub(crate) tombstones: Duration,
    /// Annotations to keep.
    pub(crate) annotations: GlobSet,
    pub(crate) metrics: KubernetesMetrics,
}

impl PodDirectory {
    /// Knows no pods and waits for none.
    pub fn none() -> Self {
        Self(None)
    }

    /// A directory, and what fills it. Tests fill it themselves.
    pub(crate) fn new(settings: DirectorySettings) -> (Self, PodFeed) {
        let shared = Arc::new(Shared::new(settings));
        (Self(Some(Arc::clone(&shared))), PodFeed::new(shared))
    }

    /// Changes whenever anything that is known of any pod changes. One atomic read.
    pub fn generation(&self) -> u64 {
        let shared = self.0.as_ref();
        shared.map_or(0, |shared| shared.generation.load(Ordering::Acquire))
    }

    /// The generation that brought what is known of this pod; `None` while nothing is. A resource that was made
    /// at an earlier one is out of date.
    pub fn generation_of(&self, uid: &str) -> Option<u64> {
        let pods = self.0.as_ref()?.pods.read();
        pods.by_uid(uid).map(|entry| entry.generation)
    }

    /// Whether a pod's metadata is there. An unknown one is pending for the configured wait from the first time
    /// it is asked for; then, or when the kubelet says that there is no such pod, it is given up.
    pub fn known(&self, uid: &str) -> Presence {
        self.0
            .as_ref()
            .map_or(Presence::GaveUp, |shared| shared.known(uid, Instant::now()))
    }

    /// How a container's logs are to be read, by its pod's annotations.
    pub fn log_policy(&self, uid: &str, container: &str) -> LogPolicy {
        let Some(shared) = &self.0 else {
            return LogPolicy::default();
        };
        let pods = shared.pods.read();
        pods.by_uid(uid)
            .map(|entry| entry.pod.policy(container))
            .unwrap_or_default()
    }

    /// How the source is doing; `None` when there is none.
    pub fn status(&self) -> Option<SourceStatus> {
        self.0.as_ref().map(|shared| shared.status())
    }

    /// The pod that goes by the first of the keys that leads to one, or why there is none. Counted.
    pub(crate) fn find(&self, keys: &[Key<'_>]) -> Result<Arc<Pod>, Miss> {
        let shared = self.0.as_ref().ok_or(Miss::NoPodKey)?;
        let metrics = &shared.settings.metrics;
        let found = shared.find(keys);
        match &found {
            Ok(_) => {
                metrics.found.inc();
            }
            Err(miss) => metrics.missed(*miss),
        }
        found
    }
}

impl<'a> Key<'a> {
    /// The address as a key; `None` when it is none.
    pub(crate) fn ip(text: &'a str) -> Option<Self> {
        parse_ip(text).map(Self::Ip)
    }
}

impl Miss {
    /// The value of the label `reason`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoPodKey => "no_pod_key",
            Self::UnknownPod => "unknown_pod",
            Self::TimedOut => "timed_out",
            Self::SourceDown => "source_down",
        }
    }
}

impl std::fmt::Debug for PodDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PodDirectory").field(&self.status()).finish()
    }
}
