//! The parts at work, and how they become those of another configuration.
//!
//! What may fail because of the configuration comes first and touches nothing: addresses are bound, receivers made
//! ready. Then exporters are replaced, one by one; if one cannot be started, those before it are put back. After
//! that nothing can fail: receivers and the admin listener are replaced.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use vervet_wire::listen;

use super::StartError;
use super::component::Component;
use super::listeners::Listeners;
use super::orphans;
use super::shared::{
    ReadyReceiver, Shared, Tokens, chains_shape, exporter_shape, pods_shape, receiver_shape,
};
use crate::admin::{self, SelfView};
use crate::buffer::blocking;
use crate::config::AgentConfig;
use crate::config::shapes::combined;
use crate::exporters::cursor_name;
use crate::kubernetes::{self, PodDirectory, PodSource};
use crate::processors::Chains;
use crate::stops::files::AbandonedFiles;

/// Connections of the admin listener.
const ADMIN_CONNECTIONS_MAX: usize = 256;
/// Time a replaced part has for the requests it is answering.
const RETIRE_PATIENCE: Duration = Duration::from_secs(30);
/// Time a replaced exporter has to store how far it has come.
const EXPORTER_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Parts {
    shared: Shared,
    /// What the parts at work are made from.
    pub(super) config: AgentConfig,
    receivers: BTreeMap<String, Component>,
    /// Those that were told to end and whose places one of the same name would go on with.
    leaving: BTreeMap<String, Component>,
    exporters: BTreeMap<String, Component>,
    admin: Option<Component>,
    /// The processors of all pipelines, with what they have learnt.
    chains: Chains,
    pods: PodDirectory,
    /// What keeps the directory of pods up to date.
    pod_source: Option<Component>,
    listeners: Listeners,
    addresses: BTreeMap<String, SocketAddr>,
    /// Replaced and removed parts that have not ended yet.
    retired: JoinSet<()>,
}

/// What a change has made different.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    pub(super) receivers: Vec<String>,
    pub(super) exporters: Vec<String>,
    /// Those of them that the buffer has not known: what was stored before is not for them.
    pub(super) new_exporters: Vec<String>,
}

impl Parts {
    /// Starts the first parts.
    pub(super) async fn start(shared: Shared, config: AgentConfig) -> Result<Self, StartError> {
        let mut parts = Self {
            shared,
            config: AgentConfig {
                receivers: BTreeMap::new(),
                exporters: BTreeMap::new(),
                processors: BTreeMap::new(),
                pipelines: Vec::new(),
                admin: None,
                ..config.clone()
            },
            receivers: BTreeMap::new(),
            leaving: BTreeMap::new(),
            exporters: BTreeMap::new(),
            admin: None,
            chains: Chains::default(),
            pods: PodDirectory::none(),
            pod_source: None,
            listeners: Listeners::default(),
            addresses: BTreeMap::new(),
            retired: JoinSet::new(),
        };
        parts.become_those_of(config).await?;
        Ok(parts)
    }

    /// Changes what is different in `config`.
    ///
    /// # Errors
    /// Something cannot be started; everything runs as it did.
    pub(super) async fn become_those_of(
        &mut self,
        config: AgentConfig,
    ) -> Result<Replaced, StartError> {
        let listeners = self.listeners.for_config(&config).await?;
        let opened = self.open_pods(&config)?;
        let pods = opened.as_ref().map_or(&self.pods, |(pods, _)| pods);
        let chains = self.chains_for(&config, pods)?;
        let mut ready = Vec::new();
        for (name, receiver) in config.used_receivers() {
            if self.receivers.get(name).map(|old| old.shape) != Some(receiver_shape(&config, name))
            {
                ready.push((
                    name.clone(),
                    ReadyReceiver::new(name, receiver, &listeners)?,
                ));
            }
        }
        let admin = listeners
            .get("admin")
            .map_err(|source| StartError::Listen {
                name: "admin".to_owned(),
                source,
            })?;
        let mut replaced = self.replace_exporters(&config).await?;
        self.chains = chains;
        let pods_replaced = opened.is_some();
        if let Some((pods, source)) = opened {
            self.replace_pods(pods, source);
        }
        replaced.receivers = self.replace_receivers(ready, &config);
        if config.admin != self.config.admin || pods_replaced {
            self.replace_admin(admin);
        }
        self.addresses = listeners.addresses();
        self.listeners = listeners;
        self.shared.sender.tap().set_pipelines(&config.pipelines);
        self.shared.reloads.at_work(&config.warnings);
        self.config = config;
        self.settle_orphans().await;
        while self.retired.try_join_next().is_some() {}
        Ok(replaced)
    }

