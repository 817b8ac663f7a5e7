//! The section `processors:` of the configuration.

use std::sync::Arc;

use vervet_model::{Signal, SystemClock};

use super::k8sattributes::{K8sAttributesConfig, K8sAttributesSpec};
use super::redaction::{RedactionConfig, RedactionSpec};
use super::resource::{ResourceProcessorConfig, ResourceProcessorSpec};
use super::{Step, StepContext};
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;

/// The words that `type` may be.
pub(crate) const PROCESSOR_TYPES: [&str; 3] = ["resource", "redaction", "k8sattributes"];

/// One processor as it is written, by its `type`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProcessorSpec {
    Resource(ResourceProcessorSpec),
    Redaction(RedactionSpec),
    K8sAttributes(K8sAttributesSpec),
}

/// The settings of one processor, checked.
#[derive(Debug, Clone)]
pub enum ProcessorConfig {
    Resource(ResourceProcessorConfig),
    Redaction(Box<RedactionConfig>),
    K8sAttributes(Box<K8sAttributesConfig>),
}

impl TryFrom<ProcessorSpec> for ProcessorConfig {
    type Error = String;

    fn try_from(spec: ProcessorSpec) -> Result<Self, String> {
        Ok(match spec {
            ProcessorSpec::Resource(spec) => Self::Resource(spec.try_into()?),
            ProcessorSpec::Redaction(spec) => Self::Redaction(Box::new(spec.try_into()?)),
            ProcessorSpec::K8sAttributes(spec) => Self::K8sAttributes(Box::new(spec.try_into()?)),
        })
    }
}

impl ProcessorConfig {
    /// Says why the processor cannot be used for a signal, if so.
    pub(crate) fn check(&self, name: &str, signal: Signal) -> Result<(), String> {
        let context = StepContext {
            name,
            signal,
            metrics: &AgentMetrics::default(),
            clock: &(Arc::new(SystemClock) as _),
            pods: &PodDirectory::none(),
        };
        self.compile(&context).map(|_step| ())
    }

    /// Makes the processor ready for one pipeline.
    pub(super) fn compile(&self, context: &StepContext<'_>) -> Result<Step, String> {
        Ok(match self {
            Self::Resource(config) => Step::Resource(config.compile()),
            Self::Redaction(config) => Step::Redaction(Box::new(config.compile(context)?)),
            Self::K8sAttributes(config) => Step::K8sAttributes(config.compile(context.pods)),
        })
    }
}
