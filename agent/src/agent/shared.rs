//! What all parts of an agent have in common, and how a part is put together from it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vervet_journal::Journal;
use vervet_model::Clock;

use super::StartError;
use super::component::Component;
use super::listeners::Listeners;
use crate::agent_id::AgentIdentity;
use crate::books::Books;
use crate::budget::MemoryWatch;
use crate::buffer::{Checkpoints, JournalGap, PositionKeeping, blocking};
use crate::config::shapes::{Shape, combined};
use crate::config::{AgentConfig, PipelineConfig, ReceiverConfig};
use crate::exporters::dead_letter::DeadLetters;
use crate::exporters::{ALIVE_INTERVAL, Exporter, ExporterMetrics, ExporterParts, cursor_name};
use crate::health::Stages;
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use crate::pipeline::{BatchSender, ReceiverContext};
use crate::processors::{Chains, ProcessorConfig};
use crate::receivers::filelog::change::{Change, ChangeSlot};
use crate::receivers::filelog::{FilelogConfig, FilelogReceiver};
use crate::receivers::hostmetrics::{HostmetricsConfig, HostmetricsReceiver};
use crate::receivers::otlp::{OtlpReceiver, OtlpReceiverConfig};
use crate::receivers::prometheus::{PrometheusConfig, PrometheusReceiver};
use crate::reloads::Reloads;
use crate::stops::Stops;

/// How parts are told to stop, in the order they are used.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    pub(super) receivers: CancellationToken,
    pub(super) drain: CancellationToken,
    pub(super) give_up: CancellationToken,
    pub(super) admin: CancellationToken,
}

/// Lives as long as the agent, whatever its configuration becomes.
pub(super) struct Shared {
    pub(super) identity: AgentIdentity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<AgentMetrics>,
    pub(super) books: Arc<Books>,
    pub(super) stages: Stages,
    pub(super) memory: MemoryWatch,
    pub(super) journal: Journal,
    pub(super) checkpoints: Arc<Mutex<Checkpoints>>,
    pub(super) keeping: PositionKeeping,
    /// What was missing in the journal when it was opened.
    pub(super) gaps: Arc<[JournalGap]>,
    pub(super) sender: BatchSender,
    pub(super) booked: watch::Receiver<u64>,
    pub(super) dead_letters: Arc<DeadLetters>,
    pub(super) exporter_metrics: Arc<ExporterMetrics>,
    pub(super) reloads: Reloads,
    pub(super) stops: Stops,
    pub(super) tokens: Tokens,
    /// The buffer is on a disk, not in memory.
    pub(super) is_durable: bool,
}

/// A receiver that has all it needs from outside.
pub(super) enum ReadyReceiver {
    Filelog(FilelogConfig),
    Hostmetrics(HostmetricsConfig),
    Prometheus(PrometheusConfig),
    Otlp {
        config: OtlpReceiverConfig,
        grpc: Option<TcpListener>,
        http: Option<TcpListener>,
    },
}

impl ReadyReceiver {
    pub(super) fn new(
        name: &str,
        config: &ReceiverConfig,
        listeners: &Listeners,
    ) -> Result<Self, StartError> {
        let listener = |protocol: &str| {
            let name = format!("{name}/{protocol}");
            let listener = listeners.get(&name);
            listener.map_err(|source| StartError::Listen { name, source })
        };
        Ok(match config.clone() {
            ReceiverConfig::Filelog(config) => Self::Filelog(config),
            ReceiverConfig::Hostmetrics(config) => Self::Hostmetrics(config),
            ReceiverConfig::Prometheus(config) => Self::Prometheus(config),
            ReceiverConfig::Otlp(config) => Self::Otlp {
                config,
                grpc: listener("grpc")?,
                http: listener("http")?,
            },
        })
    }

    /// Whether it must not begin before its predecessor has ended. Listeners have no gap instead.
    fn waits_for_predecessor(&self) -> bool {
        !matches!(self, Self::Otlp { .. })
    }

