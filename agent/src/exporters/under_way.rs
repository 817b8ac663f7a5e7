//! What of an exporter's records the destination has, or may have: the buffer takes that last (`on_full: drop_oldest`).
//!
//! In: which attempts begin, and how far they came. Out: the part of the journal that the cursor holds, and to the books, what
//! may be delivered though it goes. An attempt that found
//! no connection has sent nothing; so while a destination is away nothing is held but what an attempt is made with at that
//! moment, and the oldest records go first. What may have been sent before a crash is held from the start: up to there the
//! engine has stored that it may be ([`grant`](super::engine)).

use std::sync::Arc;

use parking_lot::Mutex;
use vervet_journal::Hold;
use vervet_wire::LANES;

use crate::books::Books;
use crate::buffer::Totals;

pub(super) struct UnderWay(Option<Held>);

struct Held {
    hold: Hold,
    exporter: String,
    books: Arc<Books>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// All up to here may be there.
    sent: Reach,
    /// Up to here it may have been so when the exporter was opened, and was held ever since.
    before: u64,
    /// Of attempts that are being made: one a lane at most.
    now: Vec<Reach>,
    /// The last of each lane that may be there.
    tried: Vec<u64>,
    /// What the cursor holds, and the books know of.
    held: Reach,
}

/// A record, and all that was appended to the journal up to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Reach {
    sequence: u64,
    end: Totals,
}

impl UnderWay {
    /// For an exporter whose backlog stays until it has settled it.
    pub(super) fn unlimited() -> Self {
        Self(None)
    }

    /// For one of whose records all up to `sent` may be there.
    pub(super) fn of(hold: Hold, sent: u64, (exporter, books): (&str, &Arc<Books>)) -> Self {
        hold.set(sent);
        let sent = Reach {
            sequence: sent,
            end: Totals::default(),
        };
        let state = State {
            sent,
            before: sent.sequence,
            now: Vec::new(),
            tried: Vec::new(),
            held: sent,
        };
        Self(Some(Held {
            hold,
            exporter: exporter.to_owned(),
            books: Arc::clone(books),
            state: Mutex::new(state),
        }))
    }

    /// A record was read. It may have been sent before the start.
    pub(super) fn reads(&self, sequence: u64, end: Totals) {
        let Some(held) = &self.0 else { return };
        let mut state = held.state.lock();
        if sequence <= state.sent.sequence {
            state.sent.end = state.sent.end.later(end);
            held.tell(&mut state);
        }
    }

    /// An attempt is to be made. False when the buffer has taken the record, and it must not be sent: nothing would tell after a
    /// crash that it was.
    pub(super) fn begins(&self, sequence: u64, end: Totals) -> bool {
        let Some(held) = &self.0 else {
            return true;
        };
        let mut state = held.state.lock();
        let reach = Reach { sequence, end };
        state.now.push(reach);
        held.tell(&mut state);
        // What may be there already may be taken, when there is nothing else to take.
        let may_be_sent = held.hold.reach(sequence) || state.may_be_there(sequence);
        if !may_be_sent {
            state.leave(sequence);
            held.tell(&mut state);
        }
        may_be_sent
    }

    /// It is over; the record may have arrived or not.
    pub(super) fn ends(&self, sequence: u64, was_sent: bool) {
        let Some(held) = &self.0 else { return };
        let mut state = held.state.lock();
        let left = state.leave(sequence);
        if let Some(reach) = left.filter(|_| was_sent) {
            state.sent = state.sent.max(reach);
            state
                .tried
                .retain(|tried| tried % LANES != sequence % LANES);
            state.tried.push(sequence);
        }
        held.tell(&mut state);
    }

    /// All up to here may be there; behind it nothing is.
    pub(super) fn through(&self) -> u64 {
        let reach = |held: &Held| held.state.lock().reach().sequence;
        self.0.as_ref().map_or(u64::MAX, reach)
    }
}

impl Held {
    /// The books first: what goes while they know of less than is held, is not under way.
    fn tell(&self, state: &mut State) {
        let reach = state.reach();
        if reach == state.held {
            return;
        }
        if reach.end != state.held.end {
            self.books.under_way(&self.exporter, &reach.end);
        }
        if reach.sequence < state.held.sequence {
            self.hold.set(reach.sequence);
        }
        state.held = reach;
    }
}

impl State {
    fn reach(&self) -> Reach {
        self.now.iter().copied().fold(self.sent, Reach::max)
    }

    /// Whether this very record may have arrived, others behind it apart.
    fn may_be_there(&self, sequence: u64) -> bool {
        sequence <= self.before || self.tried.contains(&sequence)
    }

    fn leave(&mut self, sequence: u64) -> Option<Reach> {
        let at = self.now.iter().position(|now| now.sequence == sequence)?;
        Some(self.now.swap_remove(at))
    }
}

impl Reach {
    fn max(self, other: Self) -> Self {
        match other.sequence > self.sequence {
            true => other,
            false => self,
        }
    }
}
