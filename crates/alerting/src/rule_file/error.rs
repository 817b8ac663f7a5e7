//! Errors with a place, and the nearest known key for a misspelt one.

use crate::yaml::{Place, YamlError};

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

    pub(crate) fn at(file: &str, place: Place, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(place.line),
            column: Some(place.column),
            message,
        }
    }

    pub(crate) fn of_yaml(file: &str, error: YamlError) -> Self {
        Self::at(file, error.place, error.message)
    }

    pub(crate) fn whole_file(file: &str, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            message,
        }
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
