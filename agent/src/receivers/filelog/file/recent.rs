//! The bytes before the place that a file has been read to.

use crate::receivers::filelog::identity::{Mark, Tail};

/// Bytes before the place reached that are kept while a file is open: what a copy that ends there must end with.
pub(super) const RECENT_BYTES: usize = 4 << 10;

/// Moves a mark over what was read behind it; `recent` stands before it.
pub(super) fn hand_on(mark: &mut Mark, recent: &mut Vec<u8>, read: &[u8]) {
    remember(recent, read);
    let before = match read.len() > RECENT_BYTES {
        true => read,
        false => recent,
    };
    mark.waymarks.advance(read.len(), before);
    mark.offset += read.len() as u64;
    mark.tail = Tail::of(recent);
}

pub(super) fn remember(recent: &mut Vec<u8>, read: &[u8]) {
    let start = read.len().saturating_sub(RECENT_BYTES);
    let read = read.get(start..).unwrap_or_default();
    let surplus = (recent.len() + read.len()).saturating_sub(RECENT_BYTES);
    recent.drain(..surplus);
    // Never more room than there may be bytes: every open file has this.
    recent.reserve_exact(read.len());
    recent.extend_from_slice(read);
}
