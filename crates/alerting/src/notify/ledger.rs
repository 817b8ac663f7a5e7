//! The ledger: why there was a notification, or none.

use std::collections::VecDeque;

use serde::Serialize;

const ENTRIES_MAX: usize = 1_000;

/// What became of one look at one group for one integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Sent,
    /// Not delivered; tried again after `group_interval`.
    Failed,
    /// There was nothing new to say.
    NotNeeded,
    /// The group's receiver has no target, or none that wants resolved alerts.
    NoTarget,
}

/// One decision. Equal decisions not to notify in a row are one entry with a count.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// RFC 3339; of the first decision.
    pub at: String,
    /// RFC 3339; of the last one.
    pub last_at: String,
    pub count: u64,
    pub group_key: String,
    pub receiver: String,
    pub integration: usize,
    pub outcome: Outcome,
    /// In words.
    pub reason: String,
    /// Delivery attempts made.
    pub attempts: u32,
    pub error: Option<String>,
    pub firing: usize,
    pub resolved: usize,
    /// Names of the alerts concerned, at most ten.
    pub alerts: Vec<String>,
}

impl LedgerEntry {
    fn repeats(&self, other: &Self) -> bool {
        matches!(self.outcome, Outcome::NotNeeded | Outcome::NoTarget)
            && (&self.reason, self.outcome, self.firing, self.resolved)
                == (&other.reason, other.outcome, other.firing, other.resolved)
    }

    fn same_target(&self, other: &Self) -> bool {
        (&self.group_key, &self.receiver, self.integration)
            == (&other.group_key, &other.receiver, other.integration)
    }
}

/// The last 1,000 entries, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ledger(VecDeque<LedgerEntry>);

impl Ledger {
    pub(super) fn push(&mut self, entry: LedgerEntry) {
        let last = self
            .0
            .iter_mut()
            .rev()
            .find(|known| known.same_target(&entry));
        if let Some(last) = last.filter(|last| last.repeats(&entry)) {
            last.count += 1;
            last.last_at = entry.last_at;
            return;
        }
        if self.0.len() == ENTRIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(super) fn entries(&self) -> Vec<LedgerEntry> {
        self.0.iter().cloned().collect()
    }
}
