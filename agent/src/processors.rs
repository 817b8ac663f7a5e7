//! What happens to records between receivers and the disk buffer.
//!
//! In: resources and records as borrowed views, or whole OTLP requests. Out: the same, changed, or a
//! [`DropReason`]. A pipeline's `via` names processors, in order; compiled they are a [`Chain`]. It runs before
//! anything touches disk, so what it removes is never written.
//!
//! Steps on resource attributes run first, in order, once per resource; steps on records follow, in order, and see
//! the resource as those left it. Invariants: an empty chain, or one that changes nothing, gives back the very bytes
//! it was given; in a request, resource groups and records that no step touched are copied as they are, fields
//! unknown here included. Every dropped record is counted under `<processor>:<why>`.

mod config;
mod drops;
mod explain;
mod expr;
mod filter;
pub(crate) mod k8sattributes;
mod points;
mod ratelimit;
mod redaction;
mod request;
mod resource;
mod sample;
mod source;
mod transform;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use vervet_model::{Clock, Signal};
use vervet_wire::otlp::{LogRecord, Metric, Resource, Scope, Span};

pub use config::ProcessorConfig;
pub(crate) use config::{PROCESSOR_TYPES, ProcessorSpec};
pub use drops::{DropReason, Drops};
pub use explain::{Change, ExplainedStep, Explanation, Secrets};
pub(crate) use redaction::mask_secrets;
pub use request::Processed;

use crate::config::AgentConfig;
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use filter::FilterStep;
use k8sattributes::K8sAttributesStep;
use ratelimit::RatelimitStep;
use redaction::RedactionStep;
use resource::ResourceStep;
use sample::SampleStep;
use transform::TransformStep;

/// The processors of one pipeline, compiled. Cheap to clone; clones share the state of their steps.
#[derive(Clone)]
pub struct Chain(Arc<[NamedStep]>);

/// The chains of all pipelines. A signal without a pipeline has an empty one.
#[derive(Debug, Clone, Default)]
pub struct Chains {
    pub logs: Chain,
    pub metrics: Chain,
    pub traces: Chain,
}

/// Who has said what stands on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A process of itself, or somebody who speaks for it: it knows best.
    Sender,
    /// The agent, of a file it reads.
    File {
        /// Nobody named the service: the container's or the file's name stands for it.
        service_is_guess: bool,
    },
}

/// A processor cannot be used in the pipeline that names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("processor `{processor}` does not fit {signal}: {message}")]
pub struct ChainError {
    pub processor: String,
    pub signal: Signal,
    pub message: String,
}

/// What steps are built with.
pub(crate) struct StepContext<'a> {
    pub(crate) name: &'a str,
    pub(crate) signal: Signal,
    pub(crate) metrics: &'a AgentMetrics,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) pods: &'a PodDirectory,
}

/// One processor at its place in a chain.
#[derive(Debug)]
struct NamedStep {
    name: String,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Resource(ResourceStep),
    Redaction(Box<RedactionStep>),
    K8sAttributes(K8sAttributesStep),
    Filter(FilterStep),
    Sample(SampleStep),
    Ratelimit(RatelimitStep),
    Transform(TransformStep),
}

/// What became of a record at a step: whether it was changed, or why it was dropped.
type Outcome = Result<bool, DropReason>;

impl Step {
    fn resource(&self, resource: &mut Resource<'_>, origin: Origin) -> bool {
        match self {
            Self::Resource(step) => step.apply(resource),
            Self::Redaction(step) => step.resource(resource),
            Self::K8sAttributes(step) => step.apply(resource, origin),
            Self::Transform(step) => step.resource(resource),
            Self::Filter(_) | Self::Sample(_) | Self::Ratelimit(_) => false,
        }
    }

    fn scope(&self, scope: &mut Scope<'_>) -> bool {
        match self {
            Self::Redaction(step) => step.scope(scope),
            Self::Resource(_)
            | Self::K8sAttributes(_)
            | Self::Transform(_)
            | Self::Filter(_)
            | Self::Sample(_)
            | Self::Ratelimit(_) => false,
        }
    }

