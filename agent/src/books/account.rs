//! What is stored of an exporter's book with its position.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vervet_model::Signal;

use super::gone::{AllGone, Gone};
use crate::buffer::{Amount, Totals};

/// What one exporter has settled, by signal name. Stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    #[serde(default)]
    pub(super) logs: Settled,
    #[serde(default)]
    pub(super) metrics: Settled,
    #[serde(default)]
    pub(super) traces: Settled,
    /// Sequence up to which records may have been sent; kept where the buffer may take what was not settled.
    #[serde(default)]
    pub(crate) sent_through: u64,
    /// The exporter was not configured for a while, in which its oldest records went first. Until it is opened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_orphaned: bool,
    /// Whether it travels in lanes of its own: it began when others had sent already, and may be ahead of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_own_lanes: bool,
    /// What is gone and not settled yet. Kept in the book while the exporter is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) gone: Vec<Gone>,
    /// When `on_full: drop_oldest` last took something (nanoseconds since the epoch).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) evicted_unix_nano: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settled {
    /// Never meant for this exporter: appended before it existed, or of a signal it is not given.
    pub(super) foreign: Amount,
    pub(super) delivered: Amount,
    pub(super) dropped: BTreeMap<String, Amount>,
}

impl Account {
    /// The account of an exporter to which everything in `before` is foreign.
    pub(crate) fn starting_after(before: &Totals) -> Self {
        let mut account = Self::default();
        for signal in Signal::ALL {
            account.of_mut(signal).foreign = before.get(signal);
        }
        account
    }

    pub(super) fn of(&self, signal: Signal) -> &Settled {
        match signal {
            Signal::Logs => &self.logs,
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
        }
    }

    pub(super) fn of_mut(&mut self, signal: Signal) -> &mut Settled {
        match signal {
            Signal::Logs => &mut self.logs,
            Signal::Metrics => &mut self.metrics,
            Signal::Traces => &mut self.traces,
        }
    }
}

impl Account {
    /// Notes what is gone, in the account of an exporter that is not open.
    pub(crate) fn add_gone(&mut self, gone: impl IntoIterator<Item = Gone>) {
        let mut all = AllGone::default();
        for gone in self.gone.drain(..).chain(gone) {
            all.insert(gone);
        }
        self.gone = all.stored();
    }

    /// All that the exporter has nothing to do with any more.
    pub(crate) fn settled(&self) -> Totals {
        let mut settled = Totals::default();
        for signal in Signal::ALL {
            settled.add(signal, self.of(signal).total());
        }
        settled
    }

    /// Records of all signals that the exporter has nothing to do with any more.
    pub(super) fn settled_records(&self) -> u64 {
        let of = |signal| self.of(signal).total().records;
        Signal::ALL.into_iter().map(of).sum()
    }
}

impl Settled {
    pub(super) fn total(&self) -> Amount {
        let mut total = self.foreign;
        total.add(self.delivered);
        self.dropped.values().for_each(|amount| total.add(*amount));
        total
    }
}
