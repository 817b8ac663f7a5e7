//! What explanations know of pods: what a saved answer tells.

use globset::GlobSet;

use super::{Explainer, FilelogConfig, Key, LogPolicy};
use crate::config::AgentConfig;
use crate::kubernetes::{PodDirectory, PodFileError};
use crate::processors::ProcessorConfig;
use crate::processors::k8sattributes::K8sAttributesConfig;

/// The pods of a saved answer, as the configuration's processors would know them.
///
/// # Errors
/// It is none.
pub(crate) fn read_pods(config: &AgentConfig, answer: &[u8]) -> Result<PodDirectory, PodFileError> {
    // That the processors agree was checked when the configuration was read.
    let shared = K8sAttributesConfig::shared_source(&config.processors);
    let annotations = shared.ok().flatten().map(|(_, annotations)| annotations);
    PodDirectory::of_answer(answer, annotations.unwrap_or_else(GlobSet::empty))
}

impl Explainer<'_> {
    /// Whether anything in the pipeline asks for pods.
    fn asks_for_pods(&self) -> bool {
        let via = self.logs.into_iter().flat_map(|logs| &logs.via);
        via.filter_map(|name| self.config.processors.get(name))
            .any(|processor| matches!(processor, ProcessorConfig::K8sAttributes(_)))
    }

    /// How the pod wants the file to be read.
    pub(super) fn policy(&self, filelog: &FilelogConfig, path: Option<&str>) -> LogPolicy {
        match path.and_then(|path| filelog.container_of(path)) {
            Some((uid, container)) if self.asks_for_pods() => self.pods.log_policy(uid, container),
            _ => LogPolicy::default(),
        }
    }

    /// What is known of the pod that a path names, in words; `None` for other paths.
    pub(super) fn pod_of(&self, filelog: &FilelogConfig, path: &str) -> Option<String> {
        let (uid, _container) = filelog.container_of(path)?;
        if !self.asks_for_pods() {
            return Some("told by the path; no k8sattributes processor is on the way".to_owned());
        }
        if self.pods.status().is_none() {
            return Some("told by the path; --pod FILE tells labels and owner".to_owned());
        }
        Some(match self.pods.find(&[Key::Uid(uid)]) {
            Ok(pod) => format!("{}/{}, known from --pod", pod.namespace, pod.name),
            Err(_miss) => format!("told by the path; --pod names none with uid {uid}"),
        })
    }
}
