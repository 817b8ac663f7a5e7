//! Groups of alerts and their timers.
//!
//! A flush takes a copy of the group under the lock ([`Dispatcher::due_jobs`]), delivers without it
//! ([`FlushJob::run`]) and comes back with a report ([`Dispatcher::finish`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use vervet_model::{Labels, UnixMillis};

use super::Integration;
use super::dedup::LogEntry;
use super::flush::{FlushJob, FlushReport};
use super::ledger::{Ledger, LedgerEntry};
use super::message::{fingerprint_text, text_map};
use super::route::{NotifyConfig, RouteConfig};
use crate::duration::millis;
use crate::rule_file::TextMap;
use crate::snapshot::rfc3339;

/// An alert on its way to a receiver.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DispatchAlert {
    pub(crate) fingerprint: u64,
    pub(crate) labels: Labels,
    pub(crate) annotations: TextMap,
    pub(crate) starts_at: UnixMillis,
    /// In the future while the alert fires: then it says how long this news holds.
    pub(crate) ends_at: UnixMillis,
    pub(crate) generator_url: String,
}

impl DispatchAlert {
    pub(crate) fn resolved(&self, now: UnixMillis) -> bool {
        self.ends_at <= now
    }

    fn merge(&mut self, news: Self, now: UnixMillis) {
        let starts_at = if self.resolved(now) {
            news.starts_at
        } else {
            self.starts_at.min(news.starts_at)
        };
        *self = Self { starts_at, ..news };
    }
}

/// A group of alerts as Alertmanager's `/api/v2/alerts/groups` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertGroupView {
    pub labels: TextMap,
    pub receiver: String,
    pub alerts: Vec<NotifiedAlertView>,
}

/// An alert of a group. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifiedAlertView {
    pub labels: TextMap,
    pub annotations: TextMap,
    pub starts_at: String,
    pub ends_at: String,
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    pub fingerprint: String,
    pub resolved: bool,
}

#[derive(Debug)]
struct Group {
    route: Arc<RouteConfig>,
    labels: Labels,
    alerts: BTreeMap<u64, DispatchAlert>,
    next_flush: UnixMillis,
    flushing: bool,
}

type LogKey = (String, String, usize);

#[derive(Debug, Default)]
struct State {
    config: NotifyConfig,
    /// By group key.
    groups: BTreeMap<String, Group>,
    log: BTreeMap<LogKey, LogEntry>,
    /// Firing alerts that nothing is known about for now: the log remembers who was told of them.
    held: BTreeSet<u64>,
    ledger: Ledger,
}

/// Holds the groups; knows the time only as an argument.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    state: Mutex<State>,
    external_url: String,
    backoff: Duration,
}

impl Dispatcher {
    pub(crate) fn new(
        config: NotifyConfig,
        external_url: String,
        backoff: Duration,
        log: Vec<LogEntry>,
    ) -> Self {
        let log = log.into_iter().map(|entry| (entry.key(), entry)).collect();
        let state = State {
            config,
            log,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            external_url,
            backoff,
        }
    }

    /// Takes over new routes; alerts move to the groups they now belong to.
    pub(crate) fn reconfigure(&self, config: NotifyConfig, now: UnixMillis) {
        let mut state = self.state.lock();
        state.config = config;
        let groups = std::mem::take(&mut state.groups);
        let alerts = groups
            .into_values()
            .flat_map(|group| group.alerts.into_values());
        let alerts: BTreeMap<u64, DispatchAlert> =
            alerts.map(|alert| (alert.fingerprint, alert)).collect();
        for alert in alerts.into_values() {
            state.insert(&alert, now);
        }
    }

    /// Says which alerts to keep quiet about: they leave their groups, and stay in the log as told. Replaces
    /// what was held before.
    pub(crate) fn hold(&self, held: BTreeSet<u64>) {
        let mut state = self.state.lock();
        for group in state.groups.values_mut() {
            group.alerts.retain(|alert, _| !held.contains(alert));
        }
        (state.groups).retain(|_, group| group.flushing || !group.alerts.is_empty());
        state.held = held;
    }

    pub(crate) fn receive(&self, alerts: &[DispatchAlert], now: UnixMillis) {
        let mut state = self.state.lock();
        for alert in alerts {
            state.insert(alert, now);
        }
    }

    /// When the next group is due.
    pub(crate) fn next_flush(&self) -> Option<UnixMillis> {
        let state = self.state.lock();
        let waiting = state.groups.values().filter(|group| !group.flushing);
        waiting.map(|group| group.next_flush).min()
    }

    /// Starts the flush of every group that is due.
    pub(crate) fn due_jobs(&self, now: UnixMillis) -> Vec<FlushJob> {
        let mut state = self.state.lock();
        let State {
            groups, log, held, ..
        } = &mut *state;
        log.retain(|_, entry| {
            entry.expires_at > now.0
                || groups.contains_key(&entry.group_key)
                || !entry.firing.is_disjoint(held)
        });
        let due = groups
            .iter_mut()
            .filter(|(_, group)| !group.flushing && group.next_flush <= now);
        due.map(|(key, group)| {
            group.flushing = true;
            group.next_flush = later(now, group.route.group_interval);
            FlushJob {
                group_key: key.clone(),
                route: Arc::clone(&group.route),
                labels: group.labels.clone(),
                alerts: in_order(group.alerts.values()),
                entries: (group.route.integrations.iter())
                    .map(|integration| log.get(&log_key(key, integration)).cloned())
                    .collect(),
                external_url: self.external_url.clone(),
                backoff: self.backoff,
                now,
            }
        })
        .collect()
    }

