//! `buffer verify`: reads every byte, compares every checksum, and looks into every request.

use std::path::Path;

use clap::Args;
use vervet_journal::Item;

use super::{Batch, FOLDER, Place, inspector};
use crate::cli::say;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub(super) place: Place,
}

/// False when something is damaged.
pub(super) fn run(data_dir: &Path) -> anyhow::Result<bool> {
    let mut told = String::new();
    let verified = verify(data_dir, &mut told);
    say(&told)?;
    verified
}

/// Tells in `out`.
pub(super) fn verify(data_dir: &Path, out: &mut String) -> anyhow::Result<bool> {
    let (mut records, mut malformed) = (0, 0);
    let survey = inspector(data_dir)?.survey::<anyhow::Error>(&mut |item| {
        match item {
            Item::Damage(damage) => *out += &format!("{damage}\n"),
            Item::Record(record) => {
                let sequence = record.sequence;
                let batch = Batch::read(record);
                records += batch.as_ref().map_or(0, |batch| batch.records);
                let complaint = match batch {
                    None => Some("it is not of a known version or ends early".to_owned()),
                    Some(batch) => batch.complaint(),
                };
                if let Some(complaint) = complaint {
                    malformed += 1;
                    *out += &format!("sequence {sequence}: {complaint}\n");
                }
            }
        }
        Ok(())
    })?;
    for line in survey.lines(&data_dir.join(FOLDER)) {
        *out += &format!("{line}\n");
    }
    let damaged = survey.damaged() + malformed;
    let verdict = match damaged {
        0 => "no damage".to_owned(),
        count => format!("{count} damaged"),
    };
    *out += &format!(
        "{} batches, {records} records, {} bytes read: {verdict}\n",
        survey.records(),
        survey.payload_bytes()
    );
    Ok(damaged == 0)
}
