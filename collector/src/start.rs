//! Puts the parts together, in the order data flows, and takes them apart in the same order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use vervet_alerting::{FileStateStore, Manager, ManagerConfig, Seams};
use vervet_error_groups::ErrorStore;
use vervet_journal::{Journal, JournalConfig};
use vervet_model::{Clock, SystemClock, UnixNanos};
use vervet_store::{DecodeOptions, Store, StoreConfig};

use crate::api::{self, Context};
use crate::backup;
use crate::config::CollectorConfig;
use crate::derive::{self, Derive};
use crate::derived::{Derived, DerivedSamples};
use crate::flusher::{self, Flusher};
use crate::health::{self, Health};
use crate::ingest::{HeadRoom, Ingest, Recent, replay};
use crate::listen::{bind, serve_grpc, serve_http};
use crate::metrics::Metrics;
use crate::query::QueryService;
use crate::rules::{Queries, Samples, Webhooks, load_rules};
use crate::upkeep::Upkeep;

/// How long requests under way may take to finish at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long rules and notifications may take to finish after that.
const RULES_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const JOURNAL_DIR: &str = "journal";
/// What is stored is for its owner alone. A folder that is there stays as it is.
const DATA_DIR_MODE: u32 = 0o700;
pub(crate) const ERRORS_FILE: &str = "errors.sqlite";
pub(crate) const ALERTS_FILE: &str = "alerts.json";

/// Where a running collector listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub http: SocketAddr,
    pub otlp_grpc: SocketAddr,
    pub otlp_http: SocketAddr,
}

/// A running collector.
pub struct Collector {
    addresses: Addresses,
    health: Arc<Health>,
    /// Ends listeners and rules: nothing new comes in.
    sources: CancellationToken,
    servers: JoinSet<()>,
    /// Rules and notifications; a delivery that is being retried does not hold up the end.
    rules: JoinSet<()>,
    committer: JoinHandle<()>,
    /// Ends what works on stored data.
    consumers: CancellationToken,
    workers: JoinSet<()>,
}

/// What the collector says of itself, shared by its parts.
#[derive(Clone, Default)]
pub(crate) struct Own {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) derived: Arc<Derived>,
    pub(crate) health: Arc<Health>,
}

/// What is on disk, opened and brought up to date.
struct Opened {
    store: Store,
    journal: Journal,
    errors: Arc<ErrorStore>,
    flush_cursor: vervet_journal::Cursor,
    derive_cursor: vervet_journal::Cursor,
    options: DecodeOptions,
}

