//! Batches of files that found no room until the end. What a file still holds is read again after the next start; what was
//! read of a file that nobody can open any more is lost. Which files those are, their readers tell when they end, and that
//! may be after the buffer has given up: so the batches wait here, and [`AbandonedFiles::settle`] counts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use vervet_model::Signal;

use super::{NOT_STORED, READ_AGAIN};
use crate::buffer::Amount;
use crate::metrics::AgentMetrics;

/// Whether a file can be opened by nobody any more, whether something of it is stored, and how much is not stored yet. Clones
/// share it: its reader tells and asks, its batches ask and tell.
#[derive(Debug, Clone, Default)]
pub struct FileFate(Arc<Fate>);

#[derive(Debug, Default)]
struct Fate {
    is_gone: AtomicBool,
    is_stored: AtomicBool,
    /// In batches on their way.
    waiting_bytes: AtomicU64,
}

/// What one file has given to a batch.
#[derive(Debug)]
pub struct FilePart {
    pub(crate) fate: FileFate,
    amount: Amount,
}

impl FilePart {
    pub(crate) fn new(fate: &FileFate, amount: Amount) -> Self {
        let waiting = &fate.0.waiting_bytes;
        waiting.fetch_add(amount.bytes, Ordering::Relaxed);
        Self {
            fate: fate.clone(),
            amount,
        }
    }

    pub(crate) fn add(&mut self, amount: Amount) {
        let waiting = &self.fate.0.waiting_bytes;
        waiting.fetch_add(amount.bytes, Ordering::Relaxed);
        self.amount.add(amount);
    }

    pub(crate) fn is_of(&self, fate: &FileFate) -> bool {
        self.fate.is_same(fate)
    }
}

impl Clone for FilePart {
    fn clone(&self) -> Self {
        Self::new(&self.fate, self.amount)
    }
}

impl Drop for FilePart {
    fn drop(&mut self) {
        let waiting = &self.fate.0.waiting_bytes;
        waiting.fetch_sub(self.amount.bytes, Ordering::Relaxed);
    }
}

/// The batches of files that were given up, and the readers that have not told yet. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct AbandonedFiles {
    batches: Arc<Mutex<Vec<Abandoned>>>,
    readers: TaskTracker,
}

struct Abandoned {
    receiver: Arc<str>,
    signal: Signal,
    amount: Amount,
    parts: Vec<FilePart>,
    /// It waited for the buffer, as the books have it. Otherwise it was not taken over.
    was_queued: bool,
}

impl FileFate {
    pub(crate) fn set_gone(&self, is_gone: bool) {
        self.0.is_gone.store(is_gone, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.is_gone.load(Ordering::Relaxed)
    }

    /// A place in the file is stored: the next start knows it.
    pub(crate) fn set_stored(&self) {
        self.0.is_stored.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.0.is_stored.load(Ordering::Relaxed)
    }

    /// Bytes of batches that are on their way.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.0.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Whether a batch that is not stored yet has something of the file.
    pub(crate) fn is_asked_for(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl AbandonedFiles {
    /// To be held by a reader until it has told which of its files are gone.
    pub(crate) fn reader(&self) -> TaskTrackerToken {
        self.readers.token()
    }

    /// Returns when all readers have told. Cancel safe.
    pub(crate) async fn all_told(&self) {
        self.readers.close();
        self.readers.wait().await;
    }

    /// A batch that waited for the buffer is not stored.
    pub(crate) fn gave_up(
        &self,
        receiver: &Arc<str>,
        signal: Signal,
        amount: Amount,
        parts: Vec<FilePart>,
    ) {
        self.add(receiver, (signal, amount), parts, true);
    }

    /// A batch has not come as far as the queue.
    pub(crate) fn not_taken(&self, receiver: &Arc<str>, signal: Signal, parts: Vec<FilePart>) {
        if !parts.is_empty() {
            self.add(receiver, (signal, Amount::default()), parts, false);
        }
    }

    fn add(
        &self,
        receiver: &Arc<str>,
        (signal, amount): (Signal, Amount),
        parts: Vec<FilePart>,
        was_queued: bool,
    ) {
        self.batches.lock().push(Abandoned {
            receiver: Arc::clone(receiver),
            signal,
            amount,
            parts,
            was_queued,
        });
    }

    /// Counts what is lost, and what will be read again.
    pub(crate) fn settle(&self, metrics: &AgentMetrics) {
        let batches = std::mem::take(&mut *self.batches.lock());
        for batch in batches {
            let (receiver, signal, lost) = (&*batch.receiver, batch.signal, batch.lost());
            if batch.was_queued {
                let again = batch.amount.minus(lost);
                for (reason, amount) in [(NOT_STORED, lost), (READ_AGAIN, again)] {
                    if !amount.is_zero() {
                        metrics.gave_up(receiver, signal, reason, amount);
                    }
                }
            } else if !lost.is_zero() {
                let Amount { records, bytes } = lost;
                metrics.receiver_dropped(receiver, signal, NOT_STORED, records, bytes);
            }
        }
    }
}

impl Abandoned {
    fn lost(&self) -> Amount {
        let mut lost = Amount::default();
        let gone = self.parts.iter().filter(|part| part.fate.is_gone());
        gone.for_each(|part| lost.add(part.amount));
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(records: u64) -> Amount {
        Amount {
            records,
            bytes: records * 10,
        }
    }

    #[test]
    fn only_what_gone_files_gave_to_a_batch_is_lost_whenever_their_reader_tells() {
        let (metrics, abandoned) = (AgentMetrics::default(), AbandonedFiles::default());
        let (gone, there) = (FileFate::default(), FileFate::default());
        let parts = |of: &[(&FileFate, u64)]| -> Vec<FilePart> {
            let part = |(fate, records): &(&FileFate, u64)| FilePart::new(fate, amount(*records));
            of.iter().map(part).collect()
        };
        let files: Arc<str> = "files".into();
        metrics.took("files", Signal::Logs, amount(7));
        let mixed = parts(&[(&gone, 3), (&there, 4)]);
        abandoned.gave_up(&files, Signal::Logs, amount(7), mixed);
        abandoned.not_taken(&files, Signal::Logs, parts(&[(&gone, 5), (&there, 6)]));
        gone.set_gone(true);
        assert_eq!((gone.waiting_bytes(), there.waiting_bytes()), (80, 100));
        abandoned.settle(&metrics);
        let line = metrics.intake().lines().remove(0);
        assert_eq!(line.dropped[NOT_STORED], amount(8));
        assert_eq!(line.dropped[READ_AGAIN], amount(4));
        assert_eq!((line.received, line.waiting), (amount(12), amount(0)));
        abandoned.settle(&metrics);
        assert_eq!(metrics.intake().lines().remove(0), line, "counted once");
        assert_eq!((gone.waiting_bytes(), there.waiting_bytes()), (0, 0));
    }
}
