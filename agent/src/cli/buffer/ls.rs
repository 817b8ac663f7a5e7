//! `buffer ls`: what the buffer holds and who still needs it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use vervet_journal::{Inspector, Item, JournalError};
use vervet_model::UnixNanos;

use super::{Batch, CURSOR_PREFIX, Pending, Place, inspector};
use crate::cli::say;
use crate::exporters::dead_letter::{self, Letter};
use crate::printable::printable;

/// Reasons of refusals that are shown.
const REASONS_MAX: usize = 10;

#[derive(Debug, Args)]
pub(super) struct LsArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Listing {
    segments: Vec<Segment>,
    cursors: Vec<CursorLine>,
    /// What is left for each of them.
    #[serde(skip)]
    pending: Vec<Pending>,
    quarantine: Vec<File>,
    dead_letters: Vec<File>,
    refused: Vec<Refused>,
}

/// Dead letters of one exporter with one reason.
#[derive(Debug, Serialize)]
struct Refused {
    exporter: String,
    status: String,
    reason: String,
    letters: u64,
    records: u64,
}

/// Times are those of appending, nanoseconds since the epoch.
#[derive(Debug, Default, Serialize)]
struct Segment {
    file: String,
    bytes: u64,
    batches: u64,
    records: u64,
    first_sequence: Option<u64>,
    last_sequence: Option<u64>,
    first_unix_nano: Option<i64>,
    last_unix_nano: Option<i64>,
    damaged_bytes: u64,
    /// At its end: being written, or left by a crash.
    unfinished_bytes: u64,
}

#[derive(Debug, Serialize)]
struct CursorLine {
    name: String,
    /// The exporter it belongs to; the agent's own cursor has none.
    exporter: Option<String>,
    /// `None` when its file is damaged.
    committed: Option<u64>,
    behind_batches: u64,
    behind_records: u64,
    behind_bytes: u64,
    oldest_unix_nano: Option<i64>,
}

#[derive(Debug, Serialize)]
struct File {
    name: String,
    bytes: u64,
}

pub(super) fn run(data_dir: &Path, json: bool) -> anyhow::Result<bool> {
    match json {
        true => say(&(serde_json::to_string_pretty(&listing(data_dir)?)? + "\n"))?,
        false => say(&listed(data_dir)?)?,
    }
    Ok(true)
}

/// As text.
pub(super) fn listed(data_dir: &Path) -> anyhow::Result<String> {
    Ok(listing(data_dir)?.text()?)
}

fn listing(data_dir: &Path) -> anyhow::Result<Listing> {
    Ok(Listing::read(&inspector(data_dir)?, data_dir)?)
}

impl Listing {
    fn read(inspector: &Inspector, data_dir: &Path) -> Result<Self, JournalError> {
        let mut listing = Self::default();
        for cursor in inspector.cursors()? {
            let pending = cursor.stored.as_ref();
            let pending = pending.map_or_else(Pending::default, Pending::of);
            listing.pending.push(pending);
            listing.cursors.push(CursorLine {
                exporter: cursor.name.strip_prefix(CURSOR_PREFIX).map(str::to_owned),
                name: cursor.name,
                committed: cursor.stored.map(|(committed, _)| committed),
                behind_batches: 0,
                behind_records: 0,
                behind_bytes: 0,
                oldest_unix_nano: None,
            });
        }
        for view in inspector.segments()? {
            let file = view.path.file_name().unwrap_or_default().to_string_lossy();
            let mut segment = Segment {
                file: file.into_owned(),
                bytes: view.bytes,
                ..Segment::default()
            };
            let is_there = inspector.read::<JournalError>(&view, &mut |item| {
                listing.add(&mut segment, item);
                Ok(())
            })?;
            if is_there {
                listing.segments.push(segment);
            }
        }
        let paths = inspector.quarantine()?;
        listing.quarantine = paths.iter().filter_map(|path| File::of(path)).collect();
        listing.dead_letters = dead_letters(data_dir);
        listing.refused = refused(data_dir)?;
        Ok(listing)
    }

