//! `vervet-agent status`: what a running agent says of itself, as tables or as the JSON it is made from. The exit code is the
//! verdict: 0 when data flows, [`EXIT_NOT_WELL`] when it does not, [`EXIT_NOT_ASKED`] when nobody could be asked.

mod render;
mod targets;
mod verdict;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::admin::AdminArgs;
use super::{admin, say};
use crate::printable::printable_json;

const STATUS_BYTES_MAX: usize = 16 << 20;
const EXIT_NOT_WELL: u8 = 1;
pub(super) const EXIT_NOT_ASKED: u8 = 2;
pub(super) const EXIT_CODES: &str = "Exit code: 0 data flows, warnings or not; 1 NOT WELL; 2 the agent cannot be asked, or wrong usage";

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// What to show instead of everything
    #[arg(value_enum)]
    topic: Option<Topic>,
    #[command(flatten)]
    admin: AdminArgs,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

/// A part of what there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// The scrape targets: health, last scrape, samples, errors; with --json as Prometheus's /api/v1/targets
    Targets,
}

pub(super) async fn status(args: StatusArgs) -> anyhow::Result<ExitCode> {
    if args.topic == Some(Topic::Targets) {
        return targets(args).await;
    }
    let answer = args.admin.get("/api/vervet/v1/status").await?;
    let body = admin::body(answer, STATUS_BYTES_MAX).await?;
    let status: Value = serde_json::from_slice(&body)?;
    match args.json {
        true => say(&printable_json(&format!("{status:#}\n")))?,
        false => say(&render::status(&status))?,
    }
    Ok(match verdict::is_well(&status) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(EXIT_NOT_WELL),
    })
}

async fn targets(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let answer = args.admin.get("/api/v1/targets").await?;
    let body = admin::body(answer, STATUS_BYTES_MAX).await?;
    let targets: Value = serde_json::from_slice(&body)?;
    match args.json {
        true => say(&printable_json(&format!("{targets:#}\n")))?,
        false => say(&targets::render(&targets))?,
    }
    Ok(ExitCode::SUCCESS)
}
