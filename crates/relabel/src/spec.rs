//! A rule as it is written.

use serde::Deserialize;

/// One entry of `relabel_configs`, in Prometheus's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Labels whose values, joined by `separator`, are looked at.
    #[serde(default)]
    pub source_labels: Option<Vec<String>>,
    /// Default `;`.
    #[serde(default)]
    pub separator: Option<String>,
    /// Default `(.*)`.
    #[serde(default)]
    pub regex: Option<String>,
    #[serde(default)]
    pub modulus: Option<u64>,
    #[serde(default)]
    pub target_label: Option<String>,
    /// Default `$1`.
    #[serde(default)]
    pub replacement: Option<String>,
    #[serde(default)]
    pub action: Action,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Sets `target_label` to `replacement` where the expression matches.
    #[default]
    Replace,
    Keep,
    Drop,
    /// Keeps what has the joined values in `target_label`.
    KeepEqual,
    DropEqual,
    /// Sets `target_label` to the hash of the joined values, modulo `modulus`.
    HashMod,
    /// Copies labels whose names match to the name in `replacement`.
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }
}

/// A rule that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleError {
    /// The setting that is wrong.
    pub key: &'static str,
    pub message: String,
}
