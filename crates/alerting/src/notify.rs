//! The notification pipeline: routing, grouping, deduplication, delivery with retries.
//!
//! In: alerts from rule evaluation. Out: [`Notification`]s through an injected [`Notifier`], and a ledger
//! of every decision. Words and timing are Alertmanager's: a new group waits `group_wait`, is looked at
//! every `group_interval`, and is repeated after `repeat_interval` if nothing changed.
//!
//! Invariant: what was delivered is in the notification log, which is part of the state document, so
//! a restart neither repeats nor forgets a notification (a crash between delivery and save repeats one).
//!
//! Limits: 1,000 ledger entries; a delivery is retried until max(`group_interval`, 10 s) is over.

mod dedup;
mod dispatch;
mod flush;
mod ledger;
mod message;
mod route;
mod spec;
#[cfg(test)]
mod tests;

pub(crate) use dedup::LogEntry;
pub use dispatch::{AlertGroupView, NotifiedAlertView};
pub(crate) use dispatch::{DispatchAlert, Dispatcher};
pub(crate) use flush::FlushJob;
pub use ledger::{LedgerEntry, Outcome};
pub(crate) use message::text_map;
pub use message::{MessageAlert, Notification};
pub use route::{NotifyConfig, RouteConfig};
pub use spec::{
    NotifySpec, NotifySpecError, NotifySpecErrors, ReceiverSpec, RouteSpec, WebhookSpec,
};

use crate::seams::BoxFuture;

/// One target of a receiver: where a notification goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Integration {
    /// The receiver's name.
    pub receiver: String,
    /// The position among the receiver's targets, from 0; names it in the log and the ledger.
    pub index: usize,
    pub webhook: WebhookSpec,
}

/// A delivery failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifyError {
    pub message: String,
    /// Whether trying again can help (connection refused, 429, 5xx) or not (other 4xx).
    pub retryable: bool,
}

/// Delivers notifications. An implementation bounds the time of one attempt itself.
pub trait Notifier: Send + Sync + 'static {
    /// One attempt. The body of a webhook is the JSON of `notification`.
    fn send<'a>(
        &'a self,
        integration: &'a Integration,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>>;
}
