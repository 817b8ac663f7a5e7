//! Reads rule files: those of the configured folder, or the ones this program ships with.

use std::path::Path;

use anyhow::Context as _;
use rust_embed::RustEmbed;
use vervet_alerting::{GroupKind, Loaded, RuleFile, load_dir};
use vervet_model::UnixMillis;
use vervet_promql::{
    Engine, EngineOptions, Features, Queryable, QueryableError, SelectRequest, Series,
};

use crate::logql;

#[derive(RustEmbed)]
#[folder = "../alert-rules"]
#[include = "*.yaml"]
#[exclude = "*.test.yaml"]
struct Shipped;

/// The rule groups to evaluate, and why files were refused. A bad file is reported with its line and left out;
/// the others load.
///
/// # Errors
/// A shipped file is not text, which a build cannot produce.
pub(crate) fn load_rules(dir: Option<&Path>, features: Features) -> anyhow::Result<Loaded> {
    let loaded = match dir {
        Some(dir) => load_dir(dir, &check_expr(features)),
        None => shipped()?,
    };
    for error in &loaded.errors {
        tracing::error!(%error, "rule file refused");
    }
    Ok(loaded)
}

/// Checks the rule files of a folder.
///
/// # Errors
/// Every mistake, a line each.
pub fn check_rules(dir: &Path, features: Features) -> Result<(), String> {
    let errors = load_dir(dir, &check_expr(features)).errors;
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if lines.is_empty() {
        Ok(())
    } else {
        Err(lines.join("\n"))
    }
}

fn shipped() -> anyhow::Result<Loaded> {
    let mut loaded = Loaded {
        groups: Vec::new(),
        errors: Vec::new(),
    };
    for name in Shipped::iter() {
        let file = Shipped::get(&name).with_context(|| format!("{name} is not embedded"))?;
        let text =
            std::str::from_utf8(&file.data).with_context(|| format!("{name} is not text"))?;
        match RuleFile::parse(&name, text, &check_expr(Features::default())) {
            Ok(file) => loaded.groups.extend(file.groups),
            Err(errors) => loaded.errors.extend(errors),
        }
    }
    Ok(loaded)
}

/// Whether an expression is of its group's language.
pub(crate) fn check_expr(features: Features) -> impl Fn(GroupKind, &str) -> Result<(), String> {
    move |kind, expr| match kind {
        GroupKind::Metrics => check_promql(expr, features),
        GroupKind::Logs => match logql::parse(expr) {
            Ok(logql::Query::Metric(query)) => check_promql(&query.promql, features),
            Ok(logql::Query::Logs(_)) => {
                Err("a log query has no value; count it with count_over_time".to_owned())
            }
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Evaluates the expression over nothing, which finds every error that does not depend on data.
fn check_promql(expr: &str, features: Features) -> Result<(), String> {
    let engine = Engine::new(EngineOptions {
        features,
        ..EngineOptions::default()
    });
    engine
        .instant(&Nothing, expr, UnixMillis(0))
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A store without series.
struct Nothing;

impl Queryable for Nothing {
    fn select(&self, _request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests;
