//! `buffer export`: what the buffer holds, for people and other tools. Nothing is taken from it.

use std::fs;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use vervet_journal::{Inspector, Item, Record};
use vervet_model::Signal;
use vervet_wire::otlp::for_each_log;

use super::{Batch, CURSOR_PREFIX, Pending, Place, inspector};
use crate::cli::complain;
use crate::exporters::dead_letter::{self, Letter};
use crate::printable::{printable, printable_json};

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// What is written, and how.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// How a batch is written: a line of OTLP JSON, a file of OTLP protobuf, or the text of its log records
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Folder for protobuf files, made when absent; the other formats go to standard output
    #[arg(long, value_name = "DIR", required_if_eq("format", "protobuf"))]
    out: Option<PathBuf>,
    /// Only what this exporter has not settled
    #[arg(long, value_name = "EXPORTER")]
    pending: Option<String>,
    /// First sequence
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    from: u64,
    /// Last sequence
    #[arg(long, value_name = "SEQUENCE", default_value_t = u64::MAX)]
    to: u64,
    /// Only this signal
    #[arg(long, value_enum)]
    signal: Option<SignalArg>,
    /// From damaged ranges that were set aside, as far as they can be read
    #[arg(long)]
    quarantine: bool,
    /// What destinations refused for good
    #[arg(long, conflicts_with_all = ["quarantine", "pending"])]
    dead_letters: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Protobuf,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SignalArg {
    Logs,
    Metrics,
    Traces,
}

impl From<SignalArg> for Signal {
    fn from(signal: SignalArg) -> Self {
        match signal {
            SignalArg::Logs => Self::Logs,
            SignalArg::Metrics => Self::Metrics,
            SignalArg::Traces => Self::Traces,
        }
    }
}

