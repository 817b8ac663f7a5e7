//! From text to a checked configuration, section by section, so that one mistake does not hide the next.

mod component;
mod pipelines;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::cases;
use super::conflicts;
use super::dollars;
use super::error::{Problem, unknown};
use super::faults::{Unread, read_all};
use super::hide::Hidden;
use super::host::Detected;
use super::oddities;
use super::shapes::Shapes;
use super::spec::{AdminSpec, Auth, LimitsSpec, MemoryLimit, TelemetrySpec};
use super::substitute::{Sources, Unresolved, substitute};
use super::yaml::{Key, Node, Value, from_node, parse};
use super::{ADMIN_ADDRESS_DEFAULT, AgentConfig, no_home};
use crate::exporters::settings::{DeadLetterConfig, DeadLetterSpec};
use crate::processors::k8sattributes::K8sAttributesConfig;
use crate::processors::{ProcessorConfig, ProcessorSpec};

const SECTIONS: [&str; 13] = [
    "data_dir",
    "limits",
    "resource",
    "resource_detection",
    "receivers",
    "processors",
    "exporters",
    "dead_letter",
    "give_up",
    "pipelines",
    "admin",
    "telemetry",
    "tests",
];
const DATA_DIR_DEFAULT: &str = "/var/lib/vervet-agent";
const MEMORY_BYTES_MIN: u64 = 4 << 20;
const DISK_BYTES_DEFAULT: u64 = 4 << 30;
const DISK_BYTES_MIN: u64 = 1 << 20;
/// Reads, substitutes, checks.
pub(super) fn read(text: &str, sources: &dyn Sources) -> Result<AgentConfig, Vec<Problem>> {
    let mut root = parse(text).map_err(|problem| vec![quotes_missing(problem, text)])?;
    let dollars = dollars::find(&root);
    let mut reader = Reader::default();
    let (mut hidden, mut unresolved) = (Hidden::default(), Unresolved::default());
    substitute(&mut root, sources, &mut unresolved, &mut hidden);
    hidden.add_secrets(&root);
    let warnings = dollars.iter().map(|dollar| dollar.warning.clone());
    reader.warnings.extend(warnings);
    let mut config = reader.config(&root);
    let mut conflicts = conflicts::of_text(&root);
    if let Some(config) = &mut config {
        conflicts.extend(conflicts::of_parts(&root, config));
        config.warnings.extend(oddities::of(&root, config));
    }
    // What is wrong by itself has been told in other words.
    conflicts.retain(|conflict| {
        let quoted = conflict.message.split('`').nth(1);
        let is_same = |told: &Problem| {
            let names_it = quoted.is_some_and(|quoted| told.message.contains(quoted));
            told.line == conflict.line && names_it
        };
        !reader.problems.iter().any(is_same)
    });
    reader.problems.extend(conflicts);
    reader.problems.retain(|told| !unresolved.explains(told));
    reader.problems.extend(unresolved.problems);
    match config {
        Some(mut config) if reader.problems.is_empty() => {
            let warnings = config.warnings.iter_mut();
            warnings.for_each(|warning| hidden.hide(warning));
            Ok(config)
        }
        _ => {
            for dollar in &dollars {
                dollar.explain(&mut reader.problems);
            }
            let problems = reader.problems.iter_mut();
            problems.for_each(|problem| hidden.hide(problem));
            reader.problems.sort_by_key(|problem| problem.line);
            Err(reader.problems)
        }
    }
}

/// YAML takes the braces of `${...}` for its own inside `{...}`.
fn quotes_missing(mut problem: Problem, text: &str) -> Problem {
    let end = problem.line.unwrap_or(usize::MAX);
    let near = text.lines().take(end).skip(end.saturating_sub(2));
    if near.into_iter().any(has_bare_reference) {
        problem.message +=
            "; inside `{...}` and `[...]` a `${...}` stands in quotes: `\"${env:NAME}\"`";
    }
    problem
}

