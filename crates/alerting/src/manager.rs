//! The manager: owns the groups, evaluates them when due, keeps the state, feeds the notifications.
//!
//! One task ([`Manager::run`]) schedules; evaluations and deliveries run as tasks below it, at most one
//! a rule group and one an alert group at a time. Tests drive [`Manager::evaluate_due`] and
//! [`Manager::flush_due`] by hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vervet_model::{Clock, Labels, UnixMillis};

use crate::group::{Evaluation, Group, Groups, firing, orphans};
use crate::notify::{AlertGroupView, Dispatcher, FlushJob, LedgerEntry, Notifier, NotifyConfig};
use crate::rule_file::RuleSet;
use crate::rule_state::stale_markers;
use crate::seams::{RuleQuery, SampleSink};
use crate::snapshot::{AlertView, RuleView, RulesView};
use crate::state::{RuleEntry, StateDocument, StateError, StateStore};

#[cfg(test)]
mod tests;

const IDLE_MAX: Duration = Duration::from_secs(1);
const IDLE_MIN: Duration = Duration::from_millis(5);
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// What the manager works with.
#[derive(Clone)]
pub struct Seams {
    pub query: Arc<dyn RuleQuery>,
    pub sink: Arc<dyn SampleSink>,
    pub notifier: Arc<dyn Notifier>,
    pub store: Arc<dyn StateStore>,
    pub clock: Arc<dyn Clock>,
}

/// Settings with Prometheus's defaults.
#[derive(Debug, Clone)]
pub struct ManagerConfig {
    /// For groups without `interval`. Default 1 min.
    pub evaluation_interval: Duration,
    /// For groups without `query_offset`. Default 0.
    pub query_offset: Duration,
    /// Default 2 min.
    pub query_timeout: Duration,
    /// Where users reach the web UI; part of notifications and templates.
    pub external_url: String,
    /// What templates see as `$externalLabels`. Default none.
    pub external_labels: Labels,
    /// The wait after the first failed delivery; doubles up to a minute. Default 1 s.
    pub delivery_backoff: Duration,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            evaluation_interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
            query_timeout: Duration::from_secs(120),
            external_url: "http://localhost:7420".to_owned(),
            external_labels: Labels::empty(),
            delivery_backoff: Duration::from_secs(1),
        }
    }
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ManagerStats {
    /// Evaluations of whole groups.
    pub group_evaluations: u64,
    /// Slots skipped because the evaluation before took too long.
    pub group_iterations_missed: u64,
    pub rule_failures: u64,
    /// Failed saves of the state document; each is tried again.
    pub save_failures: u64,
}

#[derive(Default)]
struct Counters {
    group_evaluations: AtomicU64,
    group_iterations_missed: AtomicU64,
    rule_failures: AtomicU64,
    save_failures: AtomicU64,
}

/// Owns rule groups and notifications. Shared as an `Arc`.
pub struct Manager {
    seams: Seams,
    settings: ManagerConfig,
    groups: RwLock<Groups>,
    /// The saved alerts of rules in refused files.
    held: Mutex<Vec<RuleEntry>>,
    dispatcher: Dispatcher,
    /// Read by evaluations, written by a reload: state never moves while a rule is evaluated.
    gate: tokio::sync::RwLock<()>,
    dirty: AtomicBool,
    saving: tokio::sync::Mutex<()>,
    counters: Counters,
}

impl Manager {
    /// Loads the state and restores alerts: pending ones keep their time, firing ones go on without a
    /// second notification, alerts of rules that are gone are ended. Those of refused files are kept as
    /// they are, and nobody hears of them. Blocks on the state store.
    ///
    /// # Errors
    /// The state cannot be read; starting without it would repeat notifications.
    pub fn open(
        seams: Seams,
        settings: ManagerConfig,
        rules: impl Into<RuleSet>,
        notify: NotifyConfig,
    ) -> Result<Arc<Self>, StateError> {
        let now = seams.clock.now().to_millis();
        let document = match seams.store.load()? {
            Some(bytes) => StateDocument::from_bytes(&bytes)?,
            None => StateDocument::default(),
        };
        let mut entries = document.rules;
        let rules = rules.into();
        let groups: Groups = rules
            .groups
            .into_iter()
            .map(|group| Arc::new(Group::new(group, &settings, now)))
            .collect();
        let dispatcher = Dispatcher::new(
            notify,
            settings.external_url.clone(),
            settings.delivery_backoff,
            document.notifications,
        );
        for group in &groups {
            group.restore(&mut entries);
        }
        let (held, gone) = split_refused(entries, &rules.refused_files);
        dispatcher.hold(firing(&held));
        for group in &groups {
            dispatcher.receive(&group.restored_news(now, &settings.external_url), now);
        }
        dispatcher.receive(&orphans(gone, now), now);
        Ok(Arc::new(Self {
            seams,
            settings,
            groups: RwLock::new(groups),
            held: Mutex::new(held),
            dispatcher,
            gate: tokio::sync::RwLock::new(()),
            dirty: AtomicBool::new(false),
            saving: tokio::sync::Mutex::new(()),
            counters: Counters::default(),
        }))
    }

