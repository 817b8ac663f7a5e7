//! The books: for every exporter and signal `received = delivered + held + dropped{reason}`, in records and bytes.
//! [`intake`] has those of the receivers, [`joined`] makes one equation of both.
//!
//! They cover everything since the exporter exists, across restarts: the part that an exporter has settled is stored
//! as the state of its journal cursor, in one write with the position, and so is what is gone that it has not come to; the
//! rest follows from the totals in the journal's records. What leaves the journal without passing the exporter is dropped with reason
//! `evicted_by_drop_oldest` or `lost_to_damage` ([`gone`]), and what came while it was not configured with `not_configured`.

mod account;
mod age;
mod collector;
mod gone;
mod intake;
mod joined;

pub(crate) use account::{Account, Place};
pub(crate) use collector::{BooksCollector, UNITS};
pub(crate) use gone::{Gone, Loss};
pub(crate) use intake::Intake;
pub use intake::ReceiverLine;
pub use joined::PipelineLine;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use vervet_model::{Clock, Signal, SystemClock, UnixNanos};

use crate::buffer::{Amount, Totals};
use crate::metrics::Labels;
use crate::pipeline::SignalSet;
use age::Ages;
use gone::AllGone;
use joined::Start;

/// The reason for what a destination refused and is kept as a dead letter, and for what could not be kept.
pub(crate) const REJECTED: &str = "rejected";
pub(crate) const NOT_KEPT: &str = "rejected_not_kept";
/// The reason for what a destination left out of a request it took.
pub(crate) const LEFT_OUT: &str = "rejected_by_collector";
/// All reasons for which exporters drop records.
const REASONS: [&str; 6] = [
    REJECTED,
    NOT_KEPT,
    LEFT_OUT,
    Loss::Evicted.reason(),
    Loss::Damage.reason(),
    Loss::Absence.reason(),
];

/// One line of the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookLine {
    pub exporter: String,
    pub signal: &'static str,
    pub received: Amount,
    pub delivered: Amount,
    pub held: Amount,
    pub dropped: BTreeMap<String, Amount>,
}

/// The books of all exporters, and those of the receivers. Where both are locked, the receivers' come first.
pub(crate) struct Books {
    intake: Intake,
    exporters: Mutex<BTreeMap<String, Book>>,
    /// What went, and goes, from exporters without a book, for one of the same name that comes back.
    /// Locked while `exporters` is.
    bookless: Mutex<BTreeMap<String, AllGone>>,
    ages: Mutex<Ages>,
    /// When `on_full: drop_oldest` last took something from an exporter.
    evicted_at: Mutex<BTreeMap<String, UnixNanos>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Book {
    signals: SignalSet,
    account: Account,
    received: Totals,
    /// On disk or not: what is gone is taken off when the book is shown.
    held: Held,
    gone: AllGone,
    /// Of that, what was under way when it went: it may be delivered still.
    uncertain: AllGone,
    /// Up to where records are under way.
    under_way: Totals,
    /// Whether something is gone that no stored account tells of.
    is_unsaved: bool,
    start: Start,
}

/// Counted on its own, so that the equation can be wrong.
#[derive(Debug, Default)]
struct Held(BTreeMap<Signal, Amount>);

impl Held {
    fn add(&mut self, signal: Signal, amount: Amount) {
        self.0.entry(signal).or_default().add(amount);
    }

    fn take(&mut self, signal: Signal, amount: Amount) {
        let held = self.0.entry(signal).or_default();
        *held = held.minus(amount);
    }
}

impl Default for Books {
    fn default() -> Self {
        Self::new(Intake::default(), Arc::new(SystemClock))
    }
}

impl Books {
    pub(crate) fn new(intake: Intake, clock: Arc<dyn Clock>) -> Self {
        Self {
            intake,
            exporters: Mutex::default(),
            bookless: Mutex::default(),
            ages: Mutex::default(),
            evicted_at: Mutex::default(),
            clock,
        }
    }

