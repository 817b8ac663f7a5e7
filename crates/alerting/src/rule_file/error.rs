//! Errors with a place, and the nearest known key for a misspelt one.

use serde_saphyr::Error as YamlError;

/// Something wrong in a rule file (or the file itself cannot be read). The file is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{}", self.place_and_message())]
pub struct RuleFileError {
    pub file: String,
    /// From 1; `None` when the error has no place in the file.
    pub line: Option<u64>,
    /// From 1.
    pub column: Option<u64>,
    pub message: String,
}

impl RuleFileError {
    fn place_and_message(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => {
                format!("{}:{line}:{column}: {}", self.file, self.message)
            }
            _ => format!("{}: {}", self.file, self.message),
        }
    }

    pub(super) fn at(file: &str, location: serde_saphyr::Location, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(location.line()),
            column: Some(location.column()),
            message,
        }
    }

    pub(super) fn whole_file(file: &str, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            message,
        }
    }
}

/// Turns a YAML error into one with file, line and, for an unknown key, the nearest known key.
pub fn yaml_error(file: &str, error: &YamlError) -> RuleFileError {
    let error = error.without_snippet();
    let message = match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => unknown_key(field, expected),
        other => other.render().lines().next().unwrap_or_default().to_owned(),
    };
    match error.location() {
        Some(location) if location.line() > 0 => RuleFileError::at(file, location, message),
        _ => RuleFileError::whole_file(file, message),
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest_key(key, known) {
        Some(nearest) => format!("unknown key `{key}`, did you mean `{nearest}`?"),
        None => format!("unknown key `{key}`, known keys: {}", known.join(", ")),
    }
}

/// The known key most like `key`, when one is alike at all.
pub fn nearest_key<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.7;
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(key, candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
