//! The memory of queries: what one may take, and what all may take together.
//!
//! In: the bytes that an evaluation takes. Out: an error as soon as the query holds more than its own limit, or all
//! queries hold more than theirs. Bytes are taken from the common amount in pieces of [`RESERVE_BYTES`], so that
//! queries rarely touch a number they share, and go back when the [`Charge`] is dropped: at the end of the
//! answer, on an error and when a query panics.
//!
//! How it is counted: what a step of the evaluation needs is charged before or while it is taken ([`Charge::grow`],
//! [`Charge::hold`] for what goes away again); when a node of the query has its value, the charge is settled to what
//! it was before plus that value ([`Charge::settle`]). Lists count with their capacity, tables with what they take when
//! they have just grown, label sets as if each series had its own. So the charge is above what is really taken, as a
//! rule; not counted are the text of the query and its compiled patterns, which have limits of their own.

use std::cell::Cell;
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vervet_model::{Label, Labels};

use crate::error::MemoryError;
use crate::eval::{Element, Evaluated, RangeSource, Track};
use crate::native::{HistogramSample, NativeHistogram};
use crate::queryable::Sample;

/// What is taken from the common amount at once.
const RESERVE_BYTES: usize = 1 << 20;
/// What a query keeps of it beyond its need.
const SLACK_BYTES: usize = 8 << 20;
/// What an allocator adds to each piece of memory.
const ALLOCATION_BYTES: usize = 16;
/// The two counters of an `Arc`.
const COUNTERS_BYTES: usize = 16;
/// A table or list that grows is up to so many times as large as its content.
pub(crate) const SPARE: usize = 2;
/// One float on a step, with what its list has to spare.
pub(crate) const SAMPLE_BYTES: usize = size_of::<Sample>() * SPARE;
/// A series without its samples and labels, with what its list has to spare.
pub(crate) const TRACK_BYTES: usize = size_of::<Track>() * SPARE;
/// The first sample of a list that grows makes room for four.
pub(crate) const FIRST_SAMPLE_BYTES: usize = 4 * size_of::<Sample>() + ALLOCATION_BYTES;

/// What all queries of an engine may hold together.
#[derive(Debug)]
pub(crate) struct Pool {
    max: usize,
    used: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            used: AtomicUsize::new(0),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The memory that one query holds; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    pool: Arc<Pool>,
    own_max: usize,
    /// Taken from the pool; at least `held`.
    reserved: Cell<usize>,
    held: Cell<usize>,
    /// The part of `held` that stays until the end, whatever is settled.
    kept: Cell<usize>,
    peak: Cell<usize>,
}

impl Charge {
    pub(crate) fn new(pool: &Arc<Pool>, own_max: usize) -> Self {
        Self {
            pool: Arc::clone(pool),
            own_max,
            reserved: Cell::new(0),
            held: Cell::new(0),
            kept: Cell::new(0),
            peak: Cell::new(0),
        }
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// The most that was held at any time (bytes).
    pub fn peak(&self) -> usize {
        self.peak.get()
    }

    /// What may still be taken, as far as the query's own limit goes (bytes).
    pub fn left(&self) -> usize {
        self.own_max.saturating_sub(self.held.get())
    }

    /// Takes bytes for something that `what` names.
    ///
    /// # Errors
    /// The query's own limit or that of all queries is reached; nothing was taken.
    pub fn grow(&self, bytes: usize, what: &'static str) -> Result<(), MemoryError> {
        let held = self.held.get().saturating_add(bytes);
        if held > self.own_max {
            return Err(self.exhausted(what));
        }
        if held > self.reserved.get() {
            self.reserve(held - self.reserved.get(), what)?;
        }
        self.held.set(held);
        self.peak.set(self.peak.get().max(held));
        Ok(())
    }

    /// The error of a query at its own limit.
    pub(crate) fn exhausted(&self, what: &'static str) -> MemoryError {
        let limit = self.own_max;
        MemoryError::Query { what, limit }
    }

    fn reserve(&self, bytes: usize, what: &'static str) -> Result<(), MemoryError> {
        let rounded = bytes.saturating_add(RESERVE_BYTES);
        let taken = [rounded, bytes]
            .into_iter()
            .find(|bytes| self.pool.take(*bytes));
        let limit = self.pool.max;
        let taken = taken.ok_or(MemoryError::Together { what, limit })?;
        self.reserved.set(self.reserved.get() + taken);
        Ok(())
    }

    /// As [`Charge::grow`], for what stays until the end of the query.
    pub(crate) fn keep(&self, bytes: usize, what: &'static str) -> Result<(), MemoryError> {
        self.grow(bytes, what)?;
        self.kept.set(self.kept.get().saturating_add(bytes));
        Ok(())
    }

    /// Takes bytes until what is returned is dropped.
    pub(crate) fn hold(&self, bytes: usize, what: &'static str) -> Result<Held<'_>, MemoryError> {
        self.grow(bytes, what)?;
        Ok(Held {
            charge: self,
            bytes,
        })
    }

    /// Bytes are free again.
    pub fn shrink(&self, bytes: usize) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    /// Of all that was held only so much is left, and nothing is kept in reserve.
    pub fn keep_only(&self, bytes: usize) {
        let left = bytes.min(self.held.get());
        self.held.set(left);
        self.kept.set(0);
        self.pool.give_back(self.reserved.replace(left) - left);
    }

    /// What is held, without what stays until the end.
    pub(crate) fn loose(&self) -> usize {
        self.held.get().saturating_sub(self.kept.get())
    }

    /// From now on so much is held, beside what stays until the end.
    pub(crate) fn settle(&self, loose: usize, what: &'static str) -> Result<(), MemoryError> {
        let held = loose.saturating_add(self.kept.get());
        if held > self.held.get() {
            return self.grow(held - self.held.get(), what);
        }
        self.held.set(held);
        let spare = self.reserved.get().saturating_sub(held);
        if spare > SLACK_BYTES {
            self.reserved.set(held);
            self.pool.give_back(spare);
        }
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.pool.give_back(self.reserved.get());
    }
}

/// Bytes that are free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'c> {
    charge: &'c Charge,
    bytes: usize,
}

impl Held<'_> {
    pub(crate) fn grow(&mut self, bytes: usize, what: &'static str) -> Result<(), MemoryError> {
        self.charge.grow(bytes, what)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.charge.shrink(self.bytes);
    }
}

