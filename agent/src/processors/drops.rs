//! Why records were dropped, and how many.

use std::fmt;
use std::sync::Arc;

use vervet_model::Signal;

use crate::buffer::Amount;
use crate::metrics::AgentMetrics;

/// The processor that dropped a record and why, as `<processor>:<why>`: the `reason` of drop counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropReason(Arc<str>);

impl DropReason {
    pub(super) fn new(processor: &str, why: &str) -> Self {
        Self(format!("{processor}:{why}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was dropped, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drops(Vec<(DropReason, Amount)>);

impl Drops {
    pub fn add(&mut self, reason: &DropReason, records: u64, bytes: u64) {
        let amount = Amount { records, bytes };
        match self.0.iter_mut().find(|(known, _)| known == reason) {
            Some((_, total)) => total.add(amount),
            None => self.0.push((reason.clone(), amount)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&DropReason, Amount)> {
        self.0.iter().map(|(reason, amount)| (reason, *amount))
    }

    /// Records dropped for all reasons together.
    pub fn records(&self) -> u64 {
        self.0.iter().map(|(_, amount)| amount.records).sum()
    }

    /// Puts the drops into a receiver's books, as received and dropped, and forgets them.
    pub(crate) fn count(&mut self, metrics: &AgentMetrics, receiver: &str, signal: Signal) {
        for (reason, Amount { records, bytes }) in self.0.drain(..) {
            metrics.receiver_dropped(receiver, signal, reason.as_str(), records, bytes);
        }
    }

    /// Adds points of one metric, which took `bytes` together.
    pub(super) fn add_points(&mut self, points: &Self, bytes: u64) {
        let total = points.records().max(1);
        for (reason, amount) in points.iter() {
            self.add(reason, amount.records, bytes * amount.records / total);
        }
    }
}
