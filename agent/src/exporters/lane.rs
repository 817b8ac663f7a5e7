//! One lane: sends its records one at a time and in order, repeats them until they are answered, and sees to what the
//! destination refuses.
//!
//! A lane that has been idle for [`ALIVE_INTERVAL`] repeats the identity of what it delivered last, with an empty request:
//! a repeat stores nothing, and tells a collector that the agent lives although nothing comes.

mod refused;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use vervet_model::{Clock, Signal};
use vervet_wire::compress::Packed;
use vervet_wire::{Accepted, LANES, Source};

use super::dead_letter::DeadLetters;
use super::limiter::Limiter;
use super::metrics::ExporterMetrics;
use super::retry::{Backoff, Failure, Reach, Verdict};
use super::sender::{Packer, Sender};
use super::standing::{self, Standing};
use super::trouble::{Repeated, Said, Trouble};
use super::under_way::UnderWay;
use crate::agent_id::AgentIdentity;
use crate::budget::MemoryPermit;
use crate::buffer::Totals;
use crate::health::StageHealth;

/// How long an agent may be silent by default because nothing comes: then it shows that it lives.
pub(crate) const ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How long the answer to that is waited for.
const ALIVE_ANSWER_MAX: Duration = Duration::from_secs(5);

/// A journal record on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) sequence: u64,
    pub(super) signal: Signal,
    /// All that was appended to the journal up to its end.
    pub(super) end: Totals,
    pub(super) body: Packed,
    /// Its part of the memory budget.
    pub(super) room: Option<Arc<MemoryPermit>>,
}

/// The record that a request is made of, or a part of it.
#[derive(Debug, Clone, Copy)]
struct Of {
    sequence: u64,
    signal: Signal,
    end: Totals,
}

/// What became of a record: everything not counted here was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Settlement {
    pub(super) sequence: u64,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    /// Records refused for good; they are among the dead letters.
    pub(super) refused: Part,
    /// The same, but they could not be kept.
    pub(super) not_kept: Part,
    /// Records that the destination left out of a request it took. It does not say which: they are no dead letters.
    pub(super) left_out: u64,
    /// The buffer has taken it before it was sent.
    pub(super) is_evicted: bool,
}

/// What the lanes of an exporter share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) identity: AgentIdentity,
    pub(super) sender: Sender,
    pub(super) plain: Packer,
    pub(super) limiter: Limiter,
    pub(super) pauses: Pauses,
    pub(super) trouble: Trouble,
    pub(super) refusals: Repeated,
    pub(super) standing: Arc<Standing>,
    pub(super) under_way: UnderWay,
    /// Tells lanes that wait that another lane's request was accepted.
    pub(super) recovery: Notify,
    pub(super) dead_letters: Arc<DeadLetters>,
    pub(super) health: StageHealth,
    pub(super) metrics: Arc<ExporterMetrics>,
    pub(super) clock: Arc<dyn Clock>,
    /// How long a lane is idle before it shows that the agent lives.
    pub(super) alive_interval: Duration,
}

/// How long to wait for an answer, and between attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    /// `None` for what cannot be given up half-way.
    pub(super) answer_max: Option<Duration>,
    pub(super) initial: Duration,
    pub(super) max: Duration,
}

pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) parcels: mpsc::Receiver<Parcel>,
    pub(super) settled: mpsc::Sender<Settlement>,
    /// The last record of this lane that was settled, `None` while there is none.
    pub(super) delivered: Option<(u64, Signal)>,
}

impl Lane {
    /// Runs until there are no more parcels.
    pub(super) async fn run(mut self) {
        // What the buffer has taken while it was to be tried again: what its attempts have shown is so of the next one.
        let mut left = None;
        while let Some(parcel) = self.next().await {
            let (sequence, signal) = (parcel.sequence, parcel.signal);
            if let Some(before) = left.take() {
                self.shared.standing.goes_on(before, sequence);
            }
            let fate = self.shared.settle(parcel).await;
            match fate.is_evicted {
                true => left = Some(sequence),
                false => self.delivered = Some((sequence, signal)),
            }
            let settlement = Settlement { sequence, fate };
            if self.settled.send(settlement).await.is_err() {
                return;
            }
        }
    }

    /// The next parcel. While there is none the agent shows that it lives; a parcel that comes then does not wait for it.
    async fn next(&mut self) -> Option<Parcel> {
        loop {
            let (shared, delivered) = (&self.shared, self.delivered);
            let idle = async {
                sleep(shared.alive_interval).await;
                shared.show_alive(delivered).await;
            };
            tokio::select! {
                biased;
                parcel = self.parcels.recv() => return parcel,
                () = idle => {}
            }
        }
    }
}

impl Fate {
    /// Whether any of it was refused for good.
    pub(super) fn is_refusal(self) -> bool {
        !self.refused.is_none() || !self.not_kept.is_none()
    }
}

/// Why a request is not sent again.
enum NotTaken {
    Refused(Failure),
    /// The buffer has taken the record.
    Evicted,
}

/// How many of a journal record's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Records(u64),
    /// Nobody could count them.
    All,
}

impl Default for Part {
    fn default() -> Self {
        Self::Records(0)
    }
}

impl Part {
    /// That and so many more.
    pub(super) fn and(self, records: Option<u64>) -> Self {
        match (self, records) {
            (Self::Records(known), Some(more)) => Self::Records(known.saturating_add(more)),
            (Self::All, _) | (_, None) => Self::All,
        }
    }

    fn is_none(self) -> bool {
        self == Self::Records(0)
    }
}

