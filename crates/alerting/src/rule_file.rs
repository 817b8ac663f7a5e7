//! Rule files: Prometheus's YAML, read strictly.
//!
//! In: the text of a file and a function that checks expressions. Out: [`GroupConfig`]s, valid and
//! with nothing left to resolve but the default interval; or every error found, each with file, line
//! and column. One addition to the format: a group's `type` (`metrics`, the default, or `logs`).
//!
//! `spec` reads the file by its keys, `check` the rules by their meaning. As in Prometheus, what is wrong with the keys
//! hides what is wrong with the rules. The verdict is that of Prometheus 3 but for two mistakes that it finds only when
//! the rule is evaluated: an expression that no data could answer, and a field that templates do not have.
//!
//! Limits: a file of at most 4 MiB; 10,000 files in a directory.

mod check;
mod error;
mod load;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use error::{RuleFileError, nearest_key};
pub use load::{Loaded, RuleSet, load_dir};
pub(crate) use spec::document;

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
    /// Rules that another rule of the file is equal to in name and labels.
    pub duplicates: Vec<Duplicate>,
}

/// A rule whose name and labels an earlier rule has: what both record or raise gets mixed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    pub name: String,
    pub labels: TextMap,
    /// Of the later rule, from 1.
    pub line: u64,
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

/// What is done with keys that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownKeys {
    #[default]
    Refuse,
    Ignore,
}

impl RuleFile {
    /// Parses and checks one file. `name` is used in errors and in group keys.
    ///
    /// # Errors
    /// Everything wrong with the file: what is not YAML ends the search, mistakes in keys hide those in rules.
    pub fn parse(
        name: &str,
        text: &str,
        check_expr: &CheckExpr<'_>,
    ) -> Result<Self, Vec<RuleFileError>> {
        Self::parse_with(name, text, UnknownKeys::Refuse, check_expr)
    }

    /// As [`RuleFile::parse`], also for files of a newer version.
    ///
    /// # Errors
    /// As [`RuleFile::parse`].
    pub fn parse_with(
        name: &str,
        text: &str,
        unknown: UnknownKeys,
        check_expr: &CheckExpr<'_>,
    ) -> Result<Self, Vec<RuleFileError>> {
        check::check(name, spec::read(name, text, unknown)?, check_expr)
    }

    /// How many rules it has.
    pub fn rule_count(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }
}
