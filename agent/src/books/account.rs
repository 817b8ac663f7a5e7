//! What is stored of an exporter's book with its position.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use vervet_model::Signal;

use super::gone::{AllGone, Gone, Loss};
use crate::buffer::{Amount, Totals};

/// Absences that an account tells of.
const ABSENCES_MAX: usize = 64;

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
    /// Where the journal ended when the exporter was taken out of the configuration: what came later is not for it. Until it
    /// is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) left: Option<Place>,
    /// What was stored while it was not configured, and it has not come to yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) absences: Vec<Absence>,
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

/// A place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The last sequence before it.
    pub(crate) through: u64,
    /// All that was appended before it.
    pub(crate) appended: Totals,
}

/// A part of the journal that was stored while the exporter was not configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Absence {
    from: Place,
    to: Place,
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
    /// The exporter is not configured any more. Returns the sequence up to which the journal is for it, and whether that is
    /// new; `None` where it has been away too often to tell all of it.
    pub(crate) fn leaves(&mut self, now: Place) -> Option<(u64, bool)> {
        if let Some(left) = self.left {
            return Some((left.through, false));
        }
        if self.absences.len() >= ABSENCES_MAX {
            return None;
        }
        self.left = Some(now);
        Some((now.through, true))
    }

    /// It is configured again. True when it was not.
    pub(crate) fn returns(&mut self, now: Place) -> bool {
        let Some(from) = self.left.take() else {
            return false;
        };
        if now.through > from.through {
            self.absences.push(Absence { from, to: now });
        }
        true
    }

    /// Whether a record is for it, as far as the account tells.
    pub(crate) fn wants(&self, sequence: u64) -> bool {
        let is_later = self.left.is_some_and(|left| sequence > left.through);
        !is_later && !self.missed().any(|missed| missed.contains(&sequence))
    }

    /// The sequences that were stored while it was away.
    pub(crate) fn missed(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let absences = self.absences.iter();
        absences.map(|absence| absence.from.through + 1..=absence.to.through)
    }

    /// The same as parts that are gone.
    pub(super) fn absent(&self) -> impl Iterator<Item = Gone> {
        self.absences.iter().map(|absence| Gone {
            from: absence.from.appended,
            to: absence.to.appended,
            loss: Loss::Absence,
        })
    }

    /// Forgets the absences that are settled.
    pub(super) fn forget_absences(&mut self) {
        let settled = self.settled().place();
        self.absences
            .retain(|absence| absence.to.appended.place() > settled);
    }

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