impl Shared {
    /// A failure is of no account: the next request, or the next time, will tell.
    async fn show_alive(&self, delivered: Option<(u64, Signal)>) {
        let Some((sequence, signal)) = delivered.filter(|_| self.sender.lanes() == LANES) else {
            return;
        };
        let body = self.plain.plain().pack(&Bytes::new());
        let source = self.identity.source(sequence);
        let sending = self.sender.send(signal, &body, Some(&source));
        let answer = timeout(ALIVE_ANSWER_MAX, sending).await;
        if !matches!(answer, Ok(Ok(_))) {
            tracing::debug!(
                exporter = self.name,
                "the destination did not answer a sign of life"
            );
        }
    }

    async fn settle(&self, parcel: Parcel) -> Fate {
        let Parcel {
            sequence,
            signal,
            end,
            body,
            room: _until_settled,
        } = parcel;
        let of = Of {
            sequence,
            signal,
            end,
        };
        let source = self.identity.source(sequence);
        match self.send(of, &body, Some(&source)).await {
            Ok(accepted) => Fate {
                left_out: self.left_out(signal, &accepted),
                ..Fate::default()
            },
            Err(NotTaken::Evicted) => Fate {
                is_evicted: true,
                ..Fate::default()
            },
            Err(NotTaken::Refused(failure)) => self.refused(of, &body, failure).await,
        }
    }

    /// Repeats a request until it is accepted or refused for good, or the buffer has taken the record.
    async fn send(
        &self,
        of: Of,
        body: &Packed,
        source: Option<&Source>,
    ) -> Result<Accepted, NotTaken> {
        let sequence = of.sequence;
        let mut backoff = Backoff::new(self.pauses.initial, self.pauses.max);
        let mut was_cut_short = false;
        self.health.waits();
        loop {
            self.standing.tries(sequence);
            let Some(answer) = self.attempt(of, body, source).await else {
                return Err(NotTaken::Evicted);
            };
            let failure = match answer {
                Ok(accepted) => {
                    self.trouble.is_over(&self.name);
                    self.standing.answered(sequence);
                    self.recovery.notify_waiters();
                    self.health.moved();
                    return Ok(accepted);
                }
                Err(failure) => failure,
            };
            match failure.verdict {
                Verdict::Rejected => {
                    self.standing.answered(sequence);
                    self.standing.noted(&failure);
                    self.health.moved();
                    return Err(NotTaken::Refused(failure));
                }
                Verdict::Retry { after } => {
                    let pause = backoff.next(after);
                    self.standing.failed(sequence, &failure, pause, after);
                    self.trouble.happened(&self.name, &failure);
                    was_cut_short = self.pause(pause, after, was_cut_short).await;
                }
            }
        }
    }

    /// Waits, but no longer than until another lane's request was accepted: the destination is back. A request that fails
    /// then all the same is to blame itself, and its next pause is served in full. True when it was cut short.
    async fn pause(&self, pause: Duration, asked: Option<Duration>, in_full: bool) -> bool {
        let now = Instant::now();
        if in_full {
            sleep(pause).await;
            return false;
        }
        tokio::select! {
            () = sleep(pause) => false,
            () = self.recovery.notified() => {
                // What the destination has asked for is asked of all lanes.
                sleep_until(now + asked.unwrap_or_default()).await;
                true
            }
        }
    }

    /// One attempt; `None` when the buffer has taken the record before it.
    #[tracing::instrument(name = "export", skip_all, fields(exporter = %self.name, signal = %of.signal, sequence = of.sequence))]
    async fn attempt(
        &self,
        of: Of,
        body: &Packed,
        source: Option<&Source>,
    ) -> Option<Result<Accepted, Failure>> {
        let permit = self.limiter.acquire().await;
        if !self.under_way.begins(of.sequence, of.end) {
            return None;
        }
        let sending = self.sender.send(of.signal, body, source);
        let answer = match self.pauses.answer_max {
            None => sending.await,
            Some(limit) => timeout(limit, sending).await.unwrap_or_else(|_elapsed| {
                let message = format!("no answer within {limit:?}");
                Err(Failure::passing(Reach::Unanswered, "timeout", message))
            }),
        };
        let answer = match answer {
            Ok(accepted) => Ok(Accepted {
                message: self.without_secrets(&accepted.message),
                ..accepted
            }),
            Err(failure) => Err(Failure {
                message: self.without_secrets(&failure.message),
                ..failure
            }),
        };
        let was_sent = !matches!(&answer, Err(failure) if failure.reach == Reach::NotSent);
        self.under_way.ends(of.sequence, was_sent);
        let verdict = answer.as_ref().err().map(|failure| failure.verdict);
        self.metrics
            .answered(&self.name, verdict, body.bytes().len());
        match verdict {
            None | Some(Verdict::Rejected) => permit.answered(),
            Some(Verdict::Retry { after }) => {
                if let Some(after) = after {
                    self.limiter.pause_until(Instant::now() + after);
                }
                permit.failed();
            }
        }
        self.metrics.limit(&self.name, self.limiter.limit());
        Some(answer)
    }

    /// What the destination says is shown and kept: nothing of what was sent to prove who sends may be in it.
    fn without_secrets(&self, message: &str) -> String {
        if message.is_empty() {
            return String::new();
        }
        standing::shown(message, &self.sender.secrets())
    }

    fn left_out(&self, signal: Signal, accepted: &Accepted) -> u64 {
        if accepted.rejected > 0 {
            let left_out = Failure {
                verdict: Verdict::Rejected,
                reach: Reach::Answered,
                status: "partial success".to_owned(),
                message: accepted.message.clone(),
            };
            self.standing.left_out(accepted.rejected, &left_out);
            if let Some(Said { before, seconds }) = self.refusals.happened() {
                tracing::error!(exporter = self.name, %signal, records = accepted.rejected, reason = accepted.message,
                    not_told = before, seconds, "destination left records out of a request that it took, it does not say which");
            }
        }
        accepted.rejected
    }
}
