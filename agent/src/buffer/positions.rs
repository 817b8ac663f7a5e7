//! Where files resume, as of the last batch in the journal: the state of the `checkpoints` cursor.
//!
//! One position per receiver, device and inode. At most [`POSITIONS_MAX`], of [`POSITIONS_BYTES_MAX`] together, which is
//! more than one receiver follows and half of what the journal stores with a cursor. Receivers tell what has become of
//! files: the position of one that is over is dropped after [`OVER_KEPT`]. Beyond the limits those that are over go first,
//! then those nobody follows; of files that are followed, those not moved for the longest time: such a file is read
//! again after a restart, rather than not at all, and is counted.
//!
//! ```text
//! version 1 = 4 (those before are read too) | totals 6 x 8 | count 4 | { receiver 1 + n | position as in a record }* | zeros
//! ```
//! The zeros round the size up, so that it seldom changes: what replaces a state of the same size needs no room on the volume.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};

use super::record::{
    BadRecord, PositionForm, RecordHeader, Totals, position_bytes, put_position, put_totals,
    take_position, take_text, take_totals,
};
use crate::books::Place;
use crate::pipeline::{FileNews, FilePosition, FileState};

const VERSION: u8 = 4;
/// Positions kept, at most.
pub(crate) const POSITIONS_MAX: usize = 131_072;
/// Bytes of all of them in the state, at most.
pub(super) const POSITIONS_BYTES_MAX: usize = 32 << 20;
/// How long the position of a file that is over is kept: its content may turn up compressed.
pub(crate) const OVER_KEPT: Duration = Duration::from_secs(6 * 3_600);
/// The least that a state is rounded up to.
const STEP_BYTES_MIN: usize = 4 << 10;

/// What the agent has put into the journal so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checkpoints {
    pub(crate) totals: Totals,
    /// The sequence up to which that is. Not stored: it is the journal's last when it is opened.
    pub(crate) through: u64,
    receivers: BTreeMap<String, Own>,
    count: usize,
    bytes: usize,
    moves: u64,
    /// Positions of files that were followed, dropped for lack of room.
    forgotten: u64,
}

/// Those of one receiver.
#[derive(Debug, Clone, Default)]
struct Own {
    /// The receiver is there, and tells what becomes of its files.
    is_claimed: bool,
    positions: HashMap<(u64, u64), Kept>,
}

#[derive(Debug, Clone)]
struct Kept {
    /// The higher the later it moved. No two are the same.
    at: u64,
    state: FileState,
    /// Since when it is over.
    over_since: Option<Instant>,
    position: FilePosition,
}

impl Checkpoints {
    /// Where the journal ends.
    pub(crate) fn place(&self) -> Place {
        Place {
            through: self.through,
            appended: self.totals,
        }
    }

    /// Takes the positions of one more record.
    pub(crate) fn apply(&mut self, receiver: &str, positions: &[FilePosition]) {
        if positions.is_empty() {
            return;
        }
        if !self.receivers.contains_key(receiver) {
            self.receivers.insert(receiver.to_owned(), Own::default());
        }
        let Some(own) = self.receivers.get_mut(receiver) else {
            return;
        };
        for position in positions {
            self.moves += 1;
            let kept = Kept {
                at: self.moves,
                state: FileState::Followed,
                over_since: None,
                position: position.clone(),
            };
            self.bytes += stored_bytes(receiver, position);
            let id = (position.device, position.inode);
            match own.positions.insert(id, kept) {
                Some(old) => self.bytes -= stored_bytes(receiver, &old.position),
                None => self.count += 1,
            }
        }
        if self.count > POSITIONS_MAX || self.bytes > POSITIONS_BYTES_MAX {
            self.make_room();
        }
    }

    pub(crate) fn apply_header(&mut self, header: &RecordHeader) {
        self.apply(&header.receiver, &header.positions);
    }

    /// What has become of files; a position that is stored anew is that of a file that is followed.
    pub(crate) fn told(&mut self, receiver: &str, news: &[FileNews], now: Instant) {
        let Some(own) = self.receivers.get_mut(receiver) else {
            return;
        };
        for (id, state) in news {
            if let Some(kept) = own.positions.get_mut(id) {
                kept.state = *state;
                kept.over_since = match state {
                    FileState::Over => kept.over_since.or(Some(now)),
                    FileState::Left | FileState::Followed => None,
                };
            }
        }
    }

    /// Drops what has been over for [`OVER_KEPT`].
    pub(crate) fn forget_over(&mut self, now: Instant) {
        self.retain(|kept| {
            let over_for = kept.over_since.map(|since| now.duration_since(since));
            over_for.is_none_or(|time| time < OVER_KEPT)
        });
    }

    /// The positions of one receiver, that moved last in the end.
    pub(crate) fn of(&self, receiver: &str) -> Vec<FilePosition> {
        let own = self.receivers.get(receiver);
        let own = own.into_iter().flat_map(|own| own.positions.values());
        let mut own: Vec<&Kept> = own.collect();
        own.sort_unstable_by_key(|kept| kept.at);
        own.into_iter().map(|kept| kept.position.clone()).collect()
    }

