//! The records between what is settled and what was read, in the journal's order.

use std::collections::VecDeque;

use vervet_model::Signal;

use super::super::lane::{Fate, Part, Settlement};
use crate::books::{Books, LEFT_OUT, Loss, NOT_KEPT, REJECTED};
use crate::buffer::{Amount, Totals};

#[derive(Debug, Default)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    packed_bytes: usize,
}

/// One record.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sequence: u64,
    /// `None` when it could not be read.
    pub(super) contents: Option<Contents>,
    /// Memory of its parcel while that is under way.
    pub(super) packed_bytes: usize,
    pub(super) state: State,
}

/// What the books need to know of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents {
    pub(super) signal: Signal,
    pub(super) amount: Amount,
    /// All that was appended to the journal before it.
    pub(super) before: Totals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    UnderWay,
    Answered(Fate),
    /// There is nothing to send.
    Skipped,
    /// The buffer has taken it before it was sent.
    Evicted,
    /// It came while the exporter was not configured.
    Missed,
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn has_room(&self, records_max: usize, bytes_max: usize) -> bool {
        self.slots.len() < records_max && self.packed_bytes < bytes_max
    }

    /// Bytes of bodies that were not answered.
    pub(super) fn packed_bytes(&self) -> usize {
        self.packed_bytes
    }

    pub(super) fn push(&mut self, slot: Slot) {
        self.packed_bytes += slot.packed_bytes;
        self.slots.push_back(slot);
    }

    pub(super) fn answered(&mut self, settlement: Settlement) {
        let found = self
            .slots
            .binary_search_by_key(&settlement.sequence, |slot| slot.sequence);
        if let Some(slot) = found.ok().and_then(|at| self.slots.get_mut(at)) {
            self.packed_bytes -= std::mem::take(&mut slot.packed_bytes);
            slot.state = match settlement.fate.is_evicted {
                true => State::Evicted,
                false => State::Answered(settlement.fate),
            };
        }
    }

    pub(super) fn evicted(&mut self, sequence: u64) {
        let found = self
            .slots
            .binary_search_by_key(&sequence, |slot| slot.sequence);
        if let Some(slot) = found.ok().and_then(|at| self.slots.get_mut(at)) {
            self.packed_bytes -= std::mem::take(&mut slot.packed_bytes);
            slot.state = State::Evicted;
        }
    }

    /// The last of the first records whose requests have `bytes` together; at least of so many `records`.
    pub(super) fn reach(&self, records: usize, bytes: u64) -> Option<u64> {
        let mut sum = 0_u64;
        let mut reach = None;
        for (at, slot) in self.slots.iter().enumerate() {
            let contents = slot.contents.as_ref();
            sum = sum.saturating_add(contents.map_or(0, |contents| contents.amount.bytes));
            if at >= records && sum > bytes {
                break;
            }
            reach = Some(slot.sequence);
        }
        reach
    }

    /// Sequences after `after` that are to be sent.
    pub(super) fn under_way(&self, after: u64) -> Vec<u64> {
        let slots = self
            .slots
            .iter()
            .filter(|slot| slot.state == State::UnderWay);
        slots
            .map(|slot| slot.sequence)
            .filter(|sequence| *sequence > after)
            .collect()
    }

    /// Takes the first record out if it needs no more waiting for and the books know it.
    pub(super) fn pop_settled(&mut self, booked: u64) -> Option<Slot> {
        self.slots
            .pop_front_if(|slot| slot.sequence <= booked && slot.state != State::UnderWay)
    }
}

impl Contents {
    /// All that was appended up to its end.
    pub(super) fn end(&self) -> Totals {
        let mut end = self.before;
        end.add(self.signal, self.amount);
        end
    }
}

impl Slot {
    /// All that was appended up to its end.
    pub(super) fn end(&self) -> Option<Totals> {
        self.contents.as_ref().map(Contents::end)
    }

    /// Tells the books what became of it.
    pub(super) fn enter_in(&self, books: &Books, exporter: &str) {
        let Some(contents) = self.contents else {
            tracing::error!(
                exporter,
                sequence = self.sequence,
                "buffer record cannot be read, skipped"
            );
            return;
        };
        let Contents {
            signal,
            amount,
            before,
        } = contents;
        books.reached(exporter, &before);
        let fate = match self.state {
            State::Answered(fate) => fate,
            State::Evicted => {
                books.dropped(exporter, signal, Loss::Evicted.reason(), amount);
                return;
            }
            State::Missed => {
                books.dropped(exporter, signal, Loss::Absence.reason(), amount);
                return;
            }
            State::Skipped | State::UnderWay => {
                books.skipped(exporter, signal, amount);
                return;
            }
        };
        let refused = share(amount, fate.refused);
        let rest = amount.minus(refused);
        let not_kept = share(rest, fate.not_kept);
        let rest = rest.minus(not_kept);
        let left_out = share(rest, Part::Records(fate.left_out));
        books.delivered(exporter, signal, rest.minus(left_out));
        for (reason, dropped) in [
            (REJECTED, refused),
            (NOT_KEPT, not_kept),
            (LEFT_OUT, left_out),
        ] {
            if !dropped.is_zero() {
                books.dropped(exporter, signal, reason, dropped);
            }
        }
    }
}

/// A part of an amount, with the bytes in proportion.
fn share(amount: Amount, part: Part) -> Amount {
    let records = match part {
        Part::Records(records) if records == 0 || records < amount.records => records,
        Part::Records(_) | Part::All => return amount,
    };
    let bytes = u128::from(amount.bytes) * u128::from(records);
    let bytes = bytes.checked_div(u128::from(amount.records)).unwrap_or(0);
    Amount {
        records,
        bytes: u64::try_from(bytes).unwrap_or(amount.bytes),
    }
}

#[cfg(test)]
mod tests;
