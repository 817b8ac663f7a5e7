//! What the agent says of itself.
//!
//! Complaints are said at once: an exporter that retries or drains, a buffer that is closed, a stage or a receiver that has not
//! moved for a minute. They make it not ready. Warnings are of what goes wrong while data flows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use vervet_journal::{CursorStats, Journal, OnFull};
use vervet_model::{Clock, UnixNanos};

use crate::books::{BookLine, Books, LEFT_OUT, Loss, PipelineLine, ReceiverLine};
use crate::budget::{MemoryUse, MemoryWatch};
use crate::buffer::{PositionKeeping, TOO_LARGE};
use crate::exporters::dead_letter::{DeadLetters, HeldLetters};
use crate::exporters::{
    CURSOR_PREFIX, ExporterStanding, ExporterState, LastError, LeftOut, Standings, cursor_name,
};
use crate::figures::{bytes, count, seconds};
use crate::health::{Stages, Want};
use crate::kubernetes::{PodDirectory, SourceStatus};
use crate::metrics::AgentMetrics;
use crate::receivers::filelog::progress::FilesStatus;
use crate::reloads::{self, ReloadStatus, Reloads};
use crate::stops::{LostAtStops, Stops};
use crate::tap::TapHub;

/// The reason that books give for what `on_full: drop_oldest` took.
const EVICTED: &str = Loss::Evicted.reason();
/// The reason that books give for what cannot be read.
const DAMAGED: &str = Loss::Damage.reason();
/// How long a loss for lack of room is worth a warning. What was lost stays told beside the exporter.
pub(crate) const LOSS_IS_RECENT: Duration = Duration::from_secs(3_600);
/// So long may a record wait to be delivered by an exporter that works before that is worth a warning.
const LAG_MAX: Duration = Duration::from_secs(300);
/// A destination that has not answered for so long is worth a warning.
const SLOW_ANSWER: Duration = Duration::from_secs(2);

/// What the agent knows of itself. Clones share it.
#[derive(Clone)]
pub(crate) struct SelfView {
    pub(crate) agent_id: Arc<str>,
    pub(crate) metrics: Arc<AgentMetrics>,
    pub(crate) books: Arc<Books>,
    pub(crate) journal: Journal,
    pub(crate) keeping: PositionKeeping,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) memory: MemoryWatch,
    pub(crate) stages: Stages,
    pub(crate) standings: Standings,
    pub(crate) reloads: Reloads,
    pub(crate) pods: PodDirectory,
    pub(crate) tap: TapHub,
    pub(crate) stops: Stops,
    pub(crate) clock: Arc<dyn Clock>,
    /// Cancelled when answers without end must end.
    pub(crate) end: CancellationToken,
}

/// The answer of `/api/vervet/v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub agent_id: String,
    pub version: &'static str,
    /// Why data does not flow, as of now; empty when it does.
    pub complaints: Vec<String>,
    /// What goes wrong while data flows.
    pub warnings: Vec<String>,
    /// How each exporter is doing, and where it stands in the disk buffer.
    pub exporters: Vec<ExporterStatus>,
    /// The configuration at work, and whether the last one was taken over.
    pub config: ReloadStatus,
    pub buffer: BufferStatus,
    pub memory: MemoryUse,
    /// The files being read.
    pub files: FilesStatus,
    /// The source of pods; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<SourceStatus>,
    /// What destinations refused for good and is kept, also from earlier; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<HeldLetters>,
    /// What stops of this agent have lost for good; absent when none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at_stops: Option<LostAtStops>,
    /// Whether every line below adds up.
    pub balances: bool,
    /// One line per receiver and signal, since the process started.
    pub receivers: Vec<ReceiverLine>,
    /// One line per pipeline and exporter, from receiver to destination, since the exporter is in this process.
    pub pipelines: Vec<PipelineLine>,
    /// One line per exporter and signal, since the exporter exists.
    pub books: Vec<BookLine>,
}