impl Collector {
    /// Opens the data, replays the journal and starts to listen.
    ///
    /// # Errors
    /// Data cannot be opened, or an address cannot be listened on.
    pub async fn start(config: CollectorConfig) -> anyhow::Result<Self> {
        let started = SystemClock.now();
        let config = Arc::new(config);
        let for_open = Arc::clone(&config);
        let opened = tokio::task::spawn_blocking(move || open(&for_open)).await??;
        let (store, journal) = (opened.store.clone(), opened.journal.clone());
        let errors = Arc::clone(&opened.errors);
        let own = Own::default();
        own.health.watch(&config.data_dir);
        own.metrics.upkeep.settled(&store.settled());
        remember_agents(&own.derived, &store).await;
        let inflight_bytes = config.limits.inflight_bytes;
        let options = opened.options.clone();
        let head = HeadRoom::new(store.clone(), config.limits.head_bytes_max);
        let head = Arc::new(head);
        let (ingest, committer) = Ingest::new(
            store.clone(),
            journal.clone(),
            options,
            inflight_bytes,
            Arc::clone(&head),
            &own,
        );
        let recent = committer.recent();
        let committer = tokio::task::spawn_blocking(move || committer.run());
        let consumers = CancellationToken::new();
        let workers = spawn_workers(opened, &own, (head, recent), &config, &consumers);
        let queries = QueryService::new(store.clone(), &config.limits, config.promql);
        let (alerts, rule_errors) = open_rules(&config, &queries, &ingest, &own.metrics).await?;
        let sources = CancellationToken::new();
        let rules = spawn_rules(&alerts, &own, &ingest, &sources);
        let health = Arc::clone(&own.health);
        let context = Context {
            store,
            queries,
            errors,
            alerts,
            rule_errors,
            journal,
            metrics: own.metrics,
            derived: own.derived,
            health: own.health,
            data_dir: config.data_dir.clone(),
            rates: api::Rates::new(started),
            environment: config.environment.clone(),
            external_url: config.external_url.clone(),
            listen: config.http,
            settings: api::Settings::of(&config),
            started,
        };
        let mut servers = JoinSet::new();
        let addresses = listen(&config, context, ingest, &mut servers, &sources).await?;
        health.set_serving(true);
        log_started(&addresses, started);
        Ok(Self {
            addresses,
            health,
            sources,
            servers,
            rules,
            committer,
            consumers,
            workers,
        })
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops taking data, finishes what is under way, flushes and closes.
    pub async fn shutdown(mut self) {
        self.health.set_serving(false);
        self.sources.cancel();
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, async {
            while self.servers.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!(
                "requests were still under way at the end of the drain; their senders will retry"
            );
            self.servers.shutdown().await;
        }
        let ended = tokio::time::timeout(RULES_TIMEOUT, async {
            while self.rules.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::warn!("notifications were being retried; they are sent after the next start");
            self.rules.shutdown().await;
        }
        // The committer ends when the last holder of its queue, a server, is gone.
        if let Err(error) = self.committer.await {
            tracing::error!(%error, "the committer panicked");
        }
        self.consumers.cancel();
        while self.workers.join_next().await.is_some() {}
        tracing::info!("collector stopped");
    }
}

fn log_started(addresses: &Addresses, started: UnixNanos) {
    let took = SystemClock.now().since(started);
    tracing::info!(
        http = %addresses.http,
        otlp_grpc = %addresses.otlp_grpc,
        otlp_http = %addresses.otlp_http,
        milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "collector started"
    );
}

fn open(config: &CollectorConfig) -> anyhow::Result<Opened> {
    let dir = &config.data_dir;
    use std::os::unix::fs::DirBuilderExt as _;
    let mut private = std::fs::DirBuilder::new();
    private.recursive(true).mode(DATA_DIR_MODE);
    private
        .create(dir)
        .with_context(|| format!("cannot make the data folder {}", dir.display()))?;
    let dir = dir
        .canonicalize()
        .with_context(|| format!("cannot resolve the data folder {}", dir.display()))?;
    anyhow::ensure!(
        !dir.join(backup::INCOMPLETE).exists(),
        "a restore into {} was interrupted; run it again, or empty the folder",
        dir.display()
    );
    backup::remove_stale(&dir);
    let journal = open_journal(&dir, config.limits.journal_bytes)?;
    let store = Store::open(StoreConfig {
        head_bytes_max: config.limits.head_bytes,
        flush_interval: config.limits.flush_interval,
        series_max: config.limits.series,
        query_memory_bytes: config.limits.query_memory_bytes,
        queries_memory_bytes: config.limits.query_memory_bytes.saturating_mul(2),
        query_timeout: config.limits.query_timeout,
        promote: config.promote.clone(),
        upkeep: config.upkeep.store.clone(),
        journal_is_whole: is_whole(&journal),
        ..StoreConfig::new(&dir)
    })
    .context("the store cannot be opened")?;
    let errors =
        ErrorStore::open(dir.join(ERRORS_FILE)).context("the error groups cannot be opened")?;
    let options = DecodeOptions::default();
    let mut flush_cursor = journal.cursor(flusher::CURSOR)?;
    let replayed =
        replay(&store, &mut flush_cursor, &options).context("the journal cannot be replayed")?;
    if replayed.requests > 0 || replayed.unreadable > 0 {
        tracing::info!(
            requests = replayed.requests,
            records = replayed.records,
            unreadable = replayed.unreadable,
            "journal replayed"
        );
    }
    let derive_cursor = journal.cursor(derive::CURSOR)?;
    Ok(Opened {
        store,
        journal,
        errors: Arc::new(errors),
        flush_cursor,
        derive_cursor,
        options,
    })
}

fn open_journal(dir: &Path, disk_bytes_max: u64) -> anyhow::Result<Journal> {
    let config = JournalConfig {
        disk_bytes_max,
        ..JournalConfig::new(dir.join(JOURNAL_DIR))
    };
    let (journal, report) = Journal::open(config).context("the journal cannot be opened")?;
    if report.found_damage() {
        tracing::error!(
            torn_bytes = report.torn_bytes,
            quarantined = report.quarantined.len(),
            lost_end = ?report.lost_end,
            "the journal was damaged; what could not be read was set aside"
        );
    }
    Ok(journal)
}

/// Whether the journal holds requests, and the first of all is still among them.
fn is_whole(journal: &Journal) -> bool {
    let stats = journal.stats();
    stats.oldest_sequence <= 1 && stats.last_sequence > 0
}

/// The highest durable sequence, as a value that tasks can wait for.
fn watch_journal(journal: &Journal) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(journal.last_sequence());
    journal.add_listener(Box::new(move |sequence| {
        sender.send_replace(sequence);
    }));
    receiver
}

/// What works on stored data: the consumers of the journal, and the upkeep of segments.
fn spawn_workers(
    opened: Opened,
    own: &Own,
    (head, recent): (Arc<HeadRoom>, Arc<Recent>),
    config: &CollectorConfig,
    shutdown: &CancellationToken,
) -> JoinSet<()> {
    let upkeep = Upkeep {
        store: opened.store.clone(),
        metrics: Arc::clone(&own.metrics),
        interval: config.upkeep.interval,
        cleaned: None,
    };
    let flusher = Flusher {
        store: opened.store,
        head,
        cursor: opened.flush_cursor,
        metrics: Arc::clone(&own.metrics),
        health: Arc::clone(&own.health),
    };
    let derive = Derive {
        durable: watch_journal(&opened.journal),
        cursor: opened.derive_cursor,
        recent,
        errors: opened.errors,
        derived: Arc::clone(&own.derived),
    };
    let mut workers = JoinSet::new();
    workers.spawn(flusher.run(shutdown.clone()));
    workers.spawn(upkeep.run(shutdown.clone()));
    workers.spawn(derive.run(shutdown.clone()));
    workers
}

/// A start does not fail for them: they come back with their next request.
async fn remember_agents(derived: &Arc<Derived>, store: &Store) {
    let (derived, store) = (Arc::clone(derived), store.clone());
    let read = tokio::task::spawn_blocking(move || derived.remember(&store, SystemClock.now()));
    if let Ok(Err(error)) = read.await {
        tracing::warn!(
            error = health::with_causes(&error),
            "agents of before the start are not known; a dead one raises no alert"
        );
    }
}

/// The evaluation of rules, and the samples that the built-in ones read.
fn spawn_rules(
    alerts: &Arc<Manager>,
    own: &Own,
    ingest: &Ingest,
    shutdown: &CancellationToken,
) -> JoinSet<()> {
    let samples = DerivedSamples {
        derived: Arc::clone(&own.derived),
        ingest: ingest.clone(),
        metrics: Arc::clone(&own.metrics),
    };
    let mut rules = JoinSet::new();
    rules.spawn(Arc::clone(alerts).run(shutdown.clone()));
    rules.spawn(samples.run(shutdown.clone()));
    rules
}

async fn open_rules(
    config: &CollectorConfig,
    queries: &QueryService,
    ingest: &Ingest,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Arc<Manager>, Vec<String>)> {
    let seams = Seams {
        query: Arc::new(Queries {
            service: queries.clone(),
            metrics: Arc::clone(metrics),
        }),
        sink: Arc::new(Samples(ingest.clone())),
        notifier: Arc::new(Webhooks::new(Arc::clone(metrics))?),
        store: Arc::new(FileStateStore::new(config.data_dir.join(ALERTS_FILE))),
        clock: Arc::new(SystemClock),
    };
    let settings = ManagerConfig {
        evaluation_interval: config.evaluation_interval,
        query_timeout: config.limits.query_timeout,
        external_url: config
            .external_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", config.http)),
        ..ManagerConfig::default()
    };
    let loaded = load_rules(config.rules_dir.as_deref(), config.promql)?;
    let refused: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    metrics
        .rule_errors
        .set(i64::try_from(refused.len()).unwrap_or(i64::MAX));
    if loaded.groups.is_empty() {
        tracing::warn!("there are no alerting rules");
    }
    let notify = config.notify.clone();
    let open = move || Manager::open(seams, settings, loaded, notify);
    let manager = tokio::task::spawn_blocking(open)
        .await?
        .context("the state of alerts cannot be read")?;
    Ok((manager, refused))
}

async fn listen(
    config: &CollectorConfig,
    context: Context,
    ingest: Ingest,
    servers: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Addresses> {
    let request_bytes = config.limits.request_bytes;
    let http = bind("the API and UI", config.http).await?;
    let otlp_http = bind("OTLP/HTTP", config.otlp_http).await?;
    let otlp_grpc = bind("OTLP/gRPC", config.otlp_grpc).await?;
    let addresses = Addresses {
        http: http.local_addr()?,
        otlp_grpc: otlp_grpc.local_addr()?,
        otlp_http: otlp_http.local_addr()?,
    };
    let otlp_router = vervet_wire::http::router(ingest.clone(), request_bytes);
    let known_as = config.external_url.as_deref();
    let otlp_router = vervet_wire::http::guard::telemetry(
        otlp_router,
        config.otlp_http,
        known_as,
        ingest.clone(),
    );
    let limits = vervet_wire::listen::Limits::new(config.limits.connections);
    servers.spawn(serve_http(otlp_http, otlp_router, limits, shutdown.clone()));
    servers.spawn(serve_grpc(
        otlp_grpc,
        vervet_wire::grpc::routes(&ingest, request_bytes),
        limits,
        shutdown.clone(),
    ));
    servers.spawn(serve_http(
        http,
        api::router(context, ingest, request_bytes),
        limits,
        shutdown.clone(),
    ));
    Ok(addresses)
}
