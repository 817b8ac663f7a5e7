//! How storing positions goes, for the status, readiness and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vervet_journal::JournalError;
use vervet_model::UnixNanos;

use super::positions::Checkpoints;
use crate::figures::count;
use crate::health::STUCK_AFTER;

/// What the writer tells. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct PositionKeeping(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    positions: AtomicUsize,
    bytes: AtomicUsize,
    forgotten: AtomicU64,
    stored: AtomicU64,
    failed: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

/// Positions cannot be stored.
#[derive(Debug)]
struct Trouble {
    since: UnixNanos,
    error: String,
}

/// The figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) positions: usize,
    /// Bytes they take on disk.
    pub(crate) bytes: usize,
    /// Positions of followed files that were dropped for lack of room.
    pub(crate) forgotten: u64,
    pub(crate) stored: u64,
    pub(crate) failed: u64,
}

impl PositionKeeping {
    /// How many there are.
    pub(super) fn holds(&self, checkpoints: &Checkpoints) {
        let (positions, bytes) = checkpoints.size();
        self.0.positions.store(positions, Ordering::Relaxed);
        self.0.bytes.store(bytes, Ordering::Relaxed);
        let forgotten = checkpoints.forgotten();
        self.0.forgotten.store(forgotten, Ordering::Relaxed);
    }

    pub(super) fn stored(&self) {
        self.0.stored.fetch_add(1, Ordering::Relaxed);
        *self.0.trouble.lock() = None;
    }

    pub(super) fn failed(&self, error: &JournalError, now: UnixNanos) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
        let error = error.to_string();
        let mut trouble = self.0.trouble.lock();
        let since = trouble.as_ref().map_or(now, |trouble| trouble.since);
        *trouble = Some(Trouble { since, error });
    }

    pub(crate) fn kept(&self) -> Kept {
        let told = &self.0;
        Kept {
            positions: told.positions.load(Ordering::Relaxed),
            bytes: told.bytes.load(Ordering::Relaxed),
            forgotten: told.forgotten.load(Ordering::Relaxed),
            stored: told.stored.load(Ordering::Relaxed),
            failed: told.failed.load(Ordering::Relaxed),
        }
    }

    /// What goes wrong while data flows.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(trouble) = &*self.0.trouble.lock() {
            warnings.push(format!(
                "file positions cannot be stored: {}; they are in the buffer, which gives back no room meanwhile",
                trouble.error
            ));
        }
        let forgotten = self.0.forgotten.load(Ordering::Relaxed);
        if forgotten > 0 {
            warnings.push(format!(
                "too many files: positions of {} followed ones are forgotten, a restart reads those files again; \
                 narrow the globs of filelog receivers",
                count(&forgotten.to_string())
            ));
        }
        warnings
    }

    /// Why the agent is not well, if positions have not been stored for [`STUCK_AFTER`].
    pub(crate) fn complaint(&self, now: UnixNanos) -> Option<String> {
        let trouble = self.0.trouble.lock();
        let trouble = trouble.as_ref()?;
        let failing = now.since(trouble.since);
        (failing > STUCK_AFTER).then(|| {
            let seconds = failing.as_secs();
            format!(
                "file positions have not been stored for {seconds} s: {}",
                trouble.error
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_cannot_be_stored_is_told_at_once_and_complained_of_after_a_minute() {
        let keeping = PositionKeeping::default();
        let error = JournalError::NoSpace {
            path: "checkpoints.cur".into(),
            source: Arc::new(std::io::ErrorKind::StorageFull.into()),
        };
        let (first, later) = (UnixNanos(1), UnixNanos(1 + 70_000_000_000));
        keeping.failed(&error, first);
        keeping.failed(&error, later);
        assert_eq!(keeping.warnings().len(), 1);
        assert_eq!(keeping.complaint(first), None);
        let complaint = keeping.complaint(later).expect("for a minute");
        assert!(complaint.contains("for 70 s"), "{complaint}");
        assert_eq!(later.since(first), Duration::from_secs(70));
        keeping.stored();
        assert_eq!(keeping.complaint(later), None);
        assert!(keeping.warnings().is_empty());
        let kept = keeping.kept();
        assert_eq!((kept.stored, kept.failed), (1, 2));
    }
}
