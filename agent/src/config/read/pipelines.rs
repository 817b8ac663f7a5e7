//! The section `pipelines`: what flows from where to where.

use std::collections::BTreeMap;

use vervet_model::Signal;

use super::super::error::{Problem, unknown};
use super::super::references::{self, Known};
use super::super::spec::PipelineSpec;
use super::super::yaml::{Key, Node, Value, from_node};
use super::super::{PipelineConfig, ReceiverConfig};
use super::{Reader, find};
use crate::processors::ProcessorConfig;

const SIGNALS: [&str; 3] = ["logs", "metrics", "traces"];

/// One of the lists of a pipeline.
type Names = fn(&PipelineSpec) -> &[String];

impl Reader {
    pub(super) fn pipelines<R, E>(
        &mut self,
        sections: &[(Key, Node)],
        receivers: &BTreeMap<String, Option<R>>,
        processors: &BTreeMap<String, Option<ProcessorConfig>>,
        exporters: &BTreeMap<String, Option<E>>,
    ) -> Vec<PipelineConfig> {
        let specs = self.components(sections, "pipelines", |node| {
            Ok(from_node::<PipelineSpec>(node)?)
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

    /// Files that look like those of pods, but lie in none of the kubelet's folders.
    pub(super) fn warn_of_pods_elsewhere(
        &mut self,
        sections: &[(Key, Node)],
        receivers: &BTreeMap<String, Option<ReceiverConfig>>,
    ) {
        for (name, receiver) in receivers {
            let Some(ReceiverConfig::Filelog(filelog)) = receiver else {
                continue;
            };
            if let Some(glob) = filelog.pods_elsewhere() {
                let line = find(sections, "receivers").map_or(1, |node| key_line(node, name));
                let message = format!(
                    "the files of `{glob}` tell no pod, because they are not below /var/log/pods; `pod_roots` names the kubelet's folder"
                );
                let warning = Problem::at(line, message).inside(name);
                self.warnings.push(warning.inside("receivers"));
            }
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
            for problem in processor.check(name, signal) {
                // The line of the statement, where there is one.
                let line = pipelines.map_or(1, |node| key_line(node, signal.as_str()));
                let line = problem.line.unwrap_or(line);
                let message = format!("processor `{name}`: {}", problem.message);
                let problem = Problem::at(line, message).inside(signal.as_str());
                self.problems.push(problem.inside("pipelines"));
            }
        }
    }
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
