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
}

/// False when something is damaged.
pub(super) fn run(data_dir: &Path) -> anyhow::Result<bool> {
    let inspector = inspector(data_dir)?;
    let mut tally = Tally::default();
    // Both before the segments, so that what is written meanwhile is no loss.
    let cursors = inspector.cursors()?;
    let acknowledged = inspector.acknowledged();
    let mut is_all_there = true;
    for segment in inspector.segments()? {
        let is_there = inspector.read::<anyhow::Error>(&segment, &mut |item| match item {
            Item::Damage(damage) => tally.damage(&damage),
            Item::Record(record) => {
                let sequence = record.sequence;
                tally.through = tally.through.max(sequence);
                tally.bytes += record.payload.len() as u64;
                tally.batch(sequence, Batch::read(record))
            }
        })?;
        tally.through = tally.through.max(segment.first - 1);
        if !is_there {
            is_all_there = false;
            say(&format!(
                "{}: deleted meanwhile, nobody needs it any more\n",
                segment.path.display()
            ))?;
        }
    }
    let committed = cursors.iter().filter_map(|cursor| cursor.stored.as_ref());
    let committed = committed.map(|(committed, _)| *committed).max();
    let known = acknowledged.max(committed.unwrap_or(0));
    if is_all_there && tally.through < known {
        tally.damaged += 1;
        say(&format!(
            "{}: ends before what was acknowledged{}\n",
            data_dir.join(FOLDER).display(),
            told(Some(&(tally.through + 1..=known)))
        ))?;
    }
    for cursor in cursors {
        if cursor.stored.is_none() {
            tally.damaged += 1;
            say(&format!(
                "cursor {}: damaged, it would start again at the oldest record\n",
                cursor.name
            ))?;
        }
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
    say(&format!(
        "{batches} batches, {records} records, {bytes} bytes read: {verdict}\n"
    ))?;
    Ok(damaged == 0)
}

impl Tally {
    fn damage(&mut self, damage: &Damage) -> anyhow::Result<()> {
        self.damaged += u64::from(!damage.is_unfinished);
        let end = damage.lost.as_ref().map_or(0, |lost| *lost.end());
        self.through = self.through.max(end);
        say(&format!("{}\n", describe(damage)))?;
        Ok(())
    }

    fn batch(&mut self, sequence: u64, batch: Option<Batch>) -> anyhow::Result<()> {
        self.batches += 1;
        self.records += batch.as_ref().map_or(0, |batch| batch.records);
        let complaint = match batch {
            None => Some("it is not of a known version or ends early".to_owned()),
            Some(batch) => batch.complaint(),
        };
        if let Some(complaint) = complaint {
            self.damaged += 1;
            say(&format!("sequence {sequence}: {complaint}\n"))?;
        }
        Ok(())
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

pub(super) fn told(lost: Option<&RangeInclusive<u64>>) -> String {
    match lost {
        Some(lost) if lost.start() == lost.end() => format!(", sequence {} is lost", lost.start()),
        Some(lost) => format!(", sequences {} to {} are lost", lost.start(), lost.end()),
        None => String::new(),
    }
}