    fn add(&mut self, segment: &mut Segment, item: Item) {
        let record = match item {
            Item::Damage(damage) if damage.is_unfinished => {
                segment.unfinished_bytes += damage.bytes;
                return;
            }
            Item::Damage(damage) => {
                segment.damaged_bytes += damage.bytes;
                return;
            }
            Item::Record(record) => record,
        };
        let (sequence, bytes) = (record.sequence, record.payload.len() as u64);
        let batch = Batch::read(record);
        let records = batch.as_ref().map_or(0, |batch| batch.records);
        let at = batch
            .and_then(|batch| batch.appended)
            .map(|UnixNanos(at)| at);
        segment.batches += 1;
        segment.records += records;
        segment.first_sequence.get_or_insert(sequence);
        segment.last_sequence = Some(sequence);
        segment.first_unix_nano = segment.first_unix_nano.or(at);
        segment.last_unix_nano = at.or(segment.last_unix_nano);
        for (cursor, pending) in self.cursors.iter_mut().zip(&self.pending) {
            if pending.has(sequence) {
                cursor.behind_batches += 1;
                cursor.behind_records += records;
                cursor.behind_bytes += bytes;
                cursor.oldest_unix_nano = cursor.oldest_unix_nano.or(at);
            }
        }
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        let number =
            |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
        writeln!(
            out,
            "{:<26}{:>12}{:>9}{:>11}  {:<23}{:<22}{:<22}",
            "SEGMENT", "BYTES", "BATCHES", "RECORDS", "SEQUENCES", "FIRST", "LAST"
        )?;
        for segment in &self.segments {
            let sequences = format!(
                "{}..{}",
                number(segment.first_sequence),
                number(segment.last_sequence)
            );
            let (first, last) = (time(segment.first_unix_nano), time(segment.last_unix_nano));
            write!(
                out,
                "{:<26}{:>12}{:>9}{:>11}  {sequences:<23}{first:<22}{last:<22}",
                segment.file, segment.bytes, segment.batches, segment.records
            )?;
            if segment.damaged_bytes > 0 {
                write!(out, "{} bytes damaged", segment.damaged_bytes)?;
            }
            if segment.unfinished_bytes > 0 {
                write!(out, "{} bytes unfinished", segment.unfinished_bytes)?;
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        writeln!(
            out,
            "\n{:<26}{:>12}{:>9}{:>11}{:>13}  OLDEST",
            "EXPORTER", "COMMITTED", "BEHIND", "RECORDS", "BYTES"
        )?;
        for cursor in &self.cursors {
            let name = cursor
                .exporter
                .clone()
                .unwrap_or_else(|| format!("({})", cursor.name));
            let committed = cursor
                .committed
                .map_or("damaged".to_owned(), |committed| committed.to_string());
            let (batches, records, bytes) = (
                cursor.behind_batches,
                cursor.behind_records,
                cursor.behind_bytes,
            );
            writeln!(
                out,
                "{name:<26}{committed:>12}{batches:>9}{records:>11}{bytes:>13}  {}",
                time(cursor.oldest_unix_nano)
            )?;
        }
        for (name, files) in [
            ("QUARANTINE", &self.quarantine),
            ("DEAD LETTERS", &self.dead_letters),
        ] {
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            writeln!(out, "\n{name}: {} files, {bytes} bytes", files.len())?;
            for file in files {
                writeln!(out, "  {:<40}{:>12}", file.name, file.bytes)?;
            }
        }
        self.push_refused(&mut out)?;
        Ok(out)
    }

    fn push_refused(&self, out: &mut String) -> std::fmt::Result {
        let shown = self.refused.get(..REASONS_MAX).unwrap_or(&self.refused);
        for refused in shown {
            let Refused {
                exporter,
                status,
                reason,
                letters,
                records,
            } = refused;
            let reason = printable(reason);
            writeln!(
                out,
                "  {exporter}: {letters} letters, {records} records: {status} {reason}"
            )?;
        }
        if self.refused.len() > shown.len() {
            let more = self.refused.len() - shown.len();
            writeln!(out, "  and {more} more reasons, see --json")?;
        }
        Ok(())
    }
}

impl File {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(Self {
            name,
            bytes: metadata.len(),
        })
    }
}

/// Segments of the dead letters' own journal, and files that earlier versions kept.
fn dead_letters(data_dir: &Path) -> Vec<File> {
    let mut files = Vec::new();
    for (folder, ending) in [("dead-letter", "seg"), ("rejected", "pb")] {
        let entries = fs::read_dir(data_dir.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        let paths = entries.map(|entry| entry.path());
        let own = paths.filter(|path| path.extension().is_some_and(|end| end == ending));
        files.extend(own.filter_map(|path| File::of(&path)));
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

/// Why letters were refused, the most frequent reason first.
fn refused(data_dir: &Path) -> Result<Vec<Refused>, JournalError> {
    let dir = data_dir.join(dead_letter::FOLDER);
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let inspector = Inspector::open(dir)?;
    let mut reasons: BTreeMap<(String, String, String), (u64, u64)> = BTreeMap::new();
    for segment in inspector.segments()? {
        inspector.read::<JournalError>(&segment, &mut |item| {
            if let Item::Record(record) = item
                && let Ok(letter) = Letter::decode(record)
            {
                let key = (letter.exporter, letter.status, letter.reason);
                let (letters, records) = reasons.entry(key).or_default();
                *letters += 1;
                *records += letter.records;
            }
            Ok(())
        })?;
    }
    let all = reasons.into_iter();
    let all = all.map(|((exporter, status, reason), (letters, records))| Refused {
        exporter,
        status,
        reason,
        letters,
        records,
    });
    let mut all: Vec<Refused> = all.collect();
    all.sort_by_key(|refused| std::cmp::Reverse(refused.letters));
    Ok(all)
}

/// To the second, in UTC.
fn time(unix_nano: Option<i64>) -> String {
    unix_nano
        .and_then(|nanos| jiff::Timestamp::from_second(nanos.div_euclid(1_000_000_000)).ok())
        .map_or("-".to_owned(), |at| at.to_string())
}
