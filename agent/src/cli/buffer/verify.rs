//! `buffer verify`: reads every byte, compares every checksum, and looks into every request.

use std::ops::RangeInclusive;
use std::path::Path;

use clap::Args;
use vervet_journal::{Damage, Item};

use super::{Batch, FOLDER, Place, inspector};
use crate::cli::say;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Default)]
struct Tally {
    batches: u64,
    records: u64,
    bytes: u64,
    damaged: u64,
    /// Everything up to here was found, or is known to be lost.
    through: u64,
    lost: Vec<Range>,
    /// Between what was found.
    gaps: Vec<Range>,
}

type Range = RangeInclusive<u64>;

/// False when something is damaged.
pub(super) fn run(data_dir: &Path) -> anyhow::Result<bool> {
    let mut told = String::new();
    let verified = verify(data_dir, &mut told);
    say(&told)?;
    verified
}

/// Tells in `out`.
pub(super) fn verify(data_dir: &Path, out: &mut String) -> anyhow::Result<bool> {
    let inspector = inspector(data_dir)?;
    let mut tally = Tally::default();
    // Both before the segments, so that what is written meanwhile is no loss.
    let cursors = inspector.cursors()?;
    let acknowledged = inspector.acknowledged();
    let mut is_all_there = true;
    for segment in inspector.segments()? {
        tally.reach_end_before(segment.first);
        let is_there = inspector.read::<anyhow::Error>(&segment, &mut |item| match item {
            Item::Damage(damage) => {
                tally.damage(&damage, out);
                Ok(())
            }
            Item::Record(record) => {
                let sequence = record.sequence;
                tally.reach(sequence);
                tally.bytes += record.payload.len() as u64;
                tally.batch(sequence, Batch::read(record), out);
                Ok(())
            }
        })?;
        if !is_there {
            is_all_there = false;
            let next = segment.ends_before.unwrap_or(segment.first);
            tally.through = tally.through.max(next - 1);
            *out += &format!(
                "{}: deleted meanwhile, nobody needs it any more\n",
                segment.path.display()
            );
        }
    }
    let committed = cursors.iter().filter_map(|cursor| cursor.stored.as_ref());
    let committed = committed.map(|(committed, _)| *committed).max();
    let known = acknowledged.max(committed.unwrap_or(0));
    if is_all_there && tally.through < known {
        tally.damaged += 1;
        *out += &format!(
            "{}: ends before what was acknowledged{}\n",
            data_dir.join(FOLDER).display(),
            told(Some(&(tally.through + 1..=known)))
        );
    }
    for cursor in cursors {
        if cursor.stored.is_none() {
            tally.damaged += 1;
            *out += &format!(
                "cursor {}: damaged, it would start again at the oldest record\n",
                cursor.name
            );
        }
    }
    for gap in unexplained(&tally.gaps, &tally.lost) {
        *out += &format!("{}\n", describe_gap(&gap));
    }
    let Tally {
        batches,
        records,
        bytes,
        damaged,
        ..
    } = tally;
    let verdict = match damaged {
        0 => "no damage".to_owned(),
        count => format!("{count} damaged"),
    };
    *out += &format!("{batches} batches, {records} records, {bytes} bytes read: {verdict}\n");
    Ok(damaged == 0)
}

impl Tally {
    /// A record is there.
    fn reach(&mut self, sequence: u64) {
        self.reach_end_before(sequence);
        self.through = self.through.max(sequence);
    }

    /// What was given out before `next` has been passed. What was before all that is there was settled by everybody.
    fn reach_end_before(&mut self, next: u64) {
        if self.through > 0 && next > self.through + 1 {
            self.gaps.push(self.through + 1..=next - 1);
        }
        self.through = self.through.max(next.saturating_sub(1));
    }

    fn damage(&mut self, damage: &Damage, out: &mut String) {
        self.damaged += u64::from(!damage.is_unfinished);
        let end = damage.lost.as_ref().map_or(0, |lost| *lost.end());
        self.through = self.through.max(end);
        self.lost.extend(damage.lost.clone());
        *out += &format!("{}\n", describe(damage));
    }

    fn batch(&mut self, sequence: u64, batch: Option<Batch>, out: &mut String) {
        self.batches += 1;
        self.records += batch.as_ref().map_or(0, |batch| batch.records);
        let complaint = match batch {
            None => Some("it is not of a known version or ends early".to_owned()),
            Some(batch) => batch.complaint(),
        };
        if let Some(complaint) = complaint {
            self.damaged += 1;
            *out += &format!("sequence {sequence}: {complaint}\n");
        }
    }
}

/// One line about a damaged range.
pub(super) fn describe(damage: &Damage) -> String {
    let Damage {
        segment,
        offset,
        bytes,
        lost,
        unreadable,
        is_unfinished,
    } = damage;
    let what = match (unreadable, is_unfinished) {
        (Some(error), _) => format!("cannot be read: {error}"),
        (None, false) if *bytes == 0 => {
            return format!(
                "{}: ends at byte {offset}, before what was acknowledged{}",
                segment.display(),
                told(lost.as_ref())
            );
        }
        (None, true) => {
            "unfinished: being written, or left by a crash and never acknowledged".to_owned()
        }
        (None, false) => "damaged".to_owned(),
    };
    format!(
        "{}: {bytes} bytes at {offset} {what}{}",
        segment.display(),
        told(lost.as_ref())
    )
}

/// The parts of `gaps` that nothing in `lost` speaks of.
pub(super) fn unexplained(gaps: &[Range], lost: &[Range]) -> Vec<Range> {
    let mut rest = gaps.to_vec();
    for known in lost {
        let parts = rest.iter().flat_map(|gap| {
            let before = *gap.start()..=(*gap.end()).min(known.start().saturating_sub(1));
            let after = (*gap.start()).max(known.end().saturating_add(1))..=*gap.end();
            [before, after]
        });
        rest = parts.filter(|part| !part.is_empty()).collect();
    }
    rest
}

/// One line about sequences that are missing without a trace.
pub(super) fn describe_gap(gap: &Range) -> String {
    let what = match gap.start() == gap.end() {
        true => format!("sequence {} is", gap.start()),
        false => format!("sequences {} to {} are", gap.start(), gap.end()),
    };
    format!(
        "{what} not there: dropped for room (on_full: drop_oldest), lost or taken out earlier, or in a segment that was removed"
    )
}

pub(super) fn told(lost: Option<&RangeInclusive<u64>>) -> String {
    match lost {
        Some(lost) if lost.start() == lost.end() => format!(", sequence {} is lost", lost.start()),
        Some(lost) => format!(", sequences {} to {} are lost", lost.start(), lost.end()),
        None => String::new(),
    }
}
