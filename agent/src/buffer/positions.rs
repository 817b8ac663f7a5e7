//! Where files resume, as of the last batch in the journal: the state of the `checkpoints` cursor.
//!
//! One position per receiver, device and inode. At most [`POSITIONS_MAX`]; beyond it the one not moved for the
//! longest time is forgotten, and its file would be read from the beginning again.
//!
//! ```text
//! version 1 = 4 (those before are read too) | totals 6 x 8 | count 4 | { receiver 1 + n | position as in a record }*
//! ```

use std::collections::HashMap;

use bytes::{Buf, BufMut, Bytes};

use super::record::{
    BadRecord, PositionForm, RecordHeader, Totals, put_position, put_totals, take_position,
    take_text, take_totals,
};
use crate::pipeline::FilePosition;

const VERSION: u8 = 4;
const POSITIONS_MAX: usize = 65_536;

/// What the agent has put into the journal so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checkpoints {
    pub(crate) totals: Totals,
    positions: HashMap<Identity, Moved>,
    moves: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    receiver: String,
    device: u64,
    inode: u64,
}

#[derive(Debug, Clone)]
struct Moved {
    at: u64,
    position: FilePosition,
}

impl Checkpoints {
    /// Takes the positions of one more record.
    pub(crate) fn apply(&mut self, receiver: &str, positions: &[FilePosition]) {
        for position in positions {
            self.moves += 1;
            let identity = Identity {
                receiver: receiver.to_owned(),
                device: position.device,
                inode: position.inode,
            };
            let moved = Moved {
                at: self.moves,
                position: position.clone(),
            };
            self.positions.insert(identity, moved);
        }
        if self.positions.len() > POSITIONS_MAX {
            self.forget_oldest();
        }
    }

    pub(crate) fn apply_header(&mut self, header: &RecordHeader) {
        self.apply(&header.receiver, &header.positions);
    }

    /// The positions of one receiver, that moved last in the end.
    pub(crate) fn of(&self, receiver: &str) -> Vec<FilePosition> {
        let own = self
            .positions
            .iter()
            .filter(|(identity, _)| identity.receiver == receiver);
        let mut own: Vec<&Moved> = own.map(|(_, moved)| moved).collect();
        own.sort_unstable_by_key(|moved| moved.at);
        own.into_iter()
            .map(|moved| moved.position.clone())
            .collect()
    }

    /// Drops an eighth, so that this is not done for every further file.
    fn forget_oldest(&mut self) {
        let mut ages: Vec<u64> = self.positions.values().map(|moved| moved.at).collect();
        ages.sort_unstable();
        let keep_from = ages.get(ages.len() / 8).copied().unwrap_or(0);
        let before = self.positions.len();
        self.positions.retain(|_, moved| moved.at >= keep_from);
        let forgotten = before - self.positions.len();
        tracing::warn!(
            forgotten,
            "too many files, the oldest positions are forgotten"
        );
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u8(VERSION);
        put_totals(&mut out, &self.totals);
        out.put_u32_le(u32::try_from(self.positions.len()).unwrap_or(u32::MAX));
        let mut oldest_first: Vec<_> = self.positions.iter().collect();
        oldest_first.sort_unstable_by_key(|(_, moved)| moved.at);
        for (identity, moved) in oldest_first {
            let receiver = identity.receiver.as_bytes();
            out.put_u8(u8::try_from(receiver.len()).unwrap_or(u8::MAX));
            out.put_slice(receiver.get(..usize::from(u8::MAX)).unwrap_or(receiver));
            put_position(&mut out, &moved.position);
        }
        out
    }

    /// Reads a state; an empty one is a new agent's.
    pub(crate) fn decode(state: &[u8]) -> Result<Self, BadRecord> {
        let mut checkpoints = Self::default();
        if state.is_empty() {
            return Ok(checkpoints);
        }
        let mut rest = Bytes::copy_from_slice(state);
        let form = PositionForm::of_version(rest.try_get_u8().map_err(|_end| BadRecord)?)?;
        checkpoints.totals = take_totals(&mut rest)?;
        let count = rest.try_get_u32_le().map_err(|_end| BadRecord)?;
        for _ in 0..count {
            let length = rest.try_get_u8().map_err(|_end| BadRecord)?;
            let receiver = take_text(&mut rest, usize::from(length))?;
            let position = take_position(&mut rest, form)?;
            checkpoints.apply(&receiver, &[position]);
        }
        Ok(checkpoints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(inode: u64, offset: u64) -> FilePosition {
        FilePosition {
            path: format!("/var/log/{inode}"),
            device: 1,
            inode,
            prefix_hash: 7,
            prefix_len: 64,
            offset,
            ..FilePosition::default()
        }
    }

    #[test]
    fn the_last_position_of_a_file_survives_encoding() {
        let mut checkpoints = Checkpoints::default();
        checkpoints.apply("a", &[position(1, 10), position(2, 20)]);
        checkpoints.apply("b", &[position(1, 5)]);
        checkpoints.apply("a", &[position(1, 30)]);
        let read = Checkpoints::decode(&checkpoints.encode()).expect("valid");
        let mut of_a = read.of("a");
        of_a.sort_by_key(|position| position.inode);
        assert_eq!(of_a, [position(1, 30), position(2, 20)]);
        assert_eq!(read.of("b"), [position(1, 5)]);
    }

    #[test]
    fn the_position_moved_longest_ago_is_forgotten_first() {
        let mut checkpoints = Checkpoints::default();
        for inode in 0..POSITIONS_MAX as u64 + 1 {
            checkpoints.apply("a", &[position(inode, 1)]);
        }
        let kept = checkpoints.of("a");
        assert!(kept.len() < POSITIONS_MAX);
        assert!(kept.contains(&position(POSITIONS_MAX as u64, 1)));
        assert!(!kept.contains(&position(0, 1)));
    }
}
