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
        for (name, value) in apart(&key.name, value) {
            let mut alone = vec![(key.clone(), value)];
            if key.name != INCLUDE {
                let any = |(key, node): &(Key, Node)| (key.clone(), root_folder(node.line));
                alone.extend(some_files.map(any));
            }
            let value = Value::Map(alone);
            let line = node.line;
            let alone: Result<FilelogSpec, Problem> = from_node(&Node { line, value });
            if let Ok(alone) = alone {
                mistakes.note(&[&name], FilelogConfig::try_from(alone));
            }
        }
    }
    if mistakes.is_empty() {
        mistakes = message.into();
    }
    Err(mistakes.into())
}

/// A setting with its path, or each of its items.
fn apart(name: &str, value: &Node) -> Vec<(String, Node)> {
    let Value::List(items) = &value.value else {
        return vec![(name.to_owned(), value.clone())];
    };
    if !(1..=ITEMS_APART_MAX).contains(&items.len()) {
        return vec![(name.to_owned(), value.clone())];
    }
    let item = |(at, item): (usize, &Node)| {
        let line = item.line;
        let value = Value::List(vec![item.clone()]);
        (format!("{name}.{at}"), Node { line, value })
    };
    items.iter().enumerate().map(item).collect()
}

/// A list of files that is right.
fn root_folder(line: usize) -> Node {
    let (text, plain) = ("/".to_owned(), false);
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
            format!("a {what} must hold keys and values"),
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
