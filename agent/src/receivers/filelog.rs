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
//! Limits: `max_line` a line (longer ones are split or truncated, and counted), [`QUANTUM_BYTES`] a file and turn,
//! [`BATCH_BYTES`] or [`BATCH_AGE_MAX`] a batch; see [`framing`] for records of several lines.

pub(crate) mod change;
mod content;
pub(crate) mod descriptors;
mod discovery;
mod docker;
mod encoding;
mod explain;
mod file;
mod framing;
mod identity;
mod lines;
mod overlap;
mod pasts;
mod pod_roots;
pub mod progress;
mod resource;
mod rotated;
mod sink;
mod tailer;
mod traces;
mod watch;
mod waymarks;

use std::time::Duration;

use serde::Deserialize;

use crate::config::units::ByteSize;
use crate::formats::FormatSpec;
use crate::pipeline::ReceiverContext;
use change::ChangeSlot;
use discovery::Patterns;
pub use encoding::EncodingSpec;
pub(crate) use explain::ReadRecord;
use framing::Framing;
pub use framing::{MultilineSpec, OnLongLine};
pub use pod_roots::PodRoots;
use tailer::Tailer;

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
    /// Folders below which symbolic links may lead, besides those of the globs. Default: none, or `/var/log` and
    /// `/var/lib/docker/containers` when a glob is below `/var/log`.
    #[serde(default)]
    pub link_roots: Option<Vec<String>>,
    /// Folders of the kubelet: only a path below them tells a pod. Default: `/var/log/pods`, also below `/host`, `/hostfs`
    /// and `/rootfs`.
    #[serde(default)]
    pub pod_roots: PodRoots,
    /// How lines are read. Default `auto`.
    #[serde(default)]
    pub format: FormatSpec,
    /// Which lines become one record. Default `auto`: those of a stack trace.
    #[serde(default)]
    pub multiline: MultilineSpec,
    /// How bytes become text. Default `auto`: a byte order mark decides, without one it is UTF-8.
    #[serde(default)]
    pub encoding: EncodingSpec,
    /// Longest line. Default 1 MiB.
    #[serde(default)]
    pub max_line: Option<ByteSize>,
    /// What becomes of a longer one. Default `split`.
    #[serde(default)]
    pub on_long_line: OnLongLine,
    /// Where a file never seen before is read from.
    #[serde(default)]
    pub start_at: StartAt,
    /// `service.name` of the records, unless the format tells better.
    #[serde(default)]
    pub service_name: Option<String>,
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
    framing: Framing,
}

impl TryFrom<FilelogSpec> for FilelogConfig {
    type Error = String;

    fn try_from(spec: FilelogSpec) -> Result<Self, String> {
        if spec.include.is_empty() {
            return Err("include names no files".to_owned());
        }
        let mut patterns = Patterns::new(&spec.include, &spec.exclude)?;
        if let Some(roots) = &spec.link_roots {
            patterns = patterns.with_link_roots(roots)?;
        }
        let framing = Framing::new(&spec).map_err(|error| error.to_string())?;
        Ok(Self {
            spec,
            patterns,
            framing,
        })
    }
}

/// Tails log files.
pub struct FilelogReceiver {
    config: FilelogConfig,
    context: ReceiverContext,
    changes: ChangeSlot,
}

impl FilelogReceiver {
    pub fn new(config: FilelogConfig, context: ReceiverContext) -> Self {
        Self {
            config,
            context,
            changes: ChangeSlot::default(),
        }
    }

    /// The same, looking for changes of its configuration there.
    pub(crate) fn with_changes(self, changes: ChangeSlot) -> Self {
        Self { changes, ..self }
    }

    /// Runs until the shutdown token is cancelled or the pipeline is closed. Files are read on a thread of
    /// its own; what whole lines were read by then are sent.
    pub async fn run(self) {
        tracing::debug!(include = ?self.config.spec.include, "filelog receiver started");
        let runtime = tokio::runtime::Handle::current();
        let telling = self.context.output.abandoned().reader();
        let reader = tokio::task::spawn_blocking(move || {
            let _until_it_has_told = telling;
            Tailer::new(self.config, self.context, self.changes, runtime).run();
        });
        if let Err(error) = reader.await {
            tracing::error!(%error, "filelog receiver failed");
        }
    }
}

#[cfg(test)]
mod tests;
