//! What was appended to the journal lately, for the consumer that follows it closely: it need not read back from disk
//! what is in memory still.
//!
//! In: requests that are durable, in the order of their sequences. Out: the same, as long as none is missing between
//! them and the consumer's position; otherwise it reads the journal. So requests may be dropped here at any time.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::Envelope;

/// Bodies that are kept for a consumer that lags behind (bytes), apart from the newest.
const BYTES_MAX: usize = 16 << 20;
/// What a request takes beside its body (bytes), so that empty ones are bounded too.
const ENTRY_BYTES: usize = 256;

/// A request with its sequence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub(crate) sequence: u64,
    pub(crate) envelope: Envelope,
    /// The numbers of its log records that may report an exception, ascending; `None` when that is not known.
    pub(crate) may_report: Option<Vec<u32>>,
}

/// The newest durable requests.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    requests: VecDeque<Sequenced>,
    bytes: usize,
}

impl Recent {
    /// Adds a request that is durable. The oldest give way.
    pub(super) fn push(&self, request: Sequenced) {
        let mut held = self.0.lock();
        let follows = |last: &Sequenced| last.sequence.checked_add(1) == Some(request.sequence);
        if !held.requests.back().is_none_or(follows) {
            held.clear();
        }
        held.bytes += size(&request);
        held.requests.push_back(request);
        while held.bytes > BYTES_MAX && held.requests.len() > 1 {
            held.drop_first();
        }
    }

    /// Takes the requests that follow `position`, all that are held. `None` when the first of them is not held, or
    /// there is none.
    pub(crate) fn take_after(&self, position: u64) -> Option<VecDeque<Sequenced>> {
        let mut held = self.0.lock();
        let is_past = |request: &Sequenced| request.sequence <= position;
        while held.requests.front().is_some_and(is_past) {
            held.drop_first();
        }
        let first = held.requests.front()?.sequence;
        if position.checked_add(1) != Some(first) {
            return None;
        }
        held.bytes = 0;
        Some(std::mem::take(&mut held.requests))
    }
}

impl Held {
    fn drop_first(&mut self) {
        if let Some(request) = self.requests.pop_front() {
            self.bytes -= size(&request);
        }
    }

    fn clear(&mut self) {
        self.requests.clear();
        self.bytes = 0;
    }
}

fn size(request: &Sequenced) -> usize {
    let hints = request
        .may_report
        .as_ref()
        .map_or(0, |rows| size_of_val(rows.as_slice()));
    request.envelope.body.held_bytes() + hints + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use vervet_model::{Signal, UnixNanos};

    use super::*;
    use crate::ingest::envelope::Body;

    fn request(sequence: u64, bytes: usize) -> Sequenced {
        Sequenced {
            sequence,
            envelope: Envelope {
                format: Signal::Logs.into(),
                received_at: UnixNanos(1),
                source: None,
                body: Body::Plain(vec![0; bytes].into()),
            },
            may_report: None,
        }
    }

    fn sequences(taken: Option<VecDeque<Sequenced>>) -> Vec<u64> {
        let taken = taken.unwrap_or_default();
        taken.iter().map(|request| request.sequence).collect()
    }

    #[test]
    fn what_follows_a_position_is_taken_once() {
        let recent = Recent::default();
        for sequence in 5..9 {
            recent.push(request(sequence, 10));
        }
        assert_eq!(recent.take_after(3), None, "4 is not held");
        assert_eq!(sequences(recent.take_after(5)), [6, 7, 8]);
        assert_eq!(recent.take_after(5), None, "taken");
        recent.push(request(9, 10));
        assert_eq!(sequences(recent.take_after(8)), [9]);
    }

    #[test]
    fn a_gap_drops_what_lies_before_it() {
        let recent = Recent::default();
        recent.push(request(1, 10));
        recent.push(request(3, 10));
        assert_eq!(recent.take_after(0), None);
        assert_eq!(sequences(recent.take_after(2)), [3]);
    }

    #[test]
    fn the_oldest_give_way_and_the_newest_stays() {
        let recent = Recent::default();
        for sequence in 1..=4 {
            recent.push(request(sequence, BYTES_MAX / 2 - ENTRY_BYTES));
        }
        assert_eq!(recent.take_after(1), None);
        assert_eq!(sequences(recent.take_after(2)), [3, 4]);
        recent.push(request(5, 2 * BYTES_MAX));
        assert_eq!(sequences(recent.take_after(4)), [5]);
        for sequence in 6..100_000 {
            recent.push(request(sequence, 0));
        }
        let held = recent.0.lock();
        assert!(held.requests.len() <= BYTES_MAX / ENTRY_BYTES);
    }
}