    /// The chains at work when they are the same, so that they go on with what they know.
    fn chains_for(&self, config: &AgentConfig, pods: &PodDirectory) -> Result<Chains, StartError> {
        if chains_shape(config) == chains_shape(&self.config) {
            return Ok(self.chains.clone());
        }
        Ok(Chains::build_with(
            config,
            &self.shared.metrics,
            &self.shared.clock,
            pods,
        )?)
    }

    /// Another directory of pods with its source, if the one at work does not do.
    fn open_pods(
        &self,
        config: &AgentConfig,
    ) -> Result<Option<(PodDirectory, Option<PodSource>)>, StartError> {
        if pods_shape(config) == pods_shape(&self.config) {
            return Ok(None);
        }
        let opened = kubernetes::open(&config.processors, &self.shared.metrics)?;
        Ok(Some(opened))
    }

    fn replace_pods(&mut self, pods: PodDirectory, source: Option<PodSource>) {
        let old = self.pod_source.take();
        self.retire(old);
        let stop = self.shared.tokens.receivers.child_token();
        self.pod_source = source.map(|source| {
            let work = source.run(stop.clone());
            Component::spawn(combined([]), stop, work)
        });
        self.pods = pods;
    }

    async fn replace_exporters(&mut self, config: &AgentConfig) -> Result<Replaced, StartError> {
        let mut replaced = Replaced::default();
        let is_other = |name: &&String| {
            let old = self.exporters.get(*name).map(|old| old.shape);
            old != Some(exporter_shape(config, name))
        };
        let names: Vec<String> = config.exporters.keys().filter(is_other).cloned().collect();
        for (index, name) in names.iter().enumerate() {
            self.stop_exporter(name).await;
            match self.shared.start_exporter(name, config).await {
                Ok(Some((started, is_new))) => {
                    self.exporters.insert(name.clone(), started);
                    replaced.new_exporters.extend(is_new.then(|| name.clone()));
                }
                Ok(None) => {}
                Err(error) => {
                    self.put_back(names.get(..=index).unwrap_or_default()).await;
                    return Err(error);
                }
            }
        }
        let gone = |name: &&String| !config.exporters.contains_key(*name);
        let gone: Vec<String> = self.exporters.keys().filter(gone).cloned().collect();
        for name in gone {
            self.stop_exporter(&name).await;
            self.forget_exporter(&name);
        }
        replaced.exporters = names;
        Ok(replaced)
    }

    async fn stop_exporter(&mut self, name: &str) {
        if let Some(old) = self.exporters.remove(name) {
            old.end(EXPORTER_PATIENCE).await;
        }
    }

    fn forget_exporter(&self, name: &str) {
        self.shared.books.close(name);
        self.shared.stages.remove(&cursor_name(name));
        self.shared.exporter_metrics.standings.remove(name);
    }

    /// Back to the exporters of the configuration that stays.
    async fn put_back(&mut self, names: &[String]) {
        for name in names {
            self.stop_exporter(name).await;
            if !self.config.exporters.contains_key(name) {
                self.forget_exporter(name);
            }
            match self.shared.start_exporter(name, &self.config).await {
                Ok(Some((old, _is_new))) => {
                    self.exporters.insert(name.clone(), old);
                }
                // It is new; nothing has been promised to it.
                Ok(None) => self.remove_cursor(name),
                Err(error) => {
                    tracing::error!(%error, exporter = name, "exporter cannot be put back, restart the agent");
                    let stage = self
                        .shared
                        .stages
                        .add(&cursor_name(name), self.shared.clock.clone());
                    stage.waits();
                }
            }
        }
    }

    async fn settle_orphans(&self) {
        let (journal, config) = (self.shared.journal.clone(), self.config.clone());
        let now = self.shared.checkpoints.lock().place();
        let settled = blocking(move || orphans::settle(&config, &journal, now)).await;
        match settled {
            Ok(removed) => removed
                .iter()
                .for_each(|exporter| self.shared.books.forget(exporter)),
            Err(error) => {
                tracing::error!(%error, "backlogs of removed exporters cannot be looked after");
            }
        }
    }

    fn remove_cursor(&self, exporter: &str) {
        match self.shared.journal.remove_cursor(&cursor_name(exporter)) {
            Ok(()) => self.shared.books.forget(exporter),
            Err(error) => tracing::warn!(%error, exporter, "cursor cannot be removed"),
        }
    }

