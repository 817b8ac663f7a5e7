//! One look through all of a journal: what is there, what is damaged and what is missing.

use std::ops::RangeInclusive;

use crate::error::JournalError;
use crate::inspect::{CursorView, Damage, Inspector, Item, SegmentView};

/// What a look through all of a journal found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The segments, oldest first.
    pub segments: Vec<SurveyedSegment>,
    /// The cursors by name, as they stood before the segments were read.
    pub cursors: Vec<CursorView>,
    /// Damaged ranges; an append under way, or one that a crash has interrupted, is none.
    pub damaged_ranges: u64,
    /// Sequences that went with damaged ranges.
    pub lost: Vec<RangeInclusive<u64>>,
    /// Acknowledged sequences that are missing at the end, and that no damage speaks of.
    pub lost_end: Option<RangeInclusive<u64>>,
    /// Sequences that are missing between those that are there, and that no damage speaks of.
    pub gaps: Vec<RangeInclusive<u64>>,
    /// Everything up to here was found, or is known to be lost.
    through: u64,
}

/// What was found in a segment.
#[derive(Debug)]
pub struct SurveyedSegment {
    /// The file.
    pub view: SegmentView,
    /// Its first and last record.
    pub sequences: Option<RangeInclusive<u64>>,
    /// Intact records.
    pub records: u64,
    /// Payload bytes of those records.
    pub payload_bytes: u64,
    /// Bytes of damaged ranges.
    pub damaged_bytes: u64,
    /// Bytes at its end that were never acknowledged.
    pub unfinished_bytes: u64,
    /// Nobody needed it any more, and it was deleted before it could be read.
    pub is_deleted: bool,
}

impl Inspector {
    /// Reads everything and hands over what is there, in order, as [`Inspector::read`] does.
    ///
    /// # Errors
    /// `Io` when a folder cannot be listed; `UnsupportedVersion`; whatever `each` returns.
    pub fn survey<E: From<JournalError>>(
        &self,
        each: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<Survey, E> {
        // Both before the segments, so that what is written meanwhile is no loss.
        let cursors = self.cursors()?;
        let acknowledged = self.acknowledged();
        let mut survey = Survey {
            cursors,
            ..Survey::default()
        };
        for view in self.segments()? {
            survey.reach_end_before(view.first);
            let mut segment = SurveyedSegment::new(view.clone());
            let is_there = self.read(&view, &mut |item| {
                match &item {
                    Item::Record(record) => {
                        survey.reach_end_before(record.sequence);
                        survey.through = survey.through.max(record.sequence);
                        segment.record(record.sequence, record.payload.len() as u64);
                    }
                    Item::Damage(damage) => {
                        survey.damage(damage);
                        segment.damage(damage);
                    }
                }
                each(item)
            })?;
            if !is_there {
                segment.is_deleted = true;
                let next = view.ends_before.unwrap_or(view.first);
                survey.through = survey.through.max(next - 1);
            }
            survey.segments.push(segment);
        }
        survey.end(acknowledged);
        Ok(survey)
    }
}

impl Survey {
    /// How many things are damaged, or missing though they were acknowledged: ranges, cursors, the end.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        let cursors = self.cursors.iter();
        let cursors = cursors.filter(|cursor| cursor.stored.is_none()).count() as u64;
        self.damaged_ranges + cursors + u64::from(self.lost_end.is_some())
    }

    /// Intact records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Payload bytes of those records.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        let segments = self.segments.iter();
        segments.map(|segment| segment.payload_bytes).sum()
    }

    /// Everything that is known to be lost.
    #[must_use]
    pub fn known_lost(&self) -> Vec<RangeInclusive<u64>> {
        self.lost.iter().chain(&self.lost_end).cloned().collect()
    }

    /// What was given out before `next` has been passed. What was before all that is there was settled by everybody.
    fn reach_end_before(&mut self, next: u64) {
        if self.through > 0 && next > self.through + 1 {
            self.gaps.push(self.through + 1..=next - 1);
        }
        self.through = self.through.max(next.saturating_sub(1));
    }

    fn damage(&mut self, damage: &Damage) {
        self.damaged_ranges += u64::from(!damage.is_unfinished);
        let end = damage.lost.as_ref().map_or(0, |lost| *lost.end());
        self.through = self.through.max(end);
        self.lost.extend(damage.lost.clone());
    }

    fn end(&mut self, acknowledged: u64) {
        let committed = self.cursors.iter().filter_map(|cursor| {
            let (committed, _) = cursor.stored.as_ref()?;
            Some(*committed)
        });
        let known = acknowledged.max(committed.max().unwrap_or(0));
        let is_all_there = self.segments.iter().all(|segment| !segment.is_deleted);
        if is_all_there && self.through < known {
            self.lost_end = Some(self.through + 1..=known);
        }
        self.gaps = unexplained(&self.gaps, &self.lost);
    }
}

impl SurveyedSegment {
    fn new(view: SegmentView) -> Self {
        Self {
            view,
            sequences: None,
            records: 0,
            payload_bytes: 0,
            damaged_bytes: 0,
            unfinished_bytes: 0,
            is_deleted: false,
        }
    }

    fn record(&mut self, sequence: u64, bytes: u64) {
        let first = self.sequences.as_ref().map_or(sequence, |all| *all.start());
        self.sequences = Some(first..=sequence);
        self.records += 1;
        self.payload_bytes += bytes;
    }

    fn damage(&mut self, damage: &Damage) {
        match damage.is_unfinished {
            true => self.unfinished_bytes += damage.bytes,
            false => self.damaged_bytes += damage.bytes,
        }
    }
}

/// The parts of `gaps` that nothing in `known` speaks of.
pub(crate) fn unexplained(
    gaps: &[RangeInclusive<u64>],
    known: &[RangeInclusive<u64>],
) -> Vec<RangeInclusive<u64>> {
    let mut rest = gaps.to_vec();
    for known in known {
        let parts = rest.iter().flat_map(|gap| {
            let before = *gap.start()..=(*gap.end()).min(known.start().saturating_sub(1));
            let after = (*gap.start()).max(known.end().saturating_add(1))..=*gap.end();
            [before, after]
        });
        rest = parts.filter(|part| !part.is_empty()).collect();
    }
    rest
}
