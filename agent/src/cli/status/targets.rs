//! `vervet-agent status targets`: each scrape target with its last scrape, as a table.

use serde_json::Value;
use vervet_model::{Clock, SystemClock};

use crate::config::time_unix_nano;
use crate::figures::{count, seconds, table};
use crate::printable::printable;

const INDENT: &str = "  ";
const HEADER: [&str; 8] = [
    "health",
    "job",
    "target",
    "last scrape",
    "took",
    "samples",
    "series",
    "error",
];
/// Columns that begin at the left edge.
const LEFT: usize = 3;

/// The answer of `/api/v1/targets` as text.
pub(super) fn render(answer: &Value) -> String {
    let now = u64::try_from(SystemClock.now().0).unwrap_or(0);
    render_at(answer, now)
}

fn render_at(answer: &Value, now_unix_nano: u64) -> String {
    let data = answer.get("data");
    let list = |name: &str| {
        data.and_then(|data| data.get(name))
            .and_then(Value::as_array)
    };
    let active = list("activeTargets").map(Vec::as_slice).unwrap_or_default();
    let dropped = data
        .and_then(|data| data.get("droppedTargetCounts"))
        .and_then(Value::as_object);
    let mut out = match active.is_empty() {
        true => "no targets\n".to_owned(),
        false => {
            let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
            rows.extend(active.iter().map(|target| row(target, now_unix_nano)));
            table(&rows, LEFT, INDENT)
        }
    };
    for target in active {
        out.push_str(&left_out(target));
    }
    for (job, dropped) in dropped.into_iter().flatten() {
        if dropped.as_u64().is_some_and(|dropped| dropped > 0) {
            let dropped = count(&dropped.to_string());
            out.push_str(&format!(
                "{}: {dropped} dropped by relabel_configs\n",
                printable(job)
            ));
        }
    }
    out
}

/// What of the last scrape of a target was not taken.
fn left_out(target: &Value) -> String {
    let left_out = target.get("samplesLeftOut").and_then(Value::as_object);
    let parts = left_out.into_iter().flatten().map(|(reason, number)| {
        format!(
            "{} {}",
            count(&number.to_string()),
            reason.replace('_', " ")
        )
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        return String::new();
    }
    let url = target.get("scrapeUrl").and_then(Value::as_str);
    let url = printable(url.unwrap_or_default());
    format!(
        "{url}: samples left out: {}\n",
        printable(&parts.join(", "))
    )
}

fn row(target: &Value, now_unix_nano: u64) -> Vec<String> {
    let text = |name: &str| printable(target.get(name).and_then(Value::as_str).unwrap_or_default());
    let number = |name: &str| target.get(name).cloned().unwrap_or_default();
    let health = text("health");
    let is_up = health == "up";
    let ago = match (health.as_str(), time_unix_nano(&text("lastScrape"))) {
        ("unknown", _) | (_, Err(_)) => "-".to_owned(),
        (_, Ok(at)) => {
            let millis = now_unix_nano.saturating_sub(at) / 1_000_000;
            format!(
                "{} ago",
                seconds(std::time::Duration::from_millis(millis).as_secs_f64())
            )
        }
    };
    let took = number("lastScrapeDuration").as_f64().unwrap_or(0.0);
    vec![
        health.clone(),
        text("scrapePool"),
        text("scrapeUrl"),
        ago,
        if health == "unknown" {
            "-".to_owned()
        } else {
            format!("{:.0} ms", took * 1e3)
        },
        if is_up {
            count(&number("lastScrapeSamples").to_string())
        } else {
            "-".to_owned()
        },
        count(&number("series").to_string()),
        text("lastError"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn targets_are_a_row_each() {
        let target = |health: &str, error: &str| {
            json!({
                "health": health, "scrapePool": "shop", "scrapeUrl": "http://a:1/metrics", "lastError": error,
                "lastScrape": "2026-01-31T08:00:00Z", "lastScrapeDuration": 0.0123, "lastScrapeSamples": 1234,
                "series": 1_200, "samplesLeftOut": match health { "up" => json!({"series_limit": 34}), _ => json!({}) },
            })
        };
        let active = [
            target("up", ""),
            target("down", "no\u{1b}pe"),
            target("unknown", ""),
        ];
        let answer = json!({"data": {"activeTargets": active, "droppedTargetCounts": {"shop": 2, "other": 0}}});
        let now = time_unix_nano("2026-01-31T08:00:05Z").expect("a time");
        let shown = render_at(&answer, now);
        let lines: Vec<&str> = shown.lines().map(str::trim).collect();
        assert!(lines[1].starts_with("up"), "{shown}");
        assert!(
            lines[1].ends_with("5.0s ago  12 ms    1,234   1,200"),
            "{shown}"
        );
        assert!(
            lines[2].contains("12 ms        -") && lines[2].contains("no"),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert!(lines[3].contains("-      -        -"), "{shown}");
        assert_eq!(
            lines[4],
            "http://a:1/metrics: samples left out: 34 series limit"
        );
        assert_eq!(lines[5], "shop: 2 dropped by relabel_configs");
        assert_eq!(lines.len(), 6);
        assert_eq!(render_at(&json!({}), now), "no targets\n");
    }
}
