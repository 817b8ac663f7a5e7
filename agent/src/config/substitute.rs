//! `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in values, after parsing, so that what they hold is never
//! read as YAML. Any other `$` is literal ([`dollars`](super::dollars) warns of some). Keys are left alone.

use std::io::Read;
use std::path::Path;

use super::error::Problem;
use super::hide::Hidden;
use super::yaml::{Node, Value};

/// Largest file put in place of `${file:...}` (bytes).
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Where variables and files come from.
pub trait Sources {
    /// The value of an environment variable, if it is set and text.
    fn variable(&self, name: &str) -> Option<String>;
    /// The contents of a file, without the line breaks at its end.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn file(&self, path: &Path) -> Result<String, String>;
}

/// The process's environment and the file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSources;

impl Sources for SystemSources {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let mut text = String::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
        read.map_err(|error| error.to_string())?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
        }
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// References that cannot be resolved.
#[derive(Default)]
pub(super) struct Unresolved {
    /// Each once.
    pub(super) problems: Vec<Problem>,
    /// The values that they stand in, which stay as they are.
    texts: Vec<String>,
}

impl Unresolved {
    /// Whether a complaint is only about a value that is not there.
    pub(super) fn explains(&self, problem: &Problem) -> bool {
        let is_in = |text: &String| problem.message.contains(text.as_str());
        self.texts.iter().any(is_in)
    }

    fn add(&mut self, line: usize, text: &str, messages: Vec<String>) {
        self.texts.push(text.to_owned());
        for message in messages {
            if self.problems.iter().all(|told| told.message != message) {
                self.problems.push(Problem::at(line, message));
            }
        }
    }
}

/// Replaces in place, collecting every reference that cannot be resolved, and what was put in.
pub(super) fn substitute(
    node: &mut Node,
    sources: &dyn Sources,
    unresolved: &mut Unresolved,
    hidden: &mut Hidden,
) {
    match &mut node.value {
        Value::Scalar { text, .. } if text.contains("${") => match resolve(text, sources, hidden) {
            Ok(resolved) => *text = resolved,
            Err(messages) => unresolved.add(node.line, text, messages),
        },
        Value::Scalar { .. } => {}
        Value::List(items) => {
            for item in items {
                substitute(item, sources, unresolved, hidden);
            }
        }
        Value::Map(entries) => {
            for (_, value) in entries {
                substitute(value, sources, unresolved, hidden);
            }
        }
    }
}

/// The value of `NAME` or `NAME:-default`, and whether it comes from the environment; the default stands for a variable that
/// is not set, or empty.
fn variable(reference: &str, sources: &dyn Sources) -> Result<(String, bool), String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if name.is_empty() {
        return Err("`${env:}` names no environment variable".to_owned());
    }
    match (sources.variable(name), default) {
        (Some(value), Some(_)) if !value.is_empty() => Ok((value, true)),
        (_, Some(default)) => Ok((default.to_owned(), false)),
        (Some(value), None) => Ok((value, true)),
        (None, None) => Err(format!("environment variable {name} is not set")),
    }
}

fn resolve(text: &str, sources: &dyn Sources, hidden: &mut Hidden) -> Result<String, Vec<String>> {
    let mut messages = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = reference.find('}') else {
            rest = reference;
            break;
        };
        let (reference, after) = reference.split_at(end + 1);
        let inner = reference.trim_start_matches("${").trim_end_matches('}');
        if let Some(name) = inner.strip_prefix("env:") {
            match variable(name, sources) {
                Ok((value, is_from_outside)) => {
                    if is_from_outside {
                        hidden.add(&value);
                    }
                    out.push_str(&value);
                }
                Err(message) => messages.push(message),
            }
        } else if let Some(path) = inner.strip_prefix("file:") {
            match sources.file(Path::new(path)) {
                Ok(value) => {
                    hidden.add(&value);
                    out.push_str(&value);
                }
                Err(why) => messages.push(format!("file {path} cannot be read: {why}")),
            }
        } else {
            out.push_str(reference);
        }
        rest = after;
    }
    out.push_str(rest);
    match messages.is_empty() {
        true => Ok(out),
        false => Err(messages),
    }
}
