//! Group commit: appenders queue up, one of them writes for all and syncs once.
//!
//! The first appender to find no leader becomes it, takes everything that waits, and leaves the
//! results behind. Requests that arrive meanwhile form the next group, so the slower the disk,
//! the larger the groups. The queue holds one request per blocked caller.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Condvar, Mutex};

use crate::config::SyncPolicy;
use crate::core::Core;
use crate::error::JournalError;
use crate::request::Request;
use crate::writer::Writer;

type Outcome = Result<RangeInclusive<u64>, JournalError>;

pub(crate) struct GroupCommit {
    core: Arc<Core>,
    writer: Mutex<Writer>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(u64, Request)>,
    outcomes: HashMap<u64, Outcome>,
    next_ticket: u64,
    has_leader: bool,
}

impl GroupCommit {
    pub(crate) fn new(core: Arc<Core>, writer: Writer) -> Self {
        Self {
            core,
            writer: Mutex::new(writer),
            queue: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Writes the request together with whatever else waits.
    pub(crate) fn append(&self, request: Request) -> Outcome {
        let mut queue = self.queue.lock();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push((ticket, request));
        loop {
            if let Some(outcome) = queue.outcomes.remove(&ticket) {
                return outcome;
            }
            if queue.has_leader {
                self.changed.wait(&mut queue);
                continue;
            }
            queue.has_leader = true;
            let group = std::mem::take(&mut queue.waiting);
            drop(queue);
            let outcomes = self.write_group(group);
            queue = self.queue.lock();
            queue.outcomes.extend(outcomes);
            queue.has_leader = false;
            self.changed.notify_all();
        }
    }

    /// Syncs what `SyncPolicy::Interval` has left open.
    pub(crate) fn sync(&self) -> Result<bool, JournalError> {
        self.writer.lock().sync()
    }

    /// Looks whether the active segment is where it should be.
    pub(crate) fn look(&self) -> Result<(), JournalError> {
        self.writer.lock().look()
    }

    /// Takes appends again after a failed sync.
    pub(crate) fn mend(&self) -> Result<(), JournalError> {
        self.writer.lock().mend()
    }

    /// Closes the active segment, so that the next append starts another.
    pub(crate) fn close_segment(&self) -> Result<(), JournalError> {
        self.writer.lock().close_segment()
    }

    fn write_group(&self, group: Vec<(u64, Request)>) -> Vec<(u64, Outcome)> {
        let mut writer = self.writer.lock();
        let mut outcomes: Vec<_> = group
            .into_iter()
            .map(|(ticket, mut request)| {
                let outcome = writer.write(&mut request);
                (ticket, request, outcome)
            })
            .collect();
        if self.core.config.sync == SyncPolicy::Always
            && let Err(error) = writer.sync()
        {
            // Closing a segment inside this group may have made its first part durable already.
            let durable = self.core.last_sequence();
            for (_, _, outcome) in &mut outcomes {
                if outcome
                    .as_ref()
                    .is_ok_and(|sequences| *sequences.end() > durable)
                {
                    *outcome = Err(error.clone());
                }
            }
        }
        drop(writer);
        outcomes
            .into_iter()
            .map(|(ticket, request, outcome)| {
                self.count(&request, &outcome);
                (ticket, outcome)
            })
            .collect()
    }

    fn count(&self, request: &Request, outcome: &Outcome) {
        let counters = &self.core.counters;
        if outcome.is_ok() {
            counters
                .appended_records
                .fetch_add(request.records(), Ordering::Relaxed);
            counters
                .appended_bytes
                .fetch_add(request.payload_bytes(), Ordering::Relaxed);
        } else {
            counters.failed_appends.fetch_add(1, Ordering::Relaxed);
        }
    }
}
