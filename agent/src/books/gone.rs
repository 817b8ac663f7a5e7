//! What has left the journal before an exporter has come to it.
//!
//! In: parts of the journal, as what had been appended before and behind them. Out: how much of it an exporter has not
//! settled, by what has taken it, so that the books show it as dropped at once. It is entered in the account when the
//! exporter comes to what follows, and known until that account is stored: an exporter that starts again with an older
//! one comes to it again, and the journal no longer tells what has taken it. The first [`PARTS_STORED_MAX`] are stored with
//! the account, so that a restart, which sees nothing but a gap, knows where in it eviction ends and damage begins. At most
//! [`PARTS_MAX`] parts that do not touch; of what is beyond them the exporter learns when it comes to it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use vervet_model::Signal;

use crate::buffer::{Amount, Totals};

const PARTS_MAX: usize = 1_024;
const PARTS_STORED_MAX: usize = 256;

/// What has taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// `on_full: drop_oldest` made room.
    Evicted,
    /// It cannot be read, or was taken out by a repair.
    Damage,
    /// It came while the exporter was not configured; it may be there still, for others. Not stored with the other parts:
    /// the account has its absences.
    Absence,
}

/// A part of the journal that is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// All that was appended before it.
    pub(crate) from: Totals,
    /// All that was appended up to its end.
    pub(crate) to: Totals,
    pub(crate) loss: Loss,
}

/// Parts in the journal's order that do not overlap.
#[derive(Debug, Default)]
pub(super) struct AllGone(VecDeque<Gone>);

impl Loss {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Evicted => "evicted_by_drop_oldest",
            Self::Damage => "lost_to_damage",
            Self::Absence => "not_configured",
        }
    }
}

impl AllGone {
    /// Adds a part; what of it was known already stays as it was. True when any of it was not.
    pub(super) fn insert(&mut self, gone: Gone) -> bool {
        let is_known = |part: &&Gone| {
            part.to.place() > gone.from.place() && part.from.place() < gone.to.place()
        };
        let known: Vec<Gone> = self.0.iter().filter(is_known).copied().collect();
        let (mut from, mut is_new) = (gone.from, false);
        for part in known {
            let to = part.from;
            is_new |= self.add(Gone { from, to, ..gone });
            from = from.later(part.to);
        }
        is_new | self.add(Gone { from, ..gone })
    }

    /// Adds a part of which nothing is known. False when there is nothing of it, or no room.
    fn add(&mut self, gone: Gone) -> bool {
        if gone.from.place() >= gone.to.place() {
            return false;
        }
        let at = self
            .0
            .partition_point(|part| part.from.place() <= gone.from.place());
        let has_room = self.0.len() < PARTS_MAX;
        let touches =
            |part: &&mut Gone| part.to.place() == gone.from.place() && part.loss == gone.loss;
        let before = at.checked_sub(1).and_then(|at| self.0.get_mut(at));
        if let Some(before) = before.filter(touches) {
            before.to = gone.to;
            true
        } else if has_room {
            self.0.insert(at, gone);
            true
        } else {
            false
        }
    }

    /// What is known beside absences.
    pub(super) fn taken(self) -> Vec<Gone> {
        let parts = self.0.into_iter();
        parts.filter(|part| part.loss != Loss::Absence).collect()
    }

    /// What is stored of it.
    pub(super) fn stored(&self) -> Vec<Gone> {
        let parts = self.0.iter().filter(|part| part.loss != Loss::Absence);
        parts.take(PARTS_STORED_MAX).copied().collect()
    }

    /// The first part that is not `settled`, as far as it lies before `before`.
    pub(super) fn next_before(&self, settled: &Totals, before: &Totals) -> Option<Gone> {
        let at = self
            .0
            .partition_point(|part| part.to.place() <= settled.place());
        let part = self.0.get(at)?;
        let begin = part.from.later(*settled);
        if begin.place() >= before.place() {
            return None;
        }
        // Something of it may have been read before it went.
        let to = match part.to.place() <= before.place() {
            true => part.to,
            false => *before,
        };
        Some(Gone { to, ..*part })
    }

    /// Forgets what lies before `stored`: no exporter comes to that again.
    pub(super) fn forget_before(&mut self, stored: &Totals) {
        let parts = self
            .0
            .partition_point(|part| part.to.place() <= stored.place());
        self.0.drain(..parts);
    }

    /// Where what is there begins behind `records` settled ones.
    pub(super) fn end_of_front(&self, records: u64) -> u64 {
        let parts = self.0.iter();
        parts
            .take_while(|part| part.from.records() <= records)
            .fold(records, |at, part| at.max(part.to.records()))
    }

    /// How much of each part lies behind what is `settled`.
    pub(super) fn amounts(
        &self,
        signal: Signal,
        settled: Amount,
    ) -> impl Iterator<Item = (Loss, Amount)> {
        self.0.iter().filter_map(move |part| {
            let (from, to) = (part.from.get(signal), part.to.get(signal));
            let from = Amount {
                records: from.records.max(settled.records),
                bytes: from.bytes.max(settled.bytes),
            };
            let amount = to.minus(from);
            (!amount.is_zero()).then_some((part.loss, amount))
        })
    }
}

#[cfg(test)]
mod tests;
