//! Checks which attributes are to get columns of their own.

use std::collections::BTreeSet;

use vervet_store::tables::{PromotedKind, may_be_promoted};
use vervet_store::{PromoteConfig, PromoteKey};

use super::spec::{PromoteSpec, PromotedKeySpec, PromotedKindSpec};

/// Columns of a table that the configuration can ask for.
const COLUMNS_MAX: usize = 500;

pub(super) fn promote_config(spec: PromoteSpec) -> Result<PromoteConfig, String> {
    let defaults = PromoteConfig::default();
    let columns_max = spec.columns.unwrap_or(defaults.columns_max);
    if columns_max > COLUMNS_MAX {
        return Err(format!("columns: {columns_max} is more than {COLUMNS_MAX}"));
    }
    let usage_percent = spec.usage_percent.unwrap_or(defaults.usage_percent);
    if usage_percent > 100 {
        return Err(format!("usage_percent: {usage_percent} is more than 100"));
    }
    Ok(PromoteConfig {
        logs: keys("logs", spec.logs, columns_max)?,
        spans: keys("spans", spec.spans, columns_max)?,
        columns_max,
        usage_percent,
    })
}

fn keys(
    table: &str,
    spec: Vec<PromotedKeySpec>,
    columns_max: usize,
) -> Result<Vec<PromoteKey>, String> {
    if spec.len() > columns_max {
        let count = spec.len();
        return Err(format!(
            "{table}: {count} attributes are more than columns allows, {columns_max}"
        ));
    }
    let mut seen = BTreeSet::new();
    for key in spec.iter().map(|wanted| &wanted.key) {
        if !may_be_promoted(key) {
            return Err(format!(
                "{table}: {key:?} cannot have a column: keys are 1 to 200 bytes without control characters"
            ));
        }
        if !seen.insert(key.as_str()) {
            return Err(format!("{table}: {key} is named twice"));
        }
    }
    let key = |wanted: PromotedKeySpec| PromoteKey {
        key: wanted.key,
        kind: wanted.kind.map(kind),
    };
    Ok(spec.into_iter().map(key).collect())
}

fn kind(spec: PromotedKindSpec) -> PromotedKind {
    match spec {
        PromotedKindSpec::Integer => PromotedKind::Integer,
        PromotedKindSpec::Double => PromotedKind::Double,
        PromotedKindSpec::Boolean => PromotedKind::Boolean,
        PromotedKindSpec::Text => PromotedKind::Text,
    }
}