    /// Takes over new rules and notification settings. Waits for running evaluations. Unchanged rules
    /// keep all their state, changed ones (same name and labels) their alerts; alerts of removed rules
    /// end, those of refused files are kept as by [`Manager::open`], and the series of removed rules get staleness markers.
    pub async fn reload(&self, rules: impl Into<RuleSet>, notify: NotifyConfig) {
        let _no_evaluation = self.gate.write().await;
        let now = self.now();
        let gone = self.replace_groups(rules.into(), now);
        self.dispatcher.reconfigure(notify, now);
        if !gone.is_empty() {
            let markers = stale_markers(gone.iter(), now).collect();
            if let Err(error) = self.seams.sink.append(markers).await {
                tracing::warn!(%error, "staleness markers of removed rules not written");
            }
        }
        self.dirty.store(true, Ordering::Release);
        self.save().await;
    }

    /// Swaps the groups; the series that are no longer written.
    fn replace_groups(&self, rules: RuleSet, now: UnixMillis) -> BTreeSet<Labels> {
        let mut groups = self.groups.write();
        let mut entries: Vec<_> = groups
            .iter()
            .flat_map(|group| group.rule_entries())
            .collect();
        let mut held = self.held.lock();
        entries.append(&mut held);
        let mut series: BTreeSet<Labels> = groups.iter().flat_map(|group| group.series()).collect();
        let fresh: Groups = rules
            .groups
            .into_iter()
            .map(|config| {
                let group = Group::new(config, &self.settings, now);
                group.restore(&mut entries);
                if let Some(old) = groups.iter().find(|old| old.key == group.key) {
                    group.take_over(old);
                }
                Arc::new(group)
            })
            .collect();
        for written in fresh.iter().flat_map(|group| group.series()) {
            series.remove(&written);
        }
        let (refused, gone) = split_refused(entries, &rules.refused_files);
        self.dispatcher.hold(firing(&refused));
        *held = refused;
        for group in &fresh {
            // Some may have been held until now.
            let news = group.restored_news(now, &self.settings.external_url);
            self.dispatcher.receive(&news, now);
        }
        self.dispatcher.receive(&orphans(gone, now), now);
        *groups = fresh;
        series
    }

    /// Evaluates every group that is due, one after the other.
    pub async fn evaluate_due(&self) {
        for (group, ts) in self.claim_due() {
            self.evaluate(&group, ts).await;
        }
    }

    /// Flushes every alert group that is due, one after the other.
    pub async fn flush_due(&self) {
        for job in self.dispatcher.due_jobs(self.now()) {
            self.flush(job).await;
        }
    }

