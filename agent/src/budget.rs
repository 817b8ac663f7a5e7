//! One budget for the bytes of telemetry that the process holds in memory.
//!
//! In: [`MemoryBudget::acquire`] and [`MemoryBudget::try_acquire`] before bytes are held. Out: a [`MemoryPermit`] that
//! stands for them until it is dropped. What is held is counted by [`MemoryKind`]. The sum never exceeds the limit.
//!
//! Each kind has a reserve of an eighth of the limit that no other kind can touch, so that a file being read as fast
//! as the disk allows never starves a client, nor a slow destination either of them. Beyond its reserve a kind borrows
//! what is free, up to five eighths of the limit, as long as nobody of another kind has waited for it longer.
//!
//! The budget knows what the agent holds on purpose. What the process really takes is sampled ([`system`]): under
//! [`Pressure`] sources wait and requests are refused until it is over. One source at a time goes on when nothing else is
//! held, so that memory which is never given back cannot stop the agent for good.

mod gauge;
pub(crate) mod system;
mod waiting;
mod watch;

pub(crate) use gauge::BudgetCollector;
pub(crate) use watch::MemoryWatch;

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use waiting::State;

/// The budget is cut into this many parts; each kind has one of them to itself.
const RESERVE_PARTS: u64 = 8;

/// What bytes are held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryKind {
    /// Requests of clients, from their first byte until they are durable. They are refused when there is no room.
    Request,
    /// Batches of files and scrapes until they are durable. They wait for room.
    Source,
    /// Copies made while batches are written to the disk buffer.
    Buffer,
    /// Records read from the disk buffer until their destination has answered.
    Export,
}

/// How close the process is to the memory it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pressure {
    #[default]
    None,
    /// Nothing new is taken in.
    Soft,
    /// The agent is not ready either.
    Hard,
}

/// The budget of one agent. Clones share it.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Mutex<State>>);

/// Stands for bytes that are held. Dropping it gives them back.
#[must_use = "the bytes are given back when the permit is dropped"]
pub struct MemoryPermit {
    budget: MemoryBudget,
    kind: MemoryKind,
    bytes: u64,
}

/// A place in the queue for room.
struct Turn<'b> {
    budget: &'b MemoryBudget,
    kind: MemoryKind,
    granted: oneshot::Receiver<u64>,
}

/// What is held, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MemoryUse {
    pub limit_bytes: u64,
    pub used_bytes: u64,
    /// The most that was ever held at once.
    pub peak_bytes: u64,
    pub request_bytes: u64,
    pub source_bytes: u64,
    pub buffer_bytes: u64,
    pub export_bytes: u64,
    /// Waiting for room.
    pub waiting: u64,
    /// Times that a client was told to come back.
    pub refused: u64,
    pub pressure: Pressure,
}

impl MemoryKind {
    pub const ALL: [Self; 4] = [Self::Request, Self::Source, Self::Buffer, Self::Export];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Source => "source",
            Self::Buffer => "buffer",
            Self::Export => "export",
        }
    }
}

impl MemoryBudget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(State::new(limit_bytes))))
    }

    /// The most one kind can ever hold. A single item that is larger takes all of this and is held alone.
    pub fn bytes_max(&self, kind: MemoryKind) -> u64 {
        self.0.lock().bytes_max(kind)
    }

    /// What each kind has to itself.
    pub fn reserve(&self) -> u64 {
        self.0.lock().reserve()
    }

    /// Waits until there is room for `bytes`, in the order of the calls of its kind. Cancel safe.
    pub async fn acquire(&self, kind: MemoryKind, bytes: usize) -> MemoryPermit {
        let granted = {
            let mut state = self.0.lock();
            if let Some(bytes) = state.take(kind, bytes as u64) {
                drop(state);
                return self.permit(kind, bytes);
            }
            state.wait(kind, bytes as u64)
        };
        let mut turn = Turn {
            budget: self,
            kind,
            granted,
        };
        match (&mut turn.granted).await {
            Ok(bytes) => self.permit(kind, bytes),
            // The other end lives as long as this budget.
            Err(oneshot::error::RecvError { .. }) => std::future::pending().await,
        }
    }

    /// Takes room for `bytes` if there is any and nobody of its kind waits for it.
    pub fn try_acquire(&self, kind: MemoryKind, bytes: usize) -> Option<MemoryPermit> {
        let mut state = self.0.lock();
        let taken = state.take(kind, bytes as u64);
        if taken.is_none() {
            state.refused += 1;
        }
        drop(state);
        taken.map(|bytes| self.permit(kind, bytes))
    }

    /// What is held, now.
    pub fn usage(&self) -> MemoryUse {
        self.0.lock().usage()
    }

    /// How close the process is to its limit, as last sampled.
    pub fn pressure(&self) -> Pressure {
        self.0.lock().pressure
    }

    /// Says how close the process is to its limit.
    pub(crate) fn set_pressure(&self, pressure: Pressure) {
        let mut state = self.0.lock();
        state.pressure = pressure;
        state.serve();
    }

    fn permit(&self, kind: MemoryKind, bytes: u64) -> MemoryPermit {
        MemoryPermit {
            budget: self.clone(),
            kind,
            bytes,
        }
    }
}

impl MemoryPermit {
    /// Bytes it stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it stand for `bytes` if that is more than now. False, and nothing changed, when there is no room.
    #[must_use]
    pub fn try_grow_to(&mut self, bytes: usize) -> bool {
        let more = (bytes as u64).saturating_sub(self.bytes);
        let mut state = self.budget.0.lock();
        let grown = state.grow(self.kind, self.bytes, more);
        if grown.is_none() {
            state.refused += 1;
        }
        drop(state);
        self.bytes += grown.unwrap_or(0);
        grown.is_some()
    }

    /// Gives back what is over `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes as u64);
        self.bytes -= less;
        self.budget.0.lock().give_back(self.kind, less);
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.budget.0.lock().give_back(self.kind, self.bytes);
    }
}

impl Drop for Turn<'_> {
    /// Whoever stops waiting gives back what it was granted meanwhile.
    fn drop(&mut self) {
        self.granted.close();
        let unused = self.granted.try_recv().unwrap_or(0);
        self.budget.0.lock().give_back(self.kind, unused);
    }
}

impl std::fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.usage().fmt(f)
    }
}

impl std::fmt::Debug for MemoryPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPermit")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// What this process may take (bytes): the limit of its control group, else the host's memory. `None` when the system
/// tells nothing.
pub fn allowed_bytes() -> Option<u64> {
    let sample = system::System::default().sample();
    sample.map(|sample| sample.allowed_bytes)
}

#[cfg(test)]
mod tests;
