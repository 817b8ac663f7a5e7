//! A directory that tests fill by hand.

use std::time::Duration;

use globset::{Glob, GlobSet};
use serde_json::Value;

use super::{DirectorySettings, KubernetesMetrics, PodDirectory, PodFeed};

pub(crate) struct PodsDouble {
    pub(crate) directory: PodDirectory,
    feed: PodFeed,
}

impl PodsDouble {
    /// Without pods. Unknown ones are waited for so long; every annotation is kept.
    pub(crate) fn new(wait: Duration) -> Self {
        let (directory, feed) = PodDirectory::new(DirectorySettings {
            source: "api",
            endpoint: "https://127.0.0.1/".to_owned(),
            wait,
            tombstones: Duration::from_secs(600),
            annotations: GlobSet::new([Glob::new("*").expect("glob")]).expect("globs"),
            metrics: KubernetesMetrics::default(),
        });
        feed.succeeded();
        Self { directory, feed }
    }

    /// Learns of a pod or its new state: a Pod object of the Kubernetes API.
    pub(crate) fn put(&self, pod: Value) {
        self.feed
            .put(serde_json::from_value(pod).expect("a pod document"));
    }

    /// The pod is gone.
    pub(crate) fn remove(&self, uid: &str) {
        self.feed.remove(uid);
    }

    /// The source stops to answer.
    pub(crate) fn fail(&self) {
        self.feed.failed("request", "it is down".to_owned());
    }
}
