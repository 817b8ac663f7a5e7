//! What does not fit together although each part can be read: items that stand twice in a list, names without a letter,
//! outputs and listeners that are the same, pipelines nothing can flow into.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use vervet_model::Signal;

use super::error::Problem;
use super::yaml::{Node, Value};
use super::{AgentConfig, ReceiverConfig, no_home};
use crate::exporters::settings::ExporterKind;

/// Sections whose lists are looked at.
const LISTED: [&str; 5] = [
    "resource_detection",
    "receivers",
    "processors",
    "exporters",
    "give_up",
];
/// Lists, and all below them, whose items may be equal: they are worked off in order, joined, or sent as they are.
const MAY_REPEAT: [&str; 3] = ["statements", "source_labels", "params"];
/// Settings that are names, paths or addresses, which are never empty.
const NAMES: [&str; 12] = [
    "service_name",
    "job_name",
    "server_name",
    "data_dir",
    "path",
    "endpoint",
    "listen",
    "grpc",
    "http",
    "ca_file",
    "cert_file",
    "key_file",
];
/// Resource attributes that are names.
const RESOURCE_NAMES: [&str; 2] = ["service.name", "host.name"];

/// What the text alone tells.
pub(super) fn of_text(root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Value::Map(sections) = &root.value else {
        return problems;
    };
    for (key, node) in sections {
        if LISTED.contains(&key.name.as_str()) {
            repeated(node, &mut vec![key.name.clone()], &mut problems);
        }
        if !matches!(key.name.as_str(), "resource" | "processors" | "tests") {
            let own = (key.name.as_str(), node);
            empty(own, &mut Vec::new(), &mut problems);
        }
        homes((&key.name, node), &mut Vec::new(), &mut problems);
        if key.name == "resource" {
            resource(node, &mut problems);
        }
    }
    problems
}

/// What the checked parts tell; their lines are looked up in the text.
pub(super) fn of_parts(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut problems = same_files(root, config);
    problems.extend(same_listeners(root, config));
    problems.extend(dry_pipelines(root, config));
    problems.extend(loops(root, config));
    problems
}

/// File exporters that write what a receiver of their pipeline reads: every line would come again, without an end.
fn loops(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let logs = config.pipelines.iter();
    for pipeline in logs.filter(|pipeline| pipeline.signal == Signal::Logs) {
        let exporters = pipeline.to.iter().filter_map(|name| {
            let exporter = config.exporters.get(name)?;
            match &exporter.kind {
                ExporterKind::File(file) => Some((name, &file.path)),
                _ => None,
            }
        });
        for (name, path) in exporters {
            let reads = |receiver: &&String| {
                let receiver = config.receivers.get(*receiver);
                matches!(receiver, Some(ReceiverConfig::Filelog(filelog)) if filelog.reads_any(path))
            };
            if let Some(receiver) = pipeline.from.iter().find(reads) {
                let message = format!(
                    "receiver `{receiver}` reads {}: what is written there would come again for ever; `exclude` it there",
                    path.display()
                );
                problems.push(at_setting(root, &["exporters", name, "path"], message));
            }
        }
    }
    problems
}

/// Items that stand twice in one list.
fn repeated(node: &Node, path: &mut Vec<String>, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Map(entries) => {
            for (key, value) in entries {
                if MAY_REPEAT.contains(&key.name.as_str()) {
                    continue;
                }
                path.push(key.name.clone());
                repeated(value, path, problems);
                path.pop();
            }
        }
        Value::List(items) => {
            let mut seen = HashMap::new();
            for item in items {
                let Value::Scalar { text, .. } = &item.value else {
                    repeated(item, path, problems);
                    continue;
                };
                if let Some(line) = seen.insert(text.as_str(), item.line) {
                    let message = format!("`{text}` stands twice, first in line {line}");
                    problems.push(at_path(item.line, path, message));
                }
            }
        }
    }
}

/// Settings that are names and empty.
fn empty((name, node): (&str, &Node), path: &mut Vec<String>, problems: &mut Vec<Problem>) {
    path.push(name.to_owned());
    match &node.value {
        Value::Scalar { text, .. } => {
            if NAMES.contains(&name) && !node.is_null() && text.trim().is_empty() {
                let message = format!("`{name}` is empty");
                problems.push(at_path(node.line, path, message));
            }
        }
        Value::List(items) => {
            for item in items {
                if let Value::Map(entries) = &item.value {
                    for (key, value) in entries {
                        empty((&key.name, value), path, problems);
                    }
                }
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                empty((&key.name, value), path, problems);
            }
        }
    }
    path.pop();
}

/// Files named by settings ending in `_file` whose paths begin with `~`.
fn homes((name, node): (&str, &Node), path: &mut Vec<String>, problems: &mut Vec<Problem>) {
    path.push(name.to_owned());
    match &node.value {
        Value::Scalar { text, .. } if name.ends_with("_file") => {
            let message = no_home(text).err();
            problems.extend(message.map(|message| at_path(node.line, path, message)));
        }
        Value::Scalar { .. } => {}
        Value::List(items) => {
            for item in items {
                if let Value::Map(entries) = &item.value {
                    for (key, value) in entries {
                        homes((&key.name, value), path, problems);
                    }
                }
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                homes((&key.name, value), path, problems);
            }
        }
    }
    path.pop();
}