/// A label set without its texts, which it shares with what it was made from.
pub(crate) fn labels_bytes(labels: &Labels) -> usize {
    labels.len() * size_of::<Label>() + COUNTERS_BYTES + ALLOCATION_BYTES
}

/// A text of a label that did not exist before.
pub(crate) fn text_bytes(text: &str) -> usize {
    text.len() + COUNTERS_BYTES + ALLOCATION_BYTES
}

/// The entries of a table that has just grown: keys and values, a byte of control, room to spare.
pub(crate) const fn entry_bytes<K, V>() -> usize {
    (size_of::<K>() + size_of::<V>() + 1) * SPARE
}

/// What walking series step by step takes.
pub(crate) fn walk_bytes(tracks: usize) -> usize {
    tracks * (size_of::<(usize, usize)>() + size_of::<(usize, Element)>() * SPARE)
}

/// Series as a list, with labels and samples.
pub(crate) fn tracks_bytes(tracks: &Vec<Track>) -> usize {
    let content: usize = tracks.iter().map(Track::bytes).sum();
    content + tracks.capacity() * size_of::<Track>()
}

fn list_bytes<T>(capacity: usize) -> usize {
    match capacity {
        0 => 0,
        _ => capacity * size_of::<T>() + ALLOCATION_BYTES,
    }
}

impl Track {
    /// Labels and samples, without the track itself.
    pub(crate) fn bytes(&self) -> usize {
        labels_bytes(&self.labels) + self.lists_bytes() + histograms_bytes(&self.histograms)
    }

    /// The lists of samples, without what histograms hold.
    pub(crate) fn lists_bytes(&self) -> usize {
        list_bytes::<Sample>(self.samples.capacity())
            + list_bytes::<HistogramSample>(self.histograms.capacity())
    }
}

/// Histograms that neighbours share count once.
fn histograms_bytes(histograms: &[HistogramSample]) -> usize {
    let mut bytes = 0;
    let mut previous: Option<&Arc<NativeHistogram>> = None;
    for sample in histograms {
        if previous.is_none_or(|previous| !Arc::ptr_eq(previous, &sample.histogram)) {
            bytes += histogram_bytes(&sample.histogram);
        }
        previous = Some(&sample.histogram);
    }
    bytes
}

/// A histogram of its own, with its buckets.
pub(crate) fn histogram_bytes(histogram: &NativeHistogram) -> usize {
    size_of::<NativeHistogram>()
        + COUNTERS_BYTES
        + ALLOCATION_BYTES
        + list_bytes::<(i32, f64)>(histogram.positive.capacity())
        + list_bytes::<(i32, f64)>(histogram.negative.capacity())
        + list_bytes::<f64>(histogram.custom_bounds.capacity())
}

impl Evaluated {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Scalar(values) => list_bytes::<f64>(values.capacity()),
            Self::Text(text) => list_bytes::<u8>(text.capacity()),
            Self::Vector(tracks) => tracks_bytes(tracks),
        }
    }
}

impl RangeSource {
    pub(crate) fn bytes(&self) -> usize {
        tracks_bytes(&self.tracks)
    }
}

#[cfg(test)]
mod tests;
