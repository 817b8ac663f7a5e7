//! `__meta_kubernetes_*` labels of what all objects have.

use crate::kubernetes::Metadata;
use crate::receivers::prometheus::discovery::LabelMap;

pub(super) const PREFIX: &str = "__meta_kubernetes_";

/// Sets `__meta_kubernetes_<name>`, if there is a value.
pub(super) fn set(labels: &mut LabelMap, name: &str, value: Option<impl Into<String>>) {
    let value = value
        .map(Into::into)
        .filter(|value: &String| !value.is_empty());
    if let Some(value) = value {
        labels.insert(format!("{PREFIX}{name}"), value);
    }
}

/// Sets the namespace, which objects of a namespace have.
pub(super) fn set_namespace(labels: &mut LabelMap, metadata: &Metadata) {
    set(labels, "namespace", metadata.namespace.clone());
}

/// Sets name, labels and annotations of an object of a role.
pub(super) fn set_object(labels: &mut LabelMap, role: &str, metadata: &Metadata) {
    set(labels, &format!("{role}_name"), metadata.name.clone());
    let kinds = [
        ("label", &metadata.labels),
        ("annotation", &metadata.annotations),
    ];
    for (kind, values) in kinds {
        for (name, value) in values.iter().flatten() {
            let name = sanitized(name);
            set(
                labels,
                &format!("{role}_{kind}_{name}"),
                Some(value.as_str()),
            );
            set(
                labels,
                &format!("{role}_{kind}present_{name}"),
                Some("true"),
            );
        }
    }
}

/// What a name of the API is as part of a label's name.
pub(super) fn sanitized(name: &str) -> String {
    let of = |c: char| match c.is_ascii_alphanumeric() {
        true => c,
        false => '_',
    };
    name.chars().map(of).collect()
}

/// Address and port as one text.
pub(super) fn joined(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
