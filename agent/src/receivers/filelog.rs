//! Tails log files.
//!
//! In: the files that globs name, found again every second. Out: batches of OTLP log records, each with the
//! positions its files resume from.
//!
//! A file is its device and inode, confirmed by a hash of its first bytes. It is read through one open
//! descriptor until its end, whatever happens to its name, so that a rotated file loses nothing; a file
//! that shrank or begins differently is read again from the start and counted. The position in a batch
//! stands after the last whole line of which a record is in this batch or an earlier one, so after a crash
//! every line is read once: those of a batch that became durable are passed over, all others read again.
//!
//! Limits: [`LINE_BYTES_MAX`] a line (longer ones are split and counted), [`QUANTUM_BYTES`] a file and turn,
//! [`BATCH_BYTES`] or [`BATCH_AGE_MAX`] a batch; see [`lines`] for records of several lines.

mod discovery;
mod file;
mod lines;
pub mod progress;
mod resource;
mod sink;
mod tailer;
mod traces;

use std::time::Duration;

use serde::Deserialize;

pub use crate::formats::LogFormat;
use crate::pipeline::ReceiverContext;
use discovery::Patterns;
use tailer::Tailer;

/// Longest line (bytes).
const LINE_BYTES_MAX: usize = 1 << 20;
/// What is read of one file before others get their turn (bytes).
const QUANTUM_BYTES: usize = 256 << 10;
/// A batch is sent when it is this large (bytes of OTLP protobuf).
const BATCH_BYTES: usize = 512 << 10;
/// A batch is sent when its first record is this old.
const BATCH_AGE_MAX: Duration = Duration::from_millis(200);

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
    /// Whether stack traces become one record.
    #[serde(default)]
    pub multiline: Multiline,
    /// Where a file never seen before is read from.
    #[serde(default)]
    pub start_at: StartAt,
    /// `service.name` of the records, unless the format tells better.
    #[serde(default)]
    pub service_name: Option<String>,
}

/// What becomes of stack traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Multiline {
    /// They are joined to the record they belong to.
    #[default]
    Auto,
    /// Every line is a record.
    None,
}

/// Where a file never seen before is read from when the agent starts; files that appear later are always
/// read from the beginning.
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
    patterns: Patterns,
}

impl TryFrom<FilelogSpec> for FilelogConfig {
    type Error = String;

    fn try_from(spec: FilelogSpec) -> Result<Self, String> {
        if spec.include.is_empty() {
            return Err("include names no files".to_owned());
        }
        let patterns = Patterns::new(&spec.include, &spec.exclude)?;
        Ok(Self { spec, patterns })
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

    /// Runs until the shutdown token is cancelled or the pipeline is closed. Files are read on a thread of
    /// its own; what whole lines were read by then are sent.
    pub async fn run(self) {
        tracing::debug!(include = ?self.config.spec.include, "filelog receiver started");
        let runtime = tokio::runtime::Handle::current();
        let reader = tokio::task::spawn_blocking(move || {
            Tailer::new(self.config, self.context, runtime).run();
        });
        if let Err(error) = reader.await {
            tracing::error!(%error, "filelog receiver failed");
        }
    }
}

#[cfg(test)]
mod tests;
