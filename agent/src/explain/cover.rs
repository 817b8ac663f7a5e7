//! Hides, in what is shown of the stages before a redaction, what the redaction takes out.

use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value};

use super::fields::Field;
use crate::processors::{Chain, Change};

const HIDDEN: &str = "(hidden: the record is dropped for it)";
/// Bytes of the keys of a path, at most; a longer one is hidden.
const NESTING_MAX: usize = 64;

/// The redactions of a pipeline.
pub(super) struct Cover(Chain);

impl Cover {
    pub(super) fn new(redactions: Chain) -> Self {
        Self(redactions)
    }

    pub(super) fn field(&self, field: &mut Field) {
        if let Some((path, value)) = self.covered(&field.path, &field.value) {
            *field = Field { path, value };
        }
    }

    pub(super) fn change(&self, change: &mut Change) {
        let mut path = None;
        for side in [&mut change.before, &mut change.after]
            .into_iter()
            .flatten()
        {
            if let Some((covered, value)) = self.covered(&change.path, side) {
                path = Some(covered);
                *side = value;
            }
        }
        if let Some(path) = path {
            change.path = path;
        }
    }

    /// What the redactions leave of a field's path and value; `None` when they are none.
    fn covered(&self, path: &str, value: &str) -> Option<(String, String)> {
        if self.0.is_empty() {
            return None;
        }
        let (root, keys) = keys_of(path);
        if keys.len() > NESTING_MAX {
            return Some((HIDDEN.to_owned(), HIDDEN.to_owned()));
        }
        let attributes = nested(&keys, value);
        let (mut resource, mut record) = (Resource::default(), LogRecord::default());
        match root {
            "resource.attributes" => resource.attributes = attributes,
            "attributes" => record.attributes = attributes,
            "body" if !keys.is_empty() => record.body = Value::Map(attributes),
            _ => record.body = Value::from(value),
        }
        self.0.resource(&mut resource);
        if self
            .0
            .log(&resource, &Scope::default(), &mut record)
            .is_err()
        {
            return Some((path.to_owned(), HIDDEN.to_owned()));
        }
        let left = match (root, record.body) {
            ("resource.attributes", _) => resource.attributes,
            ("attributes", _) => record.attributes,
            (_, Value::Map(entries)) if !keys.is_empty() => entries,
            (_, body) => return Some((path.to_owned(), body.to_text().into_owned())),
        };
        Some(leaf(root, &left))
    }
}

/// `attributes["a"]["b"]` is `attributes` and the keys `a` and `b`.
fn keys_of(path: &str) -> (&str, Vec<String>) {
    let Some((root, mut rest)) = path.split_once('[') else {
        return (path, Vec::new());
    };
    let mut keys = Vec::new();
    while let Some(quoted) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = quoted.find(|c: char| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let Some((key, after)) = end.map(|end| quoted.split_at(end)) else {
            break;
        };
        keys.push(unescaped(key));
        rest = after.strip_prefix("\"][").unwrap_or_default();
    }
    (root, keys)
}

/// Rust's debug form of a string read back, as far as keys need it.
fn unescaped(key: &str) -> String {
    serde_json::from_str(&format!("\"{key}\"")).unwrap_or_else(|_other_escape| key.to_owned())
}

fn nested<'v>(keys: &[String], value: &'v str) -> Vec<KeyValue<'v>> {
    match keys.split_first() {
        None => Vec::new(),
        Some((key, [])) => vec![KeyValue::new(key.clone(), value)],
        Some((key, rest)) => vec![KeyValue::new(key.clone(), Value::Map(nested(rest, value)))],
    }
}

/// Path and value of what is left of one nested field.
fn leaf(root: &str, entries: &[KeyValue<'_>]) -> (String, String) {
    let mut path = root.to_owned();
    let mut entry = entries.first();
    while let Some(current) = entry {
        path.push_str(&format!("[{:?}]", current.key));
        match &current.value {
            Value::Map(below) if !below.is_empty() => entry = below.first(),
            value => return (path, value.to_text().into_owned()),
        }
    }
    (path, "(removed)".to_owned())
}
