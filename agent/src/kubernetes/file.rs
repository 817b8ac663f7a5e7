//! Pods out of a saved answer: the kubelet's `/pods`, `kubectl get pods -o json`, or one pod.

use globset::GlobSet;
use serde::Deserialize;

use super::document::PodDocument;
use super::{DirectorySettings, KubernetesMetrics, PodDirectory};

/// A saved answer that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PodFileError {
    #[error("it is no JSON, or not as Kubernetes writes it")]
    Json(#[from] serde_json::Error),
    #[error("it holds `{kind}`, and no list of pods or pod")]
    Kind { kind: String },
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Items {
    #[serde(default)]
    items: Option<Vec<PodDocument>>,
}

impl PodDirectory {
    /// A directory of the pods in `answer` and of no others; keeps the annotations that are asked for.
    pub(crate) fn of_answer(answer: &[u8], annotations: GlobSet) -> Result<Self, PodFileError> {
        let Kind { kind } = serde_json::from_slice(answer)?;
        let pods = match kind.as_str() {
            "PodList" | "List" => {
                let list: Items = serde_json::from_slice(answer)?;
                list.items.unwrap_or_default()
            }
            "Pod" => vec![serde_json::from_slice(answer)?],
            _ => return Err(PodFileError::Kind { kind }),
        };
        let (directory, feed) = Self::new(DirectorySettings {
            source: "file",
            endpoint: String::new(),
            wait: std::time::Duration::ZERO,
            tombstones: std::time::Duration::MAX,
            annotations,
            metrics: KubernetesMetrics::default(),
        });
        feed.succeeded();
        feed.replace(pods, None);
        Ok(directory)
    }
}
