//! The sections that say where targets are.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A fixed list of targets with labels.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticSpec {
    #[serde(default)]
    pub(crate) targets: Vec<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}
