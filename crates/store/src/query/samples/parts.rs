//! Reads the samples of many series in parts, ahead of who takes them.
//!
//! Series lie in the order of segments, so a part is a few row groups of each. A part that is too large for its memory is
//! read again in halves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::SeriesSamples;
use crate::StoreError;
use crate::head::series::Selected;

/// Threads that read ahead.
const THREADS_MAX: usize = 4;
/// What one part may take, unless it is one series (bytes).
pub(super) const PART_BYTES: usize = 8 << 20;
/// Series of a part.
const PART_SERIES_MAX: usize = 256;
/// As often as a sample is expected, for the size of a part; whoever scrapes more often gets halves.
const STEP_MS: i64 = 15_000;
/// A list of samples that grows has up to twice its content.
const SAMPLE_BYTES: usize = 2 * size_of::<(i64, f64)>();

/// Series with their samples, and the place of the first one.
pub(super) type Part = (usize, Vec<SeriesSamples>);

/// Reads all samples of some series.
type Gather<'g> = &'g (dyn Fn(&[Selected]) -> Result<Vec<SeriesSamples>, StoreError> + Sync);

/// How series are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) parts: usize,
    per_part: usize,
    threads: usize,
}

impl Plan {
    pub(super) fn new(series: usize, (start_ms, end_ms): (i64, i64)) -> Self {
        let expected = end_ms.saturating_sub(start_ms) / STEP_MS + 1;
        let expected = usize::try_from(expected).unwrap_or(usize::MAX).max(1);
        let per_part = PART_BYTES / SAMPLE_BYTES / expected;
        let per_part = per_part.clamp(1, PART_SERIES_MAX);
        let parts = series.div_ceil(per_part);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            parts,
            per_part,
            threads: cores.min(THREADS_MAX).min(parts),
        }
    }

    /// What the parts take together: each thread reads one, as many wait, and one is looked at.
    pub(super) fn bytes(self) -> usize {
        PART_BYTES * (2 * self.threads + 1)
    }
}

/// Calls `hand_out` with the samples of all series, part by part in no order, until it says no.
pub(super) fn read(
    plan: Plan,
    selected: &[Selected],
    hand_out: &mut dyn FnMut(Part) -> Result<bool, StoreError>,
    gather: Gather<'_>,
) -> Result<(), StoreError> {
    let Plan {
        per_part, threads, ..
    } = plan;
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(threads);
        for _ in 0..threads {
            let (sender, next, is_over) = (sender.clone(), &next, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let place = next
                        .fetch_add(1, Ordering::Relaxed)
                        .saturating_mul(per_part);
                    let rest = selected.get(place..).unwrap_or_default();
                    let some = rest.get(..per_part).unwrap_or(rest);
                    if some.is_empty() || !send(&sender, place, some, gather) {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut result = Ok(true);
        for part in receiver {
            result = part.and_then(&mut *hand_out);
            if !matches!(result, Ok(true)) {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        result.map(|_wants_more| ())
    })
}

/// Reads a part and hands it on, in halves if it is too large. `false` when nobody wants more.
fn send(
    sender: &SyncSender<Result<Part, StoreError>>,
    place: usize,
    some: &[Selected],
    gather: Gather<'_>,
) -> bool {
    let found = gather(some);
    if matches!(found, Err(StoreError::QueryTooLarge { .. })) && some.len() > 1 {
        let (first, second) = some.split_at(some.len() / 2);
        return send(sender, place, first, gather)
            && send(sender, place + first.len(), second, gather);
    }
    let has_failed = found.is_err();
    sender.send(found.map(|found| (place, found))).is_ok() && !has_failed
}