    /// Whether its cost depends on what stands in the texts: patterns and searches.
    fn searches(&self) -> bool {
        match self {
            Self::Redaction(_) | Self::Filter(_) | Self::Transform(_) => true,
            Self::Resource(_) | Self::K8sAttributes(_) | Self::Sample(_) | Self::Ratelimit(_) => {
                false
            }
        }
    }

    fn log(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
    ) -> Outcome {
        match self {
            Self::Resource(_) | Self::K8sAttributes(_) => Ok(false),
            Self::Redaction(step) => step.log(resource, record),
            Self::Filter(step) => step.log(resource, scope, record),
            Self::Sample(step) => step.log(resource, record),
            Self::Ratelimit(step) => step.log(resource, record),
            Self::Transform(step) => Ok(step.log(resource, scope, record)),
        }
    }

    fn span(&self, resource: &Resource<'_>, scope: &Scope<'_>, span: &mut Span<'_>) -> Outcome {
        match self {
            Self::Resource(_) | Self::K8sAttributes(_) => Ok(false),
            Self::Redaction(step) => step.span(span),
            Self::Filter(step) => step.span(resource, scope, span),
            Self::Sample(step) => step.span(span),
            Self::Ratelimit(step) => step.span(resource, span),
            Self::Transform(step) => Ok(step.span(resource, scope, span)),
        }
    }

    /// Points may go one by one, counted in `drops`; a metric that is left with none is dropped.
    fn metric(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        metric: &mut Metric<'_>,
        drops: &mut Drops,
    ) -> Outcome {
        match self {
            Self::Resource(_) | Self::K8sAttributes(_) => Ok(false),
            Self::Redaction(step) => step.metric(metric),
            Self::Filter(step) => step.metric(resource, scope, metric, drops),
            Self::Sample(_) => Ok(false),
            Self::Ratelimit(step) => step.metric(resource, metric),
            Self::Transform(step) => Ok(step.metric(resource, scope, metric)),
        }
    }

    /// The word of its type in the configuration.
    fn kind(&self) -> &'static str {
        match self {
            Self::Resource(_) => "resource",
            Self::K8sAttributes(_) => "k8sattributes",
            Self::Redaction(_) => "redaction",
            Self::Filter(_) => "filter",
            Self::Sample(_) => "sample",
            Self::Ratelimit(_) => "ratelimit",
            Self::Transform(_) => "transform",
        }
    }

    /// As [`Step::log`], showing the record before and after each part of the step that has a name of its own.
    fn log_by_part(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
        each: &mut dyn FnMut(&str, &LogRecord<'_>, &LogRecord<'_>),
    ) -> Outcome {
        if let Self::Transform(step) = self {
            step.log_by_part(resource, scope, record, each);
            return Ok(false);
        }
        let before = record.clone();
        let outcome = self.log(resource, scope, record);
        each(self.kind(), &before, record);
        outcome
    }

    /// What to blame for a record that was dropped.
    fn drop_rule(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &LogRecord<'_>,
        reason: &DropReason,
    ) -> String {
        match self {
            Self::Filter(step) => step.rule(resource, scope, record),
            _ => {
                let why = reason.as_str().split_once(':');
                why.map_or_else(String::new, |(_, why)| why.to_owned())
            }
        }
    }

    /// What to blame for a change of the field at `path`, which was `before`.
    fn rule_for(&self, path: &str, before: Option<&str>, part: &str) -> String {
        match self {
            Self::Redaction(step) => step.rule_for(path, before),
            _ if part.is_empty() => self.kind().to_owned(),
            _ => part.to_owned(),
        }
    }
}

impl Chain {
    /// Compiles the processors called `names`, in order.
    ///
    /// # Errors
    /// One of them does not fit the signal.
    pub(crate) fn build(
        names: &[String],
        processors: &BTreeMap<String, ProcessorConfig>,
        signal: Signal,
        metrics: &AgentMetrics,
        clock: &Arc<dyn Clock>,
        pods: &PodDirectory,
    ) -> Result<Self, ChainError> {
        let step = |name: &String| {
            let failed = |message: String| ChainError {
                processor: name.clone(),
                signal,
                message,
            };
            let config = processors
                .get(name)
                .ok_or_else(|| failed("it is not configured".to_owned()))?;
            let context = StepContext {
                name,
                signal,
                metrics,
                clock,
                pods,
            };
            let step = config.compile(&context);
            let step = step.map_err(|problem| failed(problem.message))?;
            Ok(NamedStep {
                name: name.clone(),
                step,
            })
        };
        Ok(Self(names.iter().map(step).collect::<Result<_, _>>()?))
    }

