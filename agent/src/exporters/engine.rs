//! What all exporters have in common: reads the journal ahead, distributes records among lanes, settles them in
//! order and commits.
//!
//! In: journal records after the cursor. Out: parcels to the [`lane`](super::lane)s, and entries in the books. A record
//! is settled when it and everything before it was answered; the cursor, with the exporter's account as its state, is
//! committed once a second or after a part of the disk budget, so that segments are let go early. Reading, packing and
//! committing run on blocking threads, one at a time.
//!
//! Limits: [`READ_AHEAD_BYTES`] of packed bodies, [`WINDOW_RECORDS`] records and one read of [`READ_BYTES`] beyond. All
//! of it is taken from the process's budget; an exporter that holds nothing reads after [`ROOM_PATIENCE`] in any case,
//! so that others' backlog in memory cannot stop it.

mod grant;
mod open;
mod orphaned;
mod repaired;
mod source;
mod window;

pub(crate) use open::{CURSOR_PREFIX, ExporterParts, cursor_name};
pub(crate) use orphaned::let_go;
pub(crate) use repaired::book_lost;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use vervet_journal::JournalError;
use vervet_model::Signal;

use super::lane::{Lane, Parcel, Settlement, Shared};
use crate::agent::with_causes;
use crate::books::{Account, Books};
use crate::budget::{MemoryBudget, MemoryKind};
use crate::buffer::blocking;
use grant::Grant;
use source::{CommitError, Done, Item, Source, Stored};
use window::{Slot, State, Window};

/// Packed bodies that may wait in memory.
pub(super) const READ_AHEAD_BYTES: usize = 2 << 20;
/// Records that may be unsettled.
const WINDOW_RECORDS: usize = 1_024;
/// Payload bytes read from the journal at once.
const READ_BYTES: usize = 1 << 20;
/// Parcels that lie ready for a lane, so that it never waits for the engine.
const LANE_PARCELS: usize = 2;
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after the journal could not be read.
const READ_RETRY: Duration = Duration::from_secs(1);
/// What may fail.
const READING: &str = "reading";
const COMMITTING: &str = "committing";
/// Failures between two that are logged, one a second.
const FAILURES_PER_WARNING: u64 = 60;
/// How long requests under way may still be answered when the exporter must end.
const ANSWER_GRACE: Duration = Duration::from_secs(1);
/// How long an exporter that sends what is left goes on without any answer, where that is on disk, and how often it looks.
const UNANSWERED_PATIENCE: Duration = Duration::from_secs(1);
const UNANSWERED_LOOK: Duration = Duration::from_millis(100);
/// How long a read waits for room in the budget, and the pause before it waits again.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);
const ROOM_RETRY: Duration = Duration::from_millis(100);
type Job = Pin<Box<dyn Future<Output = (Source, Done)> + Send>>;

/// One exporter.
pub(crate) struct Exporter {
    name: String,
    /// Whether it begins here, behind all that was stored before.
    is_new: bool,
    shared: Arc<Shared>,
    books: Arc<Books>,
    booked: watch::Receiver<u64>,
    give_up: CancellationToken,
    memory: MemoryBudget,
    /// Away while a job runs.
    source: Option<Source>,
    job: Option<Job>,
    window: Window,
    queues: Vec<VecDeque<Parcel>>,
    /// All up to here was read, or lost to damage.
    read_through: u64,
    read_not_before: Instant,
    settled: u64,
    committed: u64,
    committed_at: Instant,
    /// Payload bytes settled since the last commit, and how many make the next one due.
    settled_bytes: u64,
    commit_bytes: u64,
    /// The next commit is due whatever the time.
    commits_now: bool,
    grant: Grant,
    /// When it began to send what is left, or was last answered since.
    drain_moved_at: Option<Instant>,
    /// What it has not sent outlives the machine's end.
    is_durable: bool,
}

/// The lanes' ends in the engine's hands.
struct Lanes {
    tasks: JoinSet<()>,
    parcels: Vec<mpsc::Sender<Parcel>>,
    settlements: mpsc::Receiver<Settlement>,
}