    /// Starts the book of an exporter, or goes on with it when one takes another's place: `account` as stored,
    /// `appended` all that the journal ever took.
    pub(crate) fn open(
        &self,
        exporter: &str,
        signals: SignalSet,
        mut account: Account,
        appended: &Totals,
    ) {
        let intake = self.intake.lock();
        let (mut received, mut held) = (Totals::default(), Held::default());
        let mut start = Start::default();
        let mut exporters = self.exporters.lock();
        let before = exporters.get(exporter);
        for signal in Signal::ALL {
            if signals.contains(signal) {
                let settled = account.of(signal);
                let left = appended.get(signal).minus(settled.total());
                received.add(signal, appended.get(signal).minus(settled.foreign));
                held.add(signal, left);
                match before.filter(|book| book.signals.contains(signal)) {
                    // The books are the process's: a replaced exporter goes on with them.
                    Some(book) => start.carry(signal, &book.start),
                    None => start.note(signal, &intake.total(signal), left, settled),
                }
            }
        }
        // What is gone stays gone, whoever asks for it.
        let known = match exporters.remove(exporter) {
            Some(old) => Some(old.gone),
            None => self.bookless.lock().remove(exporter),
        };
        let mut known = known.unwrap_or_default();
        known.forget_before(&account.settled());
        let known = known.taken();
        let is_unsaved = !known.is_empty();
        // What was not for it was not taken from it, whatever has become of that since.
        let mut gone = AllGone::default();
        let stored = std::mem::take(&mut account.gone);
        for part in account.absent().chain(known).chain(stored) {
            gone.insert(part);
        }
        gone.forget_before(&account.settled());
        if let Some(at) = account.evicted_unix_nano.map(UnixNanos) {
            let mut evicted = self.evicted_at.lock();
            let last = evicted.entry(exporter.to_owned()).or_insert(at);
            *last = (*last).max(at);
        }
        let book = Book {
            signals,
            account,
            received,
            held,
            gone,
            uncertain: AllGone::default(),
            under_way: Totals::default(),
            is_unsaved,
            start,
        };
        exporters.insert(exporter.to_owned(), book);
    }

    /// The time by its clock.
    pub(crate) fn now(&self) -> UnixNanos {
        self.clock.now()
    }

    /// The receivers' side.
    pub(crate) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// `before` had been appended at `at`. Called in order.
    pub(crate) fn mark(&self, before: &Totals, at: UnixNanos) {
        self.ages.lock().mark(before.records(), at);
    }

    /// Ends the book of an exporter that is no more. What is gone stays known, until [`forget`](Self::forget): the rest
    /// of its backlog may wait for one of the same name.
    pub(crate) fn close(&self, exporter: &str) {
        let mut exporters = self.exporters.lock();
        if let Some(book) = exporters.remove(exporter) {
            let mut bookless = self.bookless.lock();
            bookless.insert(exporter.to_owned(), book.gone);
        }
    }

    /// An exporter without a book has no backlog any more.
    pub(crate) fn forget(&self, exporter: &str) {
        let _exporters = self.exporters.lock();
        self.bookless.lock().remove(exporter);
    }

    /// A batch has become durable.
    pub(crate) fn appended(&self, signal: Signal, amount: Amount) {
        for book in self
            .exporters
            .lock()
            .values_mut()
            .filter(|book| book.signals.contains(signal))
        {
            book.received.add(signal, amount);
            book.held.add(signal, amount);
        }
    }

    /// The exporter has come to a record before which `before` was appended: whatever it has not
    /// settled of that is lost to it.
    pub(crate) fn reached(&self, exporter: &str, before: &Totals) {
        self.change(exporter, |book| {
            while let Some(gone) = book.gone.next_before(&book.account.settled(), before) {
                book.settle_gap(&gone.from, Loss::Damage);
                book.settle_gap(&gone.to, gone.loss);
            }
            book.settle_gap(before, Loss::Damage);
        });
    }

