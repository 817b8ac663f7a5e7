//! A status as text: the [`verdict`] first, then every other section as a table. Sections and columns are taken as they come, so
//! what a newer agent tells is shown, too; units are read from the ends of names.

use serde_json::{Map, Value};

use super::verdict;
use crate::figures::{bytes, count, seconds, table};
use crate::printable::printable;

const INDENT: &str = "  ";
/// Rows of one table; the JSON has them all.
const ROWS_MAX: usize = 20;

/// The whole status.
pub(super) fn status(status: &Value) -> String {
    let Value::Object(status) = status else {
        return format!("{status}\n");
    };
    let text = |name: &str| {
        status
            .get(name)
            .map(|value| cell("", value))
            .unwrap_or_default()
    };
    let mut out = format!("agent {}, version {}\n", text("agent_id"), text("version"));
    verdict::verdict(status, &mut out);
    verdict::exporters(status, &mut out);
    verdict::config(status, &mut out);
    let shown = ["agent_id", "version"];
    for (name, value) in ordered(status) {
        if !shown.contains(&name.as_str()) && !verdict::TOLD.contains(&name.as_str()) {
            section(&title(name), name, value, &mut out);
        }
    }
    out
}

fn section(title: &str, name: &str, value: &Value, out: &mut String) {
    match value {
        Value::Array(items) if items.iter().all(Value::is_object) => list(title, items, out),
        Value::Object(entries) if is_table(entries) => keyed(title, entries, out),
        Value::Object(entries) => object(title, entries, out),
        value => out.push_str(&format!("\n{title}: {}\n", cell(name, value))),
    }
}

/// Scalars line by line, then what is nested under its own title.
fn object(name: &str, entries: &Map<String, Value>, out: &mut String) {
    let nested = |value: &Value| is_section(value);
    // Moments stand there for people, too.
    let is_for_programs = |key: &str| {
        let told = key.strip_suffix("_unix_nano");
        told.is_some_and(|told| entries.contains_key(told))
    };
    let rows: Vec<Vec<String>> = entries
        .iter()
        .filter(|(key, value)| !nested(value) && !is_for_programs(key))
        .map(|(key, value)| vec![title(key), cell(key, value)])
        .collect();
    if !rows.is_empty() {
        out.push_str(&format!("\n{name}\n{}", table(&rows, 2, INDENT)));
    }
    for (key, value) in ordered(entries)
        .into_iter()
        .filter(|(_, value)| nested(value))
    {
        let title = match key == name {
            true => name.to_owned(),
            false => format!("{name}: {}", title(key)),
        };
        section(&title, key, value, out);
    }
}

fn is_section(value: &Value) -> bool {
    match value {
        Value::Object(entries) => !is_amount(entries),
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    }
}

/// Objects of the same kind by name.
fn is_table(entries: &Map<String, Value>) -> bool {
    let is_row = |value: &Value| value.as_object().is_some_and(|row| !is_amount(row));
    !entries.is_empty() && entries.values().all(is_row)
}

fn is_amount(entries: &Map<String, Value>) -> bool {
    entries.len() == 2 && entries.contains_key("records") && entries.contains_key("bytes")
}

fn keyed(name: &str, entries: &Map<String, Value>, out: &mut String) {
    let columns = columns(entries.values());
    let mut rows = vec![header(&columns, Some(String::new()))];
    for (key, row) in entries {
        rows.push([vec![printable(key)], cells(&columns, row)].concat());
    }
    push_table(name, &rows, 1, out);
}

fn list(name: &str, items: &[Value], out: &mut String) {
    if items.is_empty() {
        return;
    }
    let columns = columns(items);
    let mut rows = vec![header(&columns, None)];
    rows.extend(items.iter().map(|row| cells(&columns, row)));
    let is_text = |column: &&String| {
        items
            .iter()
            .all(|row| row.get(*column).is_none_or(Value::is_string))
    };
    let left = columns.iter().take_while(is_text).count();
    push_table(name, &rows, left, out);
}

fn push_table(name: &str, rows: &[Vec<String>], left: usize, out: &mut String) {
    let shown = rows.get(..=ROWS_MAX).unwrap_or(rows);
    out.push_str(&format!("\n{name}\n{}", table(shown, left, INDENT)));
    if rows.len() > shown.len() {
        out.push_str(&format!(
            "  and {} more, see --json\n",
            rows.len() - shown.len()
        ));
    }
}

