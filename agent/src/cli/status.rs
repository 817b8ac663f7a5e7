//! `vervet-agent status`: what a running agent says of itself, as tables or as the JSON it is made from.

mod render;

use clap::Args;
use serde_json::Value;

use super::{admin, say};
use crate::config::ADMIN_ADDRESS_DEFAULT;
use crate::printable::printable_json;

const STATUS_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Admin address of the agent
    #[arg(long, value_name = "ADDR", default_value = ADMIN_ADDRESS_DEFAULT)]
    admin: String,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn status(args: StatusArgs) -> anyhow::Result<()> {
    let answer = admin::get(&args.admin, "/api/vervet/v1/status").await?;
    let body = admin::body(answer, STATUS_BYTES_MAX).await?;
    let status: Value = serde_json::from_slice(&body)?;
    match args.json {
        true => say(&printable_json(&format!("{status:#}\n")))?,
        false => say(&render::status(&status))?,
    }
    Ok(())
}
