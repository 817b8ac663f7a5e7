//! What each processor does to one log record, for people.

use std::collections::BTreeMap;

use serde::Serialize;
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value};

use super::{Chain, Origin, Step};

/// Whether what a redaction took out may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    Hide,
    Show,
}

/// The way of a record through a chain. After a step that dropped the record there are no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub steps: Vec<ExplainedStep>,
}

/// What one processor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedStep {
    pub processor: String,
    /// Its type.
    pub kind: &'static str,
    pub changes: Vec<Change>,
    /// The reason, when it dropped the record, as counted.
    pub dropped: Option<String>,
    /// The condition, detector or limit because of which it was dropped.
    pub dropped_by: Option<String>,
}

/// One field that is different after a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `body`, `attributes["x"]`, `resource.attributes["x"]`, `severity_text` and so on.
    pub path: String,
    /// The detector, statement or setting that did it.
    pub rule: String,
    /// `None` when it was absent, or is a secret that must not be shown.
    pub before: Option<String>,
    /// `None` when it is absent now.
    pub after: Option<String>,
}

impl Explanation {
    /// Why the record was dropped, if it was.
    pub fn dropped(&self) -> Option<&str> {
        self.steps.last().and_then(|step| step.dropped.as_deref())
    }
}

impl Chain {
    /// Runs the chain on a resource and one of its log records, as [`Chain::resource`] and [`Chain::log`] do, and tells
    /// for every step what it changed. Counts as if the record had been received.
    pub fn explain_log(
        &self,
        resource: &mut Resource<'_>,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
        secrets: Secrets,
    ) -> Explanation {
        self.explain_log_of(resource, Origin::Sender, scope, record, secrets)
    }

    /// As [`Chain::explain_log`], for a resource of that origin.
    pub fn explain_log_of(
        &self,
        resource: &mut Resource<'_>,
        origin: Origin,
        scope: &Scope<'_>,
        record: &mut LogRecord<'_>,
        secrets: Secrets,
    ) -> Explanation {
        let mut steps = Vec::new();
        for named in self.0.iter() {
            let before = attributes_of(resource);
            named.step.resource(resource, origin);
            let changes = changes(&named.step, before, attributes_of(resource), "");
            steps.push(ExplainedStep {
                processor: named.name.clone(),
                kind: named.step.kind(),
                changes,
                dropped: None,
                dropped_by: None,
            });
        }
        for (index, named) in self.0.iter().enumerate() {
            let mut found = Vec::new();
            let outcome = named
                .step
                .log_by_part(resource, scope, record, &mut |part, old, new| {
                    found.extend(changes(&named.step, fields_of(old), fields_of(new), part));
                });
            if let Some(step) = steps.get_mut(index) {
                step.changes.extend(found);
                if let Err(reason) = outcome {
                    step.dropped_by = Some(named.step.drop_rule(resource, scope, record, &reason));
                    step.dropped = Some(reason.to_string());
                    steps.truncate(index + 1);
                    break;
                }
            }
        }
        let mut explanation = Explanation { steps };
        if secrets == Secrets::Hide {
            self.conceal(&mut explanation);
        }
        explanation
    }

    /// Hides what any redaction of the chain takes out, also where another step shows it.
    fn conceal(&self, explanation: &mut Explanation) {
        let redactions = self.0.iter().filter_map(|named| match &named.step {
            Step::Redaction(step) => Some(step),
            _ => None,
        });
        for redaction in redactions {
            for step in &mut explanation.steps {
                if step.kind == REDACTION {
                    step.changes
                        .iter_mut()
                        .for_each(|change| change.before = None);
                }
                for change in &mut step.changes {
                    for shown in [&mut change.before, &mut change.after]
                        .into_iter()
                        .flatten()
                    {
                        *shown = redaction.conceal(&change.path, shown);
                    }
                    change.path = redaction.conceal("", &change.path);
                }
            }
        }
    }
}

/// The kind of steps that take secrets out.
const REDACTION: &str = "redaction";

type Fields = BTreeMap<String, String>;

/// The fields that differ, with the rule that is to blame.
fn changes(step: &Step, before: Fields, mut after: Fields, part: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    for (path, old) in before {
        let new = after.remove(&path);
        if new.as_ref() != Some(&old) {
            changes.push((path, Some(old), new));
        }
    }
    changes.extend(after.into_iter().map(|(path, new)| (path, None, Some(new))));
    let change = |(path, before, after): (String, Option<String>, Option<String>)| Change {
        rule: step.rule_for(&path, before.as_deref(), part),
        path,
        before,
        after,
    };
    changes.into_iter().map(change).collect()
}

fn attributes_of(resource: &Resource<'_>) -> Fields {
    let mut fields = Fields::new();
    flatten_all("resource.attributes", &resource.attributes, &mut fields);
    fields
}

fn fields_of(record: &LogRecord<'_>) -> Fields {
    let mut fields = Fields::new();
    let mut put = |path: &str, value: String| fields.insert(path.to_owned(), value);
    put("time_unix_nano", record.time_unix_nano.to_string());
    put("severity_number", record.severity_number.to_string());
    put("severity_text", record.severity_text.to_string());
    put("event_name", record.event_name.to_string());
    flatten("body", &record.body, &mut fields);
    flatten_all("attributes", &record.attributes, &mut fields);
    fields
}

fn flatten_all(path: &str, attributes: &[KeyValue<'_>], fields: &mut Fields) {
    for attribute in attributes {
        let path = format!("{path}[{:?}]", attribute.key);
        flatten(&path, &attribute.value, fields);
    }
}

fn flatten(path: &str, value: &Value<'_>, fields: &mut Fields) {
    match value {
        Value::Map(entries) if !entries.is_empty() => flatten_all(path, entries, fields),
        _ => {
            fields.insert(path.to_owned(), value.to_text().into_owned());
        }
    }
}