/// Columns and sections that are wanted first, in this order.
const FIRST: [&str; 15] = [
    "books",
    "buffer",
    "memory",
    "totals",
    "receiver",
    "exporter",
    "signal",
    "path",
    "received",
    "delivered",
    "held",
    "dropped",
    "files",
    "behind_files",
    "behind_bytes",
];

fn rank(name: &str) -> usize {
    let known = FIRST.iter().position(|known| *known == name);
    known.unwrap_or(FIRST.len())
}

fn ordered(entries: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(name, _)| rank(name));
    entries
}

/// The names in any of the rows, text first.
fn columns<'v>(rows: impl IntoIterator<Item = &'v Value>) -> Vec<String> {
    let mut columns: Vec<(bool, String)> = Vec::new();
    for (name, value) in rows.into_iter().filter_map(Value::as_object).flatten() {
        if !columns.iter().any(|(_, known)| known == name) {
            columns.push((!value.is_string(), name.clone()));
        }
    }
    columns.sort_by_key(|(is_figure, name)| (*is_figure, rank(name)));
    columns.into_iter().map(|(_, name)| name).collect()
}

fn header(columns: &[String], first: Option<String>) -> Vec<String> {
    first
        .into_iter()
        .chain(columns.iter().map(|column| title(column)))
        .collect()
}

fn cells(columns: &[String], row: &Value) -> Vec<String> {
    let cell = |column: &String| {
        row.get(column)
            .map_or_else(|| "-".to_owned(), |value| cell(column, value))
    };
    columns.iter().map(cell).collect()
}

fn title(name: &str) -> String {
    let units = ["_bytes", "_seconds", "_unix_nano"];
    let short = units.into_iter().find_map(|unit| name.strip_suffix(unit));
    printable(short.unwrap_or(name)).replace('_', " ")
}

