//! Values that look as if a variable of the environment was meant: `${NAME}` and `$NAME` are literal.
//!
//! In: the tree before anything is put in. Out: what is told of them. Not looked at: processors, `tests`, patterns and
//! replacements, where `$` has a meaning of its own.

use super::error::Problem;
use super::yaml::{Node, Value};

/// Sections and settings in which `$` is no variable.
const OTHER_MEANING: [&str; 8] = [
    "processors",
    "tests",
    "pattern",
    "regex",
    "replacement",
    "start",
    "continue",
    "relabel_configs",
];
/// Settings of secrets, in which any `$` may stand: only a value that is a reference as a whole is one.
const SECRET_KEYS: [&str; 4] = ["bearer_token", "headers", "password", "token"];

/// One value that looks like it.
pub(super) struct Dollar {
    pub(super) warning: Problem,
    /// The value as a whole.
    text: String,
    hint: String,
}

impl Dollar {
    /// Adds to complaints about the value what was probably meant.
    pub(super) fn explain(&self, problems: &mut [Problem]) {
        let about = |problem: &&mut Problem| problem.message.contains(&self.text);
        for problem in problems.iter_mut().filter(about) {
            problem.message += &format!("; {}", self.hint);
        }
    }
}

/// All of them.
pub(super) fn find(root: &Node) -> Vec<Dollar> {
    let mut found = Vec::new();
    look(root, &mut Vec::new(), &mut found);
    found
}

fn look(node: &Node, path: &mut Vec<String>, found: &mut Vec<Dollar>) {
    match &node.value {
        Value::Scalar { text, .. } => {
            let is_secret = path.iter().any(|key| SECRET_KEYS.contains(&key.as_str()));
            let Some((written, name)) = reference(text, is_secret) else {
                return;
            };
            let hint = format!("for a variable of the environment write `${{env:{name}}}`");
            let warning = Problem {
                line: Some(node.line),
                path: path.clone(),
                message: format!("`{written}` is taken as it stands; {hint}"),
            };
            let text = text.clone();
            found.push(Dollar {
                warning,
                text,
                hint,
            });
        }
        Value::List(items) => items.iter().for_each(|item| look(item, path, found)),
        Value::Map(entries) => {
            for (key, value) in entries {
                if OTHER_MEANING.contains(&key.name.as_str()) {
                    continue;
                }
                path.push(key.name.clone());
                look(value, path, found);
                path.pop();
            }
        }
    }
}

/// The first reference in a value as shells write it, and the name in it.
fn reference(text: &str, is_secret: bool) -> Option<(&str, &str)> {
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        let (_, from) = rest.split_at(start);
        let found = match from.strip_prefix("${") {
            Some(inner) => braced(from, inner),
            None => bare(from).filter(|_| !is_secret),
        };
        if let Some((written, name)) = found
            && (!is_secret || written == text)
        {
            return Some((written, name));
        }
        rest = from.get(1..).unwrap_or_default();
    }
    None
}

/// `${NAME}` or `${NAME:-default}`; names are never followed by a colon and a word, as `env:` is.
fn braced<'t>(from: &'t str, inner: &'t str) -> Option<(&'t str, &'t str)> {
    let end = inner.find('}')?;
    let (name, _) = inner.split_at(end);
    let written = from.get(.."${".len() + end + 1)?;
    let (known, rest) = name.split_at(name.find(':').unwrap_or(name.len()));
    let is_whole = rest.is_empty() || rest.starts_with(":-");
    (is_name(known) && is_whole).then_some((written, name))
}

/// `$NAME`, in capital letters.
fn bare(from: &str) -> Option<(&str, &str)> {
    let name = from.get(1..)?;
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    let ends = !rest.starts_with(|c: char| c.is_ascii_lowercase());
    let written = from.get(..=end)?;
    (name.len() > 1 && is_name(name) && ends).then_some((written, name))
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_part)
}