/// False when something that was asked for could not be written.
pub(super) fn run(data_dir: &Path, selection: &Selection) -> anyhow::Result<bool> {
    let out = BufWriter::new(io::stdout().lock());
    match write(data_dir, selection, out) {
        Err(error) if is_closed_pipe(&error) => Ok(true),
        outcome => outcome,
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes to `out`, and to files where the format asks for them.
pub(super) fn write(
    data_dir: &Path,
    selection: &Selection,
    out: impl Write,
) -> anyhow::Result<bool> {
    let inspector = match selection.dead_letters {
        true => dead_letters(data_dir)?,
        false => inspector(data_dir)?,
    };
    if let Some(dir) = &selection.out {
        // What is in them may be secret: nobody but the owner reads them.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(dir)?;
    }
    let pending = selection.pending(&inspector)?;
    let mut export = Export {
        selection,
        pending,
        out,
        for_terminal: io::stdout().is_terminal(),
        batches: 0,
        records: 0,
        failed: 0,
    };
    match selection.quarantine {
        true => export.quarantine(&inspector)?,
        false => export.segments(&inspector)?,
    }
    export.out.flush()?;
    let Export {
        batches,
        records,
        failed,
        ..
    } = export;
    complain(&format!(
        "{batches} batches with {records} records written, {failed} could not be read"
    ));
    Ok(failed == 0)
}

fn dead_letters(data_dir: &Path) -> anyhow::Result<Inspector> {
    let dir = data_dir.join(dead_letter::FOLDER);
    anyhow::ensure!(
        dir.is_dir(),
        "there are no dead letters in {}",
        data_dir.display()
    );
    Ok(Inspector::open(dir)?)
}

impl Selection {
    /// What is wanted for the exporter that is asked for, else everything.
    fn pending(&self, inspector: &Inspector) -> anyhow::Result<Pending> {
        let Some(exporter) = &self.pending else {
            return Ok(Pending::default());
        };
        let name = format!("{CURSOR_PREFIX}{exporter}");
        let cursors = inspector.cursors()?;
        let Some(cursor) = cursors.iter().find(|cursor| cursor.name == name) else {
            let known = cursors
                .iter()
                .filter_map(|cursor| cursor.name.strip_prefix(CURSOR_PREFIX));
            let known: Vec<_> = known.collect();
            anyhow::bail!(
                "the buffer knows no exporter {exporter}; it knows: {}",
                known.join(", ")
            );
        };
        // A damaged cursor starts again at the oldest record.
        let stored = cursor.stored.as_ref();
        Ok(stored.map_or_else(Pending::default, Pending::of))
    }
}

struct Export<'s, W> {
    selection: &'s Selection,
    pending: Pending,
    out: W,
    /// Texts are escaped: they may hold what a terminal obeys.
    for_terminal: bool,
    batches: u64,
    records: u64,
    failed: u64,
}

impl<W: Write> Export<'_, W> {
    fn segments(&mut self, inspector: &Inspector) -> anyhow::Result<()> {
        for segment in inspector.segments()? {
            inspector.read::<anyhow::Error>(&segment, &mut |item| {
                match item {
                    Item::Record(record) if self.selection.dead_letters => self.letter(record)?,
                    Item::Record(record) => self.record(record, true)?,
                    Item::Damage(damage) if damage.is_unfinished => {}
                    Item::Damage(damage) => {
                        self.failed += 1;
                        complain(&damage);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn quarantine(&mut self, inspector: &Inspector) -> anyhow::Result<()> {
        for path in inspector.quarantine()? {
            if path.extension().is_none_or(|end| end != "bin") {
                continue;
            }
            let found = inspector.salvage(&path)?;
            if found.is_empty() {
                self.failed += 1;
                complain(&format!("{}: no record can be read", path.display()));
            }
            for salvaged in found {
                self.record(salvaged.record, salvaged.is_intact)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, record: Record, is_intact: bool) -> anyhow::Result<()> {
        let sequence = record.sequence;
        let wanted = self.selection.from..=self.selection.to;
        if !wanted.contains(&sequence) || !self.pending.has(sequence) {
            return Ok(());
        }
        let Some(batch) = Batch::read(record) else {
            return self.give_up(sequence, "it is not of a known version or ends early");
        };
        self.batch(&batch, is_intact)
    }

    /// A letter's sequence is that of the record in the buffer that it came from.
    fn letter(&mut self, record: Record) -> anyhow::Result<()> {
        let own_sequence = record.sequence;
        let Ok(letter) = Letter::decode(record) else {
            return self.give_up(own_sequence, "it is no dead letter of a known version");
        };
        if !(self.selection.from..=self.selection.to).contains(&letter.sequence) {
            return Ok(());
        }
        let Letter {
            exporter,
            sequence,
            signal,
            records,
            status,
            reason,
            payload,
            ..
        } = letter;
        complain(&format!(
            "sequence {sequence}: refused by {exporter}: {status} {reason}"
        ));
        let batch = Batch {
            sequence,
            signal,
            records,
            appended: None,
            request: payload,
        };
        self.batch(&batch, true)
    }

    fn batch(&mut self, batch: &Batch, is_intact: bool) -> anyhow::Result<()> {
        let sequence = batch.sequence;
        if self
            .selection
            .signal
            .is_some_and(|signal| Signal::from(signal) != batch.signal)
        {
            return Ok(());
        }
        if let Some(complaint) = batch.complaint() {
            return self.give_up(sequence, &complaint);
        }
        if !is_intact {
            complain(&format!(
                "sequence {sequence}: its checksum does not fit, some of it may be wrong"
            ));
        }
        self.write(batch)?;
        self.batches += 1;
        self.records += batch.records;
        Ok(())
    }

    fn give_up(&mut self, sequence: u64, why: &str) -> anyhow::Result<()> {
        self.failed += 1;
        complain(&format!("sequence {sequence}: {why}"));
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> anyhow::Result<()> {
        match (self.selection.format, &self.selection.out) {
            (Format::Protobuf, Some(dir)) => {
                let (sequence, signal) = (batch.sequence, batch.signal);
                let name = match self.selection.dead_letters {
                    // One request may have been refused in many pieces.
                    true => format!("{sequence:020}-{:06}-{signal}.pb", self.batches),
                    false => format!("{sequence:020}-{signal}.pb"),
                };
                let path = dir.join(name);
                let file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(FILE_MODE)
                    .open(&path);
                // What is there already, a link for example, is left alone.
                let file = file.with_context(|| format!("{} cannot be made", path.display()));
                file?.write_all(&batch.request)?;
            }
            (Format::Protobuf, None) => anyhow::bail!("protobuf needs --out"),
            (Format::Json, _) => {
                let json = to_json(batch.signal, &batch.request)?;
                self.out.write_all(printable_json(&json).as_bytes())?;
                self.out.write_all(b"\n")?;
            }
            (Format::Text, _) => self.write_text(batch)?,
        }
        Ok(())
    }

    /// The bodies of log records; the other signals have no text.
    fn write_text(&mut self, batch: &Batch) -> anyhow::Result<()> {
        if batch.signal != Signal::Logs {
            return Ok(());
        }
        let mut lines = String::new();
        for_each_log(&batch.request, |_, _, record| {
            let text = record.body.to_text();
            match self.for_terminal {
                true => lines.push_str(&printable(&text)),
                false => lines.push_str(&text),
            }
            lines.push('\n');
        })?;
        Ok(self.out.write_all(lines.as_bytes())?)
    }
}

fn to_json(signal: Signal, request: &Bytes) -> anyhow::Result<String> {
    match signal {
        Signal::Logs => json_of::<ExportLogsServiceRequest>(request),
        Signal::Metrics => json_of::<ExportMetricsServiceRequest>(request),
        Signal::Traces => json_of::<ExportTraceServiceRequest>(request),
    }
}

fn json_of<M: Message + Default + Serialize>(request: &Bytes) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&M::decode(&request[..])?)?)
}
