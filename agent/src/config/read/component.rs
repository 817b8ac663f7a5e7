//! One receiver, exporter or processor: its `type` says how the rest is read.

use super::super::ReceiverConfig;
use super::super::error::{Problem, unknown};
use super::super::faults::Unread;
use super::super::mistakes::Mistakes;
use super::super::spec::ReceiverSpec;
use super::super::yaml::{Key, Node, Value, from_node};
use crate::exporters::settings::{DebugExporterSpec, ExporterConfig, FileExporterSpec};
use crate::processors::{PROCESSOR_TYPES, ProcessorConfig, ProcessorSpec};
use crate::receivers::filelog::{FilelogConfig, FilelogSpec};

const RECEIVER_TYPES: [&str; 4] = ["filelog", "hostmetrics", "prometheus", "otlp"];
const EXPORTER_TYPES: [&str; 4] = ["otlp", "otlphttp", "file", "debug"];
const NAME_BYTES_MAX: usize = 48;
/// Items of a list that are looked at one by one when something is wrong with it.
const ITEMS_APART_MAX: usize = 1_000;
/// Settings of a `format` that say what the others are about.
const GIVES_MEANING: [&str; 3] = ["type", "content", "pattern"];

pub(super) fn receiver(node: &Node) -> Result<ReceiverConfig, Unread> {
    let (kind, rest) = split_type(node, "receiver", &RECEIVER_TYPES)?;
    let spec = match kind.as_str() {
        "filelog" => return filelog(&rest).map(ReceiverConfig::Filelog),
        "hostmetrics" => ReceiverSpec::Hostmetrics(from_node(&rest)?),
        "prometheus" => ReceiverSpec::Prometheus(from_node(&rest)?),
        _otlp => ReceiverSpec::Otlp(from_node(&rest)?),
    };
    Ok(ReceiverConfig::try_from(spec)?)
}

/// The settings of a `filelog` receiver have nothing to do with each other: what is wrong with them together is looked
/// for in each alone, and in each item of a list.
fn filelog(node: &Node) -> Result<FilelogConfig, Unread> {
    const INCLUDE: &str = "include";
    let message = match FilelogConfig::try_from(from_node::<FilelogSpec>(node)?) {
        Ok(config) => return Ok(config),
        Err(message) => message,
    };
    let mut mistakes = Mistakes::default();
    let Value::Map(settings) = &node.value else {
        return Err(Mistakes::from(message).into());
    };
    let some_files = settings.iter().find(|(key, _)| key.name == INCLUDE);
    for (key, value) in settings {
        let wrong_with = |value: &Node| {
            let mut alone = vec![(key.clone(), value.clone())];
            if key.name != INCLUDE {
                let any = |(key, node): &(Key, Node)| (key.clone(), some_file(node.line));
                alone.extend(some_files.map(any));
            }
            let alone = Value::Map(alone);
            let line = node.line;
            let alone: FilelogSpec = from_node(&Node { line, value: alone }).ok()?;
            FilelogConfig::try_from(alone).err()
        };
        for (name, message) in apart(&key.name, value, &wrong_with) {
            mistakes.demand(false, &[&name], message);
        }
    }
    if mistakes.is_empty() {
        mistakes = message.into();
    }
    Err(mistakes.into())
}

/// What is wrong with a setting, with the path of the part it is about: the items of lists and the settings of maps are
/// looked at one by one.
fn apart(
    path: &str,
    value: &Node,
    wrong_with: &dyn Fn(&Node) -> Option<String>,
) -> Vec<(String, String)> {
    let Some(message) = wrong_with(value) else {
        return Vec::new();
    };
    let line = value.line;
    let mut found = Vec::new();
    match &value.value {
        Value::List(items) if items.len() <= ITEMS_APART_MAX => {
            for (at, item) in items.iter().enumerate() {
                let alone = |item: &Node| {
                    let value = Value::List(vec![item.clone()]);
                    wrong_with(&Node { line, value })
                };
                found.extend(apart(&format!("{path}.{at}"), item, &alone));
            }
        }
        Value::Map(entries) => found = apart_in_map((path, line), entries, wrong_with),
        _ => {}
    }
    match found.is_empty() {
        true => vec![(path.to_owned(), message)],
        false => found,
    }
}

/// As [`apart`], for the settings of a map, of which those in [`GIVES_MEANING`] say what the others mean.
fn apart_in_map(
    (path, line): (&str, usize),
    entries: &[(Key, Node)],
    wrong_with: &dyn Fn(&Node) -> Option<String>,
) -> Vec<(String, String)> {
    let map = |entries: Vec<(Key, Node)>| {
        let value = Value::Map(entries);
        wrong_with(&Node { line, value })
    };
    let gives_meaning = |(key, _): &&(Key, Node)| GIVES_MEANING.contains(&key.name.as_str());
    let meaning: Vec<(Key, Node)> = entries.iter().filter(gives_meaning).cloned().collect();
    let of_meaning = match meaning.is_empty() {
        true => None,
        false => map(meaning.clone()),
    };
    let mut found: Vec<(String, String)> = Vec::new();
    found.extend(of_meaning.clone().map(|message| (path.to_owned(), message)));
    for (key, value) in entries.iter().filter(|entry| !gives_meaning(entry)) {
        let alone = |value: &Node| {
            let own = (key.clone(), value.clone());
            let message = map([meaning.as_slice(), std::slice::from_ref(&own)].concat())?;
            match of_meaning.as_ref() == Some(&message) {
                true => map(vec![own]),
                false => Some(message),
            }
        };
        found.extend(apart(&format!("{path}.{}", key.name), value, &alone));
    }
    found
}

