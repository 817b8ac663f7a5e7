//! Checks which attributes are to get columns of their own.

use std::collections::BTreeSet;

use vervet_agent::config::Mistakes;
use vervet_store::tables::{PromotedKind, may_be_promoted};
use vervet_store::{PromoteConfig, PromoteKey};

use super::spec::{PromoteSpec, PromotedKeySpec, PromotedKindSpec};

/// Columns of a table that the configuration can ask for.
const COLUMNS_MAX: usize = 500;

pub(super) fn promote_config(spec: PromoteSpec, mistakes: &mut Mistakes) -> PromoteConfig {
    let defaults = PromoteConfig::default();
    let columns_max = spec.columns.unwrap_or(defaults.columns_max);
    mistakes.demand(
        columns_max <= COLUMNS_MAX,
        &["store.promote.columns"],
        format!("store.promote.columns: {columns_max} is more than {COLUMNS_MAX}"),
    );
    let usage_percent = spec.usage_percent.unwrap_or(defaults.usage_percent);
    mistakes.demand(
        usage_percent <= 100,
        &["store.promote.usage_percent"],
        format!("store.promote.usage_percent: {usage_percent} is more than 100"),
    );
    let mut keys = |table, spec| keys(table, spec, columns_max, mistakes);
    PromoteConfig {
        logs: keys("logs", spec.logs),
        spans: keys("spans", spec.spans),
        columns_max,
        usage_percent,
    }
}

fn keys(
    table: &str,
    spec: Vec<PromotedKeySpec>,
    columns_max: usize,
    mistakes: &mut Mistakes,
) -> Vec<PromoteKey> {
    let setting = format!("store.promote.{table}");
    let count = spec.len();
    mistakes.demand(
        count <= columns_max,
        &[&setting, "store.promote.columns"],
        format!("{setting}: {count} attributes are more than columns allows, {columns_max}"),
    );
    let mut seen = BTreeSet::new();
    for (at, key) in spec.iter().map(|wanted| &wanted.key).enumerate() {
        let own = format!("{setting}.{at}.key");
        mistakes.demand(
            may_be_promoted(key),
            &[&own],
            format!(
                "{setting}: {key:?} cannot have a column: keys are 1 to 200 bytes without control characters"
            ),
        );
        mistakes.demand(
            seen.insert(key.as_str()),
            &[&own],
            format!("{setting}: {key} is named twice"),
        );
    }
    let key = |wanted: PromotedKeySpec| PromoteKey {
        key: wanted.key,
        kind: wanted.kind.map(kind),
    };
    spec.into_iter().map(key).collect()
}

fn kind(spec: PromotedKindSpec) -> PromotedKind {
    match spec {
        PromotedKindSpec::Integer => PromotedKind::Integer,
        PromotedKindSpec::Double => PromotedKind::Double,
        PromotedKindSpec::Boolean => PromotedKind::Boolean,
        PromotedKindSpec::Text => PromotedKind::Text,
    }
}
