//! What becomes of one line or record: every stage of the way, told to a person.
//!
//! In: a configuration and a text. Out: a [`Way`] per record: which receiver read it and how, the fields it found, what
//! every processor changed or why it dropped the record, who gets it, and the record as it would be stored. The stages
//! are the ones that run; nothing is imitated. [`check`] holds the same way against what a test expects.
//!
//! Values that a redaction of the pipeline takes out are shown as it leaves them, in every stage, unless
//! [`Secrets::Show`] is asked for. The text itself is never repeated.

mod check;
mod cover;
mod fields;
mod pods;
mod render;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use vervet_model::{Clock, Signal};
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value, write_resource_logs};

pub use check::{CaseResult, Difference};
pub use fields::Field;
pub(crate) use fields::{json as json_value, time as time_text};
pub use render::render;

use crate::config::{AgentConfig, PipelineConfig, ReceiverConfig};
use crate::kubernetes::{Key, LogPolicy, PodDirectory};
use crate::metrics::AgentMetrics;
use crate::processors::{
    Chain, ChainError, ExplainedStep, Origin as Said, ProcessorConfig, Secrets,
};
use crate::receivers::filelog::{FilelogConfig, ReadRecord};
use cover::Cover;
pub(crate) use pods::read_pods;

/// Where a text comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The receiver's name. Default: the one that reads `path`, or the only one there is.
    pub receiver: Option<String>,
    /// The file the text stands in.
    pub path: Option<String>,
}

/// Why nothing can be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    #[error("there is no receiver `{name}` (known: {known})")]
    UnknownReceiver { name: String, known: String },
    #[error("receiver `{name}` reads no log lines")]
    NoLines { name: String },
    #[error("no filelog receiver reads {path}")]
    NobodyReads { path: String },
    #[error("say which receiver, with --receiver or --path (known: {known})")]
    Ambiguous { known: String },
    #[error("the configuration has no receiver of log lines")]
    NoReceiver,
    /// By its annotation.
    #[error("no line of {path} is read: its pod asks for that (vervet.dev/exclude)")]
    Excluded { path: String },
    /// Its globs match, but the file on this machine is none that it reads.
    #[error("receiver `{receiver}` does not read {path}: {why}")]
    Refused {
        receiver: String,
        path: String,
        why: String,
    },
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the receiver's settings cannot be used: {0}")]
    Settings(String),
}

/// The way of one record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Way {
    pub receiver: String,
    /// Its type.
    pub kind: &'static str,
    /// Why this one.
    pub chosen_by: String,
    /// What is known of the pod whose file it is; absent for other files.
    pub pod: Option<String>,
    /// How a line became a record; absent when it came as one.
    pub read: Option<Read>,
    /// The record before the first processor.
    pub parsed: Vec<Field>,
    /// `None` when no pipeline takes logs from the receiver.
    pub pipeline: Option<&'static str>,
    pub steps: Vec<ExplainedStep>,
    /// `<processor>:<why>` when it was dropped.
    pub dropped: Option<String>,
    /// Who gets it.
    pub exporters: Vec<String>,
    /// What is stored, in OTLP's JSON; absent when it was dropped.
    pub record: Option<serde_json::Value>,
    /// The same as it is on the wire.
    #[serde(skip)]
    pub(crate) request: Vec<u8>,
}

/// How a line was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Read {
    /// `cri` or `docker` when a container runtime wrote the line.
    pub runtime: Option<&'static str>,
    pub format: &'static str,
    /// Why this format.
    pub format_reason: String,
    pub text_bytes: usize,
    /// Bytes were no text and have been replaced.
    pub replaced: bool,
}

/// Explains with one configuration.
pub struct Explainer<'c> {
    config: &'c AgentConfig,
    logs: Option<&'c PipelineConfig>,
    chain: Chain,
    cover: Cover,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    pods: PodDirectory,
}

/// A receiver, and why it is the one.
struct Chosen<'c> {
    name: &'c str,
    config: &'c ReceiverConfig,
    by: String,
}

impl<'c> Explainer<'c> {
    /// Knows no pods.
    ///
    /// # Errors
    /// The processors of the pipeline `logs` cannot be used.
    pub fn new(
        config: &'c AgentConfig,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
    ) -> Result<Self, ExplainError> {
        Self::with_pods(config, clock, secrets, PodDirectory::none())
    }

