//! The targets of one job: what discoveries find, relabelled, each with a task of its own that scrapes it.
//!
//! A target that is not found any more ends by staleness markers a little over two intervals later; found again before, it
//! goes on as if nothing had been. A target that is found twice is scraped once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::discovery::{GroupSender, GroupTable};
use super::http::HttpClient;
use super::job::JobConfig;
use super::scrape::Scraper;
use super::status::{DroppedTargets, PoolStatus, TargetStatus};
use super::target::{Origin, Target, Verdict, relabelled};
use crate::pipeline::ReceiverContext;

/// Changes that come one after the other are taken over together.
const SYNC_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Pool {
    job: Arc<JobConfig>,
    client: Arc<HttpClient>,
    context: Arc<ReceiverContext>,
    table: Arc<GroupTable>,
    status: Arc<PoolStatus>,
    scrapers: HashMap<u128, Running>,
    tasks: JoinSet<()>,
    /// Why nothing is scraped, if there are too many targets.
    limit: watch::Sender<Option<Arc<str>>>,
}

/// A target with a task.
struct Running {
    status: Arc<TargetStatus>,
    /// False tells the task to end; it may change its mind until it has.
    wanted: watch::Sender<bool>,
}

/// What discoveries and rules come to.
#[derive(Default)]
struct Found {
    active: BTreeMap<u128, (Box<Target>, Origin)>,
    dropped: DroppedTargets,
}

impl Pool {
    pub(super) fn new(job: JobConfig, context: Arc<ReceiverContext>) -> Self {
        let targets = &context.metrics.scrape.targets;
        let status = targets.open(context.output.receiver(), &job.name);
        Self {
            client: Arc::new(HttpClient::new(job.http.clone())),
            job: Arc::new(job),
            context,
            table: Arc::default(),
            status,
            scrapers: HashMap::new(),
            tasks: JoinSet::new(),
            limit: watch::channel(None).0,
        }
    }

    /// Runs until the shutdown token is cancelled.
    pub(super) async fn run(mut self) {
        let shutdown = self.context.shutdown.clone();
        let mut discoveries = JoinSet::new();
        for (at, discovery) in self.job.discoveries.clone().into_iter().enumerate() {
            let groups = GroupSender::new(Arc::clone(&self.table), at);
            discoveries.spawn(discovery.run(groups, shutdown.clone()));
        }
        let syncing = async {
            loop {
                self.table.changed().await;
                self.sync();
                tokio::time::sleep(SYNC_PAUSE).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = syncing => {}
        }
        while discoveries.join_next().await.is_some() {}
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "scraper failed");
            }
        }
        let targets = &self.context.metrics.scrape.targets;
        targets.close(self.context.output.receiver(), &self.job.name, &self.status);
    }

    fn sync(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        let found = self.found();
        let (targets, limit) = (found.active.len(), self.job.limits.targets);
        let error = (targets > limit).then(|| {
            format!("target_limit exceeded: {targets} targets, the limit is {limit}").into()
        });
        self.limit.send_replace(error);
        self.scrapers.retain(|key, running| {
            let is_found = found.active.contains_key(key);
            running
                .wanted
                .send_if_modified(|wanted| std::mem::replace(wanted, is_found) != is_found);
            // Who has ended is not asked any more.
            is_found || !running.wanted.is_closed()
        });
        let mut active = BTreeMap::new();
        for (key, (target, origin)) in found.active {
            let known = self
                .scrapers
                .get(&key)
                .filter(|known| !known.wanted.is_closed());
            let status = match known {
                Some(known) => {
                    known.status.set_origin(origin);
                    Arc::clone(&known.status)
                }
                None => self.start(*target, origin),
            };
            active.insert(key, status);
        }
        self.status.set(active, found.dropped);
    }

    fn found(&self) -> Found {
        let mut found = Found::default();
        for groups in self.table.all() {
            for origin in Origin::all(&self.job, &groups) {
                match relabelled(&self.job, &origin.labels()) {
                    Verdict::Scrape(target) => {
                        found.active.entry(target.key).or_insert((target, origin));
                    }
                    Verdict::Dropped => {
                        found.dropped.count += 1;
                        if found.dropped.origins.len() < self.job.limits.dropped_targets {
                            found.dropped.origins.push(origin);
                        }
                    }
                    Verdict::Invalid(error) => {
                        tracing::warn!(job = self.job.name, error, "target cannot be scraped");
                    }
                }
            }
        }
        found
    }

    fn start(&mut self, target: Target, origin: Origin) -> Arc<TargetStatus> {
        let target = Arc::new(target);
        let status = Arc::new(TargetStatus::new(Arc::clone(&target), origin));
        let (wanted, is_wanted) = watch::channel(true);
        let scraper = Scraper::new(
            Arc::clone(&self.job),
            Arc::clone(&self.client),
            Arc::clone(&self.context),
            Arc::clone(&status),
            is_wanted,
            self.limit.subscribe(),
        );
        self.tasks.spawn(scraper.run());
        let key = target.key;
        let running = Running {
            status: Arc::clone(&status),
            wanted,
        };
        self.scrapers.insert(key, running);
        status
    }
}
