//! What is on disk and who still needs it: the segments in order and the cursors by name.
//!
//! Only memory is touched here, so the lock around it is held for microseconds. The last segment
//! is the active one; every sequence and length in here is durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::config::OnFull;
use crate::stats::{CursorStats, JournalStats};

#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    /// Last durable sequence; `first - 1` while there is none.
    pub(crate) last: u64,
    pub(crate) records: u64,
    /// Durable bytes that can be read.
    pub(crate) readable_bytes: u64,
    /// Bytes on disk.
    pub(crate) disk_bytes: u64,
    /// Where the corrupt ranges that have been counted start.
    pub(crate) corrupt_offsets: BTreeSet<u64>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct CursorEntry {
    /// Everything up to here is of no more use to the cursor: committed, or dropped from it.
    pub(crate) released: u64,
    /// What lies behind `released` up to here is under way; it is the last to be taken.
    pub(crate) held: u64,
    /// What lies behind this is not for the cursor.
    pub(crate) end: Option<u64>,
    pub(crate) on_full: OnFull,
    pub(crate) open: bool,
    pub(crate) dropped_records: u64,
    pub(crate) dropped_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    segments: VecDeque<Segment>,
    pub(crate) cursors: BTreeMap<String, CursorEntry>,
    /// There are records and not one cursor, and nothing tells which there were.
    pub(crate) lacks_cursors: bool,
    /// Nothing that is of no more use is deleted.
    pub(crate) keeps_all: bool,
    pub(crate) lost_segments: u64,
    pub(crate) lost_records: u64,
    pub(crate) lost_through: u64,
    pub(crate) quarantined_ranges: u64,
    pub(crate) quarantined_bytes: u64,
}

impl CursorEntry {
    /// Damage may have left nothing of a segment to wait for. What the disk did not give may come back with the next opening.
    fn needs(&self, segment: &Segment) -> bool {
        self.waits_for(segment) && (segment.records > 0 || segment.is_unreadable())
    }

    /// Whether it has not released all of the segment that is for it.
    fn waits_for(&self, segment: &Segment) -> bool {
        let end = self.end.unwrap_or(u64::MAX);
        segment.first <= end && self.released < segment.last.min(end)
    }

    fn lets_go(&self, segment: &Segment) -> bool {
        !self.needs(segment) || self.on_full == OnFull::DropOldest
    }

    fn holds(&self, segment: &Segment) -> bool {
        self.needs(segment) && self.held >= segment.first
    }
}

impl Segment {
    pub(crate) fn empty(first: u64, bytes: u64) -> Self {
        Self {
            first,
            last: first.saturating_sub(1),
            records: 0,
            readable_bytes: bytes,
            disk_bytes: bytes,
            corrupt_offsets: BTreeSet::new(),
        }
    }

    /// Whether the disk did not give all of it when the journal was opened.
    fn is_unreadable(&self) -> bool {
        self.readable_bytes < self.disk_bytes
    }

    /// Records and bytes that the cursor has before it.
    fn lag_of(&self, cursor: &CursorEntry) -> (u64, u64) {
        let (records, bytes) = self.beyond(cursor.released);
        let (other_records, other_bytes) = cursor.end.map_or((0, 0), |end| self.beyond(end));
        (
            records.saturating_sub(other_records),
            bytes.saturating_sub(other_bytes),
        )
    }

    /// Records and bytes after sequence `released`; in proportion inside the segment.
    fn beyond(&self, released: u64) -> (u64, u64) {
        if released < self.first {
            return (self.records, self.disk_bytes);
        }
        let records = self.last.saturating_sub(released).min(self.records);
        let share = u128::from(self.disk_bytes) * u128::from(records);
        let bytes = share.checked_div(u128::from(self.records)).unwrap_or(0);
        (records, u64::try_from(bytes).unwrap_or(self.disk_bytes))
    }
}

impl Table {
    pub(crate) fn push(&mut self, segment: Segment) {
        // Of one that cannot be read only this tells how far it goes.
        if let Some(before) = self.segments.back_mut().filter(|old| old.is_unreadable()) {
            before.last = before.last.max(segment.first.saturating_sub(1));
        }
        self.segments.push_back(segment);
    }

    /// The active segment has a header of `bytes`, durably.
    pub(crate) fn begin(&mut self, bytes: u64) {
        if let Some(active) = self.segments.back_mut() {
            active.readable_bytes = bytes;
            active.disk_bytes = bytes;
        }
    }