    /// A part of the journal is gone that the exporter has not settled all of.
    pub(crate) fn gone(&self, exporter: &str, gone: Gone) {
        let mut exporters = self.exporters.lock();
        match exporters.get_mut(exporter) {
            Some(book) => {
                let is_behind = gone.to.place() > book.account.settled().place();
                if gone.from.place() < book.under_way.place() {
                    let to = match gone.to.place() <= book.under_way.place() {
                        true => gone.to,
                        false => book.under_way,
                    };
                    book.uncertain.insert(Gone { to, ..gone });
                }
                book.is_unsaved |= book.gone.insert(gone) && is_behind;
            }
            None => {
                let mut bookless = self.bookless.lock();
                bookless
                    .entry(exporter.to_owned())
                    .or_default()
                    .insert(gone);
            }
        }
    }

    /// The exporter sends, or may have sent, all up to there, and nothing behind it: what goes of that from now on may be delivered
    /// all the same, and counts as dropped only when it is settled.
    pub(crate) fn under_way(&self, exporter: &str, through: &Totals) {
        self.change(exporter, |book| {
            book.under_way = *through;
        });
    }

    /// `on_full: drop_oldest` takes something from the exporter, now.
    pub(crate) fn note_eviction(&self, exporter: &str) {
        let now = self.clock.now();
        self.evicted_at.lock().insert(exporter.to_owned(), now);
        self.change(exporter, |book| book.is_unsaved = true);
    }

    /// When it last did, as far as that was stored.
    pub(crate) fn evicted_at(&self, exporter: &str) -> Option<UnixNanos> {
        self.evicted_at.lock().get(exporter).copied()
    }

    /// Whether something is gone that is to be stored soon: after a crash nobody knows what has taken it.
    pub(crate) fn is_unsaved(&self, exporter: &str) -> bool {
        let books = self.exporters.lock();
        books.get(exporter).is_some_and(|book| book.is_unsaved)
    }

    /// The account that was to be stored is not.
    pub(crate) fn not_stored(&self, exporter: &str) {
        self.change(exporter, |book| book.is_unsaved = true);
    }

    /// An account in which so much is `settled` is stored: the exporter never comes to that again.
    pub(crate) fn stored(&self, exporter: &str, settled: &Totals) {
        self.change(exporter, |book| {
            book.gone.forget_before(settled);
            book.uncertain.forget_before(settled);
        });
    }

    /// A record of a signal that no pipeline sends to the exporter.
    pub(crate) fn skipped(&self, exporter: &str, signal: Signal, amount: Amount) {
        self.change(exporter, |book| {
            book.account.of_mut(signal).foreign.add(amount)
        });
    }

    pub(crate) fn delivered(&self, exporter: &str, signal: Signal, amount: Amount) {
        self.change(exporter, |book| {
            book.account.of_mut(signal).delivered.add(amount);
            book.held.take(signal, amount);
        });
    }

    pub(crate) fn dropped(&self, exporter: &str, signal: Signal, reason: &str, amount: Amount) {
        self.change(exporter, |book| book.drop_held(signal, reason, amount));
    }

    /// What the exporter has settled so far and what is gone, to be stored.
    pub(crate) fn account(&self, exporter: &str) -> Account {
        let mut books = self.exporters.lock();
        let Some(book) = books.get_mut(exporter) else {
            return Account::default();
        };
        book.is_unsaved = false;
        book.account.forget_absences();
        Account {
            gone: book.gone.stored(),
            evicted_unix_nano: self.evicted_at(exporter).map(|at| at.0),
            ..book.account.clone()
        }
    }

    /// How long the oldest record that an exporter has not settled has been in the disk buffer; `None` when it has
    /// settled all, or that record is from before times were noted.
    pub(crate) fn oldest_age(&self, exporter: &str) -> Option<Duration> {
        let settled = {
            let books = self.exporters.lock();
            let book = books.get(exporter)?;
            let holds = Signal::ALL
                .iter()
                .any(|signal| !book.held(*signal).is_zero());
            let settled = book.account.settled_records();
            holds.then(|| book.gone.end_of_front(settled))?
        };
        let at = self.ages.lock().appended_at(settled)?;
        Some(self.clock.now().since(at))
    }

    /// Forgets the times of what every exporter has settled.
    pub(crate) fn forget_settled(&self) {
        let books = self.exporters.lock();
        let settled = books.values().map(|book| book.account.settled_records());
        let settled = settled.min();
        drop(books);
        if let Some(settled) = settled {
            self.ages.lock().forget_before(settled);
        }
    }

