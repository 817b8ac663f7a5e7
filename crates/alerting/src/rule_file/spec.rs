//! The file as written: which keys there are, and what kind of value each has.

use std::time::Duration;

use super::{GroupKind, RuleFileError, UnknownKeys};
use crate::yaml::{self, Node, Place, Reader, Text};

const FILE_BYTES_MAX: usize = 4 << 20;
const GROUP_KEYS: [&str; 7] = [
    "name",
    "type",
    "interval",
    "query_offset",
    "limit",
    "labels",
    "rules",
];
const RULE_KEYS: [&str; 7] = [
    "record",
    "alert",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
];

pub(super) struct GroupSpec {
    pub(super) place: Place,
    pub(super) name: Option<Text>,
    pub(super) kind: GroupKind,
    pub(super) interval: Option<Duration>,
    pub(super) query_offset: Option<Duration>,
    pub(super) limit: i64,
    pub(super) labels: Texts,
    pub(super) rules: Vec<RuleSpec>,
}

pub(super) struct RuleSpec {
    pub(super) place: Place,
    pub(super) record: Option<Text>,
    pub(super) alert: Option<Text>,
    pub(super) expr: Option<Text>,
    pub(super) hold: Duration,
    pub(super) keep_firing_for: Duration,
    pub(super) labels: Texts,
    pub(super) annotations: Texts,
}

/// Labels or annotations with the places of names and texts.
pub(super) type Texts = Vec<(Text, Text)>;

/// The document of a file that is not too long.
pub(crate) fn document(name: &str, text: &str) -> Result<Option<Node>, Vec<RuleFileError>> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!(
            "the file has {} bytes, at most {FILE_BYTES_MAX} are read",
            text.len()
        );
        return Err(vec![RuleFileError::whole_file(name, message)]);
    }
    yaml::parse(text).map_err(|error| vec![RuleFileError::of_yaml(name, error)])
}

pub(super) fn read(
    name: &str,
    text: &str,
    unknown: UnknownKeys,
) -> Result<Vec<GroupSpec>, Vec<RuleFileError>> {
    let mut reader = Reader {
        file: name,
        ignore_unknown: unknown == UnknownKeys::Ignore,
        errors: Vec::new(),
    };
    let mut groups = Vec::new();
    if let Some(root) = document(name, text)? {
        let fields = reader.fields(&root, &["groups"]);
        for node in reader.items(fields.get("groups")) {
            groups.push(group(&mut reader, node));
        }
    }
    match reader.errors.is_empty() {
        true => Ok(groups),
        false => Err(reader.errors),
    }
}

fn group(reader: &mut Reader<'_>, node: &Node) -> GroupSpec {
    let fields = reader.fields(node, &GROUP_KEYS);
    let kind = reader.text(fields.get("type"));
    let kind = match kind.as_ref().map(|kind| (kind, kind.value.as_str())) {
        None | Some((_, "metrics")) => GroupKind::Metrics,
        Some((_, "logs")) => GroupKind::Logs,
        Some((text, other)) => {
            let message =
                format!("{other:?} is no type of a group; there are `metrics` and `logs`");
            reader.refuse(text.place, message);
            GroupKind::Metrics
        }
    };
    GroupSpec {
        place: fields.place,
        name: reader.text(fields.get("name")),
        kind,
        interval: reader.duration(fields.get("interval")),
        query_offset: reader.duration(fields.get("query_offset")),
        limit: reader.integer(fields.get("limit")).unwrap_or(0),
        labels: reader.texts(fields.get("labels")),
        rules: {
            let nodes = reader.items(fields.get("rules"));
            nodes.iter().map(|node| rule(reader, node)).collect()
        },
    }
}

fn rule(reader: &mut Reader<'_>, node: &Node) -> RuleSpec {
    let fields = reader.fields(node, &RULE_KEYS);
    RuleSpec {
        place: fields.place,
        record: reader.text(fields.get("record")),
        alert: reader.text(fields.get("alert")),
        expr: reader.text(fields.get("expr")),
        hold: reader.duration(fields.get("for")).unwrap_or_default(),
        keep_firing_for: {
            let duration = reader.duration(fields.get("keep_firing_for"));
            duration.unwrap_or_default()
        },
        labels: reader.texts(fields.get("labels")),
        annotations: reader.texts(fields.get("annotations")),
    }
}