/// Whether a `${` stands behind a bracket and outside of quotes.
fn has_bare_reference(line: &str) -> bool {
    let (mut quote, mut is_inside, mut before) = (None, false, ' ');
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') if before == '$' && is_inside => return true,
            (None, '{' | '[') => is_inside = true,
            _ => {}
        }
        before = c;
    }
    false
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader {
    fn config(&mut self, root: &Node) -> Option<AgentConfig> {
        let is_empty = matches!(&root.value, Value::Map(sections) if sections.is_empty());
        if is_empty || root.is_null() {
            let message = "the file holds nothing; the agent needs pipelines";
            self.problems.push(Problem::at(root.line, message));
            return None;
        }
        let Value::Map(sections) = &root.value else {
            self.problems
                .push(Problem::at(root.line, "the file must hold keys and values"));
            return None;
        };
        for (key, _) in sections {
            if !SECTIONS.contains(&key.name.as_str()) {
                self.problems
                    .push(Problem::at(key.line, unknown("key", &key.name, &SECTIONS)));
            }
        }
        let data_dir = self.section::<PathBuf>(sections, "data_dir");
        if let Some(Err(message)) = data_dir
            .as_deref()
            .map(|dir| no_home(&dir.to_string_lossy()))
        {
            let line = find(sections, "data_dir").map_or(1, |node| node.line);
            let problem = Problem::at(line, message);
            self.problems.push(problem.inside("data_dir"));
        }
        let limits: LimitsSpec = self.section(sections, "limits").unwrap_or_default();
        let resource: BTreeMap<String, String> =
            self.section(sections, "resource").unwrap_or_default();
        let resource_detection = self.section(sections, "resource_detection");
        let receivers = self.components(sections, "receivers", component::receiver);
        self.warn_of_pods_elsewhere(sections, &receivers);
        let exporters = self.components(sections, "exporters", component::exporter);
        let dead_letter = self.dead_letter(sections);
        let processors = self.components(sections, "processors", component::processor);
        let known = with_readable_parts(sections, &processors);
        let pipelines = self.pipelines(sections, &receivers, &known, &exporters);
        let processors = values(processors);
        if let Err(message) = K8sAttributesConfig::shared_source(&processors) {
            let line = find(sections, "processors").map_or(1, |node| node.line);
            let problem = Problem::at(line, message);
            self.problems.push(problem.inside("processors"));
        }
        let admin: AdminSpec = self.section(sections, "admin").unwrap_or_default();
        let admin = self.admin(sections, admin);
        let telemetry: TelemetrySpec = self.section(sections, "telemetry").unwrap_or_default();
        let (memory_bytes, disk_bytes) = self.limits(sections, &limits);
        let give_up = self.give_up(sections, &exporters);
        let tests = find(sections, "tests").filter(|node| !node.is_null());
        let tests = tests.map(|node| cases::read(node, &pipelines, &receivers, &mut self.problems));
        Some(AgentConfig {
            data_dir: data_dir.unwrap_or_else(|| DATA_DIR_DEFAULT.into()),
            memory_bytes,
            disk_bytes,
            resource: resource.into_iter().collect(),
            resource_detection: resource_detection.unwrap_or_else(|| vec![Detected::Host]),
            receivers: values(receivers),
            processors,
            exporters: values(exporters),
            dead_letter,
            pipelines,
            give_up,
            tests: tests.unwrap_or_default(),
            warnings: std::mem::take(&mut self.warnings),
            admin: Some(admin?),
            shapes: Shapes::of(root),
            traces_endpoint: telemetry.traces.map(|traces| traces.endpoint),
        })
    }

    fn section<T: DeserializeOwned>(&mut self, sections: &[(Key, Node)], name: &str) -> Option<T> {
        let node = find(sections, name).filter(|node| !node.is_null())?;
        let value = read_all(node, |node| Ok(from_node(node)?));
        self.note(name, value)
    }

    /// Exporters whose backlog is not wanted, which must not be there.
    fn give_up<E>(
        &mut self,
        sections: &[(Key, Node)],
        exporters: &BTreeMap<String, Option<E>>,
    ) -> Vec<String> {
        let names: Vec<String> = self.section(sections, "give_up").unwrap_or_default();
        let line = find(sections, "give_up").map_or(1, |node| node.line);
        for name in names.iter().filter(|name| exporters.contains_key(*name)) {
            let message = format!("exporter `{name}` is configured, so its backlog is sent");
            self.problems
                .push(Problem::at(line, message).inside("give_up"));
        }
        names
    }

    /// What was read, or nothing and the problems noted as those of `section`.
    fn note<T>(&mut self, section: &str, read: Result<T, Vec<Problem>>) -> Option<T> {
        let problems = match read {
            Ok(value) => return Some(value),
            Err(problems) => problems,
        };
        let inside = |problem: Problem| problem.inside(section);
        self.problems.extend(problems.into_iter().map(inside));
        None
    }

    fn limits(&mut self, sections: &[(Key, Node)], limits: &LimitsSpec) -> (Option<u64>, u64) {
        let memory_bytes = match limits.memory {
            None | Some(MemoryLimit::Auto) => None,
            Some(MemoryLimit::Bytes(size)) => Some(size.0),
        };
        let disk_bytes = limits.disk.map_or(DISK_BYTES_DEFAULT, |size| size.0);
        let line = find(sections, "limits").map_or(1, |node| node.line);
        if memory_bytes.is_some_and(|bytes| bytes < MEMORY_BYTES_MIN) {
            let problem = Problem::at(line, "memory must be at least 4MiB");
            self.problems.push(problem.inside("limits"));
        }
        if disk_bytes < DISK_BYTES_MIN {
            let problem = Problem::at(line, "disk must be at least 1MiB");
            self.problems.push(problem.inside("limits"));
        }
        (memory_bytes, disk_bytes)
    }

    /// Reads a section of named components; one that cannot be read stays in the result as `None`.
    fn components<T>(
        &mut self,
        sections: &[(Key, Node)],
        section: &str,
        read: impl Fn(&Node) -> Result<T, Unread>,
    ) -> BTreeMap<String, Option<T>> {
        let mut components = BTreeMap::new();
        let Some(node) = find(sections, section).filter(|node| !node.is_null()) else {
            return components;
        };
        let Value::Map(entries) = &node.value else {
            let problem = Problem::at(node.line, "must hold names and components");
            self.problems.push(problem.inside(section));
            return components;
        };
        for (key, node) in entries {
            let component = match component::check_name(key) {
                Ok(()) => read_all(node, &read),
                Err(problem) => Err(vec![problem]),
            };
            let component = component.map_err(|problems| {
                let inside = |problem: Problem| problem.inside(&key.name);
                problems.into_iter().map(inside).collect()
            });
            let component = self.note(section, component);
            components.insert(key.name.clone(), component);
        }
        components
    }

    fn dead_letter(&mut self, sections: &[(Key, Node)]) -> DeadLetterConfig {
        let spec: DeadLetterSpec = self.section(sections, "dead_letter").unwrap_or_default();
        DeadLetterConfig::try_from(spec).unwrap_or_else(|message| {
            let line = find(sections, "dead_letter").map_or(1, |node| node.line);
            self.problems
                .push(Problem::at(line, message).inside("dead_letter"));
            DeadLetterConfig::default()
        })
    }

    fn admin(&mut self, sections: &[(Key, Node)], spec: AdminSpec) -> Option<SocketAddr> {
        let listen = spec
            .listen
            .unwrap_or_else(|| ADMIN_ADDRESS_DEFAULT.to_owned());
        match listen_address(&listen, spec.auth) {
            Ok(address) => Some(address),
            Err(message) => {
                let line = find(sections, "admin").map_or(1, |node| node.line);
                self.problems
                    .push(Problem::at(line, message).inside("admin"));
                None
            }
        }
    }
}

