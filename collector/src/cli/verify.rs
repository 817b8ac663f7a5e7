//! `vervet-collector verify`.

use std::num::NonZero;

use clap::Args;
use serde_json::json;
use vervet_agent::printable::printable;
use vervet_store::verify::{Defect, Progress, VerifyOptions};

use super::progress::Meter;
use super::{CliResult, Place, human, say};
use crate::verify::{Finding, Findings, verify};

/// Threads at most: beyond that the disk is what limits.
const THREADS_MAX: usize = 4;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    place: Place,
    /// Compare lengths and checksums only; do not decode rows.
    #[arg(long)]
    quick: bool,
    /// Print one JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs) -> CliResult {
    let data_dir = args.place.data_dir()?;
    let watch = Watch {
        meter: Meter::new("verify", args.json),
        json: args.json,
    };
    let options = VerifyOptions {
        threads: std::thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(THREADS_MAX),
        rows: !args.quick,
    };
    let findings = verify(&data_dir, options, &watch)?;
    watch.meter.clear();
    match args.json {
        true => say(&format!("{:#}\n", json!(findings)))?,
        false => say(&text(&findings))?,
    }
    Ok(findings.defects.is_empty())
}

struct Watch {
    meter: Meter,
    json: bool,
}

impl Progress for Watch {
    fn begin(&self, bytes: u64, files: usize) {
        self.meter.begin(bytes, files);
    }

    fn advance(&self, bytes: u64) {
        self.meter.advance(bytes, 0);
    }

    fn file_done(&self) {
        self.meter.advance(0, 1);
    }

    /// Shown at once, so that nobody waits for the end to learn of it; the summary is by place.
    fn defect(&self, defect: &Defect) {
        if !self.json {
            self.meter.clear();
            super::complain(&printable(&defect_line(&Finding::from(defect))));
        }
    }
}

fn text(findings: &Findings) -> String {
    let mut out = String::new();
    for defect in &findings.defects {
        out.push_str(&format!("DAMAGED  {}\n", printable(&defect_line(defect))));
    }
    for orphan in &findings.orphans {
        let what = match orphan.is_recent {
            true => "not in the catalog yet, or left by a crash",
            false => {
                "not in the catalog; the collector moves it to the folder `unclaimed` at its next start \
                 (or deletes it when it was never finished)"
            }
        };
        out.push_str(&format!(
            "note     {}: {what} ({})\n",
            printable(&orphan.path),
            human::bytes(orphan.bytes)
        ));
    }
    let unclaimed = &findings.unclaimed;
    if unclaimed.files > 0 {
        out.push_str(&format!(
            "note     {} files ({}) in the folder `unclaimed`: segments that no catalog named at a start\n",
            human::count(unclaimed.files),
            human::bytes(unclaimed.bytes)
        ));
    }
    out.push_str(&format!(
        "{} files, {}, {} rows, {} checksums; journal: {} records in {} segments, {} of them not in files yet\n",
        human::count(findings.files),
        human::bytes(findings.bytes),
        human::count(findings.rows),
        human::count(findings.checksums),
        human::count(findings.journal.records),
        human::count(findings.journal.segments),
        human::count(findings.journal.records_waiting),
    ));
    out.push_str(&match findings.defects.len() {
        0 => "all is well\n".to_owned(),
        1 => "1 defect\n".to_owned(),
        many => format!("{many} defects\n"),
    });
    out
}

fn defect_line(defect: &Finding) -> String {
    let mut line = format!("{}: {}", defect.place, defect.message);
    if let Some(table) = &defect.table {
        line.push_str(&format!("; {} rows of {table}", human::count(defect.rows)));
    }
    if let Some((from, to)) = &defect.time_range {
        line.push_str(&format!(" from {from} to {to}"));
    }
    if !defect.is_live && defect.table.is_some() {
        line.push_str(" (replaced already; queries do not miss them)");
    }
    line
}