    /// Takes the result of a flush: log, ledger, and resolved alerts that need not be kept. Whether the
    /// log changed, so that it must be saved.
    pub(crate) fn finish(&self, report: FlushReport) -> bool {
        let mut state = self.state.lock();
        let changed = !report.entries.is_empty();
        for mut entry in report.entries {
            let key = entry.key();
            if let Some(old) = state.log.get(&key) {
                let held = old.firing.intersection(&state.held);
                let untold = held.filter(|alert| !entry.resolved.contains(alert));
                let kept: Vec<u64> = untold.copied().collect();
                entry.firing.extend(kept);
            }
            state.log.insert(key, entry);
        }
        for entry in report.ledger {
            state.ledger.push(entry);
        }
        if let Some(group) = state.groups.get_mut(&report.group_key) {
            group.flushing = false;
            if report.delivered {
                let sent = &report.resolved;
                group.alerts.retain(|_, alert| !sent.contains(alert));
            }
            if group.alerts.is_empty() {
                state.groups.remove(&report.group_key);
            }
        }
        changed
    }

    pub(crate) fn log_entries(&self) -> Vec<LogEntry> {
        self.state.lock().log.values().cloned().collect()
    }

    pub(crate) fn ledger(&self) -> Vec<LedgerEntry> {
        self.state.lock().ledger.entries()
    }

    pub(crate) fn groups(&self, now: UnixMillis) -> Vec<AlertGroupView> {
        let state = self.state.lock();
        let view = |group: &Group| AlertGroupView {
            labels: text_map(&group.labels),
            receiver: group.route.receiver.clone(),
            alerts: group
                .alerts
                .values()
                .map(|alert| alert_view(alert, now))
                .collect(),
        };
        state.groups.values().map(view).collect()
    }
}

fn alert_view(alert: &DispatchAlert, now: UnixMillis) -> NotifiedAlertView {
    NotifiedAlertView {
        labels: text_map(&alert.labels),
        annotations: alert.annotations.clone(),
        starts_at: rfc3339(alert.starts_at),
        ends_at: rfc3339(alert.ends_at),
        generator_url: alert.generator_url.clone(),
        fingerprint: fingerprint_text(alert.fingerprint),
        resolved: alert.resolved(now),
    }
}

impl State {
    fn insert(&mut self, alert: &DispatchAlert, now: UnixMillis) {
        for route in self.config.routes_for(&alert.labels) {
            let labels = group_labels(&route, &alert.labels);
            let key = format!("{}:{}", route.key, labels);
            if let Some(group) = self.groups.get_mut(&key) {
                match group.alerts.get_mut(&alert.fingerprint) {
                    Some(known) => known.merge(alert.clone(), now),
                    None if alert.resolved(now) && !self.log.told(&key, alert.fingerprint) => {}
                    None => {
                        group.alerts.insert(alert.fingerprint, alert.clone());
                    }
                }
            } else if !alert.resolved(now) || self.log.told(&key, alert.fingerprint) {
                let group = Group {
                    next_flush: first_flush(&route, alert, now),
                    route,
                    labels,
                    alerts: BTreeMap::from([(alert.fingerprint, alert.clone())]),
                    flushing: false,
                };
                self.groups.insert(key, group);
            }
        }
    }
}

/// A resolved alert is news only to those who were told that it fired.
trait Told {
    fn told(&self, group_key: &str, fingerprint: u64) -> bool;
}

impl Told for BTreeMap<LogKey, LogEntry> {
    fn told(&self, group_key: &str, fingerprint: u64) -> bool {
        self.values()
            .any(|entry| entry.group_key == group_key && entry.firing.contains(&fingerprint))
    }
}

impl LogEntry {
    fn key(&self) -> LogKey {
        (
            self.group_key.clone(),
            self.receiver.clone(),
            self.integration,
        )
    }
}

fn log_key(group_key: &str, integration: &Integration) -> LogKey {
    (
        group_key.to_owned(),
        integration.receiver.clone(),
        integration.index,
    )
}

/// A group whose first alert is older than `group_wait` has waited enough.
fn first_flush(route: &RouteConfig, alert: &DispatchAlert, now: UnixMillis) -> UnixMillis {
    let waited = later(alert.starts_at, route.group_wait) < now;
    if waited {
        now
    } else {
        later(now, route.group_wait)
    }
}

fn later(at: UnixMillis, by: Duration) -> UnixMillis {
    UnixMillis(at.0.saturating_add(millis(by)))
}

fn group_labels(route: &RouteConfig, labels: &Labels) -> Labels {
    match &route.group_by {
        Some(names) => labels.filter(|name| names.iter().any(|wanted| wanted == name)),
        None => labels.clone(),
    }
}

/// Alertmanager's order: by `job`, `instance`, then the whole label set.
fn in_order<'a>(alerts: impl Iterator<Item = &'a DispatchAlert>) -> Vec<DispatchAlert> {
    let mut alerts: Vec<DispatchAlert> = alerts.cloned().collect();
    alerts.sort_by(|a, b| {
        let by = |name| a.labels.get(name).cmp(&b.labels.get(name));
        by("job")
            .then_with(|| by("instance"))
            .then_with(|| a.labels.cmp(&b.labels))
    });
    alerts
}