    /// The active segment has become durable up to `bytes` and `last`, with `records` more.
    pub(crate) fn publish(&mut self, bytes: u64, last: u64, records: u64) {
        if let Some(active) = self.segments.back_mut() {
            active.records += records;
            active.last = last;
            active.readable_bytes = bytes;
            active.disk_bytes = bytes;
        }
    }

    /// First sequence of the active segment.
    pub(crate) fn active_first(&self) -> u64 {
        self.segments.back().map_or(0, |active| active.first)
    }

    /// Durable records of the active segment.
    pub(crate) fn active_records(&self) -> u64 {
        self.segments.back().map_or(0, |active| active.records)
    }

    /// The first segment that holds sequence `next` or a later one.
    pub(crate) fn segment_for(&self, next: u64) -> Option<&Segment> {
        let at = self.segments.partition_point(|segment| segment.last < next);
        // An empty segment in the middle breaks no order: its last is below its first.
        self.segments
            .iter()
            .skip(at)
            .find(|segment| segment.records > 0)
    }

    pub(crate) fn segment_mut(&mut self, first: u64) -> Option<&mut Segment> {
        self.segments
            .iter_mut()
            .find(|segment| segment.first == first)
    }

    pub(crate) fn oldest_sequence(&self) -> u64 {
        self.segment_for(0)
            .or(self.segments.back())
            .map_or(1, |segment| segment.first)
    }

