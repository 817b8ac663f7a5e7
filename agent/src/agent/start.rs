//! Starting an agent.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use vervet_journal::{Journal, JournalError, RecoveryReport};
use vervet_model::Clock;

use super::{AgentOptions, RunningAgent, Tokens};
use crate::admin::{self, SelfView};
use crate::agent_id;
use crate::books::{Books, BooksCollector};
use crate::budget::system::System;
use crate::budget::{BudgetCollector, MemoryBudget, MemoryWatch};
use crate::buffer::{Buffer, BufferCollector, BufferWriter, WriterParts, blocking};
use crate::config::{AgentConfig, ReceiverConfig};
use crate::exporters::otlp::{
    CURSOR_PREFIX, ConnectError, ExporterParts, OtlpExporter, cursor_name,
};
use crate::health::StageHealth;
use crate::metrics::AgentMetrics;
use crate::pipeline::{BatchSender, ReceiverContext, channel_within};
use crate::processors::{ChainError, Chains};
use crate::receivers::filelog::FilelogReceiver;
use crate::receivers::hostmetrics::HostmetricsReceiver;
use crate::receivers::otlp::OtlpReceiver;
use crate::receivers::prometheus::PrometheusReceiver;
use crate::telemetry;

/// Why an agent did not start. Nothing has been lost.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("data folder {} cannot be used", path.display())]
    DataDir {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Processor(#[from] ChainError),
    #[error("the buffer cannot be opened")]
    Buffer(#[from] JournalError),
    #[error("exporter {name} cannot be started")]
    Exporter {
        name: String,
        #[source]
        source: ConnectError,
    },
    /// An address cannot be listened on.
    #[error("{name} cannot be started")]
    Listen {
        name: String,
        #[source]
        source: io::Error,
    },
}

/// What the parts share while they are being put together.
struct Assembly {
    config: AgentConfig,
    clock: Arc<dyn Clock>,
    metrics: Arc<AgentMetrics>,
    books: Arc<Books>,
    tokens: Tokens,
    memory: MemoryWatch,
    stages: Vec<StageHealth>,
    addresses: BTreeMap<String, SocketAddr>,
}

pub(super) async fn start(
    config: AgentConfig,
    options: AgentOptions,
) -> Result<RunningAgent, StartError> {
    telemetry::install_tls_provider();
    let (buffer, agent_id) = open_buffer(&config, &options).await?;
    let journal = buffer.journal.clone();
    let mut assembly = Assembly::new(config, options.clock);
    let metrics = Arc::clone(&assembly.metrics);
    let collectors = (
        Arc::clone(&assembly.books),
        journal.clone(),
        assembly.memory.clone(),
    );
    metrics.register(|registry| {
        registry.register_collector(Box::new(BooksCollector(collectors.0)));
        registry.register_collector(Box::new(BufferCollector(collectors.1)));
        registry.register_collector(Box::new(BudgetCollector(collectors.2)));
    });
    let (booked, booked_receiver) = watch::channel(0);
    let exporters = assembly.exporters(&buffer, &agent_id, &booked_receiver)?;
    let budget = assembly.memory.budget().clone();
    let (sender, queue) = channel_within("agent", budget, Arc::clone(&metrics));
    let receivers = assembly.receivers(&buffer, &sender).await?;
    let admin_listener = assembly.bind_admin().await?;
    let writer = BufferWriter::new(
        buffer,
        WriterParts {
            queue,
            books: Arc::clone(&assembly.books),
            metrics,
            booked,
            health: assembly.stage("buffer"),
            drain: assembly.tokens.drain.clone(),
            give_up: assembly.tokens.give_up.clone(),
        },
    );
    Ok(assembly.run(
        &agent_id,
        journal,
        receivers,
        writer,
        exporters,
        admin_listener,
    ))
}

async fn open_buffer(
    config: &AgentConfig,
    options: &AgentOptions,
) -> Result<(Buffer, String), StartError> {
    let (dir, disk_bytes) = (config.data_dir.clone(), config.disk_bytes);
    let fs = Arc::clone(&options.file_system);
    let (buffer, report, agent_id) = blocking(move || {
        let failed = |source| StartError::DataDir {
            path: dir.clone(),
            source,
        };
        std::fs::create_dir_all(&dir).map_err(failed)?;
        let (buffer, report) = Buffer::open(&dir.join("buffer"), disk_bytes, fs)?;
        let agent_id = agent_id::load(&dir, buffer.is_new).map_err(failed)?;
        Ok::<_, StartError>((buffer, report, agent_id))
    })
    .await?;
    log_recovery(&config.data_dir, &report);
    remove_orphans(config, &buffer.journal)?;
    Ok((buffer, agent_id))
}

fn log_recovery(data_dir: &Path, report: &RecoveryReport) {
    if report.found_damage() {
        tracing::error!(data_dir = %data_dir.display(), ?report, "the buffer was damaged, the rest of it is read");
    } else {
        tracing::info!(data_dir = %data_dir.display(), ?report, "buffer opened");
    }
}

/// Cursors of exporters that are no longer configured would hold the buffer for ever.
fn remove_orphans(config: &AgentConfig, journal: &Journal) -> Result<(), StartError> {
    for cursor in journal.stats().cursors {
        let exporter = cursor.name.strip_prefix(CURSOR_PREFIX);
        if exporter.is_some_and(|name| !config.exporters.contains_key(name)) {
            tracing::warn!(
                exporter,
                batches = cursor.lag_records,
                "exporter is not configured any more, its backlog is given up"
            );
            journal.remove_cursor(&cursor.name)?;
        }
    }
    Ok(())
}

/// A receiver that is ready to run.
enum Receiver {
    Filelog(FilelogReceiver),
    Hostmetrics(HostmetricsReceiver),
    Prometheus(PrometheusReceiver),
    Otlp(OtlpReceiver),
}

impl Receiver {
    async fn run(self) {
        match self {
            Self::Filelog(receiver) => receiver.run().await,
            Self::Hostmetrics(receiver) => receiver.run().await,
            Self::Prometheus(receiver) => receiver.run().await,
            Self::Otlp(receiver) => receiver.run().await,
        }
    }
}

impl Assembly {
    fn new(config: AgentConfig, clock: Arc<dyn Clock>) -> Self {
        let memory_bytes = config.memory_bytes;
        let memory_bytes = memory_bytes.unwrap_or_else(|| System::default().budget_bytes());
        Self {
            memory: MemoryWatch::new(MemoryBudget::new(memory_bytes)),
            config,
            clock,
            metrics: Arc::default(),
            books: Arc::default(),
            tokens: Tokens::default(),
            stages: Vec::new(),
            addresses: BTreeMap::new(),
        }
    }

    fn stage(&mut self, name: &str) -> StageHealth {
        let stage = StageHealth::new(name, Arc::clone(&self.clock));
        self.stages.push(stage.clone());
        stage
    }

    fn exporters(
        &mut self,
        buffer: &Buffer,
        agent_id: &str,
        booked: &watch::Receiver<u64>,
    ) -> Result<Vec<OtlpExporter>, StartError> {
        let mut exporters = Vec::new();
        for (name, config) in self.config.exporters.clone() {
            let parts = ExporterParts {
                agent_id: agent_id.to_owned(),
                rejected_dir: self.config.data_dir.join("rejected"),
                books: Arc::clone(&self.books),
                booked: booked.clone(),
                health: self.stage(&cursor_name(&name)),
                give_up: self.tokens.give_up.clone(),
            };
            let signals = self.config.signals_to(&name);
            let exporter = OtlpExporter::open(
                &name,
                config,
                signals,
                &buffer.journal,
                buffer.totals(),
                parts,
            );
            exporters.push(exporter.map_err(|source| StartError::Exporter { name, source })?);
        }
        Ok(exporters)
    }

    async fn receivers(
        &mut self,
        buffer: &Buffer,
        sender: &BatchSender,
    ) -> Result<Vec<(String, Receiver)>, StartError> {
        let chains = Chains::build(&self.config, &self.metrics, &self.clock)?;
        let mut receivers = Vec::new();
        for (name, config) in self.config.receivers.clone() {
            let context = ReceiverContext {
                output: sender.for_receiver(&name, self.config.signals_from(&name)),
                chains: chains.clone(),
                resource: self.config.resource.clone(),
                resume: buffer.resume(&name),
                metrics: Arc::clone(&self.metrics),
                shutdown: self.tokens.receivers.clone(),
                clock: Arc::clone(&self.clock),
            };
            let receiver = match config {
                ReceiverConfig::Filelog(config) => {
                    Receiver::Filelog(FilelogReceiver::new(config, context))
                }
                ReceiverConfig::Hostmetrics(config) => {
                    Receiver::Hostmetrics(HostmetricsReceiver::new(config, context))
                }
                ReceiverConfig::Prometheus(config) => {
                    Receiver::Prometheus(PrometheusReceiver::new(config, context))
                }
                ReceiverConfig::Otlp(config) => {
                    let receiver = OtlpReceiver::bind(config, context).await;
                    let receiver = receiver.map_err(|source| StartError::Listen {
                        name: name.clone(),
                        source,
                    })?;
                    for (protocol, address) in receiver.addresses() {
                        self.addresses.insert(format!("{name}/{protocol}"), address);
                    }
                    Receiver::Otlp(receiver)
                }
            };
            receivers.push((name, receiver));
        }
        Ok(receivers)
    }

    async fn bind_admin(&mut self) -> Result<Option<TcpListener>, StartError> {
        let Some(address) = self.config.admin else {
            return Ok(None);
        };
        let failed = |source| StartError::Listen {
            name: format!("admin listener {address}"),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        self.addresses.insert("admin".to_owned(), bound);
        Ok(Some(listener))
    }

    fn run(
        self,
        agent_id: &str,
        journal: Journal,
        receivers: Vec<(String, Receiver)>,
        writer: BufferWriter,
        exporters: Vec<OtlpExporter>,
        admin_listener: Option<TcpListener>,
    ) -> RunningAgent {
        let view = SelfView {
            agent_id: agent_id.into(),
            metrics: self.metrics,
            books: self.books,
            journal,
            memory: self.memory.clone(),
            stages: self.stages.into(),
        };
        tokio::spawn(
            self.memory
                .run(System::default(), self.tokens.admin.clone()),
        );
        let mut receiver_tasks = JoinSet::new();
        for (_name, receiver) in receivers {
            receiver_tasks.spawn(receiver.run());
        }
        let mut exporter_tasks = JoinSet::new();
        for exporter in exporters {
            exporter_tasks.spawn(exporter.run());
        }
        let admin = admin_listener
            .map(|listener| serve_admin(listener, admin::router(view.clone()), &self.tokens));
        tracing::info!(agent_id, addresses = ?self.addresses, "agent started");
        RunningAgent {
            addresses: self.addresses,
            view,
            receivers: receiver_tasks,
            writer: tokio::spawn(writer.run()),
            exporters: exporter_tasks,
            admin,
            tokens: self.tokens,
        }
    }
}

fn serve_admin(listener: TcpListener, router: Router, tokens: &Tokens) -> JoinHandle<()> {
    let shutdown = tokens.admin.clone().cancelled_owned();
    tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(shutdown)
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "admin listener failed");
        }
    })
}
