//! Puts an exporter together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vervet_journal::{Journal, OnFull};
use vervet_model::Clock;

use super::super::dead_letter::DeadLetters;
use super::super::lane::{Pauses, Shared};
use super::super::limiter::Limiter;
use super::super::metrics::ExporterMetrics;
use super::super::sender::{OpenError, Packer, Sender};
use super::super::settings::{ExporterConfig, ExporterKind, QueuePolicy};
use super::super::trouble::{Repeated, Trouble};
use super::super::under_way::UnderWay;
use super::Exporter;
use super::grant::Grant;
use super::source::{self, Source};
use super::window::Window;
use crate::agent_id::AgentIdentity;
use crate::books::{Books, Place};
use crate::budget::MemoryBudget;
use crate::buffer::{JournalGap, Totals};
use crate::health::StageHealth;
use crate::pipeline::SignalSet;

/// Payload bytes after which to commit early: a sixteenth of the disk budget within these bounds.
const COMMIT_BYTES: (u64, u64) = (64 << 10, 16 << 20);
const COMMIT_SHARE: u64 = 16;
/// Pauses of kinds that have no settings for it.
const LOCAL_PAUSES: Pauses = Pauses {
    answer_max: None,
    initial: Duration::from_millis(500),
    max: Duration::from_secs(10),
};

/// What the cursors of all exporters begin with.
pub(crate) const CURSOR_PREFIX: &str = "exporter-";

/// The journal cursor of an exporter.
pub(crate) fn cursor_name(exporter: &str) -> String {
    format!("{CURSOR_PREFIX}{exporter}")
}

/// What an exporter shares with the rest of the agent.
pub(crate) struct ExporterParts {
    pub(crate) identity: AgentIdentity,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) books: Arc<Books>,
    /// What was missing in the journal when it was opened.
    pub(crate) gaps: Arc<[JournalGap]>,
    /// Sequence up to which the books know the journal's records. Closed when nothing more will come.
    pub(crate) booked: watch::Receiver<u64>,
    pub(crate) health: StageHealth,
    pub(crate) memory: MemoryBudget,
    pub(crate) metrics: Arc<ExporterMetrics>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The journal is on a disk, not in memory.
    pub(crate) is_durable: bool,
    /// How long it may be idle before it shows that the agent lives.
    pub(crate) alive_interval: Duration,
    /// Cancelled when it must end now.
    pub(crate) give_up: CancellationToken,
}

impl Exporter {
    /// Opens the exporter's cursor and book; `appended` is all that the journal ever took, and the sequence up to which that
    /// is: where a new exporter begins.
    ///
    /// # Errors
    /// The cursor cannot be opened, or the endpoint or its certificates make no sense.
    #[expect(
        clippy::too_many_lines,
        reason = "one field after the other, with the order of their making between"
    )]
    pub(crate) fn open(
        name: &str,
        config: &ExporterConfig,
        signals: SignalSet,
        journal: &Journal,
        (appended, through): (&Totals, u64),
        parts: ExporterParts,
    ) -> Result<Self, OpenError> {
        let sender = Sender::open(&config.kind)?;
        let packer = Packer::new(&config.kind)?;
        let (pauses, concurrency_max) = manners(&config.kind);
        let begin = (appended, through);
        let opened = source::open_cursor(journal, &cursor_name(name), begin)?;
        let (mut cursor, mut account, is_new) = opened;
        let identity = match account.has_own_lanes {
            true => parts.identity.in_lanes_of(&own_lanes(name)),
            false => parts.identity,
        };
        let may_lose = config.on_full == QueuePolicy::DropOldest;
        // Only such an exporter stores how far it may send; it may be another kind of one now.
        let was_orphaned = std::mem::take(&mut account.was_orphaned);
        let is_back = account.returns(Place {
            through,
            appended: *appended,
        });
        let may_have_lost = may_lose || was_orphaned || account.sent_through > 0;
        let gone = source::gone(&mut cursor, &account, appended, &parts.gaps, may_have_lost)?;
        let sent_through = account.sent_through.min(journal.last_sequence());
        let missed = account.missed().collect();
        let is_stored = !is_back || source::store_return(&mut cursor, &account);
        parts.books.open(name, signals, account, appended);
        if !is_stored {
            parts.books.not_stored(name);
        }
        gone.into_iter()
            .for_each(|gone| parts.books.gone(name, gone));
        let under_way = match may_lose {
            true => UnderWay::of(cursor.holder(), sent_through, (name, &parts.books)),
            false => UnderWay::unlimited(),
        };
        if may_lose {
            cursor.set_policy(OnFull::DropOldest);
        }
        let committed = cursor.committed();
        let commit_bytes = commit_bytes(journal);
        let lanes = usize::try_from(sender.lanes()).unwrap_or(1);
        let shared = Shared {
            name: name.to_owned(),
            identity,
            sender,
            plain: packer.plain(),
            limiter: Limiter::new(concurrency_max),
            pauses,
            trouble: Trouble::default(),
            refusals: Repeated::default(),
            standing: parts.metrics.standings.open(name, Arc::clone(&parts.clock)),
            under_way,
            recovery: Notify::new(),
            dead_letters: parts.dead_letters,
            health: parts.health,
            metrics: parts.metrics,
            clock: parts.clock,
            alive_interval: parts.alive_interval,
        };
        let now = Instant::now();
        Ok(Self {
            name: name.to_owned(),
            is_new,
            shared: Arc::new(shared),
            books: parts.books,
            booked: parts.booked,
            give_up: parts.give_up,
            memory: parts.memory,
            source: Some(Source::new(cursor, packer, signals, missed)),
            job: None,
            window: Window::default(),
            queues: (0..lanes).map(|_| VecDeque::new()).collect(),
            read_through: committed,
            read_not_before: now,
            settled: committed,
            committed,
            committed_at: now,
            settled_bytes: 0,
            commits_now: false,
            commit_bytes,
            drain_moved_at: None,
            is_durable: parts.is_durable,
            grant: match may_lose {
                true => Grant::limited(sent_through, commit_bytes),
                false => Grant::unlimited(),
            },
        })
    }
}

/// The pauses of an exporter, and how many requests may be under way at once.
fn manners(kind: &ExporterKind) -> (Pauses, u32) {
    match kind {
        ExporterKind::Otlp(config) | ExporterKind::OtlpHttp(config) => {
            let pauses = Pauses {
                answer_max: Some(config.timeout),
                initial: config.retry_initial,
                max: config.retry_max,
            };
            (pauses, config.concurrency_max)
        }
        ExporterKind::File(_) | ExporterKind::Debug(_) => (LOCAL_PAUSES, 1),
    }
}

/// What stands between the agent's id and the lane of an exporter with lanes of its own. A destination compares what comes
/// with the highest sequence of its lane: what others are behind with would look like repeats.
fn own_lanes(exporter: &str) -> String {
    format!("#{:016x}", xxhash_rust::xxh3::xxh3_64(exporter.as_bytes()))
}

fn commit_bytes(journal: &Journal) -> u64 {
    let (least, most) = COMMIT_BYTES;
    let share = journal.stats().disk_bytes_max / COMMIT_SHARE;
    share.clamp(least, most)
}
