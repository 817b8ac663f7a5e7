//! Texts with `$1`, `${1}` or `${name}` in them, in the notation of Go's regular expressions.

use regex::{Captures, Regex};

/// A text and what is put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    /// Reads a template for matches of `regex`. A `$` that begins no reference stands for itself, `$$` for one `$`, and a
    /// reference to a group that is not there for nothing.
    pub(crate) fn new(text: &str, regex: &Regex) -> Self {
        let (mut parts, mut rest, mut plain) = (Vec::new(), text, String::new());
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                plain.push('$');
                rest = after;
                continue;
            }
            let Some((name, after)) = reference(rest) else {
                plain.push('$');
                continue;
            };
            rest = after;
            if let Some(group) = group(name, regex) {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Group(group));
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Self(parts)
    }

    /// The text, when nothing is put into it.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn expand(&self, captures: &Captures<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(match part {
                Part::Text(text) => text,
                Part::Group(group) => captures.get(*group).map_or("", |found| found.as_str()),
            });
        }
        text
    }
}

/// The name behind a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let inside = text.strip_prefix('{');
    let name_text = inside.unwrap_or(text);
    let end = name_text.find(|c| !is_name(c)).unwrap_or(name_text.len());
    let (name, rest) = name_text.split_at_checked(end)?;
    let rest = match inside {
        Some(_) => rest.strip_prefix('}')?,
        None => rest,
    };
    (!name.is_empty()).then_some((name, rest))
}

fn group(name: &str, regex: &Regex) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && (name == "0" || !name.starts_with('0')) {
        let number: usize = name.parse().ok()?;
        return (number < regex.captures_len()).then_some(number);
    }
    let mut names = regex.capture_names();
    names.position(|known| known == Some(name))
}
