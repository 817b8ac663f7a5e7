//! Pieces of a line whose rest is in the next file: a container's log was rotated between them.
//!
//! They are put before what is read of that next file, so that the line is joined as any other. The place of the file they
//! are from moves on in the batch that holds the joined record, together with that of the next one. Until then they can be
//! forgotten and read again, as everything that has not been handed on.

use std::mem;

use super::recent::hand_on;
use super::{OpenFile, TailedFile};
use crate::pipeline::FilePosition;
use crate::receivers::filelog::identity::FileId;
use crate::receivers::filelog::pasts::Past;

/// Bytes of pieces, and of what stands among them, that are put before another file's, at most.
const CARRIED_MAX: usize = 4 << 20;

/// What stands in a buffer before the file's own bytes.
pub(super) struct Carried {
    bytes: usize,
    /// What is known of the file they are from, up to the first of them.
    past: Past,
    /// Bytes of them handed on and not told of yet.
    moved: usize,
}

/// Bytes of another file were handed on: how many, and where that file is to resume.
pub(in super::super) struct CarriedOn {
    pub(in super::super) id: FileId,
    pub(in super::super) bytes: usize,
    pub(in super::super) position: FilePosition,
}

impl TailedFile {
    /// What is left of the file: lines in pieces and, among them, others; nothing, where it cannot be put before
    /// another file's.
    pub(in super::super) fn pieces(&self) -> Option<&[u8]> {
        let open = self.open.as_deref()?;
        let is_whole = open.buffer.last() == Some(&b'\n') && open.carried.is_none();
        let is_left = !open.lines.is_empty() && !open.lines.is_dropping();
        (is_whole && is_left && open.buffer.len() <= CARRIED_MAX).then_some(&*open.buffer)
    }

    /// Whether nothing has been read of it.
    pub(in super::super) fn is_at_beginning(&self) -> bool {
        let open = self.open.as_ref();
        self.mark.offset == 0 && open.is_some_and(|open| open.buffer.is_empty())
    }

    /// Puts what is left of another file before what is read of this one, from its beginning.
    pub(in super::super) fn carry(&mut self, past: Past, pieces: &[u8]) {
        if let Some(open) = &mut self.open {
            open.buffer.extend_from_slice(pieces);
            open.carried = Some(Box::new(Carried {
                bytes: pieces.len(),
                past,
                moved: 0,
            }));
        }
    }

    /// Whether something of another file stands before its own.
    pub(in super::super) fn is_carrying(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| open.carried.is_some())
    }

    /// What has been handed on of another file, told once.
    pub(in super::super) fn carried_on(&mut self) -> Option<CarriedOn> {
        let open = self.open.as_mut()?;
        let carried = open.carried.as_mut()?;
        let (past, bytes) = (&carried.past, mem::take(&mut carried.moved));
        let path = past.path.to_string_lossy().into_owned();
        let on = CarriedOn {
            id: past.id,
            bytes,
            position: past.mark.position(path, past.id, past.finished_bytes),
        };
        if carried.bytes == 0 {
            open.carried = None;
        }
        (bytes > 0).then_some(on)
    }
}

impl OpenFile {
    /// What has been read of the file itself and not handed on.
    pub(super) fn own(&self) -> &[u8] {
        let carried = self.carried.as_ref().map_or(0, |carried| carried.bytes);
        self.buffer.get(carried..).unwrap_or_default()
    }

    /// Of the first `bytes` of the buffer, which have been handed on, takes those of another file out: how many are left.
    pub(super) fn consume_carried(&mut self, bytes: usize) -> usize {
        let Some(carried) = &mut self.carried else {
            return bytes;
        };
        let taken = bytes.min(carried.bytes);
        let read = self.buffer.get(..taken).unwrap_or_default();
        hand_on(&mut carried.past.mark, &mut carried.past.recent, read);
        carried.bytes -= taken;
        carried.moved += taken;
        self.buffer.drain(..taken);
        self.lines.shift(taken);
        bytes - taken
    }
}