/// The admin listener's address alone, whatever else is wrong with the text; `None` when it cannot be told.
pub(super) fn admin_of(text: &str, sources: &dyn Sources) -> Option<SocketAddr> {
    let mut root = parse(text).ok()?;
    let unresolved = &mut Unresolved::default();
    substitute(&mut root, sources, unresolved, &mut Hidden::default());
    let Value::Map(sections) = &root.value else {
        return None;
    };
    let node = find(sections, "admin").filter(|node| !node.is_null());
    let spec: AdminSpec = node.map_or(Ok(AdminSpec::default()), from_node).ok()?;
    Reader::default().admin(sections, spec)
}

/// A filter that keeps what `condition` holds for.
///
/// # Errors
/// What is wrong with the condition.
pub(crate) fn filter_of(condition: &str) -> Result<ProcessorConfig, String> {
    // A JSON string is a YAML string.
    let text = format!("keep: [{}]", serde_json::Value::from(condition));
    let node = parse(&text).map_err(|problem| problem.message)?;
    let spec = from_node(&node).map_err(|problem| problem.message)?;
    ProcessorConfig::try_from(ProcessorSpec::Filter(spec)).map_err(|mistakes| mistakes.to_string())
}

/// Reads an address to listen on. One that others can reach needs `auth: disabled` beside it.
pub fn listen_address(text: &str, auth: Option<Auth>) -> Result<SocketAddr, String> {
    let text = text
        .strip_prefix("localhost")
        .map_or(text.to_owned(), |port| format!("127.0.0.1{port}"));
    let address: SocketAddr = text
        .parse()
        .map_err(|_error| format!("`{text}` is not an address such as 127.0.0.1:4317"))?;
    if !address.ip().is_loopback() && auth != Some(Auth::Disabled) {
        return Err(format!(
            "{address} can be reached from other machines; say `auth: disabled` to allow it without authentication"
        ));
    }
    Ok(address)
}

fn find<'n>(sections: &'n [(Key, Node)], name: &str) -> Option<&'n Node> {
    sections
        .iter()
        .find(|(key, _)| key.name == name)
        .map(|(_, node)| node)
}

/// For those that cannot be read as a whole, what can be read of them.
fn with_readable_parts(
    sections: &[(Key, Node)],
    processors: &BTreeMap<String, Option<ProcessorConfig>>,
) -> BTreeMap<String, Option<ProcessorConfig>> {
    let mut known = processors.clone();
    if let Some(Value::Map(entries)) = find(sections, "processors").map(|node| &node.value) {
        for (key, node) in entries {
            if let Some(unread @ None) = known.get_mut(&key.name) {
                *unread = component::readable_part(node);
            }
        }
    }
    known
}

fn values<T>(components: BTreeMap<String, Option<T>>) -> BTreeMap<String, T> {
    components
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