    /// Whether nothing happens to anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a small hostile text can make it busy: it does not belong on a thread that others wait for.
    pub fn searches(&self) -> bool {
        self.0.iter().any(|named| named.step.searches())
    }

    /// The steps on resource attributes, of a sender's resource: once per resource, before its records.
    pub fn resource(&self, resource: &mut Resource<'_>) {
        self.run_resource(resource);
    }

    /// As [`Chain::resource`], for a resource of that origin.
    pub fn resource_of(&self, resource: &mut Resource<'_>, origin: Origin) {
        for named in self.0.iter() {
            named.step.resource(resource, origin);
        }
    }

    /// All steps on one log record, in order.
    ///
    /// # Errors
    /// The record is dropped; the caller counts it.
    pub fn log(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
    ) -> Result<(), DropReason> {
        self.run_log(resource, scope, record).map(|_changed| ())
    }

    /// All steps on one span, in order.
    ///
    /// # Errors
    /// The span is dropped; the caller counts it.
    pub fn span(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        span: &mut Span<'_>,
    ) -> Result<(), DropReason> {
        self.run_span(resource, scope, span).map(|_changed| ())
    }

    /// All steps on one metric, in order. Points that are dropped on their own are counted in `drops`.
    ///
    /// # Errors
    /// The metric is dropped with all its points; the caller counts those it holds.
    pub fn metric(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        metric: &mut Metric<'_>,
        drops: &mut Drops,
    ) -> Result<(), DropReason> {
        self.run_metric(resource, scope, metric, drops)
            .map(|_changed| ())
    }

    fn run_resource(&self, resource: &mut Resource<'_>) -> bool {
        self.0.iter().fold(false, |changed, named| {
            named.step.resource(resource, Origin::Sender) | changed
        })
    }

    fn run_scope(&self, scope: &mut Scope<'_>) -> bool {
        self.0
            .iter()
            .fold(false, |changed, named| named.step.scope(scope) | changed)
    }

    fn run_log(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
    ) -> Outcome {
        self.0.iter().try_fold(false, |changed, named| {
            Ok(named.step.log(resource, scope, record)? | changed)
        })
    }

    fn run_span(&self, resource: &Resource<'_>, scope: &Scope<'_>, span: &mut Span<'_>) -> Outcome {
        self.0.iter().try_fold(false, |changed, named| {
            Ok(named.step.span(resource, scope, span)? | changed)
        })
    }

    fn run_metric(
        &self,
        resource: &Resource<'_>,
        scope: &Scope<'_>,
        metric: &mut Metric<'_>,
        drops: &mut Drops,
    ) -> Outcome {
        self.0.iter().try_fold(false, |changed, named| {
            Ok(named.step.metric(resource, scope, metric, drops)? | changed)
        })
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

impl Chains {
    /// Compiles the chains of all pipelines. Steps count in `metrics`.
    ///
    /// # Errors
    /// A processor does not fit a signal; a configuration that was read has been checked for that.
    pub fn build(
        config: &AgentConfig,
        metrics: &AgentMetrics,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ChainError> {
        Self::build_with(config, metrics, clock, &PodDirectory::none())
    }

    /// As [`Self::build`], with the pods of this node.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_with(
        config: &AgentConfig,
        metrics: &AgentMetrics,
        clock: &Arc<dyn Clock>,
        pods: &PodDirectory,
    ) -> Result<Self, ChainError> {
        let (mut chains, processors) = (Self::default(), &config.processors);
        for pipeline in &config.pipelines {
            let (signal, via) = (pipeline.signal, &pipeline.via);
            let chain = Chain::build(via, processors, signal, metrics, clock, pods)?;
            match signal {
                Signal::Logs => chains.logs = chain,
                Signal::Metrics => chains.metrics = chain,
                Signal::Traces => chains.traces = chain,
            }
        }
        Ok(chains)
    }

    pub fn of(&self, signal: Signal) -> &Chain {
        match signal {
            Signal::Logs => &self.logs,
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
        }
    }
}

#[cfg(test)]
mod tests;
