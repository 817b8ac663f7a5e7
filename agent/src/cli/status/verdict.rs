//! What a person in a hurry reads first: whether data flows, how each exporter is doing, and which configuration is at work.

use serde_json::{Map, Value};

use crate::figures::{bytes, count, seconds};
use crate::printable::printable;

/// The sections told here.
pub(super) const TOLD: [&str; 4] = ["complaints", "warnings", "exporters", "config"];

/// Whether data flows.
pub(super) fn is_well(status: &Value) -> bool {
    let complaints = status.get("complaints").and_then(Value::as_array);
    complaints.is_some_and(Vec::is_empty)
}

pub(super) fn verdict(status: &Map<String, Value>, out: &mut String) {
    let complaints = lines(status, "complaints", '!');
    let warnings = lines(status, "warnings", '~');
    match (complaints.is_empty(), warnings.is_empty()) {
        (true, true) => out.push_str("data flows\n"),
        (true, false) => out.push_str(&format!("ATTENTION:\n{warnings}")),
        (false, _) => out.push_str(&format!("NOT WELL:\n{complaints}{warnings}")),
    }
}

fn lines(status: &Map<String, Value>, name: &str, sign: char) -> String {
    let texts = status.get(name).and_then(Value::as_array);
    let texts = texts.into_iter().flatten().filter_map(Value::as_str);
    texts
        .map(|text| format!("  {sign} {}\n", printable(text)))
        .collect()
}

pub(super) fn exporters(status: &Map<String, Value>, out: &mut String) {
    let Some(exporters) = status.get("exporters").and_then(Value::as_array) else {
        return;
    };
    out.push_str("\nexporters\n");
    let name = |exporter: &Value| text(exporter, "exporter");
    let width = exporters.iter().map(|one| name(one).chars().count()).max();
    let width = width.unwrap_or(0);
    for exporter in exporters {
        for (index, line) in told(exporter).iter().enumerate() {
            let name = if index == 0 {
                name(exporter)
            } else {
                String::new()
            };
            out.push_str(&format!("  {name:<width$}  {line}\n"));
        }
    }
}

/// Lines about one exporter.
fn told(exporter: &Value) -> Vec<String> {
    let state = match exporter.get("state").and_then(Value::as_str) {
        Some(state) => printable(state),
        None => "not configured any more, its backlog is kept".to_owned(),
    };
    let mut first = state;
    if let Some(lasted) = number(exporter, "for_seconds") {
        first += &format!(
            " for {} (since {})",
            seconds(lasted),
            text(exporter, "since")
        );
    }
    match number(exporter, "attempts").filter(|attempts| *attempts > 0.0) {
        None => {}
        Some(attempts) => {
            let asked = exporter.get("waits_as_asked").and_then(Value::as_bool);
            let at = text(exporter, "next_attempt");
            let next = match number(exporter, "next_attempt_in_seconds") {
                Some(next) if asked == Some(true) => {
                    format!(
                        "waits until {at} (for {}) as the destination asked",
                        seconds(next)
                    )
                }
                Some(next) => format!("next in {} (at {at})", seconds(next)),
                None => "one under way".to_owned(),
            };
            first += &format!(", {attempts:.0} failed attempts, {next}");
        }
    }
    let mut lines = vec![first];
    if let Some(error) = exporter.get("last_error").filter(|error| error.is_object()) {
        let ago = seconds(number(error, "ago_seconds").unwrap_or(0.0));
        let (status, message) = (text(error, "status"), text(error, "message"));
        lines.push(format!("last error {ago} ago: {status}: {message}"));
    }
    lines.push(behind(exporter));
    lines.extend(dropped(exporter));
    lines.extend(left_out(exporter));
    lines
}

/// What `on_full: drop_oldest` took, whenever that was.
fn dropped(exporter: &Value) -> Option<String> {
    let records = number(exporter, "evicted_records").filter(|records| *records > 0.0)?;
    let when = match number(exporter, "last_evicted_ago_seconds") {
        Some(ago) => format!(
            "last at {} ({} ago)",
            text(exporter, "last_evicted"),
            seconds(ago)
        ),
        None => "when is not known".to_owned(),
    };
    let records = count(&format!("{records:.0}"));
    Some(format!(
        "{records} records dropped for lack of room on disk, {when}"
    ))
}

/// What the destination left out of requests it took, whenever that was.
fn left_out(exporter: &Value) -> Option<String> {
    let records = number(exporter, "left_out_records").filter(|records| *records > 0.0)?;
    let records = count(&format!("{records:.0}"));
    let last = exporter.get("left_out").filter(|last| last.is_object());
    let last = match last {
        Some(last) => format!(
            "last at {} ({} ago): {}",
            text(last, "at"),
            seconds(number(last, "ago_seconds").unwrap_or(0.0)),
            text(last, "message")
        ),
        None => "none since the agent was started".to_owned(),
    };
    Some(format!(
        "{records} records left out by the destination of requests it took (partial success), {last}"
    ))
}

fn behind(exporter: &Value) -> String {
    let figure = |name: &str| number(exporter, name).unwrap_or(0.0);
    let batches = figure("behind_batches");
    // What has been sent is a part of the backlog until that is stored, within a second.
    let holds = figure("behind_bytes") > 0.0;
    let mut line = match batches > 0.0 && holds {
        true => format!(
            "behind {} batches ({}{})",
            count(&format!("{batches:.0}")),
            match exporter.get("state").is_some_and(Value::is_string) {
                true => "",
                false => "about ",
            },
            bytes(figure("behind_bytes"))
        ),
        false => "nothing behind".to_owned(),
    };
    if let Some(age) = number(exporter, "oldest_age_seconds") {
        line += &format!(", the oldest for {}", seconds(age));
    }
    if let Some(waited) = number(exporter, "unanswered_seconds") {
        line += &format!(", no answer for {}", seconds(waited));
    }
    line
}

pub(super) fn config(status: &Map<String, Value>, out: &mut String) {
    let Some(config) = status.get("config").filter(|config| config.is_object()) else {
        return;
    };
    let (at, since) = (text(config, "at"), text(config, "in_use_since"));
    let ago = seconds(number(config, "ago_seconds").unwrap_or(0.0));
    let errors = config.get("errors").and_then(Value::as_array);
    let errors: Vec<&str> = errors
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    out.push_str("\nconfiguration\n");
    if errors.is_empty() {
        let changes = text(config, "changes");
        let line = match at == since {
            true => format!("  at work since {since} ({ago} ago): {changes}\n"),
            false => {
                format!("  at work since {since}; read again at {at} ({ago} ago): {changes}\n")
            }
        };
        out.push_str(&line);
        return;
    }
    out.push_str(&format!(
        "  at work since {since}; the reload at {at} ({ago} ago) was REFUSED:\n"
    ));
    for error in errors {
        out.push_str(&format!("    {}\n", printable(error)));
    }
}

fn text(of: &Value, name: &str) -> String {
    let text = of.get(name).and_then(Value::as_str);
    printable(text.unwrap_or_default())
}

fn number(of: &Value, name: &str) -> Option<f64> {
    of.get(name).and_then(Value::as_f64)
}