impl Exporter {
    /// Whether it begins with what is stored from now on, because there was none of its name.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Sends until the buffer takes nothing more and everything in it is settled, or it must give up.
    pub(crate) async fn run(mut self) {
        let mut lanes = self.start_lanes();
        let mut is_open = true;
        while is_open || !self.is_caught_up() {
            if !is_open && self.drains() {
                break;
            }
            self.feed(&lanes);
            self.start_job();
            let wake_at = self.wake_at().into_iter().chain(self.looks_at()).min();
            tokio::select! {
                biased;
                () = self.give_up.cancelled() => break,
                Some(settlement) = lanes.settlements.recv() => self.take(settlement, &mut lanes),
                (source, done) = poll_job(&mut self.job), if self.job.is_some() => self.end_job(source, done),
                changed = self.booked.changed(), if is_open => is_open = changed.is_ok(),
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
            }
            self.settle();
        }
        self.finish(lanes).await;
    }

    /// Nothing more comes. True when the rest is not waited for, as nobody answers: it is on disk.
    fn drains(&mut self) -> bool {
        let now = Instant::now();
        let Some(moved_at) = self.drain_moved_at else {
            self.drain_moved_at = Some(now);
            self.shared.standing.drains();
            // What waits out a pause is tried once more.
            self.shared.recovery.notify_waiters();
            return false;
        };
        let is_over = now >= moved_at + UNANSWERED_PATIENCE;
        let gives_up = is_over && self.is_durable && self.shared.standing.is_unanswered();
        if gives_up {
            self.shared.standing.gives_up();
            tracing::warn!(
                exporter = self.name,
                "the destination does not answer, what is left is sent after the next start"
            );
        }
        gives_up
    }

    /// While it drains: when to look whether anybody answers.
    fn looks_at(&self) -> Option<Instant> {
        let look = self.drain_moved_at? + UNANSWERED_PATIENCE;
        self.is_durable
            .then(|| look.max(Instant::now() + UNANSWERED_LOOK))
    }

    fn start_lanes(&self) -> Lanes {
        let mut tasks = JoinSet::new();
        let mut parcels = Vec::new();
        let (settled, settlements) = mpsc::channel(self.queues.len().max(1) * LANE_PARCELS);
        let lanes = self.queues.len().max(1) as u64;
        for number in (0..).take(self.queues.len()) {
            let (sender, receiver) = mpsc::channel(LANE_PARCELS);
            parcels.push(sender);
            let lane = Lane {
                shared: Arc::clone(&self.shared),
                parcels: receiver,
                settled: settled.clone(),
                delivered: (self.committed > 0 && self.committed % lanes == number)
                    .then_some((self.committed, Signal::Logs)),
            };
            tasks.spawn(lane.run());
        }
        Lanes {
            tasks,
            parcels,
            settlements,
        }
    }

    /// Nothing is there that was not settled.
    fn is_caught_up(&self) -> bool {
        self.job.is_none() && self.window.is_empty() && self.read_through >= *self.booked.borrow()
    }

    /// Gives every lane what it has room for.
    fn feed(&mut self, lanes: &Lanes) {
        for (queue, lane) in self.queues.iter_mut().zip(&lanes.parcels) {
            while self.grant.covers(queue) {
                let Ok(place) = lane.try_reserve() else { break };
                if let Some(parcel) = queue.pop_front() {
                    place.send(parcel);
                }
            }
        }
    }

    fn start_job(&mut self) {
        let now = Instant::now();
        let booked = *self.booked.borrow();
        let commit = self.commit_is_due(now);
        let read = self.wants_to_read(booked) && now >= self.read_not_before;
        if !commit && !read {
            return;
        }
        let Some(source) = self.source.take() else {
            return;
        };
        self.job = Some(if commit {
            let (through, account) = (self.settled, self.account());
            let unsent = self.window.under_way(self.shared.under_way.through());
            Box::pin(blocking(move || source.commit(through, &account, &unsent)))
        } else {
            Box::pin(read_within(
                source,
                booked,
                self.memory.clone(),
                self.window.is_empty(),
            ))
        });
    }