    async fn run(self, context: ReceiverContext, changes: ChangeSlot) {
        match self {
            Self::Filelog(config) => {
                let receiver = FilelogReceiver::new(config, context);
                receiver.with_changes(changes).run().await;
            }
            Self::Hostmetrics(config) => HostmetricsReceiver::new(config, context).run().await,
            Self::Prometheus(config) => PrometheusReceiver::new(config, context).run().await,
            Self::Otlp { config, grpc, http } => {
                OtlpReceiver::new(config, context, grpc, http).run().await;
            }
        }
    }
}

impl Shared {
    /// Makes `old` what is asked for, or starts it in the place of `old`, which is told to end. Returns the old one
    /// when somebody else has to wait for it.
    pub(super) fn start_receiver(
        &self,
        name: &str,
        receiver: ReadyReceiver,
        config: &AgentConfig,
        (chains, pods): (Chains, PodDirectory),
        mut old: Option<Component>,
    ) -> (Component, Option<Component>) {
        let pods = match takes_pods(config, name) {
            true => pods,
            false => PodDirectory::none(),
        };
        if let ReadyReceiver::Filelog(filelog) = &receiver
            && let Some(mut running) = old.take()
        {
            let change = Change {
                config: filelog.clone(),
                chains: chains.clone(),
                pods: pods.clone(),
                resource: config.resource.clone(),
                signals: config.signals_from(name),
            };
            if running.change(receiver_shape(config, name), change) {
                return (running, None);
            }
            // It has ended, or is none that can change.
            old = Some(running);
        }
        let stop = self.tokens.receivers.child_token();
        let output = self.sender.for_receiver(name, config.signals_from(name));
        let on_the_way = output.on_the_way();
        let mut context = ReceiverContext {
            output,
            chains,
            pods,
            resource: config.resource.clone(),
            resume: Vec::new(),
            metrics: Arc::clone(&self.metrics),
            shutdown: stop.clone(),
            clock: Arc::clone(&self.clock),
        };
        if let Some(old) = &old {
            old.stop();
        }
        let (predecessor, left) = match receiver.waits_for_predecessor() {
            true => (old, None),
            false => (None, old),
        };
        let checkpoints = Arc::clone(&self.checkpoints);
        let owned_name = name.to_owned();
        let is_filelog = matches!(receiver, ReadyReceiver::Filelog(_));
        let changes = ChangeSlot::default();
        let slot = changes.clone();
        let work = async move {
            if let Some(old) = predecessor {
                // Also when this one is to end already: its own successor relies on it.
                old.settle().await;
            }
            if !context.shutdown.is_cancelled() {
                context.resume = checkpoints.lock().claim(&owned_name);
                receiver.run(context, slot).await;
            }
        };
        let shape = receiver_shape(config, name);
        let mut component = Component::spawn(shape, stop, work).with_batches(on_the_way);
        if is_filelog {
            component = component.with_changes(changes);
        }
        (component, left)
    }

