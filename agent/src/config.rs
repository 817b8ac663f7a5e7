//! The configuration file: YAML, strict.
//!
//! In: text and the sources of `${env:NAME}` and `${file:/path}`. Out: an [`AgentConfig`] that can run, or a
//! [`ConfigError`] with every mistake found, each with its line. Reading the text does no I/O but the
//! substitutions. A key nobody knows is a mistake, and the answer names the nearest known one.

mod cases;
mod conflicts;
mod dollars;
mod error;
mod faults;
mod hide;
mod home;
mod host;
mod lint;
mod mistakes;
mod oddities;
mod read;
mod references;
pub mod secret;
pub(crate) mod shapes;
mod spec;
mod strict;
pub mod substitute;
pub mod units;
pub(crate) mod word_or_map;
mod yaml;

pub(crate) use cases::time_unix_nano;
pub use cases::{Dropped, ExpectSpec, InputSpec, TestCase, TestSpec};
pub(crate) use error::unknown;
pub use error::{ConfigError, Problem};
pub(crate) use home::no_home;
pub use host::Detected;
pub use lint::Checked;
pub use mistakes::Mistakes;
pub(crate) use read::filter_of;
pub use read::listen_address;
pub use spec::{
    AdminSpec, Auth, LimitsSpec, MemoryLimit, OtlpReceiverSpec, PipelineSpec, ReceiverSpec,
    TelemetrySpec, TracesSpec,
};

pub(crate) use strict::read_plain;
pub use strict::{read_checked, read_document};
pub(crate) use yaml::Located;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use vervet_model::Signal;

use crate::exporters::settings::{DeadLetterConfig, ExporterConfig};
use crate::pipeline::SignalSet;
use crate::processors::ProcessorConfig;
use crate::receivers::filelog::FilelogConfig;
use crate::receivers::hostmetrics::HostmetricsConfig;
use crate::receivers::otlp::OtlpReceiverConfig;
use crate::receivers::prometheus::PrometheusConfig;
use shapes::Shapes;
use substitute::{Sources, SystemSources};

/// Where the admin listener is unless the configuration says otherwise.
pub const ADMIN_ADDRESS_DEFAULT: &str = "127.0.0.1:7421";

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    pub data_dir: PathBuf,
    /// Budget of telemetry held in memory (bytes); `None` takes it from the control group when the agent starts.
    pub memory_bytes: Option<u64>,
    /// Budget of the disk buffer (bytes).
    pub disk_bytes: u64,
    /// Put on everything the agent itself makes, and on received OTLP where the key is absent.
    pub resource: Vec<(String, String)>,
    /// What of it is found out where it is not given. Default: the host's name.
    pub resource_detection: Vec<Detected>,
    pub receivers: BTreeMap<String, ReceiverConfig>,
    pub processors: BTreeMap<String, ProcessorConfig>,
    pub exporters: BTreeMap<String, ExporterConfig>,
    pub dead_letter: DeadLetterConfig,
    pub pipelines: Vec<PipelineConfig>,
    /// Exporters, not configured any more, whose backlog is not wanted.
    pub give_up: Vec<String>,
    /// What `vervet-agent test` runs.
    pub tests: Vec<TestCase>,
    /// What is valid and probably not meant.
    pub warnings: Vec<Problem>,
    /// `None` when the agent runs inside another program that serves its admin routes.
    pub admin: Option<SocketAddr>,
    /// Where the agent's own traces go.
    pub traces_endpoint: Option<String>,
    /// What each part says, to find what a new configuration changes.
    pub(crate) shapes: Shapes,
}

/// The settings of one receiver, by its kind.
#[derive(Debug, Clone)]
pub enum ReceiverConfig {
    Filelog(FilelogConfig),
    Hostmetrics(HostmetricsConfig),
    Prometheus(PrometheusConfig),
    Otlp(OtlpReceiverConfig),
}

/// What flows from where to where, for one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineConfig {
    pub signal: Signal,
    pub from: Vec<String>,
    /// Processors, in order.
    pub via: Vec<String>,
    pub to: Vec<String>,
}

impl AgentConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, or what it says cannot be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let config = Self::parse(&file, &text, &SystemSources)?;
                config.check_pipelines(file)?;
                Ok(config.with_host_name(&SystemSources))
            }
            Err(error) => Err(ConfigError {
                file,
                problems: vec![Problem {
                    line: None,
                    path: Vec::new(),
                    message: format!("cannot be read: {error}"),
                }],
            }),
        }
    }

    /// A file without pipelines is unfinished: the agent would run and collect nothing.
    fn check_pipelines(&self, file: String) -> Result<(), ConfigError> {
        if !self.pipelines.is_empty() {
            return Ok(());
        }
        let message = "there is none, so that nothing would be collected; write `logs: {from: [...], to: [...]}`, \
                       `metrics` or `traces`";
        let problem = Problem {
            line: None,
            path: vec!["pipelines".to_owned()],
            message: message.to_owned(),
        };
        let problems = vec![problem];
        Err(ConfigError { file, problems })
    }

    /// Reads a configuration from text; `file` is the name used in errors. Nothing is found out about the machine.
    ///
    /// # Errors
    /// All mistakes found.
    pub fn parse(file: &str, text: &str, sources: &dyn Sources) -> Result<Self, ConfigError> {
        read::read(text, sources).map_err(|problems| ConfigError {
            file: file.to_owned(),
            problems,
        })
    }

    /// The admin listener's address in a configuration file that may be wrong elsewhere.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn admin_address(path: &Path) -> std::io::Result<Option<SocketAddr>> {
        let text = std::fs::read_to_string(path)?;
        Ok(read::admin_of(&text, &SystemSources))
    }

    /// The signals that pipelines take from a receiver.
    pub fn signals_from(&self, receiver: &str) -> SignalSet {
        self.signals(|pipeline| &pipeline.from, receiver)
    }

    /// The signals that pipelines send to an exporter.
    pub fn signals_to(&self, exporter: &str) -> SignalSet {
        self.signals(|pipeline| &pipeline.to, exporter)
    }

    pub(crate) fn signals_pipeline(&self, signal: Signal) -> Option<&PipelineConfig> {
        let mut pipelines = self.pipelines.iter();
        pipelines.find(|pipeline| pipeline.signal == signal)
    }

    /// The receivers that pipelines take something from. The others are not started: nobody would get what they read.
    pub(crate) fn used_receivers(&self) -> impl Iterator<Item = (&String, &ReceiverConfig)> {
        let receivers = self.receivers.iter();
        receivers.filter(|(name, receiver)| self.uses(name, receiver))
    }

    /// Whether a receiver of that name is one of them.
    pub(crate) fn uses_receiver(&self, name: &str) -> bool {
        let receiver = self.receivers.get(name);
        receiver.is_some_and(|receiver| self.uses(name, receiver))
    }

    fn uses(&self, name: &str, receiver: &ReceiverConfig) -> bool {
        let signals = self.signals_from(name);
        let mut all = Signal::ALL.into_iter();
        all.any(|signal| signals.contains(signal) && receiver.makes(signal))
    }

    fn signals(&self, names: impl Fn(&PipelineConfig) -> &Vec<String>, name: &str) -> SignalSet {
        self.pipelines
            .iter()
            .filter(|pipeline| names(pipeline).iter().any(|known| known == name))
            .fold(SignalSet::default(), |set, pipeline| {
                set.with(pipeline.signal)
            })
    }
}

#[cfg(test)]
mod tests;
