//! A way as text: short lines, one stage below the other.

use super::{Field, Way};
use crate::printable::{printable, printable_json};
use crate::processors::{Change, ExplainedStep};

/// Characters of one value, at most.
const VALUE_CHARS_MAX: usize = 400;
/// Width of the column of paths, at most.
const PATH_CHARS_MAX: usize = 60;

/// All ways of one text.
pub fn render(ways: &[Way]) -> String {
    let mut out = String::new();
    if ways.is_empty() {
        out.push_str("no record: blank lines are passed over\n");
    }
    for (index, way) in ways.iter().enumerate() {
        if ways.len() > 1 {
            let (sep, number) = (if index > 0 { "\n" } else { "" }, index + 1);
            out.push_str(&format!("{sep}record {number} of {}\n", ways.len()));
        }
        one(way, &mut out);
    }
    out
}

fn one(way: &Way, out: &mut String) {
    let mut say = |title: &str, text: &str| {
        out.push_str(&format!("{title:<10}{text}\n"));
    };
    say(
        "receiver",
        &printable(&format!(
            "{} ({}): {}",
            way.receiver, way.kind, way.chosen_by
        )),
    );
    if let Some(pod) = &way.pod {
        say("pod", &printable(pod));
    }
    if let Some(read) = &way.read {
        if let Some(runtime) = read.runtime {
            say(
                "runtime",
                &format!("{runtime}: its part of the line is taken off"),
            );
        }
        let replaced = if read.replaced {
            "; bytes that are no text were replaced"
        } else {
            ""
        };
        let text = format!(
            "{}, {} bytes: {}{replaced}",
            read.format, read.text_bytes, read.format_reason
        );
        say("format", &text);
    }
    out.push_str("record\n");
    fields(&way.parsed, out);
    match way.pipeline {
        None => {
            out.push_str("dropped   no pipeline takes logs from this receiver (no_pipeline)\n");
            return;
        }
        Some(pipeline) => {
            let empty = if way.steps.is_empty() {
                ", which has no processors"
            } else {
                ""
            };
            out.push_str(&format!("pipeline  {pipeline}{empty}\n"));
        }
    }
    for step in &way.steps {
        self::step(step, out);
    }
    if let Some(reason) = &way.dropped {
        out.push_str(&format!("dropped   {}\n", printable(reason)));
        return;
    }
    out.push_str(&format!("goes to   {}\n", way.exporters.join(", ")));
    if let Some(record) = &way.record {
        let record = printable_json(&record.to_string());
        out.push_str(&format!("stored    {record}\n"));
    }
}

fn fields(fields: &[Field], out: &mut String) {
    let width = fields.iter().map(|field| field.path.chars().count()).max();
    let width = width.unwrap_or(0).min(PATH_CHARS_MAX);
    for field in fields {
        let path = printable(&field.path);
        out.push_str(&format!("  {path:<width$}  {}\n", value(&field.value)));
    }
}

fn step(step: &ExplainedStep, out: &mut String) {
    let did = match (&step.dropped, step.changes.is_empty()) {
        (Some(_), _) => "drops the record",
        (None, true) => "changes nothing",
        (None, false) => "changes",
    };
    out.push_str(&format!("  {} ({}) {did}\n", step.processor, step.kind));
    for change in &step.changes {
        self::change(change, out);
    }
}

fn change(change: &Change, out: &mut String) {
    let before = change.before.as_deref().map(value);
    let after = change.after.as_deref().map(value);
    let what = match (before, after) {
        (Some(before), Some(after)) => format!("{before}  ->  {after}"),
        (None, Some(after)) => format!("->  {after}"),
        (Some(before), None) => format!("{before}  ->  (removed)"),
        (None, None) => "(removed)".to_owned(),
    };
    let rule = match change.rule.is_empty() {
        true => String::new(),
        false => format!("  [{}]", printable(&change.rule)),
    };
    out.push_str(&format!("    {}: {what}{rule}\n", printable(&change.path)));
}

fn value(text: &str) -> String {
    let short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    let more = text.chars().count().saturating_sub(VALUE_CHARS_MAX);
    match more {
        0 => printable(&short),
        more => format!("{}... ({more} characters more)", printable(&short)),
    }
}
