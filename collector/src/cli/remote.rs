//! Commands that ask a running collector: `status` and `query`.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use vervet_agent::printable::{printable_json, printable_lines};

use super::{CliError, CliResult, human, say};
use crate::CollectorConfig;

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read whole (bytes).
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Which collector is asked.
#[derive(Debug, Args)]
struct Address {
    /// Where the collector's API is [default: http://127.0.0.1:7420, or what the configuration says].
    #[arg(long, value_name = "URL", env = "VERVET_URL")]
    url: Option<String>,
    /// Configuration file that names the address.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    address: Address,
    /// Print the JSON of the API.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct QueryArgs {
    #[command(subcommand)]
    language: Language,
}

#[derive(Debug, Subcommand)]
enum Language {
    /// Run a read-only SQL statement over logs, spans, samples and series.
    Sql {
        #[command(flatten)]
        address: Address,
        /// How rows are written.
        #[arg(long, value_enum, default_value_t = Form::Json)]
        format: Form,
        /// Rows at most.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// The statement.
        statement: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// One JSON object a line.
    Json,
    /// With a header line.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
        }
    }
}

impl Address {
    fn url(&self) -> Result<String, CliError> {
        let config = match (&self.url, &self.config) {
            (Some(url), _) => return Ok(url.trim_end_matches('/').to_owned()),
            (None, Some(file)) => CollectorConfig::load(file),
            (None, None) => CollectorConfig::parse("default", ""),
        };
        match config {
            Ok(config) => Ok(format!("http://{}", config.http)),
            Err(error) => Err(CliError::Config(error.to_string())),
        }
    }
}

fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(vervet_agent::http::client(|builder| {
        builder.no_proxy().connect_timeout(CONNECT_TIMEOUT)
    })?)
}

