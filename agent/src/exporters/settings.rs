//! What can be said of an exporter in the configuration, and what that amounts to.
//!
//! Checks here do no I/O. Tokens and header values are [`Secret`]s.

mod otlp;
mod spec;

pub use spec::{
    AuthSpec, Compression, DeadLetterSpec, DebugExporterSpec, FileExporterSpec, FileFormat,
    OtlpExporterSpec, QueuePolicy, Verbosity,
};

use std::path::PathBuf;
use std::time::Duration;

use vervet_wire::compress;

use crate::config::secret::Secret;
use crate::config::{Mistakes, no_home};

const ROTATE_BYTES_DEFAULT: u64 = 64 << 20;
const ROTATE_BYTES_MIN: u64 = 64 << 10;
const ROTATE_FILES_DEFAULT: u32 = 5;
const ROTATE_FILES_MAX: u32 = 1_000;
const RECORDS_PER_SECOND_DEFAULT: u32 = 50;
const DEAD_LETTER_BYTES_DEFAULT: u64 = 64 << 20;
/// Less would not hold one batch and its neighbour.
const DEAD_LETTER_BYTES_MIN: u64 = 1 << 20;
/// The settings of one exporter.
#[derive(Debug, Clone, PartialEq)]
pub struct ExporterConfig {
    pub kind: ExporterKind,
    pub on_full: QueuePolicy,
}

/// What is particular to each kind.
#[derive(Debug, Clone, PartialEq)]
pub enum ExporterKind {
    /// OTLP/gRPC.
    Otlp(OtlpExporterConfig),
    /// OTLP/HTTP.
    OtlpHttp(OtlpExporterConfig),
    File(FileExporterConfig),
    Debug(DebugExporterConfig),
}

#[derive(Debug, Clone, PartialEq)]
pub struct OtlpExporterConfig {
    /// `http://host:port` or `https://host:port`; for OTLP/HTTP a path may follow.
    pub endpoint: String,
    pub compression: Compression,
    /// `None` is the quickest sensible one.
    pub compression_level: Option<i32>,
    pub tls: TlsConfig,
    pub auth: Option<BearerToken>,
    pub headers: Vec<(String, Secret)>,
    /// Time for one request.
    pub timeout: Duration,
    /// Longest first pause and longest pause at all between attempts.
    pub retry_initial: Duration,
    pub retry_max: Duration,
    /// Most requests under way at once.
    pub concurrency_max: u32,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct TlsConfig {
    pub ca_file: Option<PathBuf>,
    /// Both or neither.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub server_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum BearerToken {
    Text(Secret),
    /// Read again when it changes.
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
pub struct FileExporterConfig {
    pub path: PathBuf,
    pub format: FileFormat,
    /// Size at which the next file is begun.
    pub rotate_bytes: u64,
    /// Files kept, the current one included.
    pub files_max: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DebugExporterConfig {
    pub verbosity: Verbosity,
    pub records_per_second: u32,
}

/// What is kept of refused requests: bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterConfig {
    pub disk_bytes: u64,
}

impl From<Compression> for compress::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Zstd => Self::Zstd,
            Compression::Gzip => Self::Gzip,
            Compression::None => Self::None,
        }
    }
}

impl Default for DeadLetterConfig {
    fn default() -> Self {
        Self {
            disk_bytes: DEAD_LETTER_BYTES_DEFAULT,
        }
    }
}

impl TryFrom<DeadLetterSpec> for DeadLetterConfig {
    type Error = String;

    fn try_from(spec: DeadLetterSpec) -> Result<Self, String> {
        let disk_bytes = spec.disk.map_or(DEAD_LETTER_BYTES_DEFAULT, |size| size.0);
        if disk_bytes < DEAD_LETTER_BYTES_MIN {
            return Err("disk must be at least 1MiB".to_owned());
        }
        Ok(Self { disk_bytes })
    }
}

impl ExporterConfig {
    /// An exporter of OTLP, over gRPC or over HTTP.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub fn otlp(spec: OtlpExporterSpec, over_http: bool) -> Result<Self, Mistakes> {
        let on_full = spec.queue.on_full;
        let config = OtlpExporterConfig::new(spec, over_http)?;
        let kind = match over_http {
            true => ExporterKind::OtlpHttp(config),
            false => ExporterKind::Otlp(config),
        };
        Ok(Self { kind, on_full })
    }
}

impl TryFrom<FileExporterSpec> for ExporterConfig {
    type Error = Mistakes;

    fn try_from(spec: FileExporterSpec) -> Result<Self, Mistakes> {
        let rotate_bytes = spec.rotate.size.map_or(ROTATE_BYTES_DEFAULT, |size| size.0);
        let files_max = spec.rotate.files.unwrap_or(ROTATE_FILES_DEFAULT);
        let mut mistakes = Mistakes::default();
        mistakes.demand(
            spec.path.file_name().is_some(),
            &["path"],
            format!("path `{}` names no file", spec.path.display()),
        );
        mistakes.note(&["path"], no_home(&spec.path.to_string_lossy()));
        mistakes.demand(
            rotate_bytes >= ROTATE_BYTES_MIN,
            &["rotate.size"],
            "rotate.size must be at least 64KiB",
        );
        mistakes.demand(
            (1..=ROTATE_FILES_MAX).contains(&files_max),
            &["rotate.files"],
            format!("rotate.files must be 1 to {ROTATE_FILES_MAX}"),
        );
        mistakes.or(Some(Self {
            kind: ExporterKind::File(FileExporterConfig {
                path: spec.path,
                format: spec.format,
                rotate_bytes,
                files_max,
            }),
            on_full: spec.queue.on_full,
        }))
    }
}

impl TryFrom<DebugExporterSpec> for ExporterConfig {
    type Error = Mistakes;

    fn try_from(spec: DebugExporterSpec) -> Result<Self, Mistakes> {
        let records_per_second = spec
            .records_per_second
            .unwrap_or(RECORDS_PER_SECOND_DEFAULT);
        let mut mistakes = Mistakes::default();
        mistakes.demand(
            records_per_second > 0,
            &["records_per_second"],
            "records_per_second must be at least 1",
        );
        mistakes.or(Some(Self {
            kind: ExporterKind::Debug(DebugExporterConfig {
                verbosity: spec.verbosity,
                records_per_second,
            }),
            on_full: spec.queue.on_full,
        }))
    }
}

#[cfg(test)]
mod tests;
