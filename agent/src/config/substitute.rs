//! `${env:NAME}` and `${file:/path}` in values, after parsing, so that what they hold is never read as YAML.
//! Any other `$` is literal. Keys are left alone.

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

/// Replaces in place, collecting every reference that cannot be resolved, and what was put in.
pub(super) fn substitute(
    node: &mut Node,
    sources: &dyn Sources,
    problems: &mut Vec<Problem>,
    hidden: &mut Hidden,
) {
    match &mut node.value {
        Value::Scalar { text, .. } if text.contains("${") => match resolve(text, sources, hidden) {
            Ok(resolved) => *text = resolved,
            Err(message) => problems.push(Problem::at(node.line, message)),
        },
        Value::Scalar { .. } => {}
        Value::List(items) => {
            for item in items {
                substitute(item, sources, problems, hidden);
            }
        }
        Value::Map(entries) => {
            for (_, value) in entries {
                substitute(value, sources, problems, hidden);
            }
        }
    }
}

fn resolve(text: &str, sources: &dyn Sources, hidden: &mut Hidden) -> Result<String, String> {
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
            let value = sources.variable(name);
            let value = value.ok_or_else(|| format!("environment variable {name} is not set"))?;
            hidden.add(&value);
            out.push_str(&value);
        } else if let Some(path) = inner.strip_prefix("file:") {
            let value = sources.file(Path::new(path));
            let value = value.map_err(|why| format!("file {path} cannot be read: {why}"))?;
            hidden.add(&value);
            out.push_str(&value);
        } else {
            out.push_str(reference);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