    /// One line per pipeline and exporter, at one moment.
    pub(crate) fn pipelines(&self) -> Vec<PipelineLine> {
        let (intake, books) = (self.intake.lock(), self.exporters.lock());
        let lines = books.iter().flat_map(|(exporter, book)| {
            let given = Signal::ALL.into_iter();
            let given = given.filter(|signal| book.signals.contains(*signal));
            let intake = &intake;
            given
                .map(move |signal| PipelineLine::new(exporter, signal, book, &intake.total(signal)))
        });
        lines.collect()
    }

    /// The names of the exporters.
    pub(crate) fn exporters(&self) -> Vec<String> {
        self.exporters.lock().keys().cloned().collect()
    }

    /// The books at one moment.
    pub(crate) fn lines(&self) -> Vec<BookLine> {
        let books = self.exporters.lock();
        let lines = books
            .iter()
            .flat_map(|(exporter, book)| book.lines(exporter));
        lines.collect()
    }

    fn change(&self, exporter: &str, change: impl FnOnce(&mut Book)) {
        if let Some(book) = self.exporters.lock().get_mut(exporter) {
            change(book);
        }
    }
}

impl Book {
    /// On disk for the exporter.
    fn held(&self, signal: Signal) -> Amount {
        let held = self.held.0.get(&signal).copied().unwrap_or_default();
        let settled = self.account.of(signal).total();
        let gone = self.gone.amounts(signal, settled);
        let held = gone.fold(held, |held, (_, gone)| held.minus(gone));
        let uncertain = self.uncertain.amounts(signal, settled);
        uncertain.fold(held, |mut held, (_, gone)| {
            held.add(gone);
            held
        })
    }

    /// What was given up, and what is gone that the exporter has not come to yet.
    fn dropped(&self, signal: Signal) -> BTreeMap<String, Amount> {
        let settled = self.account.of(signal);
        let mut dropped = settled.dropped.clone();
        for (loss, amount) in self.gone.amounts(signal, settled.total()) {
            let sum = dropped.entry(loss.reason().to_owned()).or_default();
            sum.add(amount);
        }
        for (loss, amount) in self.uncertain.amounts(signal, settled.total()) {
            if let Some(sum) = dropped.get_mut(loss.reason()) {
                *sum = sum.minus(amount);
            }
        }
        dropped.retain(|_, amount| !amount.is_zero());
        dropped
    }

    /// What lies between what is settled and `upto` is lost.
    fn settle_gap(&mut self, upto: &Totals, loss: Loss) {
        for signal in Signal::ALL {
            let gap = upto.get(signal).minus(self.account.of(signal).total());
            if gap.is_zero() {
                continue;
            }
            if self.signals.contains(signal) {
                self.drop_held(signal, loss.reason(), gap);
            } else {
                self.account.of_mut(signal).foreign.add(gap);
            }
        }
    }

    fn drop_held(&mut self, signal: Signal, reason: &str, amount: Amount) {
        let dropped = &mut self.account.of_mut(signal).dropped;
        dropped.entry(reason.to_owned()).or_default().add(amount);
        self.held.take(signal, amount);
    }

    fn lines(&self, exporter: &str) -> impl Iterator<Item = BookLine> {
        let given = Signal::ALL
            .into_iter()
            .filter(|signal| self.signals.contains(*signal));
        given.map(move |signal| BookLine {
            exporter: exporter.to_owned(),
            signal: signal.as_str(),
            received: self.received.get(signal),
            delivered: self.account.of(signal).delivered,
            held: self.held(signal),
            dropped: self.dropped(signal),
        })
    }
}

impl BookLine {
    /// Whether `received = delivered + held + dropped`.
    pub fn balances(&self) -> bool {
        let mut sum = self.delivered;
        sum.add(self.held);
        self.dropped.values().for_each(|amount| sum.add(*amount));
        sum == self.received
    }

    fn labels(&self) -> Labels {
        vec![
            ("exporter", self.exporter.clone()),
            ("signal", self.signal.to_owned()),
        ]
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines()).finish()
    }
}

#[cfg(test)]
mod tests;
