//! One flush of one group: decide for each integration, deliver with retries, report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vervet_model::{Labels, UnixMillis};

use super::dedup::{Decision, LogEntry, decide, expires_at};
use super::dispatch::DispatchAlert;
use super::ledger::{LedgerEntry, Outcome};
use super::message::{Envelope, Notification, notification};
use super::route::RouteConfig;
use super::{Integration, Notifier};
use crate::snapshot::rfc3339;

const FLUSH_TIME_MIN: Duration = Duration::from_secs(10);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
const LEDGER_ALERT_NAMES_MAX: usize = 10;

/// One flush of one group, independent of the dispatcher's lock.
#[derive(Debug)]
pub(crate) struct FlushJob {
    pub(super) group_key: String,
    pub(super) route: Arc<RouteConfig>,
    pub(super) labels: Labels,
    pub(super) alerts: Vec<DispatchAlert>,
    /// The log entry of each integration.
    pub(super) entries: Vec<Option<LogEntry>>,
    pub(super) external_url: String,
    pub(super) backoff: Duration,
    pub(super) now: UnixMillis,
}

/// What a flush did.
#[derive(Debug)]
pub(crate) struct FlushReport {
    pub(super) group_key: String,
    /// The alerts that were resolved at the time of the flush.
    pub(super) resolved: Vec<DispatchAlert>,
    /// Whether every integration is up to date.
    pub(super) delivered: bool,
    pub(super) entries: Vec<LogEntry>,
    pub(super) ledger: Vec<LedgerEntry>,
}

/// How a delivery ended.
struct Delivery {
    attempts: u32,
    error: Option<String>,
}

impl FlushJob {
    pub(crate) async fn run(self, notifier: &dyn Notifier) -> FlushReport {
        let (resolved, firing): (Vec<_>, Vec<_>) = self
            .alerts
            .iter()
            .cloned()
            .partition(|alert| alert.resolved(self.now));
        let firing: BTreeSet<u64> = firing.iter().map(|alert| alert.fingerprint).collect();
        let resolved_keys: BTreeSet<u64> = resolved.iter().map(|alert| alert.fingerprint).collect();
        let mut report = FlushReport {
            group_key: self.group_key.clone(),
            resolved,
            delivered: true,
            entries: Vec::new(),
            ledger: Vec::new(),
        };
        if self.route.integrations.is_empty() {
            let reason = "the receiver has no target";
            report
                .ledger
                .push(self.ledger_entry(0, Outcome::NoTarget, reason, None));
        }
        for (integration, entry) in self.route.integrations.iter().zip(&self.entries) {
            let decision = decide(
                entry.as_ref(),
                &firing,
                &resolved_keys,
                integration.webhook.send_resolved,
                self.route.repeat_interval,
                self.now,
            );
            let ok = self
                .notify(notifier, integration, decision, &mut report)
                .await;
            report.delivered &= ok;
            if ok && decision.notifies() {
                report
                    .entries
                    .push(self.log_entry(integration, &firing, &resolved_keys));
            }
        }
        report
    }

    /// Acts on a decision; false when a delivery was due and failed.
    async fn notify(
        &self,
        notifier: &dyn Notifier,
        integration: &Integration,
        decision: Decision,
        report: &mut FlushReport,
    ) -> bool {
        let index = integration.index;
        let mut reason = decision.as_str();
        let message = decision.notifies().then(|| self.message(integration));
        let (outcome, delivery) = match message {
            None => (Outcome::NotNeeded, None),
            Some(message) if message.alerts.is_empty() => {
                reason = "all alerts resolved, and the target has send_resolved: false";
                (Outcome::NoTarget, None)
            }
            Some(message) => {
                let delivery = self.deliver(notifier, integration, &message).await;
                let failed = delivery.error.is_some();
                (
                    if failed {
                        Outcome::Failed
                    } else {
                        Outcome::Sent
                    },
                    Some(delivery),
                )
            }
        };
        report
            .ledger
            .push(self.ledger_entry(index, outcome, reason, delivery));
        outcome != Outcome::Failed
    }

    fn message(&self, integration: &Integration) -> Notification {
        let wanted =
            |alert: &&DispatchAlert| integration.webhook.send_resolved || !alert.resolved(self.now);
        let alerts: Vec<DispatchAlert> = self.alerts.iter().filter(wanted).cloned().collect();
        let envelope = Envelope {
            receiver: &self.route.receiver,
            group_key: &self.group_key,
            group_labels: &self.labels,
            external_url: &self.external_url,
            alerts_max: integration.webhook.max_alerts,
        };
        notification(&envelope, &alerts, self.now)
    }

    /// Tries until it works, cannot work, or the time for this flush is over; waits twice as long
    /// after each failure.
    async fn deliver(
        &self,
        notifier: &dyn Notifier,
        integration: &Integration,
        message: &Notification,
    ) -> Delivery {
        let deadline = tokio::time::Instant::now() + self.route.group_interval.max(FLUSH_TIME_MIN);
        let mut wait = self.backoff;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let attempt = tokio::time::timeout_at(deadline, notifier.send(integration, message));
            let error = match attempt.await {
                Ok(Ok(())) => {
                    return Delivery {
                        attempts,
                        error: None,
                    };
                }
                Ok(Err(error)) => error,
                Err(_elapsed) => super::NotifyError {
                    message: "the target did not answer in time".to_owned(),
                    retryable: false,
                },
            };
            if !error.retryable || tokio::time::Instant::now() + wait >= deadline {
                tracing::warn!(
                    receiver = integration.receiver,
                    integration = integration.index,
                    group_key = self.group_key,
                    attempts,
                    error = error.message,
                    "notification not delivered"
                );
                return Delivery {
                    attempts,
                    error: Some(error.message),
                };
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACKOFF_MAX);
        }
    }

    fn log_entry(
        &self,
        integration: &Integration,
        firing: &BTreeSet<u64>,
        resolved: &BTreeSet<u64>,
    ) -> LogEntry {
        LogEntry {
            group_key: self.group_key.clone(),
            receiver: integration.receiver.clone(),
            integration: integration.index,
            sent_at: self.now.0,
            expires_at: expires_at(self.now, self.route.repeat_interval),
            firing: firing.clone(),
            resolved: resolved.clone(),
        }
    }

    fn ledger_entry(
        &self,
        integration: usize,
        outcome: Outcome,
        reason: &str,
        delivery: Option<Delivery>,
    ) -> LedgerEntry {
        let names: BTreeSet<&str> = self
            .alerts
            .iter()
            .filter_map(|alert| alert.labels.get("alertname"))
            .collect();
        let resolved = self
            .alerts
            .iter()
            .filter(|alert| alert.resolved(self.now))
            .count();
        let at = rfc3339(self.now);
        LedgerEntry {
            last_at: at.clone(),
            at,
            count: 1,
            group_key: self.group_key.clone(),
            receiver: self.route.receiver.clone(),
            integration,
            outcome,
            reason: reason.to_owned(),
            attempts: delivery.as_ref().map_or(0, |delivery| delivery.attempts),
            error: delivery.and_then(|delivery| delivery.error),
            firing: self.alerts.len() - resolved,
            resolved,
            alerts: names
                .into_iter()
                .take(LEDGER_ALERT_NAMES_MAX)
                .map(str::to_owned)
                .collect(),
        }
    }
}