    fn replace_receivers(
        &mut self,
        ready: Vec<(String, ReadyReceiver)>,
        config: &AgentConfig,
    ) -> Vec<String> {
        let gone = |name: &&String| !config.uses_receiver(name);
        let gone: Vec<String> = self.receivers.keys().filter(gone).cloned().collect();
        self.leaving.retain(|_, old| old.is_leaving());
        for name in gone {
            let Some(old) = self.receivers.remove(&name) else {
                continue;
            };
            match old.keeps_places() {
                true => {
                    old.stop();
                    self.leaving.insert(name, old);
                }
                false => self.retire(Some(old)),
            }
        }
        let mut names = Vec::new();
        for (name, receiver) in ready {
            let old = self.receivers.remove(&name);
            let old = old.or_else(|| self.leaving.remove(&name));
            let (started, left) =
                self.shared
                    .start_receiver(&name, receiver, config, self.at_work(), old);
            self.retire(left);
            self.receivers.insert(name.clone(), started);
            names.push(name);
        }
        names
    }

    fn at_work(&self) -> (Chains, PodDirectory) {
        (self.chains.clone(), self.pods.clone())
    }

    fn replace_admin(&mut self, listener: Option<TcpListener>) {
        let old = self.admin.take();
        self.retire(old);
        let stop = self.shared.tokens.admin.child_token();
        self.admin = listener.map(|listener| {
            let view = SelfView {
                end: stop.clone(),
                ..self.view()
            };
            let router = match listener.local_addr() {
                Ok(address) => admin::router_on(address, view),
                Err(_unknown) => admin::router(view),
            };
            Component::spawn(
                combined([]),
                stop.clone(),
                serve_admin(listener, router, stop),
            )
        });
    }

    fn retire(&mut self, old: Option<Component>) {
        if let Some(old) = old {
            self.retired.spawn(old.end(RETIRE_PATIENCE));
        }
    }

    pub(super) fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.shared.tokens
    }

    /// The batches of files that were given up.
    pub(super) fn abandoned(&self) -> &AbandonedFiles {
        self.shared.sender.abandoned()
    }

    pub(super) fn view(&self) -> SelfView {
        SelfView {
            agent_id: self.shared.identity.id().clone(),
            metrics: self.shared.metrics.clone(),
            books: self.shared.books.clone(),
            journal: self.shared.journal.clone(),
            keeping: self.shared.keeping.clone(),
            dead_letters: self.shared.dead_letters.clone(),
            memory: self.shared.memory.clone(),
            stages: self.shared.stages.clone(),
            standings: self.shared.exporter_metrics.standings.clone(),
            reloads: self.shared.reloads.clone(),
            pods: self.pods.clone(),
            tap: self.shared.sender.tap(),
            stops: self.shared.stops.clone(),
            clock: self.shared.clock.clone(),
            end: self.shared.tokens.admin.clone(),
        }
    }

    /// Lets receivers finish until `end`, then ends them. False when one had not finished: what it held is not taken.
    pub(super) async fn stop_receivers(&mut self, end: Instant) -> bool {
        self.tokens().receivers.cancel();
        let mut all = true;
        for receiver in self.receivers.values_mut().chain(self.leaving.values_mut()) {
            all &= receiver.ended_by(end).await;
        }
        // What is left is replaced parts, which answer their last requests.
        while let Ok(Some(_ended)) = timeout_at(end, self.retired.join_next()).await {}
        for receiver in self.receivers.values_mut().chain(self.leaving.values_mut()) {
            receiver.abort().await;
        }
        self.retired.shutdown().await;
        all
    }

    /// Waits for the exporters; false when the time is up first.
    pub(super) async fn join_exporters(&mut self, end: Instant) -> bool {
        let mut all = true;
        for exporter in self.exporters.values_mut() {
            all &= exporter.ended_by(end).await;
        }
        all
    }

    /// Ends receivers, exporters and the admin listener as a crash would.
    #[cfg(test)]
    pub(super) async fn abort(&mut self) {
        let all = self
            .receivers
            .values_mut()
            .chain(self.leaving.values_mut())
            .chain(self.exporters.values_mut());
        for part in all.chain(self.admin.as_mut()) {
            part.abort().await;
        }
    }
}

async fn serve_admin(
    listener: TcpListener,
    router: Router,
    stop: tokio_util::sync::CancellationToken,
) {
    let limits = listen::Limits::new(ADMIN_CONNECTIONS_MAX);
    let listener = listen::http_reserved(listener);
    listen::serve_http(listener, router, limits, stop.cancelled_owned()).await;
}
