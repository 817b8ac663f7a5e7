//! The section `processors:` of the configuration.

use std::sync::Arc;

use vervet_model::{Signal, SystemClock};

use super::filter::{FilterConfig, FilterSpec};
use super::k8sattributes::{K8sAttributesConfig, K8sAttributesSpec};
use super::ratelimit::{RatelimitConfig, RatelimitSpec};
use super::redaction::{RedactionConfig, RedactionSpec};
use super::resource::{ResourceProcessorConfig, ResourceProcessorSpec};
use super::sample::{SampleConfig, SampleSpec};
use super::transform::{TransformConfig, TransformSpec};
use super::{Step, StepContext};
use crate::config::{Mistakes, Problem};
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;

/// The words that `type` may be.
pub(crate) const PROCESSOR_TYPES: [&str; 7] = [
    "resource",
    "redaction",
    "k8sattributes",
    "filter",
    "sample",
    "ratelimit",
    "transform",
];

/// One processor as it is written, by its `type`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProcessorSpec {
    Resource(ResourceProcessorSpec),
    Redaction(RedactionSpec),
    K8sAttributes(K8sAttributesSpec),
    Filter(FilterSpec),
    Sample(SampleSpec),
    Ratelimit(RatelimitSpec),
    Transform(TransformSpec),
}

/// The settings of one processor, checked.
#[derive(Debug, Clone)]
pub enum ProcessorConfig {
    Resource(ResourceProcessorConfig),
    Redaction(Box<RedactionConfig>),
    K8sAttributes(Box<K8sAttributesConfig>),
    Filter(FilterConfig),
    Sample(SampleConfig),
    Ratelimit(RatelimitConfig),
    Transform(TransformConfig),
}

/// A mistake that is about the processor as a whole.
fn problem(message: String) -> Problem {
    serde::de::Error::custom(message)
}

impl TryFrom<ProcessorSpec> for ProcessorConfig {
    type Error = Mistakes;

    fn try_from(spec: ProcessorSpec) -> Result<Self, Mistakes> {
        Ok(match spec {
            ProcessorSpec::K8sAttributes(spec) => Self::K8sAttributes(Box::new(spec.try_into()?)),
            ProcessorSpec::Resource(spec) => Self::Resource(spec.try_into()?),
            ProcessorSpec::Redaction(spec) => Self::Redaction(Box::new(spec.try_into()?)),
            ProcessorSpec::Filter(spec) => Self::Filter(spec.try_into()?),
            ProcessorSpec::Sample(spec) => Self::Sample(spec.try_into()?),
            ProcessorSpec::Ratelimit(spec) => Self::Ratelimit(spec.try_into()?),
            ProcessorSpec::Transform(spec) => Self::Transform(spec.try_into()?),
        })
    }
}

impl ProcessorConfig {
    /// Says all why the processor cannot be used for a signal.
    pub(crate) fn check(&self, name: &str, signal: Signal) -> Vec<Problem> {
        let context = StepContext {
            name,
            signal,
            metrics: &AgentMetrics::default(),
            clock: &(Arc::new(SystemClock) as _),
            pods: &PodDirectory::none(),
        };
        match self {
            Self::Filter(config) => config.problems(&context),
            Self::Transform(config) => config.problems(&context),
            other => other.compile(&context).err().into_iter().collect(),
        }
    }

    /// Makes the processor ready for one pipeline.
    pub(super) fn compile(&self, context: &StepContext<'_>) -> Result<Step, Problem> {
        Ok(match self {
            Self::Resource(config) => Step::Resource(config.compile()),
            Self::K8sAttributes(config) => Step::K8sAttributes(config.compile(context.pods)),
            Self::Redaction(config) => {
                Step::Redaction(Box::new(config.compile(context).map_err(problem)?))
            }
            Self::Filter(config) => Step::Filter(config.compile(context)?),
            Self::Sample(config) => Step::Sample(config.compile(context).map_err(problem)?),
            Self::Ratelimit(config) => Step::Ratelimit(config.compile(context)),
            Self::Transform(config) => Step::Transform(config.compile(context)?),
        })
    }
}
