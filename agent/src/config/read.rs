//! From text to a checked configuration, section by section, so that one mistake does not hide the next.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use vervet_model::Signal;

use super::cases;
use super::error::{Problem, unknown};
use super::faults::read_all;
use super::hide::Hidden;
use super::references::{self, Known};
use super::shapes::Shapes;
use super::spec::{
    AdminSpec, Auth, LimitsSpec, MemoryLimit, PipelineSpec, ReceiverSpec, TelemetrySpec,
};
use super::substitute::{Sources, substitute};
use super::yaml::{Key, Node, Value, from_node, parse};
use super::{ADMIN_ADDRESS_DEFAULT, AgentConfig, PipelineConfig, ReceiverConfig};
use crate::exporters::settings::{
    DeadLetterConfig, DeadLetterSpec, DebugExporterSpec, ExporterConfig, FileExporterSpec,
};
use crate::processors::k8sattributes::K8sAttributesConfig;
use crate::processors::{PROCESSOR_TYPES, ProcessorConfig, ProcessorSpec};
use crate::receivers::filelog::FilelogConfig;
use crate::receivers::hostmetrics::HostmetricsConfig;
use crate::receivers::otlp::OtlpReceiverConfig;
use crate::receivers::prometheus::PrometheusConfig;

const SECTIONS: [&str; 12] = [
    "data_dir",
    "limits",
    "resource",
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
const RECEIVER_TYPES: [&str; 4] = ["filelog", "hostmetrics", "prometheus", "otlp"];
const EXPORTER_TYPES: [&str; 4] = ["otlp", "otlphttp", "file", "debug"];
const SIGNALS: [&str; 3] = ["logs", "metrics", "traces"];
const DATA_DIR_DEFAULT: &str = "/var/lib/vervet-agent";
const MEMORY_BYTES_MIN: u64 = 4 << 20;
const DISK_BYTES_DEFAULT: u64 = 4 << 30;
const DISK_BYTES_MIN: u64 = 1 << 20;
const NAME_BYTES_MAX: usize = 48;

/// Reads, substitutes, checks.
pub(super) fn read(text: &str, sources: &dyn Sources) -> Result<AgentConfig, Vec<Problem>> {
    let mut root = parse(text).map_err(|problem| vec![problem])?;
    let mut reader = Reader::default();
    let mut hidden = Hidden::default();
    substitute(&mut root, sources, &mut reader.problems, &mut hidden);
    hidden.add_secrets(&root);
    let config = reader.config(&root);
    match config {
        Some(config) if reader.problems.is_empty() => Ok(config),
        _ => {
            let problems = reader.problems.iter_mut();
            problems.for_each(|problem| hidden.hide(problem));
            reader.problems.sort_by_key(|problem| problem.line);
            Err(reader.problems)
        }
    }
}

/// One of the lists of a pipeline.
type Names = fn(&PipelineSpec) -> &[String];

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
        let limits: LimitsSpec = self.section(sections, "limits").unwrap_or_default();
        let resource: BTreeMap<String, String> =
            self.section(sections, "resource").unwrap_or_default();
        let receivers = self.components(sections, "receivers", Self::receiver);
        let exporters = self.components(sections, "exporters", Self::exporter);
        let dead_letter = self.dead_letter(sections);
        let processors = self.components(sections, "processors", Self::processor);
        let pipelines = self.pipelines(sections, &receivers, &processors, &exporters);
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
        let value = read_all(node, |node| from_node(node));
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
        read: impl Fn(&Node) -> Result<T, Problem>,
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
            let component = match check_name(key) {
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

    fn receiver(node: &Node) -> Result<ReceiverConfig, Problem> {
        let line = node.line;
        let (kind, rest) = split_type(node, "receiver", &RECEIVER_TYPES)?;
        let spec = match kind.as_str() {
            "filelog" => ReceiverSpec::Filelog(from_node(&rest)?),
            "hostmetrics" => ReceiverSpec::Hostmetrics(from_node(&rest)?),
            "prometheus" => ReceiverSpec::Prometheus(from_node(&rest)?),
            _otlp => ReceiverSpec::Otlp(from_node(&rest)?),
        };
        ReceiverConfig::try_from(spec).map_err(|message| Problem::at(line, message))
    }

    fn exporter(node: &Node) -> Result<ExporterConfig, Problem> {
        let (kind, rest) = split_type(node, "exporter", &EXPORTER_TYPES)?;
        let config = match kind.as_str() {
            "otlp" => ExporterConfig::otlp(from_node(&rest)?, false),
            "otlphttp" => ExporterConfig::otlp(from_node(&rest)?, true),
            "file" => ExporterConfig::try_from(from_node::<FileExporterSpec>(&rest)?),
            _debug => ExporterConfig::try_from(from_node::<DebugExporterSpec>(&rest)?),
        };
        config.map_err(|message| Problem::at(node.line, message))
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

    fn processor(node: &Node) -> Result<ProcessorConfig, Problem> {
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
        ProcessorConfig::try_from(spec).map_err(|problem| problem.or_line(node.line))
    }

    fn pipelines<R, E>(
        &mut self,
        sections: &[(Key, Node)],
        receivers: &BTreeMap<String, Option<R>>,
        processors: &BTreeMap<String, Option<ProcessorConfig>>,
        exporters: &BTreeMap<String, Option<E>>,
    ) -> Vec<PipelineConfig> {
        let specs = self.components(sections, "pipelines", |node| {
            from_node::<PipelineSpec>(node)
        });
        let known = Known {
            receivers: receivers.keys().map(String::as_str).collect(),
            processors: processors.keys().map(String::as_str).collect(),
            exporters: exporters.keys().map(String::as_str).collect(),
        };
        let faults = references::check(find(sections, "pipelines"), &specs, &known);
        if faults.is_empty() && specs.values().all(Option::is_some) {
            self.warn_of_unused(sections, &specs);
        }
        self.problems.extend(faults);
        let mut pipelines = Vec::new();
        for (name, spec) in specs {
            let signal = Signal::ALL
                .into_iter()
                .find(|signal| signal.as_str() == name);
            match (signal, spec) {
                (Some(signal), Some(PipelineSpec { from, via, to })) => {
                    self.check_processors(sections, signal, &via, processors);
                    pipelines.push(PipelineConfig {
                        signal,
                        from,
                        via,
                        to,
                    });
                }
                (Some(_), None) => {}
                (None, _) => {
                    let line = find(sections, "pipelines").map_or(1, |node| key_line(node, &name));
                    let problem = Problem::at(line, unknown("pipeline", &name, &SIGNALS));
                    self.problems.push(problem.inside("pipelines"));
                }
            }
        }
        pipelines
    }

    fn warn_of_unused(
        &mut self,
        sections: &[(Key, Node)],
        specs: &BTreeMap<String, Option<PipelineSpec>>,
    ) {
        let used = specs.values().flatten();
        let lists: [(&str, Names); 3] = [
            ("receivers", |spec| &spec.from),
            ("processors", |spec| &spec.via),
            ("exporters", |spec| &spec.to),
        ];
        for (section, names) in lists {
            let unused = references::unused(sections, section, used.clone(), names);
            self.warnings.extend(unused);
        }
    }

    /// Every processor must fit the signal of the pipeline.
    fn check_processors(
        &mut self,
        sections: &[(Key, Node)],
        signal: Signal,
        via: &[String],
        processors: &BTreeMap<String, Option<ProcessorConfig>>,
    ) {
        let pipelines = find(sections, "pipelines");
        for name in via {
            let Some(Some(processor)) = processors.get(name) else {
                continue;
            };
            if let Err(problem) = processor.check(name, signal) {
                // The line of the statement, where there is one.
                let line = pipelines.map_or(1, |node| key_line(node, signal.as_str()));
                let line = problem.line.unwrap_or(line);
                let message = format!("processor `{name}`: {}", problem.message);
                let problem = Problem::at(line, message).inside(signal.as_str());
                self.problems.push(problem.inside("pipelines"));
            }
        }
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
    substitute(&mut root, sources, &mut Vec::new(), &mut Hidden::default());
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
    ProcessorConfig::try_from(ProcessorSpec::Filter(spec)).map_err(|problem| problem.message)
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

impl TryFrom<ReceiverSpec> for ReceiverConfig {
    type Error = String;

    fn try_from(spec: ReceiverSpec) -> Result<Self, String> {
        Ok(match spec {
            ReceiverSpec::Filelog(spec) => {
                Self::Filelog(FilelogConfig::try_from(spec).map_err(|error| error.to_string())?)
            }
            ReceiverSpec::Hostmetrics(spec) => Self::Hostmetrics(
                HostmetricsConfig::try_from(spec).map_err(|error| error.to_string())?,
            ),
            ReceiverSpec::Prometheus(spec) => Self::Prometheus(
                PrometheusConfig::try_from(spec).map_err(|error| error.to_string())?,
            ),
            ReceiverSpec::Otlp(spec) => Self::Otlp(OtlpReceiverConfig::try_from(spec)?),
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

fn check_name(key: &Key) -> Result<(), Problem> {
    let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if key.name.is_empty() || key.name.len() > NAME_BYTES_MAX || !key.name.bytes().all(valid) {
        return Err(Problem::at(
            key.line,
            "a name is 1 to 48 of a-z, 0-9, _ and -",
        ));
    }
    Ok(())
}

fn find<'n>(sections: &'n [(Key, Node)], name: &str) -> Option<&'n Node> {
    sections
        .iter()
        .find(|(key, _)| key.name == name)
        .map(|(_, node)| node)
}

fn key_line(node: &Node, name: &str) -> usize {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map_or(node.line, |(key, _)| key.line),
        _ => node.line,
    }
}

fn values<T>(components: BTreeMap<String, Option<T>>) -> BTreeMap<String, T> {
    components
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
