//! The one thread that appends to the journal and applies to the head.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use vervet_journal::{Entry, Journal, JournalError};
use vervet_store::{AppliedSource, Store};
use vervet_wire::Refusal;

use super::{Envelope, HeadRoom, Kept, Pending, Recent, Sequenced, is_repeat, unavailable};
use crate::health::Health;
use crate::metrics::Metrics;

/// The most requests that share one fsync.
const GROUP_REQUESTS_MAX: usize = 512;
/// The most bytes that share one fsync, apart from the first request of a group.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Runs until every [`super::Ingest`] is dropped and the queue is empty.
pub(crate) struct Committer {
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) waiting: mpsc::Receiver<Pending>,
    pub(super) head: Arc<HeadRoom>,
    pub(super) recent: Arc<Recent>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
}

impl Committer {
    /// Where durable requests can be had without reading the journal.
    pub(crate) fn recent(&self) -> Arc<Recent> {
        Arc::clone(&self.recent)
    }

    /// Blocks the calling thread, which should be its own.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.waiting.blocking_recv() {
            let group = self.collect_group(first);
            self.commit(group);
        }
    }

    /// The first request and what else waits already, within the limits of one group.
    fn collect_group(&mut self, first: Pending) -> Vec<Pending> {
        let mut bytes = first.request.body.len();
        let mut group = vec![first];
        while group.len() < GROUP_REQUESTS_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(next) = self.waiting.try_recv() else {
                break;
            };
            bytes += next.request.body.len();
            group.push(next);
        }
        group
    }

    fn commit(&self, group: Vec<Pending>) {
        let mut group = self.without_repeats(group);
        if group.is_empty() {
            return;
        }
        let parts: Vec<(Vec<u8>, &[u8])> = group
            .iter()
            .map(|pending| Envelope::parts(&pending.request, pending.received_at))
            .collect();
        let parts: Vec<[&[u8]; 2]> = parts
            .iter()
            .map(|(header, body)| [header.as_slice(), body])
            .collect();
        let entries: Vec<Entry<'_>> = group
            .iter()
            .zip(&parts)
            .map(|(pending, parts)| Entry {
                kind: pending.request.format.to_u8(),
                parts,
            })
            .collect();
        let appended = self.append(&entries);
        self.health
            .journal_finished(appended.as_ref().err().map(|error| error as _));
        match appended {
            Ok(sequences) => {
                for (sequence, pending) in sequences.clone().zip(&mut group) {
                    self.recent.push(Sequenced {
                        sequence,
                        envelope: Envelope::new(&pending.request, pending.received_at),
                        may_report: pending.may_report.take(),
                    });
                }
                for (sequence, pending) in sequences.zip(group) {
                    self.apply(sequence, pending);
                }
                self.head.applied();
            }
            Err(error) => {
                tracing::error!(%error, requests = group.len(), "journal append failed; senders are asked to retry");
                for pending in group {
                    answer(
                        pending.done,
                        Err(unavailable(&format!(
                            "the journal cannot be written: {error}"
                        ))),
                    );
                }
            }
        }
    }

    /// Appends; once more when the journal had been closed by a failing disk and can be mended.
    fn append(&self, entries: &[Entry<'_>]) -> Result<RangeInclusive<u64>, JournalError> {
        match self.journal.append(entries) {
            Err(JournalError::Poisoned { .. }) => {
                self.journal.mend()?;
                self.journal.append(entries)
            }
            appended => appended,
        }
    }

    /// Answers repeats of batches that are stored already, or stand earlier in this group.
    fn without_repeats(&self, group: Vec<Pending>) -> Vec<Pending> {
        let mut seen = HashSet::new();
        let mut fresh = Vec::with_capacity(group.len());
        for pending in group {
            let signal = pending.request.format.signal();
            let repeated = pending.request.source.as_ref().is_some_and(|source| {
                is_repeat(&self.store, source, signal)
                    || !seen.insert((source.agent().to_owned(), signal, source.sequence))
            });
            if repeated {
                self.metrics.repeated(signal);
                answer(pending.done, Ok(Kept::default()));
            } else {
                fresh.push(pending);
            }
        }
        fresh
    }

    fn apply(&self, sequence: u64, pending: Pending) {
        let Pending {
            request,
            decoded,
            done,
            room,
            ..
        } = pending;
        let signal = request.format.signal();
        let rejected = decoded.rejected.clone();
        for (adjustment, count) in &decoded.adjusted {
            self.metrics.adjusted(signal, adjustment, *count);
        }
        let source = request.source.as_ref().map(|source| AppliedSource {
            agent_id: &source.agent_id,
            signal,
            sequence: source.sequence,
        });
        let applied = self.store.apply(sequence, decoded, source);
        self.metrics.stored(signal, applied.stored);
        let mut kept = Kept {
            stored: applied.stored,
            ..Kept::default()
        };
        let accepted = &mut kept.accepted;
        for (reason, count) in rejected.into_iter().chain(applied.rejected) {
            self.metrics.rejected(signal, reason, count);
            accepted.rejected += count;
            if accepted.message.is_empty() {
                accepted.message.push_str("not stored: ");
            } else {
                accepted.message.push_str(", ");
            }
            accepted.message.push_str(&format!("{count} {reason}"));
        }
        drop((request, room));
        answer(done, Ok(kept));
    }
}

/// A sender that hung up does not wait for the answer any more; what it sent is kept all the same.
fn answer(done: oneshot::Sender<Result<Kept, Refusal>>, result: Result<Kept, Refusal>) {
    let _hung_up = done.send(result);
}
