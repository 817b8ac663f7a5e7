//! Tails log files.

use serde::Deserialize;

use crate::pipeline::ReceiverContext;

/// What the configuration says of one `filelog` receiver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilelogSpec {
    /// Globs of the files to read.
    pub include: Vec<String>,
    /// Globs of files to leave alone although included.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How lines are read.
    #[serde(default)]
    pub format: LogFormat,
    /// Where a file never seen before is read from.
    #[serde(default)]
    pub start_at: StartAt,
    /// `service.name` of the records, unless the format tells better.
    #[serde(default)]
    pub service_name: Option<String>,
}

/// How a line becomes a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Decided per line.
    #[default]
    Auto,
    Json,
    Logfmt,
    Cri,
    Plain,
}

/// Where a file never seen before is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    #[default]
    Beginning,
    End,
}

/// The settings of a `filelog` receiver, checked.
#[derive(Debug, Clone)]
pub struct FilelogConfig {
    pub(crate) spec: FilelogSpec,
}

impl TryFrom<FilelogSpec> for FilelogConfig {
    type Error = String;

    fn try_from(spec: FilelogSpec) -> Result<Self, String> {
        Ok(Self { spec })
    }
}

/// Tails log files.
pub struct FilelogReceiver {
    config: FilelogConfig,
    context: ReceiverContext,
}

impl FilelogReceiver {
    pub fn new(config: FilelogConfig, context: ReceiverContext) -> Self {
        Self { config, context }
    }

    /// Runs until the shutdown token is cancelled or the pipeline is closed.
    pub async fn run(self) {
        tracing::debug!(include = ?self.config.spec.include, "filelog receiver started");
        self.context.shutdown.cancelled().await;
    }
}