    /// As [`Checkpoints::of`], for the receiver when it starts: it will tell what has become of its files.
    pub(crate) fn claim(&mut self, receiver: &str) -> Vec<FilePosition> {
        if let Some(own) = self.receivers.get_mut(receiver) {
            own.is_claimed = true;
            for kept in own.positions.values_mut() {
                (kept.state, kept.over_since) = (FileState::Followed, None);
            }
        }
        self.of(receiver)
    }

    /// How many there are, and the bytes they take in the state.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// The length of the state that [`Self::encode`] would give, at most.
    pub(crate) fn state_bytes(&self) -> usize {
        rounded_up(self.bytes + STEP_BYTES_MIN / 4)
    }

    /// Positions of followed files that were dropped for lack of room, since the start.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Drops an eighth, so that this is not done for every further file.
    fn make_room(&mut self) {
        let mut first_to_go: Vec<(FileState, u64, usize)> = Vec::with_capacity(self.count);
        for (receiver, own) in &self.receivers {
            first_to_go.extend(own.positions.values().map(|kept| {
                let bytes = stored_bytes(receiver, &kept.position);
                (own.state_of(kept), kept.at, bytes)
            }));
        }
        first_to_go.sort_unstable();
        let (mut count, mut bytes, mut followed) = (self.count, self.bytes, 0);
        let mut last_to_go = None;
        for (state, at, of_it) in first_to_go {
            let is_enough = count <= POSITIONS_MAX / 8 * 7 && bytes <= POSITIONS_BYTES_MAX / 8 * 7;
            if is_enough {
                break;
            }
            (count, bytes) = (count - 1, bytes - of_it);
            followed += u64::from(state == FileState::Followed);
            last_to_go = Some((state, at));
        }
        let gone = self.count - count;
        for own in self.receivers.values_mut() {
            let is_claimed = own.is_claimed;
            own.positions
                .retain(|_, kept| Some((state_of(is_claimed, kept), kept.at)) > last_to_go);
        }
        (self.count, self.bytes) = (count, bytes);
        self.forgotten += followed;
        if followed > 0 {
            tracing::error!(
                followed,
                gone,
                "too many files are followed, the oldest positions are forgotten: after a restart those files are read again"
            );
        } else {
            tracing::warn!(
                gone,
                "too many positions, the oldest of files nobody follows are forgotten"
            );
        }
    }

    fn retain(&mut self, keep: impl Fn(&Kept) -> bool) {
        let (mut count, mut bytes) = (0, 0);
        for (receiver, own) in &mut self.receivers {
            own.positions.retain(|_, kept| keep(kept));
            count += own.positions.len();
            let kept = own.positions.values();
            bytes += kept
                .map(|kept| stored_bytes(receiver, &kept.position))
                .sum::<usize>();
        }
        (self.count, self.bytes) = (count, bytes);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.state_bytes());
        out.put_u8(VERSION);
        put_totals(&mut out, &self.totals);
        out.put_u32_le(u32::try_from(self.count).unwrap_or(u32::MAX));
        let all = self.receivers.iter();
        let all = all
            .flat_map(|(receiver, own)| own.positions.values().map(move |kept| (receiver, kept)));
        let mut oldest_first: Vec<(&String, &Kept)> = all.collect();
        oldest_first.sort_unstable_by_key(|(_, kept)| kept.at);
        for (receiver, kept) in oldest_first {
            let receiver = receiver.as_bytes();
            out.put_u8(u8::try_from(receiver.len()).unwrap_or(u8::MAX));
            out.put_slice(receiver.get(..usize::from(u8::MAX)).unwrap_or(receiver));
            put_position(&mut out, &kept.position);
        }
        out.resize(rounded_up(out.len()), 0);
        out
    }

    /// Reads a state; an empty one is a new agent's.
    pub(crate) fn decode(state: Vec<u8>) -> Result<Self, BadRecord> {
        let mut checkpoints = Self::default();
        if state.is_empty() {
            return Ok(checkpoints);
        }
        let mut rest = Bytes::from(state);
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

impl Own {
    fn state_of(&self, kept: &Kept) -> FileState {
        state_of(self.is_claimed, kept)
    }
}

/// Nobody follows the files of a receiver that is not configured any more.
fn state_of(is_claimed: bool, kept: &Kept) -> FileState {
    match kept.state {
        FileState::Followed if !is_claimed => FileState::Left,
        state => state,
    }
}

/// What a position takes in the state.
fn stored_bytes(receiver: &str, position: &FilePosition) -> usize {
    1 + receiver.len().min(usize::from(u8::MAX)) + position_bytes(position)
}

/// In steps of an eighth of the next power of two.
fn rounded_up(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / 8).max(STEP_BYTES_MIN);
    bytes.next_multiple_of(step)
}
