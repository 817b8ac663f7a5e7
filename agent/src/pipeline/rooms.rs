//! Memory of payloads that have been stored, to be filled again: a source that reads as fast as it can would otherwise
//! ask for and give back a megabyte hundreds of times a second, on different threads.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// Rooms kept, at most.
const ROOMS_MAX: usize = 4;
/// Rooms of these sizes are kept (bytes).
const ROOM_BYTES: std::ops::RangeInclusive<usize> = 256 << 10..=2 << 20;

/// Rooms that are free. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Rooms(Arc<Mutex<Vec<Vec<u8>>>>);

impl Rooms {
    /// An empty room for `bytes`.
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        let mut room = self.0.lock().pop().unwrap_or_default();
        room.reserve(bytes);
        room
    }

    /// Keeps the room of a payload that nobody else holds.
    pub(crate) fn give_back(&self, payload: Bytes) {
        if !payload.is_unique() || payload.is_empty() {
            return;
        }
        let mut room = Vec::from(payload);
        room.clear();
        let mut rooms = self.0.lock();
        if rooms.len() < ROOMS_MAX && ROOM_BYTES.contains(&room.capacity()) {
            rooms.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_used_again_unless_somebody_still_holds_it() {
        const BYTES: usize = 512 << 10;
        let rooms = Rooms::default();
        let mut room = rooms.take(BYTES);
        room.extend_from_slice(b"payload");
        let (place, payload) = (room.as_ptr(), Bytes::from(room));
        let held = payload.clone();
        rooms.give_back(payload);
        assert!(rooms.0.lock().is_empty());
        rooms.give_back(held);
        let again = rooms.take(BYTES);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        rooms.give_back(Bytes::from(vec![0; 10]));
        assert!(rooms.0.lock().is_empty());
    }
}
