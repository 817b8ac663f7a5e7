//! Where there is room for a request: in the budget of what is under way, and in the head.
//!
//! A request holds a part of the budget from its first byte to its answer: its body, and once it is decoded its
//! columns too. The head has a ceiling: a flush begins when it is large, and while it is at its ceiling, requests wait
//! a little and are then told to come back. So memory is bounded when the disk is slow or full, and nothing that was
//! acknowledged is given up. What is under way when the ceiling is reached is still applied, so the head may exceed it
//! by as much as the budget allows.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use vervet_model::{Clock, SystemClock};
use vervet_store::Store;
use vervet_wire::{Refusal, Room};

use super::RETRY_AFTER;

/// The unit in which the byte budget is counted (bytes).
const PERMIT_BYTES: usize = 1024;
/// How long a request waits for a flush before its sender is told to come back.
const FLUSH_WAIT: Duration = Duration::from_millis(500);

/// The bytes of requests under way. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    bytes_max: usize,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        // A semaphore counts no further.
        let bytes_max = bytes_max.min(u32::MAX as usize);
        Self {
            permits: Arc::new(Semaphore::new(bytes_max / PERMIT_BYTES)),
            bytes_max,
        }
    }

    fn permits_max(&self) -> usize {
        self.bytes_max / PERMIT_BYTES
    }

    pub(crate) fn room(&self) -> BudgetRoom {
        BudgetRoom {
            budget: self.clone(),
            held: None,
        }
    }
}

/// A request's part of the budget.
pub(crate) struct BudgetRoom {
    budget: Budget,
    held: Option<OwnedSemaphorePermit>,
}

impl BudgetRoom {
    /// Asks for room for what the request has become. One that is larger than the whole budget gets in when
    /// nothing else is under way: it has been received by then.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.set(bytes.min(self.budget.permits_max() * PERMIT_BYTES))
    }
}

impl Room for BudgetRoom {
    fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
        let wanted = bytes.div_ceil(PERMIT_BYTES);
        if wanted > self.budget.permits_max() {
            let limit = self.budget.bytes_max;
            return Err(Refusal::TooLarge { limit });
        }
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if let Some(over) = held.checked_sub(wanted) {
            let over = self.held.as_mut().and_then(|held| held.split(over));
            drop(over);
            return Ok(());
        }
        let overloaded = Refusal::Overloaded {
            retry_after: RETRY_AFTER,
        };
        let missing = u32::try_from(wanted - held).map_err(|_too_many| overloaded.clone())?;
        let more = Arc::clone(&self.budget.permits).try_acquire_many_owned(missing);
        let more = more.map_err(|_exhausted| overloaded)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// The room in the head, shared by those who fill it and the one who empties it.
pub(crate) struct HeadRoom {
    store: Store,
    bytes_max: usize,
    due: Notify,
    flushed: Notify,
}

impl HeadRoom {
    pub(crate) fn new(store: Store, bytes_max: usize) -> Self {
        Self {
            store,
            bytes_max,
            due: Notify::new(),
            flushed: Notify::new(),
        }
    }

    /// Returns when the head is below its ceiling.
    ///
    /// # Errors
    /// It still was not after a while.
    pub(super) async fn wait(&self) -> Result<(), Refusal> {
        let deadline = tokio::time::Instant::now() + FLUSH_WAIT;
        loop {
            let flushed = self.flushed.notified();
            if self.store.head_bytes() < self.bytes_max {
                return Ok(());
            }
            self.due.notify_one();
            let waited = tokio::time::timeout_at(deadline, flushed).await;
            waited.map_err(|_elapsed| Refusal::Overloaded {
                retry_after: RETRY_AFTER,
            })?;
        }
    }

    /// Wakes the flusher when there is something to flush. Called after rows were applied.
    pub(super) fn applied(&self) {
        if self.store.should_flush(SystemClock.now()) {
            self.due.notify_one();
        }
    }

    /// Returns when a flush is due.
    pub(crate) async fn due(&self) {
        self.due.notified().await;
    }

    /// Wakes the requests that wait for a flush.
    pub(crate) fn flushed(&self) {
        self.flushed.notify_waiters();
    }
}