    fn commit_is_due(&self, now: Instant) -> bool {
        if self.grant.is_wanted(&self.queues, &self.window, now) {
            return true;
        }
        let is_time = now.duration_since(self.committed_at) >= COMMIT_INTERVAL;
        match self.settled > self.committed {
            true => is_time || self.commits_now || self.settled_bytes >= self.commit_bytes,
            false => is_time && self.books.is_unsaved(&self.name),
        }
    }

    fn wants_to_read(&self, booked: u64) -> bool {
        booked > self.read_through && self.window.has_room(WINDOW_RECORDS, READ_AHEAD_BYTES)
    }

    /// When something is due that no event tells of.
    fn wake_at(&self) -> Option<Instant> {
        if self.job.is_some() {
            return None;
        }
        let commits = self.settled > self.committed || self.books.is_unsaved(&self.name);
        let commit = commits.then(|| self.committed_at + COMMIT_INTERVAL);
        let read = self
            .wants_to_read(*self.booked.borrow())
            .then_some(self.read_not_before);
        let grant = self.grant.retry_at(&self.queues);
        commit.into_iter().chain(read).chain(grant).min()
    }

    fn end_job(&mut self, source: Source, done: Done) {
        self.job = None;
        self.source = Some(source);
        match done {
            Done::Read { items, through } => {
                self.shared.health.works(READING);
                self.read_through = self.read_through.max(through);
                items.into_iter().for_each(|item| self.enter(item));
            }
            Done::NoRoom => self.read_not_before = Instant::now() + ROOM_RETRY,
            Done::ReadFailed(error) => {
                let error = with_causes(&error);
                let fault = format!("the buffer cannot be read: {error}");
                let failures = self.shared.health.fails(READING, Some(fault));
                if failures.is_multiple_of(FAILURES_PER_WARNING) {
                    tracing::error!(
                        error,
                        exporter = self.name,
                        "buffer cannot be read, trying again every second"
                    );
                }
                self.read_not_before = Instant::now() + READ_RETRY;
            }
            Done::Committed { result, gone } => {
                self.end_commit(result);
                self.leave_out(gone);
            }
        }
    }

    /// What is to be stored with the position.
    fn account(&self) -> Account {
        let mut account = self.books.account(&self.name);
        account.sent_through = self.grant.next(&self.window);
        account
    }

    /// Records that the buffer has taken since they were read are not sent: nothing would tell after a crash that
    /// they had been.
    fn leave_out(&mut self, mut gone: Vec<u64>) {
        // A lane may have come to one before it went.
        let sent_through = self.shared.under_way.through();
        gone.retain(|sequence| *sequence > sent_through);
        if gone.is_empty() {
            return;
        }
        for queue in &mut self.queues {
            queue.retain(|parcel| gone.binary_search(&parcel.sequence).is_err());
        }
        gone.iter()
            .for_each(|sequence| self.window.evicted(*sequence));
    }

    fn end_commit(&mut self, result: Result<Stored, CommitError>) {
        self.committed_at = Instant::now();
        (self.settled_bytes, self.commits_now) = (0, false);
        match result {
            Ok(stored) => {
                self.committed = stored.through;
                self.grant.stored(stored.sent_through);
                self.books.stored(&self.name, &stored.settled);
                self.shared.health.works(COMMITTING);
            }
            Err(error) => {
                self.grant.failed(self.committed_at + COMMIT_INTERVAL);
                self.books.not_stored(&self.name);
                let is_full = matches!(error, CommitError::Journal(JournalError::NoSpace { .. }));
                let error = with_causes(&error);
                let fault = format!(
                    "progress cannot be stored, what is sent since is sent again after a restart, and its room not given back: {error}"
                );
                let fault = (!is_full).then_some(fault);
                let failures = self.shared.health.fails(COMMITTING, fault);
                if failures.is_multiple_of(FAILURES_PER_WARNING) {
                    tracing::warn!(
                        error,
                        exporter = self.name,
                        "progress could not be stored, trying again every second"
                    );
                }
            }
        }
    }

