//! `vervet-agent status`: what a running agent says of itself, as tables or as the JSON it is made from.

mod render;
mod verdict;

use clap::Args;
use serde_json::Value;

use super::admin::AdminArgs;
use super::{admin, say};
use crate::printable::printable_json;

const STATUS_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn status(args: StatusArgs) -> anyhow::Result<()> {
    let answer = args.admin.get("/api/vervet/v1/status").await?;
    let body = admin::body(answer, STATUS_BYTES_MAX).await?;
    let status: Value = serde_json::from_slice(&body)?;
    match args.json {
        true => say(&printable_json(&format!("{status:#}\n")))?,
        false => say(&render::status(&status))?,
    }
    Ok(())
}