/// How an exporter is doing, and how far it is behind.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ExporterStatus {
    pub exporter: String,
    /// `None` for a backlog whose exporter is not configured any more.
    pub state: Option<ExporterState>,
    /// Since when it is in this state (RFC 3339).
    pub since: Option<String>,
    pub for_seconds: Option<u64>,
    /// Failed attempts of the requests that are tried again.
    pub attempts: u64,
    /// When a failed request is tried again (RFC 3339); absent when none is, or an attempt is under way.
    pub next_attempt: Option<String>,
    pub next_attempt_in_seconds: Option<f64>,
    /// The destination has asked not to be sent anything before that.
    pub waits_as_asked: bool,
    pub last_error: Option<LastError>,
    /// Records that the destination left out of requests it took, since the exporter exists.
    pub left_out_records: u64,
    /// Of those since the process started: when, and what it said.
    pub left_out: Option<LeftOut>,
    /// How long something has been there to send and no answer has come.
    pub unanswered_seconds: Option<u64>,
    /// Sequence up to which it has settled and stored that.
    pub committed: u64,
    /// Batches on disk behind that.
    pub behind_batches: u64,
    /// What its books hold, in bytes of OTLP; about, in bytes on disk, for one that is not configured any more.
    pub behind_bytes: u64,
    /// Batches taken from it because the disk budget was used up, since the process started.
    pub dropped_batches: u64,
    /// Records that `on_full: drop_oldest` took from it, since the exporter exists.
    pub evicted_records: u64,
    /// When it last did (RFC 3339); absent when that is not known.
    pub last_evicted: Option<String>,
    pub last_evicted_ago_seconds: Option<u64>,
    /// How long the oldest record that it has not settled has been in the buffer.
    pub oldest_age_seconds: Option<u64>,
}

/// The disk buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BufferStatus {
    pub disk_bytes: u64,
    pub disk_bytes_max: u64,
    pub segments: u64,
    pub last_sequence: u64,
    /// Bytes that the disk did not give when the buffer was opened; they are kept.
    pub unreadable_bytes: u64,
    /// Copies of damaged ranges on disk, also from earlier.
    pub quarantined_bytes: u64,
    /// The volume had no room for the last append.
    pub volume_full: bool,
    /// A failed sync has closed the buffer for writing.
    pub poisoned: bool,
}

impl SelfView {
    pub(crate) fn status(&self) -> Status {
        let stats = self.journal.stats();
        let (pipelines, books) = (self.books.pipelines(), self.books.lines());
        let exporters = self.exporters(stats.cursors, &books);
        Status {
            agent_id: self.agent_id.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            complaints: self.complaints(),
            warnings: self.warnings(),
            config: self.reloads.status(self.clock.now()),
            buffer: BufferStatus {
                disk_bytes: stats.disk_bytes,
                disk_bytes_max: stats.disk_bytes_max,
                segments: stats.segments,
                last_sequence: stats.last_sequence,
                unreadable_bytes: stats.unreadable_bytes,
                quarantined_bytes: self.journal.quarantine_bytes(),
                volume_full: stats.volume_full,
                poisoned: stats.poisoned,
            },
            memory: self.memory.budget().usage(),
            files: self.metrics.filelog.progress.snapshot(),
            kubernetes: self.pods.status(),
            dead_letters: self.dead_letters.held(),
            lost_at_stops: self.stops.known(),
            balances: pipelines.iter().all(|line| line.balances)
                && books.iter().all(BookLine::balances),
            receivers: self.metrics.intake().lines(),
            pipelines,
            books,
            exporters,
        }
    }

    fn exporters(&self, cursors: Vec<CursorStats>, books: &[BookLine]) -> Vec<ExporterStatus> {
        let held_bytes = |exporter: &str| {
            let own = books.iter().filter(|line| line.exporter == exporter);
            own.map(|line| line.held.bytes)
                .reduce(|sum, held| sum + held)
        };
        let lines = cursors.into_iter().filter_map(|cursor| {
            let exporter = cursor.name.strip_prefix(CURSOR_PREFIX)?;
            let mut status = ExporterStatus::of(exporter, self.standings.of(exporter));
            status.committed = cursor.committed;
            status.behind_batches = cursor.lag_records;
            status.behind_bytes = held_bytes(exporter).unwrap_or(cursor.lag_bytes);
            status.dropped_batches = cursor.dropped_records;
            let dropped = |reason: &str| {
                let own = books.iter().filter(|line| line.exporter == exporter);
                let gone = own.filter_map(|line| line.dropped.get(reason));
                gone.map(|gone| gone.records).sum()
            };
            status.evicted_records = dropped(EVICTED);
            status.left_out_records = dropped(LEFT_OUT);
            let last = self.books.evicted_at(exporter);
            status.last_evicted = last.map(reloads::text);
            status.last_evicted_ago_seconds = last.map(|at| self.clock.now().since(at).as_secs());
            status.oldest_age_seconds = self.books.oldest_age(exporter).map(|age| age.as_secs());
            status.unanswered_seconds = self.unanswered(exporter).map(|waited| waited.as_secs());
            Some(status)
        });
        lines.collect()
    }

