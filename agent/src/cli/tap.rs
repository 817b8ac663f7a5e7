//! `vervet-agent tap`: what a running agent is about to store, live, as lines of JSON or as counts per second.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::admin::AdminArgs;
use super::{say, say_error};
use crate::printable::{printable, printable_json};

/// A line longer than this is not believed to be one (bytes).
const LINE_BYTES_MAX: usize = 256 << 20;

#[derive(Debug, Args)]
pub(super) struct TapArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// logs, metrics or traces
    #[arg(long, value_name = "SIGNAL", default_value = "logs")]
    pipeline: String,
    /// Only what this receiver took in
    #[arg(long, value_name = "NAME")]
    receiver: Option<String>,
    /// Only records for which this condition holds, as in a filter processor
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Only records one of whose values holds this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// End after so many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print how many records come per second and receiver instead of the records
    #[arg(long)]
    rate: bool,
}

pub(super) async fn tap(args: TapArgs) -> anyhow::Result<()> {
    let limit = args.limit.map(|limit| limit.to_string());
    let mut parameters = vec![("pipeline", args.pipeline.as_str())];
    let optional = [
        ("receiver", &args.receiver),
        ("where", &args.condition),
        ("grep", &args.grep),
        ("limit", &limit),
    ];
    let given = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)));
    parameters.extend(given);
    let mut answer = args.admin.stream("/api/vervet/v1/tap", &parameters).await?;
    let (mut lines, mut rates) = (Lines::default(), Rates::default());
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            chunk = answer.chunk() => {
                let Some(chunk) = chunk? else { break };
                for line in lines.add(&chunk)? {
                    match args.rate {
                        true => rates.add(&line),
                        false => show(&line)?,
                    }
                }
            }
            () = tick(&mut seconds), if args.rate => say(&rates.take())?,
        }
    }
    if args.rate {
        say(&rates.take())?;
    }
    Ok(())
}

async fn tick(seconds: &mut Interval) {
    seconds.tick().await;
}

/// What was missed goes to standard error, so that standard output holds records only.
fn show(line: &str) -> anyhow::Result<()> {
    if let Some(count) = missed(line) {
        say_error(&format!(
            "vervet-agent: {count} records were too fast to show\n"
        ));
        return Ok(());
    }
    Ok(say(&format!("{}\n", printable_json(line)))?)
}

fn missed(line: &str) -> Option<u64> {
    if !line.starts_with("{\"missed\":") {
        return None;
    }
    serde_json::from_str::<Value>(line)
        .ok()?
        .get("missed")?
        .as_u64()
}

/// Puts lines together that come in pieces.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, chunk: &[u8]) -> anyhow::Result<Vec<String>> {
        self.0.extend_from_slice(chunk);
        anyhow::ensure!(self.0.len() <= LINE_BYTES_MAX, "a line is too long");
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.0.split_off(end + 1);
        let whole = std::mem::replace(&mut self.0, rest);
        let text = String::from_utf8_lossy(&whole);
        Ok(text.lines().map(str::to_owned).collect())
    }
}

#[derive(Default)]
struct Rates {
    records: BTreeMap<String, u64>,
    missed: u64,
}

impl Rates {
    fn add(&mut self, line: &str) {
        if let Some(count) = missed(line) {
            self.missed += count;
            return;
        }
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        let receiver = record
            .get("receiver")
            .and_then(Value::as_str)
            .unwrap_or_default();
        *self.records.entry(receiver.to_owned()).or_default() += 1;
    }

    /// One line for the second that is over.
    fn take(&mut self) -> String {
        let total: u64 = self.records.values().sum();
        let of = self
            .records
            .iter()
            .map(|(receiver, count)| format!("  {}: {count}", printable(receiver)));
        let missed = match self.missed {
            0 => String::new(),
            missed => format!("  (and {missed} too fast to look at)"),
        };
        let line = format!("{total} records/s{}{missed}\n", of.collect::<String>());
        *self = Self::default();
        line
    }
}
