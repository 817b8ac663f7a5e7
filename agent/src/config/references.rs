//! What pipelines refer to: names that must exist, and components that nobody refers to.

use std::collections::BTreeMap;

use super::error::{Problem, unknown};
use super::spec::PipelineSpec;
use super::yaml::{Key, Node, Value};

/// The names a pipeline may use.
pub(super) struct Known<'a> {
    pub(super) receivers: Vec<&'a str>,
    pub(super) processors: Vec<&'a str>,
    pub(super) exporters: Vec<&'a str>,
}

/// Every name in `specs` that does not exist, and lists that make no sense.
pub(super) fn check(
    pipelines: Option<&Node>,
    specs: &BTreeMap<String, Option<PipelineSpec>>,
    known: &Known<'_>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (pipeline, spec) in specs {
        let Some(spec) = spec else { continue };
        let node = pipelines.and_then(|node| entry(node, pipeline));
        let line = node.map_or(1, |node| node.line);
        let mut add = |line: usize, message: String| {
            let problem = Problem::at(line, message).inside(pipeline);
            problems.push(problem.inside("pipelines"));
        };
        let lists = [
            ("from", "receiver", &spec.from, &known.receivers),
            ("via", "processor", &spec.via, &known.processors),
            ("to", "exporter", &spec.to, &known.exporters),
        ];
        for (key, what, names, known) in lists {
            let list = node.and_then(|node| entry(node, key));
            for (index, name) in names.iter().enumerate() {
                let line = list
                    .and_then(|list| item(list, index))
                    .map_or(line, |item| item.line);
                if !known.contains(&name.as_str()) {
                    add(line, unknown(what, name, known));
                } else if key != "via" && names.iter().take(index).any(|earlier| earlier == name) {
                    add(line, format!("{what} `{name}` stands twice in `{key}`"));
                }
            }
            if names.is_empty() && key != "via" {
                let line = list.map_or(line, |list| list.line);
                add(line, format!("`{key}` names no {what}"));
            }
        }
    }
    problems
}

/// Components of one section that no pipeline uses.
pub(super) fn unused<'s>(
    sections: &[(Key, Node)],
    section: &str,
    specs: impl Iterator<Item = &'s PipelineSpec> + Clone,
    names: fn(&PipelineSpec) -> &[String],
) -> Vec<Problem> {
    let node = sections.iter().find(|(key, _)| key.name == section);
    let Some(Value::Map(entries)) = node.map(|(_, node)| &node.value) else {
        return Vec::new();
    };
    let is_used = |name: &String| specs.clone().any(|spec| names(spec).contains(name));
    let unused = entries.iter().filter(|(key, _)| !is_used(&key.name));
    let message = match section {
        "receivers" => "no pipeline uses it, it is not started",
        _ => "no pipeline uses it",
    };
    let problem = |(key, _): &(Key, Node)| {
        let problem = Problem::at(key.line, message);
        problem.inside(&key.name).inside(section)
    };
    unused.map(problem).collect()
}

fn entry<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Map(entries) => {
            let found = entries.iter().find(|(key, _)| key.name == name);
            found.map(|(_, node)| node)
        }
        _ => None,
    }
}

fn item(node: &Node, index: usize) -> Option<&Node> {
    match &node.value {
        Value::List(items) => items.get(index),
        _ => None,
    }
}