    fn unanswered(&self, exporter: &str) -> Option<Duration> {
        self.stages.waited(&cursor_name(exporter))
    }

    /// Why data does not flow, as of now.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints: Vec<String> = self.full().into_iter().collect();
        let mut told = Vec::new();
        for (name, standing) in self.standings.all() {
            let blocks = matches!(
                standing.state,
                ExporterState::Retrying | ExporterState::Draining
            );
            if let Some(trouble) = standing.trouble().filter(|_| blocks) {
                complaints.push(format!("exporter {name}: {trouble}"));
                told.push(cursor_name(&name));
            }
        }
        let faults = self.stages.faults().into_iter();
        complaints.extend(
            faults.map(|(stage, fault)| match stage.strip_prefix(CURSOR_PREFIX) {
                Some(exporter) => format!("exporter {exporter}: {fault}"),
                None => format!("{stage}: {fault}"),
            }),
        );
        let stuck = self.stages.complaints();
        let stuck = stuck.into_iter().filter(|(stage, _)| !told.contains(stage));
        complaints.extend(stuck.map(|(_, complaint)| complaint));
        complaints.extend(self.others());
        complaints
    }

    /// Why receivers wait for room on disk, if they do, and what ends it.
    fn full(&self) -> Option<String> {
        let stats = self.journal.stats();
        match self.stages.wants("buffer") {
            Want::Other => return None,
            Want::Budget => {}
            Want::Volume => {
                return Some(format!(
                    "no space left on the volume of data_dir (the buffer holds {} of its {}), receivers wait; \
                     make room there, or bring back the destinations",
                    bytes(stats.disk_bytes as f64),
                    bytes(stats.disk_bytes_max as f64)
                ));
            }
        }
        let holding = stats
            .cursors
            .iter()
            .filter(|cursor| cursor.lag_records > 0 && cursor.on_full == OnFull::Block);
        let holding = holding.filter_map(|cursor| cursor.name.strip_prefix(CURSOR_PREFIX));
        let holding: Vec<&str> = holding.collect();
        // Once all is sent there is room again, though nothing may have come to use it.
        if holding.is_empty() {
            return None;
        }
        Some(format!(
            "disk budget used up ({} of {}), receivers wait; bring back the destination of {}, or let its oldest records go \
             with `on_full: drop_oldest` and SIGHUP; a larger limits.disk needs a restart, which loses what waits of deleted files",
            bytes(stats.disk_bytes as f64),
            bytes(stats.disk_bytes_max as f64),
            holding.join(", ")
        ))
    }

    /// That an exporter that works is behind for long, if it is.
    fn lags(&self, exporter: &str) -> Option<String> {
        let age = self.books.oldest_age(exporter)?;
        (age > LAG_MAX).then(|| {
            format!(
                "exporter {exporter}: works, but the oldest record that is not delivered has waited for {} (more than {}): the \
                 destination takes less than what comes, or what an outage has left is being sent",
                seconds(age.as_secs_f64()),
                seconds(LAG_MAX.as_secs_f64())
            )
        })
    }

    /// When the latest loss for lack of room was, if that is not long ago.
    fn recently_evicted(&self, exporter: &str) -> Option<UnixNanos> {
        let last = self.books.evicted_at(exporter)?;
        (self.clock.now().since(last) < LOSS_IS_RECENT).then_some(last)
    }

    /// Records that are gone from the buffer and were not delivered: to damage, or for lack of room not long ago.
    fn lost(&self) -> Vec<String> {
        let mut by_loss: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for line in self.books.lines() {
            for loss in [EVICTED, DAMAGED] {
                let gone = line.dropped.get(loss).map_or(0, |gone| gone.records);
                *by_loss.entry((line.exporter.clone(), loss)).or_default() += gone;
            }
        }
        let lost = by_loss.into_iter().filter(|(_, records)| *records > 0);
        let told = lost.filter_map(|((name, loss), records)| {
            let records = count(&records.to_string());
            if loss == DAMAGED {
                return Some(format!(
                    "exporter {name}: {records} records lost to damage of the buffer; what is left of them: \
                     `vervet-agent buffer export --quarantine`"
                ));
            }
            let last = reloads::text(self.recently_evicted(&name)?);
            Some(format!(
                "exporter {name}: {records} records dropped for lack of room on disk (on_full: drop_oldest), last at {last}"
            ))
        });
        told.collect()
    }

    /// What of the buffer the disk did not give, if anything.
    fn unreadable(&self) -> Option<String> {
        let hidden = self.journal.stats().unreadable_bytes;
        (hidden > 0).then(|| {
            format!(
                "buffer: the disk did not give {} when it was opened, exporters go on behind; the files are kept until their \
                 room is needed: look at the disk, then `vervet-agent buffer verify`",
                bytes(hidden as f64)
            )
        })
    }

    /// What receivers have dropped because no append can hold it.
    fn too_large(&self) -> Vec<String> {
        let lines = self.metrics.intake().lines().into_iter();
        let dropped = lines.filter_map(|line| {
            let records = line.dropped.get(TOO_LARGE)?.records;
            (records > 0).then(|| {
                format!(
                    "receiver {}: {} records of {} dropped, each larger than limits.disk allows",
                    line.receiver,
                    count(&records.to_string()),
                    line.signal
                )
            })
        });
        dropped.collect()
    }

    /// What somebody has removed of the buffer while the agent runs, if anything.
    fn removed(&self) -> Option<String> {
        let stats = self.journal.stats();
        let text = match (stats.put_back, stats.lost_segments) {
            (0, 0) => return None,
            (_, 0) => "nothing is lost".to_owned(),
            (_, segments) => format!(
                "{} batches in {segments} segments are lost to exporters that had not sent them",
                count(&stats.lost_records.to_string())
            ),
        };
        Some(format!(
            "buffer: files of it were removed while the agent runs; what could be was put back, {text}"
        ))
    }

    /// What has not moved for [`crate::health::STUCK_AFTER`].
    pub(super) fn stuck(&self) -> Vec<String> {
        let stages = self.stages.complaints().into_iter();
        let mut complaints: Vec<String> = stages.map(|(_, complaint)| complaint).collect();
        complaints.extend(self.others());
        complaints
    }

    fn others(&self) -> Vec<String> {
        let mut complaints = self.metrics.filelog.progress.complaints(Instant::now());
        complaints.extend(self.memory.complaint());
        complaints.extend(self.keeping.complaint(self.clock.now()));
        if self.journal.stats().poisoned {
            complaints.push("buffer: a failed sync has closed it for writing".to_owned());
        }
        complaints
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (name, standing) in self.standings.all() {
            let waited = self
                .unanswered(&name)
                .filter(|waited| *waited >= SLOW_ANSWER);
            if let (ExporterState::Ok | ExporterState::Rejecting, Some(waited)) =
                (standing.state, waited)
            {
                let waited = waited.as_secs();
                warnings.push(format!(
                    "exporter {name}: the destination has not answered for {waited} s"
                ));
            }
            if let ExporterState::Ok | ExporterState::Rejecting = standing.state {
                warnings.extend(self.lags(&name));
            }
            if let (ExporterState::Rejecting, Some(trouble)) = (standing.state, standing.trouble())
            {
                warnings.push(format!("exporter {name}: {trouble}"));
            }
            let past = standing.past_rejections.iter();
            warnings.extend(past.map(|told| format!("exporter {name}: {told}")));
        }
        warnings.extend(self.lost());
        warnings.extend(self.unreadable());
        warnings.extend(self.keeping.warnings());
        let letters = self.dead_letters.lost();
        let letters = letters.filter(|(at, _)| self.clock.now().since(*at) < LOSS_IS_RECENT);
        warnings.extend(letters.map(|(_, told)| told));
        let made_room = self.dead_letters.made_room();
        let made_room = made_room.filter(|(at, _)| self.clock.now().since(*at) < LOSS_IS_RECENT);
        warnings.extend(made_room.map(|(_, told)| told));
        warnings.extend(self.removed());
        warnings.extend(self.too_large());
        let stops = self.stops.known();
        let stops = stops.filter(|lost| self.clock.now().since(lost.last_at()) < LOSS_IS_RECENT);
        warnings.extend(stops.map(|lost| lost.told()));
        warnings.extend(self.metrics.filelog.progress.warnings());
        warnings.extend(self.reloads.oddities());
        warnings.extend(self.reloads.warning());
        warnings
    }
}

impl ExporterStatus {
    fn of(exporter: &str, standing: Option<ExporterStanding>) -> Self {
        let mut status = Self {
            exporter: exporter.to_owned(),
            ..Self::default()
        };
        if let Some(standing) = standing {
            status.state = Some(standing.state);
            status.since = Some(standing.since);
            status.for_seconds = Some(standing.for_seconds);
            status.attempts = standing.attempts;
            status.next_attempt = standing.next_attempt;
            status.next_attempt_in_seconds = standing.next_attempt_in_seconds;
            status.waits_as_asked = standing.waits_as_asked;
            status.last_error = standing.last_error;
            status.left_out = standing.left_out;
        }
        status
    }
}