/// The message of an error answer of ours.
async fn refusal(mut answer: reqwest::Response) -> anyhow::Error {
    let status = answer.status();
    let text = body(&mut answer).await.unwrap_or_default();
    let message = serde_json::from_slice::<Value>(&text)
        .ok()
        .and_then(|body| Some(body.pointer("/error/message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| String::from_utf8_lossy(&text).trim().to_owned());
    anyhow::anyhow!("{message} ({status})")
}

async fn body(answer: &mut reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        anyhow::ensure!(
            body.len() + chunk.len() <= ANSWER_BYTES_MAX,
            "the answer is too large"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(super) fn query(args: &QueryArgs) -> CliResult {
    let Language::Sql {
        address,
        format,
        limit,
        statement,
    } = &args.language;
    let url = address.url()?;
    let mut parameters = vec![("format", format.name().to_owned())];
    parameters.extend(limit.map(|limit| ("limit", limit.to_string())));
    let asked = in_runtime(async {
        let url = format!("{url}/api/vervet/v1/sql");
        let url = reqwest::Url::parse_with_params(&url, &parameters)
            .with_context(|| format!("{url} is no address"))?;
        let request = client()?
            .post(url.clone())
            .header(reqwest::header::CONTENT_TYPE, "text/plain")
            .body(statement.clone());
        let mut answer = request
            .send()
            .await
            .with_context(|| format!("no collector answers at {url}"))?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        print(&mut answer, matches!(format, Form::Json)).await
    });
    Ok(asked?)
}

/// Writes an answer as it comes. `false` when its last line is an error, or names what is missing.
async fn print(answer: &mut reqwest::Response, is_json: bool) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    let mut last_line = Vec::new();
    while let Some(chunk) = answer.chunk().await.context("the answer broke off")? {
        match out.write_all(&chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(true),
            written => written?,
        }
        if is_json {
            let text = chunk.strip_suffix(b"\n").unwrap_or(&chunk);
            if let Some(at) = text.iter().rposition(|byte| *byte == b'\n') {
                last_line.clear();
                last_line.extend_from_slice(text.get(at + 1..).unwrap_or_default());
            } else {
                last_line.extend_from_slice(text);
            }
        }
    }
    out.flush()?;
    let is_note = [&b"{\"error\":{\"code\":"[..], b"{\"warnings\":["];
    Ok(!is_note.iter().any(|note| last_line.starts_with(note)))
}

pub(super) fn status(args: &StatusArgs) -> CliResult {
    let url = args.address.url()?;
    let status: Value = in_runtime(async {
        let url = format!("{url}/api/vervet/v1/status");
        let mut answer = client()?
            .get(&url)
            .send()
            .await
            .with_context(|| format!("no collector answers at {url}"))?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        Ok(serde_json::from_slice(&body(&mut answer).await?)?)
    })?;
    match args.json {
        true => say(&printable_json(&format!("{status:#}\n")))?,
        false => say(&(printable_lines(&text(&status)) + "\n"))?,
    }
    Ok(status
        .get("ready")
        .and_then(Value::as_bool)
        .unwrap_or(false))
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

fn time(value: &Value, path: &str) -> String {
    let ms = value.pointer(path).and_then(Value::as_i64);
    ms.map_or("-".to_owned(), |ms| {
        human::time(vervet_model::UnixMillis(ms).to_nanos())
    })
}

/// Damaged segments that are listed.
const DAMAGED_SHOWN: usize = 10;

fn text(status: &Value) -> String {
    let mut out = format!(
        "vervet-collector {}, {}, up {}\n\n",
        status.get("version").and_then(Value::as_str).unwrap_or("?"),
        match status.get("ready").and_then(Value::as_bool) {
            Some(true) => "ready",
            _ => "NOT READY",
        },
        human::seconds(number(status, "/uptime_seconds")),
    );
    let head = [
        "table",
        "rows in memory",
        "rows in files",
        "files",
        "bytes",
        "rows/s",
        "oldest",
        "newest",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for table in ["logs", "spans", "samples", "series"] {
        let at = |field: &str| number(status, &format!("/tables/{table}/{field}"));
        let rate = status
            .pointer(&format!("/records_per_second/{table}"))
            .and_then(Value::as_f64);
        rows.push(vec![
            table.to_owned(),
            human::count(at("rows_head")),
            human::count(at("rows_stored")),
            human::count(at("files")),
            human::bytes(at("bytes")),
            rate.map_or("-".to_owned(), |rate| format!("{rate:.1}")),
            time(status, &format!("/tables/{table}/oldest_unix_ms")),
            time(status, &format!("/tables/{table}/newest_unix_ms")),
        ]);
    }
    out.push_str(&human::table(&rows));
    out.push_str(&format!(
        "\nmemory   {} of rows\njournal  {} of {} in {} segments, last record {}",
        human::bytes(number(status, "/head_bytes")),
        human::bytes(number(status, "/journal/bytes")),
        human::bytes(number(status, "/journal/bytes_max")),
        number(status, "/journal/segments"),
        number(status, "/journal/last_sequence"),
    ));
    let cursors = status.pointer("/journal/cursors").and_then(Value::as_array);
    for cursor in cursors.into_iter().flatten() {
        out.push_str(&format!(
            "; {} is {} records behind",
            cursor.get("name").and_then(Value::as_str).unwrap_or("?"),
            human::count(number(cursor, "/records_behind")),
        ));
    }
    out.push_str(&format!(
        "\ndisk     {} free of {}\nqueries  {}\nbackup   {}\n",
        human::bytes(number(status, "/disk/free_bytes")),
        human::bytes(number(status, "/disk/bytes")),
        queries(status),
        last_backup(status),
    ));
    out.push_str(&not_ready(status));
    out.push_str(&degraded(status));
    out.push_str(&notifications(status));
    out.push_str(&unclaimed(status));
    out
}

/// Segments that a start moved aside.
fn unclaimed(status: &Value) -> String {
    match number(status, "/unclaimed/files") {
        0 => String::new(),
        files => format!(
            "UNCLAIMED {} segments that the catalog does not name lie in the folder `unclaimed` ({})\n",
            human::count(files),
            human::bytes(number(status, "/unclaimed/bytes")),
        ),
    }
}

/// Why it takes no data.
fn not_ready(status: &Value) -> String {
    let reason = status.get("not_ready").and_then(Value::as_str);
    reason.map_or_else(String::new, |reason| format!("NOT READY {reason}\n"))
}

/// What kept the last notification from being delivered.
fn notifications(status: &Value) -> String {
    let Some(last) = status.pointer("/notifications/last_failure") else {
        return String::new();
    };
    let text = |field: &str| last.get(field).and_then(Value::as_str);
    let Some(error) = text("error") else {
        return String::new();
    };
    format!(
        "NOTIFICATIONS {} delivered, {} attempts failed; the last at {}, receiver {}: {error}\n",
        human::count(number(status, "/notifications/delivered")),
        human::count(number(status, "/notifications/failed")),
        time(status, "/notifications/last_failure/at_unix_ms"),
        text("receiver").unwrap_or("?"),
    )
}

/// What is not whole, with the first few files.
fn degraded(status: &Value) -> String {
    let Some(reason) = status.get("degraded").and_then(Value::as_str) else {
        return String::new();
    };
    let mut out = format!("DEGRADED {reason}\n");
    let damaged = status.get("damaged_segments").and_then(Value::as_array);
    for segment in damaged.into_iter().flatten().take(DAMAGED_SHOWN) {
        let text = |field: &str| segment.get(field).and_then(Value::as_str).unwrap_or("?");
        out.push_str(&format!("         {}\n", text("reason")));
    }
    out
}

fn queries(status: &Value) -> String {
    let lane = |name: &str| {
        let at = |field: &str| number(status, &format!("/queries/{name}/{field}"));
        format!(
            "{} {name} running, {} waiting, {} refused",
            at("running"),
            at("waiting"),
            at("refused")
        )
    };
    format!("{}; {}", lane("light"), lane("heavy"))
}

fn last_backup(status: &Value) -> String {
    match status
        .pointer("/disk/last_backup")
        .filter(|last| last.is_object())
    {
        None => "none".to_owned(),
        Some(last) => format!(
            "{} to {}, {}{}",
            time(last, "/taken_unix_ms"),
            last.get("location").and_then(Value::as_str).unwrap_or("?"),
            human::bytes(number(last, "/bytes")),
            match number(last, "/damaged") {
                0 => String::new(),
                count => format!(", {count} SEGMENTS MISSING"),
            }
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_reads_well() {
        let status = json!({
            "version": "1.2.3", "ready": true, "uptime_seconds": 75,
            "degraded": "1 segment cannot be read; its rows are missing",
            "not_ready": "the journal cannot be written",
            "notifications": {"delivered": 1, "failed": 2, "last_failure":
                {"at_unix_ms": 1_728_000_000_000_i64, "receiver": "team", "error": "127.0.0.1:9 refused"}},
            "unclaimed": {"files": 3, "bytes": 2048},
            "damaged_segments": [{"path": "/d/a.parquet", "reason": "segment /d/a.parquet could not be read"}],
            "tables": {"logs": {"rows_head": 1, "rows_stored": 1234, "files": 2, "bytes": 2048,
                "oldest_unix_ms": 1_728_000_000_000_i64}},
            "records_per_second": {"logs": 12.34},
            "journal": {"bytes": 1, "bytes_max": 2, "segments": 1, "last_sequence": 9,
                "cursors": [{"name": "store", "records_behind": 3}]},
            "queries": {"heavy": {"running": 1, "waiting": 2, "refused": 3}},
            "disk": {"bytes": 10, "free_bytes": 5, "last_backup":
                {"location": "/b", "taken_unix_ms": 1_728_000_000_000_i64, "bytes": 7, "damaged": 1}},
        });
        let text = text(&status);
        for part in [
            "vervet-collector 1.2.3, ready, up 1m 15s",
            "DEGRADED 1 segment cannot be read",
            "NOT READY the journal cannot be written",
            "1 delivered, 2 attempts failed; the last at 2024-10-04T00:00:00Z, receiver team: 127.0.0.1:9 refused",
            "UNCLAIMED 3 segments",
            "segment /d/a.parquet could",
            "1,234",
            "2.0 KiB",
            "12.3",
            "2024-10-04T00:00:00Z",
            "store is 3 records behind",
            "1 heavy running, 2 waiting, 3 refused",
            "2024-10-04T00:00:00Z to /b, 7 B, 1 SEGMENTS MISSING",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