    /// A record that was read.
    fn enter(&mut self, item: Item) {
        let Item {
            sequence,
            contents,
            parcel,
            is_missed,
            is_on_disk,
        } = item;
        self.read_through = self.read_through.max(sequence);
        // What went while it was read has been counted as dropped.
        let is_taken = !is_on_disk && self.grant.is_limited();
        let is_foreign = parcel.is_none();
        let parcel = parcel.filter(|_| !is_taken);
        let slot = Slot {
            sequence,
            contents,
            packed_bytes: parcel
                .as_ref()
                .map_or(0, |parcel| parcel.body.bytes().len()),
            state: match parcel {
                Some(_) => State::UnderWay,
                None if is_missed => State::Missed,
                None if is_foreign => State::Skipped,
                None => State::Evicted,
            },
        };
        if let Some(end) = slot.end() {
            self.shared.under_way.reads(sequence, end);
        }
        self.window.push(slot);
        let lanes = self.queues.len().max(1) as u64;
        let lane = usize::try_from(sequence % lanes).unwrap_or(0);
        if let (Some(parcel), Some(queue)) = (parcel, self.queues.get_mut(lane)) {
            queue.push_back(parcel);
        }
    }

    /// Takes this settlement and those that wait behind it.
    fn take(&mut self, settlement: Settlement, lanes: &mut Lanes) {
        self.drain_moved_at = self.drain_moved_at.map(|_| Instant::now());
        let mut next = Some(settlement);
        while let Some(settlement) = next {
            self.window.answered(settlement);
            next = lanes.settlements.try_recv().ok();
        }
    }

    /// Enters in the books what is answered, in order.
    fn settle(&mut self) {
        let booked = *self.booked.borrow();
        while let Some(slot) = self.window.pop_settled(booked) {
            self.settled = slot.sequence;
            self.settled_bytes += slot.contents.as_ref().map_or(0, |c| c.amount.bytes);
            if matches!(slot.state, State::Answered(fate) if fate.is_refusal()) {
                // Soon, so that after a crash little is refused and put aside a second time.
                self.commits_now = true;
            }
            slot.enter_in(&self.books, &self.name);
        }
        let metrics = &self.shared.metrics;
        metrics.read_ahead(&self.name, self.window.packed_bytes());
        match self.window.is_empty() {
            true => self.shared.health.moved(),
            false => self.shared.health.waits(),
        }
    }

    /// Waits a little for what is under way, takes what has been answered, and commits.
    async fn finish(mut self, mut lanes: Lanes) {
        let limiter = self.shared.limiter.clone();
        if timeout(ANSWER_GRACE, limiter.close()).await.is_err() {
            tracing::info!(
                exporter = self.name,
                "requests without an answer are sent again later"
            );
        }
        lanes.tasks.shutdown().await;
        lanes.settlements.close();
        while let Some(settlement) = lanes.settlements.recv().await {
            self.window.answered(settlement);
        }
        self.settle();
        if let Some(job) = self.job.take() {
            let (source, done) = job.await;
            self.end_job(source, done);
        }
        // What was never sent is nothing that the next start would have to hold.
        let stored = self.grant.stored_through();
        let sent_through = stored.min(self.shared.under_way.through());
        if (self.settled > self.committed
            || self.books.is_unsaved(&self.name)
            || sent_through < stored)
            && let Some(source) = self.source.take()
        {
            let (through, mut account) = (self.settled, self.books.account(&self.name));
            account.sent_through = sent_through;
            let (_source, done) = blocking(move || source.commit(through, &account, &[])).await;
            if let Done::Committed { result, .. } = done {
                self.end_commit(result);
            }
        }
    }
}

/// Reads when there is room in the budget; at all events when it `must`.
async fn read_within(
    source: Source,
    booked: u64,
    memory: MemoryBudget,
    must: bool,
) -> (Source, Done) {
    let room = timeout(
        ROOM_PATIENCE,
        memory.acquire(MemoryKind::Export, READ_BYTES),
    );
    let room = room.await.ok();
    if room.is_none() && !must {
        return (source, Done::NoRoom);
    }
    blocking(move || source.read(READ_BYTES, booked, room)).await
}

async fn poll_job(job: &mut Option<Job>) -> (Source, Done) {
    match job {
        Some(job) => job.await,
        None => std::future::pending().await,
    }
}
