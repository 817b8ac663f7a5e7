//! Who holds what, and who waits for room: the arithmetic of the budget. Only memory is touched here.
//!
//! Each kind may always fill its reserve, whoever waits: the writer of the disk buffer needs it to give back what
//! others wait for. Beyond the reserves those who wait come in their order, whatever their kind; two that held each
//! other back would wait for ever.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::{MemoryKind, MemoryUse, Pressure, RESERVE_PARTS};

/// The ticket of those who do not wait.
const LAST: u64 = u64::MAX;

pub(super) struct State {
    limit: u64,
    peak: u64,
    pub(super) refused: u64,
    pub(super) pressure: Pressure,
    /// Those who have ever waited.
    tickets: u64,
    shares: [Share; 4],
}

/// What one kind holds, and those of it that wait, in order.
#[derive(Default)]
struct Share {
    used: u64,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    /// Smaller than that of whoever came later.
    ticket: u64,
    bytes: u64,
    granted: oneshot::Sender<u64>,
}

impl State {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            peak: 0,
            refused: 0,
            pressure: Pressure::None,
            tickets: 0,
            shares: Default::default(),
        }
    }

    /// The most one kind may hold: everything but the reserves of the others.
    pub(super) fn bytes_max(&self, _kind: MemoryKind) -> u64 {
        let others = self.shares.len() as u64 - 1;
        self.limit - others * self.reserve()
    }

    pub(super) fn reserve(&self) -> u64 {
        self.limit / RESERVE_PARTS
    }

    /// Takes room for an item if there is any and nobody of its kind waits. The bytes accounted for are
    /// fewer than asked when the item is larger than its kind may ever hold.
    pub(super) fn take(&mut self, kind: MemoryKind, bytes: u64) -> Option<u64> {
        self.forget_gone();
        if !self.share(kind).waiting.is_empty() {
            return None;
        }
        self.fit_last(kind, bytes.min(self.bytes_max(kind)))
    }

    /// Adds `more` bytes to an item of `held` bytes.
    pub(super) fn grow(&mut self, kind: MemoryKind, held: u64, more: u64) -> Option<u64> {
        self.forget_gone();
        let more = more.min(self.bytes_max(kind).saturating_sub(held));
        self.fit_last(kind, more)
    }

    pub(super) fn wait(&mut self, kind: MemoryKind, bytes: u64) -> oneshot::Receiver<u64> {
        let (granted, turn) = oneshot::channel();
        let bytes = bytes.min(self.bytes_max(kind));
        let ticket = self.tickets;
        self.tickets += 1;
        let waiter = Waiter {
            ticket,
            bytes,
            granted,
        };
        self.share_mut(kind).waiting.push_back(waiter);
        turn
    }

    pub(super) fn give_back(&mut self, kind: MemoryKind, bytes: u64) {
        let share = self.share_mut(kind);
        share.used = share.used.saturating_sub(bytes);
        self.serve();
    }

    /// Gives room to those who wait, each kind in turn.
    pub(super) fn serve(&mut self) {
        loop {
            self.forget_gone();
            let served = MemoryKind::ALL.map(|kind| self.serve_first(kind));
            if !served.contains(&true) {
                return;
            }
        }
    }

    fn serve_first(&mut self, kind: MemoryKind) -> bool {
        let first = self.share(kind).waiting.front();
        let Some((bytes, ticket)) = first.map(|first| (first.bytes, first.ticket)) else {
            return false;
        };
        if self.fit(kind, bytes, ticket).is_none() {
            return false;
        }
        let first = self.share_mut(kind).waiting.pop_front();
        let taken = first.is_some_and(|first| first.granted.send(bytes).is_ok());
        if !taken {
            // It has gone away since.
            let share = self.share_mut(kind);
            share.used = share.used.saturating_sub(bytes);
        }
        true
    }

    /// As [`Self::fit`], after everybody who waits.
    fn fit_last(&mut self, kind: MemoryKind, bytes: u64) -> Option<u64> {
        let taken = self.fit(kind, bytes, LAST)?;
        // Whoever can no longer be served, now that this is held, keeps nobody back any more.
        self.serve();
        Some(taken)
    }

    fn fit(&mut self, kind: MemoryKind, bytes: u64, ticket: u64) -> Option<u64> {
        if bytes > self.free(kind, ticket) || !self.is_let_in(kind) {
            return None;
        }
        self.share_mut(kind).used += bytes;
        self.peak = self.peak.max(self.used());
        Some(bytes)
    }

    /// What one of this kind may still take: it borrows nothing that another kind has waited for longer.
    fn free(&self, kind: MemoryKind, ticket: u64) -> u64 {
        let reserve = self.reserve();
        let mut others = MemoryKind::ALL.into_iter().filter(|other| *other != kind);
        let held_or_reserved = others
            .clone()
            .map(|other| self.share(other).used.max(reserve));
        // No less than the reserve, as nobody is lent another's.
        let mut own_max = self.limit.saturating_sub(held_or_reserved.sum());
        if others.any(|other| self.waits_for_borrowers(other, ticket)) {
            own_max = own_max.min(reserve);
        }
        own_max.saturating_sub(self.share(kind).used)
    }

    /// Whether one of this kind that came before `ticket` would have room if no other kind had borrowed.
    fn waits_for_borrowers(&self, kind: MemoryKind, ticket: u64) -> bool {
        let share = self.share(kind);
        let fits = |first: &Waiter| share.used + first.bytes <= self.bytes_max(kind);
        let first = share.waiting.front();
        first.is_some_and(|first| first.ticket < ticket && fits(first)) && self.is_let_in(kind)
    }

    /// Under pressure nothing new comes in, but for one source at a time when nothing is held at all.
    fn is_let_in(&self, kind: MemoryKind) -> bool {
        match (self.pressure, kind) {
            (Pressure::None, _) | (_, MemoryKind::Buffer | MemoryKind::Export) => true,
            (_, MemoryKind::Source) => self.used() == 0,
            (_, MemoryKind::Request) => false,
        }
    }

    fn used(&self) -> u64 {
        self.shares.iter().map(|share| share.used).sum()
    }

    fn forget_gone(&mut self) {
        for share in &mut self.shares {
            share.waiting.retain(|waiter| !waiter.granted.is_closed());
        }
    }

    pub(super) fn usage(&self) -> MemoryUse {
        let used = |kind| self.share(kind).used;
        let waiting = self.shares.iter().map(|share| share.waiting.len() as u64);
        MemoryUse {
            limit_bytes: self.limit,
            used_bytes: self.used(),
            peak_bytes: self.peak,
            request_bytes: used(MemoryKind::Request),
            source_bytes: used(MemoryKind::Source),
            buffer_bytes: used(MemoryKind::Buffer),
            export_bytes: used(MemoryKind::Export),
            waiting: waiting.sum(),
            refused: self.refused,
            pressure: self.pressure,
        }
    }

    fn share(&self, kind: MemoryKind) -> &Share {
        let [request, source, buffer, export] = &self.shares;
        match kind {
            MemoryKind::Request => request,
            MemoryKind::Source => source,
            MemoryKind::Buffer => buffer,
            MemoryKind::Export => export,
        }
    }

    fn share_mut(&mut self, kind: MemoryKind) -> &mut Share {
        let [request, source, buffer, export] = &mut self.shares;
        match kind {
            MemoryKind::Request => request,
            MemoryKind::Source => source,
            MemoryKind::Buffer => buffer,
            MemoryKind::Export => export,
        }
    }
}