    /// Opens an exporter's cursor and book and starts it; true when it is new to the buffer.
    ///
    /// # Errors
    /// The cursor cannot be opened, or the endpoint or its certificates make no sense.
    pub(super) async fn start_exporter(
        &self,
        name: &str,
        config: &AgentConfig,
    ) -> Result<Option<(Component, bool)>, StartError> {
        let Some(own) = config.exporters.get(name).cloned() else {
            return Ok(None);
        };
        let stop = self.tokens.give_up.child_token();
        let parts = ExporterParts {
            identity: self.identity.clone(),
            dead_letters: Arc::clone(&self.dead_letters),
            books: Arc::clone(&self.books),
            gaps: Arc::clone(&self.gaps),
            booked: self.booked.clone(),
            health: self.stages.add(&cursor_name(name), Arc::clone(&self.clock)),
            memory: self.memory.budget().clone(),
            metrics: Arc::clone(&self.exporter_metrics),
            clock: Arc::clone(&self.clock),
            is_durable: self.is_durable,
            alive_interval: ALIVE_INTERVAL,
            give_up: stop.clone(),
        };
        let signals = config.signals_to(name);
        let (journal, checkpoints) = (self.journal.clone(), Arc::clone(&self.checkpoints));
        let owned_name = name.to_owned();
        let opened = blocking(move || {
            // The writer waits meanwhile, so that the book begins with exactly what the journal took.
            let checkpoints = checkpoints.lock();
            Exporter::open(
                &owned_name,
                &own,
                signals,
                &journal,
                (&checkpoints.totals, checkpoints.through),
                parts,
            )
        });
        let exporter = opened.await.map_err(|source| StartError::Exporter {
            name: name.to_owned(),
            source,
        })?;
        let (shape, is_new) = (exporter_shape(config, name), exporter.is_new());
        if is_new {
            tracing::info!(
                exporter = name,
                "new exporter, it begins with what is stored from now on"
            );
        }
        let component = Component::spawn(shape, stop, exporter.run());
        Ok(Some((component, is_new)))
    }
}

/// Everything a receiver is made from: its own settings, the resource, and its pipelines with their processors.
pub(super) fn receiver_shape(config: &AgentConfig, name: &str) -> Shape {
    let shapes = &config.shapes;
    let mut parts = vec![
        shapes.entry("receivers", name),
        shapes.section("resource"),
        shapes.section("resource_detection"),
    ];
    for pipeline in config
        .pipelines
        .iter()
        .filter(|pipeline| pipeline.from.iter().any(|from| from == name))
    {
        parts.push(Some(Shape::from(pipeline.signal as u8)));
        parts.extend(processor_shapes(config, pipeline));
    }
    if takes_pods(config, name) {
        parts.push(Some(pods_shape(config)));
    }
    combined(parts)
}

/// Whether one of the receiver's pipelines asks what is known of pods.
fn takes_pods(config: &AgentConfig, receiver: &str) -> bool {
    let pipelines = config.pipelines.iter();
    pipelines
        .filter(|pipeline| pipeline.from.iter().any(|from| from == receiver))
        .flat_map(|pipeline| &pipeline.via)
        .any(|name| {
            let processor = config.processors.get(name);
            matches!(processor, Some(ProcessorConfig::K8sAttributes(_)))
        })
}

/// What the directory of pods is made from: all processors that ask for it, because they share it.
pub(super) fn pods_shape(config: &AgentConfig) -> Shape {
    let processors = config.processors.iter();
    combined(processors.filter_map(|(name, processor)| match processor {
        ProcessorConfig::K8sAttributes(_) => Some(config.shapes.entry("processors", name)),
        _ => None,
    }))
}

fn processor_shapes(config: &AgentConfig, pipeline: &PipelineConfig) -> Vec<Option<Shape>> {
    let via = pipeline.via.iter();
    via.map(|name| config.shapes.entry("processors", name))
        .collect()
}

/// What the chains of all pipelines are made from.
pub(super) fn chains_shape(config: &AgentConfig) -> Shape {
    let pipelines = config.pipelines.iter();
    let pipelines = pipelines.flat_map(|pipeline| {
        let signal = Some(Shape::from(pipeline.signal as u8));
        [signal]
            .into_iter()
            .chain(processor_shapes(config, pipeline))
    });
    combined(pipelines.chain([Some(pods_shape(config))]))
}

/// Everything an exporter is made from: its own settings and the signals it is given.
pub(super) fn exporter_shape(config: &AgentConfig, name: &str) -> Shape {
    let signals = config.signals_to(name);
    let signals = vervet_model::Signal::ALL
        .into_iter()
        .filter(|signal| signals.contains(*signal))
        .map(|signal| Some(Shape::from(signal as u8)));
    combined(
        [config.shapes.entry("exporters", name)]
            .into_iter()
            .chain(signals),
    )
}