fn resource(node: &Node, problems: &mut Vec<Problem>) {
    let Value::Map(entries) = &node.value else {
        return;
    };
    let path = ["resource".to_owned()];
    for (key, value) in entries {
        let is_empty = matches!(&value.value, Value::Scalar { text, .. } if text.trim().is_empty());
        if key.name.trim().is_empty() {
            let message = "an attribute needs a name";
            problems.push(at_path(key.line, &path, message.to_owned()));
        } else if RESOURCE_NAMES.contains(&key.name.as_str()) && is_empty {
            let message = format!("`{}` is empty", key.name);
            problems.push(at_path(value.line, &path, message));
        }
    }
}

/// File exporters that write to one path.
fn same_files(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut paths: Vec<(&Path, &str)> = Vec::new();
    let mut problems = Vec::new();
    for (name, exporter) in in_order(root, "exporters", &config.exporters) {
        let ExporterKind::File(file) = &exporter.kind else {
            continue;
        };
        let found = paths.iter().find(|(path, _)| *path == file.path.as_path());
        if let Some((_, other)) = found {
            let message = format!("exporter `{other}` writes {} as well", file.path.display());
            let path = ["exporters", name, "path"];
            problems.push(at_setting(root, &path, message));
        }
        paths.push((&file.path, name));
    }
    problems
}

/// Listeners at one address.
fn same_listeners(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut listeners: Vec<(Vec<&str>, SocketAddr)> = Vec::new();
    for (name, receiver) in in_order(root, "receivers", &config.receivers) {
        let ReceiverConfig::Otlp(otlp) = receiver else {
            continue;
        };
        for (key, address) in [("grpc", otlp.grpc), ("http", otlp.http)] {
            listeners.extend(address.map(|address| (vec!["receivers", name, key], address)));
        }
    }
    listeners.extend(
        config
            .admin
            .map(|address| (vec!["admin", "listen"], address)),
    );
    let mut problems = Vec::new();
    for (at, (path, address)) in listeners.iter().enumerate() {
        let earlier = listeners.iter().take(at);
        let found = earlier
            .filter(|(_, other)| meet(*address, *other))
            .map(|(path, other)| (path.join("."), other))
            .next();
        if let Some((other, at)) = found {
            let message = format!("{address} is taken: `{other}` listens on {at}");
            problems.push(at_setting(root, path, message));
        }
    }
    problems
}

/// Whether two listeners cannot both be bound.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let takes_all = |one: IpAddr, other: IpAddr| match one {
        IpAddr::V4(ip) => ip.is_unspecified() && other.is_ipv4(),
        // It takes IPv4, too.
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    let (a, b) = (one.ip(), other.ip());
    let is_same_place = a == b || takes_all(a, b) || takes_all(b, a);
    // Port 0 is a free one.
    one.port() == other.port() && one.port() != 0 && is_same_place
}

/// Pipelines of a signal that none of their receivers makes.
fn dry_pipelines(root: &Node, config: &AgentConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    for pipeline in &config.pipelines {
        let receivers = pipeline.from.iter().map(|name| config.receivers.get(name));
        let Some(receivers) = receivers.collect::<Option<Vec<_>>>() else {
            continue;
        };
        let makes = |receiver: &&ReceiverConfig| receiver.makes(pipeline.signal);
        if receivers.is_empty() || receivers.iter().any(makes) {
            continue;
        }
        let kinds: Vec<String> = pipeline.from.iter().zip(&receivers).map(told).collect();
        let signal = pipeline.signal.as_str();
        let message = format!("nothing in `from` makes {signal}: {}", kinds.join(", "));
        problems.push(at_setting(root, &["pipelines", signal, "from"], message));
    }
    problems
}

pub(super) fn told((name, receiver): (&String, &&ReceiverConfig)) -> String {
    let makes = match receiver {
        ReceiverConfig::Filelog(_) => "logs",
        ReceiverConfig::Hostmetrics(_) | ReceiverConfig::Prometheus(_) => "metrics",
        ReceiverConfig::Otlp(_) => "logs, metrics and traces",
    };
    format!("`{name}` makes {makes}")
}

impl ReceiverConfig {
    /// Whether it can make records of a signal.
    pub(super) fn makes(&self, signal: Signal) -> bool {
        match self {
            Self::Filelog(_) => signal == Signal::Logs,
            Self::Hostmetrics(_) | Self::Prometheus(_) => signal == Signal::Metrics,
            Self::Otlp(_) => true,
        }
    }
}

/// Components in the order of the text, so that it is the later one that is told of.
pub(super) fn in_order<'c, T>(
    root: &'c Node,
    section: &str,
    components: &'c BTreeMap<String, T>,
) -> Vec<(&'c str, &'c T)> {
    let Some((_, Value::Map(entries))) = setting(root, &[section]) else {
        return Vec::new();
    };
    let names = entries.iter().map(|(key, _)| key.name.as_str());
    names
        .filter_map(|name| Some((name, components.get(name)?)))
        .collect()
}

fn at_path(line: usize, path: &[String], message: String) -> Problem {
    Problem {
        line: Some(line),
        path: path.to_vec(),
        message,
    }
}

/// A problem at a setting, or at what is there of its path.
pub(super) fn at_setting(root: &Node, path: &[&str], message: String) -> Problem {
    let known = (1..=path.len()).rev().find_map(|length| {
        let (line, _) = setting(root, path.get(..length)?)?;
        Some(line)
    });
    let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
    at_path(known.unwrap_or(root.line), &path, message)
}

/// The line of a setting, and what it holds.
fn setting<'n>(root: &'n Node, path: &[&str]) -> Option<(usize, &'n Value)> {
    let mut found = (root.line, &root.value);
    for step in path {
        let Value::Map(entries) = found.1 else {
            return None;
        };
        let (key, node) = entries.iter().find(|(key, _)| key.name == *step)?;
        found = (key.line, &node.value);
    }
    Some(found)
}