    /// # Errors
    /// The processors of the pipeline `logs` cannot be used.
    pub fn with_pods(
        config: &'c AgentConfig,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        pods: PodDirectory,
    ) -> Result<Self, ExplainError> {
        let logs = config
            .pipelines
            .iter()
            .find(|pipeline| pipeline.signal == Signal::Logs);
        let metrics = AgentMetrics::default();
        let build = |names: &[String]| {
            Chain::build(
                names,
                &config.processors,
                Signal::Logs,
                &metrics,
                &clock,
                &pods,
            )
        };
        let via = logs.map_or(&[][..], |logs| &logs.via);
        let is_redaction = |name: &&String| {
            matches!(
                config.processors.get(*name),
                Some(ProcessorConfig::Redaction(_))
            )
        };
        let redactions: Vec<String> = via.iter().filter(is_redaction).cloned().collect();
        let cover = match secrets {
            Secrets::Hide => Cover::new(build(&redactions)?),
            Secrets::Show => Cover::new(Chain::default()),
        };
        Ok(Self {
            config,
            logs,
            chain: build(via)?,
            cover,
            secrets,
            clock,
            pods,
        })
    }

    /// The ways of the records in a text, such as one line of a file.
    ///
    /// # Errors
    /// It is not clear which receiver would read it.
    pub fn text(&self, origin: &Origin, text: &[u8]) -> Result<Vec<Way>, ExplainError> {
        let chosen = self.choose(origin)?;
        match chosen.config {
            ReceiverConfig::Filelog(filelog) => {
                self.through_filelog(&chosen, filelog, origin.path.as_deref(), text)
            }
            ReceiverConfig::Otlp(_) => {
                let text = String::from_utf8_lossy(text);
                let record = LogRecord {
                    body: Value::from(text.trim_end_matches(['\r', '\n'])),
                    observed_time_unix_nano: self.observed(),
                    ..LogRecord::default()
                };
                let from = (self.configured(), Said::Sender);
                Ok(vec![self.way(
                    &chosen,
                    None,
                    from,
                    Scope::default(),
                    record,
                )])
            }
            _ => Err(ExplainError::NoLines {
                name: chosen.name.to_owned(),
            }),
        }
    }

