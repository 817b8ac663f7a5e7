//! Rule files: Prometheus's YAML, read strictly.
//!
//! In: the text of a file and a function that checks expressions. Out: [`GroupConfig`]s, valid and
//! with nothing left to resolve but the default interval; or every error found, each with file, line
//! and column. One addition to the format: a group's `type` (`metrics`, the default, or `logs`).
//!
//! Limits: a file of at most 4 MiB; 10,000 files in a directory.

mod error;
mod load;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use error::{RuleFileError, nearest_key, yaml_error};
pub use load::{Loaded, RuleSet, load_dir};

/// What a group's expressions are written in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// PromQL.
    #[default]
    Metrics,
    /// A LogQL metric query.
    Logs,
}

/// Text to text, as labels and annotations are written in rules.
pub type TextMap = BTreeMap<String, String>;

/// A parsed rule file.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleFile {
    pub groups: Vec<GroupConfig>,
}

/// Rules evaluated together, one after the other, at the same timestamps.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupConfig {
    /// The name of the file as given to [`RuleFile::parse`].
    pub file: String,
    pub name: String,
    pub kind: GroupKind,
    /// `None`: the manager's default.
    pub interval: Option<Duration>,
    /// `None`: the manager's default.
    pub query_offset: Option<Duration>,
    /// Alerts or series a rule may produce; 0 means no limit.
    pub limit: usize,
    pub rules: Vec<RuleConfig>,
}

impl GroupConfig {
    /// Identifies the group across reloads and restarts: `file;name`.
    pub fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }
}

/// One rule; `labels` already include the group's.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleConfig {
    Recording(RecordingConfig),
    Alerting(AlertingConfig),
}

impl RuleConfig {
    pub fn name(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.record,
            Self::Alerting(rule) => &rule.alert,
        }
    }

    pub fn expr(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.expr,
            Self::Alerting(rule) => &rule.expr,
        }
    }

    pub fn labels(&self) -> &TextMap {
        match self {
            Self::Recording(rule) => &rule.labels,
            Self::Alerting(rule) => &rule.labels,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct RecordingConfig {
    /// The metric name written.
    pub record: String,
    pub expr: String,
    pub labels: TextMap,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlertingConfig {
    pub alert: String,
    pub expr: String,
    /// How long a result must last before the alert fires (`for`).
    pub hold: Duration,
    pub keep_firing_for: Duration,
    /// Templates.
    pub labels: TextMap,
    /// Templates.
    pub annotations: TextMap,
}

/// Checks an expression; the error text is shown after file and line.
pub type CheckExpr<'a> = dyn Fn(GroupKind, &str) -> Result<(), String> + 'a;

impl RuleFile {
    /// Parses and checks one file. `name` is used in errors and in group keys.
    ///
    /// # Errors
    /// Everything wrong with the file: a YAML error ends the search, errors in rules are all collected.
    pub fn parse(
        name: &str,
        text: &str,
        check_expr: &CheckExpr<'_>,
    ) -> Result<Self, Vec<RuleFileError>> {
        spec::parse(name, text, check_expr)
    }
}
