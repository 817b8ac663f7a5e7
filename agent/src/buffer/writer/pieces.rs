//! Batches that are too large for an append, in pieces that are not. After a crash between two of them the files are read
//! again from before the first.

use bytes::Bytes;
use vervet_wire::otlp::count_records;

use super::{BufferWriter, TOO_LARGE, amount_of};
use crate::buffer::Amount;
use crate::exporters::split::halve;
use crate::pipeline::Batch;

/// What a record of the journal has beside its payload, at most, but for positions of files.
const AROUND_BYTES: u64 = 1 << 10;
/// What a position has beside its path.
const POSITION_BYTES: usize = 256;

struct Pieces {
    /// In order; the last has the positions, so that they are durable with all of it.
    kept: Vec<Batch>,
    /// Records that are too large by themselves.
    too_large: Amount,
}

impl BufferWriter {
    /// Makes several of a batch that no append can hold, or drops what cannot be split.
    pub(super) fn split_or_drop(&mut self, bytes_max: u64) {
        let Some(queued) = self.pending.pop_front() else {
            return;
        };
        let pieces = match queued.is_awaited() {
            // Its sender is told, and sends less.
            true => None,
            false => split(&queued.batch, self.segment_bytes_max, bytes_max),
        };
        let Some(pieces) = pieces else {
            self.drop_too_large(queued, bytes_max);
            return;
        };
        if pieces.too_large.records > 0 {
            tracing::error!(receiver = %queued.receiver, records = pieces.too_large.records, bytes = pieces.too_large.bytes, bytes_max, "records too large for the buffer, dropped");
        }
        // Copies of what is around the pieces come on top.
        let all = pieces.kept.iter().map(|piece| piece.payload.len() as u64);
        let all = all.sum::<u64>() + pieces.too_large.bytes;
        let before = amount_of(&queued);
        let (receiver, signal) = (&queued.receiver, queued.batch.signal);
        let grown = all.saturating_sub(before.bytes);
        let metrics = &self.parts.metrics;
        metrics.took(receiver, signal, bytes_more(grown));
        let left_out = bytes_more((before.bytes + grown).saturating_sub(all));
        let mut dropped = pieces.too_large;
        dropped.add(left_out);
        if !dropped.is_zero() {
            metrics.gave_up(receiver, signal, TOO_LARGE, dropped);
        }
        for piece in queued.split(pieces.kept).into_iter().rev() {
            self.pending.push_front(piece);
        }
    }
}

fn bytes_more(bytes: u64) -> Amount {
    Amount { records: 0, bytes }
}

/// Pieces of at most `bytes`, or of a single record where that has no more than `bytes_max`. `None` when nothing of it can be
/// kept, or it cannot be split.
fn split(batch: &Batch, bytes: usize, bytes_max: u64) -> Option<Pieces> {
    let positions = batch.positions.iter();
    let positions: usize = positions.map(|p| p.path.len() + POSITION_BYTES).sum();
    let around = AROUND_BYTES + positions as u64;
    let bytes_max = usize::try_from(bytes_max.checked_sub(around)?).unwrap_or(usize::MAX);
    let (mut kept, mut too_large) = (Vec::new(), Amount::default());
    // The first is the last one here.
    let mut left = vec![batch.payload.clone()];
    while let Some(payload) = left.pop() {
        if payload.len() > bytes
            && let Some((first, second)) = halve(&payload).ok()?
        {
            left.extend([second, first]);
            continue;
        }
        let piece = piece(batch, payload)?;
        match piece.payload.len() > bytes_max {
            true => too_large.add(Amount {
                records: piece.records,
                bytes: piece.payload.len() as u64,
            }),
            false => kept.push(piece),
        }
    }
    let last = kept.last_mut()?;
    last.positions.clone_from(&batch.positions);
    last.parts.clone_from(&batch.parts);
    last.news.clone_from(&batch.news);
    Some(Pieces { kept, too_large })
}

fn piece(batch: &Batch, payload: Bytes) -> Option<Batch> {
    Some(Batch {
        signal: batch.signal,
        records: count_records(batch.signal, &payload).ok()?,
        payload,
        positions: Vec::new(),
        news: Vec::new(),
        parts: Vec::new(),
    })
}