/// A list of files that is right.
fn some_file(line: usize) -> Node {
    let (text, plain) = ("/any".to_owned(), false);
    let value = Value::Scalar { text, plain };
    let value = Value::List(vec![Node { line, value }]);
    Node { line, value }
}

pub(super) fn exporter(node: &Node) -> Result<ExporterConfig, Unread> {
    let (kind, rest) = split_type(node, "exporter", &EXPORTER_TYPES)?;
    let config = match kind.as_str() {
        "otlp" => ExporterConfig::otlp(from_node(&rest)?, false),
        "otlphttp" => ExporterConfig::otlp(from_node(&rest)?, true),
        "file" => ExporterConfig::try_from(from_node::<FileExporterSpec>(&rest)?),
        _debug => ExporterConfig::try_from(from_node::<DebugExporterSpec>(&rest)?),
    };
    Ok(config?)
}

pub(super) fn processor(node: &Node) -> Result<ProcessorConfig, Unread> {
    let (kind, rest) = split_type(node, "processor", &PROCESSOR_TYPES)?;
    let spec = match kind.as_str() {
        "redaction" => ProcessorSpec::Redaction(from_node(&rest)?),
        "k8sattributes" => ProcessorSpec::K8sAttributes(from_node(&rest)?),
        "filter" => ProcessorSpec::Filter(from_node(&rest)?),
        "sample" => ProcessorSpec::Sample(from_node(&rest)?),
        "ratelimit" => ProcessorSpec::Ratelimit(from_node(&rest)?),
        "transform" => ProcessorSpec::Transform(from_node(&rest)?),
        _resource => ProcessorSpec::Resource(from_node(&rest)?),
    };
    Ok(ProcessorConfig::try_from(spec)?)
}

/// What is left of a processor without the statements and conditions that cannot be read, so that the others are checked.
pub(super) fn readable_part(node: &Node) -> Option<ProcessorConfig> {
    let Err(Unread::Sense(mistakes)) = processor(node) else {
        return None;
    };
    let mistakes = mistakes.into_vec().into_iter();
    let lines: Vec<usize> = mistakes
        .filter_map(|mistake| mistake.problem.line)
        .collect();
    let mut rest = node.clone();
    remove_items(&mut rest, &lines);
    processor(&rest).ok()
}

/// Takes the items of lists out that stand on one of the lines.
fn remove_items(node: &mut Node, lines: &[usize]) {
    match &mut node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => {
            items.retain(|item| !lines.contains(&item.line));
            items.iter_mut().for_each(|item| remove_items(item, lines));
        }
        Value::Map(entries) => {
            let values = entries.iter_mut().map(|(_, value)| value);
            values.for_each(|value| remove_items(value, lines));
        }
    }
}

impl TryFrom<ReceiverSpec> for ReceiverConfig {
    type Error = Mistakes;

    fn try_from(spec: ReceiverSpec) -> Result<Self, Mistakes> {
        Ok(match spec {
            ReceiverSpec::Filelog(spec) => Self::Filelog(FilelogConfig::try_from(spec)?),
            ReceiverSpec::Hostmetrics(spec) => Self::Hostmetrics(spec.try_into()?),
            ReceiverSpec::Prometheus(spec) => Self::Prometheus(spec.try_into()?),
            ReceiverSpec::Otlp(spec) => Self::Otlp(spec.try_into()?),
        })
    }
}

/// Takes `type` out of a component, so that what is left is its own settings.
fn split_type(node: &Node, what: &str, known: &[&str]) -> Result<(String, Node), Problem> {
    let Value::Map(entries) = &node.value else {
        return Err(Problem::at(
            node.line,
            format!("{} must hold keys and values", with_article(what)),
        ));
    };
    let Some((_, kind)) = entries.iter().find(|(key, _)| key.name == "type") else {
        return Err(Problem::at(node.line, "key `type` is missing"));
    };
    let name: String = from_node(kind)?;
    if !known.contains(&name.as_str()) {
        let problem = Problem::at(kind.line, unknown(&format!("{what} type"), &name, known));
        return Err(problem);
    }
    let rest = entries
        .iter()
        .filter(|(key, _)| key.name != "type")
        .cloned()
        .collect();
    Ok((
        name,
        Node {
            line: node.line,
            value: Value::Map(rest),
        },
    ))
}

fn with_article(what: &str) -> String {
    let article = match what.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    };
    format!("{article} {what}")
}

pub(super) fn check_name(key: &Key) -> Result<(), Problem> {
    let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if key.name.is_empty() || key.name.len() > NAME_BYTES_MAX || !key.name.bytes().all(valid) {
        return Err(Problem::at(
            key.line,
            "a name is 1 to 48 of a-z, 0-9, _ and -",
        ));
    }
    Ok(())
}