    /// Last sequence of the last segment.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.last)
    }

    /// The furthest any cursor has come.
    pub(crate) fn highest_released(&self) -> u64 {
        self.cursors
            .values()
            .map(|cursor| cursor.released)
            .max()
            .unwrap_or(0)
    }

    pub(crate) fn closed_bytes(&self) -> u64 {
        let closed = self.segments.len().saturating_sub(1);
        self.segments
            .iter()
            .take(closed)
            .map(|segment| segment.disk_bytes)
            .sum()
    }

    /// Bytes of all segments, as far as they are durable.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.disk_bytes).sum()
    }

    /// Whether the active segment has records, and no cursor needs one of them.
    pub(crate) fn is_active_settled(&self) -> bool {
        let active = self.segments.back().filter(|active| active.records > 0);
        active.is_some_and(|active| self.is_released(active))
    }

    /// Whether there are cursors, and none of them waits for any of the segment.
    fn is_released(&self, segment: &Segment) -> bool {
        let waits = |cursor: &CursorEntry| cursor.waits_for(segment);
        !self.cursors.is_empty() && !self.cursors.values().any(waits)
    }

    /// Takes out every closed segment that no cursor needs; returns their first sequences. With
    /// no cursor at all nothing is taken. What the disk did not give stays until its room is needed: it may come back, and
    /// cursors have passed it without having had it.
    pub(crate) fn take_released(&mut self) -> Vec<u64> {
        if self.keeps_all {
            return Vec::new();
        }
        let closed = self.segments.len().saturating_sub(1);
        let segments = self.segments.iter().take(closed);
        let over = segments.filter(|old| self.is_released(old) && !old.is_unreadable());
        let taken: Vec<u64> = over.map(|segment| segment.first).collect();
        if !taken.is_empty() {
            self.segments
                .retain(|segment| taken.binary_search(&segment.first).is_err());
        }
        taken
    }

    /// First sequence of the segment to take: the oldest that is needed by nobody, or only by cursors that let it go
    /// and have nothing of it under way. Where all have, the oldest goes, unless another cursor only has to move on.
    pub(crate) fn victim(&self) -> Option<u64> {
        if self.cursors.is_empty() {
            return None;
        }
        let active = self.segments.len().saturating_sub(1);
        let segments = self.segments.iter().enumerate();
        let segments = segments.filter(|(at, segment)| *at < active || segment.records > 0);
        let mut oldest = None;
        for (_, segment) in segments {
            if !self.cursors.values().all(|cursor| cursor.lets_go(segment)) {
                return None;
            }
            if !self.cursors.values().any(|cursor| cursor.holds(segment)) {
                return Some(segment.first);
            }
            oldest = oldest.or(Some(segment.first));
        }
        oldest
    }

    pub(crate) fn is_active(&self, first: u64) -> bool {
        self.segments
            .back()
            .is_some_and(|active| active.first == first)
    }

    /// The first segment with records behind the one that starts at `first`.
    pub(crate) fn next_of(&self, first: u64) -> Option<&Segment> {
        let behind = self.segments.iter().filter(|segment| segment.first > first);
        behind.into_iter().find(|segment| segment.records > 0)
    }

    /// Takes a segment from the cursors that still need it, counting what they lose: their names.
    pub(crate) fn drop_segment(&mut self, first: u64) -> Vec<String> {
        let found = self.segments.iter().position(|old| old.first == first);
        let Some((at, segment)) = found.and_then(|at| Some((at, self.segments.remove(at)?))) else {
            return Vec::new();
        };
        let mut losers = Vec::new();
        for (name, cursor) in &mut self.cursors {
            if at == 0 && segment.records == 0 {
                // Its bytes were counted when the damage was found.
                cursor.released = cursor.released.max(segment.last);
            }
            if !cursor.needs(&segment) {
                continue;
            }
            let (records, bytes) = segment.lag_of(cursor);
            tracing::warn!(
                cursor = name,
                batches = records,
                bytes,
                "journal full, oldest records dropped"
            );
            cursor.dropped_records += records;
            cursor.dropped_bytes += bytes;
            if at == 0 {
                cursor.released = segment.last;
            }
            losers.push(name.clone());
        }
        losers
    }

    /// Takes out a closed segment whose file is not there. False when it is not in the table, or not closed.
    pub(crate) fn lose_segment(&mut self, first: u64) -> bool {
        let closed = self.segments.len().saturating_sub(1);
        let mut segments = self.segments.iter().take(closed);
        let found = segments.position(|segment| segment.first == first);
        let Some(lost) = found.and_then(|at| self.segments.remove(at)) else {
            return false;
        };
        self.lost_segments += 1;
        self.lost_records += lost.records;
        self.lost_through = self.lost_through.max(lost.last);
        true
    }

    /// First sequences of the closed segments.
    pub(crate) fn closed_firsts(&self) -> Vec<u64> {
        let closed = self.segments.len().saturating_sub(1);
        let segments = self.segments.iter().take(closed);
        segments.map(|segment| segment.first).collect()
    }

    /// Whether the record is on disk, unless damage has taken it.
    pub(crate) fn has(&self, sequence: u64) -> bool {
        self.segment_for(sequence)
            .is_some_and(|segment| segment.first <= sequence)
    }

    pub(crate) fn release(&mut self, name: &str, through: u64) {
        if let Some(cursor) = self.cursors.get_mut(name) {
            cursor.released = cursor.released.max(through);
        }
    }

    /// What the cursor has passed over without finding a record is released, unless the disk may give it after all.
    pub(crate) fn release_passed(&mut self, name: &str, passed: u64) {
        let Some(cursor) = self.cursors.get_mut(name) else {
            return;
        };
        let mut passed_over = self
            .segments
            .iter()
            .take_while(|segment| segment.first <= passed);
        if !passed_over.any(|segment| segment.is_unreadable() && cursor.needs(segment)) {
            cursor.released = cursor.released.max(passed);
        }
    }

    /// Fills in what the table knows.
    pub(crate) fn describe(&self, stats: &mut JournalStats) {
        stats.segments = self.segments.len() as u64;
        stats.disk_bytes = self.disk_bytes();
        let hidden = |segment: &Segment| segment.disk_bytes - segment.readable_bytes;
        stats.unreadable_bytes = self.segments.iter().map(hidden).sum();
        stats.oldest_sequence = self.oldest_sequence();
        stats.lost_segments = self.lost_segments;
        stats.lost_records = self.lost_records;
        stats.lost_through = self.lost_through;
        stats.quarantined_ranges = self.quarantined_ranges;
        stats.quarantined_bytes = self.quarantined_bytes;
        stats.cursors = self
            .cursors
            .iter()
            .map(|entry| self.describe_cursor(entry))
            .collect();
    }

    fn describe_cursor(&self, (name, cursor): (&String, &CursorEntry)) -> CursorStats {
        let (mut lag_records, mut lag_bytes) = (0, 0);
        let from = self
            .segments
            .partition_point(|segment| segment.last <= cursor.released);
        for segment in self
            .segments
            .iter()
            .skip(from)
            .filter(|segment| segment.records > 0)
        {
            let (records, bytes) = segment.lag_of(cursor);
            lag_records += records;
            lag_bytes += bytes;
        }
        CursorStats {
            name: name.clone(),
            committed: cursor.released,
            lag_records,
            lag_bytes,
            dropped_records: cursor.dropped_records,
            dropped_bytes: cursor.dropped_bytes,
            on_full: cursor.on_full,
        }
    }
}