    /// Runs until `shutdown`; then waits up to 10 s for what is under way and saves.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        loop {
            self.spawn_due(&mut tasks);
            let idle = self.idle_time();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                // A finished task may make its group due again.
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "an evaluation or delivery broke off");
                    }
                }
                () = tokio::time::sleep(idle) => {}
            }
        }
        let drained = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIME, drained).await.is_err() {
            // What is cut off here is evaluated or delivered again after the restart.
            tracing::warn!("alerting stopped before all evaluations and deliveries were done");
        }
        self.save().await;
    }

    /// All groups and rules, in the terms of Prometheus's `/api/v1/rules`.
    pub fn snapshot(&self) -> RulesView {
        RulesView {
            groups: self
                .groups
                .read()
                .iter()
                .map(|group| group.view())
                .collect(),
        }
    }

    /// All pending and firing alerts, in the terms of Prometheus's `/api/v1/alerts`.
    pub fn alerts(&self) -> Vec<AlertView> {
        let rules = self
            .snapshot()
            .groups
            .into_iter()
            .flat_map(|group| group.rules);
        let alerts = rules.filter_map(|rule| match rule {
            RuleView::Alerting(rule) => Some(rule.alerts),
            RuleView::Recording(_) => None,
        });
        alerts.flatten().collect()
    }

    /// The groups of alerts the notification pipeline holds now.
    pub fn alert_groups(&self) -> Vec<AlertGroupView> {
        self.dispatcher.groups(self.now())
    }

    /// The last 1,000 notification decisions, oldest first.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        self.dispatcher.ledger()
    }

    pub fn stats(&self) -> ManagerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ManagerStats {
            group_evaluations: read(&self.counters.group_evaluations),
            group_iterations_missed: read(&self.counters.group_iterations_missed),
            rule_failures: read(&self.counters.rule_failures),
            save_failures: read(&self.counters.save_failures),
        }
    }

    fn now(&self) -> UnixMillis {
        self.seams.clock.now().to_millis()
    }

    fn claim_due(&self) -> Vec<(Arc<Group>, UnixMillis)> {
        let now = self.now();
        let groups = self.groups.read();
        let claimed = groups.iter().filter_map(|group| {
            let (ts, missed) = group.claim(now)?;
            self.counters
                .group_iterations_missed
                .fetch_add(missed, Ordering::Relaxed);
            Some((Arc::clone(group), ts))
        });
        claimed.collect()
    }

    fn spawn_due(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        for (group, ts) in self.claim_due() {
            let manager = Arc::clone(self);
            tasks.spawn(async move { manager.evaluate(&group, ts).await });
        }
        for job in self.dispatcher.due_jobs(self.now()) {
            let manager = Arc::clone(self);
            tasks.spawn(async move { manager.flush(job).await });
        }
    }

    fn idle_time(&self) -> Duration {
        let groups = self.groups.read();
        let next = groups
            .iter()
            .map(|group| group.next_due())
            .chain(self.dispatcher.next_flush());
        let wait = next.map(|at| at.0 - self.now().0).min().unwrap_or(i64::MAX);
        Duration::from_millis(u64::try_from(wait).unwrap_or(0)).clamp(IDLE_MIN, IDLE_MAX)
    }

    async fn evaluate(&self, group: &Arc<Group>, ts: UnixMillis) {
        let _open = self.gate.read().await;
        if !self
            .groups
            .read()
            .iter()
            .any(|current| Arc::ptr_eq(current, group))
        {
            // Replaced by a reload between claim and start.
            return;
        }
        let with = Evaluation {
            query: &*self.seams.query,
            sink: &*self.seams.sink,
            clock: &*self.seams.clock,
            settings: &self.settings,
        };
        let evaluated = group.evaluate(ts, with).await;
        self.counters
            .group_evaluations
            .fetch_add(1, Ordering::Relaxed);
        self.counters
            .rule_failures
            .fetch_add(evaluated.failures, Ordering::Relaxed);
        if evaluated.changed {
            self.dirty.store(true, Ordering::Release);
        }
        self.save().await;
        self.dispatcher.receive(&evaluated.alerts, self.now());
    }

    async fn flush(&self, job: FlushJob) {
        let report = job.run(&*self.seams.notifier).await;
        if self.dispatcher.finish(report) {
            self.dirty.store(true, Ordering::Release);
        }
        self.save().await;
    }

    /// Saves the state if it changed since the last save that worked.
    async fn save(&self) {
        let _one_at_a_time = self.saving.lock().await;
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return;
        }
        let rules = {
            let groups = self.groups.read();
            let held = self.held.lock();
            let entries = groups.iter().flat_map(|group| group.rule_entries());
            entries.chain(held.iter().cloned()).collect()
        };
        let document = StateDocument::new(rules, self.dispatcher.log_entries());
        let store = Arc::clone(&self.seams.store);
        let write = move || store.save(&document.to_bytes()?);
        let saved = tokio::task::spawn_blocking(write).await;
        let error = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panicked) => StateError::Other(Box::new(panicked)),
        };
        self.dirty.store(true, Ordering::Release);
        self.counters.save_failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "alert state not saved");
    }
}

/// Saved alerts that no loaded rule took: those of refused files, and those whose rule is gone.
fn split_refused(
    entries: Vec<RuleEntry>,
    refused_files: &BTreeSet<String>,
) -> (Vec<RuleEntry>, Vec<RuleEntry>) {
    let refused = |entry: &RuleEntry| RuleSet::refuses(refused_files, &entry.group);
    entries.into_iter().partition(refused)
}