/// One value; the end of its name tells the unit.
fn cell(name: &str, value: &Value) -> String {
    let is_bytes =
        name == "bytes" || name == "size" || name.ends_with("_bytes") || name.contains("_bytes_");
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) if is_bytes => bytes(number.as_f64().unwrap_or(0.0)),
        Value::Number(number) if name.ends_with("_seconds") => {
            seconds(number.as_f64().unwrap_or(0.0))
        }
        Value::Number(number) if number.is_f64() => number.to_string(),
        Value::Number(number) => count(&number.to_string()),
        Value::String(text) => printable(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| cell(name, item)).collect();
            items.join(", ")
        }
        Value::Object(entries) if is_amount(entries) => {
            let part = |name: &str| {
                entries
                    .get(name)
                    .map(|value| cell(name, value))
                    .unwrap_or_default()
            };
            let is_zero = |name: &str| entries.get(name) == Some(&Value::from(0));
            match (is_zero("records"), is_zero("bytes")) {
                (true, true) => "0".to_owned(),
                // Of files not read it is not known how many records they hold.
                (true, false) => part("bytes"),
                _ => format!("{} ({})", part("records"), part("bytes")),
            }
        }
        Value::Object(entries) if entries.is_empty() => "-".to_owned(),
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", printable(key), cell(key, value)))
                .collect();
            entries.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_reads_as_tables_whatever_is_in_it() {
        let given = json!({
            "agent_id": "a1", "version": "0.1.0",
            "complaints": ["exporter-main: nothing has moved for 61 s\u{7}"],
            "buffer": {"disk_bytes": 1536, "disk_bytes_max": 4294967296_u64, "poisoned": false},
            "files": {
                "totals": {"pods": {"files": 12345, "behind_bytes": 0}},
                "files": [{"receiver": "pods", "path": "/var/log/a.log", "behind_bytes": 2048, "outside_globs": true, "deleted": false}],
            },
            "oldest_undelivered_seconds": 75,
            "warnings": ["configuration: the reload was refused"],
            "exporters": [
                {
                    "exporter": "main", "state": "retrying", "since": "2026-01-31T08:00:00Z", "for_seconds": 12,
                    "attempts": 5, "next_attempt": "2026-01-31T08:00:13Z", "next_attempt_in_seconds": 0.8,
                    "last_error": {"ago_seconds": 1, "status": "Unavailable", "message": "Connection refused\u{1b}"},
                    "unanswered_seconds": 12, "behind_batches": 1200, "behind_bytes": 3072, "oldest_age_seconds": 12,
                },
                {
                    "exporter": "b", "state": "ok", "since": "2026-01-31T07:00:00Z", "for_seconds": 3612, "attempts": 0,
                    "evicted_records": 1200, "last_evicted": "2026-01-31T06:00:00Z", "last_evicted_ago_seconds": 7212,
                },
                {"exporter": "c", "state": "ok", "evicted_records": 7, "last_evicted": null, "left_out_records": 1200,
                 "left_out": {"records": 3, "at": "2026-01-31T06:00:00Z", "ago_seconds": 7212, "message": "too old"}}, {"exporter": "gone", "state": null, "behind_batches": 2, "behind_bytes": 10},
            ],
            "config": {
                "at": "2026-01-31T08:00:01Z", "ago_seconds": 11, "in_use_since": "2026-01-31T07:00:00Z",
                "errors": ["agent.yaml:3: unknown key", "agent.yaml:9: other"],
            },
            "books": [{
                "exporter": "main", "signal": "logs", "received": {"records": 1200, "bytes": 4096},
                "held": {"records": 0, "bytes": 0}, "dropped": {"rejected": {"records": 2, "bytes": 30}},
            }],
        });
        insta::assert_snapshot!(status(&given), @r"
        agent a1, version 0.1.0
        NOT WELL:
          ! exporter-main: nothing has moved for 61 s\u{7}
          ~ configuration: the reload was refused

        exporters
          main  retrying for 12s (since 2026-01-31T08:00:00Z), 5 failed attempts, next in 0.8s (at 2026-01-31T08:00:13Z)
                last error 1.0s ago: Unavailable: Connection refused\u{1b}
                behind 1,200 batches (3.0 KiB), the oldest for 12s, no answer for 12s
          b     ok for 1h 12s (since 2026-01-31T07:00:00Z)
                nothing behind
                1,200 records dropped for lack of room on disk, last at 2026-01-31T06:00:00Z (2h 12s ago)
          c     ok
                nothing behind
                7 records dropped for lack of room on disk, when is not known
                1,200 records left out by the destination of requests it took (partial success), last at 2026-01-31T06:00:00Z (2h 12s ago): too old
          gone  not configured any more, its backlog is kept
                behind 2 batches (about 10 B)

        configuration
          at work since 2026-01-31T07:00:00Z; the reload at 2026-01-31T08:00:01Z (11s ago) was REFUSED:
            agent.yaml:3: unknown key
            agent.yaml:9: other

        books
          exporter  signal         received  held             dropped
          main      logs    1,200 (4.0 KiB)     0  rejected: 2 (30 B)

        buffer
          disk            1.5 KiB
          disk bytes max  4.0 GiB
          poisoned        no

        files: totals
                 files  behind
          pods  12,345     0 B

        files
          receiver  path             behind  deleted  outside globs
          pods      /var/log/a.log  2.0 KiB       no            yes

        oldest undelivered: 1m 15s
        ");
    }

    #[test]
    fn bytes_without_records_are_shown_and_moments_for_programs_are_not() {
        let text = status(&json!({"lost_at_stops": {
            "stops": 1, "last": "2026-01-31T08:00:00Z", "last_unix_nano": 1_769_846_400_000_000_000_u64,
            "lost": [{"receiver": "files", "reason": "deleted_at_stop", "amount": {"records": 0, "bytes": 3072}}],
        }}));
        assert!(text.contains("3.0 KiB"), "{text}");
        assert!(text.contains("2026-01-31T08:00:00Z"), "{text}");
        assert!(!text.contains("1,769,846"), "{text}");
    }

    #[test]
    fn long_tables_are_cut_and_nothing_panics_on_odd_values() {
        let rows: Vec<Value> = (0..50)
            .map(|row| json!({"name": format!("f{row}")}))
            .collect();
        let text =
            status(&json!({"files": rows, "odd": [1, {"a": null}, "x"], "none": {}, "list": []}));
        assert!(text.contains("and 30 more, see --json"), "{text}");
        assert_eq!(status(&json!(["x"])), "[\"x\"]\n");
    }
}
