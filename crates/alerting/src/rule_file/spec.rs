//! The file as written, and its validation.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    AlertingConfig, CheckExpr, GroupConfig, GroupKind, RecordingConfig, RuleConfig, RuleFile,
    RuleFileError, TextMap, yaml_error,
};
use crate::duration::PromDuration;
use crate::template;

const FILE_BYTES_MAX: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSpec {
    #[serde(default)]
    groups: Vec<GroupSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupSpec {
    name: Spanned<String>,
    #[serde(rename = "type", default)]
    kind: GroupKind,
    #[serde(default)]
    interval: Option<PromDuration>,
    #[serde(default)]
    query_offset: Option<PromDuration>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    labels: Templates,
    #[serde(default)]
    rules: Vec<Spanned<RuleSpec>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSpec {
    #[serde(default)]
    record: Option<Spanned<String>>,
    #[serde(default)]
    alert: Option<Spanned<String>>,
    expr: Spanned<String>,
    #[serde(rename = "for", default)]
    hold: Option<PromDuration>,
    #[serde(default)]
    keep_firing_for: Option<PromDuration>,
    #[serde(default)]
    labels: Templates,
    #[serde(default)]
    annotations: Templates,
}

/// Labels or annotations with their places.
type Templates = BTreeMap<String, Spanned<String>>;

pub(super) fn parse(
    name: &str,
    text: &str,
    check_expr: &CheckExpr<'_>,
) -> Result<RuleFile, Vec<RuleFileError>> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!(
            "the file has {} bytes, at most {FILE_BYTES_MAX} are read",
            text.len()
        );
        return Err(vec![RuleFileError::whole_file(name, message)]);
    }
    let spec: FileSpec = serde_saphyr::from_str(text).map_err(|e| vec![yaml_error(name, &e)])?;
    let mut check = Check {
        file: name,
        check_expr,
        errors: Vec::new(),
    };
    let groups = check.groups(spec.groups);
    if check.errors.is_empty() {
        Ok(RuleFile { groups })
    } else {
        Err(check.errors)
    }
}

struct Check<'a> {
    file: &'a str,
    check_expr: &'a CheckExpr<'a>,
    errors: Vec<RuleFileError>,
}

impl Check<'_> {
    fn refuse<T>(&mut self, at: &Spanned<T>, message: String) {
        self.errors
            .push(RuleFileError::at(self.file, at.referenced, message));
    }

    fn groups(&mut self, specs: Vec<GroupSpec>) -> Vec<GroupConfig> {
        let mut groups: Vec<GroupConfig> = Vec::with_capacity(specs.len());
        for spec in specs {
            let name = &spec.name.value;
            if name.is_empty() {
                self.refuse(&spec.name, "the group has an empty name".to_owned());
            } else if groups.iter().any(|group| group.name == *name) {
                self.refuse(
                    &spec.name,
                    format!("a second group named {name:?} in this file"),
                );
            }
            if spec.interval.is_some_and(|interval| interval.0.is_zero()) {
                self.refuse(&spec.name, format!("the interval of group {name:?} is 0"));
            }
            groups.push(self.group(spec));
        }
        groups
    }

    fn group(&mut self, spec: GroupSpec) -> GroupConfig {
        let mut rules = Vec::with_capacity(spec.rules.len());
        if spec.rules.iter().any(|rule| rule.value.alert.is_some()) {
            self.templates(&spec.labels);
        }
        let labels = texts(&spec.labels);
        for rule in spec.rules {
            rules.extend(self.rule(rule, spec.kind, &labels));
        }
        GroupConfig {
            file: self.file.to_owned(),
            name: spec.name.value,
            kind: spec.kind,
            interval: spec.interval.map(|interval| interval.0),
            query_offset: spec.query_offset.map(|offset| offset.0),
            limit: spec.limit,
            rules,
        }
    }

    fn rule(
        &mut self,
        rule: Spanned<RuleSpec>,
        kind: GroupKind,
        group_labels: &TextMap,
    ) -> Option<RuleConfig> {
        let mut labels = group_labels.clone();
        labels.extend(texts(&rule.value.labels));
        self.label_names(&rule, &labels);
        self.expr(&rule.value.expr, kind);
        match (&rule.value.record, &rule.value.alert) {
            (Some(record), None) => {
                self.recording_fields(&rule);
                if !is_metric_name(&record.value) {
                    self.refuse(record, format!("{:?} is not a metric name", record.value));
                }
                Some(RuleConfig::Recording(RecordingConfig {
                    record: record.value.clone(),
                    expr: rule.value.expr.value.clone(),
                    labels,
                }))
            }
            (None, Some(alert)) => {
                self.templates(&rule.value.labels);
                self.templates(&rule.value.annotations);
                if alert.value.is_empty() {
                    self.refuse(alert, "the alert has an empty name".to_owned());
                }
                Some(RuleConfig::Alerting(alerting(
                    alert.value.clone(),
                    rule.value,
                    labels,
                )))
            }
            (Some(_), Some(_)) => {
                self.refuse(
                    &rule,
                    "a rule has either `record` or `alert`, not both".to_owned(),
                );
                None
            }
            (None, None) => {
                self.refuse(&rule, "a rule needs `record` or `alert`".to_owned());
                None
            }
        }
    }

    fn expr(&mut self, expr: &Spanned<String>, kind: GroupKind) {
        if expr.value.trim().is_empty() {
            self.refuse(expr, "the expression is empty".to_owned());
        } else if let Err(reason) = (self.check_expr)(kind, &expr.value) {
            self.refuse(expr, format!("invalid expression: {reason}"));
        }
    }

    fn templates(&mut self, templates: &Templates) {
        for (name, text) in templates {
            if let Err(error) = template::check(&text.value) {
                self.refuse(text, format!("invalid template of `{name}`: {error}"));
            }
        }
    }

    fn recording_fields(&mut self, rule: &Spanned<RuleSpec>) {
        let spec = &rule.value;
        for (present, field) in [
            (spec.hold.is_some(), "for"),
            (spec.keep_firing_for.is_some(), "keep_firing_for"),
            (!spec.annotations.is_empty(), "annotations"),
        ] {
            if present {
                self.refuse(
                    rule,
                    format!("`{field}` has no meaning in a recording rule"),
                );
            }
        }
    }

    fn label_names(&mut self, rule: &Spanned<RuleSpec>, labels: &TextMap) {
        for name in labels.keys().chain(rule.value.annotations.keys()) {
            if !is_label_name(name) {
                self.refuse(rule, format!("{name:?} is not a label name"));
            }
        }
        if labels.contains_key(vervet_model::METRIC_NAME) {
            self.refuse(rule, "the label `__name__` cannot be set".to_owned());
        }
    }
}

fn alerting(alert: String, spec: RuleSpec, labels: TextMap) -> AlertingConfig {
    AlertingConfig {
        alert,
        expr: spec.expr.value,
        hold: spec.hold.unwrap_or_default().0,
        keep_firing_for: spec.keep_firing_for.unwrap_or_default().0,
        labels,
        annotations: texts(&spec.annotations),
    }
}

fn texts(templates: &Templates) -> TextMap {
    let texts = templates.iter();
    texts
        .map(|(name, text)| (name.clone(), text.value.clone()))
        .collect()
}

fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_metric_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}
