//! The receivers' side of the books: for every receiver and signal, since the process started,
//! `received = buffered + waiting + dropped{reason}`.
//!
//! Each event moves an amount from one place to another under one lock, so that whoever looks sees the equation hold
//! or finds a mistake. What a sender was told to retry was never received.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use vervet_model::Signal;

use crate::buffer::Amount;

/// What one receiver has taken in of one signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) received: Amount,
    pub(crate) buffered: Amount,
    pub(crate) waiting: Amount,
    pub(crate) dropped: BTreeMap<String, Amount>,
}

/// One line of the receivers' books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiverLine {
    pub receiver: String,
    pub signal: &'static str,
    pub received: Amount,
    pub buffered: Amount,
    /// On the way to the disk buffer.
    pub waiting: Amount,
    pub dropped: BTreeMap<String, Amount>,
}

/// The entries of all receivers. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intake(Arc<Mutex<Entries>>);

/// By signal and receiver.
#[derive(Debug, Default)]
pub(crate) struct Entries([BTreeMap<String, Entry>; 3]);

impl Intake {
    /// For several changes that belong together.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock()
    }

    /// A batch has been taken over and waits for the disk buffer.
    pub(crate) fn waits(&self, receiver: &str, signal: Signal, amount: Amount) {
        self.0.lock().change(receiver, signal, |entry| {
            entry.received.add(amount);
            entry.waiting.add(amount);
        });
    }

    /// Records were given up on before they waited.
    pub(crate) fn dropped(&self, receiver: &str, signal: Signal, reason: &str, amount: Amount) {
        self.0.lock().change(receiver, signal, |entry| {
            entry.received.add(amount);
            entry.drop(reason, amount);
        });
    }

    /// Records that waited were given up on.
    pub(crate) fn gave_up(&self, receiver: &str, signal: Signal, reason: &str, amount: Amount) {
        self.0.lock().change(receiver, signal, |entry| {
            entry.waiting = entry.waiting.minus(amount);
            entry.drop(reason, amount);
        });
    }

    /// One line per receiver and signal.
    pub(crate) fn lines(&self) -> Vec<ReceiverLine> {
        let entries = self.0.lock();
        let signals = Signal::ALL.into_iter().zip(&entries.0);
        let lines = signals.flat_map(|(signal, receivers)| {
            receivers.iter().map(move |(receiver, entry)| ReceiverLine {
                receiver: receiver.clone(),
                signal: signal.as_str(),
                received: entry.received,
                buffered: entry.buffered,
                waiting: entry.waiting,
                dropped: entry.dropped.clone(),
            })
        });
        lines.collect()
    }
}

impl Entries {
    /// A batch is durable. One whose sender waits for that counts as received only now.
    pub(crate) fn buffered(
        &mut self,
        receiver: &str,
        signal: Signal,
        amount: Amount,
        waited: bool,
    ) {
        self.change(receiver, signal, |entry| {
            match waited {
                true => entry.waiting = entry.waiting.minus(amount),
                false => entry.received.add(amount),
            }
            entry.buffered.add(amount);
        });
    }

    /// All receivers together.
    pub(crate) fn total(&self, signal: Signal) -> Entry {
        let mut total = Entry::default();
        for entry in self.of(signal).into_iter().flat_map(BTreeMap::values) {
            total.received.add(entry.received);
            total.buffered.add(entry.buffered);
            total.waiting.add(entry.waiting);
            for (reason, amount) in &entry.dropped {
                total.drop(reason, *amount);
            }
        }
        total
    }

    fn change(&mut self, receiver: &str, signal: Signal, change: impl FnOnce(&mut Entry)) {
        let at = Signal::ALL.iter().position(|known| *known == signal);
        let Some(receivers) = at.and_then(|at| self.0.get_mut(at)) else {
            return;
        };
        match receivers.get_mut(receiver) {
            Some(entry) => change(entry),
            None => change(receivers.entry(receiver.to_owned()).or_default()),
        }
    }

    fn of(&self, signal: Signal) -> Option<&BTreeMap<String, Entry>> {
        let at = Signal::ALL.iter().position(|known| *known == signal)?;
        self.0.get(at)
    }
}

impl Entry {
    fn drop(&mut self, reason: &str, amount: Amount) {
        match self.dropped.get_mut(reason) {
            Some(total) => total.add(amount),
            None => drop(self.dropped.insert(reason.to_owned(), amount)),
        }
    }
}
