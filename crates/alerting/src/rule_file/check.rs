//! What the rules of a file mean, as far as it can be known without data.

use std::collections::BTreeSet;

use super::spec::{GroupSpec, RuleSpec, Texts};
use super::{
    AlertingConfig, CheckExpr, Duplicate, GroupConfig, GroupKind, RecordingConfig, RuleConfig,
    RuleFile, RuleFileError, TextMap,
};
use crate::template;
use crate::yaml::{Place, Text};

pub(super) fn check(
    name: &str,
    groups: Vec<GroupSpec>,
    check_expr: &CheckExpr<'_>,
) -> Result<RuleFile, Vec<RuleFileError>> {
    let mut check = Check {
        file: name,
        check_expr,
        errors: Vec::new(),
        seen: BTreeSet::new(),
        duplicates: Vec::new(),
    };
    let groups = check.groups(groups);
    match check.errors.is_empty() {
        true => Ok(RuleFile {
            groups,
            duplicates: check.duplicates,
        }),
        false => Err(check.errors),
    }
}

struct Check<'a> {
    file: &'a str,
    check_expr: &'a CheckExpr<'a>,
    errors: Vec<RuleFileError>,
    /// Names and labels of the rules so far.
    seen: BTreeSet<(String, TextMap)>,
    duplicates: Vec<Duplicate>,
}

impl Check<'_> {
    fn refuse(&mut self, at: Place, message: impl Into<String>) {
        self.errors
            .push(RuleFileError::at(self.file, at, message.into()));
    }

    fn groups(&mut self, specs: Vec<GroupSpec>) -> Vec<GroupConfig> {
        let mut names = BTreeSet::new();
        let mut groups = Vec::with_capacity(specs.len());
        for spec in specs {
            let name = spec.name.clone().map(|name| name.value).unwrap_or_default();
            if name.is_empty() {
                self.refuse(spec.place, "the group has no name");
            }
            if !names.insert(name.clone()) {
                let message = format!("a second group named {name:?} in this file");
                self.refuse(spec.place, message);
            }
            groups.push(self.group(spec, name));
        }
        groups
    }

    fn group(&mut self, spec: GroupSpec, name: String) -> GroupConfig {
        self.label_names(&spec.labels);
        if spec.rules.iter().any(|rule| is_set(&rule.alert)) {
            self.templates("label", &spec.labels);
        }
        let labels = texts(&spec.labels);
        let rules = spec.rules.into_iter();
        let rules = rules.filter_map(|rule| self.rule(rule, spec.kind, &labels));
        let rules = rules.collect();
        GroupConfig {
            file: self.file.to_owned(),
            name,
            kind: spec.kind,
            // Prometheus reads 0 as none.
            interval: spec.interval.filter(|interval| !interval.is_zero()),
            query_offset: spec.query_offset,
            limit: usize::try_from(spec.limit).unwrap_or(0),
            rules,
        }
    }

    fn rule(
        &mut self,
        rule: RuleSpec,
        kind: GroupKind,
        group_labels: &TextMap,
    ) -> Option<RuleConfig> {
        let mut labels = group_labels.clone();
        labels.extend(texts(&rule.labels));
        let config = match (&rule.record, &rule.alert) {
            (Some(record), alert) if is_set(&rule.record) => {
                if is_set(alert) {
                    let message = "a rule has either `record` or `alert`, not both";
                    self.refuse(record.place, message);
                }
                self.expr(&rule, kind);
                self.recording(&rule, record);
                RuleConfig::Recording(RecordingConfig {
                    record: record.value.clone(),
                    expr: value(&rule.expr),
                    labels,
                })
            }
            (_, Some(alert)) if is_set(&rule.alert) => {
                self.expr(&rule, kind);
                RuleConfig::Alerting(alerting(alert.value.clone(), &rule, labels))
            }
            _ => {
                self.refuse(rule.place, "a rule needs `record` or `alert`");
                self.expr(&rule, kind);
                return None;
            }
        };
        self.label_names(&rule.labels);
        self.annotation_names(&rule.annotations);
        if is_set(&rule.alert) {
            self.templates("label", &rule.labels);
            self.templates("annotation", &rule.annotations);
        }
        self.note(&config, rule.place);
        Some(config)
    }

    fn expr(&mut self, rule: &RuleSpec, kind: GroupKind) {
        match &rule.expr {
            Some(expr) if !expr.value.trim().is_empty() => {
                if let Err(reason) = (self.check_expr)(kind, &expr.value) {
                    self.refuse(expr.place, format!("invalid expression: {reason}"));
                }
            }
            Some(expr) => self.refuse(expr.place, "the expression is empty"),
            None => self.refuse(rule.place, "the rule has no `expr`"),
        }
    }

    fn recording(&mut self, rule: &RuleSpec, record: &Text) {
        for (is_present, field) in [
            (!rule.annotations.is_empty(), "annotations"),
            (!rule.hold.is_zero(), "for"),
            (!rule.keep_firing_for.is_zero(), "keep_firing_for"),
        ] {
            if is_present {
                let message = format!("`{field}` has no meaning in a recording rule");
                self.refuse(record.place, message);
            }
        }
        if record.value.contains(['{', '}']) {
            let message = format!(
                "{:?} is not a metric name: labels belong into `labels` or `expr`",
                record.value
            );
            self.refuse(record.place, message);
        }
    }

    fn templates(&mut self, what: &str, templates: &Texts) {
        for (name, text) in templates {
            if let Err(error) = template::check(&text.value) {
                let message = format!("invalid template of the {what} `{}`: {error}", name.value);
                self.refuse(text.place, message);
            }
        }
    }

    /// As in Prometheus 3 a label may have any name but none.
    fn label_names(&mut self, labels: &Texts) {
        for (name, _) in labels {
            if name.value.is_empty() {
                self.refuse(name.place, "a label needs a name");
            } else if name.value == vervet_model::METRIC_NAME {
                self.refuse(name.place, "the label `__name__` cannot be set");
            }
        }
    }

    fn annotation_names(&mut self, annotations: &Texts) {
        for (name, _) in annotations {
            if name.value.is_empty() {
                self.refuse(name.place, "an annotation needs a name");
            }
        }
    }

    fn note(&mut self, rule: &RuleConfig, place: Place) {
        let (name, labels) = (rule.name().to_owned(), rule.labels().clone());
        if !self.seen.insert((name.clone(), labels.clone())) {
            self.duplicates.push(Duplicate {
                name,
                labels,
                line: place.line,
            });
        }
    }
}

fn is_set(text: &Option<Text>) -> bool {
    text.as_ref().is_some_and(|text| !text.value.is_empty())
}

fn value(text: &Option<Text>) -> String {
    text.clone().map(|text| text.value).unwrap_or_default()
}

fn alerting(alert: String, rule: &RuleSpec, labels: TextMap) -> AlertingConfig {
    AlertingConfig {
        alert,
        expr: value(&rule.expr),
        hold: rule.hold,
        keep_firing_for: rule.keep_firing_for,
        labels,
        annotations: texts(&rule.annotations),
    }
}

fn texts(texts: &Texts) -> TextMap {
    let pairs = texts.iter();
    pairs
        .map(|(name, text)| (name.value.clone(), text.value.clone()))
        .collect()
}