    fn through_filelog(
        &self,
        chosen: &Chosen<'_>,
        filelog: &FilelogConfig,
        path: Option<&str>,
        text: &[u8],
    ) -> Result<Vec<Way>, ExplainError> {
        let mut ways = Vec::new();
        let policy = self.policy(filelog, path);
        if let Some(path) = path.filter(|_| policy.exclude) {
            let path = path.to_owned();
            return Err(ExplainError::Excluded { path });
        }
        let format = policy.format.as_deref();
        let pod = path.and_then(|path| self.pod_of(filelog, path));
        let each = |read: ReadRecord<'_>| {
            let scope = Scope {
                name: "vervet.filelog".into(),
                ..Scope::default()
            };
            let configured = &self.config.resource;
            let from = (
                filelog.resource_of(path, configured),
                filelog.origin(configured),
            );
            let how = Read::of(&read, format.is_some());
            let way = self.way(chosen, Some(how), from, scope, read.record);
            ways.push(Way {
                pod: pod.clone(),
                ..way
            });
        };
        let read = filelog.read_text(text, format, self.observed(), each);
        read.map_err(ExplainError::Settings)?;
        Ok(ways)
    }

    fn observed(&self) -> u64 {
        u64::try_from(self.clock.now().0).unwrap_or(0)
    }

    fn configured(&self) -> Resource<'static> {
        let pair = |(key, value): &(String, String)| KeyValue::new(key.clone(), value.clone());
        Resource {
            attributes: self.config.resource.iter().map(pair).collect(),
        }
    }

    /// Sends a record through the processors.
    fn way(
        &self,
        chosen: &Chosen<'_>,
        read: Option<Read>,
        (mut resource, said): (Resource<'_>, Said),
        scope: Scope<'_>,
        mut record: LogRecord<'_>,
    ) -> Way {
        let mut parsed = fields::of(&resource, &record);
        parsed.iter_mut().for_each(|field| self.cover.field(field));
        let logs = self
            .logs
            .filter(|logs| logs.from.iter().any(|from| from == chosen.name));
        let mut way = Way {
            receiver: chosen.name.to_owned(),
            kind: kind_of(chosen.config),
            chosen_by: chosen.by.clone(),
            pod: None,
            read,
            parsed,
            pipeline: logs.map(|logs| logs.signal.as_str()),
            steps: Vec::new(),
            dropped: None,
            exporters: Vec::new(),
            record: None,
            request: Vec::new(),
        };
        let Some(logs) = logs else { return way };
        let mut explanation =
            self.chain
                .explain_log_of(&mut resource, said, &scope, &mut record, self.secrets);
        for step in &mut explanation.steps {
            step.changes
                .iter_mut()
                .for_each(|change| self.cover.change(change));
        }
        way.dropped = explanation.dropped().map(str::to_owned);
        way.steps = explanation.steps;
        if way.dropped.is_none() {
            way.exporters.clone_from(&logs.to);
            write_resource_logs(&mut way.request, &resource, &scope, |writer| {
                writer.push(&record)
            });
            way.record = fields::otlp_json(&way.request);
        }
        way
    }

    fn choose(&self, origin: &Origin) -> Result<Chosen<'c>, ExplainError> {
        let receivers = &self.config.receivers;
        let reads_path = |config: &ReceiverConfig, path: &str| matches!(config, ReceiverConfig::Filelog(filelog) if filelog.reads(Path::new(path)));
        if let Some(name) = &origin.receiver {
            let Some((name, config)) = receivers.get_key_value(name) else {
                let known: Vec<&str> = receivers.keys().map(String::as_str).collect();
                return Err(ExplainError::UnknownReceiver {
                    name: name.clone(),
                    known: known.join(", "),
                });
            };
            let foreign = origin
                .path
                .as_deref()
                .filter(|path| !reads_path(config, path));
            let path = origin.path.as_deref();
            let path = path.filter(|path| reads_path(config, path));
            if let Some(refused) = path.and_then(|path| refused(name, config, path)) {
                return Err(refused);
            }
            let by = match foreign {
                Some(path) => format!("named by --receiver; its globs do not match {path}"),
                None => "named by --receiver".to_owned(),
            };
            return Ok(Chosen { name, config, by });
        }
        if let Some(path) = &origin.path {
            let mut first_refused = None;
            let mut reading = receivers
                .iter()
                .filter(|(_, config)| reads_path(config, path))
                .filter(|(name, config)| {
                    let refused = refused(name, config, path);
                    let is_read = refused.is_none();
                    first_refused = first_refused.take().or(refused);
                    is_read
                });
            let Some((name, config)) = reading.next() else {
                let nobody = ExplainError::NobodyReads { path: path.clone() };
                drop(reading);
                return Err(first_refused.unwrap_or(nobody));
            };
            let others: Vec<&str> = reading.map(|(name, _)| name.as_str()).collect();
            let by = match others.is_empty() {
                true => format!("its globs match {path}"),
                false => format!(
                    "its globs match {path}, as do those of {}",
                    others.join(", ")
                ),
            };
            return Ok(Chosen { name, config, by });
        }
        self.only_one()
    }

    fn only_one(&self) -> Result<Chosen<'c>, ExplainError> {
        let receivers = self.config.receivers.iter();
        let is_fed = |name: &String| self.logs.is_some_and(|logs| logs.from.contains(name));
        let of_lines = |config: &ReceiverConfig| matches!(config, ReceiverConfig::Filelog(_));
        let of_records = |config: &ReceiverConfig| matches!(config, ReceiverConfig::Otlp(_));
        let fed: Vec<_> = receivers.filter(|(name, _)| is_fed(name)).collect();
        for fits in [of_lines, of_records] {
            let mut fitting = fed.iter().filter(|(_, config)| fits(config));
            let Some((name, config)) = fitting.next() else {
                continue;
            };
            let by = "the only one that could be".to_owned();
            let others: Vec<&str> = fitting.map(|(name, _)| name.as_str()).collect();
            if others.is_empty() {
                return Ok(Chosen { name, config, by });
            }
            let known = format!("{name}, {}", others.join(", "));
            return Err(ExplainError::Ambiguous { known });
        }
        Err(ExplainError::NoReceiver)
    }
}

/// That a receiver whose globs match a file does not read it.
fn refused(name: &str, config: &ReceiverConfig, path: &str) -> Option<ExplainError> {
    let ReceiverConfig::Filelog(filelog) = config else {
        return None;
    };
    let why = filelog.refusal(Path::new(path))?;
    Some(ExplainError::Refused {
        receiver: name.to_owned(),
        path: path.to_owned(),
        why,
    })
}

fn kind_of(config: &ReceiverConfig) -> &'static str {
    match config {
        ReceiverConfig::Filelog(_) => "filelog",
        ReceiverConfig::Hostmetrics(_) => "hostmetrics",
        ReceiverConfig::Prometheus(_) => "prometheus",
        ReceiverConfig::Otlp(_) => "otlp",
    }
}

impl Read {
    fn of(read: &ReadRecord<'_>, is_annotated: bool) -> Self {
        let format = match (read.failed, read.format) {
            (Some(failed), "auto") => failed,
            (_, format) => format,
        };
        let format_reason = match (read.failed, read.detected) {
            (Some(failed), _) => {
                format!("the text is not {failed}, so it is the body as it stands")
            }
            (None, true) if format == "plain" => {
                "found by auto: the text is of no structured format".to_owned()
            }
            (None, true) => format!("found by auto: the text is {format}"),
            (None, false) if is_annotated => "asked for by the pod (vervet.dev/format)".to_owned(),
            (None, false) => "configured".to_owned(),
        };
        Self {
            runtime: read.runtime,
            format,
            format_reason,
            text_bytes: read.text_bytes,
            replaced: read.replaced,
        }
    }
}

#[cfg(test)]
mod tests;
